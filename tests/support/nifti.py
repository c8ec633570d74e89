# SPDX-License-Identifier: MIT
"""An independent reader and writer of NIfTI-1 for tests, on NumPy alone: float32 or int16, one file."""
import gzip
import struct

import numpy as np

CODES = {4: "<i2", 16: "<f4"}


def write(path, volumes, voxel_mm=3.0, tr_s=2.0):
    """Writes [t][z][y][x] (or [z][y][x]) float32 or int16 values."""
    data = volumes[None] if volumes.ndim == 3 else volumes
    code = {np.dtype("<f4"): 16, np.dtype("<i2"): 4}[data.dtype]
    t, z, y, x = data.shape
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 4 if t > 1 else 3, x, y, z, t, 1, 1, 1)
    struct.pack_into("<2h", header, 70, code, data.dtype.itemsize * 8)
    struct.pack_into("<8f", header, 76, 1, voxel_mm, voxel_mm, voxel_mm, tr_s, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352)
    struct.pack_into("<2f", header, 112, 1, 0)
    header[123] = 2 | 8  # mm, s
    struct.pack_into("<2h", header, 252, 0, 1)
    for row in range(3):
        affine = [0.0] * 4
        affine[row] = voxel_mm
        struct.pack_into("<4f", header, 280 + 16 * row, *affine)
    header[344:348] = b"n+1\0"
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "wb") as f:
        f.write(bytes(header) + np.ascontiguousarray(data).tobytes())


def read(path):
    """Returns values scaled by slope and intercept, [t][z][y][x] or [z][y][x]."""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as f:
        raw = f.read()
    dims = struct.unpack_from("<8h", raw, 40)
    (code,) = struct.unpack_from("<h", raw, 70)
    (offset,) = struct.unpack_from("<f", raw, 108)
    slope, inter = struct.unpack_from("<2f", raw, 112)
    shape = [n for n in dims[dims[0] : 0 : -1]]
    count = int(np.prod(shape))
    data = np.frombuffer(raw, CODES[code], count, int(offset)).reshape(shape).astype("f4")
    return data * (slope or 1) + inter
