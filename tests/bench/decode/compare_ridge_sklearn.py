#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""One dual ridge solve, no folds, by scikit-learn and by bench_ridge_fit in turn, one thread, processor time:
900 samples of 16,416 voxels to 15,360 targets, or with --full the film session of four times each size (needs
8 GB). KernelRidge keeps dual coefficients, as our fit does; Ridge goes on to weights a voxel, so it gets 4,096 targets
alone. Needs scikit-learn.

    compare_ridge_sklearn.py build/tests/bench/decode/bench_ridge_fit [--full] [--rounds N]"""
import os
import re
import subprocess
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
import numpy as np  # noqa: E402
from sklearn.kernel_ridge import KernelRidge  # noqa: E402
from sklearn.linear_model import Ridge  # noqa: E402


def speed():
    """sgemm in GFLOP/s, best of five."""
    a = np.random.default_rng(0).normal(size=(1024, 1024)).astype("f4")
    best = np.inf
    for _ in range(5):
        start = time.process_time()
        a @ a
        best = min(best, time.process_time() - start)
    return 2 * 1024 ** 3 / best / 1e9


def timed(work):
    before = speed()
    start = time.process_time()
    work()
    spent = time.process_time() - start
    return spent, (before + speed()) / 2


def main():
    full = "--full" in sys.argv
    rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 3
    n, q, p = (3600, 65665, 61440) if full else (900, 16416, 15360)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, q), dtype="f4")
    y = rng.standard_normal((n, p), dtype="f4")
    flops = n * n * q + n ** 3 / 3 + 2 * n * n * p
    ours = [sys.argv[1], "--full", "1"] if full else [sys.argv[1]]
    for _ in range(rounds):
        spent, gflops = timed(lambda: KernelRidge(alpha=float(q), kernel="linear").fit(x, y))
        print(f"KernelRidge {spent:7.2f} s, {spent * gflops * 1e9 / flops:.2f} of its products at {gflops:.0f} GFLOP/s")
        few = 4096
        spent, gflops = timed(lambda: Ridge(alpha=float(q), solver="cholesky").fit(x, y[:, :few]))
        print(f"Ridge, {few} targets {spent:7.2f} s at {gflops:.0f} GFLOP/s")
        out = subprocess.run(ours, capture_output=True, text=True, check=True).stdout
        line = next(line for line in out.splitlines() if line.startswith("ridge 1 penalty"))
        total, ratio = re.search(r"total +([\d.]+) s.*ratio ([\d.]+)", line).groups()
        print(f"ours        {float(total):7.2f} s, {ratio} of its products")
        sys.stdout.flush()


main()
