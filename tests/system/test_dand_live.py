#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A live run with DAND: beside the face of the posterior mean a strip of its samples, which narrow as the response
comes in and are no reconstruction to the report; the panel of attributes; and what is refused: a strip without
samples, axes of other latents."""
import glob
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
import tensors  # noqa: E402
from picture_session import FACTORS, PICTURES, make_session  # noqa: E402

ENCODER = """\
model: {type: encoder, features: 24}
data: {type: faces, count: 40}
training: {steps: 12, batch: 8, threads: 1}
"""
DAND = """\
model: {type: dand, encoder: encoder/model.safetensors, latents: 4, width: 4}
data: {type: faces, count: 40}
training: {steps: 4, batch: 4, samples: 2, threads: 1}
"""
RUN = """\
phosphene: 1
source: {type: nifti, path: run-2_bold.nii, events: run-2_events.tsv}
filters:
  - {type: mask, file: mask.nii}
  - {type: normalise, mode: percent, baseline: 20}
decoder: {type: posterior, model: m.safetensors, samples: 5}
generators:
  - {type: dand, model: dand/model.safetensors}
  - {type: dand, name: samples, show: samples, model: dand/model.safetensors}
sinks:
  - {type: record, images: all}
engine: {out_dir: recording}
display: {axes: axes.safetensors}
"""


class DandLive(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        make_session(self.folder)
        for name, recipe in (("encoder", ENCODER), ("dand", DAND)):
            self.write(name + ".yaml", recipe)
            self.phos("train", name + ".yaml", "--out", name, "--quiet")
        model, metadata = tensors.read(self.path("dand", "model.safetensors"))
        model["dand.g.deconv.5.weight"] = model["dand.g.deconv.5.weight"] * 50  # hardly trained: grey without
        tensors.write(self.path("dand", "model.safetensors"), model, metadata)
        self.phos("fit", "posterior", "--run", "run.yaml", "--stimuli", "pictures", "--out", "m.safetensors",
                  "--latents", "latents.safetensors", "--bold", "run-1_bold.nii", "--events", "run-1_events.tsv")
        attributes = np.random.default_rng(2).normal(size=(PICTURES, 2)).astype("f4")
        tensors.write(self.path("set.safetensors"), {"attributes": attributes}, {"attribute_names": "age\nsmile"})
        self.phos("axes", "latents.safetensors", "set.safetensors", "--out", "axes.safetensors")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def phos(self, *args, code=0):
        run = subprocess.run([PHOS, *args], capture_output=True, text=True, timeout=200, cwd=self.folder)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        return run

    def strips(self):
        """Pictures of the samples by trial, in the order of their revisions: arrays [5][64][64][3]."""
        found = {}
        for path in sorted(glob.glob(self.path("recording", "bids", "**", "figures", "desc-samples_*.png"),
                                     recursive=True)):
            trial = os.path.basename(path).split("trial-")[1].split("_")[0]
            rgb = png.read(path).astype(float)
            self.assertEqual(rgb.shape, (64, 5 * 64, 3))
            found.setdefault(trial, []).append(rgb.reshape(64, 5, 64, 3).swapaxes(0, 1))
        return found

    def test_run(self):
        self.write("live.yaml", RUN)
        done = self.phos("live", "live.yaml", "--headless")
        self.assertNotIn("no panel", done.stderr)
        strips = self.strips()
        self.assertGreater(len(strips), 20)
        spread = [[strip.std(axis=0).mean() for strip in trial] for trial in strips.values() if len(trial) > 5]
        self.assertGreater(min(s[0] for s in spread), 0)  # the prior: five faces
        narrower = [s[-1] < 0.7 * s[0] for s in spread]
        self.assertGreater(np.mean(narrower), 0.9, [(s[0], s[-1]) for s in spread])
        window = png.read(self.path("recording", "window.png"))
        self.assertEqual(window.shape, (720, 1280, 3))
        self.phos("stimuli", "faces", "--out", "faces", "--n", str(PICTURES), "--no-png")
        self.phos("report", "recording", "--stimuli", "faces")
        with open(self.path("recording", "report.json")) as f:
            self.assertEqual(list(json.load(f)["generators"]), ["dand"])

    def test_refusals(self):
        self.write("live.yaml", RUN.replace(", samples: 5", ""))
        self.assertIn("set the decoder's `samples`", self.phos("live", "live.yaml", "--headless", code=78).stderr)
        axes, metadata = tensors.read(self.path("axes.safetensors"))
        axes["axes"] = np.pad(axes["axes"], ((0, 0), (0, 1)))
        tensors.write(self.path("axes.safetensors"), axes, metadata)
        self.write("live.yaml", RUN.replace("images: all", "images: none"))
        done = self.phos("live", "live.yaml", "--headless")
        self.assertIn("are of %d latents of another model than the decoder's %d: no panel" % (FACTORS + 1, FACTORS),
                      done.stderr)
        del axes["r2"]
        tensors.write(self.path("axes.safetensors"), axes, metadata)
        self.assertIn("display.axes", self.phos("live", "live.yaml", "--headless", code=65).stderr)


if __name__ == "__main__":
    unittest.main()
