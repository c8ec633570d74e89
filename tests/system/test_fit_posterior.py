# SPDX-License-Identifier: MIT
"""phos fit posterior and phos decode on a made-up session: pictures of four factors, voxels that answer to them.

Held-out pictures are identified, intervals are honest, the model file holds what it should, also
where the latents come from a file; and wrong input ends with the exit code and the sentence for it.
"""
import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile
import zlib

PHOS = os.path.abspath(sys.argv[1])
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
        onsets, t, events = [], 6.0, 'onset\tduration\ttrial_type\tstim_file\n'
        order = rng.sample(range(PICTURES), PICTURES)
        while t < VOLUMES * TR - 20:
            onsets.append((t, order[len(onsets) % PICTURES]))
            events += '%g\t1\tface\tpictures/p_%02d.png\n' % onsets[-1][::1]
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


def fit(folder, *more, run='run.yaml'):
    command = [PHOS, 'fit', 'posterior', '--run', run, '--stimuli', 'pictures', '--out', 'm.safetensors']
    for r in ('1', '2'):
        command += ['--bold', 'run-%s_bold.nii' % r, '--events', 'run-%s_events.tsv' % r]
    return subprocess.run(command + list(more), cwd=folder, capture_output=True, text=True)


def numbers(path, name):
    head = metadata(path)[name]
    with open(path, 'rb') as f:
        n, = struct.unpack('<Q', f.read(8))
        f.seek(8 + n + head['data_offsets'][0])
        size = head['data_offsets'][1] - head['data_offsets'][0]
        return struct.unpack('<%dd' % (size // 8), f.read(size))


def metadata(path):
    with open(path, 'rb') as f:
        n, = struct.unpack('<Q', f.read(8))
        return json.loads(f.read(n))


def check(condition, what):
    if not condition:
        sys.exit('FAILED: ' + what)


def check_fit(folder):
    done = fit(folder, '--components', '4', '--json')
    check(done.returncode == 0, 'fit: ' + done.stderr)
    answer = json.loads(done.stdout)
    check(answer['voxels'] == sum(1 for v in range(NX * NY * NZ) if v % 7), 'voxels %r' % answer)
    check(answer['latents'] == 4 and answer['held_out']['trials'] >= 5, 'sizes %r' % answer)
    check(answer['held_out']['two_way'] > 0.9, 'identification %r' % answer)
    check(answer['held_out']['coverage90'] > 0.7, 'coverage %r' % answer)
    head = metadata(os.path.join(folder, 'm.safetensors'))
    check(head['__metadata__']['phosphene.kind'] == 'posterior', 'kind')
    check('normalise(' in head['__metadata__']['chain'], 'chain')
    check(head['pca.components']['shape'] == [4, SIDE * SIDE * 3], 'components')
    first = open(os.path.join(folder, 'm.safetensors'), 'rb').read()
    done = fit(folder, '--components', '4', '--threads', '1')
    check(done.returncode == 0 and '2-way identification' in done.stdout, 'text answer')
    check(open(os.path.join(folder, 'm.safetensors'), 'rb').read() == first, 'same bits again')


def check_run_file(folder):
    """The model as a run file names it: phos check takes it, though the sizes are known to the scanner alone."""
    with open(os.path.join(folder, 'live.yaml'), 'w') as f:
        f.write(open(os.path.join(folder, 'run.yaml')).read() +
                'decoder: {type: posterior, model: m.safetensors}\n'
                'generators:\n  - {type: eigenface, model: m.safetensors}\n')
    done = subprocess.run([PHOS, 'check', 'live.yaml'], cwd=folder, capture_output=True, text=True)
    check(done.returncode == 0 and done.stdout == 'live.yaml: valid\n', 'phos check: ' + done.stderr)


def check_latents(folder):
    """Pixels are 128 + factors times patterns, so the linear map draws each picture again."""
    model = os.path.join(folder, 'm.safetensors')
    done = fit(folder, '--latents', 'latents.safetensors', '--json')
    check(done.returncode == 0, 'latents from a file: ' + done.stderr)
    answer = json.loads(done.stdout)
    check(answer['latents'] == FACTORS and answer['held_out']['two_way'] > 0.9, 'by latents %r' % answer)
    mean, sd = numbers(model, 'pca.mean'), numbers(model, 'pca.sd')
    rows, m = numbers(model, 'pca.components'), SIDE * SIDE * 3
    for k in range(FACTORS):
        check(abs(sum(x * x for x in rows[k * m:(k + 1) * m]) - 1) < 1e-9, 'rows of unit length')
    check(max(abs(x - 128 / 255) for x in mean) < 0.03, 'mean picture')
    check(all(50 < 255 * s < 300 for s in sd), 'lengths %r' % (sd,))
    done = fit(folder, '--latents', 'fewer.safetensors')
    check(done.returncode != 0 and 'the same set' in done.stderr, 'fewer latents: ' + done.stderr)
    done = fit(folder, '--latents', 'latents.safetensors', '--components', '3')
    check(done.returncode == 2, 'both kinds: %d' % done.returncode)


def decode(folder, *more, run='run.yaml'):
    command = [PHOS, 'decode', '--run', run, '--model', 'm.safetensors', '--bold', 'run-2_bold.nii',
               '--events', 'run-2_events.tsv', '--stimuli', 'pictures', '--out', 'd.safetensors']
    return subprocess.run(command + list(more), cwd=folder, capture_output=True, text=True)


def floats(path, name, code='f'):
    head = metadata(path)[name]
    with open(path, 'rb') as f:
        n, = struct.unpack('<Q', f.read(8))
        f.seek(8 + n + head['data_offsets'][0])
        size = head['data_offsets'][1] - head['data_offsets'][0]
        return struct.unpack('<%d%s' % (size // 4, code), f.read(size))


def correlation(a, b):
    ma, mb = sum(a) / len(a), sum(b) / len(b)
    ab = sum((x - ma) * (y - mb) for x, y in zip(a, b))
    return ab / math.sqrt(sum((x - ma) ** 2 for x in a) * sum((y - mb) ** 2 for y in b))


def check_decode(folder):
    """The factors come back, joined trials are surer than one, and statements grow later in time."""
    model, out = os.path.join(folder, 'm.safetensors'), os.path.join(folder, 'd.safetensors')
    check(fit(folder, '--latents', 'latents.safetensors').returncode == 0, 'fit again')
    done = decode(folder, '--samples', '3', '--json')
    check(done.returncode == 0, 'decode: ' + done.stderr)
    n_trials = floats(out, 'n_trials', 'i')
    latents, truth = floats(out, 'latents'), floats(os.path.join(folder, 'latents.safetensors'), 'latents')
    seen = [i * FACTORS + k for i in range(PICTURES) if n_trials[i] for k in range(FACTORS)]
    check(correlation([latents[i] for i in seen], [truth[i] for i in seen]) > 0.9, 'latents')
    check(json.loads(done.stdout)['trials'] == sum(n_trials), 'trials: ' + done.stdout)
    sd = floats(out, 'sd')
    once = [sd[i * FACTORS] for i in range(PICTURES) if n_trials[i] == 1]
    never = [sd[i * FACTORS] for i in range(PICTURES) if n_trials[i] == 0]
    check(max(once) < 0.7 and all(abs(x - 1) < 1e-5 for x in never), 'sd %r %r' % (once, never))
    number, delay = floats(out, 'trial.number', 'i'), floats(out, 'trial.delay_s')
    by_trial = {}
    for t, d in zip(number, delay):
        check(d > by_trial.get(t, 0), 'statements come later and later')
        by_trial[t] = d
    check(len(by_trial) == sum(n_trials) and min(by_trial.values()) > 15, 'all trials to their end')
    check(metadata(out)['samples']['shape'] == [PICTURES, 3, FACTORS], 'samples')
    check(metadata(out)['pictures']['shape'] == [PICTURES, SIDE, SIDE, 3], 'pictures')
    with open(os.path.join(folder, 'other.yaml'), 'w') as f:
        f.write('phosphene: 1\nfilters:\n  - {type: mask, file: mask.nii}\n')
    done = decode(folder, run='other.yaml')
    check(done.returncode != 0 and 'other filters' in done.stderr, 'other filters: ' + done.stderr)
    check(os.path.exists(model), 'the model is left alone')


def check_refusals(folder):
    done = fit(folder, run='found.yaml')
    check(done.returncode != 0 and 'file' in done.stderr, 'a mask that is found: ' + done.stderr)
    done = fit(folder, '--noise', 'white')
    check(done.returncode == 2, 'usage: %d' % done.returncode)
    done = fit(folder, '--trial-type', 'house')
    check(done.returncode != 0 and 'names a picture' in done.stderr, 'no events: ' + done.stderr)
    done = fit(folder, '--components', '4', '--penalty', 'fixed', '--folds', '2', '--rho', '0.2')
    check(done.returncode == 0, 'plain least squares: ' + done.stderr)
    os.rename(os.path.join(folder, 'run-2_bold.nii'), os.path.join(folder, 'gone.nii'))
    done = fit(folder)
    check(done.returncode == 66, 'missing run: %d %s' % (done.returncode, done.stderr))


with tempfile.TemporaryDirectory() as work:
    make_session(work)
    check_fit(work)
    check_run_file(work)
    check_latents(work)
    check_decode(work)
    check_refusals(work)
