#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""phos send against an engine written in Python: content, pace, events before the volumes they
belong to, credit, resent volumes, lost engines, refusals, exit codes."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import time

import nibabel
import numpy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wire_engine import Engine  # noqa: E402

PHOS = sys.argv[1]
SHAPE, N, TR = (6, 5, 4), 12, 2.0


def send(engine, *args, path="run.nii.gz", wait="10"):
    return subprocess.run([PHOS, "send", path, "--to", engine.to, "--control", engine.events_to,
                           "--wait", wait, *args], capture_output=True, text=True, timeout=60)


def make_run():
    data = numpy.arange(numpy.prod(SHAPE) * N, dtype=numpy.int16).reshape(SHAPE + (N,), order="F")
    image = nibabel.Nifti1Image(data, numpy.diag([3, 3, 3, 1]))
    image.header.set_zooms((3, 3, 3, TR))
    image.to_filename("run.nii.gz")
    with open("events.tsv", "w") as f:
        f.write("onset\tduration\ttrial_type\tstim_file\n0.5\t1\tface\ta.png\n5\t1\thouse\tb.png\n"
                "5.5\t1\tface\tc.png\n17\t1\tface\td.png\n")
    return data


def check_content(engine, data):
    assert sorted(engine.images) == list(range(N)), sorted(engine.images)
    for index, (message, payload) in engine.images.items():
        open("one.nii", "wb").write(payload)
        one = nibabel.load("one.nii")
        assert one.shape == SHAPE and one.get_data_dtype() == numpy.int16
        assert numpy.array_equal(numpy.asarray(one.dataobj), data[..., index])
        assert one.header["pixdim"][4] == TR and message["acquired"] == TR * index


def test_content_and_events(data):
    engine = Engine().start()
    result = send(engine, "--speed", "max", "--events", "events.tsv", "--json", "--run", "7")
    engine.stop()
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["acknowledged"] == N and report["resent"] == 0 and report["events"] == 4, report
    assert report["latency_ms"] == {"p50": 1.0, "p99": 2.0, "max": 3.0}
    check_content(engine, data)
    hello = engine.hello
    assert hello["run"] == "7" and hello["dims"] == list(SHAPE) and hello["volumes"] == N
    assert hello["datatype"] == "int16" and hello["tr"] == TR
    assert [e["onset"] for e in engine.events] == [0.5, 5, 5.5, 17]
    assert [e["trial_type"] for e in engine.events] == ["face", "house", "face", "face"]
    # each event came before the volume in whose time it began, and after none that ends later
    assert [e["before"] for e in engine.events] == [0, 2, 2, 8], engine.events


def test_pace(data):
    engine = Engine().start()
    result = send(engine, "--speed", "20")
    engine.stop()
    assert result.returncode == 0, result.stderr
    check_content(engine, data)
    times = [t for t, kind, _ in engine.log if kind == "VOLUME"]
    greeted = [t for t, kind, _ in engine.log if kind == "HELLO"][0]
    for i, t in enumerate(times):  # never before it was acquired; a busy machine may be late
        assert t - greeted >= (i + 1) * TR / 20 - 0.005, (i, t - greeted)


def test_faults(data):
    engine = Engine()
    engine.bad_crc, engine.deaf, engine.forget_after, engine.credit = {2, 5}, {9}, 8, 2
    engine.start()
    result = send(engine, "--speed", "max", "--json")
    engine.stop()
    assert result.returncode == 0, result.stderr
    check_content(engine, data)
    assert json.loads(result.stdout)["resent"] > 0


def test_compressed(data):
    engine = Engine().start()
    result = send(engine, "--speed", "max", "--compress")
    engine.stop()
    assert result.returncode == 0, result.stderr
    assert all(m["encoding"] == "nifti+zstd" for m, _ in engine.images.values())
    assert all(p[:4] == struct.pack("<I", 0xFD2FB528) for _, p in engine.images.values())


def test_refused(data):
    engine = Engine()
    engine.refuse = {3}
    engine.start()
    result = send(engine, "--speed", "max")
    engine.stop()
    assert result.returncode == 1 and "no image" in result.stderr, result


def test_exit_codes(data):
    engine = Engine()  # bound but deaf: never started
    assert send(engine, wait="0.5").returncode == 69
    assert send(engine, path="none.nii").returncode == 66
    open("bad.nii", "wb").write(b"x" * 400)
    result = send(engine, path="bad.nii")
    assert result.returncode == 65 and "bad.nii" in result.stderr
    assert send(engine, "--speed", "0").returncode == 2
    assert send(engine, "--run", "a/b").returncode == 2
    engine.volumes.close()
    engine.control.close()
    engine.context.term()


def test_late_engine(data):
    """The sender may be started first."""
    engine = Engine()
    process = subprocess.Popen([PHOS, "send", "run.nii.gz", "--to", engine.to, "--speed", "max"])
    time.sleep(1.0)
    engine.start()
    assert process.wait(30) == 0
    engine.stop()
    check_content(engine, data)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PHOS = os.path.abspath(PHOS)
        os.chdir(folder)
        run = make_run()
        for name, test in list(globals().items()):
            if name.startswith("test_"):
                test(run)
                print("ok", name)
        os.chdir("/")
