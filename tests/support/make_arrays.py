#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes, with NumPy and h5py, the array files that test_arrays.c reads, into the folder argv[1]."""
import io
import os
import struct
import sys
import tarfile

import h5py
import numpy as np

folder = sys.argv[1]


def path(name):
    return os.path.join(folder, name)


grid = (np.arange(6, dtype=np.float32) / 2).reshape(2, 3)
other = np.arange(4, dtype=np.int64)
np.save(path("grid.npy"), grid)
np.save(path("fortran.npy"), np.asfortranarray(grid))
np.save(path("big.npy"), grid.astype(">f4"))
np.save(path("object.npy"), np.array([{"a": 1}], dtype=object), allow_pickle=True)
np.savez(path("a.npz"), grid=grid, other=other)
np.savez_compressed(path("packed.npz"), grid=grid, other=other)

inner = io.BytesIO()
np.savez(inner, other, grid)
with tarfile.open(path("named.tar.gz"), "w:gz") as tar:
    for name, data in (("arrays.npz", inner.getvalue()), ("names.txt", b"w.other\nw.grid\n")):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))

with h5py.File(path("k.h5"), "w") as f:
    f["layer/grid"] = grid
    f["layer/other"] = other
    f["note"] = "text is no weight"

for name in ("grid.npy", "a.npz", "named.tar.gz", "k.h5"):
    data = open(path(name), "rb").read()
    kind = name.split(".", 1)[1]
    open(path("cut." + kind), "wb").write(data[: len(data) * 2 // 3])
for kind in ("npz", "tar.gz", "h5", "pt", "what"):
    name = {"pt": "weights.pt", "what": "x.what"}.get(kind, "text." + kind)
    open(path(name), "w").write("no archive at all, only words\n" * 30)
header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }\n"
open(path("huge.npy"), "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
