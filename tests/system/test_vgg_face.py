#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A VGG-16-shaped face network as an encoder: narrow weights in the three layouts that released ones come in give the
same file; latents of a model trained with it are the whitened components of the features that a plain NumPy
network computes; the feature loss takes its middle layers at a stated size; what does not fit is named."""
import os
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np

PHOS = os.path.abspath(sys.argv.pop(1))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import tensors  # noqa: E402

BLOCKS = (2, 2, 3, 3, 3)  # convolutions
WIDTHS = (3, 4, 5, 6, 6)
LISTED = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # in torchvision's features
SIDE, FEATURES, N = 3, 10, 14  # fc6 sees 3 x 3: pictures of 96 x 96
MEAN = np.array([129.1863, 104.7624, 93.5940])
DAND = """\
model: {type: dand, encoder: vgg.safetensors, latents: 4, width: 4, feature_layers: %d, feature_side: %d}
data: {type: tensors, path: faces/stimuli.safetensors, flip: false}
training: {steps: 2, batch: 2, samples: 2, threads: 1}
"""


def layers():
    """Names and arrays as Caffe and PyTorch hold them."""
    rng = np.random.default_rng(3)
    found, n_in = {}, 3
    for b, n in enumerate(BLOCKS):
        for i in range(n):
            name = f"conv{b + 1}_{i + 1}"
            scale = (2 / (9 * n_in)) ** 0.5 / (64 if n_in == 3 and b == 0 else 1)
            found[name + ".weight"] = rng.normal(0, scale, (WIDTHS[b], n_in, 3, 3)).astype("f4")
            found[name + ".bias"] = rng.normal(0, 0.1, WIDTHS[b]).astype("f4")
            n_in = WIDTHS[b]
    found["fc6.weight"] = rng.normal(0, 0.2, (FEATURES, n_in * SIDE * SIDE)).astype("f4")
    found["fc6.bias"] = rng.normal(1, 0.1, FEATURES).astype("f4")
    return found


def resize(x, side):
    """Bilinear, half-pixel centres; x [c][h][w]."""
    n = x.shape[1]
    at = np.clip((np.arange(side) + 0.5) * n / side - 0.5, 0, n - 1)
    low = np.minimum(at.astype(int), n - 2)
    part = at - low
    rows = x[:, low] * (1 - part)[None, :, None] + x[:, low + 1] * part[None, :, None]
    return rows[:, :, low] * (1 - part) + rows[:, :, low + 1] * part


def features(net, rgb):
    x = resize(rgb.astype(float).transpose(2, 0, 1) - MEAN[:, None, None], 32 * SIDE)
    for b, n in enumerate(BLOCKS):
        for i in range(n):
            w, bias = net[f"conv{b + 1}_{i + 1}.weight"], net[f"conv{b + 1}_{i + 1}.bias"]
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
            views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
            x = np.maximum(np.einsum("oikl,ihwkl->ohw", w, views) + bias[:, None, None], 0)
        x = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).max((2, 4))
    return np.maximum(net["fc6.weight"] @ x.ravel() + net["fc6.bias"], 0)


class VggFace(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.net = layers()

    def path(self, name):
        return os.path.join(self.folder, name)

    def phos(self, *args, code=0):
        run = subprocess.run([PHOS, *args], capture_output=True, text=True, timeout=200, cwd=self.folder)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        return run

    def write_torchvision(self):
        renamed, i = {}, 0
        for name, array in self.net.items():
            kind = name.split(".")[1]
            renamed[f"classifier.0.{kind}" if name.startswith("fc6") else f"features.{LISTED[i // 2]}.{kind}"] = array
            i += 1
        renamed["classifier.3.weight"] = np.ones((2, FEATURES), "f4")  # what follows fc6 is left out
        tensors.write(self.path("torchvision.safetensors"), renamed)

    def write_keras(self):
        with h5py.File(self.path("keras.h5"), "w") as f:
            for name, array in self.net.items():
                layer, kind = name.split(".")
                if kind == "weight" and layer == "fc6":  # rows in the order height, width, channels
                    array = array.reshape(FEATURES, -1, SIDE, SIDE).transpose(2, 3, 1, 0).reshape(-1, FEATURES)
                elif kind == "weight":
                    array = array.transpose(2, 3, 1, 0)
                f[f"{layer}/{layer}/{'kernel' if kind == 'weight' else 'bias'}:0"] = array

    def convert(self, name, code=0):
        return self.phos("convert", name, "--as", "vgg-face", "--out", "vgg.safetensors", code=code)

    def test_layouts(self):
        self.write_torchvision()
        self.write_keras()
        np.savez(self.path("caffe.npz"), **self.net)
        for name in ("caffe.npz", "torchvision.safetensors", "keras.h5"):
            self.convert(name)
            got, metadata = tensors.read(self.path("vgg.safetensors"))
            self.assertEqual((metadata["phosphene.kind"], metadata["encoder.features"]), ("encoder", str(FEATURES)))
            self.assertIn("96x96", metadata["picture"])
            self.assertEqual(len(got), 28)
            source = list(self.net.items())
            for i in range(13):
                np.testing.assert_array_equal(got[f"dand.f.conv.{i + 1}.weight"], source[2 * i][1])
                np.testing.assert_array_equal(got[f"dand.f.conv.{i + 1}.bias"], source[2 * i + 1][1])
            np.testing.assert_array_equal(got["dand.f.fc.weight"], self.net["fc6.weight"])
            np.testing.assert_array_equal(got["dand.f.fc.bias"], self.net["fc6.bias"])

    def test_encoding_and_training(self):
        np.savez(self.path("caffe.npz"), **self.net)
        self.convert("caffe.npz")
        self.phos("stimuli", "faces", "--out", "faces", "--n", str(N), "--no-png")
        self.train(DAND % (7, 96))
        self.phos("encode", "dand/model.safetensors", "faces", "--out", "z.safetensors")
        model, _ = tensors.read(self.path("dand/model.safetensors"))
        z, _ = tensors.read(self.path("z.safetensors"))
        faces, _ = tensors.read(self.path("faces/stimuli.safetensors"))
        f = np.array([features(self.net, rgb) for rgb in faces["images"]])
        self.assertGreater(np.linalg.matrix_rank(f - f.mean(0), tol=1e-3), 4)
        np.testing.assert_allclose(model["dand.g.fc.bias"], f.mean(0), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(z["latents"], (f - f.mean(0)) @ model["dand.p.whiten"].T, atol=5e-3)
        np.testing.assert_allclose(np.cov(z["latents"].T), np.eye(4), atol=5e-3)
        self.phos("encode", "vgg.safetensors", "faces", "--components", "4", "--out", "bare.safetensors")
        bare, metadata = tensors.read(self.path("bare.safetensors"))  # the same components without a generator
        np.testing.assert_allclose(bare["latents"], z["latents"], atol=2e-3)
        self.assertEqual(len(metadata["latents.space"]), 8)
        self.phos("stimuli", "faces", "--out", "test", "--n", "3", "--first", "50", "--no-png")
        for model, basis in (("vgg.safetensors", ["--basis", "bare.safetensors"]), ("dand/model.safetensors", [])):
            self.phos("encode", model, "test", *basis, "--out", "t.safetensors")
            z[model] = tensors.read(self.path("t.safetensors"))[0]["latents"]
        np.testing.assert_allclose(z["vgg.safetensors"], z["dand/model.safetensors"], atol=2e-3)
        self.assertIn("components", self.phos("encode", "vgg.safetensors", "test", "--out", "x", code=65).stderr)
        self.write("encoder.yaml", "model: {type: encoder, features: 24}\ndata: {type: faces, count: 20}\n"
                   "training: {steps: 2, batch: 4, threads: 1}\n")
        self.phos("train", "encoder.yaml", "--out", "encoder", "--quiet")
        self.write("dand.yaml", (DAND % (7, 0)).replace("vgg.safetensors", "encoder/model.safetensors"))
        self.assertIn("the encoder has 5 convolutions",
                      self.phos("train", "dand.yaml", "--out", "other", "--quiet", code=78).stderr)

    def train(self, recipe):
        self.write("dand.yaml", recipe)
        self.phos("train", "dand.yaml", "--out", "dand", "--quiet")

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def test_refusals(self):
        short = {name: array for name, array in self.net.items() if name != "conv4_2.bias"}
        np.savez(self.path("short.npz"), **short)
        self.assertIn("'conv4_2.bias' is missing", self.convert("short.npz", code=65).stderr)
        other = dict(self.net, **{"conv3_1.weight": self.net["conv3_1.weight"][:, :3]})
        np.savez(self.path("other.npz"), **other)
        self.assertIn("conv3_1.weight", self.convert("other.npz", code=65).stderr)
        odd = dict(self.net, **{"fc6.weight": self.net["fc6.weight"][:, :-1]})
        np.savez(self.path("odd.npz"), **odd)
        self.assertIn("not a square", self.convert("odd.npz", code=65).stderr)
        np.savez(self.path("none.npz"), a=np.ones(3, "f4"))
        self.assertIn("there is no first kernel", self.convert("none.npz", code=65).stderr)


if __name__ == "__main__":
    unittest.main()
