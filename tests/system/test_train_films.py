#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""phos train of a PredNet: its losses are those of the authors (lowest layer, all layers, pictures of the
extrapolation fine-tuning), it goes on from a model file, clips come from folders of frames and from videos
through ffmpeg as they are, and what is too short, of other sizes or unreadable is named."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

import numpy as np

PHOS = os.path.abspath(sys.argv.pop(1))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import png  # noqa: E402
from prednet import prednet  # noqa: E402
import tensors  # noqa: E402

SIDE, FRAMES, LENGTH = 16, 6, 8
RECIPE = """\
model: {type: prednet, channels: [3, 4, 6]MODEL}
data: {DATA, size: 16, length: 8, frames: 6, fps: 10}
optimiser: {type: adam, rate: RATE}
training: {steps: 1, batch: 2, seed: 1, log_every: 1, threads: 1}
"""


def write(path, text, mode="w"):
    with open(path, mode) as f:
        f.write(text)


class TrainFilms(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, *names):
        return os.path.join(self.folder.name, *names)

    def train(self, out, data="type: films, kind: all, count: 2", model="", rate=1e-30, env=None, sets=()):
        recipe = RECIPE.replace("DATA", data).replace("MODEL", model).replace("RATE", str(rate))
        write(self.path("net.yaml"), recipe)
        command = [PHOS, "train", self.path("net.yaml"), "--out", self.path(out), "--json"]
        for one in sets:
            command += ["--set", one]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)

    def losses(self, *args, **kwargs):
        done = self.train(*args, **kwargs)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["losses"]

    def frames_folder(self, n, name="frames", seed=3, width=SIDE, level=None):
        """A folder of n frames of noise, or all of one level."""
        pictures = np.random.default_rng(seed).integers(0, 256, (n, SIDE, width, 3), np.uint8)
        if level is not None:
            pictures[:] = level
        os.makedirs(self.path(name))
        for i, picture in enumerate(pictures):
            png.write(self.path(name, "%04d.png" % i), picture)
        return pictures.transpose(0, 3, 1, 2) / 255.0

    def test_losses_are_the_authors(self):
        frames = self.frames_folder(FRAMES)[:, None]  # both examples of the batch are the only clip there is
        data = "type: frames, path: frames"
        for model, first_guess in (("", FRAMES), (", all_layers: true", FRAMES), (", extrapolate_from: 3", 3)):
            got = self.losses("net" + str(len(model)), data, model, sets=["data.length=%d" % FRAMES])
            weights, _ = tensors.read(self.path("net" + str(len(model)), "model.safetensors"))
            errors, predictions, _ = prednet(weights, frames, first_guess)
            weight = [1, 0.1, 0.1] if "all" in model else [1, 0, 0]
            want = (errors[1:] @ weight).mean()
            if first_guess < FRAMES:
                want = 0.5 * np.abs(predictions[1:] - frames[1:]).mean()
            self.assertAlmostEqual(got["loss"], want, places=5)
            self.assertAlmostEqual(got["mse"], ((predictions[1:] - frames[1:]) ** 2).mean(), places=5)
            self.assertAlmostEqual(got["copy_mse"], ((frames[1:] - frames[:-1]) ** 2).mean(), places=5)

    def test_frames_wider_than_high(self):
        """A model of 16 x 24, from frames of that size and from the middle of wider ones."""
        frames = self.frames_folder(FRAMES, width=24)[:, None]
        sets = ["data.length=%d" % FRAMES, "data.width=24"]
        got = self.losses("net", "type: frames, path: frames", sets=sets)
        weights, metadata = tensors.read(self.path("net", "model.safetensors"))
        self.assertEqual(metadata["picture"], "3x16x24 in 0..1")
        errors, _, _ = prednet(weights, frames, FRAMES)
        self.assertAlmostEqual(got["loss"], errors[1:, 0].mean(), places=5)
        os.mkdir(self.path("wide"))
        for i, frame in enumerate(frames[:, 0]):
            picture = np.zeros((SIDE, 40, 3), np.uint8)
            picture[:, 8:32] = np.rint(frame.transpose(1, 2, 0) * 255)
            png.write(self.path("wide", "%04d.png" % i), picture)
        self.assertEqual(self.losses("wide-net", "type: frames, path: wide", sets=sets), got)
        self.losses("films-net", sets=["data.width=24"])
        sheet = png.read(self.path("films-net", "samples-000001.png"))
        self.assertEqual(sheet.shape, (8 * SIDE, 8 * 24, 3))
        done = self.train("x", "type: faces, count: 2", sets=["data.width=24"])
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("data.width is for films", done.stderr)

    def test_clips_stay_within_a_recording(self):
        self.frames_folder(LENGTH + 3, "drives/0001", level=0)
        self.frames_folder(LENGTH, "drives/0002", level=255)
        self.frames_folder(LENGTH - 1, "drives/0003", level=128)  # too short for a clip
        got = self.losses("r", "type: frames, path: drives", rate=0.001,
                          sets=["training.steps=6", "training.log_every=6"])
        self.assertEqual(got["copy_mse"], 0)
        self.assertGreater(got["mse"], 0.1)  # white ones are among them

    def test_it_learns_and_goes_on_from_a_file(self):
        first = self.losses("a", rate=0.01)
        last = self.losses("b", rate=0.01, sets=["training.steps=40"])
        self.assertLess(last["loss"], 0.8 * first["loss"])
        self.losses("c", model=", start: b/model.safetensors")
        b, _ = tensors.read(self.path("b", "model.safetensors"))
        c, _ = tensors.read(self.path("c", "model.safetensors"))
        for name, values in b.items():
            np.testing.assert_allclose(c[name], values, rtol=0, atol=1e-20)
        tuned = self.losses("d", model=", start: b/model.safetensors, extrapolate_from: 3", rate=0.003,
                            sets=["training.steps=20"])
        self.assertTrue(np.isfinite(tuned["loss"]))
        done = self.train("e", model=", start: b/model.safetensors", sets=["model.channels=3,4,8"])
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertIn("prednet.", done.stderr)
        done = self.train("f", model=", extrapolate_from: 6")
        self.assertEqual(done.returncode, 78)
        self.assertIn("extrapolate_from must be below data.frames (6)", done.stderr)

    def test_a_folder_shorter_than_a_clip(self):
        self.frames_folder(LENGTH - 1)
        done = self.train("x", "type: frames, path: frames")
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertIn("holds 7 frames, fewer than one clip of 8", done.stderr)
        done = self.train("x", sets=["data.frames=9"])
        self.assertIn("data.frames is over data.length", done.stderr)

    def test_sizes_that_cannot_be_halved(self):
        done = self.train("x", sets=["data.size=20"])
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertIn("multiples of 8, not 20 x 20", done.stderr)
        self.frames_folder(LENGTH)
        done = self.train("x", "type: frames, path: frames", sets=["data.size=18"])
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertIn("cannot be halved 2 times", done.stderr)

    def test_video(self):
        """ffmpeg itself: frames written as a lossless video come back as they were."""
        frames = self.frames_folder(2 * LENGTH)
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-framerate", "10", "-i", self.path("frames", "%04d.png"),
                        "-c:v", "ffv1", "-pix_fmt", "bgr0", self.path("film.mkv")], check=True, timeout=60)
        got = self.losses("v", "type: video, path: film.mkv")
        want = self.losses("w", "type: frames, path: frames")
        self.assertEqual(got, want)
        moves = ((frames[1:] - frames[:-1]) ** 2).mean((1, 2, 3))
        self.assertAlmostEqual(got["copy_mse"], moves.mean(), delta=0.02)

    def fake_ffmpeg(self, script):
        os.makedirs(self.path("bin"), exist_ok=True)
        write(self.path("bin", "ffmpeg"), "#!/bin/sh\n" + script)
        os.chmod(self.path("bin", "ffmpeg"), 0o755)
        return dict(os.environ, PATH=self.path("bin") + ":/usr/bin:/bin")

    def test_bad_videos(self):
        data = "type: video, path: film.mkv"
        done = self.train("x", data)
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertIn("film.mkv' beyond clip 0", done.stderr)
        one = LENGTH * SIDE * SIDE * 3
        done = self.train("x", data, env=self.fake_ffmpeg("head -c %d /dev/zero" % (one - 1)))
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertIn("shorter than one clip of 8 frames at 10 a second", done.stderr)
        done = self.train("x", data, env=self.fake_ffmpeg("head -c %d /dev/zero; exit 1" % (3 * one)))
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertIn("beyond clip 3", done.stderr)
        asked = self.train("y", data + ", count: 40", env=self.fake_ffmpeg("cat /dev/zero"))
        self.assertEqual(asked.returncode, 0, asked.stderr)
        self.assertEqual(json.loads(asked.stdout)["losses"]["copy_mse"], 0)
        os.mkdir(self.path("empty"))
        done = self.train("x", data, env=dict(os.environ, PATH=self.path("empty")))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ffmpeg is needed", done.stderr)


if __name__ == "__main__":
    unittest.main()
