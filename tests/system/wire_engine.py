# SPDX-License-Identifier: MIT
"""A small engine side of phosphene/1 in Python, for testing senders: an implementation of
docs/protocol.md that shares no code with the engine."""
import json
import threading
import time
import zlib

import zmq


class Engine:
    """Takes one run at tcp://127.0.0.1:port (control at port + 2). Faults are set as attributes
    before start(): bad_crc (indices refused once), deaf (indices not acknowledged until a new
    HELLO), forget_after (volumes after which it restarts without memory), refuse (index)."""

    def __init__(self):
        self.context = zmq.Context()
        self.volumes = self.context.socket(zmq.ROUTER)
        self.volumes.setsockopt(zmq.LINGER, 0)
        port = self.volumes.bind_to_random_port("tcp://127.0.0.1")
        self.to = f"tcp://127.0.0.1:{port}"
        self.control = self.context.socket(zmq.ROUTER)
        self.control.setsockopt(zmq.LINGER, 0)
        port = self.control.bind_to_random_port("tcp://127.0.0.1")
        self.events_to = f"tcp://127.0.0.1:{port}"
        self.credit = 4
        self.bad_crc, self.deaf, self.refuse, self.forget_after = set(), set(), set(), None
        self.hello, self.images, self.order, self.events = None, {}, [], []
        self.log, self.max_under_way, self.greeted = [], 0, set()
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.volumes.close()
        self.control.close()
        self.context.term()

    def send(self, socket, peer, **fields):
        socket.send_multipart([peer, json.dumps({"p": "phosphene/1", **fields}).encode()])

    def run(self):
        poller = zmq.Poller()
        poller.register(self.volumes, zmq.POLLIN)
        poller.register(self.control, zmq.POLLIN)
        while not self.stopping:
            for socket, _ in poller.poll(50):
                peer, text, *rest = socket.recv_multipart()
                message = json.loads(text)
                assert message["p"] == "phosphene/1"
                self.log.append((time.monotonic(), message["type"], message.get("index")))
                getattr(self, "on_" + message["type"])(peer, message, *rest)

    def next(self):
        n = 0
        while n in self.images:
            n += 1
        return n

    def on_HELLO(self, peer, message):
        self.hello = message
        self.greeted.add(peer)
        self.deaf = set()
        self.send(self.volumes, peer, type="WELCOME", next=self.next(), credit=self.credit,
                  engine="test", now=time.monotonic_ns())

    def on_VOLUME(self, peer, message, payload):
        index = message["index"]
        if peer not in self.greeted:
            return self.send(self.volumes, peer, type="ERROR", code="hello", message="who?", fatal=False)
        if index in self.refuse:
            return self.send(self.volumes, peer, type="ERROR", code="image", message="no image",
                             fatal=False, index=index)
        if index in self.bad_crc:
            self.bad_crc.remove(index)
            return self.send(self.volumes, peer, type="ERROR", code="crc", message="bad", fatal=False,
                             index=index)
        assert zlib.crc32(payload) == message["crc32"]
        if index in self.deaf:
            return None
        self.images[index] = (message, payload)
        self.order.append(index)
        if self.forget_after is not None and len(self.order) == self.forget_after:
            self.images, self.greeted, self.forget_after = {}, set(), None
            return None
        return self.send(self.volumes, peer, type="ACK", index=index, credit=self.credit,
                         journalled=True, now=time.monotonic_ns())

    def on_PING(self, peer, message):
        if peer not in self.greeted:
            return self.send(self.volumes, peer, type="ERROR", code="hello", message="who?", fatal=False)
        return self.send(self.volumes, peer, type="PONG", sent=message["sent"],
                         now=time.monotonic_ns())

    def on_END(self, peer, message):
        self.send(self.volumes, peer, type="DONE", received=len(self.images),
                  lost=message["volumes"] - len(self.images), duplicates=0,
                  latency={"p50": 1.0, "p99": 2.0, "max": 3.0})

    def on_EVENT(self, peer, message):
        if message["id"] not in [e["id"] for e in self.events]:
            self.events.append({**message, "before": len(self.images)})
        self.send(self.control, peer, type="OK", onset=message["onset"], id=message["id"])
