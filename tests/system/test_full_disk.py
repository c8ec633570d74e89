#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A disk that takes nothing more in the middle of a run: acknowledgements stop, the operator is told,
the engine goes on, and once there is room again the run is taken up and nothing is lost. The disk is
a limit on the size of files that this test sets on the running engine and lifts again."""
import os
import resource
import signal
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import live  # noqa: E402

PHOS = sys.argv.pop(1)
FULL = (0, resource.RLIM_INFINITY)
ROOM = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


class FullDisk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as a full disk: an error, no signal
        cls.base = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.base.cleanup)
        cls.s = live.Session(PHOS, cls.base.name)
        cls.addClassCleanup(cls.s.close)

    def test_full_for_a_while(self):
        out = self.s.path("out")
        engine = self.s.live("out", restore_signals=False)
        sender = self.s.send(speed="15")
        live.wait_for(lambda: live.n_journalled(out + "/journal") >= 15, "volumes in the journal")
        resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, FULL)
        time.sleep(0.5)
        standing = live.n_journalled(out + "/journal")
        time.sleep(1.5)
        self.assertIsNone(engine.poll())
        self.assertIsNone(sender.poll())
        self.assertEqual(live.n_journalled(out + "/journal"), standing)
        self.assertLess(standing, live.N_TEST)
        resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, ROOM)
        report = self.s.finish_sender(sender)
        self.assertEqual((report["received"], report["lost"]), (live.N_TEST, 0))
        engine.wait(60)
        with open(engine.base + ".log") as f:
            log = f.read()
        self.assertIn(engine.returncode, (0, 1), log)
        self.assertIn("journal", log)
        events = live.check_journal(out + "/journal", self.s.volumes)
        self.assertEqual(events, len(self.s.events))
        # what was decoded meanwhile is made again from the journal, whatever happened to the results
        self.s.check("replay", "out", "--out", "again")
        self.s.check("replay", self.s.bold, "--run", "run.yaml", "--events", self.s.events_path, "--out", "wanted")
        self.assertEqual(live.result_hash(self.s.path("again")), live.result_hash(self.s.path("wanted")))

    def test_engine_killed_while_full(self):
        """The sender waits for the engine that comes after, with all that was not acknowledged."""
        self.s.new_ports()
        out = self.s.path("killed")
        engine = self.s.live("killed", restore_signals=False)
        sender = self.s.send(speed="20")
        live.wait_for(lambda: live.n_journalled(out + "/journal") >= 10, "volumes in the journal")
        resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, FULL)
        time.sleep(0.7)
        live.kill(engine)
        engine = self.s.live("killed")
        self.s.finish_sender(sender)
        self.s.finish(engine)
        live.check_journal(out + "/journal", self.s.volumes)

    def test_no_room_at_the_start(self):
        done = self.s.phos_run("live", "run.yaml", "--headless", "--out", "/proc/no/room")
        self.assertEqual(done.returncode, 73, done.stderr)
        self.assertIn("/proc/no/room", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
