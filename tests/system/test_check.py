#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""phos check: what a run file points at must be there and of the right kind, and the display's settings must
be right; every complaint begins with the file, line and column of the value at fault."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np

PHOS = os.path.abspath(sys.argv.pop(1))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import nifti  # noqa: E402

RUN = """\
phosphene: 1
source: {type: nifti, path: run.nii}
filters:
  - type: realign
    reference: run.nii
  - {type: mask, file: mask.nii}
display:
  operator: {width: 800}
"""
DECODER = "decoder: {type: posterior, model: model.safetensors}\n"


class Check(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        nifti.write(str(self.folder / "run.nii"), np.ones((3, 6, 6, 6), "<f4"))
        nifti.write(str(self.folder / "mask.nii"), np.ones((1, 6, 6, 6), "<f4"))

    def check(self, text, *args, code=78):
        (self.folder / "run.yaml").write_text(text)
        run = subprocess.run([PHOS, "check", "run.yaml", *args], capture_output=True, text=True, timeout=60,
                             cwd=self.folder)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        return run.stdout if code == 0 else run.stderr

    def test_right(self):
        self.assertEqual(self.check(RUN, code=0), "run.yaml: valid\n")

    def test_missing_files(self):
        for name, place in {"mask.nii": "6:24: mask.file", "run.nii": "2:29: nifti.path"}.items():
            (self.folder / name).rename(self.folder / "away")
            self.assertIn(f"run.yaml:{place}: cannot read '{self.folder}/{name}': No such file", self.check(RUN))
            self.check(RUN, "--no-files", code=0)
            self.check(RUN, "--print", code=0)
            (self.folder / "away").rename(self.folder / name)
        answer = self.check(RUN, "--set", "realign.reference=elsewhere.nii")
        self.assertIn("run.yaml:4:11: realign.reference: cannot read", answer)

    def test_damaged_image(self):
        (self.folder / "mask.nii").write_bytes(b"not an image" * 100)
        self.assertIn("run.yaml:6:24: mask.file: ", self.check(RUN))

    def test_models(self):
        model = self.folder / "model.safetensors"
        for header, complaint in (({}, "no 'phosphene.kind'"),
                                  ({"__metadata__": {"phosphene.kind": "dand", "phosphene.version": "1"}},
                                   "is of kind 'dand', needed is 'posterior'")):
            text = json.dumps(header).encode()
            model.write_bytes(len(text).to_bytes(8, "little") + text)
            answer = self.check(RUN + DECODER)
            self.assertIn("run.yaml:9:35: posterior.model: ", answer)
            self.assertIn(complaint, answer)
        model.write_bytes(b"\xff" * 20)
        self.assertIn("run.yaml:9:35: posterior.model: ", self.check(RUN + DECODER))

    def test_display(self):
        self.assertIn("run.yaml:8:21: display.operator.width takes a whole number from 640 to 8192",
                      self.check(RUN.replace("800", "80")))
        wrong = RUN.replace("width", "widht")
        self.assertIn("did you mean 'operator.width'?", self.check(wrong))
        self.check(wrong, "--no-files")
        stimuli = RUN + "  stimuli: faces\n"
        self.assertIn("run.yaml:9:12: display.stimuli: ", self.check(stimuli))
        self.check(stimuli, "--no-files", code=0)

    def test_json(self):
        (self.folder / "mask.nii").unlink()
        (self.folder / "run.yaml").write_text(RUN)
        run = subprocess.run([PHOS, "check", "run.yaml", "--json"], capture_output=True, text=True, timeout=60,
                             cwd=self.folder)
        answer = json.loads(run.stdout)
        self.assertFalse(answer["valid"])
        self.assertTrue(answer["error"].startswith("run.yaml:6:24: mask.file: cannot read"))


if __name__ == "__main__":
    unittest.main()
