# SPDX-License-Identifier: MIT
"""Bad volumes and wrong designs through the whole preprocessing of a run: values that are not finite, an
empty volume, a jump, a head that is not there, an event outside the run, two conditions that are one, more
regressors than volumes. The run goes on, the volumes are marked, t maps and figures stay finite and right.
Masks of another geometry and designs that can never be fitted are refused by name before the run."""
import os
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import nifti  # noqa: E402

PHOS = os.path.abspath(sys.argv[1])
NX, NY, NZ, N = 20, 22, 16, 60
NAN, INF, EMPTY, JUMP, GONE = 20, 24, 28, 33, 40
CHAIN = '''phosphene: 1
filters:
  - {type: realign}
  - {type: smooth, fwhm_mm: 5}
  - {type: mask, file: %s}
  - {type: quality}
  - {type: censor, fd_mm: 2, std_dvars: 0, outlier_fraction: 0, after: 0}
  - {type: glm, conditions: "%s", maps: "on", motion: %d%s}
  - {type: normalise, mode: percent}
sinks:
  - {type: record}
'''


def check(condition, what):
    if not condition:
        sys.exit('FAILED: ' + what)


def phos(folder, *args):
    return subprocess.run([PHOS, *args], cwd=folder, capture_output=True, text=True)


def head(shift=0):
    """A lopsided ellipsoid with texture, moved along y by `shift` voxels."""
    z, y, x = np.mgrid[0:NZ, 0:NY, 0:NX].astype('f4')
    y = y - shift
    inside = ((x - 9.5) / 7) ** 2 + ((y - 10) / 8.5) ** 2 + ((z - 7.5) / 6) ** 2
    texture = np.sin(x * .9) * np.cos(y * .8) + .7 * np.sin(z * 1.1 + x * .4)
    return (1 / (1 + np.exp(12 * (inside - 1))) * (800 + 120 * texture)).astype('f4')


def write_run(folder):
    rng = np.random.default_rng(4)
    volumes = np.array([head() + rng.standard_normal((NZ, NY, NX)) * 4 for _ in range(N)], 'f4')
    for t in range(N):
        volumes[t, 8, 10, 9] += 120 if t % 20 >= 13 else 0  # blocks of 12 s from 20 s on, 6 s late
    volumes[NAN, 5, 5, 5] = np.nan
    volumes[INF, 6, 6, 6] = -np.inf
    volumes[EMPTY] = 0
    volumes[JUMP] = head(shift=3)  # 9 mm, for one volume
    volumes[GONE] = np.abs(rng.standard_normal((NZ, NY, NX)))
    nifti.write(os.path.join(folder, 'r_bold.nii'), volumes)
    nifti.write(os.path.join(folder, 'mask.nii'), (head() > 400).astype('f4'))
    nifti.write(os.path.join(folder, 'other.nii'), np.ones((NZ, NY, NX + 1), 'f4'))
    nifti.write(os.path.join(folder, 'moved.nii'), (head() > 400).astype('f4'), voxel_mm=3.2)
    with open(os.path.join(folder, 'r_events.tsv'), 'w') as f:
        f.write('onset\tduration\ttrial_type\n')
        for k in range(3):
            f.write('%g\t12\ton\n%g\t12\ttwin\n' % (20 + 40 * k, 20 + 40 * k))
        f.write('-300\t5\ton\n100000\t12\tlate\n')


def write_chain(folder, mask='mask.nii', conditions='on', motion=6, more=''):
    with open(os.path.join(folder, 'run.yaml'), 'w') as f:
        f.write(CHAIN % (mask, conditions, motion, more))


def find(folder, end):
    for base, _, names in os.walk(folder):
        for name in names:
            if name.endswith(end):
                return os.path.join(base, name)
    sys.exit('FAILED: no ' + end)


def table(path):
    with open(path) as f:
        lines = [line.rstrip('\n').split('\t') for line in f]
    return {name: [row[i] for row in lines[1:]] for i, name in enumerate(lines[0])}


def replay(folder, out):
    done = phos(folder, 'replay', 'r_bold.nii', '--run', 'run.yaml', '--out', out)
    check(done.returncode == 0, '%s: %d %s' % (out, done.returncode, done.stderr))
    values = nifti.read(find(os.path.join(folder, out), '_contrast-on_stat-t_statmap.nii.gz'))
    check(np.isfinite(values).all(), out + ': the t map is finite')
    return values, table(find(os.path.join(folder, out), '_desc-confounds_timeseries.tsv')), done.stderr


def check_volumes(folder):
    write_chain(folder)
    t_map, confounds, log = replay(folder, 'volumes')
    peak = np.unravel_index(np.abs(t_map).argmax(), t_map.shape)
    check(np.abs(np.subtract(peak, (8, 10, 9))).max() <= 1 and t_map[8, 10, 9] > 6,
          'the t map finds its place: %r, %g' % (peak, t_map[8, 10, 9]))
    censored = [int(t) for t in np.flatnonzero([c == '1' for c in confounds['censored']])]
    for t in (JUMP, GONE):
        check(t in censored, 'volume %d is censored: %r' % (t, censored))
    check(set(censored) <= {EMPTY, JUMP, JUMP + 1, GONE, GONE + 1, EMPTY + 1}, 'only those: %r' % censored)
    check(sum(name.startswith('motion_outlier') for name in confounds) == len(censored), 'outlier columns')
    check('volume %d moved by' % JUMP in log, 'the jump is told: ' + log)
    check('volume %d does not match' % GONE in log, 'the missing head is told: ' + log)
    for t in (NAN, INF, EMPTY):  # marked invalid: nothing is measured on them behind realignment
        check(confounds['dvars'][t] == 'n/a', 'volume %d is not measured' % t)
    tsnr = [float(v) for v in confounds['tsnr'] if v != 'n/a']
    check(min(tsnr[20:]) > 40, 'bad volumes leave tSNR alone: %g' % min(tsnr[20:]))
    for name, column in confounds.items():
        check(all(v == 'n/a' or np.isfinite(float(v)) for v in column), name + ' is finite')


def check_designs(folder):
    write_chain(folder, conditions='on,twin')  # two names for the same events: which is which nobody knows
    t_map, _, _ = replay(folder, 'collinear')
    check((t_map == 0).all(), 'no t value where the design does not tell')
    write_chain(folder, conditions='on,late')  # its events never come, and an event before the run
    t_map, _, _ = replay(folder, 'outside')
    check(t_map[8, 10, 9] > 6, 'an empty condition costs nothing: %g' % t_map[8, 10, 9])
    write_chain(folder, motion=24, more=', drift_order: 34')
    t_map, _, _ = replay(folder, 'many')  # 60 regressors, 55 usable volumes
    check((t_map == 0).all(), 'no degrees of freedom, no t value')


def check_refusals(folder):
    for chain, word in ((dict(mask='other.nii'), 'other.nii'), (dict(mask='moved.nii'), 'moved.nii'),
                        (dict(more=', drift_order: 60'), '60 drift'), (dict(conditions='of'), '"on"'),
                        (dict(more=', ar1_volumes: 8'), 'ar1_volumes')):
        write_chain(folder, **chain)
        done = phos(folder, 'replay', 'r_bold.nii', '--run', 'run.yaml')
        check(done.returncode not in (0, 1) and word in done.stderr, '%r: %d %s' % (chain, done.returncode, done.stderr))


with tempfile.TemporaryDirectory() as work:
    write_run(work)
    check_volumes(work)
    check_designs(work)
    check_refusals(work)
