#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""phos eval against NumPy: scores per delay, tests that find an effect and find none in unrelated series,
coverage of honest and overconfident estimates, pictures, plots that are really drawn, and bad input."""
import json
import os
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
    return subprocess.run([PHOS, "eval", *args], capture_output=True, text=True, timeout=60)


def slow(rng, n, p, a=0.9):
    x = rng.normal(size=(n, p))
    for t in range(1, n):
        x[t] = a * x[t - 1] + np.sqrt(1 - a * a) * rng.normal(size=p)
    return x


class Eval(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.rng = np.random.default_rng(11)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def features(self, estimate, truth, *args, sd=None, lags=None):
        content = {"estimate": estimate.astype("f4")}
        if sd is not None:
            content["sd"] = sd.astype("f4")
        if lags is not None:
            content["lags_s"] = np.asarray(lags, "f4")
        tensors.write(self.path("e.st"), content)
        tensors.write(self.path("t.st"), {"targets": truth.astype("f4")})
        run = phos("features", "--estimate", self.path("e.st"), "--truth", self.path("t.st"), "--json",
                   "--draws", "199", *args)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def test_series_with_delays(self):
        z = slow(self.rng, 300, 8)
        noise = [3.0, 1.0, 0.5]
        estimate = np.stack([z + s * self.rng.normal(size=z.shape) for s in noise])
        sd = np.stack([np.full(z.shape, s) for s in noise])
        report = self.features(estimate, z, "--series", "1", "--out", self.path("r"), sd=sd,
                               lags=[0, 4, 8])
        e, t = estimate.astype("f4"), z.astype("f4")
        for l, lag in enumerate(report["lags"]):
            s = lag["scores"]
            r = np.mean([np.corrcoef(e[l][:, j], t[:, j])[0, 1] for j in range(8)])
            self.assertAlmostEqual(s["feature_r"]["value"], r, 5)
            sim = np.corrcoef(e[l], t)[:300, 300:]
            two = np.mean([(np.delete(sim[i], i) < sim[i, i]).mean() for i in range(300)])
            self.assertAlmostEqual(s["two_way"]["value"], two, 5)
            self.assertAlmostEqual(s["top_1"]["value"], np.mean(sim.argmax(1) == np.arange(300)), 5)
            self.assertAlmostEqual(s["coverage_90"]["value"], 0.9, 1)
            self.assertLess(s["feature_r"]["p"], 0.02)
            low, high = s["feature_r"]["ci95"]
            self.assertTrue(low < r < high)
        self.assertEqual(report["lags"][1]["lag_s"], 4)
        self.assertEqual(report["delay_to_90_percent_s"], 8)
        for name in ("correlation", "identification", "calibration"):
            with open(self.path(f"r/{name}.png"), "rb") as f:
                data = f.read()
            self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
            self.assertEqual(struct.unpack(">II", data[16:24]), (800, 560))
        with open(self.path("r/report.json")) as f:
            self.assertEqual(json.load(f), report)

    def test_unrelated_series_are_not_found(self):
        ps = [self.features(slow(self.rng, 400, 3), slow(self.rng, 400, 3), "--series", "1")
              ["lags"][0]["scores"]["feature_r"]["p"] for _ in range(12)]
        self.assertLessEqual(np.sum(np.array(ps) <= 0.05), 3)
        self.assertGreater(np.median(ps), 0.15)

    def test_trials(self):
        z = self.rng.normal(size=(60, 20))
        s = self.features(z + self.rng.normal(size=z.shape), z, sd=np.full(z.shape, 0.5))["lags"][0]["scores"]
        self.assertAlmostEqual(s["two_way"]["p"], 1 / 200)
        self.assertAlmostEqual(s["10_way"]["chance"], 0.1)
        self.assertLess(s["coverage_90"]["value"], 0.65)
        self.assertAlmostEqual(s["variance_ratio"]["value"], 4, 0)
        self.assertLess(s["two_way"]["null_q95"], 0.6)

    def test_pictures(self):
        truth = self.rng.random((12, 16, 16, 3)).astype("f4")
        estimate = (0.7 * truth + 0.3 * self.rng.random(truth.shape)).astype("f4")
        tensors.write(self.path("a.st"), {"pictures": estimate})
        tensors.write(self.path("b.st"), {"pictures": truth})
        run = phos("images", "--estimate", self.path("a.st"), "--truth", self.path("b.st"), "--nsd", "--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        r = json.loads(run.stdout)
        mse = np.mean((truth.astype("f8") - estimate) ** 2)
        self.assertAlmostEqual(r["minus_mse"]["value"], -mse, 6)
        corr = np.mean([np.corrcoef(estimate[i].ravel(), truth[i].ravel())[0, 1] for i in range(12)])
        self.assertAlmostEqual(r["pixel_r"]["value"], corr, 6)
        self.assertLess(r["ssim"]["p"], 0.002)
        self.assertGreater(r["ssim"]["value"], r["ssim"]["other_picture"] + 0.3)
        self.assertNotAlmostEqual(r["ssim"]["value"], r["ssim_nsd"]["value"], 3)
        run = phos("images", "--estimate", self.path("b.st"), "--truth", self.path("b.st"), "--json")
        self.assertAlmostEqual(json.loads(run.stdout)["ssim"]["value"], 1)

    def test_bad_input_is_named(self):
        z = self.rng.normal(size=(40, 3)).astype("f4")
        bad = z.copy()
        bad[7, 1] = np.nan
        tensors.write(self.path("e.st"), {"estimate": bad})
        tensors.write(self.path("t.st"), {"targets": z})
        tensors.write(self.path("short.st"), {"targets": z[1:]})
        e, t = ["--estimate", self.path("e.st")], ["--truth", self.path("t.st")]
        for args, code, words in (
                (["features", *e, *t], 65, "row 7, feature 1"),
                (["features", *e, "--truth", self.path("short.st")], 65, "targets"),
                (["features", "--estimate", self.path("t.st"), *t], 65, "estimate"),
                (["features", *t], 2, "--estimate"),
                (["pictures"], 2, "no kind 'pictures'")):
            run = phos(*args)
            self.assertEqual(run.returncode, code, run.stderr)
            self.assertIn(words, run.stderr)
        tensors.write(self.path("e.st"), {"estimate": z})
        run = phos("features", *e, *t, "--series", "1")
        self.assertEqual(run.returncode, 65)
        self.assertIn("too short", run.stderr)


if __name__ == "__main__":
    unittest.main()
