#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""phos bench: what it reports of a small run adds up. Every volume sent is acknowledged once and in
order, each stage sees each, percentiles rise, no volume is done before the work in it, and nothing
is left in the folder it worked in. No time is compared with any other machine's."""
import json
import os
import subprocess
import sys
import tempfile

PHOS = sys.argv[1]
N, N_FLAT = 40, 30
SMALL = ["--quick", "--n", str(N), "--n-flat", str(N_FLAT), "--rate", "200", "--size", "16x16x12",
         "--voxel-mm", "4", "--workers", "2"]


def bench(*args):
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run([PHOS, "bench", *SMALL, "--dir", folder, *args],
                                capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, (result.returncode, result.stdout, result.stderr)
        assert os.listdir(folder) == [], os.listdir(folder)
    return result.stdout


def rises(stats):
    assert 0 <= stats["p50"] <= stats["p99"] <= stats["max"], stats


def check_counts(run, n):
    counts = run["counts"]
    assert run["volumes"] == n
    assert counts["sent"] == counts["acknowledged"] == counts["received"] == n, counts
    assert counts["lost"] == counts["duplicates"] == counts["resent"] == 0, counts
    assert counts["acks_in_order"] and counts["stages_in_order"], counts
    assert run["missing"] == run["failures"] == 0 and run["events"] == run["events_sent"], run
    assert run["ack_ms"]["n"] == run["decoded_ms"]["n"] == n - run["skipped"], run
    assert len(run["resident_mb"]) == 11 and all(mb > 0 for mb in run["resident_mb"]), run


def check_times(run):
    stages = {stage["name"]: stage for stage in run["stages"]}
    for name in ("decoded_ms", "ack_ms", "filters_ms"):
        rises(run[name])
    for stage in stages.values():
        rises(stage["busy_ms"])
        rises(stage["waits_ms"])
        assert stage.get("floor_ms", 0) >= 0
    assert run["filters_ms"]["max"] <= run["decoded_ms"]["max"], run
    assert abs(run["volumes_per_s"] * run["seconds"] - (run["volumes"] - 1)) < 1e-3, run
    return stages


def check_pictures(run, stages, generator="eigenface"):
    pictures = run["pictures"]
    assert run["events"] > 0 and pictures["rendered"] > 0
    assert 0 < pictures["seen"] <= pictures["rendered"], pictures
    assert stages[generator]["busy_ms"]["n"] <= pictures["rendered"]
    for name in ("p50", "p99", "max"):
        assert run["first_picture_ms"][name] <= run["picture_ms"][name]
        assert run["picture_ms"][name] <= run["sent_to_picture_ms"][name]


def test_decoder():
    report = json.loads(bench("--json", "--voxels", "500", "--latents", "8", "--picture", "8"))
    assert report["run"]["dims"] == [16, 16, 12] and report["run"]["mask"] == 500
    paced, flat = report["passes"]
    assert paced["rate"] == 200 and flat["rate"] == 0
    for run, n in ((paced, N), (flat, N_FLAT)):
        check_counts(run, n)
        check_pictures(run, check_times(run))
    for when in ("before", "after"):
        hardware = report["hardware"][when]
        assert all(hardware[key] > 0 for key in hardware if key != "load"), hardware


def test_dand():
    """The shipped generator draws, from as many latents as it has."""
    model = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../data/models/dand-faces.safetensors")
    report = json.loads(bench("--json", "--voxels", "500", "--dand", model))
    assert report["run"]["latents"] == 64, report["run"]
    for run, n in zip(report["passes"], (N, N_FLAT)):
        check_counts(run, n)
        stages = check_times(run)
        check_pictures(run, stages, "dand")
        assert "eigenface" not in stages and stages["dand"]["floor_ms"] > 0


def test_chain():
    report = json.loads(bench("--json", "--chain"))
    assert report["run"]["type"] == "float32" and report["run"]["latents"] == 0
    for run, n in zip(report["passes"], (N, N_FLAT)):
        check_counts(run, n)
        stages = check_times(run)
        assert list(stages) == ["wire", "realign", "smooth", "mask", "glm", "normalise"]
        assert run["pictures"]["rendered"] == 0 and run["picture_ms"]["n"] == 0


def test_display_and_table():
    # at a pace, since flat out the run may end before the display's first refresh
    table = bench("--display", "--rate", "40", "--voxels", "500", "--latents", "8", "--picture", "8")
    assert "posterior" in table and "acknowledged %d, again 0, lost 0" % N in table, table
    assert int(table.split("frames drawn ")[1].split()[0]) > 0, table


def test_usage():
    for args in (["--size", "5x5"], ["--n", "0"], ["--rate", "0"], ["--voxels", "99999999"],
                 ["--workers", "99"], ["--dand", "none"], ["file"]):
        result = subprocess.run([PHOS, "bench", "--quick", *args], capture_output=True, text=True,
                                timeout=60)
        assert result.returncode == 2 and result.stderr, (args, result)


test_decoder()
test_dand()
test_chain()
test_display_and_table()
test_usage()
