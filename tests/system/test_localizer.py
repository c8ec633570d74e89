# SPDX-License-Identifier: MIT
"""The documented localizer example on the real run that comes along: faces light up where an independent
batch analysis has them (voxel 26, 19, 7), the maps, their pictures and the region's table are left, the
report shows maps and plots, and what realignment saw is small and slow as it was."""
import os
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
import nifti  # noqa: E402
import png  # noqa: E402

PHOS = os.path.abspath(sys.argv[1])
TOP = os.path.join(HERE, '..', '..')
BOLD = os.path.join(TOP, 'data/bold/studyforrest_sub-02_task-localizer_run-1_bold.nii.gz')


def check(condition, what):
    if not condition:
        sys.exit('FAILED: ' + what)


def find(folder, end):
    for base, _, names in os.walk(folder):
        for name in names:
            if name.endswith(end):
                return os.path.join(base, name)
    sys.exit('FAILED: no ' + end)


def column(path, name):
    with open(path) as f:
        lines = [line.rstrip('\n').split('\t') for line in f]
    i = lines[0].index(name)
    return [float('nan') if row[i] == 'n/a' else float(row[i]) for row in lines[1:]]


with tempfile.TemporaryDirectory() as work:
    out = os.path.join(work, 'localizer')
    done = subprocess.run([PHOS, 'replay', BOLD, '--run', os.path.join(TOP, 'docs/example/localizer.yaml'), '--out', out],
                          capture_output=True, text=True)
    check(done.returncode == 0, 'replay: ' + done.stderr)
    check('noise autocorrelation 0.0' in done.stderr, 'autocorrelation: ' + done.stderr)
    faces = nifti.read(find(out, '_contrast-faceMinus05houseMinus05scene_stat-t_statmap.nii.gz'))
    peak = np.unravel_index(faces.argmax(), faces.shape)
    check(np.abs(np.subtract(peak, (7, 19, 26))).max() <= 2 and faces.max() > 10, 'faces at %r, %g' % (peak, faces.max()))
    houses = nifti.read(find(out, '_contrast-houseMinusface_stat-t_statmap.nii.gz'))
    check(houses[tuple(peak)] < -5, 'the other contrast is opposite there')
    picture = png.read(os.path.join(out, 'map.png')).astype(int)
    hot = (picture[..., 0] > 150) & (picture[..., 2] < 60) & (picture[..., 0] > picture[..., 1])
    check(hot[:, :1200].sum() > 1000, 'hot voxels in the picture')
    confounds = find(out, '_desc-confounds_timeseries.tsv')
    check(max(column(confounds, 'framewise_displacement')) < 0.5, 'no large motion')
    check(60 < column(confounds, 'tsnr')[-1] < 100, 'tSNR %g' % column(confounds, 'tsnr')[-1])
    check(len(column(find(out, '_desc-regions_timeseries.tsv'), 'global')) == 156, 'region')
    done = subprocess.run([PHOS, 'report', out], capture_output=True, text=True)
    check(done.returncode == 0, 'report: ' + done.stderr)
    with open(os.path.join(out, 'report.html')) as f:
        page = f.read()
    check(page.count('data:image/png') == 3 and page.count('<svg') >= 9, 'maps, window and plots in the report')
