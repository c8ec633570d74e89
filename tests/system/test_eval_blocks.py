#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""phos eval blocks on simulated localizers: categories are told apart when their patterns differ, not when
only the common response is there, and events that cannot be tested are named."""
import gzip
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np

PHOS = sys.argv.pop(1)
TR, N, SHAPE = 2.0, 168, (4, 8, 10)
LABELS = ["a", "b", "c", "d"]


def run(*args):
    return subprocess.run([PHOS, "eval", "blocks", *args], capture_output=True, text=True, timeout=120)


class Blocks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def simulate(self, seed, distinct):
        rng = np.random.default_rng(seed)
        order = rng.permutation(np.repeat(LABELS, 3))
        common = rng.uniform(0.5, 1.5, SHAPE)
        own = {label: rng.normal(size=SHAPE) for label in LABELS}
        x = 1000 + 10 * rng.normal(size=(N, *SHAPE))
        rows = ["onset\tduration\ttrial_type"]
        for k, label in enumerate(order):
            onset = 8 + 26 * k
            rows += [f"{onset + s}\t1.5\t{label}" for s in range(0, 14, 2)]
            v = int((onset + 4) // TR)
            x[v:v + 7] += 10 * (common + distinct * own[label])
        header = bytearray(352)
        struct.pack_into("<i", header, 0, 348)
        struct.pack_into("<8h", header, 40, 4, *SHAPE[::-1], N, 1, 1, 1)
        struct.pack_into("<hh", header, 70, 16, 32)
        struct.pack_into("<8f", header, 76, 1, 3, 3, 3, TR, 0, 0, 0)
        struct.pack_into("<f", header, 108, 352)
        header[123] = 10
        struct.pack_into("<h", header, 254, 1)
        struct.pack_into("<12f", header, 280, 3, 0, 0, 0, 0, 3, 0, 0, 0, 0, 3, 0)
        header[344:348] = b"n+1\0"
        for name, volumes in (("bold.nii.gz", x), ("mask.nii.gz", np.ones((1, *SHAPE)))):
            struct.pack_into("<h", header, 48, len(volumes))
            with gzip.open(self.path(name), "wb", compresslevel=1) as f:
                f.write(bytes(header) + volumes.astype("<f4").tobytes())
        with open(self.path("events.tsv"), "w") as f:
            f.write("\n".join(rows) + "\n")

    def report(self, *extra):
        done = run("--bold", self.path("bold.nii.gz"), "--mask", self.path("mask.nii.gz"), "--events",
                   self.path("events.tsv"), "--top", "150", "--drift", "0", "--draws", "199", "--json", *extra)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_distinct_patterns_are_found(self):
        self.simulate(1, 1.0)
        r = self.report("--out", self.path("out"))
        self.assertEqual((r["blocks"], r["labels"]), (12, 4))
        self.assertGreater(r["two_way"]["value"], 0.95)
        self.assertLess(r["two_way"]["p"], 0.01)
        course = {c["after_onset_s"]: c["evidence"] for c in r["course"]}
        self.assertGreater(course[8], 0.3)
        self.assertLess(abs(course[0]), 0.15)
        for name in ("evidence.png", "two_way.png", "report.json"):
            self.assertGreater(os.path.getsize(self.path("out/" + name)), 500)

    def test_a_common_response_is_not_a_category(self):
        scores = []
        for seed in range(2, 7):
            self.simulate(seed, 0.0)
            scores.append(self.report()["two_way"])
        self.assertLess(abs(np.mean([s["value"] for s in scores]) - 0.5), 0.12)
        self.assertLessEqual(sum(s["p"] <= 0.05 for s in scores), 2)

    def test_events_that_cannot_be_tested_are_named(self):
        self.simulate(1, 1.0)
        for row, words in (("300\t4\tlonely", "'lonely' has 1 block"), ("9000\t4\ta", "beyond the run")):
            with open(self.path("odd.tsv"), "w") as f:
                with open(self.path("events.tsv")) as events:
                    f.write(events.read() + row + "\n")
            done = run("--bold", self.path("bold.nii.gz"), "--mask", self.path("mask.nii.gz"), "--events",
                       self.path("odd.tsv"))
            self.assertEqual(done.returncode, 65, done.stderr)
            self.assertIn(words, done.stderr)
        self.assertEqual(run("--events", self.path("events.tsv")).returncode, 2)


if __name__ == "__main__":
    unittest.main()
