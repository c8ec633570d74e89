#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tells Phosphene what is shown, as a stimulus program does:
send_event.py ONSET|now DURATION TRIAL_TYPE [STIM] [ENDPOINT]. A REQ socket is enough."""
import json
import sys

import zmq


class Events:
    """Create one when the experiment starts, call show() at each flip."""

    def __init__(self, endpoint="tcp://127.0.0.1:5572"):
        self.socket = zmq.Context.instance().socket(zmq.REQ)
        self.socket.setsockopt(zmq.RCVTIMEO, 5000)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(endpoint)

    def ask(self, **message):
        self.socket.send(json.dumps({"p": "phosphene/1", **message}).encode())
        return json.loads(self.socket.recv())

    def show(self, duration, trial_type, onset="now", **more):
        return self.ask(type="EVENT", onset=onset, duration=duration, trial_type=trial_type, **more)


if __name__ == "__main__":
    onset, duration, trial_type, *rest = sys.argv[1:]
    events = Events(*rest[1:2])
    more = {"stim": rest[0]} if rest and rest[0] else {}
    print(json.dumps(events.show(float(duration), trial_type,
                                 onset if onset == "now" else float(onset), **more)))
