# SPDX-License-Identifier: MIT
"""phos replay on a small run with regions and maps, and phos signal on what it recorded: the regions'
table follows the voxels, the t map is stored where it is, the picture of it is left, an acausal
band-pass keeps a wave without delay and a notch takes another out, bad calls are refused."""
import math
import os
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import nifti  # noqa: E402
import png  # noqa: E402

PHOS = os.path.abspath(sys.argv[1])
NX, NY, NZ, N, TR = 8, 8, 6, 200, 2.0


def check(condition, what):
    if not condition:
        sys.exit('FAILED: ' + what)


def phos(folder, *args):
    return subprocess.run([PHOS, *args], cwd=folder, capture_output=True, text=True)


def wave(t, hz):
    return math.sin(2 * math.pi * hz * TR * t)


def write_run(folder):
    brain = np.zeros((NZ, NY, NX), 'f4')
    brain[1:5, 2:6, 2:6] = 1
    labels = brain.copy()
    labels[2, 3, 3] = 2
    noise = np.random.default_rng(3).standard_normal((N, NZ, NY, NX))
    volumes = np.zeros((N, NZ, NY, NX), 'f4')
    for t in range(N):
        volumes[t] = brain * (1000 + 10 * wave(t, 0.03) + 20 * wave(t, 0.2) + 0.5 * noise[t])
        volumes[t, 2, 3, 3] += 40 if t % 20 >= 13 else 0  # blocks of 12 s from 20 s on, 6 s late
    nifti.write(os.path.join(folder, 'r_bold.nii'), volumes)
    nifti.write(os.path.join(folder, 'mask.nii'), brain)
    nifti.write(os.path.join(folder, 'labels.nii'), labels)
    with open(os.path.join(folder, 'r_events.tsv'), 'w') as f:
        f.write('onset\tduration\ttrial_type\n')
        for k in range(10):
            f.write('%g\t12\ton\n' % (20 + 40 * k))
    with open(os.path.join(folder, 'run.yaml'), 'w') as f:
        f.write('phosphene: 1\nfilters:\n  - {type: mask, file: mask.nii}\n  - {type: quality}\n'
                '  - {type: regions, labels: labels.nii, names: "rest,seed", baseline: 20}\n'
                '  - {type: glm, conditions: "on", maps: "on", map_threshold: 5}\n'
                'sinks:\n  - {type: record}\n')


def table(path):
    with open(path) as f:
        lines = [line.rstrip('\n').split('\t') for line in f]
    return {name: [row[i] for row in lines[1:]] for i, name in enumerate(lines[0])}


def find(folder, end):
    for base, _, names in os.walk(folder):
        for name in names:
            if name.endswith(end):
                return os.path.join(base, name)
    sys.exit('FAILED: no ' + end)


def check_record(folder):
    done = phos(folder, 'replay', 'r_bold.nii', '--run', 'run.yaml', '--out', 'rec')
    check(done.returncode == 0, 'replay: ' + done.stderr)
    regions = table(find(folder, '_desc-regions_timeseries.tsv'))
    check(list(regions) == ['volume', 'rest', 'rest_mean', 'seed', 'seed_mean'], 'columns %r' % list(regions))
    check(len(regions['rest']) == N, 'rows')
    check(abs(float(regions['seed_mean'][33]) - float(regions['rest_mean'][33]) - 40) < 3, 'the seed is on')
    confounds = table(find(folder, '_desc-confounds_timeseries.tsv'))
    for name in ('framewise_displacement', 'rmsd', 'dvars', 'std_dvars', 'global_signal', 'trans_x',
                 'rot_z_derivative1_power2'):
        check(name in confounds, 'column ' + name)
    found = find(folder, '_contrast-on_stat-t_statmap.nii.gz')
    values = nifti.read(found)
    peak = np.unravel_index(values.argmax(), values.shape)
    check(peak == (2, 3, 3) and values[peak] > 10, 'peak %r of %g' % (peak, values[peak]))
    check(png.read(os.path.join(folder, 'rec', 'map.png')).shape == (720, 1280, 3), 'map.png')
    return find(folder, '_desc-regions_timeseries.tsv')


def amplitude(values, hz, phase):
    use = range(50, N - 50)
    return 2 * sum(float(values[t]) * math.sin(2 * math.pi * hz * TR * t + phase) for t in use) / len(use)


def check_signal(folder, regions):
    done = phos(folder, 'signal', regions, '--columns', 'rest_mean', '--tr', '2', '--band', '0.01,0.1', '--out',
                'slow.tsv', '--spectrum', 'power.tsv', '--plot', 'p.png', '--heart', '1.1', '--segment', '100')
    check(done.returncode == 0, 'signal: ' + done.stderr)
    slow = table(os.path.join(folder, 'slow.tsv'))['rest_mean']
    check(abs(amplitude(slow, .03, 0) - 10) < .3, 'slow wave %g' % amplitude(slow, .03, 0))
    check(abs(amplitude(slow, .03, math.pi / 2)) < .3, 'no delay')
    check(abs(amplitude(slow, .2, 0)) < .1, 'fast wave %g' % amplitude(slow, .2, 0))
    power = table(os.path.join(folder, 'power.tsv'))
    best = max(range(len(power['rest_mean'])), key=lambda k: float(power['rest_mean'][k]))
    check(float(power['frequency_hz'][best]) == .2, 'peak at %s' % power['frequency_hz'][best])
    best = max(range(1, len(power['rest_mean'])), key=lambda k: float(power['rest_mean_filtered'][k]))
    check(float(power['frequency_hz'][best]) == .03, 'peak of the filtered')
    check(png.read(os.path.join(folder, 'p.png')).shape == (700, 1100, 3), 'plot')
    done = phos(folder, 'signal', regions, '--columns', 'rest_mean', '--tr', '2', '--notch', '0.2', '--causal',
                '--out', 'notched.tsv')
    check(done.returncode == 0, 'notch: ' + done.stderr)
    notched = table(os.path.join(folder, 'notched.tsv'))['rest_mean']
    check(abs(amplitude(notched, .2, 0)) < .7 and amplitude(notched, .03, 0) > 9, 'notch')


def check_refusals(folder, regions):
    for args, code, word in ((['--columns', 'x', '--tr', '2', '--out', 'o.tsv'], 65, 'x'),
                             (['--columns', 'rest', '--tr', '2'], 2, 'nothing to write'),
                             (['--columns', 'rest', '--out', 'o.tsv'], 2, '--tr'),
                             (['--columns', 'rest', '--tr', '2', '--band', '1', '--out', 'o.tsv'], 2, 'two'),
                             (['--columns', 'rest', '--tr', '2', '--band', '0.1,0.4', '--out', 'o.tsv'], 2, '0.4')):
        done = phos(folder, 'signal', regions, *args)
        check(done.returncode == code and word in done.stderr, '%r: %d %s' % (args, done.returncode, done.stderr))


with tempfile.TemporaryDirectory() as work:
    write_run(work)
    recorded = check_record(work)
    check_signal(work, recorded)
    check_refusals(work, recorded)
