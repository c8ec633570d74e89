# SPDX-License-Identifier: MIT
"""A whole small live session for system tests: a made-up head of 14 x 14 x 8 voxels that answers to
faces, a decoder fitted to it, run files, engines and senders as real processes, and readers of what
they leave (recording, journal) that share no code with them."""
import collections
import contextlib
import glob
import hashlib
import json
import math
import os
import signal
import socket as sockets
import struct
import subprocess
import time
import zlib

import numpy as np

import nifti
import tensors
from crc import crc32c

SHAPE, TR, N_TRAIN, N_TEST, N_FACES, N_COMPONENTS = (8, 14, 14), 1.0, 300, 60, 24, 6
VOXELS = SHAPE[0] * SHAPE[1] * SHAPE[2]
VOXEL_MM = 6.0
JOURNAL_KINDS = {1: "segment", 2: "hello", 3: "volume", 4: "event", 5: "lost", 6: "gap", 7: "conflict",
                 8: "command", 9: "end"}
Record = collections.namedtuple("Record", "kind index meta payload")


def hrf(seconds):
    def gamma(shape):
        return seconds ** (shape - 1) * math.exp(-seconds) / math.gamma(shape) if seconds > 0 else 0
    return (gamma(6) - gamma(16) / 6) / 0.175


def free_port():
    with contextlib.closing(sockets.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what() if callable(what) else what}"
        time.sleep(0.02)


def head():
    """Whether each voxel of [z][y][x] belongs to the head: an ellipsoid."""
    axes = [np.linspace(-1, 1, n) for n in SHAPE]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return z * z + y * y + x * x < 1.2


def write_run(path, n_volumes, seed, weights, faces):
    """Volumes and events of one run: each face for 1 s every 5 s or so."""
    rng = np.random.default_rng(seed)
    onsets, at = [], 3.0
    while at < n_volumes * TR - 6:
        onsets.append((round(at, 2), int(rng.integers(N_FACES))))
        at += rng.uniform(4, 6)
    drive = np.zeros((n_volumes, faces.shape[1] + 1))
    for k in range(n_volumes):
        for onset, face in onsets:
            drive[k] += hrf((k + 0.5) * TR - onset) * np.append(faces[face], 1)
    clean = 600 + 400 * np.exp(-np.linspace(-1, 1, SHAPE[2]) ** 2)
    volumes = (clean + (drive @ weights).reshape(-1, *SHAPE) * head() + rng.normal(0, 6, (n_volumes, *SHAPE)))
    volumes[:, ~head()] = rng.uniform(0, 20, (n_volumes, (~head()).sum()))
    volumes = volumes.astype("<i2")
    nifti.write(path + "_bold.nii", volumes, voxel_mm=VOXEL_MM, tr_s=TR)
    with open(path + "_events.tsv", "w") as f:
        f.write("onset\tduration\ttrial_type\tstim_index\n")
        f.writelines(f"{onset}\t1\tface\t{face}\n" for onset, face in onsets)
    return volumes, onsets


def run_text(decoder="posterior", sinks="  - {type: record, task: faces}\n", engine="",
             display="", source="{type: wire, linger_s: 0.3}"):
    return f"""phosphene: 1
title: test
source: {source}
filters:
  - {{type: realign, reference: reference.nii}}
  - {{type: smooth, fwhm_mm: 8}}
  - {{type: mask, file: mask.nii}}
  - {{type: quality}}
  - {{type: normalise, mode: percent, baseline: 20}}
decoder: {{type: {decoder}, model: model.safetensors}}
generators:
  - {{type: eigenface, model: model.safetensors}}
sinks:
{sinks}{'engine: {' + engine + '}' if engine else ''}
display: {{stimuli: stimuli{', ' + display if display else ''}}}
"""


class Session:
    """Everything a live run needs, in `folder`: stimuli, two runs, reference, mask, model, run.yaml.
    Without a model: addresses and processes only."""

    def __init__(self, phos, folder, with_model=True):
        self.phos, self.folder = os.path.abspath(phos), folder
        self.n_engines = 0
        self.processes = []
        self.bold, self.events_path = self.path("test_bold.nii"), self.path("test_events.tsv")
        self.new_ports()
        if with_model:
            self.make_model()

    def make_model(self):
        self.check("stimuli", "faces", "--out", "stimuli", "--n", str(N_FACES), "--size", "32")
        rng = np.random.default_rng(3)
        pixels = tensors.read(self.path("stimuli/stimuli.safetensors"))[0]["images"]
        self.stimuli = pixels
        flat = pixels.reshape(N_FACES, -1) / 255.0
        u, s, _ = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
        faces = (u * s)[:, :N_COMPONENTS] / (s[:N_COMPONENTS] / math.sqrt(N_FACES))
        weights = np.append(rng.normal(0, 8, (N_COMPONENTS, VOXELS)), rng.normal(8, 4, (1, VOXELS)), 0)
        train, _ = write_run(self.path("train"), N_TRAIN, 1, weights, faces)
        self.volumes, self.events = write_run(self.path("test"), N_TEST, 2, weights, faces)
        nifti.write(self.path("reference.nii"), train[:10].mean(0).astype("<f4"), voxel_mm=VOXEL_MM, tr_s=TR)
        nifti.write(self.path("mask.nii"), head().astype("<i2"), voxel_mm=VOXEL_MM, tr_s=TR)
        self.write("run.yaml", run_text())
        self.check("fit", "posterior", "--run", "run.yaml", "--bold", "train_bold.nii", "--events",
                   "train_events.tsv", "--stimuli", "stimuli", "--components", str(N_COMPONENTS), "--out",
                   "model.safetensors")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def new_ports(self):
        self.to, self.control, self.feedback = (f"tcp://127.0.0.1:{free_port()}" for _ in range(3))

    def phos_run(self, *args, timeout=60, **more):
        return subprocess.run([self.phos, *args], cwd=self.folder, capture_output=True, text=True,
                              timeout=timeout, **more)

    def check(self, *args):
        done = self.phos_run(*args)
        assert done.returncode == 0, (args, done.stderr)
        return done

    def live(self, out, *more, run="run.yaml", headless=True, **popen):
        """Starts the engine; its log goes to out.N.log, its summary to out.N.json."""
        self.n_engines += 1
        base = self.path(f"{out}.{self.n_engines}")
        args = [self.phos, "live", run, "--out", out, "--json", "--set", f"wire.volumes={self.to}", "--set",
                f"wire.control={self.control}", *(["--headless"] if headless else []), *more]
        with open(base + ".json", "w") as summary, open(base + ".log", "w") as log:
            process = subprocess.Popen(args, cwd=self.folder, stdout=summary, stderr=log, **popen)
        process.base = base
        self.processes.append(process)
        return process

    def send(self, *more, speed="max", events=True):
        """Starts phos send."""
        args = [self.phos, "send", self.bold, "--to", self.to, "--control", self.control, "--wait", "30",
                "--json", "--speed", speed, *(["--events", self.events_path] if events else []), *more]
        process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    @staticmethod
    def read_log(engine):
        with open(engine.base + ".log") as f:
            return f.read()

    def finish(self, engine, code=0, seconds=60):
        """Waits for the engine's end; gives its summary."""
        try:
            got = engine.wait(seconds)
        except subprocess.TimeoutExpired:
            got = None
        log = self.read_log(engine)
        assert got == code, (got, log[-3000:])
        with open(engine.base + ".json") as f:
            text = f.read()
        return (json.loads(text) if text else None), log

    def finish_sender(self, sender, code=0, seconds=60):
        out, err = sender.communicate(timeout=seconds)
        assert sender.returncode == code, (sender.returncode, err[-2000:])
        return json.loads(out) if code == 0 else err

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            if process.stdout:
                process.communicate()
            process.wait()


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def result_files(out):
    """Files of the recording whose content must not depend on anything but the data: all results of
    sink/record except its table of latencies and the dataset's description."""
    names = sorted(glob.glob(os.path.join(out, "bids/derivatives/phosphene/**/*"), recursive=True))
    return [n for n in names if os.path.isfile(n) and "latency" not in n and "sub-" in os.path.basename(n)
            or n.endswith(".png")]


def result_hash(out):
    """One hash over latents, pictures and quality of a recording, file names without the folder."""
    total = hashlib.sha256()
    files = result_files(out)
    assert any(n.endswith("latents.safetensors") for n in files), f"no latents under {out}"
    assert any(n.endswith(".png") for n in files), f"no pictures under {out}"
    for name in files:
        with open(name, "rb") as f:
            total.update(os.path.basename(name).encode() + b"\0" + hashlib.sha256(f.read()).digest())
    return total.hexdigest()


def read_segment(data):
    """Whole records of one journal file up to its torn end, as docs/formats.md lays them out."""
    at = 0
    while at + 192 <= len(data):
        magic, size = struct.unpack_from("<4sI", data, at)
        if magic != b"PHJ1" or at + size > len(data):
            return
        (index,) = struct.unpack_from("<Q", data, at + 16)
        kind, _, n_meta, n_payload = struct.unpack_from("<HHII", data, at + 40)
        whole = data[at : at + size]
        if crc32c(whole[:-4]) != struct.unpack_from("<I", whole, size - 4)[0]:
            return
        meta = whole[192 : 192 + n_meta]
        yield (struct.unpack_from("<Q", data, at + 8)[0],
               Record(JOURNAL_KINDS[kind], index, json.loads(meta) if n_meta else None,
                      whole[192 + n_meta : 192 + n_meta + n_payload]))
        at += size


def read_journal(folder):
    """Records in order of their sequence numbers; where two files hold the same number, the newer
    file's counts (the older one was given up after a failed write)."""
    records = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".phj"):
            with open(os.path.join(folder, name), "rb") as f:
                for sequence, record in read_segment(f.read()):
                    if record.kind != "segment":
                        records[sequence] = record
    return [records[k] for k in sorted(records)]


def image_bytes(volume):
    """The int16 or float32 image [z][y][x] as it travels: a whole NIfTI-1 file."""
    code = {np.dtype("<i2"): 4, np.dtype("<f4"): 16}[volume.dtype]
    h = bytearray(352)
    struct.pack_into("<i", h, 0, 348)
    struct.pack_into("<8h", h, 40, 3, *volume.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<2h", h, 70, code, volume.dtype.itemsize * 8)
    struct.pack_into("<8f", h, 76, 1, *[VOXEL_MM] * 3, TR, 1, 1, 1)
    struct.pack_into("<3f", h, 108, 352, 1, 0)
    h[123] = 2 | 8
    struct.pack_into("<2h", h, 252, 0, 1)
    for row in range(3):
        struct.pack_into("<f", h, 280 + 20 * row, VOXEL_MM)
    h[344:348] = b"n+1\0"
    return bytes(h) + volume.tobytes()


def check_journal(folder, volumes):
    """Every volume once, in order, its voxels byte for byte; returns the number of events."""
    records = read_journal(folder)
    taken = [r for r in records if r.kind == "volume"]
    assert [r.index for r in taken] == list(range(len(volumes))), [r.index for r in taken]
    for record, volume in zip(taken, volumes):
        assert record.payload[-volume.nbytes :] == volume.tobytes(), f"volume {record.index} changed"
        assert zlib.crc32(record.payload) == record.meta["crc32"]
    return sum(r.kind == "event" for r in records)


def n_journalled(folder):
    """Volumes that stand whole in the journal so far."""
    if not os.path.isdir(folder):
        return 0
    return sum(r.kind == "volume" for r in read_journal(folder))
