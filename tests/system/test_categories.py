# SPDX-License-Identifier: MIT
"""phos eval categories on made-up block designs.

Where the categories differ all left-out blocks are named and shuffled labels are worse; where they
do not, the answer is no better than shuffled labels. The same seed gives the same report, plots
are PNG files, and a design that cannot be evaluated is refused with the reason.
"""
import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile

from picture_session import NX, NY, NZ, TR, header, hrf

PHOS = os.path.abspath(sys.argv[1])
VOLUMES = 190
N = NX * NY * NZ
ORDER = [0, 1, 2, 2, 0, 1, 1, 2, 0]
NAMES = ['face', 'house', 'word']


def box(delay, length):
    return sum(hrf(delay - s - .5) for s in range(length)) if delay > 0 else 0


def make_run(folder, name, difference):
    rng = random.Random(7)
    patterns = [[rng.gauss(0, difference) for _ in range(N)] for _ in NAMES]
    common = [rng.gauss(1, 1) for _ in range(N)]
    onsets = [12 + 40 * b for b in range(len(ORDER))]
    with open(os.path.join(folder, name + '.tsv'), 'w') as f:
        f.write('onset\tduration\ttrial_type\n')
        for onset, k in zip(onsets, ORDER):
            f.write(''.join('%d\t0.9\t%s\n' % (onset + s, NAMES[k]) for s in range(16)))
    with open(os.path.join(folder, name + '.nii'), 'wb') as f:
        f.write(header(VOLUMES, 16, 32))
        for t in range(VOLUMES):
            drive = [box((t + .5) * TR - onset, 16) for onset in onsets]
            f.write(struct.pack('<%df' % N, *[
                1000 + 8 * math.cos(math.pi * t / VOLUMES)
                + 10 * sum(h * (common[v] + patterns[k][v]) for h, k in zip(drive, ORDER))
                + rng.gauss(0, 10) for v in range(N)]))


def make_session(folder):
    make_run(folder, 'apart', .8)
    make_run(folder, 'alike', 0)
    with open(os.path.join(folder, 'mask.nii'), 'wb') as f:
        f.write(header(1, 2, 8) + bytes(1 if v % 7 else 0 for v in range(N)))
    with open(os.path.join(folder, 'run.yaml'), 'w') as f:
        f.write('phosphene: 1\nfilters:\n  - {type: mask, file: mask.nii}\n'
                '  - {type: normalise, mode: percent, baseline: 6}\n')


def evaluate(folder, name, *more):
    return subprocess.run([PHOS, 'eval', 'categories', '--run', 'run.yaml', '--bold', name + '.nii',
                           '--events', name + '.tsv', '--permutations', '19', '--voxels', '60',
                           *more], cwd=folder, capture_output=True, text=True)


def check(condition, what):
    if not condition:
        sys.exit('FAILED: ' + what)


def check_scores(folder):
    done = evaluate(folder, 'apart', '--out', 'report', '--json')
    check(done.returncode == 0, 'apart: ' + done.stderr)
    answer = json.loads(done.stdout)
    check(answer['n_blocks'] == 9 and answer['categories'] == NAMES, 'blocks %r' % answer)
    check(answer['accuracy'] == 1, 'accuracy %r' % answer['accuracy'])
    check(answer['p'] <= 0.05, 'p %r' % answer['p'])
    check(answer['confusion'] == [[3, 0, 0], [0, 3, 0], [0, 0, 3]], 'confusion %r' % answer)
    courses = [b['probability_of_shown'] for b in answer['blocks']]
    check(all(abs(c[0] - 1 / 3) < .1 and c[-1] > .9 for c in courses), 'evidence %r' % courses)
    for file in ('evidence.png', 'confusion.png'):
        with open(os.path.join(folder, 'report', file), 'rb') as f:
            check(f.read(8) == b'\x89PNG\r\n\x1a\n', file)
    again = evaluate(folder, 'apart', '--json')
    check(again.stdout == done.stdout, 'the same seed gives the same report')
    done = evaluate(folder, 'alike', '--json', '--noise', 'diagonal')
    check(done.returncode == 0, 'alike: ' + done.stderr)
    check(json.loads(done.stdout)['p'] > 0.05, 'nothing to find: ' + done.stdout)


def check_refusals(folder):
    with open(os.path.join(folder, 'apart.tsv')) as f:
        lines = f.readlines()
    with open(os.path.join(folder, 'apart.tsv'), 'w') as f:
        f.write(''.join(lines[:1 + 16 * 3]))
    done = evaluate(folder, 'apart')
    check(done.returncode == 65 and 'one block' in done.stderr, 'one block: ' + done.stderr)
    check(evaluate(folder, 'alike', '--tail', '1').returncode == 2, 'a tail too short')


with tempfile.TemporaryDirectory() as work:
    make_session(work)
    check_scores(work)
    check_refusals(work)
