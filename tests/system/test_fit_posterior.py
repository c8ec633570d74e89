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

from picture_session import FACTORS, NX, NY, NZ, PICTURES, SIDE, TR, make_session, write_latents, write_latents, write_png

PHOS = os.path.abspath(sys.argv[1])
rng_picture = random.Random(3)


def fit(folder, *more, run='run.yaml', first=('run-1_bold.nii', 'run-1_events.tsv')):
    command = [PHOS, 'fit', 'posterior', '--run', run, '--stimuli', 'pictures', '--out', 'm.safetensors']
    for bold, events in (first, ('run-2_bold.nii', 'run-2_events.tsv')):
        command += ['--bold', bold, '--events', events]
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


def check_curve(folder):
    """The session's response is SPM's; of the library the curve nearest to it is found and kept in the model."""
    done = fit(folder, '--components', '4', '--hrf', 'library', '--json')
    check(done.returncode == 0, 'fit with library: ' + done.stderr)
    answer = json.loads(done.stdout)
    model = os.path.join(folder, 'm.safetensors')
    chosen = numbers(model, 'decoder.hrf')
    check(0 <= answer['hrf'] < 20 and answer['held_out']['two_way'] > 0.9, 'library %r' % answer)
    done = fit(folder, '--components', '4', '--hrf', str(answer['hrf']), '--json')
    check(done.returncode == 0 and numbers(model, 'decoder.hrf') == chosen, 'the same curve by number')
    done = fit(folder, '--hrf', '20')
    check(done.returncode == 2 and 'library' in done.stderr, 'no curve 20: ' + done.stderr)


def check_trials(folder):
    """phos fit trials: a row a trial, repeats alike, curves counted, wrong use named."""
    command = [PHOS, 'fit', 'trials', '--run', 'run.yaml', '--out', 'betas.safetensors', '--json']
    for r in ('1', '2'):
        command += ['--bold', 'run-%s_bold.nii' % r, '--events', 'run-%s_events.tsv' % r]
    for more in (['--method', 'lss'], ['--hrf', 'library', '--method', 'ridge', '--fraction', '.8']):
        done = subprocess.run(command + more, cwd=folder, capture_output=True, text=True)
        check(done.returncode == 0, 'fit trials: ' + done.stderr)
        answer = json.loads(done.stdout)
        head = metadata(os.path.join(folder, 'betas.safetensors'))
        check(head['betas']['shape'] == [answer['trials'], answer['voxels']], 'betas %r' % head)
        check(sum(answer['voxels_by_hrf']) == answer['voxels'], 'curves %r' % answer)
        check(0 < answer['median_r2'] < 1, 'R2 %r' % answer)
    check(len(answer['voxels_by_hrf']) == 20 and abs(answer['median_fraction'] - .8) < 1e-6, 'library %r' % answer)
    done = subprocess.run(command + ['--hrf', 'mine'], cwd=folder, capture_output=True, text=True)
    check(done.returncode == 2 and 'library' in done.stderr, 'unknown curve: ' + done.stderr)


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


def decode(folder, *more, run='run.yaml', bold='run-2_bold.nii'):
    command = [PHOS, 'decode', '--run', run, '--model', 'm.safetensors', '--bold', bold,
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
    check(done.returncode == 65 and 'behind other filters than those of other.yaml: filter 2 was normalise('
          in done.stderr and done.stderr.endswith('there, here it is missing\n'), 'other filters: ' + done.stderr)
    for what, change in (('repetition time', {'tr': 2.5}), ('other positions', {'x_mm': 20}),
                         ('mask', {'nx': NX - 1})):
        change_run(folder, 'other.nii', lambda x: x, **change)
        done = decode(folder, bold='other.nii')
        check(done.returncode == 65 and what in done.stderr, '%s: %s' % (what, done.stderr))
    check(os.path.exists(model), 'the model is left alone')


def check_few_trials(folder):
    """More latents than trials: the ridge decides what the trials leave open, and says so."""
    rng = random.Random(8)
    write_latents(os.path.join(folder, 'many.safetensors'),
                  [[rng.gauss(0, 1) for _ in range(150)] for _ in range(PICTURES)])
    done = fit(folder, '--latents', 'many.safetensors', '--json')
    check(done.returncode == 0, 'many latents: ' + done.stderr)
    answer = json.loads(done.stdout)
    check(0 < answer['trials'] < answer['latents'] == 150, 'trials %r' % answer)
    check('%d trials are fewer than the 150 latents' % answer['trials'] in done.stderr, 'note: ' + done.stderr)
    done = fit(folder, '--latents', 'latents.safetensors')
    check('fewer' not in done.stderr, 'no note: ' + done.stderr)


def check_space(folder):
    """A generator of another latent space of the same size is refused before the run starts."""
    for name, more in (('a', ['--components', '4']), ('b', ['--latents', 'latents.safetensors'])):
        check(fit(folder, *more).returncode == 0, 'fit ' + name)
        os.rename(os.path.join(folder, 'm.safetensors'), os.path.join(folder, name + '.safetensors'))
    check(metadata(os.path.join(folder, 'a.safetensors'))['__metadata__']['latents.space'].startswith('pixels '), 'name')
    os.mkdir(os.path.join(folder, 'other'))
    for i in range(20):
        write_png(os.path.join(folder, 'other', 'p_%02d.png' % i),
                  [rng_picture.randrange(256) for _ in range(SIDE * SIDE * 3)])
    done = subprocess.run([PHOS, 'fit', 'posterior', '--run', 'run.yaml', '--stimuli', 'other', '--components', '4',
                           '--out', 'c.safetensors', '--bold', 'run-1_bold.nii', '--events', 'run-1_events.tsv'],
                          cwd=folder, capture_output=True, text=True)
    check(done.returncode == 0, 'other pictures: ' + done.stderr)
    for generator, good in (('a', True), ('c', False)):
        with open(os.path.join(folder, 'space.yaml'), 'w') as f:
            f.write(open(os.path.join(folder, 'run.yaml')).read() +
                    'decoder: {type: posterior, model: a.safetensors}\n'
                    'generators:\n  - {type: eigenface, model: %s.safetensors}\n' % generator)
        done = subprocess.run([PHOS, 'replay', 'run-2_bold.nii', '--run', 'space.yaml', '--speed', 'max',
                               '--out', 'replayed'], cwd=folder, capture_output=True, text=True)
        check((done.returncode == 0) == good, 'replay with %s: %s' % (generator, done.stderr))
        check(good or 'another space' in done.stderr, 'reason: ' + done.stderr)


def change_run(folder, name, change, tr=TR, x_mm=0, nx=NX):
    """Run 1 with its values [volume][voxel] changed, another TR, origin or width."""
    with open(os.path.join(folder, 'run-1_bold.nii'), 'rb') as f:
        data = bytearray(f.read())
    n = NX * NY * NZ
    volumes = [list(v) for v in struct.iter_unpack('<%df' % n, bytes(data[352:]))]
    volumes = change(volumes)
    struct.pack_into('<f', data, 92, tr)
    struct.pack_into('<f', data, 292, x_mm)
    struct.pack_into('<h', data, 42, nx)
    struct.pack_into('<h', data, 48, len(volumes))
    with open(os.path.join(folder, name), 'wb') as f:
        f.write(bytes(data[:352]))
        for v in volumes:
            v = [x for i, x in enumerate(v) if i % NX < nx]
            f.write(struct.pack('<%df' % len(v), *v))


def write_events(folder, name, shift):
    with open(os.path.join(folder, 'run-1_events.tsv')) as f:
        lines = f.read().splitlines()
    with open(os.path.join(folder, name), 'w') as f:
        f.write(lines[0] + '\n')
        for line in lines[1:]:
            onset, rest = line.split('\t', 1)
            f.write('%g\t%s\n' % (float(onset) + shift, rest))


def change_latents(folder, name, change):
    rows = floats(os.path.join(folder, 'latents.safetensors'), 'latents')
    rows = [change(i, list(rows[i * FACTORS:(i + 1) * FACTORS])) for i in range(PICTURES)]
    write_latents(os.path.join(folder, name), rows)


def check_bad_data(folder):
    """Data that cannot give a decoder are named, with exit code 65, and no model is left."""
    model = os.path.join(folder, 'm.safetensors')
    if os.path.exists(model):
        os.remove(model)

    def refused(words, *more, **other):
        done = fit(folder, *more, **other)
        check(done.returncode == 65 and words in done.stderr, '%s: %d %s' % (words, done.returncode, done.stderr))
        check(not os.path.exists(model), 'no model after: ' + words)

    refused('160 rows of 4 latents in 500 folds', '--components', '4', '--folds', '500')
    write_events(folder, 'late.tsv', 100)
    refused("events begin after the last volume, which ends at 320 s", first=('run-1_bold.nii', 'late.tsv'))
    write_events(folder, 'later.tsv', 10000)
    refused("is 'later.tsv' the table of another run?", first=('run-1_bold.nii', 'later.tsv'))
    change_run(folder, 'short.nii', lambda x: x[:20])
    refused('which ends at 40 s', first=('short.nii', 'run-1_events.tsv'))
    change_run(folder, 'narrow.nii', lambda x: x, nx=NX - 1)
    refused('mask', first=('narrow.nii', 'run-1_events.tsv'))
    change_run(folder, 'slow.nii', lambda x: x, tr=3)
    refused('another grid or repetition time', first=('slow.nii', 'run-1_events.tsv'))
    change_latents(folder, 'flat.safetensors', lambda i, z: [z[0], 3.0] + z[2:])
    refused('latent 1 is the same in all', '--latents', 'flat.safetensors')
    change_latents(folder, 'nan.safetensors', lambda i, z: [math.nan if i == 3 else z[0]] + z[1:])
    refused('the latent of picture 3 is not finite', '--latents', 'nan.safetensors')
    change_run(folder, 'flat.nii', lambda x: [x[0]] * len(x))
    done = subprocess.run([PHOS, 'fit', 'posterior', '--run', 'run.yaml', '--stimuli', 'pictures', '--out',
                           'm.safetensors', '--bold', 'flat.nii', '--events', 'run-1_events.tsv'], cwd=folder,
                          capture_output=True, text=True)
    check(done.returncode == 65 and 'all 102 voxels are constant' in done.stderr, 'constant: ' + done.stderr)
    change_run(folder, 'one.nii', lambda x: [v[:8] + [7.0] + v[9:] for v in x])
    done = fit(folder, '--components', '4', '--json', first=('one.nii', 'run-1_events.tsv'))
    check(done.returncode == 0, 'a voxel constant in one run: ' + done.stderr)


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
    check_trials(work)
    check_curve(work)
    check_latents(work)
    check_decode(work)
    check_few_trials(work)
    check_space(work)
    check_refusals(work)
