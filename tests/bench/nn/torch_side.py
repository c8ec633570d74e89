# SPDX-License-Identifier: MIT
"""The other side of bench_train: the same work in PyTorch.

Started by the benchmark with the number of threads; reads one word a line (gan, gan-frozen,
generator), does that once and answers with its seconds by the clock, its processor time and the
largest memory of the process so far in MB.
"""
import sys
import time

try:
    import torch
except ImportError:
    print('none', flush=True)
    sys.exit(0)
import torch.nn as nn
import torch.nn.functional as F

BATCH, WIDTH, LATENT = 64, 64, 100


def generator(n_in, width):
    layers, c = [], n_in
    for i in range(4):
        out = width << (3 - i)
        layers += [nn.ConvTranspose2d(c, out, 4, 1 if i == 0 else 2, 0 if i == 0 else 1, bias=False),
                   nn.BatchNorm2d(out), nn.ReLU(True)]
        c = out
    return nn.Sequential(*layers, nn.ConvTranspose2d(c, 3, 4, 2, 1, bias=False), nn.Tanh())


def discriminator(width):
    layers, c = [], 3
    for i in range(4):
        out = width << i
        layers.append(nn.Conv2d(c, out, 4, 2, 1, bias=False))
        if i:
            layers.append(nn.BatchNorm2d(out))
        layers.append(nn.LeakyReLU(0.2, True))
        c = out
    return nn.Sequential(*layers, nn.Conv2d(c, 1, 4, 1, 0, bias=False), nn.Flatten())


class Gan:
    """One adversarial step as it is usually written; `frozen` spares the discriminator's weight
    gradients in the generator's half."""

    def __init__(self):
        self.g, self.d = generator(LATENT, WIDTH), discriminator(WIDTH)
        self.opt_g = torch.optim.Adam(self.g.parameters(), 2e-4, (0.5, 0.999))
        self.opt_d = torch.optim.Adam(self.d.parameters(), 2e-4, (0.5, 0.999))
        self.x, self.z = torch.rand(BATCH, 3, 64, 64) * 2 - 1, torch.randn(BATCH, LATENT, 1, 1)
        self.one, self.zero = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)

    def step(self, frozen):
        loss = F.binary_cross_entropy_with_logits
        fake = self.g(self.z)
        self.opt_d.zero_grad()
        loss(self.d(self.x), self.one).backward()
        loss(self.d(fake.detach()), self.zero).backward()
        self.opt_d.step()
        self.opt_g.zero_grad()
        self.d.requires_grad_(not frozen)
        loss(self.d(fake), self.one).backward()
        self.opt_g.step()
        self.d.requires_grad_(True)


class Work:
    def __init__(self):
        self.made = {}

    def get(self, name, make):
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    def run(self, word):
        if word.startswith('gan'):
            self.get('gan', Gan).step(word == 'gan-frozen')
            return
        with torch.no_grad():
            net = self.get(word, lambda: nn.Sequential(
                nn.Linear(699, 4096), nn.Unflatten(1, (4096, 1, 1)), generator(4096, WIDTH)).eval())
            net(torch.full((1, 699), 0.1))


def peak_mb():
    """Not ru_maxrss, which begins with what the benchmark held when it forked."""
    with open('/proc/self/status') as status:
        return next(int(line.split()[1]) for line in status if line.startswith('VmHWM')) / 1024


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(1)
    work = Work()
    print('ready', flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        work.run(line.strip())
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print('%.6f %.6f %.1f' % (wall, cpu, peak_mb()), flush=True)


main()
