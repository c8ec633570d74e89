#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sends a NIfTI run to Phosphene: send_run.py FILE.nii[.gz] [ENDPOINT [PACE_S]]
Needs python3-zmq and python3-nibabel. docs/protocol.md explains the messages."""
import json
import sys
import time
import zlib

import nibabel
import zmq

image = nibabel.load(sys.argv[1])
endpoint = sys.argv[2] if len(sys.argv) > 2 else "tcp://127.0.0.1:5570"
tr = float(image.header.get_zooms()[3])
pace = float(sys.argv[3]) if len(sys.argv) > 3 else tr
n = image.shape[3]
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(endpoint)


def say(payload=None, **message):
    frames = [json.dumps({"p": "phosphene/1", **message}).encode()]
    socket.send_multipart(frames + ([payload] if payload else []))


def hello():
    say(type="HELLO", session="1", run="1", tr=tr, dims=image.shape[:3], volumes=n,
        datatype=image.get_data_dtype().name, sender="send_run.py")


sent, acknowledged, credit, start = 0, set(), 0, time.monotonic()
hello()
while True:
    due = sent < n and sent - len(acknowledged) < credit and time.monotonic() - start >= (sent + 1) * pace
    if due:
        one = type(image)(image.dataobj[..., sent], image.affine, dtype=image.get_data_dtype())
        say(one.to_bytes(), type="VOLUME", index=sent, acquired=sent * tr, encoding="nifti",
            sent=time.monotonic_ns(), crc32=zlib.crc32(one.to_bytes()))
        sent += 1
        continue
    if not socket.poll(20 if credit else 1000):
        if not credit:
            hello()  # no engine yet
        continue
    message = json.loads(socket.recv_multipart()[0])
    if message["type"] == "WELCOME":
        sent, credit, acknowledged = message["next"], message["credit"], set(range(message["next"]))
    elif message["type"] == "ACK":
        acknowledged.add(message["index"])
    elif message["type"] == "PING":
        say(type="PONG", sent=message["sent"], now=time.monotonic_ns())
    elif message["type"] == "ERROR" and message["code"] == "hello":
        hello()
    elif message["type"] == "ERROR":
        sys.exit(f"refused: {message['message']}")
    elif message["type"] == "DONE":
        print(json.dumps(message))
        break
    if len(acknowledged) == n:
        say(type="END", volumes=n)
