#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kill -9 at random moments, again and again, of the engine and of the sender: every acknowledged
volume stands in the journal at once, and in the end each is there once, in order, byte for byte."""
import json
import os
import random
import sys
import tempfile
import time
import unittest
import zlib

import numpy
import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import live  # noqa: E402
import nifti  # noqa: E402

PHOS = sys.argv.pop(1)
N, N_KILLS = 300, 24
RUN = """phosphene: 1
source: {type: wire, linger_s: 0.3}
filters:
  - {type: mask}
  - {type: normalise}
sinks:
  - {type: record, bids: false}
"""


class Sender:
    """phosphene/1's scanner side, in this process, so that it knows what was acknowledged. Restarted
    by close() and a new one."""

    def __init__(self, to, volumes):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 20)
        self.socket.connect(to)
        self.images = volumes
        self.sent, self.under_way, self.credit, self.done = 0, set(), 0, False
        self.heard = self.said = 0.0
        self.acknowledged = set()

    def say(self, payload=None, **message):
        frames = [json.dumps({"p": "phosphene/1", **message}).encode()]
        try:
            self.socket.send_multipart(frames + ([payload] if payload else []), zmq.NOBLOCK)
        except zmq.Again:
            pass  # no engine: HELLO comes again

    def hello(self):
        self.credit, self.said = 0, time.monotonic()
        self.say(type="HELLO", session="1", run="1", tr=live.TR, dims=live.SHAPE[::-1], datatype="int16",
                 volumes=len(self.images), sender="test")

    def step(self, wait_ms):
        if self.socket.poll(wait_ms):
            self.hear(json.loads(self.socket.recv_multipart()[0]))
        elif time.monotonic() - max(self.heard, self.said) > 0.3:
            self.hello()
        while self.credit > len(self.under_way) and self.sent < len(self.images):
            payload = self.images[self.sent]
            self.say(payload, type="VOLUME", index=self.sent, encoding="nifti", crc32=zlib.crc32(payload))
            self.under_way.add(self.sent)
            self.sent += 1
            if self.sent % 2:
                return

    def hear(self, message):
        self.heard = time.monotonic()
        if message["type"] == "WELCOME":
            self.sent, self.credit, self.under_way = message["next"], message["credit"], set()
        elif message["type"] == "ACK":
            assert message["journalled"]
            self.under_way.discard(message["index"])
            self.acknowledged.add(message["index"])
        elif message["type"] == "PING":
            self.say(type="PONG", sent=message["sent"], now=time.monotonic_ns())
        elif message["type"] == "DONE":
            self.done = True
        elif message["type"] == "ERROR":
            assert message["code"] in ("hello", "missing", "flow"), message
            self.hello()
        if self.sent == len(self.images) and not self.under_way and not self.done:
            self.say(type="END", volumes=len(self.images))

    def close(self):
        self.context.destroy(0)


class KillStorm(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.s = live.Session(PHOS, folder.name, with_model=False)
        self.addCleanup(self.s.close)
        self.s.write("run.yaml", RUN)
        rng = numpy.random.default_rng(7)
        self.volumes = rng.integers(100, 1000, (N, *live.SHAPE)).astype("<i2")
        nifti.write(self.s.bold, self.volumes, voxel_mm=live.VOXEL_MM, tr_s=live.TR)
        self.journal = self.s.path("out/journal")

    def check_end(self, engine):
        summary, log = self.s.finish(engine)
        self.assertEqual((summary["missing"], summary["failures"]), (0, 0))
        live.check_journal(self.journal, self.volumes)
        self.assertNotIn("damage", log)

    def test_storm(self):
        """Sender and engine are both real processes."""
        rng = random.Random(11)
        engine, sender = self.s.live("out"), self.s.send(speed="30", events=False)
        kills = {"engine": 0, "sender": 0}
        for _ in range(N_KILLS):
            time.sleep(rng.uniform(0.05, 0.7))
            if engine.poll() is not None or sender.poll() is not None:
                break
            if rng.random() < 0.5:
                live.kill(engine)
                engine = self.s.live("out")
                kills["engine"] += 1
            else:
                live.kill(sender)
                sender = self.s.send(speed="30", events=False)
                kills["sender"] += 1
        report = self.s.finish_sender(sender)
        self.assertEqual((report["received"], report["lost"]), (N, 0))
        self.check_end(engine)
        self.assertGreaterEqual(min(kills.values()), 4, kills)

    def test_acknowledged_is_journalled(self):
        """After each kill the journal holds what was acknowledged, before any restart."""
        rng = random.Random(12)
        images = [live.image_bytes(v) for v in self.volumes]
        engine, sender = self.s.live("out"), Sender(self.s.to, images)
        acknowledged = sender.acknowledged
        n_kills, mark = 0, 10
        end = time.monotonic() + 90
        while not sender.done:
            self.assertLess(time.monotonic(), end, len(acknowledged))
            sender.step(20)
            if len(acknowledged) < mark:
                continue
            live.kill(engine)
            n_kills += 1
            mark += rng.randint(20, 40)
            standing = {r.index for r in live.read_journal(self.journal) if r.kind == "volume"}
            self.assertLessEqual(acknowledged, standing)
            engine = self.s.live("out")
            if n_kills % 3 == 0:  # and the sender with it
                sender.close()
                sender = Sender(self.s.to, images)
                sender.acknowledged = acknowledged
        sender.close()
        self.check_end(engine)
        self.assertGreaterEqual(n_kills, 7)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
