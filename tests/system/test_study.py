#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The DAND study's commands on tiny inputs against NumPy: axes of attributes that are known directions,
identification of made-up trials at each delay, and the table of eval dand (features, pixels, differences,
attributes, ceiling) with a tiny trained network; sheets that are really drawn; and bad input."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np

PHOS = os.path.abspath(sys.argv.pop(1))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import tensors  # noqa: E402

ENCODER = """\
model: {type: encoder, features: 24}
data: {type: faces, count: 40}
training: {steps: 12, batch: 8, threads: 1}
"""
DAND = """\
model: {type: dand, encoder: encoder/model.safetensors, latents: 3, width: 4}
data: {type: faces, count: 40}
training: {steps: 4, batch: 4, samples: 2, threads: 1}
"""
N, P = 8, 3


class Study(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.rng = np.random.default_rng(4)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def phos(self, *args, code=0):
        run = subprocess.run([PHOS, *args], capture_output=True, text=True, timeout=120, cwd=self.folder)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        return run

    def assert_drawn(self, *names):
        """A PNG of more than one colour: its compressed pixels are not tiny."""
        with open(self.path(*names), "rb") as f:
            data = f.read()
        self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", data[16:24])
        self.assertGreater(len(data), 1500)
        return width, height

    def test_axes(self):
        z = self.rng.normal(size=(80, 6))
        directions = np.array([[1, 0, 0, 0, 0, 0], [0.6, 0.8, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]], float)
        y = 0.5 * z @ directions.T + 0.02 * self.rng.normal(size=(80, 3))
        y[:, 2] = self.rng.normal(size=80)  # goes with nothing
        tensors.write(self.path("z.st"), {"latents": z.astype("f4")})
        tensors.write(self.path("set.safetensors"), {"attributes": y.astype("f4")},
                      {"attribute_names": "age\nsmile\nnothing"})
        self.phos("axes", "z.st", "set.safetensors", "--out", "plain.st")
        found, metadata = tensors.read(self.path("plain.st"))
        self.assertEqual(metadata["attribute_names"], "age\nsmile\nnothing")
        np.testing.assert_allclose(found["axes"][:2], directions[:2], atol=0.02)
        np.testing.assert_allclose(np.linalg.norm(found["axes"], axis=1), 1, atol=1e-9)
        np.testing.assert_allclose(found["slope"][:2], 0.5, atol=0.02)
        self.assertTrue((found["r2"][:2] > 0.98).all() and found["r2"][2] < 0.1, found["r2"])
        self.assertAlmostEqual(found["cosine"][0, 1], 0.6, delta=0.03)
        self.phos("axes", "z.st", "set.safetensors", "--out", "orthogonal.st", "--orthogonal", "smile")
        other, _ = tensors.read(self.path("orthogonal.st"))
        np.testing.assert_allclose(other["axes"][1], found["axes"][1], atol=1e-9)
        np.testing.assert_allclose(other["axes"][[0, 2]] @ other["axes"][1], 0, atol=1e-9)
        np.testing.assert_allclose(other["axes"][0], [0.8, -0.6, 0, 0, 0, 0], atol=0.03)
        np.testing.assert_allclose(other["cosine.before"], found["cosine"], atol=1e-12)
        self.assertIn("no attribute 'hat'", self.phos("axes", "z.st", "set.safetensors", "--out", "x",
                                                      "--orthogonal", "hat", code=65).stderr)

    def test_identification(self):
        truth = self.rng.normal(size=(N, 8)).astype("f4")
        picture = self.rng.permutation(np.repeat(np.arange(N), 2)).astype("i4")
        delays = np.array([2.5, 4.5, 6.5])
        z = np.stack([g * truth[picture] + self.rng.normal(size=(2 * N, 8)) for g in (0, 0.7, 5)], 1)
        trials = {"trial.latents": z.reshape(-1, 8).astype("f4"),
                  "trial.delay_s": np.tile(delays, 2 * N).astype("f4"),
                  "trial.number": np.repeat(np.arange(2 * N) * 2 + 1, 3).astype("i4"),
                  "trial.picture": np.repeat(picture, 3).astype("i4")}
        tensors.write(self.path("d.st"), trials)
        tensors.write(self.path("t.st"), {"latents": truth})
        answer = json.loads(self.phos("eval", "identification", "--decoded", "d.st", "--truth", "t.st",
                                      "--out", "o", "--n-way", "4", "--until", "8", "--json").stdout)
        self.assertEqual([p["trials"] for p in answer["points"]], [2 * N] * 9)
        for point in answer["points"]:
            newest = np.searchsorted(delays, point["after_onset_s"], "right") - 1
            two, four = 0.5, 0.25
            if newest >= 0:
                e = z[:, newest].astype("f4").astype(float)
                r = np.corrcoef(e, truth.astype(float))[:2 * N, 2 * N:]
                rank = (r >= r[np.arange(2 * N), picture][:, None]).sum(1) - 1
                two = np.mean(1 - rank / (N - 1))
                four = np.mean([np.prod([(N - 1 - k - i) / (N - 1 - i) for i in range(3)]) for k in rank])
            self.assertAlmostEqual(point["two_way"]["value"], two, delta=1e-4)
            self.assertAlmostEqual(point["n_way"]["value"], four, delta=1e-4)
            low, high = point["two_way"]["ci95"]
            self.assertTrue(low <= point["two_way"]["value"] + 1e-6 and point["two_way"]["value"] <= high + 1e-6)
        self.assertEqual(self.assert_drawn("o", "identification.png"), (800, 560))
        trials["trial.picture"] = trials["trial.picture"] + 1
        tensors.write(self.path("d.st"), trials)
        self.assertIn("picture 8 of 8", self.phos("eval", "identification", "--decoded", "d.st", "--truth",
                                                    "t.st", "--out", "o", code=65).stderr)

    def model(self):
        for name, recipe in (("encoder", ENCODER), ("dand", DAND)):
            with open(self.path(name + ".yaml"), "w") as f:
                f.write(recipe)
            self.phos("train", name + ".yaml", "--out", name, "--quiet")
        self.phos("stimuli", "faces", "--out", "test", "--n", str(N), "--first", "500", "--no-png")
        self.phos("encode", "dand/model.safetensors", "test", "--out", "z.st")
        return tensors.read(self.path("z.st"))[0]["latents"]

    def study(self, *more, code=0):
        return self.phos("eval", "dand", "--model", "dand/model.safetensors", "--stimuli", "test", "--out",
                         "study", "--draws", "99", "--json", *more, code=code)

    def write_decoded(self, name, latents, pictures=None, shown=1, metadata=None):
        content = {"latents": latents.astype("f4"), "n_trials": np.full(N, shown, "i4"),
                   "samples": np.repeat(latents[:, None], 2, 1).astype("f4")}
        if pictures is not None:
            content["pictures"] = pictures
        tensors.write(self.path(name), content, metadata)

    def test_table(self):
        z = self.model()
        shown = tensors.read(self.path("test", "stimuli.safetensors"))[0]["images"]
        noisy = np.clip(shown + self.rng.normal(0, 30, shown.shape), 0, 255).astype("u1")
        noise = self.rng.integers(0, 256, shown.shape).astype("u1")
        _, metadata = tensors.read(self.path("z.st"))
        self.write_decoded("right.st", z, metadata=metadata)
        self.phos("axes", "z.st", "test", "--out", "axes.st")
        self.write_decoded("far.st", 0 * z)
        self.write_decoded("eigenface.st", z, noisy)
        self.write_decoded("identity.st", z, noise)
        answer = json.loads(self.study("--dand", "right.st", "--dand", "far.st", "--eigenface", "eigenface.st",
                                       "--eigenface", "eigenface.st", "--identity", "identity.st",
                                       "--identity", "identity.st", "--axes", "axes.st").stdout)
        table = {row["method"]: row for row in answer["table"]}
        metrics = ("feature_distance", "feature_mse", "pixel_r", "ssim")
        for metric in metrics:  # drawn from the true latents: the ceiling itself
            self.assertAlmostEqual(table["DAND, subject 1"][metric]["mean"], table["ceiling"][metric]["mean"],
                                   delta=1e-4)
        a, b = noisy.reshape(N, -1).astype(float), shown.reshape(N, -1).astype(float)
        r = np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a, b)])
        row = table["eigenface, subject 1"]["pixel_r"]
        self.assertAlmostEqual(row["mean"], r.mean(), delta=1e-4)
        self.assertAlmostEqual(row["sem"], r.std(ddof=1) / N ** 0.5, delta=1e-5)
        self.assertTrue(row["ci95"][0] < row["mean"] < row["ci95"][1])
        self.assertEqual((row["p"], table["identity, subject 1"]["pixel_r"]["p"] > 0.01), (0.01, True))
        self.assertGreater(row["mean"], row["other_picture"])
        gain = next(d for d in answer["differences"] if d["better"] == "eigenface, subject 2"
                    and d["than"] == "identity, subject 2")
        self.assertAlmostEqual(gain["ssim"]["by"], table["eigenface, subject 2"]["ssim"]["mean"]
                               - table["identity, subject 2"]["ssim"]["mean"], delta=1e-5)
        self.assertGreater(gain["ssim"]["ci95"][0], 0)
        self.assertEqual(len(answer["attributes"]["ssim"]["r"]), 47)
        axes, axes_metadata = tensors.read(self.path("axes.st"))
        self.assertEqual(axes_metadata["latents.space"], metadata["latents.space"])
        read = z @ axes["axes"].T  # slope and intercept do not change a correlation with slope above 0
        truth = tensors.read(self.path("test", "stimuli.safetensors"))[0]["attributes"]
        r = np.array([np.corrcoef(read[:, k], truth[:, k])[0, 1] for k in range(47)])
        found = answer["decoded_attributes"][0]["r"]
        for k, name in enumerate(axes_metadata["attribute_names"].split("\n")):
            self.assertAlmostEqual(found[name], r[k] * np.sign(axes["slope"][k]), delta=1e-3)
        self.assertEqual(answer["decoded_attributes"][1]["mean_r"], 0)  # always the mean face
        for name in ("reconstructions", "traversals", "interpolation", "samples"):
            self.assert_drawn("study", name + ".png")
        with open(self.path("study", "table.txt")) as f:
            self.assertIn("mean picture", f.read())

        self.check_refusals(z)

    def check_refusals(self, z):
        self.write_decoded("unseen.st", z, shown=0)
        self.assertIn("never shown", self.study("--dand", "unseen.st", code=65).stderr)
        self.write_decoded("wide.st", np.zeros((N, P + 1)))
        self.assertIn("latents", self.study("--dand", "wide.st", code=65).stderr)
        self.write_decoded("other.st", z, metadata={"latents.space": "00000000"})
        self.assertIn("another model", self.study("--dand", "other.st", code=65).stderr)
        axes, metadata = tensors.read(self.path("axes.st"))
        tensors.write(self.path("axes.st"), axes, dict(metadata, **{"latents.space": "00000000"}))
        self.write_decoded("right.st", z)
        self.assertIn("axes of another model", self.study("--dand", "right.st", "--axes", "axes.st", code=65).stderr)
        self.study(code=2)
        self.study("--dand", "wide.st", "--eigenface", "a", "--eigenface", "b", code=2)


if __name__ == "__main__":
    unittest.main()
