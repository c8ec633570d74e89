#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same run gives the same latents, pictures and quality, bit for bit, however it came: live,
replayed from its journal or from NIfTI, with any number of workers and any depth of queues, with the
engine killed once and twice on the way, with the sender killed."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import live  # noqa: E402

PHOS = sys.argv.pop(1)


class Identical(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.base.cleanup)
        cls.s = live.Session(PHOS, cls.base.name)
        cls.addClassCleanup(cls.s.close)
        sinks = "  - {type: record, images: all, task: faces}\n"
        cls.s.write("run.yaml", live.run_text(sinks=sinks))
        cls.s.write("stream.yaml", live.run_text(decoder="stream", sinks=sinks))
        cls.wanted = cls.replay_nifti("wanted")

    @classmethod
    def replay_nifti(cls, out, *more, run="run.yaml"):
        cls.s.check("replay", cls.s.bold, "--run", run, "--events", cls.s.events_path, "--out", out, *more)
        return live.result_hash(cls.s.path(out))

    def setUp(self):
        self.s.new_ports()
        self.out = self._testMethodName

    def journalled(self):
        return live.n_journalled(self.s.path(self.out + "/journal"))

    def check_recording(self, wanted=None):
        events = live.check_journal(self.s.path(self.out + "/journal"), self.s.volumes)
        self.assertEqual(events, len(self.s.events))
        self.assertEqual(live.result_hash(self.s.path(self.out)), wanted or self.wanted)

    def test_live_and_its_replay(self):
        engine, sender = self.s.live(self.out), self.s.send()
        report = self.s.finish_sender(sender)
        self.assertEqual((report["received"], report["lost"], report["duplicates"]), (live.N_TEST, 0, 0))
        summary, _ = self.s.finish(engine)
        self.assertEqual((summary["volumes"], summary["missing"], summary["failures"]), (live.N_TEST, 0, 0))
        self.check_recording()
        self.s.check("replay", self.out, "--out", self.out + "-again")
        self.assertEqual(live.result_hash(self.s.path(self.out + "-again")), self.wanted)

    def test_queues_and_workers(self):
        for depth in (1, 2, 8):
            for workers in (1, 2, 8):
                with self.subTest(depth=depth, workers=workers):
                    got = self.replay_nifti(f"{self.out}-{depth}-{workers}", "--set",
                                            f"engine.queue_depth={depth}", "--set",
                                            f"engine.workers={workers}")
                    self.assertEqual(got, self.wanted)

    def kill_engine(self, times, run="run.yaml", wanted=None):
        sender = self.s.send(speed="15")
        engine = self.s.live(self.out, run=run)
        for k in range(times):
            live.wait_for(lambda: self.journalled() >= 15 * (k + 1), "volumes in the journal")
            live.kill(engine)
            engine = self.s.live(self.out, run=run)
        self.s.finish_sender(sender)
        self.s.finish(engine)
        self.check_recording(wanted)

    def test_engine_killed(self):
        self.kill_engine(1)

    def test_engine_killed_twice(self):
        self.kill_engine(2)

    def test_engine_of_a_streaming_decoder_killed(self):
        self.kill_engine(1, "stream.yaml", self.replay_nifti("stream", run="stream.yaml"))

    def test_sender_killed(self):
        engine, sender = self.s.live(self.out), self.s.send(speed="15")
        live.wait_for(lambda: self.journalled() >= 20, "volumes in the journal")
        live.kill(sender)
        self.s.finish_sender(self.s.send())
        self.s.finish(engine)
        self.check_recording()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
