#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""phos fit --mpi under mpirun: one, two and four processes write the model that a single phos writes, within
float tolerance and for every kind of file; a fault in one process's part ends all of them with the message and
exit code that a single phos has, and leaves no file."""
import os
import subprocess
import sys
import tempfile
import unittest

import numpy as np

PHOS, MPIRUN = sys.argv[1:3]
del sys.argv[1:3]
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import nifti  # noqa: E402
import tensors  # noqa: E402

ENV = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
       "OMPI_MCA_btl": "self,vader,tcp",
       # Open MPI unloads parts that still hold memory, so that no suppression can name them. All but leaks is
       # looked for here; our own are in the runs without it.
       "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


def phos(n, *args):
    """n processes; 0: without mpirun and --mpi."""
    command = [PHOS, "fit", *args]
    if n:
        command = [MPIRUN, "-n", str(n), "--oversubscribe", "--bind-to", "none", *command, "--mpi"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=ENV if n else None)


class FitTogether(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        rng = np.random.default_rng(8)
        self.x = (100 + 5 * rng.normal(size=(96, 210)) * rng.uniform(0.5, 2, 210)).astype("f4")
        self.y = (self.x[:, :11] - 100 + 3 * rng.normal(size=(96, 11))).astype("f4")
        self.write(self.x, self.y)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, x, y):
        tensors.write(self.path("x.st"), {"voxels": x})
        tensors.write(self.path("y.st"), {"targets": y})

    def ridge(self, n, *more):
        return phos(n, "ridge", "--voxels", self.path("x.st"), "--targets", self.path("y.st"), "--out",
                    self.path("m.st"), *more)

    def same(self, got, expected, tolerance):
        self.assertEqual(set(got), set(expected))
        for name, want in expected.items():
            scale = np.abs(want).max() or 1
            np.testing.assert_allclose(got[name] / scale, want / scale, atol=tolerance, err_msg=name)

    def check(self, *more, counts=(1, 2, 4)):
        run = self.ridge(0, *more)
        self.assertEqual(run.returncode, 0, run.stderr)
        alone, meta = tensors.read(self.path("m.st"))
        for n in counts:
            os.remove(self.path("m.st"))
            run = self.ridge(n, *more)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertEqual(run.stdout.count("out-of-fold R2"), 1)
            together, told = tensors.read(self.path("m.st"))
            self.same(together, alone, 1e-5)
            self.assertEqual(told, meta)

    def test_weights(self):
        """Two lags, a penalty a target, small blocks: processes bring different numbers of them."""
        self.check("--lags", "0,2", "--block", "2")

    def test_shared_dual(self):
        self.check("--shared", "--dual", "--block", "3", counts=(2, 4))

    def test_single_penalty_and_estimates(self):
        self.check("--penalties", "0:0:1", "--float64", "--estimates", self.path("e.st"), counts=(2,))
        together, _ = tensors.read(self.path("e.st"))
        self.assertEqual(self.ridge(0, "--penalties", "0:0:1", "--float64", "--estimates",
                                    self.path("e.st")).returncode, 0)
        alone, _ = tensors.read(self.path("e.st"))
        self.same(together, alone, 1e-5)

    def test_runs_through_a_mask_and_filters(self):
        """Volumes of two runs: through a mask with drifts removed, and through the filters of a run file."""
        inside = (np.arange(210) % 3 > 0).astype("f4").reshape(5, 6, 7)
        volumes = self.x.reshape(96, 5, 6, 7)
        nifti.write(self.path("a.nii"), volumes[:50].copy())
        nifti.write(self.path("b.nii"), volumes[50:].copy())
        nifti.write(self.path("mask.nii"), inside)
        with open(self.path("run.yaml"), "w") as f:
            f.write("phosphene: 1\nfilters:\n  - {type: mask, file: mask.nii}\n"
                    "  - {type: normalise, mode: percent, baseline: 6}\n")
        bold = ["--bold", self.path("a.nii"), "--bold", self.path("b.nii"), "--targets", self.path("y.st"), "--lags",
                "1", "--leave-run-out", "--out", self.path("m.st")]
        for more in (["--mask", self.path("mask.nii"), "--drift", "60"], ["--run", self.path("run.yaml")]):
            self.assertEqual(phos(0, "ridge", *bold, *more).returncode, 0)
            alone, meta = tensors.read(self.path("m.st"))
            self.assertEqual(len(alone["voxel_index"]), 140)
            run = phos(3, "ridge", *bold, *more)
            self.assertEqual(run.returncode, 0, run.stderr)
            together, told = tensors.read(self.path("m.st"))
            self.same(together, alone, 2e-5)
            self.assertEqual(told, meta)

    def test_more_processes_than_targets(self):
        self.write(self.x, self.y[:, :2])
        self.check(counts=(4,))

    def refused(self, words, code, *more):
        for n in (0, 3):
            run = self.ridge(n, *more)
            self.assertEqual(run.returncode, code, run.stderr)
            self.assertEqual(run.stderr.count(words), 1, run.stderr)
            self.assertFalse(os.path.exists(self.path("m.st")))

    def test_faults_of_one_process_end_all(self):
        y = self.y.copy()
        y[40, 10] = np.nan
        self.write(self.x, y)
        self.refused("row 40, column 10", 65, "--block", "2")
        self.refused("row 40, column 10", 65, "--shared")
        x = self.x.copy()
        x[:, 209] = 7
        self.write(x, self.y)
        self.refused("column 209 of the voxels is constant", 65)
        self.write(self.x, self.y[:-1])
        self.refused("one row a volume", 65)


if __name__ == "__main__":
    unittest.main()
