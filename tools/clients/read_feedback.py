#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints what Phosphene decodes: read_feedback.py [TOPIC[,TOPIC...] [ENDPOINT [COUNT]]]
Topics: latent, image, quality, signal, state. Payloads are little-endian: float32 mean then sd for a
latent, RGB bytes for an image."""
import json
import sys

import numpy
import zmq

topics = sys.argv[1].split(",") if len(sys.argv) > 1 else ["latent", "quality", "state"]
socket = zmq.Context().socket(zmq.SUB)
socket.connect(sys.argv[2] if len(sys.argv) > 2 else "tcp://127.0.0.1:5571")
for topic in topics:
    socket.subscribe(topic)
left = int(sys.argv[3]) if len(sys.argv) > 3 else -1
while left:
    topic, text, *payload = socket.recv_multipart()
    message = json.loads(text)
    if topic == b"latent":
        mean, sd = numpy.frombuffer(payload[0], "<f4").reshape(2, -1)
        message["mean"] = [round(float(x), 4) for x in mean[:8]]
        message["sd"] = [round(float(x), 4) for x in sd[:8]]
    if topic == b"image":
        picture = numpy.frombuffer(payload[0], "u1").reshape(message["height"], message["width"], 3)
        message["mean_rgb"] = [round(float(x), 1) for x in picture.mean((0, 1))]
    print(topic.decode(), json.dumps(message), flush=True)
    left -= 1
