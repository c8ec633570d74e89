#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""phos convert and inspect on files that h5py and NumPy write in the layouts of released weights: every
number must arrive at its place, and what is missing, misshapen or not a weight must be named."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np

PHOS = sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import nifti  # noqa: E402
import tensors  # noqa: E402
from prednet import prednet  # noqa: E402

STACK = (3, 4, 5)


def phos(*args):
    return subprocess.run([PHOS, *args], capture_output=True, text=True, timeout=60)


def keras_file(path, stack=STACK, seed=1, leave_out=None, scale=1):
    """PredNet's Keras layout: kernels (3, 3, in, out) under prednet_1/prednet_1/layer_{c}_{l}."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for l, c in enumerate(stack):
        above = stack[l + 1] if l + 1 < len(stack) else 0
        shapes = {"ahat": (c, c)}
        shapes.update({gate: (3 * c + above, c) for gate in "ifco"})
        if above:
            shapes["a"] = (2 * c, above)
        for part, (n_in, n_out) in shapes.items():
            arrays[f"layer_{part}_{l}/kernel:0"] = (scale * rng.normal(size=(3, 3, n_in, n_out))).astype("f4")
            arrays[f"layer_{part}_{l}/bias:0"] = (scale * rng.normal(size=n_out)).astype("f4")
    with h5py.File(path, "w") as f:
        f.attrs["layer_names"] = [b"prednet_1", b"time_distributed_1", b"dense_2"]
        for name, array in arrays.items():
            if name != leave_out:
                f["prednet_1/prednet_1/" + name] = array
        f["time_distributed_1/time_distributed_1/kernel:0"] = np.ones((4, 1), "f4")
        f["dense_2/dense_2/kernel:0"] = np.ones((10, 1), "f4")
    return arrays


class Convert(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def check_prednet(self, flip):
        source = keras_file(self.path("k.hdf5"))
        args = ["convert", self.path("k.hdf5"), "--as", "prednet", "--out", self.path("o.safetensors")]
        run = phos(*args, *(["--flip"] if flip else []))
        self.assertEqual(run.returncode, 0, run.stderr)
        got, metadata = tensors.read(self.path("o.safetensors"))
        self.assertEqual(metadata["phosphene.kind"], "prednet")
        self.assertEqual(metadata["prednet.stack"], "3,4,5")
        self.assertEqual(len(got), len(source))
        for name, array in source.items():
            part, l = name.split("/")[0].split("_")[1:]
            if name.endswith("bias:0"):
                np.testing.assert_array_equal(got[f"prednet.{part}.{l}.bias"], array)
                continue
            expected = array.transpose(3, 2, 0, 1)
            if flip:
                expected = expected[:, :, ::-1, ::-1]
            np.testing.assert_array_equal(got[f"prednet.{part}.{l}.weight"], expected)

    def test_keras_layout(self):
        self.check_prednet(False)

    def test_theano_flavour_is_rotated(self):
        self.check_prednet(True)

    def test_a_converted_network_runs_as_keras_would(self):
        """R of a film under a converted file is that of the update equations with Keras' kernels, correlated as
        TensorFlow does; the rotated ones of the other flavour make the same network."""
        stack = (3, 4, 6)
        source = keras_file(self.path("k.hdf5"), stack, scale=0.2)
        with h5py.File(self.path("k.hdf5")) as f, h5py.File(self.path("t.hdf5"), "w") as g:
            for name, array in source.items():
                g["pred_net_1/pred_net_1/" + name] = array[::-1, ::-1] if array.ndim == 4 else array
        self.assertEqual(phos("stimuli", "films", "--out", self.path("film"), "--clips", "1", "--frames", "6", "--width",
                              "24", "--height", "16").returncode, 0)
        film, _ = tensors.read(self.path("film/stimuli.safetensors"))
        frames = film["images"].transpose(0, 3, 1, 2)[:, None] / 255.0
        ours = {"prednet.%s.%s" % (".".join(name.split("/")[0].split("_")[1:]),
                                   "bias" if array.ndim == 1 else "weight"):
                array if array.ndim == 1 else np.moveaxis(array, (3, 2), (0, 1)) for name, array in source.items()}
        _, _, states = prednet(ours, frames, 6)
        with open(self.path("events.tsv"), "w") as f:
            f.write("onset\tduration\tstim_index\n0\t0.6\t0\n")
        nifti.write(self.path("run.nii"), np.ones((6, 2, 2, 2), "<f4"), tr_s=0.1)
        for name, flip in (("k", []), ("t", ["--flip"])):
            run = phos("convert", self.path(name + ".hdf5"), "--as", "prednet", "--out", self.path("o.safetensors"), *flip)
            self.assertEqual(run.returncode, 0, run.stderr)
            for layer in range(3):
                run = phos("features", self.path("o.safetensors"), self.path("film"), "--layer", str(layer), "--bold",
                           self.path("run.nii"), "--events", self.path("events.tsv"), "--out", self.path("r.st"))
                self.assertEqual(run.returncode, 0, run.stderr)
                got, _ = tensors.read(self.path("r.st"))
                want = np.array([s[layer].ravel() for s in states])
                np.testing.assert_allclose(got["targets"], want, atol=2e-5)
                self.assertGreater(np.abs(want).max(), 0.05)

    def test_a_missing_array_is_named(self):
        keras_file(self.path("k.hdf5"), leave_out="layer_f_1/kernel:0")
        run = phos("convert", self.path("k.hdf5"), "--as", "prednet", "--out", self.path("o.safetensors"))
        self.assertEqual(run.returncode, 65)
        self.assertIn("layer_f_1/kernel:0", run.stderr)
        self.assertFalse(os.path.exists(self.path("o.safetensors")))

    def test_another_shape_is_named(self):
        keras_file(self.path("k.hdf5"))
        with h5py.File(self.path("k.hdf5"), "a") as f:
            del f["prednet_1/prednet_1/layer_o_0/kernel:0"]
            f["prednet_1/prednet_1/layer_o_0/kernel:0"] = np.zeros((3, 3, 12, 3), "f4")
        run = phos("convert", self.path("k.hdf5"), "--as", "prednet", "--out", self.path("o.safetensors"))
        self.assertEqual(run.returncode, 65)
        self.assertIn("3 x 3 x 12 x 3, expected 3 x 3 x 13 x 3", run.stderr)

    def test_not_a_prednet(self):
        np.savez(self.path("a.npz"), w=np.zeros((2, 2), "f4"))
        run = phos("convert", self.path("a.npz"), "--as", "prednet", "--out", self.path("o.safetensors"))
        self.assertEqual(run.returncode, 65)
        self.assertIn("layer_ahat_0/kernel:0", run.stderr)

    def test_arrays_as_they_are(self):
        w = np.arange(6, dtype="f8").reshape(2, 3) / 8
        np.savez(self.path("a.npz"), w=w, k=np.arange(3, dtype="i8"))
        run = phos("convert", self.path("a.npz"), "--out", self.path("o.safetensors"), "--json")
        self.assertEqual(run.returncode, 65)  # int64 does not go into float32 silently
        self.assertIn("'k'", run.stderr)
        np.savez(self.path("a.npz"), w=w)
        run = phos("convert", self.path("a.npz"), "--out", self.path("o.safetensors"), "--json")
        self.assertEqual(json.loads(run.stdout)["values"], 6)
        np.testing.assert_array_equal(tensors.read(self.path("o.safetensors"))[0]["w"], w)

    def test_files_that_pytorch_saves(self):
        """safetensors.torch.save_file writes its own names and a `format`; 16-bit weights are widened."""
        arrays = {"0.weight": np.arange(12, dtype="f4").reshape(2, 2, 3), "0.bias": np.array([0.5, -2], "f4"),
                  "half": np.array([1.5, -0.25], "f2")}
        tensors.write(self.path("p.safetensors"), arrays, {"format": "pt"})
        np.save(self.path("one.npy"), arrays["0.weight"])
        for source in ("p.safetensors", "one.npy"):
            run = phos("convert", self.path(source), "--out", self.path("o.safetensors"))
            self.assertEqual(run.returncode, 0, run.stderr)
            got, metadata = tensors.read(self.path("o.safetensors"))
            self.assertEqual(metadata["phosphene.kind"], "arrays")
            if source == "one.npy":
                np.testing.assert_array_equal(got["one"], arrays["0.weight"])
                continue
            self.assertEqual(sorted(got), sorted(arrays))
            for name, array in arrays.items():
                np.testing.assert_array_equal(got[name].astype("f4"), array.astype("f4"))

    def test_pickled_arrays_are_refused(self):
        np.save(self.path("p.npy"), np.array([{"a": 1}], dtype=object), allow_pickle=True)
        run = phos("convert", self.path("p.npy"), "--out", self.path("o.safetensors"))
        self.assertEqual(run.returncode, 65)
        self.assertFalse(os.path.exists(self.path("o.safetensors")))

    def test_usage(self):
        self.assertEqual(phos("convert").returncode, 2)
        self.assertEqual(phos("convert", "x.npz", "--out", "y", "--as", "nothing").returncode, 2)
        self.assertEqual(phos("convert", self.path("none.npz"), "--out", "y").returncode, 66)
        open(self.path("w.pt"), "w").write("x")
        run = phos("convert", self.path("w.pt"), "--out", "y")
        self.assertEqual(run.returncode, 65)
        self.assertIn("can run code", run.stderr)

    def test_inspect(self):
        tensors.write(self.path("m.safetensors"),
                      {"w": np.array([1, 2, np.nan, 4], "f4"), "b": np.zeros((2, 1), "f8")},
                      {"phosphene.kind": "test"})
        run = phos("inspect", self.path("m.safetensors"), "--json", "--values")
        answer = json.loads(run.stdout)
        self.assertEqual(answer["metadata"]["phosphene.kind"], "test")
        w = [t for t in answer["tensors"] if t["name"] == "w"][0]
        self.assertEqual((w["shape"], w["not_finite"]), ([4], 1))
        self.assertAlmostEqual(w["mean"], 7 / 3)
        self.assertAlmostEqual(w["sd"], np.std([1, 2, 4], ddof=1))
        text = phos("inspect", self.path("m.safetensors"), "--values").stdout
        self.assertIn("1 NOT FINITE", text)


if __name__ == "__main__":
    unittest.main()
