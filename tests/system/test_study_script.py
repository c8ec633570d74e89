#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tools/study-dand at the smallest sizes, on the real run in the tree: it ends with tables and sheets of the study and
of the control, drops the simulated volumes, and started again decodes nothing anew; unknown brains are refused."""
import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

PHOS = os.path.abspath(sys.argv.pop(1))
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "study-dand")
SIZES = ["--train", "100", "--train-repeats", "1", "--test", "6", "--test-repeats", "1", "--runs", "2",
         "--test-runs", "1"]


class Study(unittest.TestCase):
    def run_script(self, folder, brains, code=0):
        run = subprocess.run([SCRIPT, "--out", folder, *SIZES, "--brains", brains], capture_output=True, text=True,
                             env=dict(os.environ, PHOS=PHOS))
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        return run

    def test_study(self):
        with tempfile.TemporaryDirectory() as folder:
            self.run_script(folder, "latents energy")
            for name, subject in (("study", 1), ("control-2", 1)):
                with open(os.path.join(folder, name, "table.json")) as f:
                    report = json.load(f)
                rows = [row["method"] for row in report["table"]]
                for method in ("DAND", "linear", "eigenface", "identity"):
                    self.assertIn(f"{method}, subject {subject}", rows)
                self.assertEqual(report["pictures"], 6)
            self.assertEqual(len(report["decoded_attributes"]), 0)
            sheets = ("reconstructions", "traversals", "interpolation", "samples", "axes", "identification")
            for sheet in sheets:
                self.assertGreater(os.path.getsize(os.path.join(folder, "study", sheet + ".png")), 2000)
            self.assertEqual(glob.glob(os.path.join(folder, "sub-*", "**", "*_bold.nii"), recursive=True), [])
            decoded = sorted(glob.glob(os.path.join(folder, "sub-*", "*-decoded.safetensors")))
            self.assertEqual(len(decoded), 6)
            times = [os.path.getmtime(path) for path in decoded]
            again = self.run_script(folder, "latents energy")
            self.assertNotIn("simulated session", again.stdout)
            self.assertEqual([os.path.getmtime(path) for path in decoded], times)
            self.assertIn("no brain 'dreams'", self.run_script(folder, "latents energy dreams", code=2).stderr)


if __name__ == "__main__":
    unittest.main()
