#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A step of PredNet at full KITTI width on a frame of 128 x 160, batch 1, float32: ours against PyTorch's, the
same fused convolutions in both, turn by turn in one run. Prints medians and their ratio for one thread (CPU
time) and for two (the clock). Skipped where PyTorch is not installed."""
import statistics
import subprocess
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("skipped: PyTorch is not installed for " + sys.executable)
    sys.exit(77)

BENCH = sys.argv[1]
CHANNELS, H, W = (3, 48, 96, 192), 128, 160
ROUNDS, STEPS = 3, 8


def weights(n_out, n_in):
    return torch.randn(n_out, n_in, 3, 3) * 0.05, torch.zeros(n_out)


class PredNet:
    def __init__(self):
        top = len(CHANNELS) - 1
        self.gates, self.ahat, self.a = [], [], []
        for k, c in enumerate(CHANNELS):
            self.gates.append(weights(4 * c, 3 * c + (CHANNELS[k + 1] if k < top else 0)))
            self.ahat.append(weights(c, c))
            if k < top:
                self.a.append(weights(CHANNELS[k + 1], 2 * c))
        shapes = [(1, c, H >> k, W >> k) for k, c in enumerate(CHANNELS)]
        self.r = [torch.zeros(s) for s in shapes]
        self.c = [torch.zeros(s) for s in shapes]
        self.e = [torch.zeros(1, 2 * s[1], s[2], s[3]) for s in shapes]

    def parameters(self):
        return sum(p.numel() for layers in (self.gates, self.ahat, self.a) for pair in layers for p in pair)

    def step(self, frame):
        for k in reversed(range(len(CHANNELS))):
            parts = [self.r[k], self.e[k]]
            if k + 1 < len(CHANNELS):
                parts.append(F.interpolate(self.r[k + 1], scale_factor=2, mode="nearest"))
            i, f, g, o = F.conv2d(torch.cat(parts, 1), *self.gates[k], padding=1).chunk(4, 1)
            i, f, o = ((0.2 * x + 0.5).clamp(0, 1) for x in (i, f, o))
            self.c[k] = f * self.c[k] + i * torch.tanh(g)
            self.r[k] = o * torch.tanh(self.c[k])
        a = frame
        for k in range(len(CHANNELS)):
            ahat = F.relu(F.conv2d(self.r[k], *self.ahat[k], padding=1))
            if k == 0:
                prediction = ahat = ahat.clamp(max=1)
            self.e[k] = torch.cat([F.relu(ahat - a), F.relu(a - ahat)], 1)
            if k + 1 < len(CHANNELS):
                a = F.max_pool2d(F.relu(F.conv2d(self.e[k], *self.a[k], padding=1)), 2)
        return prediction


def torch_steps(net, frame, threads):
    torch.set_num_threads(threads)
    now = time.thread_time if threads == 1 else time.monotonic
    times = []
    with torch.no_grad():
        for i in range(-2, STEPS):
            start = now()
            net.step(frame)
            if i >= 0:
                times.append(1e3 * (now() - start))
    return times


def our_steps(threads):
    done = subprocess.run([BENCH, "step", str(threads), str(STEPS)], capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


def main():
    net, frame = PredNet(), torch.rand(1, 3, H, W)
    assert net.parameters() == 6915948
    for threads in (1, 2):
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours += our_steps(threads)
            theirs += torch_steps(net, frame, threads)
        a, b = statistics.median(ours), statistics.median(theirs)
        print("PredNet step, %d thread%s: ours %.1f ms (%.1f frames/s), PyTorch %s %.1f ms (%.1f frames/s), "
              "ratio %.2f" % (threads, "" if threads == 1 else "s", a, 1e3 / a, torch.__version__, b, 1e3 / b, b / a))


if __name__ == "__main__":
    main()
