#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""phos live on a real run over the wire: an undisturbed run, one whose engine is killed with -9 again
and again, one whose sender is, and a replay give byte-identical results; every volume is in the
exported dataset as it was sent."""
import glob
import hashlib
import json
import os
import signal
import socket as sockets
import contextlib
import subprocess
import sys
import tempfile
import time
import unittest

import nibabel
import numpy

PHOS = os.path.abspath(sys.argv.pop(1))
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data", "bold")
BOLD = glob.glob(os.path.join(DATA, "pyneal*bold.nii.gz"))[0]
READER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "clients",
                      "read_feedback.py")
N = 30


def free_port():
    with contextlib.closing(sockets.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class LiveWire(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.TemporaryDirectory()
        image = nibabel.load(BOLD)
        cls.raw = numpy.asarray(image.dataobj.get_unscaled())[..., :N]
        cls.bold = os.path.join(cls.base.name, "run.nii")
        image.slicer[..., :N].to_filename(cls.bold)
        cls.events = os.path.join(cls.base.name, "events.tsv")
        with open(cls.events, "w") as f:
            f.write("onset\tduration\ttrial_type\n" + "".join(f"{2.5 * i}\t1\tface\n" for i in range(10)))
        cls.reference = None

    @classmethod
    def tearDownClass(cls):
        cls.base.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.out = os.path.join(self.folder, "out")
        self.ports = [free_port() for _ in range(3)]
        self.run_file = os.path.join(self.folder, "run.yaml")
        with open(self.run_file, "w") as f:
            f.write("phosphene: 1\n"
                    f"source: {{type: wire, volumes: 'tcp://127.0.0.1:{self.ports[0]}', "
                    f"control: 'tcp://127.0.0.1:{self.ports[2]}', linger_s: 0.3}}\n"
                    "filters:\n  - {type: realign}\n  - {type: mask, n_volumes: 3}\n  - {type: quality}\n"
                    "  - {type: normalise}\n"
                    f"sinks:\n  - {{type: publish, endpoint: 'tcp://127.0.0.1:{self.ports[1]}'}}\n"
                    "  - {type: record}\n")

    def engine(self):
        log = open(os.path.join(self.folder, "log"), "a")
        self.addCleanup(log.close)
        process = subprocess.Popen([PHOS, "live", self.run_file, "--out", self.out, "--headless", "--json"],
                                   stdout=subprocess.PIPE, stderr=log, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def sender(self, speed):
        process = subprocess.Popen([PHOS, "send", self.bold, "--events", self.events, "--speed", speed,
                                    "--to", f"tcp://127.0.0.1:{self.ports[0]}", "--control",
                                    f"tcp://127.0.0.1:{self.ports[2]}", "--wait", "60", "--json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def log(self):
        with open(os.path.join(self.folder, "log")) as f:
            return f.read()

    def journal_bytes(self):
        return sum(os.path.getsize(p) for p in glob.glob(os.path.join(self.out, "journal", "*.phj")))

    def wait_for_volumes(self, n):
        size, end = self.raw[..., 0].nbytes, time.monotonic() + 60
        while self.journal_bytes() < n * size:
            self.assertLess(time.monotonic(), end, self.log())
            time.sleep(0.02)

    def results(self, out):
        tables = glob.glob(os.path.join(out, "bids/derivatives/phosphene/**/*confounds*.tsv"),
                           recursive=True)
        self.assertEqual(len(tables), 1)
        with open(tables[0], "rb") as f:
            text = f.read()
        self.assertEqual(text.count(b"\n"), N + 1)
        self.assertNotIn(b"\t1\t0\n", text)  # no volume missing
        return hashlib.sha256(text).hexdigest()

    def check(self, process, sender):
        out, err = sender.communicate(timeout=120)
        self.assertEqual(sender.returncode, 0, err + self.log())
        self.assertEqual(json.loads(out)["received"], N)
        out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, self.log())
        summary = json.loads(out)
        self.assertEqual((summary["volumes"], summary["missing"], summary["events"]), (N, 0, 10))
        bold = glob.glob(os.path.join(self.out, "bids/sub-*/ses-*/func/*_bold.nii.gz"))
        self.assertTrue(numpy.array_equal(
            numpy.asarray(nibabel.load(bold[0]).dataobj.get_unscaled()), self.raw))
        found = self.results(self.out)
        type(self).reference = type(self).reference or found
        self.assertEqual(found, self.reference)

    def test_undisturbed_then_replayed(self):
        reader = subprocess.Popen(["/usr/bin/python3", READER, "quality",
                                   f"tcp://127.0.0.1:{self.ports[1]}", "3"],
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(reader.kill)
        self.check(self.engine(), self.sender("15"))
        messages = [json.loads(line.split(" ", 1)[1]) for line in reader.communicate(timeout=60)[0].splitlines()]
        self.assertEqual(len(messages), 3)
        self.assertTrue(all(len(m["motion"]) == 6 for m in messages), messages)
        again = os.path.join(self.folder, "again")
        replay = subprocess.run([PHOS, "replay", self.out, "--out", again, "--json"],
                                capture_output=True, text=True, timeout=120)
        self.assertEqual(replay.returncode, 0, replay.stderr)
        self.assertEqual(self.results(again), self.reference)

    def test_engine_killed(self):
        sender = self.sender("10")
        process = self.engine()
        for n in (6, 14, 22):
            self.wait_for_volumes(n)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process = self.engine()
        self.check(process, sender)

    def test_sender_killed(self):
        process = self.engine()
        for n in (8, 18):
            sender = self.sender("10")
            self.wait_for_volumes(n)
            sender.kill()
            sender.wait()
        self.check(process, self.sender("max"))


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
