#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""phos fit ridge against NumPy: weights with several lags and runs reproduce an independent fit; dual, primal and
SVD forms give the same weights and so do dual and primal model files; leave-one-out and GCV choose what brute
force does and are refused for series; bands solve their own equation and prefer what carries the signal; voxel
selection keeps what it should, a NIfTI run goes through its mask, threads change no bit, and bad input is named
without leaving a file."""
import gzip
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np

PHOS = sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import tensors  # noqa: E402


def phos(*args):
    return subprocess.run([PHOS, "fit", "ridge", *args], capture_output=True, text=True, timeout=60)


def nifti(path, volumes):
    """[n][z][y][x] float32 as NIfTI-1 with 3 mm voxels and a TR of 2 s."""
    n, nz, ny, nx = volumes.shape
    h = bytearray(352)
    struct.pack_into("<i", h, 0, 348)
    struct.pack_into("<8h", h, 40, 4, nx, ny, nz, n, 1, 1, 1)
    struct.pack_into("<hh", h, 70, 16, 32)
    struct.pack_into("<8f", h, 76, 1, 3, 3, 3, 2, 0, 0, 0)
    struct.pack_into("<f", h, 108, 352)
    h[123] = 10
    struct.pack_into("<h", h, 254, 1)
    struct.pack_into("<12f", h, 280, 3, 0, 0, 0, 0, 3, 0, 0, 0, 0, 3, 0)
    h[344:348] = b"n+1\0"
    with gzip.open(path, "wb", compresslevel=1) as f:
        f.write(bytes(h) + volumes.astype("<f4").tobytes())


def ridge(x, y, lam):
    """Centred ridge: weights and intercept."""
    xm, ym = x.mean(0), y.mean(0)
    xc, yc = x - xm, y - ym
    w = xc.T @ np.linalg.solve(xc @ xc.T + lam * np.eye(len(x)), yc)
    return w, ym - xm @ w


class FitRidge(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        rng = np.random.default_rng(3)
        self.n, self.q, self.t = 90, 150, 7
        self.x = (100 + 5 * rng.normal(size=(self.n, self.q)) * rng.uniform(0.5, 2, self.q)).astype("f4")
        self.y = (self.x[:, :self.t] - 100 + 3 * rng.normal(size=(self.n, self.t))).astype("f4")
        tensors.write(self.path("x.st"), {"voxels": self.x})
        tensors.write(self.path("y.st"), {"targets": self.y})

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def fit(self, *args):
        run = phos("--voxels", self.path("x.st"), "--targets", self.path("y.st"), "--out",
                   self.path("m.st"), "--json", *args)
        self.assertEqual(run.returncode, 0, run.stderr)
        return tensors.read(self.path("m.st")), json.loads(run.stdout)

    def model_bytes(self):
        with open(self.path("m.st"), "rb") as f:
            return f.read()

    def test_lags_against_numpy(self):
        for extra in ([], ["--float64"]):
            (m, meta), report = self.fit("--lags", "0,2", "--penalties", "0:0:1", *extra)
            self.assertEqual(meta["phosphene.kind"], "ridge")
            rows = np.arange(self.n - 2)
            xs = (self.x - self.x.mean(0, dtype="f8")) / self.x.std(0, dtype="f8")
            wide = np.hstack([xs[rows], xs[rows + 2]]).astype("f8")
            wc = wide - wide.mean(0)
            lam = (wc ** 2).sum() / len(rows)
            w, b = ridge(wide, self.y[rows].astype("f8"), lam)
            expected = wide @ w + b
            got = m["intercept"] + self.x[rows] @ m["weights"][0].T + self.x[rows + 2] @ m["weights"][1].T
            np.testing.assert_allclose(got, expected, atol=2e-3 * self.y.std())
            np.testing.assert_array_equal(m["lags"], [0, 2])
            self.assertEqual(report["samples"], self.n - 2)

    def test_penalties_follow_blocked_folds(self):
        (m, _), report = self.fit("--folds", "3", "--penalties", "-2:1:4", "--float64", "--estimates",
                                  self.path("oof.st"), "--block", "3")
        xs = (self.x - self.x.mean(0, dtype="f8")) / self.x.std(0, dtype="f8")
        grid = (xs ** 2).sum() / self.n * 10.0 ** np.arange(-2, 2)
        sse = np.zeros((4, self.t))
        sst = np.zeros(self.t)
        for test in np.array_split(np.arange(self.n), 3):
            train = np.setdiff1d(np.arange(self.n), test)
            sst += ((self.y[test] - self.y[train].mean(0)) ** 2).sum(0)
            for i, lam in enumerate(grid):
                w, b = ridge(xs[train], self.y[train].astype("f8"), lam)
                sse[i] += ((self.y[test] - xs[test] @ w - b) ** 2).sum(0)
        np.testing.assert_allclose(m["lambda"], grid[sse.argmin(0)], rtol=1e-5)
        np.testing.assert_allclose(m["cv_r2"], 1 - sse.min(0) / sst, atol=1e-4)
        oof, _ = tensors.read(self.path("oof.st"))
        np.testing.assert_array_equal(oof["targets"], self.y)
        np.testing.assert_allclose(((oof["estimate"] - self.y) ** 2).sum(0), sse.min(0), rtol=1e-4)
        self.assertAlmostEqual(report["cv_r2_mean"], float(np.mean(1 - sse.min(0) / sst)), 3)

    def test_dual_file_gives_the_same_estimates(self):
        (w, _), _ = self.fit("--lags", "1", "--shared")
        (d, _), _ = self.fit("--lags", "1", "--shared", "--dual")
        xs = (self.x[1:] - d["voxel_mean"]) / d["voxel_scale"]
        dual = d["intercept"] + xs @ d["train"].T @ d["dual"]
        primal = w["intercept"] + self.x[1:] @ w["weights"][0].T
        np.testing.assert_allclose(dual, primal, atol=2e-3 * self.y.std())
        self.assertEqual(len(set(w["lambda"])), 1)

    def test_forms_agree(self):
        """A tall problem, two lags: 40 columns, 88 rows."""
        tensors.write(self.path("x.st"), {"voxels": self.x[:, :20]})
        common = ["--lags", "0,2", "--folds", "4"]
        for extra in ([], ["--shared"]):
            (dual, _), _ = self.fit(*common, *extra, "--form", "dual", "--float64")
            for form in (["--form", "primal"], ["--form", "primal", "--float64"], ["--form", "svd"], []):
                (other, _), _ = self.fit(*common, *extra, *form)
                for name, tolerance in (("weights", 3e-5), ("intercept", 1e-4), ("cv_r2", 1e-4)):
                    scale = np.abs(dual[name]).max()
                    np.testing.assert_allclose(other[name] / scale, dual[name] / scale, atol=tolerance,
                                               err_msg="%s %s" % (form, name))
                np.testing.assert_allclose(other["lambda"], dual["lambda"], rtol=1e-4)

    def test_left_out_rows_choose(self):
        """Rows that are trials: exact leave-one-out against refitting, GCV against its formula."""
        xs = (self.x - self.x.mean(0, dtype="f8")) / self.x.std(0, dtype="f8")
        grid = (xs ** 2).sum() / self.n * 10.0 ** np.arange(-2, 2)
        y = self.y.astype("f8")
        loo, gcv = np.zeros((4, self.t)), np.zeros((4, self.t))
        for i, lam in enumerate(grid):
            for row in range(self.n):
                rest = np.arange(self.n) != row
                w, b = ridge(xs[rest], y[rest], lam)
                loo[i] += (y[row] - xs[row] @ w - b) ** 2
            u, s, _ = np.linalg.svd(xs, full_matrices=False)
            hat = (u * (s ** 2 / (s ** 2 + lam))) @ u.T
            yc = y - y.mean(0)
            gcv[i] = ((yc - hat @ yc) ** 2).mean(0) / (1 - (np.trace(hat) + 1) / self.n) ** 2
        for way, errors in (("loo", loo), ("gcv", gcv)):
            (m, _), _ = self.fit("--choose", way, "--separate", "--penalties", "-2:1:4")
            np.testing.assert_allclose(m["lambda"], grid[errors.argmin(0)], rtol=1e-5)
            (m, _), _ = self.fit("--choose", way, "--separate", "--penalties", "-2:1:4", "--shared")
            share = (errors / ((y - y.mean(0)) ** 2).sum(0)).sum(1)
            np.testing.assert_allclose(m["lambda"], grid[share.argmin()], rtol=1e-5)
        sst = ((y - y.mean(0)) ** 2).sum(0) * (self.n / (self.n - 1)) ** 2
        (m, _), _ = self.fit("--choose", "loo", "--separate", "--penalties", "-2:1:4")
        np.testing.assert_allclose(m["cv_r2"], 1 - loo.min(0) / sst, atol=1e-5)
        x, y = ["--voxels", self.path("x.st")], ["--targets", self.path("y.st")]
        self.refused("leave-one-out is not valid for volumes of a series", 65, *x, *y, "--choose", "loo")
        self.refused("generalised cross-validation is not valid", 65, *x, *y, "--choose", "gcv")
        self.refused("--separate is for a --voxels matrix", 2, "--bold", "run.nii", *y, "--separate")

    def banded(self, m, wide, band):
        """Estimates by the equation of a banded fit with the shares and penalties of the file."""
        wc = wide - wide.mean(0)
        out = np.zeros((len(wide), self.t))
        for t in range(self.t):
            share = m["band_share"][t].astype("f8")[band]
            y = self.y[:len(wide), t].astype("f8")
            k = (wc * share) @ wc.T
            out[:, t] = y.mean() + k @ np.linalg.solve(k + m["lambda"][t] * np.eye(len(k)), y - y.mean())
        return out

    def test_bands(self):
        """The targets are carried by band 1 alone; the fit with its share is the equation's."""
        band = np.where(np.arange(self.q) < self.t, 0, 1)
        tensors.write(self.path("b.st"), {"bands": (band + 1).astype("f4")})
        (plain, _), _ = self.fit()
        (m, _), report = self.fit("--bands", self.path("b.st"), "--draws", "12", "--seed", "4")
        self.assertEqual(m["band_share"].shape, (self.t, 2))
        np.testing.assert_allclose(m["band_share"].sum(1), 1, atol=1e-6)
        self.assertGreater(m["band_share"][:, 0].min(), 0.5)
        self.assertGreater(m["cv_r2"].mean(), plain["cv_r2"].mean() + 0.1)
        xs = (self.x - self.x.mean(0, dtype="f8")) / self.x.std(0, dtype="f8")
        got = m["intercept"] + self.x @ m["weights"][0].T
        np.testing.assert_allclose(got, self.banded(m, xs, band), atol=3e-3 * self.y.std())
        first = self.model_bytes()
        self.fit("--bands", self.path("b.st"), "--draws", "12", "--seed", "4", "--threads", "1")
        self.assertEqual(self.model_bytes(), first)

    def test_lags_as_bands(self):
        (m, _), _ = self.fit("--lags", "0,2", "--bands", "lags", "--draws", "12")
        self.assertGreater(m["band_share"][:, 0].min(), 0.5)
        xs = (self.x - self.x.mean(0, dtype="f8")) / self.x.std(0, dtype="f8")
        wide, band = np.hstack([xs[:-2], xs[2:]]), np.repeat([0, 1], self.q)
        got = m["intercept"] + self.x[:-2] @ m["weights"][0].T + self.x[2:] @ m["weights"][1].T
        np.testing.assert_allclose(got, self.banded(m, wide, band), atol=3e-3 * self.y.std())

    def test_delayed_features_encode(self):
        """The other way round: voxels from features one and two volumes earlier."""
        rng = np.random.default_rng(5)
        z = rng.normal(size=(self.n, 3)).astype("f4")
        voxels = np.zeros((self.n, 6), "f4")
        voxels[2:] = z[1:-1] @ rng.normal(size=(3, 6)) + 2 * z[:-2] @ rng.normal(size=(3, 6))
        tensors.write(self.path("x.st"), {"voxels": z})
        tensors.write(self.path("y.st"), {"targets": voxels})
        (m, meta), report = self.fit("--lags", "-1,-2")
        self.assertEqual(report["samples"], self.n - 2)
        self.assertGreater(report["cv_r2_mean"], 0.99)
        estimate = m["intercept"] + z[1:-1] @ m["weights"][0].T + z[:-2] @ m["weights"][1].T
        np.testing.assert_allclose(estimate, voxels[2:], atol=0.2)

    def test_threads_change_no_bit(self):
        files = []
        for extra in ("1", "2", "3"):
            self.fit("--lags", "0,1", "--threads", extra)
            files.append(self.model_bytes())
        self.assertEqual(files[0], files[1])
        self.assertEqual(files[0], files[2])

    def test_selection_keeps_driven_voxels(self):
        (m, _), report = self.fit("--top", str(self.t))
        kept = np.flatnonzero(m["voxel_scale"])
        self.assertEqual(report["voxels"], self.t)
        self.assertGreaterEqual(np.sum(kept < self.t), self.t - 1)
        self.assertTrue(np.all(m["weights"][0][:, m["voxel_scale"] == 0] == 0))

    def test_nifti_runs_through_a_mask(self):
        inside = np.zeros((3, 5, 10))
        inside.flat[::2] = 1
        volumes = np.zeros((self.n, 3, 5, 10), "f4")
        volumes[:] = self.x.reshape(self.n, 3, 5, 10)
        nifti(self.path("a.nii.gz"), volumes[:40])
        nifti(self.path("b.nii.gz"), volumes[40:])
        nifti(self.path("mask.nii.gz"), inside[None])
        run = phos("--bold", self.path("a.nii.gz"), "--bold", self.path("b.nii.gz"), "--mask",
                   self.path("mask.nii.gz"), "--targets", self.path("y.st"), "--lags", "1",
                   "--leave-run-out", "--out", self.path("m.st"), "--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        m, meta = tensors.read(self.path("m.st"))
        np.testing.assert_array_equal(m["voxel_index"], np.arange(0, 150, 2))
        self.assertEqual(meta["phosphene.grid"].split()[:4], ["10", "5", "3", "3"])
        self.assertEqual(float(meta["phosphene.tr_s"]), 2)
        self.assertEqual(json.loads(run.stdout)["samples"], self.n - 2)

    def refused(self, words, code, *args):
        run = phos(*args, "--out", self.path("bad.st"))
        self.assertEqual(run.returncode, code, run.stderr)
        self.assertIn(words, run.stderr)
        self.assertFalse(os.path.exists(self.path("bad.st")))

    def test_without_mpi(self):
        """A phos away from its module says what is missing."""
        away = self.path("phos")
        shutil.copy(PHOS, away)
        run = subprocess.run([away, "fit", "ridge", "--mpi", "--voxels", self.path("x.st"), "--targets",
                              self.path("y.st"), "--out", self.path("m.st")], capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 69, run.stderr)
        self.assertIn("built without MPI", run.stderr)

    def test_bad_input_is_named(self):
        x, y = ["--voxels", self.path("x.st")], ["--targets", self.path("y.st")]
        self.refused("fewer than the 100 folds", 65, *x, *y, "--folds", "100")
        tensors.write(self.path("short.st"), {"targets": self.y[:-1]})
        self.refused("one row a volume", 65, *x, "--targets", self.path("short.st"))
        bad = self.y.copy()
        bad[4, 2] = np.nan
        tensors.write(self.path("nan.st"), {"targets": bad})
        self.refused("row 4, column 2", 65, *x, "--targets", self.path("nan.st"))
        bad = self.y.copy()
        bad[:, 3] = 1
        tensors.write(self.path("flat.st"), {"targets": bad})
        self.refused("target 3 is constant", 65, *x, "--targets", self.path("flat.st"))
        flat = self.x.copy()
        flat[:, 9] = 5
        tensors.write(self.path("flatx.st"), {"voxels": flat})
        self.refused("column 9 of the voxels is constant", 65, "--voxels", self.path("flatx.st"), *y)
        self.refused("--penalties", 65, *x, *y, "--penalties", "1:0:5")
        self.refused("No such", 66, "--voxels", self.path("none.st"), *y)
        self.refused("either --bold runs or a --voxels", 2, *y)
        tensors.write(self.path("b.st"), {"bands": np.r_[np.ones(self.q - 1), 3].astype("f4")})
        self.refused("no voxel has band 2 of 1 to 3", 65, *x, *y, "--bands", self.path("b.st"))
        tensors.write(self.path("b.st"), {"bands": np.r_[np.ones(self.q - 1), 0.5].astype("f4")})
        self.refused("voxel 149 has band 0.5", 65, *x, *y, "--bands", self.path("b.st"))
        self.refused("--form is auto", 2, *x, *y, "--form", "qr")
        self.refused("need the dual form", 2, *x, *y, "--form", "svd", "--dual")


if __name__ == "__main__":
    unittest.main()
