#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run files with mistakes: phos check and phos live say where (line and column) and what to do, end
with the documented exit code, and leave nothing behind."""
import os
import re
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import live  # noqa: E402
import nifti  # noqa: E402

PHOS = sys.argv.pop(1)
GOOD = live.run_text()


class RunFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.base.cleanup)
        cls.s = live.Session(PHOS, cls.base.name)
        cls.addClassCleanup(cls.s.close)

    def refused(self, text, *words, place=None, code=78):
        """The run file is refused by check, with all the words, and at the place if one is given."""
        self.s.write("bad.yaml", text)
        done = self.s.phos_run("check", "bad.yaml")
        self.assertEqual(done.returncode, code, (text, done.stderr))
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        if place:
            line = text.splitlines().index(next(t for t in text.splitlines() if place in t)) + 1
            column = text.splitlines()[line - 1].index(place) + 1
            self.assertIn(f"bad.yaml:{line}:{column}", done.stderr)
        live_run = self.s.phos_run("live", "bad.yaml", "--headless", "--out", "none")
        self.assertEqual((live_run.returncode, live_run.stderr), (code, done.stderr))
        self.assertFalse(os.path.exists(self.s.path("none")))

    def test_good(self):
        done = self.s.check("check", "run.yaml")
        self.assertIn("valid", done.stdout)
        printed = self.s.check("check", "run.yaml", "--print").stdout
        self.s.write("printed.yaml", printed)
        again = self.s.check("check", "printed.yaml", "--print").stdout
        self.assertEqual(re.sub("^title.*", "", printed), re.sub("^title.*", "", again))
        self.assertIn("queue_depth", printed)

    def test_unknown_keys(self):
        self.refused(GOOD.replace("fwhm_mm: 8", "fwhm_nm: 8"), "fwhm_nm", "did you mean 'fwhm_mm'",
                     place="8}")
        self.refused(GOOD.replace("type: smooth", "type: smoth"), "did you mean", "smooth", place="smoth")
        self.refused(GOOD.replace("decoder:", "decodr:"), "did you mean 'decoder'", place="decodr")
        self.refused(GOOD + "engine: {worker: 2}\n", "did you mean 'workers'", place="2}")
        self.refused(GOOD.replace("stimuli: stimuli", "stimulus: stimuli"), "did you mean 'stimuli'")

    def test_wrong_values(self):
        self.refused(GOOD.replace("fwhm_mm: 8", "fwhm_mm: wide"), "fwhm_mm", "wide", place="wide")
        self.refused(GOOD.replace("fwhm_mm: 8", "fwhm_mm: -3"), "fwhm_mm", "-3", place="-3")
        self.refused(GOOD.replace("fwhm_mm: 8", "fwhm_mm: [1, [2]]"), "fwhm_mm")
        self.refused(GOOD.replace("mode: percent", "mode: permil"), "percent", place="permil")
        self.refused(GOOD + "engine: {queue_depth: 100000}\n", "256", place="100000")
        self.refused(GOOD + "engine: {queue_depth: 1.5}\n", "queue_depth", place="1.5")
        self.refused(GOOD + "engine: [1]\n", "mapping")
        self.refused(GOOD.replace("phosphene: 1", "phosphene: 2"), "version 1")
        self.refused(GOOD.replace("{type: posterior, model: model.safetensors}", "{type: posterior}"), "model")
        self.refused(GOOD.replace("stimuli: stimuli", "stimuli: stimuli, operator: {width: 10}"), "640",
                     place="10}")

    def test_no_yaml(self):
        for text in ("", "a", "[1, 2]", "a: [", "\t- x", "\0\1\2", "a: &x [*x]\n", "phosphene: 1\nphosphene: 1\n",
                     "x" * 100000, "[" * 10000, "{a: " * 10000, GOOD + GOOD):
            with self.subTest(text=text[:20]):
                self.s.write("bad.yaml", text)
                done = self.s.phos_run("check", "bad.yaml")
                self.assertEqual(done.returncode, 78, (text[:40], done.stderr[:300]))
                self.assertIn("bad.yaml", done.stderr)

    def test_no_file(self):
        for command in (["check"], ["live", "--headless"], ["replay", self.s.bold, "--run"]):
            done = self.s.phos_run(*command, "none.yaml")
            self.assertEqual(done.returncode, 66, done.stderr)
            self.assertIn("none.yaml", done.stderr)

    def replayed(self, text, code, *words, bold=None, sets=()):
        """A mistake that shows once the stages are made: where the run file names another file."""
        self.s.write("bad.yaml", text)
        done = self.s.phos_run("replay", bold or self.s.bold, "--run", "bad.yaml", "--events", self.s.events_path,
                               *sets)
        self.assertEqual(done.returncode, code, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_missing_model(self):
        self.replayed(GOOD.replace("model: model.safetensors", "model: none.safetensors"), 66, "none.safetensors")
        with open(self.s.path("model.safetensors"), "rb") as f:
            model = f.read()
        for name, data in (("empty", b""), ("cut", model[: len(model) // 2]), ("noise", b"\xff" * 1000)):
            with open(self.s.path(name + ".safetensors"), "wb") as f:
                f.write(data)
            self.replayed(GOOD.replace("model: model.safetensors", f"model: {name}.safetensors"), 65, name)
        self.replayed(GOOD.replace("model: model.safetensors", "model: stimuli/stimuli.safetensors"), 65,
                      "stimuli.safetensors")

    def test_model_of_another_chain(self):
        self.replayed(GOOD.replace("fwhm_mm: 8", "fwhm_mm: 6"), 65, "smooth", "other filters", "fwhm_mm=6",
                      "set accept_chain")

    def test_model_of_another_grid(self):
        volumes = self.s.volumes[:, :-1]
        nifti.write(self.s.path("other_bold.nii"), volumes.copy(), voxel_mm=live.VOXEL_MM, tr_s=live.TR)
        nifti.write(self.s.path("other_reference.nii"), volumes[:5].mean(0).astype("<f4"), voxel_mm=live.VOXEL_MM)
        nifti.write(self.s.path("other_mask.nii"), live.head()[:-1].astype("<i2"), voxel_mm=live.VOXEL_MM)
        text = GOOD.replace("reference.nii", "other_reference.nii").replace("mask.nii", "other_mask.nii")
        self.replayed(text, 65, "14 x 14 x 7", "14 x 14 x 8", bold=self.s.path("other_bold.nii"))
        text = GOOD.replace("mask.nii", "other_mask.nii")  # the mask alone
        self.replayed(text, 65, "mask", "14 x 14 x 7")

    def test_set(self):
        for given, word in (("smooth.fwhm_nm=3", "did you mean"), ("smoth.fwhm_mm=3", "smoth"),
                            ("smooth.fwhm_mm=-1", "fwhm_mm"), ("smooth", "stage.key=value")):
            done = self.s.phos_run("check", "run.yaml", "--set", given)
            self.assertEqual(done.returncode, 78, done.stderr)
            self.assertIn(word, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
