#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""reference, encode and draw: the mean and brain of a run against NumPy, the path from pictures through a
trained encoder to latents and back to pictures on tiny networks, and what these commands refuse."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

import numpy as np

PHOS = os.path.abspath(sys.argv.pop(1))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import nifti  # noqa: E402
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


def png_size(path):
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert zlib.crc32(data[12:29]) == struct.unpack(">I", data[29:33])[0]
    return struct.unpack(">II", data[16:24])


class Tools(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def phos(self, *args, code=0):
        run = subprocess.run([PHOS, *args], capture_output=True, text=True, timeout=200, cwd=self.folder)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        return run

    def test_reference(self):
        rng = np.random.default_rng(1)
        z, y, x = np.mgrid[0:14, 0:18, 0:16]
        brain = ((x - 8) / 5.5) ** 2 + ((y - 9) / 6.5) ** 2 + ((z - 7) / 5) ** 2 < 1
        run = (brain * 1000 + 20 + rng.normal(0, 5, (8, *brain.shape))).astype("<f4")
        nifti.write(self.path("run.nii"), run)
        self.phos("reference", "run.nii", "--out", "subject", "--first", "2", "--n", "4")
        mean = nifti.read(self.path("subject", "reference.nii.gz"))
        np.testing.assert_allclose(mean, run[2:6].mean(axis=0), atol=0.01)
        mask = nifti.read(self.path("subject", "mask.nii.gz")) > 0.5
        self.assertGreater((mask & brain).sum() / (mask | brain).sum(), 0.85)
        self.assertIn("ask for 9", self.phos("reference", "run.nii", "--out", "s", "--n", "9", code=65).stderr)
        self.phos("reference", "none.nii", "--out", "s", code=66)
        nifti.write(self.path("flat.nii"), np.zeros((3, 6, 6, 6), "<f4"))
        self.assertIn("no brain", self.phos("reference", "flat.nii", "--out", "s", "--n", "2", code=65).stderr)

    def train(self, name, recipe):
        with open(self.path(name + ".yaml"), "w") as f:
            f.write(recipe)
        self.phos("train", name + ".yaml", "--out", name, "--quiet")

    def test_pictures_to_latents_and_back(self):
        self.train("encoder", ENCODER)
        self.train("dand", DAND)
        model, metadata = tensors.read(self.path("dand", "model.safetensors"))
        self.assertEqual((metadata["phosphene.kind"], metadata["dand.latents"]), ("dand", "3"))
        self.assertFalse([name for name in model if name.startswith("dand.d.")])
        self.phos("stimuli", "faces", "--out", "faces", "--n", "40")
        answer = json.loads(self.phos("encode", "dand/model.safetensors", "faces", "--out",
                                      "latents.safetensors", "--json").stdout)
        self.assertEqual((answer["n"], answer["components"]), (40, 3))
        latents, _ = tensors.read(self.path("latents.safetensors"))
        z = latents["latents"]
        # The same faces as in training: whitened, so unit variance and no correlation.
        np.testing.assert_allclose(np.cov(z.T), np.eye(3), atol=0.02)
        np.testing.assert_allclose(z.mean(axis=0), 0, atol=0.01)
        # The fixed first layer undoes the whitening within the kept components.
        back = model["dand.p.whiten"] @ (model["dand.g.fc.weight"] @ z.T)
        np.testing.assert_allclose(back.T, z, atol=1e-3)
        self.check_folders(z)
        self.phos("draw", "dand/model.safetensors", "--out", "sheet.png", "--n", "3")
        self.assertEqual(png_size(self.path("sheet.png")), (192, 192))
        self.assertIn("draws no pictures",
                      self.phos("draw", "latents.safetensors", "--out", "x.png", code=65).stderr)
        self.assertIn("dand", self.phos("encode", "encoder/model.safetensors", "faces", "--out", "x",
                                        code=65).stderr)
        self.phos("draw", "none.safetensors", "--out", "x.png", code=66)

    def check_folders(self, z):
        """A plain folder of pictures gives the same latents; odd sizes are cropped, what is no picture is named."""
        os.remove(self.path("faces", "stimuli.safetensors"))
        os.remove(self.path("faces", "sheet.png"))
        self.phos("encode", "dand/model.safetensors", "faces", "--out", "plain.safetensors")
        plain, _ = tensors.read(self.path("plain.safetensors"))
        np.testing.assert_allclose(plain["latents"], z, atol=1e-5)
        self.phos("stimuli", "faces", "--out", "wide", "--n", "1", "--size", "96")
        names = sorted(os.listdir(self.path("faces")))
        first = next(n for n in names if n.endswith(".png"))
        big = next(n for n in sorted(os.listdir(self.path("wide"))) if n.endswith(".png") and n != "sheet.png")
        os.replace(self.path("wide", big), self.path("faces", first))  # the same face, larger
        self.phos("encode", "dand/model.safetensors", "faces", "--out", "odd.safetensors")
        odd, _ = tensors.read(self.path("odd.safetensors"))
        np.testing.assert_allclose(odd["latents"][1:], z[1:], atol=1e-5)
        self.assertLess(np.abs(odd["latents"][0] - z[0]).max(), 1)
        with open(self.path("faces", first), "wb") as f:
            f.write(b"not a picture")
        refused = self.phos("encode", "dand/model.safetensors", "faces", "--out", "x", code=65)
        self.assertIn(first, refused.stderr)
        os.mkdir(self.path("empty"))
        self.assertIn("no PNG or JPEG", self.phos("encode", "dand/model.safetensors", "empty", "--out", "x",
                                                  code=65).stderr)
        self.phos("encode", "dand/model.safetensors", "gone", "--out", "x", code=66)


if __name__ == "__main__":
    unittest.main()
