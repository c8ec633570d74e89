# SPDX-License-Identifier: MIT
"""The other side of bench_train and bench_live_torch: the same work in PyTorch.

Started by the benchmark with the number of threads; reads one word a line (gan, gan-frozen,
generator, prednet), does that once and answers with its seconds by the clock, its processor time
and the largest memory of the process so far in MB.
"""
import resource
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


class PredNet(nn.Module):
    """One frame; the four gates of a layer in one convolution."""

    def __init__(self, stacks=(3, 48, 96, 192), h=128, w=160):
        super().__init__()
        self.n, self.stacks = len(stacks), stacks
        self.gate, self.ahat, self.a = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for l, c in enumerate(stacks):
            above = stacks[l + 1] if l + 1 < self.n else 0
            self.gate.append(nn.Conv2d(3 * c + above, 4 * c, 3, 1, 1))
            self.ahat.append(nn.Conv2d(c, c, 3, 1, 1))
            if above:
                self.a.append(nn.Conv2d(2 * c, above, 3, 1, 1))
        zeros = [(c, h >> l, w >> l) for l, c in enumerate(stacks)]
        self.r = [torch.zeros(1, *s) for s in zeros]
        self.c = [torch.zeros(1, *s) for s in zeros]
        self.e = [torch.zeros(1, 2 * s[0], *s[1:]) for s in zeros]

    def forward(self, frame):
        hard = lambda v: torch.clamp(0.2 * v + 0.5, 0, 1)
        for l in reversed(range(self.n)):
            parts = [self.e[l], self.r[l]]
            if l + 1 < self.n:
                parts.append(F.interpolate(self.r[l + 1], scale_factor=2))
            i, f, g, o = self.gate[l](torch.cat(parts, 1)).chunk(4, 1)
            self.c[l] = hard(f) * self.c[l] + hard(i) * torch.tanh(g)
            self.r[l] = hard(o) * torch.tanh(self.c[l])
        a = frame
        for l in range(self.n):
            ahat = torch.relu(self.ahat[l](self.r[l]))
            if l == 0:
                ahat = torch.clamp(ahat, max=1)
            self.e[l] = torch.cat([torch.relu(ahat - a), torch.relu(a - ahat)], 1)
            if l + 1 < self.n:
                a = F.max_pool2d(torch.relu(self.a[l](self.e[l])), 2)
        return ahat


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
            if word == 'generator':
                net = self.get(word, lambda: nn.Sequential(
                    nn.Linear(699, 4096), nn.Unflatten(1, (4096, 1, 1)), generator(4096, 64)).eval())
                net(torch.full((1, 699), 0.1))
            else:
                self.get(word, lambda: PredNet().eval())(torch.full((1, 3, 128, 160), 0.5))


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(1)
    work = Work()
    print('ready', flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        work.run(line.strip())
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print('%.6f %.6f %.1f' % (wall, cpu, peak), flush=True)


main()
