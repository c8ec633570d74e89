#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""phos train end to end on a tiny recipe: an unbroken training, one killed with -9 and resumed, and one
interrupted and resumed end with the same weights, byte for byte; a full disk leaves the last checkpoint
whole; wrong recipes are refused with line, column and the nearest name; pictures and tables are read
from folders."""
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import numpy as np

PHOS = sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import tensors  # noqa: E402

RECIPE = """\
model: {type: vae, latents: 4, width: 4}
data: {type: faces, count: 12, size: 64, flip: true, crop: 4}
optimiser: {type: adam, rate: 0.001, schedule: cosine, ema: 0.9}
training: {steps: 40, batch: 4, seed: 3, checkpoint_every: 5, sample_every: 20, samples: 2, threads: 1}
"""


def write(path, text, mode="w"):
    with open(path, mode) as f:
        f.write(text)


class Train(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.recipe = self.path("tiny.yaml")
        write(self.recipe, RECIPE)

    def path(self, *names):
        return os.path.join(self.folder.name, *names)

    def train(self, out, *args, **kwargs):
        return subprocess.run([PHOS, "train", self.recipe, "--out", self.path(out), "--json", *args],
                              capture_output=True, text=True, timeout=300, **kwargs)

    def read(self, *names):
        with open(self.path(*names), "rb") as f:
            return f.read()

    def model(self, out):
        return self.read(out, "model.safetensors")

    def start(self, out):
        return subprocess.Popen([PHOS, "train", self.recipe, "--out", self.path(out)],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_for_checkpoint(self, out, process):
        path = self.path(out, "checkpoint.safetensors")
        deadline = time.monotonic() + 120
        while not os.path.exists(path) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.002)
        self.assertTrue(os.path.exists(path))

    def test_broken_runs_end_like_an_unbroken_one(self):
        whole = self.train("whole")
        self.assertEqual(whole.returncode, 0, whole.stderr)
        answer = json.loads(whole.stdout)
        self.assertEqual(answer["steps"], 40)
        for name in ("losses.tsv", "losses.png", "samples-000020.png", "samples-000040.png", "recipe.yaml"):
            self.assertTrue(os.path.exists(self.path("whole", name)), name)

        killed = self.start("killed")
        self.wait_for_checkpoint("killed", killed)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        interrupted = self.start("interrupted")
        self.wait_for_checkpoint("interrupted", interrupted)
        interrupted.send_signal(signal.SIGINT)
        code = interrupted.wait(timeout=120)
        self.assertIn(code, (130, 0))  # 0: it had just finished
        for out in ("killed", "interrupted"):
            again = self.train(out)
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertGreater(json.loads(again.stdout)["resumed_at"], 0)
            self.assertEqual(self.model(out), self.model("whole"), out)
            self.assertEqual(json.loads(again.stdout)["model_crc32c"], answer["model_crc32c"])
            self.assertEqual(self.read(out, "losses.tsv"),
                             self.read("whole", "losses.tsv"))

        other = self.train("other", "--set", "training.seed=4")
        self.assertNotEqual(json.loads(other.stdout)["model_crc32c"], answer["model_crc32c"])
        got, metadata = tensors.read(self.path("whole", "model.safetensors"))
        self.assertEqual(metadata["phosphene.kind"], "cvae")
        self.assertEqual(metadata["phosphene.recipe"], RECIPE)
        self.assertTrue(all(np.isfinite(t).all() for t in got.values()))

    def test_another_recipe_does_not_continue_a_checkpoint(self):
        self.assertEqual(self.train("a", "--set", "training.steps=5").returncode, 0)
        write(self.recipe, "# changed\n", "a")
        run = self.train("a")
        self.assertEqual(run.returncode, 75)
        self.assertIn("--restart", run.stderr)
        self.assertEqual(self.train("a", "--restart", "--set", "training.steps=5").returncode, 0)

    def test_full_disk_leaves_the_last_checkpoint(self):
        self.assertEqual(self.train("d", "--set", "training.steps=5").returncode, 0)
        before = self.read("d", "checkpoint.safetensors")

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))

        run = self.train("d", preexec_fn=limit)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("checkpoint.safetensors", run.stderr)
        self.assertEqual(self.read("d", "checkpoint.safetensors"), before)
        self.assertEqual([f for f in os.listdir(self.path("d")) if "tmp" in f], [])

    def test_recomputed_recurrence_trains_to_the_same_bits(self):
        write(self.recipe, "model: {type: prednet, channels: [3, 4, 6]}\n"
                           "data: {type: films, kind: all, count: 3, size: 16, length: 8, frames: 5}\n"
                           "optimiser: {type: adam, rate: 0.01, clip_norm: 1}\n"
                           "training: {steps: 6, batch: 2, samples: 2, threads: 1}\n")
        for out, recompute in (("kept", "false"), ("again", "true")):
            run = self.train(out, "--set", "training.recompute=" + recompute)
            self.assertEqual(run.returncode, 0, run.stderr)
        kept, _ = tensors.read(self.path("kept", "model.safetensors"))
        again, _ = tensors.read(self.path("again", "model.safetensors"))
        self.assertEqual(sorted(kept), sorted(again))
        for name, array in kept.items():
            np.testing.assert_array_equal(array, again[name], name)
        self.assertEqual(self.read("kept", "losses.tsv"), self.read("again", "losses.tsv"))
        self.assertEqual(self.read("kept", "samples-000006.png"), self.read("again", "samples-000006.png"))

    def test_half_precision(self):
        self.assertEqual(self.train("f", "--set", "training.steps=2").returncode, 0)
        self.assertEqual(self.train("h", "--set", "training.steps=2", "--set", "training.half=true").returncode, 0)
        full, _ = tensors.read(self.path("f", "model.safetensors"))
        half, _ = tensors.read(self.path("h", "model.safetensors"))
        for name, array in full.items():
            self.assertEqual(half[name].dtype, np.float16)
            np.testing.assert_array_equal(half[name], array.astype(np.float16))

    def refused(self, text, *words):
        write(self.recipe, text)
        run = self.train("x")
        self.assertEqual(run.returncode, 78, run.stderr)
        for word in words:
            self.assertIn(word, run.stderr)

    def test_wrong_recipes(self):
        self.refused(RECIPE.replace("latents", "latent"), "tiny.yaml:1:", "did you mean 'latents'")
        self.refused(RECIPE.replace("type: vae", "type: vea"), "tiny.yaml:1:", "did you mean 'vae'")
        self.refused(RECIPE.replace("optimiser:", "optimizer:"), "tiny.yaml:3:", "did you mean 'optimiser'")
        self.refused(RECIPE.replace("batch: 4", "batch: 0"), "tiny.yaml:4:", "batch")
        self.refused(RECIPE.replace("batch: 4", "batch: [1, 2]"), "tiny.yaml:4:", "batch")
        self.refused(RECIPE.replace("batch: 4", "batch: {a: 1}"), "tiny.yaml:4:", "plain value")
        self.refused("data: {count: 3}\n", "no model section")
        write(self.recipe, "model: {type: vae\n")
        self.assertEqual(self.train("x").returncode, 78)
        write(self.recipe, RECIPE.replace("size: 64", "size: 32"))
        run = self.train("x")
        self.assertEqual(run.returncode, 65)
        self.assertIn("64 x 64", run.stderr)
        self.recipe = self.path("none.yaml")
        self.assertEqual(self.train("x").returncode, 66)

    def write_pictures(self):
        from struct import pack
        from zlib import compress, crc32

        def png(path, rgb):
            h, w, _ = rgb.shape
            raw = b"".join(b"\0" + rgb[y].tobytes() for y in range(h))
            data = b"\x89PNG\r\n\x1a\n"
            for kind, body in ((b"IHDR", pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)), (b"IDAT", compress(raw)),
                               (b"IEND", b"")):
                data += pack(">I", len(body)) + kind + body + pack(">I", crc32(kind + body))
            write(path, data, "wb")

        os.mkdir(self.path("pictures"))
        for i in range(6):
            png(self.path("pictures", f"{i:03}.png"), np.full((80, 100, 3), 40 * i, np.uint8))

    def test_folders_and_tables(self):
        self.write_pictures()
        recipe = RECIPE.replace("type: faces, count: 12", f"type: folder, path: pictures")
        write(self.recipe, recipe)
        self.assertEqual(self.train("p", "--set", "training.steps=2").returncode, 0)
        rows = "".join(f"{i:03}.png 1 -1\n" for i in range(6))
        write(self.path("celeba.txt"), "6\nSmiling Male\n" + rows)
        write(self.path("plain.tsv"), "file\tsmile\tmale\n" + rows.replace(" ", "\t"))
        write(self.path("short.tsv"), "file\tsmile\n000.png\t1\n")
        for table, code in (("celeba.txt", 0), ("plain.tsv", 0), ("short.tsv", 65)):
            write(self.recipe, recipe.replace("path: pictures", f"path: pictures, attributes: {table}"))
            run = self.train("t", "--restart", "--set", "training.steps=1")
            self.assertEqual(run.returncode, code, run.stderr)
        self.assertIn("001.png", run.stderr)
        write(self.path("pictures", "003.png"), b"no picture", "wb")
        write(self.recipe, recipe)
        run = self.train("q")
        self.assertEqual(run.returncode, 65)
        self.assertIn("003.png", run.stderr)

    def test_tensors(self):
        pictures = np.random.default_rng(1).random((5, 3, 68, 68), dtype=np.float32)
        tensors.write(self.path("p.safetensors"), {"images": pictures})
        recipe = RECIPE.replace("type: faces, count: 12", "type: tensors, path: p.safetensors")
        write(self.recipe, recipe)
        run = self.train("p", "--set", "training.steps=2")
        self.assertEqual(run.returncode, 0, run.stderr)
        pictures[2, 1, 3, 4] = np.nan
        tensors.write(self.path("p.safetensors"), {"images": pictures})
        run = self.train("n")
        self.assertEqual(run.returncode, 65)
        self.assertIn("no numbers", run.stderr)


if __name__ == "__main__":
    unittest.main()
