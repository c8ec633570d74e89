#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""source/wire in a process of its own against real senders: content, order, restarts of either side,
kill -9, damaged and hostile messages, gaps, conflicts, events, a full disk, addresses."""
import contextlib
import json
import os
import resource
import signal
import socket as sockets
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

import nibabel
import numpy
import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from crc import crc32c  # noqa: E402

PHOS, HOST = (os.path.abspath(p) for p in (sys.argv.pop(1), sys.argv.pop(1)))
CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "clients")
SHAPE, N, TR = (8, 7, 6), 40, 2.0


def free_port():
    with contextlib.closing(sockets.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Host:
    """A running stage_host; its lines are read from a file, so that a kill loses none."""

    def __init__(self, test, run_dir, *settings, source="source/wire", limit=None):
        self.lines_path = os.path.join(test.folder, f"out-{time.monotonic_ns()}")
        self.out = open(self.lines_path, "w")
        self.err = open(self.lines_path + ".err", "w")
        if source == "source/wire":
            settings = (f"volumes={test.to}", f"control={test.control}", "linger_s=0.2", *settings)
        before = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)) if limit else None
        self.process = subprocess.Popen([HOST, source, run_dir, *settings], stdout=self.out,
                                        stderr=self.err, preexec_fn=before,
                                        restore_signals=False)
        test.addCleanup(self.close)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.out.close()
        self.err.close()

    def lines(self):
        with open(self.lines_path) as f:
            return f.read().splitlines()

    def errors(self):
        with open(self.lines_path + ".err") as f:
            return f.read()

    def frames(self):
        return [line for line in self.lines() if line.split()[0] in ("volume", "event")]

    def wait_for(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition(self.lines()):
            assert time.monotonic() < end, (self.lines()[-5:], self.errors()[-2000:])
            time.sleep(0.01)

    def finish(self):
        code = self.process.wait(30)
        assert code == 0 and self.lines()[-1] == "end", (code, self.lines()[-5:], self.errors())
        return self.frames()


class Wire(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.TemporaryDirectory()
        rng = numpy.random.default_rng(1)
        cls.data = rng.integers(-500, 500, SHAPE + (N,)).astype(numpy.int16)
        image = nibabel.Nifti1Image(cls.data, numpy.diag([3, 3, 3, 1]))
        image.header.set_zooms((3, 3, 3, TR))
        cls.nifti = os.path.join(cls.base.name, "run.nii.gz")
        image.to_filename(cls.nifti)
        cls.events = os.path.join(cls.base.name, "events.tsv")
        with open(cls.events, "w") as f:
            f.write("onset\tduration\ttrial_type\n")
            f.writelines(f"{3.5 * i}\t1\tkind{i % 3}\n" for i in range(20))

    @classmethod
    def tearDownClass(cls):
        cls.base.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.run_dir = os.path.join(self.folder, "run")
        self.to = f"tcp://127.0.0.1:{free_port()}"
        self.control = f"tcp://127.0.0.1:{free_port()}"
        self.context = zmq.Context()
        self.addCleanup(self.context.destroy, 0)

    # helpers

    def send(self, *args, start=False):
        command = [PHOS, "send", self.nifti, "--to", self.to, "--control", self.control, "--events",
                   self.events, "--wait", "20", "--json", *args]
        if start:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(process.communicate)
            self.addCleanup(process.kill)
            return process
        return subprocess.run(command, capture_output=True, text=True, timeout=90)

    def expected(self):
        """What the stages must see of the whole run: events before the first volume that ends after
        their onset."""
        out, event = [], 0
        for i in range(N):
            while event < 20 and 3.5 * event < (i + 1) * TR:
                out.append(f"event {event} {3.5 * event:.9g} kind{event % 3}")
                event += 1
            crc = crc32c(self.data[..., i].astype("<f4").tobytes(order="F"))
            out.append(f"volume {i} 0 {crc:08x}")
        return out

    def replay(self):
        host = Host(self, "", f"path={self.run_dir}", source="source/journal")
        return host.finish()

    def dealer(self):
        socket = self.context.socket(zmq.DEALER)
        socket.connect(self.to)
        return socket

    def say(self, socket, payload=None, **message):
        frames = [json.dumps({"p": "phosphene/1", **message}).encode()]
        socket.send_multipart(frames + ([payload] if payload is not None else []))

    def hear(self, socket, *types, seconds=10):
        """The next message of one of the types; PINGs of the engine are passed over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if socket.poll(100):
                message = json.loads(socket.recv_multipart()[0])
                if message["type"] != "PING":
                    self.assertIn(message["type"], types, message)
                    return message
        self.fail(f"no {types} came")

    def greet(self, socket, **more):
        self.say(socket, type="HELLO", **{**dict(session="1", run="1", tr=TR, dims=SHAPE,
                                                 datatype="int16"), **more})
        return self.hear(socket, "WELCOME", "ERROR")

    def image(self, i):
        one = nibabel.Nifti1Image(self.data[..., i], numpy.diag([3, 3, 3, 1]))
        return one.to_bytes()

    def volume(self, socket, i, payload=None, **more):
        payload = self.image(i) if payload is None else payload
        self.say(socket, payload, **{**dict(type="VOLUME", index=i, encoding="nifti",
                                            crc32=zlib.crc32(payload)), **more})

    # whole runs

    def test_whole_run_and_replay(self):
        host = Host(self, self.run_dir)
        result = self.send("--speed", "max")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual((report["received"], report["lost"], report["duplicates"]), (N, 0, 0))
        self.assertEqual(host.finish(), self.expected())
        self.assertEqual(self.replay(), self.expected())

    def test_compressed_and_unrecorded(self):
        host = Host(self, "")
        result = self.send("--speed", "max", "--compress")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(host.finish(), self.expected())

    def test_engine_killed_again_and_again(self):
        sender = self.send("--speed", "40", start=True)
        host = Host(self, self.run_dir)
        for k in range(1, 5):
            host.wait_for(lambda lines: sum(s.startswith("volume") for s in lines) >= 8 * k)
            host.process.send_signal(signal.SIGKILL)
            host.process.wait()
            host = Host(self, self.run_dir)
        out, err = sender.communicate(timeout=60)
        self.assertEqual(sender.returncode, 0, err)
        self.assertEqual(json.loads(out)["received"], N)
        self.assertEqual(host.finish(), self.expected())
        self.assertEqual(self.replay(), self.expected())

    def test_sender_killed_and_restarted(self):
        host = Host(self, self.run_dir)
        for k in range(1, 4):
            sender = self.send("--speed", "40", start=True)
            host.wait_for(lambda lines: sum(s.startswith("volume") for s in lines) >= 10 * k)
            sender.kill()
            sender.wait()
        result = self.send("--speed", "max")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(host.finish(), self.expected())
        self.assertEqual(self.replay(), self.expected())

    def test_slow_engine_holds_the_sender(self):
        host = Host(self, self.run_dir, "delay_ms=20", "credit=2")
        result = self.send("--speed", "max")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(host.finish(), self.expected())

    def test_finished_run_still_answers_after_a_restart(self):
        host = Host(self, self.run_dir)
        self.assertEqual(self.send("--speed", "max").returncode, 0)
        host.finish()
        host = Host(self, self.run_dir, "linger_s=5")
        result = self.send("--speed", "max")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["received"], N)
        self.assertEqual(host.frames(), self.expected())

    def test_python_sender_and_events(self):
        host = Host(self, self.run_dir)
        python = "/usr/bin/python3"
        sender = subprocess.Popen([python, os.path.join(CLIENTS, "send_run.py"), self.nifti, self.to,
                                   "0.02"], stdout=subprocess.PIPE)
        host.wait_for(lambda lines: any(s.startswith("volume") for s in lines))
        event = subprocess.run([python, os.path.join(CLIENTS, "send_event.py"), "now", "1", "face",
                                "a.png", self.control], capture_output=True, text=True, timeout=30)
        answer = json.loads(event.stdout)
        self.assertEqual(answer["type"], "OK", answer)
        out, _ = sender.communicate(timeout=60)
        self.assertEqual(json.loads(out)["received"], N)
        frames = host.finish()
        self.assertEqual([f for f in frames if f.startswith("volume")],
                         [f for f in self.expected() if f.startswith("volume")])
        self.assertEqual(sum(f.startswith("event 0") and f.endswith("face") for f in frames), 1)

    def test_a_volume_of_another_place_is_marked(self):
        """The scan was prescribed anew in the middle: live and replayed, the volume is marked and told of."""
        host = Host(self, self.run_dir)
        socket = self.dealer()
        self.assertEqual(self.greet(socket)["next"], 0)
        moved = numpy.diag([3.0, 3, 3, 1])
        moved[2, 3] = 0.5
        near = numpy.diag([3.0, 3, 3, 1])
        near[0, 3] = 0.05  # rounding of another tool
        for i, affine in enumerate((numpy.diag([3, 3, 3, 1]), moved, near)):
            self.volume(socket, i, nibabel.Nifti1Image(self.data[..., i], affine).to_bytes())
            self.assertEqual(self.hear(socket, "ACK")["index"], i)
        self.say(socket, type="END", volumes=3)
        self.hear(socket, "DONE")
        live = host.finish()
        self.assertEqual([f.split()[:3] for f in live],
                         [["volume", "0", "0"], ["volume", "1", "16"], ["volume", "2", "0"]])
        self.assertIn("volume 1 lies elsewhere", host.errors())
        again = Host(self, os.path.join(self.folder, "replay"), f"path={self.run_dir}", source="source/journal")
        self.assertEqual(again.finish(), live)

    # single messages

    def test_bad_messages_are_answered_and_survived(self):
        host = Host(self, self.run_dir)
        socket = self.dealer()
        self.volume(socket, 0)
        self.assertEqual(self.hear(socket, "ERROR")["code"], "hello")
        for frames in ([b"{"], [b""], [b"\xff\xfe"], [b"[]"], [b"x" * 60000],
                       [b"{}", b"a", b"b"], [b'{"p":"phosphene/1","type":"NOISE"}']):
            socket.send_multipart(frames)
            self.assertEqual(self.hear(socket, "ERROR")["code"], "format", frames)
        self.assertEqual(self.greet(socket, dims=[30000, 30000, 10])["code"], "geometry")  # 18 GB
        self.assertEqual(self.greet(socket, run="../x")["code"], "format")
        self.assertEqual(self.greet(socket)["next"], 0)
        good = self.image(0)
        cases = [("crc", dict(payload=good, crc32=1)), ("image", dict(payload=good[:-1])),
                 ("image", dict(payload=good + b"x")), ("image", dict(payload=good[:200])),
                 ("image", dict(payload=b"")), ("image", dict(payload=good, encoding="nifti+zstd")),
                 ("image", dict(payload=good[:42] + struct.pack("<hhh", 30000, 30000, 10) + good[48:])),
                 ("geometry", dict(payload=nibabel.Nifti1Image(
                     numpy.zeros((8, 7, 5), "i2"), numpy.eye(4)).to_bytes())),
                 ("geometry", dict(payload=nibabel.Nifti1Image(
                     numpy.zeros(SHAPE, "f4"), numpy.eye(4)).to_bytes()))]
        for code, message in cases:
            self.volume(socket, 0, **message)
            answer = self.hear(socket, "ERROR")
            self.assertEqual((answer["code"], answer["index"]), (code, 0), answer)
            self.assertGreater(len(answer["message"]), 10)
        self.volume(socket, 1 << 40, payload=good)
        self.assertEqual(self.hear(socket, "ERROR")["code"], "limit")
        self.volume(socket, 0)
        ack = self.hear(socket, "ACK")
        self.assertTrue(ack["journalled"])
        self.volume(socket, 0)  # again: acknowledged again, dropped
        self.assertEqual(self.hear(socket, "ACK")["index"], 0)
        self.volume(socket, 0, payload=self.image(5))
        self.assertEqual(self.hear(socket, "ERROR")["code"], "conflict")
        host.wait_for(lambda lines: len(lines) == 2)
        self.assertEqual(host.frames(), [f for f in self.expected() if f.startswith("volume 0")])
        self.say(socket, type="END", volumes=1)
        done = self.hear(socket, "DONE")
        self.assertEqual((done["received"], done["lost"], done["duplicates"]), (1, 0, 1))
        host.finish()
        with open(os.path.join(self.run_dir, "journal", "journal-000000.phj"), "rb") as journal:
            self.assertIn(self.image(5), journal.read())  # both sides of the conflict are kept

    def test_nan_volume_passes(self):
        host = Host(self, self.run_dir)
        socket = self.dealer()
        self.greet(socket, datatype="float32")
        image = nibabel.Nifti1Image(numpy.full(SHAPE, numpy.nan, "f4"), numpy.eye(4)).to_bytes()
        self.volume(socket, 0, payload=image)
        self.hear(socket, "ACK")
        host.wait_for(lambda lines: any(s.startswith("volume 0") for s in lines))

    def test_gap_lost_and_late(self):
        host = Host(self, self.run_dir, "gap_timeout_tr=0.1")
        socket = self.dealer()
        self.greet(socket)
        for i in (0, 2, 3):  # 1 is missing
            self.volume(socket, i)
            self.hear(socket, "ACK")
        host.wait_for(lambda lines: any(s.startswith("volume 3") for s in lines))
        self.volume(socket, 1)  # late: recorded, not shown
        self.assertEqual(self.hear(socket, "ACK")["index"], 1)
        self.say(socket, type="LOST", index=4, why="test")
        self.assertEqual(self.hear(socket, "ACK")["index"], 4)
        self.volume(socket, 5)
        self.hear(socket, "ACK")
        self.say(socket, type="END", volumes=6)
        done = self.hear(socket, "DONE")
        self.assertEqual((done["received"], done["lost"]), (5, 1))
        frames = host.finish()
        self.assertEqual([f.split()[1:3] for f in frames],
                         [["0", "0"], ["1", "1"], ["2", "0"], ["3", "0"], ["4", "1"], ["5", "0"]])
        self.assertEqual(self.replay(), frames)

    def test_out_of_order_with_a_kill_between(self):
        host = Host(self, self.run_dir, "gap_timeout_tr=100")
        socket = self.dealer()
        self.greet(socket)
        for i in (0, 3, 2):
            self.volume(socket, i)
            self.hear(socket, "ACK")
        host.wait_for(lambda lines: any(s.startswith("volume 0") for s in lines))
        host.close()
        host = Host(self, self.run_dir, "gap_timeout_tr=100")
        self.assertEqual(self.greet(socket)["next"], 1)
        self.volume(socket, 1)
        self.hear(socket, "ACK")
        self.say(socket, type="END", volumes=4)
        self.hear(socket, "DONE")
        frames = host.finish()
        self.assertEqual(frames, [f for f in self.expected() if f.startswith("volume")][:4])
        self.assertEqual(self.replay(), frames)

    def test_credit_is_enforced(self):
        Host(self, self.run_dir, "credit=1")
        socket = self.dealer()
        self.assertEqual(self.greet(socket)["credit"], 1)
        for i in range(30):
            self.volume(socket, i)
        kinds = [self.hear(socket, "ACK", "ERROR") for _ in range(30)]
        codes = {m.get("code", "ACK") for m in kinds}
        self.assertIn("ACK", codes)
        self.assertLessEqual(codes, {"ACK", "flow"})

    def test_control(self):
        host = Host(self, self.run_dir)
        control = self.context.socket(zmq.REQ)
        control.connect(self.control)

        def ask(**message):
            control.send(json.dumps({"p": "phosphene/1", **message}).encode())
            self.assertTrue(control.poll(10000))
            return json.loads(control.recv())

        event = dict(type="EVENT", onset=1.5, duration=1, trial_type="face", id=3)
        self.assertEqual(ask(**event)["code"], "early")
        socket = self.dealer()
        self.greet(socket)
        self.assertEqual(ask(**{**event, "onset": "now"})["code"], "early")
        self.assertEqual(ask(**event), {"p": "phosphene/1", "type": "OK", "onset": 1.5, "id": 3})
        self.assertEqual(ask(**event)["type"], "OK")  # the same again: answered, not shown twice
        self.volume(socket, 0)
        self.hear(socket, "ACK")
        now = ask(**{**event, "onset": "now", "id": 4})
        self.assertTrue(TR - 0.1 <= now["onset"] < TR + 20, now)
        self.assertEqual(ask(type="ASK", what="state")["next"], 1)
        self.assertEqual(ask(type="ASK", what="everything")["code"], "ask")
        self.assertEqual(ask(type="COMMAND", name="mark", value="coughed")["type"], "OK")
        self.assertEqual(ask(type="COMMAND", name="reboot")["code"], "command")
        self.assertEqual(ask(type="PING", sent=1)["code"], "type")
        host.wait_for(lambda lines: sum(s.startswith("event") for s in lines) == 2)
        self.say(socket, type="END", volumes=1)
        self.hear(socket, "DONE")
        frames = host.finish()
        self.assertEqual([f.split()[0] for f in frames], ["event", "volume", "event"])
        self.assertEqual(self.replay(), frames)

    def test_garbage_on_the_wire(self):
        host = Host(self, self.run_dir)
        host.wait_for(lambda lines: "ready" in lines)
        port = int(self.to.rsplit(":", 1)[1])
        for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\0" * 500, b"\xff" * 5000):
            with contextlib.closing(sockets.create_connection(("127.0.0.1", port))) as s:
                with contextlib.suppress(OSError):
                    s.sendall(junk)
        socket = self.dealer()
        self.assertEqual(self.greet(socket)["type"], "WELCOME")

    # disks and addresses

    def test_full_disk_delays_acknowledgements(self):
        """A file holds three volumes at most: the journal goes on in new files."""
        limit = 200 + 3 * (len(self.image(0)) + 420)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        host = Host(self, self.run_dir, limit=(limit, limit))
        result = self.send("--speed", "max")
        self.assertEqual(result.returncode, 0, (result.stderr, host.errors()))
        self.assertEqual(host.finish(), self.expected())
        self.assertIn("journal.disk", host.errors())
        self.assertEqual(self.replay(), self.expected())
        self.assertGreater(len(os.listdir(os.path.join(self.run_dir, "journal"))), 5)

    def test_open_addresses_are_refused(self):
        port = free_port()
        for settings, word in (((f"volumes=tcp://0.0.0.0:{port}",), "insecure"),
                               (("volumes=udp://127.0.0.1:1",), "no endpoint"),
                               ((f"volumes=tcp://*:{port}",), "insecure")):
            result = subprocess.run([HOST, "source/wire", "", *settings], capture_output=True, text=True,
                                    timeout=20)
            self.assertEqual(result.returncode, 1)
            self.assertIn(word, result.stderr)

    def test_one_engine_per_recording(self):
        host = Host(self, self.run_dir)
        host.wait_for(lambda lines: "ready" in lines)
        result = subprocess.run([HOST, "source/wire", self.run_dir, "volumes=ipc://" + self.folder + "/s"],
                                capture_output=True, text=True, timeout=20)
        self.assertEqual(result.returncode, 1)
        self.assertIn("another engine", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
