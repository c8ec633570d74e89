#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whatever peers send, the run goes on: while a sender plays a run, others send damage, lies and
noise, or never read. Each is answered with an ERROR that says what is wrong, the sender's volumes and
the results stay the same, bit for bit, and the exit codes are as documented."""
import contextlib
import json
import os
import socket as sockets
import struct
import sys
import tempfile
import time
import unittest
import zlib

import numpy
import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import live  # noqa: E402

PHOS = sys.argv.pop(1)


class Peer:
    """A DEALER that says what it is told to."""

    def __init__(self, context, to):
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(to)

    def say(self, payload=None, **message):
        frames = [json.dumps({"p": "phosphene/1", **message}).encode()]
        self.socket.send_multipart(frames + ([payload] if payload is not None else []))

    def hear(self, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.socket.poll(100):
                message = json.loads(self.socket.recv_multipart()[0])
                if message["type"] != "PING":
                    return message
        raise AssertionError("no answer")

    def greet(self, **more):
        self.say(**{**dict(type="HELLO", session="1", run="1", tr=live.TR,
                           dims=live.SHAPE[::-1], datatype="int16", sender="test"), **more})
        return self.hear()

    def volume(self, i, payload, **more):
        self.say(payload, **{**dict(type="VOLUME", index=i, encoding="nifti", crc32=zlib.crc32(payload)),
                             **more})


def swapped(volume):
    """The same image, big-endian, header and voxels."""
    image = bytearray(live.image_bytes(volume))
    for offset, code, n in ((0, "i", 1), (40, "h", 8), (70, "h", 2), (76, "f", 8), (108, "f", 3), (252, "h", 2),
                            (280, "f", 12)):
        values = struct.unpack_from(f"<{n}{code}", image, offset)
        struct.pack_into(f">{n}{code}", image, offset, *values)
    return bytes(image[:352]) + volume.astype(">i2").tobytes()


class BadPeers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.base.cleanup)
        cls.s = live.Session(PHOS, cls.base.name)
        cls.addClassCleanup(cls.s.close)
        cls.s.check("replay", cls.s.bold, "--run", "run.yaml", "--events", cls.s.events_path, "--out", "wanted")
        cls.wanted = live.result_hash(cls.s.path("wanted"))

    def setUp(self):
        self.s.new_ports()
        self.out = self._testMethodName
        self.context = zmq.Context()
        self.addCleanup(self.context.destroy, 0)

    def journalled(self):
        return live.n_journalled(self.s.path(self.out + "/journal"))

    def start(self, speed="20", **more):
        engine, sender = self.s.live(self.out, **more), self.s.send(speed=speed)
        live.wait_for(lambda: self.journalled() >= 3, "volumes in the journal")
        return engine, sender

    def end(self, engine, sender):
        report = self.s.finish_sender(sender)
        self.assertEqual((report["received"], report["lost"]), (live.N_TEST, 0))
        summary, log = self.s.finish(engine)
        self.assertEqual(summary["failures"], 0)
        live.check_journal(self.s.path(self.out + "/journal"), self.s.volumes)
        self.assertEqual(live.result_hash(self.s.path(self.out)), self.wanted)
        return log

    def refused(self, peer, code, *, index=None):
        answer = peer.hear()
        self.assertEqual((answer["type"], answer.get("code")), ("ERROR", code), answer)
        self.assertGreater(len(answer["message"].split()), 2, answer)
        if index is not None:
            self.assertEqual(answer["index"], index)
        return answer

    def test_damaged_messages(self):
        engine, sender = self.start()
        peer = Peer(self.context, self.s.to)
        peer.volume(40, live.image_bytes(self.s.volumes[40]))
        self.refused(peer, "hello")
        for frames in ([b"{"], [b""], [b"\xff\xfe"], [b"[1]"], [b"x" * 65537], [b'{"p":"phosphene/1"}'],
                       [b'{"p":"phosphene/2","type":"END"}'], [b'{"p":"phosphene/1","type":"NOISE"}'],
                       [b'{"p":"phosphene/1","type":"VOLUME","index":-1}'], [b"[" * 60000], [b"a"] * 3):
            peer.socket.send_multipart(frames)
            self.refused(peer, "format")
        self.assertEqual(peer.greet(dims=[30000, 30000, 10])["code"], "geometry")
        self.assertEqual(peer.greet(session="2")["code"], "run")
        self.assertEqual(peer.greet()["type"], "WELCOME")
        self.end(engine, sender)

    def test_damaged_volumes(self):
        engine, sender = self.start(speed="15")
        peer = Peer(self.context, self.s.to)
        self.assertEqual(peer.greet()["type"], "WELCOME")
        good = live.image_bytes(self.s.volumes[55])
        other = numpy.zeros((live.SHAPE[0] + 1, *live.SHAPE[1:]), "<i2")
        huge = good[:40] + struct.pack("<8h", 3, 30000, 30000, 10, 1, 1, 1, 1) + good[56:]
        half_swapped = good[:40] + struct.pack(">8h", 3, *live.SHAPE[::-1], 1, 1, 1, 1) + good[56:]
        for code, payload, more in (
                ("crc", good, {"crc32": 1}), ("crc", good[:-1] + b"~", {"crc32": zlib.crc32(good)}),
                ("image", good[:-1], {}), ("image", good + b"x", {}), ("image", good[:200], {}),
                ("image", b"", {}), ("image", huge, {}), ("image", half_swapped, {}),
                ("image", good, {"encoding": "nifti+zstd"}), ("image", b"\x28\xb5\x2f\xfd" + bytes(500),
                                                              {"encoding": "nifti+zstd"}),
                ("geometry", live.image_bytes(other), {}),
                ("geometry", live.image_bytes(self.s.volumes[55].astype("<f4")), {})):
            peer.volume(55, payload, **more)
            self.refused(peer, code, index=55)
        peer.volume(1 << 40, good)
        self.refused(peer, "limit")
        self.end(engine, sender)

    def test_doubled_and_conflicting(self):
        engine, sender = self.start(speed="15")
        peer = Peer(self.context, self.s.to)
        self.assertEqual(peer.greet()["type"], "WELCOME")
        taken = next(r for r in live.read_journal(self.s.path(self.out + "/journal")) if r.kind == "volume")
        peer.volume(0, taken.payload)
        answer = peer.hear()
        self.assertEqual((answer["type"], answer["index"]), ("ACK", 0), answer)
        lie = live.image_bytes(self.s.volumes[1])
        peer.volume(0, lie)
        self.refused(peer, "conflict", index=0)
        self.end(engine, sender)
        kept = [r.payload for r in live.read_journal(self.s.path(self.out + "/journal")) if r.kind == "conflict"]
        self.assertEqual(kept, [lie])

    def test_noise_on_the_ports(self):
        self.publishing()
        engine, sender = self.start(run="publish.yaml")
        rng = numpy.random.default_rng(1)
        for address in (self.s.to, self.s.control, self.s.feedback):
            port = int(address.rsplit(":", 1)[1])
            greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
            for junk in (b"", b"GET / HTTP/1.0\r\n\r\n", bytes(5000), rng.bytes(20000), greeting + rng.bytes(5000),
                         greeting + b"\x02" + b"\xff" * 8):
                with contextlib.closing(sockets.create_connection(("127.0.0.1", port))) as s:
                    with contextlib.suppress(OSError):
                        s.sendall(junk)
        control = Peer(self.context, self.s.control)
        for frames in ([b"{"], [b"[]"], [b'{"p":"phosphene/1","type":"EVENT"}']):
            control.socket.send_multipart(frames)
            self.refused(control, "format")
        control.say(type="COMMAND", name="reboot")
        self.refused(control, "command")
        self.end(engine, sender)

    def publishing(self):
        """Writes a run file that also publishes."""
        sinks = (f"  - {{type: record, task: faces}}\n"
                 f"  - {{type: publish, endpoint: '{self.s.feedback}'}}\n")
        self.s.write("publish.yaml", live.run_text(sinks=sinks))

    def test_subscriber_that_never_reads(self):
        self.publishing()
        deaf, keen = (self.context.socket(zmq.SUB) for _ in range(2))
        deaf.setsockopt(zmq.RCVHWM, 1)
        for subscriber in (deaf, keen):
            subscriber.connect(self.s.feedback)
            subscriber.subscribe("")
        engine, sender = self.start(run="publish.yaml")
        topics, volumes = {}, set()
        while keen.poll(5000 if engine.poll() is None else 0):
            topic, text, *payload = keen.recv_multipart()
            message = json.loads(text)
            topics[topic] = topics.get(topic, 0) + 1
            if topic == b"image":
                self.assertEqual(len(payload[0]), message["width"] * message["height"] * 3)
            if topic == b"latent":
                volumes.add(message.get("volume", message.get("index")))
                self.assertEqual(len(payload[0]), 8 * live.N_COMPONENTS)
        self.end(engine, sender)
        self.assertLessEqual({b"latent", b"image", b"quality", b"state"}, set(topics))
        self.assertGreater(len(volumes), live.N_TEST // 2)

    def test_sender_that_ignores_credit(self):
        engine = self.s.live(self.out, "--set", "wire.credit=1")
        peer = Peer(self.context, self.s.to)
        self.assertEqual(peer.greet()["type"], "WELCOME")
        for i in range(30):
            peer.volume(i, live.image_bytes(self.s.volumes[i]))
        answers = [peer.hear() for _ in range(30)]
        self.assertIn("flow", {a.get("code") for a in answers})
        self.assertTrue(all(a["type"] == "ACK" or a["code"] == "flow" for a in answers), answers)
        self.end(engine, self.s.send())

    def run_volumes(self, images, datatype="int16", events=True):
        """A run sent by hand, after its events; gives the engine's process."""
        engine = self.s.live(self.out)
        peer, control = Peer(self.context, self.s.to), Peer(self.context, self.s.control)
        self.assertEqual(peer.greet(datatype=datatype)["type"], "WELCOME")
        queue = [(onset, face) for onset, face in self.s.events] if events else []
        for i, image in enumerate(images):
            while queue and queue[0][0] < (i + 1) * live.TR:
                onset, face = queue.pop(0)
                control.say(type="EVENT", onset=onset, duration=1, trial_type="face", stim_index=face)
                self.assertEqual(control.hear()["type"], "OK")
            if image is None:
                peer.say(type="LOST", index=i, why="test")
            else:
                peer.volume(i, image)
            self.assertEqual(peer.hear()["type"], "ACK")
        peer.say(type="END", volumes=len(images))
        self.assertEqual(peer.hear()["type"], "DONE")
        return engine

    def test_other_byte_order(self):
        """A big-endian sender is understood: the same results."""
        engine = self.run_volumes([swapped(v) for v in self.s.volumes])
        self.s.finish(engine)
        self.assertEqual(live.result_hash(self.s.path(self.out)), self.wanted)

    def test_nan_volumes(self):
        """Voxels without a value are survived, and what is stated afterwards is finite."""
        volumes = self.s.volumes.astype("<f4")
        volumes[10] = numpy.nan
        volumes[20, 2:5] = numpy.inf
        engine = self.run_volumes([live.image_bytes(v) for v in volumes], datatype="float32")
        engine.wait(60)
        with open(engine.base + ".log") as f:
            log = f.read()
        self.assertIn(engine.returncode, (0, 1), log)
        mean = self.latents()["mean"]
        self.assertTrue(numpy.isfinite(mean).all(), log)
        self.assertGreater(len(mean), live.N_TEST)

    def latents(self):
        name = next(n for n in live.result_files(self.s.path(self.out)) if n.endswith("latents.safetensors"))
        return live.tensors.read(name)[0]

    def test_lost_volumes_degrade_the_run(self):
        images = [live.image_bytes(v) for v in self.s.volumes]
        images[5] = images[30] = None
        summary, _ = self.s.finish(self.run_volumes(images), code=1)
        self.assertEqual((summary["missing"], summary["failures"]), (2, 0))
        self.assertTrue(numpy.isfinite(self.latents()["mean"]).all())

    def test_interrupted(self):
        engine, sender = self.start()
        engine.send_signal(live.signal.SIGINT)
        summary, _ = self.s.finish(engine, code=130)
        self.assertTrue(summary["interrupted"])
        live.kill(sender)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
