# SPDX-License-Identifier: MIT
"""phos report --latents on a recorded live run: what was known of each trial, second by second.

Pictures that the decoder knows are identified once the response is in and not before, information
grows to 1, the plots are in the recording and in its page; truth of another size is refused.
"""
import json
import os
import subprocess
import sys
import tempfile

from picture_session import FACTORS, PICTURES, make_session, write_latents

PHOS = os.path.abspath(sys.argv[1])


def check(condition, what):
    if not condition:
        sys.exit('FAILED: ' + what)


def phos(folder, *args):
    return subprocess.run([PHOS, *args], cwd=folder, capture_output=True, text=True)


def record(folder):
    with open(os.path.join(folder, 'live.yaml'), 'w') as f:
        f.write('phosphene: 1\nsource: {type: nifti, path: run-2_bold.nii, events: run-2_events.tsv}\n'
                'filters:\n  - {type: mask, file: mask.nii}\n'
                '  - {type: normalise, mode: percent, baseline: 20}\n'
                'decoder: {type: posterior, model: m.safetensors}\n'
                'sinks:\n  - {type: record}\n'
                'engine: {out_dir: recording}\n')
    done = phos(folder, 'fit', 'posterior', '--run', 'run.yaml', '--stimuli', 'pictures', '--out',
                'm.safetensors', '--latents', 'latents.safetensors', '--bold', 'run-1_bold.nii',
                '--events', 'run-1_events.tsv', '--bold', 'run-2_bold.nii', '--events',
                'run-2_events.tsv')
    check(done.returncode == 0, 'fit: ' + done.stderr)
    done = phos(folder, 'live', 'live.yaml', '--headless')
    check(done.returncode == 0, 'live: ' + done.stderr)


def check_report(folder):
    done = phos(folder, 'report', 'recording', '--latents', 'latents.safetensors', '--json')
    check(done.returncode == 0, 'report: ' + done.stderr)
    points = json.loads(done.stdout)['latents']
    check(len(points) > 8 and points[-1]['trials'] >= 30, 'points %r' % points)
    check(points[-1]['identification_2way'] > .9, 'identified in the end: %r' % points[-1])
    check(points[0]['identification_2way'] < points[-1]['identification_2way'] - .1,
          'not before the response: %r' % points[0])
    shares = [p['information'] for p in points]
    check(shares[0] < .5 and shares[-1] > .9, 'information %r' % shares)
    check(all(.6 < p['coverage90'] <= 1 for p in points), 'coverage %r' % points)
    with open(os.path.join(folder, 'recording', 'report.html')) as f:
        check(f.read().count('data:image/png') >= 2, 'plots in the page')
    write_latents(os.path.join(folder, 'wrong.safetensors'), [[0.0] * (FACTORS + 1)] * PICTURES)
    done = phos(folder, 'report', 'recording', '--latents', 'wrong.safetensors')
    check(done.returncode == 65 and 'latents' in done.stderr, 'another size: ' + done.stderr)


with tempfile.TemporaryDirectory() as work:
    make_session(work)
    record(work)
    check_report(work)
