# SPDX-License-Identifier: MIT
"""A made-up session for tests: pictures of four factors, two runs, voxels that answer to them."""
import json
import math
import os
import random
import struct
import zlib

NX, NY, NZ, TR, VOLUMES, PICTURES, SIDE, FACTORS = 6, 5, 4, 2.0, 160, 40, 6, 4
rng = random.Random(5)


def chunk(kind, data):
    body = kind + data
    return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))


def write_png(path, rgb):
    rows = b''.join(b'\0' + bytes(rgb[i * SIDE * 3:(i + 1) * SIDE * 3]) for i in range(SIDE))
    with open(path, 'wb') as f:
        f.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', SIDE, SIDE, 8, 2, 0, 0, 0))
                + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def header(n_volumes, datatype, bits):
    h = bytearray(352)
    struct.pack_into('<i', h, 0, 348)
    struct.pack_into('<8h', h, 40, 4 if n_volumes > 1 else 3, NX, NY, NZ, n_volumes, 1, 1, 1)
    struct.pack_into('<hh', h, 70, datatype, bits)
    struct.pack_into('<8f', h, 76, 1, 3, 3, 3, TR, 0, 0, 0)
    struct.pack_into('<f', h, 108, 352)
    struct.pack_into('<f', h, 112, 1)
    h[123] = 10  # mm, s
    struct.pack_into('<hh', h, 252, 0, 1)
    struct.pack_into('<12f', h, 280, 3, 0, 0, 0, 0, 3, 0, 0, 0, 0, 3, 0)
    h[344:348] = b'n+1\0'
    return bytes(h)


def hrf(t):
    def gamma(shape):
        return t ** (shape - 1) * math.exp(-t) / math.gamma(shape) if t > 0 else 0
    return gamma(6) - gamma(16) / 6


def write_latents(path, rows):
    head = json.dumps({'latents': {'dtype': 'F32', 'shape': [len(rows), len(rows[0])],
                                   'data_offsets': [0, 4 * len(rows) * len(rows[0])]}}).encode()
    with open(path, 'wb') as f:
        f.write(struct.pack('<Q', len(head)) + head)
        for row in rows:
            f.write(struct.pack('<%df' % len(row), *row))


def make_session(folder):
    n = NX * NY * NZ
    patterns = [[rng.uniform(-25, 25) for _ in range(SIDE * SIDE * 3)] for _ in range(FACTORS)]
    weights = [[rng.gauss(0, 1) for _ in range(FACTORS)] for _ in range(n)]
    common = [rng.gauss(1, 1) for _ in range(n)]
    factors = [[rng.gauss(0, 1) for _ in range(FACTORS)] for _ in range(PICTURES)]
    os.mkdir(os.path.join(folder, 'pictures'))
    for i, z in enumerate(factors):
        rgb = [min(255, max(0, round(128 + sum(z[k] * patterns[k][j] for k in range(FACTORS)))))
               for j in range(SIDE * SIDE * 3)]
        write_png(os.path.join(folder, 'pictures', 'p_%02d.png' % i), rgb)
    write_latents(os.path.join(folder, 'latents.safetensors'), factors)
    write_latents(os.path.join(folder, 'fewer.safetensors'), factors[:-1])
    for run in (1, 2):
        onsets, t, events = [], 6.0, 'onset\tduration\ttrial_type\tstim_file\tstim_index\n'
        order = rng.sample(range(PICTURES), PICTURES)
        while t < VOLUMES * TR - 20:
            onsets.append((t, order[len(onsets) % PICTURES]))
            events += '%g\t1\tface\tpictures/p_%02d.png\t%d\n' % (*onsets[-1], onsets[-1][1])
            t += rng.uniform(6, 8)
        with open(os.path.join(folder, 'run-%d_events.tsv' % run), 'w') as f:
            f.write(events)
        with open(os.path.join(folder, 'run-%d_bold.nii' % run), 'wb') as f:
            f.write(header(VOLUMES, 16, 32))
            for k in range(VOLUMES):
                at = (k + 0.5) * TR
                drive, total = [0.0] * FACTORS, 0.0
                for onset, picture in onsets:
                    h = sum(hrf(at - onset - s / 8 - 1 / 16) for s in range(8)) / 8 / 0.175
                    total += h
                    for j in range(FACTORS):
                        drive[j] += h * factors[picture][j]
                f.write(struct.pack('<%df' % n, *[
                    1000 + 10 * (common[v] * total + sum(weights[v][j] * drive[j]
                                                         for j in range(FACTORS)))
                    + rng.gauss(0, 12) for v in range(n)]))
    with open(os.path.join(folder, 'mask.nii'), 'wb') as f:
        f.write(header(1, 2, 8) + bytes(1 if v % 7 else 0 for v in range(n)))
    for name, mask in (('run.yaml', '{type: mask, file: mask.nii}'), ('found.yaml', '{type: mask}')):
        with open(os.path.join(folder, name), 'w') as f:
            f.write('phosphene: 1\nfilters:\n  - %s\n'
                    '  - {type: normalise, mode: percent, baseline: 20}\n' % mask)
