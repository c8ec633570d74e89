#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Realignment and smoothing of the same volumes by Phosphene and by its Python peers, in one run, one thread:
scipy's gaussian_filter beside filter/smooth, scipy's cubic spline resampling beside reslicing, nipy's
SpaceRealign beside filter/realign, with how far both are from the known poses. Prints times a volume (least of
the rounds, turn by turn) and ratios. What is not installed is left out with a line that says so.

    compare_signal_peers.py PHOS [N_VOLUMES]"""
import json
import os
import subprocess
import sys
import tempfile
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

try:
    import numpy as np
    from scipy import ndimage
except ImportError as err:
    print("skipped: %s for %s" % (err, sys.executable))
    sys.exit(77)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import nifti  # noqa: E402

PHOS = os.path.abspath(sys.argv[1])
N = int(sys.argv[2]) if len(sys.argv) > 2 else 12
MM, FWHM_MM, ROUNDS = 2.0, 5.0, 3
SHAPE = (60, 96, 96)  # z, y, x
RUN = """phosphene: 1
filters:
  - {type: realign}
  - {type: smooth, fwhm_mm: %g}
engine: {workers: 1}
sinks:
  - {type: record}
""" % FWHM_MM


def rotation(pitch, roll, yaw):
    """Right-handed, about x, then y, then z."""
    c, s = np.cos([pitch, roll, yaw]), np.sin([pitch, roll, yaw])
    x = np.array([[1, 0, 0], [0, c[0], -s[0]], [0, s[0], c[0]]])
    y = np.array([[c[1], 0, s[1]], [0, 1, 0], [-s[1], 0, c[1]]])
    z = np.array([[c[2], -s[2], 0], [s[2], c[2], 0], [0, 0, 1]])
    return z @ y @ x


def head(pose):
    """An analytic head in mm, moved by `pose` (matrix [4][4], world to world): no interpolation in it."""
    index = np.mgrid[0:SHAPE[2], 0:SHAPE[1], 0:SHAPE[0]].reshape(3, -1).astype("f8") * MM
    x, y, z = np.linalg.inv(pose)[:3, :3] @ index + np.linalg.inv(pose)[:3, 3:]
    centre = np.array(SHAPE[::-1]) * MM / 2
    r = ((x - centre[0]) / 70) ** 2 + ((y - centre[1]) / 80) ** 2 + ((z - centre[2]) / 50) ** 2
    texture = np.sin(x / 9) * np.cos(y / 11) + .7 * np.sin(z / 8 + x / 17) + .5 * np.cos((x + y + z) / 13)
    value = 1 / (1 + np.exp(np.clip(14 * (r - 1), -60, 60))) * (900 + 150 * texture)
    return value.reshape(SHAPE[::-1]).transpose(2, 1, 0).astype("f4")


def poses(rng):
    centre = np.array(SHAPE[::-1]) * MM / 2
    out = [np.eye(4)]
    for _ in range(N - 1):
        m = np.eye(4)
        m[:3, :3] = rotation(*np.deg2rad(rng.uniform(-1, 1, 3)))
        m[:3, 3] = rng.uniform(-1, 1, 3) + centre - m[:3, :3] @ centre
        out.append(m)
    return out


def phosphene(folder):
    """Least time a volume of each stage in ms, and the recorded parameters [n][6]."""
    trace, out = os.path.join(folder, "trace.json"), os.path.join(folder, "rec-%d" % time.monotonic_ns())
    subprocess.run([PHOS, "replay", os.path.join(folder, "run.nii"), "--run", os.path.join(folder, "run.yaml"),
                    "--trace", trace, "--out", out, "--log-level", "error"], check=True, capture_output=True)
    with open(trace) as f:
        events = json.load(f)["traceEvents"]
    times = {name: sorted(e["dur"] / 1e3 for e in events if e["name"] == name and e.get("ph") == "X")[:-1]
             for name in ("realign", "smooth")}
    for base, _, names in os.walk(out):
        for name in names:
            if name.endswith("_desc-confounds_timeseries.tsv"):
                table = [line.split("\t") for line in open(os.path.join(base, name)).read().splitlines()]
    rows = [[float(row[table[0].index(k)]) for k in ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")]
            for row in table[1:]]
    return {k: v[len(v) // 2] for k, v in times.items()}, np.array(rows)


def spm_matrix(p):
    """SPM's parameters as a matrix: what brings the image back."""
    c, s = np.cos(p[3:]), np.sin(p[3:])
    x = np.array([[1, 0, 0], [0, c[0], s[0]], [0, -s[0], c[0]]])
    y = np.array([[c[1], 0, s[1]], [0, 1, 0], [-s[1], 0, c[1]]])
    z = np.array([[c[2], s[2], 0], [-s[2], c[2], 0], [0, 0, 1]])
    m = np.eye(4)
    m[:3, :3] = x @ y @ z
    m[:3, 3] = p[:3]
    return m


def far(estimates, truth):
    """Largest displacement in mm, over the head's surface, of estimate against truth; both as what brings image
    to the first one."""
    centre = np.array(SHAPE[::-1]) * MM / 2
    points = centre + 70 * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, .7], [0, 0, -.7]])
    worst = 0.0
    for m, t in zip(estimates, truth):
        d = points @ (m[:3, :3] - t[:3, :3]).T + m[:3, 3] - t[:3, 3]
        worst = max(worst, float(np.sqrt((d ** 2).sum(1)).max()))
    return worst


def nipy_realign(volumes):
    try:
        import warnings
        warnings.simplefilter("ignore")
        if not hasattr(np, "float"):  # nipy 0.5.0 uses names that NumPy has dropped
            np.float, np.int, np.bool, np.complex = float, int, bool, complex
        import nibabel
        from nipy.algorithms.registration.groupwise_registration import SpaceRealign
        from nipy.io.nifti_ref import nifti2nipy
    except ImportError as err:
        return None, str(err)
    image = nifti2nipy(nibabel.Nifti1Image(volumes.transpose(3, 2, 1, 0), np.diag([MM, MM, MM, 1])))
    start = time.process_time()
    reg = SpaceRealign(image)
    reg.estimate(refscan=0, loops=1)
    took = (time.process_time() - start) * 1e3 / N
    first = np.linalg.inv(reg._transforms[0][0].as_affine())
    return (took, [np.linalg.inv(t.as_affine() @ first) for t in reg._transforms[0]]), None


def cpu_ms(work):
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e3


def line(what, ours, theirs, peer):
    print("%-34s %8.2f ms   %-26s %8.2f ms   ratio %.1f" % (what, ours, peer, theirs, theirs / ours))


def main():
    rng = np.random.default_rng(11)
    moves = poses(rng)
    volumes = np.array([head(m) for m in moves])
    volumes += (volumes.mean() / 70 * rng.standard_normal(volumes.shape)).astype("f4")
    print("%d volumes of %d x %d x %d, %g mm; processor time a volume, one thread" %
          ((N,) + SHAPE[::-1] + (MM,)))
    back = [np.linalg.inv(m) for m in moves]
    sigma = FWHM_MM / MM / np.sqrt(8 * np.log(2))
    smooth, splines, ours = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        nifti.write(os.path.join(folder, "run.nii"), volumes, voxel_mm=MM)
        with open(os.path.join(folder, "run.yaml"), "w") as f:
            f.write(RUN)
        for _ in range(ROUNDS):  # turn by turn
            times, parameters = phosphene(folder)
            ours.append(times)
            smooth.append(cpu_ms(lambda: ndimage.gaussian_filter(volumes[0], sigma, truncate=3)))
            splines.append(cpu_ms(lambda: ndimage.affine_transform(volumes[1], np.eye(3), [.1, .2, .3], order=3)))
    realign, filtered = (min(t[k] for t in ours) for k in ("realign", "smooth"))
    line("smoothing %g mm" % FWHM_MM, filtered, min(smooth), "scipy gaussian_filter")
    line("realignment with reslicing", realign, min(splines), "scipy resampling alone")
    peer, why = nipy_realign(volumes)
    if peer:
        line("realignment with reslicing", realign, peer[0], "nipy SpaceRealign, one loop")
    else:
        print("nipy left out: " + why)
    # The file's origin is the first voxel, so our world is that of the poses.
    print("worst displacement at 70 mm: ours %.3f mm%s" %
          (far([spm_matrix(p) for p in parameters], back),
           ", nipy %.3f mm" % far(peer[1], back) if peer else ""))
    print("AFNI and SPM are no Debian packages: not compared here")


main()
