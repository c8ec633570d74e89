# SPDX-License-Identifier: MIT
"""An independent reader and writer of 8-bit RGB PNG files for tests, on NumPy alone."""
import struct
import zlib

import numpy as np


def paeth(a, b, c):
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    return a if pa <= pb and pa <= pc else b if pb <= pc else c


def unfilter(kind, line, above):
    line, above = line.astype(int), above.astype(int)
    if kind == 2:
        return (line + above) % 256
    if kind == 1:
        return (line.reshape(-1, 3).cumsum(0) % 256).ravel()
    if kind == 0:
        return line
    out, above = line.tolist(), above.tolist()
    for i, value in enumerate(out):
        left, corner = (out[i - 3], above[i - 3]) if i >= 3 else (0, 0)
        guess = (left + above[i]) // 2 if kind == 3 else paeth(left, above[i], corner)
        out[i] = (value + guess) % 256
    return out


def read(path):
    """Returns [height][width][3] uint8."""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", path
    width, height, depth, colour, _, _, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    assert (depth, colour, interlace) == (8, 2, 0), (path, depth, colour, interlace)
    at, packed = 8, b""
    while at < len(data):
        (n,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + n]
        at += 12 + n
    rows = np.frombuffer(zlib.decompress(packed), "u1").reshape(height, 1 + 3 * width)
    out = np.zeros((height, 3 * width), "u1")
    for y in range(height):
        out[y] = unfilter(rows[y, 0], rows[y, 1:], out[y - 1] if y else np.zeros(3 * width, "u1"))
    return out.reshape(height, width, 3)


def write(path, rgb):
    """rgb: [height][width][3] uint8."""
    height, width, _ = rgb.shape
    raw = b"".join(b"\0" + row.tobytes() for row in rgb)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
                       (b"IDAT", zlib.compress(raw)), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    with open(path, "wb") as f:
        f.write(data)
