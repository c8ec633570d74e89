#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The film study end to end at a tiny size: films, a PredNet, its features, a simulated session, ridge
fits, the study's tables, and a replayed run with decoder/ridge and generator/prednet whose latents are
what NumPy makes of the model file. Input that does not fit is named."""
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
import nifti  # noqa: E402
import tensors  # noqa: E402

FPS, TR, SIDE, CLIP, N_CLIPS = 10, 0.5, 32, 20, 12
RECIPE = """\
model: {type: prednet, channels: [3, 4, 6]}
data: {type: films, kind: all, count: 4, size: 32, seed: 1, length: 6, frames: 4, fps: 10}
optimiser: {type: adam, rate: 0.01}
training: {steps: 8, batch: 2, seed: 1, threads: 1}
"""
RUN = """\
phosphene: 1
filters:
  - {type: mask, file: session/region.nii.gz}
"""
FULL = RUN + """\
decoder: {type: ridge, model: ridge0.st}
generators:
  - {type: prednet, model: net/model.safetensors, layer: 0, film: test, fps: 10}
sinks:
  - {type: record}
"""


def nifti_rows(path):
    """The volumes of a plain NIfTI file as rows of 800 voxels."""
    with open(path, "rb") as f:
        raw = f.read()
    code, (slope, inter) = struct.unpack_from("<h", raw, 70)[0], struct.unpack_from("<ff", raw, 112)
    data = np.frombuffer(raw[352:], {4: "<i2", 16: "<f4"}[code]).reshape(-1, 800) * float(slope) + inter
    return data.astype(float)


class Films(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        with open(cls.path("recipe.yaml"), "w") as f:
            f.write(RECIPE)
        with open(cls.path("film.yaml"), "w") as f:
            f.write(RUN)
        with open(cls.path("full.yaml"), "w") as f:
            f.write(FULL)
        cls.make_session()
        cls.fit()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    @classmethod
    def phos(cls, *args, fail=False):
        done = subprocess.run([PHOS, *map(str, args)], capture_output=True, text=True, timeout=60,
                              cwd=cls.folder.name)
        if (done.returncode != 0) != fail:
            raise AssertionError("phos %s: %d\n%s%s" % (" ".join(map(str, args)), done.returncode,
                                                        done.stdout, done.stderr))
        return done.stderr if fail else done.stdout

    @classmethod
    def make_session(cls):
        for name, seed in (("train", 3), ("test", 4)):
            cls.phos("stimuli", "films", "--out", name, "--clips", N_CLIPS, "--frames", CLIP, "--seed", seed,
                     "--width", SIDE, "--height", SIDE, "--fps", FPS)
        cls.phos("train", "recipe.yaml", "--out", "net")
        rng = np.random.default_rng(1)
        z, y, x = np.mgrid[:8, :10, :10]
        brain = 900.0 * ((x - 4.5) ** 2 + (y - 4.5) ** 2 + 1.5 * (z - 3.5) ** 2 < 18)
        noise = rng.normal(size=(60, 8, 10, 10)) * 8 * (brain > 0)
        nifti.write(cls.path("source.nii"), (brain + 50 + noise).astype("<f4"), tr_s=TR)
        cls.phos("features", "net/model.safetensors", "train", "--components", 4, "--out", "train.st")
        cls.phos("features", "net/model.safetensors", "test", "--basis", "train.st", "--out", "test.st")
        cls.phos("simulate", "source.nii", "--tr", TR, "--stimuli", "train", "--test-stimuli", "test",
                 "--latents", "train.st", "--test-latents", "test.st", "--film", "--fps", FPS, "--snr", 3,
                 "--voxels", 60, "--out", "session", "--plain")

    @classmethod
    def fit(cls):
        run = "session/sub-sim/func/sub-sim_task-%s_run-01_%s"
        cls.train, cls.test = run % ("train", "bold.nii"), run % ("test", "bold.nii")
        cls.events = run % ("test", "events.tsv")
        for layer in (0, 2):
            cls.phos("features", "net/model.safetensors", "train", "--layer", layer, "--bold", cls.train,
                     "--events", run % ("train", "events.tsv"), "--out", "f%d.st" % layer)
            cls.phos("fit", "ridge", "--run", "film.yaml", "--bold", cls.train, "--lags", "6,10,14",
                     "--targets", "f%d.st" % layer, "--shared", "--allow-constant", "--threads", 1,
                     "--out", "ridge%d.st" % layer)

    def test_region_is_that_of_the_truth(self):
        truth, _ = tensors.read(self.path("session/truth.safetensors"))
        model, _ = tensors.read(self.path("ridge0.st"))
        np.testing.assert_array_equal(model["voxel_index"], np.flatnonzero(truth["region"]))

    def test_latents_are_whitened_components_in_one_basis(self):
        train, _ = tensors.read(self.path("train.st"))
        test, _ = tensors.read(self.path("test.st"))
        np.testing.assert_allclose(train["latents"].mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(np.cov(train["latents"].T), np.eye(4), atol=1e-6)
        np.testing.assert_array_equal(train["basis.components"], test["basis.components"])

    def test_rows_are_means_over_the_frames_of_a_volume(self):
        """The latents are linear in R, so their mean over a volume's frames is that of its row."""
        latents, _ = tensors.read(self.path("train.st"))
        rows, metadata = tensors.read(self.path("f0.st"))
        rows, lead = rows["targets"], 10.0
        self.assertEqual(metadata["features.layer"], "R0")
        for volume in (20, 31, 60):
            first = int(round((volume * TR - lead) * FPS))
            want = latents["latents"][first:first + int(TR * FPS)].mean(0)
            got = (rows[volume] - latents["basis.mean"]) @ latents["basis.components"].T / latents["basis.sd"]
            np.testing.assert_allclose(got, want, atol=1e-4)
        on = rows[20:20 + int(N_CLIPS * CLIP / FPS / TR)]
        np.testing.assert_allclose(rows[3], on.mean(0), atol=1e-4)  # no film: the mean

    def test_other_units_than_r(self):
        """E is what is left of A and Ahat, over-predictions first; the lowest A is the film."""
        parts = {}
        for layer in (0, 1):
            for part in ("A", "Ahat", "E"):
                self.phos("features", "net/model.safetensors", "test", "--part", part, "--layer", layer, "--bold",
                          self.test, "--events", self.events, "--out", "part.st")
                rows, metadata = tensors.read(self.path("part.st"))
                self.assertEqual(metadata["features.layer"], part + str(layer))
                parts[part] = rows["targets"]
            over, under = np.split(parts["E"], 2, axis=1)
            np.testing.assert_allclose(over - under, parts["Ahat"] - parts["A"], atol=1e-5)
            self.assertTrue((over >= 0).all() and (under >= 0).all())
            if layer == 0:
                film, _ = tensors.read(self.path("test/stimuli.safetensors"))
                first = film["images"][:int(TR * FPS)].transpose(0, 3, 1, 2).reshape(int(TR * FPS), -1) / 255.0
                np.testing.assert_allclose(parts["A"][int(10 / TR)], first.mean(0), atol=1e-5)
        self.assertIn("--part is R, E, A or Ahat", self.phos("features", "net/model.safetensors", "test", "--part",
                                                             "C", "--out", "part.st", fail=True))

    def test_the_study(self):
        out = json.loads(self.phos("eval", "prednet", "--model", "net/model.safetensors", "--film", "test", "--run",
                                   "film.yaml", "--bold", self.test, "--events", self.events, "--ridge",
                                   "0=ridge0.st", "--ridge", "2=ridge2.st", "--volumes", 4, "--draws", 20,
                                   "--out", "report", "--json"))
        film, _ = tensors.read(self.path("test/stimuli.safetensors"))
        frames = film["images"].reshape(N_CLIPS, CLIP, -1) / 255.0
        self.assertAlmostEqual(out["prediction"]["last_frame"]["mse"],
                               np.mean((frames[:, 1:] - frames[:, :-1]) ** 2), places=6)
        self.assertEqual(out["prediction"]["prediction"]["frames"], N_CLIPS * (CLIP - 1))
        self.assertEqual(len(out["prediction"]["extrapolation_after_10"]), 5)
        self.assertEqual([row["layer"] for row in out["decoding"]], [0, 2])
        self.assertGreater(out["decoding"][0]["unit_r"], out["decoding"][0]["null_q95"])
        self.assertEqual(len(out["drawing"]), 2 * 2 * 4)
        for row in out["drawing"]:
            self.assertEqual("better_than_shuffled" in row, row["r"] == "decoded")
        alone = [row["score"]["mse"] for row in out["drawing"] if row["r"] == "left alone" and row["film_seen"]]
        self.assertEqual(alone[0], alone[1])  # whatever the layer
        for name in ("prediction.png", "extrapolation.png", "film_seen.png", "film_unseen.png", "prednet.json"):
            self.assertTrue(os.path.getsize(self.path("report/" + name)) > 0)

    def test_a_replayed_run(self):
        out = json.loads(self.phos("replay", self.test, "--run", "full.yaml", "--out", "recording", "--json"))
        self.assertNotIn("error", out)
        found = [os.path.join(d, f) for d, _, files in os.walk(self.path("recording")) for f in files]
        latents, _ = tensors.read([f for f in found if f.endswith("_desc-latents.safetensors")][0])
        model, _ = tensors.read(self.path("ridge0.st"))
        x = nifti_rows(self.path(self.test))[:, model["voxel_index"]]
        n = len(latents["stimulus_s"])
        self.assertGreater(n, 40)
        np.testing.assert_allclose(np.diff(latents["stimulus_s"]), TR, atol=1e-6)
        for k in range(20, n, 7):
            v = int(round((latents["stimulus_s"][k] - TR / 2) / TR))
            want = model["intercept"] + sum(model["weights"][i] @ x[v + lag] for i, lag in enumerate(model["lags"]))
            np.testing.assert_allclose(latents["mean"][k], want, atol=1e-2)
        np.testing.assert_allclose(latents["sd"][n // 2], model["residual_sd"], rtol=1e-6)
        self.assertTrue([f for f in found if f.endswith(".png")])

    def test_nulls_and_maps(self):
        """scores.safetensors against NumPy: correlations of decoded with true R, every unit over time and
        every volume over space, their places in all circular shifts, and the maps of means over channels."""
        out = json.loads(self.phos("eval", "prednet", "--model", "net/model.safetensors", "--film", "test", "--run",
                                   "film.yaml", "--bold", self.test, "--events", self.events, "--ridge",
                                   "2=ridge2.st", "--volumes", 1, "--out", "report3", "--json"))
        got, metadata = tensors.read(self.path("report3/scores.safetensors"))
        self.assertEqual(metadata["phosphene.kind"], "scores")
        self.phos("features", "net/model.safetensors", "test", "--layer", 2, "--bold", self.test, "--events",
                  self.events, "--out", "truth2.st")
        volumes = got["R2.volume"].astype(int)
        truth = tensors.read(self.path("truth2.st"))[0]["targets"][volumes].astype(float)
        model, _ = tensors.read(self.path("ridge2.st"))
        x = nifti_rows(self.path(self.test))[:, model["voxel_index"]]
        decoded = model["intercept"] + sum(x[volumes + lag] @ model["weights"][i].T.astype(float)
                                           for i, lag in enumerate(model["lags"]))
        n = len(volumes)
        shifts = np.arange(15, n - 15 + 1)

        def unit(rows):
            rows = rows - rows.mean(0)
            length = np.sqrt((rows ** 2).sum(0))
            return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)

        def pattern(rows):
            rows = rows - rows.mean(0)
            return unit(rows.T).T

        r = [(unit(decoded) * np.roll(unit(truth), -s, 0)).sum(0) for s in (0, *shifts)]
        np.testing.assert_allclose(got["R2.unit_r"].ravel(), r[0], atol=2e-3)
        np.testing.assert_allclose(got["R2.null_unit_r"], np.sort(np.mean(r[1:], 1)), atol=2e-3)
        places = np.reshape(r, (len(r), *got["R2.unit_r"].shape)).mean(1)
        np.testing.assert_allclose(got["R2.map_r"], places[0], atol=2e-3)
        best = places[1:].max((1, 2))
        want = (1 + (places[1:] >= places[0]).sum(0)) / (1 + len(shifts))
        corrected = (1 + (best[:, None, None] >= places[0]).sum(0)) / (1 + len(shifts))
        step = 1.5 / (1 + len(shifts))  # a tie may fall either way
        np.testing.assert_allclose(got["R2.map_p"], want, atol=step)
        np.testing.assert_allclose(got["R2.map_p_corrected"], corrected, atol=step)
        over_space = [(pattern(decoded) * np.roll(pattern(truth), -s, 0)).sum(1) for s in (0, *shifts)]
        np.testing.assert_allclose(got["R2.pattern_r"], over_space[0], atol=2e-3)
        np.testing.assert_allclose(got["R2.null_pattern_r"], np.sort(np.mean(over_space[1:], 1)), atol=2e-3)
        row = out["decoding"][0]
        self.assertEqual(row["shifts"], len(shifts))
        self.assertAlmostEqual(row["unit_r"], r[0].mean(), places=3)
        self.assertAlmostEqual(row["pattern_r"], over_space[0].mean(), places=3)
        for name in ("maps.png", "over_space.png"):
            self.assertTrue(os.path.getsize(self.path("report3/" + name)) > 0)

    def test_latents_of_several_layers_side_by_side(self):
        self.phos("features", "net/model.safetensors", "train", "--layer", 2, "--components", 3, "--out", "train2.st")
        self.phos("simulate", "source.nii", "--tr", TR, "--stimuli", "train", "--latents", "train.st", "--latents",
                  "train2.st", "--film", "--fps", FPS, "--voxels", 60, "--out", "mixed", "--plain")
        truth, _ = tensors.read(self.path("mixed/truth.safetensors"))
        want = [tensors.read(self.path(name))[0]["latents"] for name in ("train.st", "train2.st")]
        np.testing.assert_array_equal(truth["latents.train"], np.hstack(want))

    def test_what_does_not_fit_is_named(self):
        model = "net/model.safetensors"
        self.assertIn("the film has 240", self.phos("features", model, "test", "--fps", 25, "--bold", self.test,
                                                    "--events", self.events, "--out", "x.st", fail=True))
        short = self.path("short_bold.nii")
        nifti.write(short, np.ones((30, 8, 10, 10), "<f4"), tr_s=TR)
        self.assertIn("the run after 30 volumes", self.phos("features", model, "test", "--bold", short, "--events",
                                                            self.events, "--out", "x.st", fail=True))
        self.phos("stimuli", "films", "--out", "odd", "--clips", 1, "--frames", 3, "--width", 32, "--height", 32)
        film, metadata = tensors.read(self.path("odd/stimuli.safetensors"))
        film["images"] = np.ascontiguousarray(film["images"][:, :31])
        tensors.write(self.path("odd/stimuli.safetensors"), film, metadata)
        self.assertIn("multiples of 4", self.phos("features", model, "odd", "--out", "x.st", fail=True))
        self.assertIn("layers 0 to 2, not 4", self.phos("features", model, "test", "--layer", 4, "--out", "x.st",
                                                        fail=True))
        self.assertFalse(os.path.exists(self.path("x.st")))
        self.assertIn("estimates", self.phos("eval", "prednet", "--model", model, "--film", "test", "--run",
                                             "film.yaml", "--bold", self.test, "--events", self.events,
                                             "--ridge", "1=ridge0.st", "--out", "report2", fail=True))
        with open(self.path("wrong.yaml"), "w") as f:
            f.write(FULL.replace("layer: 0", "layer: 1"))
        self.assertIn("R1 of", self.phos("replay", self.test, "--run", "wrong.yaml", fail=True))


if __name__ == "__main__":
    unittest.main()
