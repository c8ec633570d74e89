#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the small NIfTI images of this folder with nibabel, an implementation that is not ours.

Not run by the tests. Voxel i (x fastest) of the 4 x 3 x 2 x 3 images is (37 i mod 101) - low, low
being 50 for signed types and 0 for unsigned ones, then scaled as SLOPE and INTER say.
"""
import gzip
import sys

import nibabel as nib
import numpy as np

AFFINE = np.array([[-2.9, 0.3, 0.1, 90.5], [0.25, 2.8, -0.6, -70.25], [0.1, 0.55, 3.2, -40], [0, 0, 0, 1]])
SLOPE, INTER = 0.5, -3.0


def make(name, kind, version, endian, pair=False, scaled=False, units="sec", form="s"):
    kind = np.dtype(kind)
    low = 0 if kind.kind == "u" else 50
    n = 4 * 3 * 2 * 3
    values = ((37 * np.arange(n)) % 101 - low).reshape((4, 3, 2, 3), order="F")
    classes = {(1, False): nib.Nifti1Image, (1, True): nib.Nifti1Pair,
               (2, False): nib.Nifti2Image, (2, True): nib.Nifti2Pair}
    header_class = classes[version, pair].header_class
    header = header_class(endianness=endian)
    header.set_data_dtype(kind)
    image = classes[version, pair](values.astype(kind.newbyteorder(endian)), AFFINE, header)
    header = image.header
    header.set_sform(AFFINE, code=1 if form == "s" else 0)
    header.set_qform(AFFINE, code=1)
    header.set_xyzt_units("mm", units)
    header["pixdim"][4] = {"sec": 1.5, "msec": 1500, "usec": 1.5e6}[units]
    if scaled:
        header.set_slope_inter(SLOPE, INTER)
    header["descrip"] = name.encode()
    # written by hand: nibabel's writer would choose the scaling itself
    raw_header = header.copy()
    raw_header["vox_offset"] = 0 if pair else (352 if version == 1 else 544)
    raw_header["magic"] = (b"n" if not pair else b"n") + ((b"i" if pair else b"+") + str(version).encode()) + \
        (b"" if version == 1 else b"\0\r\n\x1a\n")
    data = values.astype(kind.newbyteorder(endian)).tobytes(order="F")
    head = raw_header.binaryblock
    assert raw_header.endianness == endian
    if pair:
        open(name + ".hdr", "wb").write(head)
        open(name + ".img", "wb").write(data)
    elif name.endswith("_gz"):
        open(name + ".nii.gz", "wb").write(gzip.compress(head + b"\0\0\0\0" + data, mtime=0))
    else:
        open(name + ".nii", "wb").write(head + b"\0\0\0\0" + data)


for version in (1, 2):
    for endian, mark in (("<", "le"), (">", "be")):
        for kind in ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"):
            if (version, mark) in ((1, "le"), (2, "be")) or kind in ("i2", "f4"):
                make(f"v{version}_{mark}_{kind}", kind, version, endian)
make("v1_be_i2_scaled", "i2", 1, ">", scaled=True)
make("v2_le_u2_scaled", "u2", 2, "<", scaled=True)
make("v1_le_i2_gz", "i2", 1, "<")
make("v1_be_f4_pair", "f4", 1, ">", pair=True)
make("v2_le_i2_pair", "i2", 2, "<", pair=True)
make("v1_le_i2_msec", "i2", 1, "<", units="msec")
make("v1_le_i2_usec", "i2", 1, "<", units="usec")
make("v1_le_i2_qform", "i2", 1, "<", form="q")
sys.exit(0)
