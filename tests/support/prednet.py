# SPDX-License-Identifier: MIT
"""PredNet in NumPy, float64, for tests: slow and plain."""
import numpy as np


def conv(x, weight, bias):
    """3 x 3, padded with zeros; x [n][c][h][w]."""
    n, _, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = np.zeros((n, weight.shape[0], h, w)) + bias[None, :, None, None]
    for dy in range(3):
        for dx in range(3):
            out += np.einsum("oi,nihw->nohw", weight[:, :, dy, dx], padded[:, :, dy:dy + h, dx:dx + w])
    return out


def prednet(p, frames, first_guess):
    """Of frames [t][n][3][h][w], from `first_guess` on the predictions before: error means [t][layer], predictions
    [t][n][3][h][w], and R after each step, [t][layer]. Written from the update equations. Parameters p are arrays by
    our names, in the order out, in, y, x."""
    n_layers = sum(name.startswith("prednet.ahat") and name.endswith("bias") for name in p)
    get = {name: value.astype(float) for name, value in p.items()}
    _, n, _, h, w = frames.shape
    sizes = [(n, len(get["prednet.ahat.%d.bias" % k]), h >> k, w >> k) for k in range(n_layers)]
    r, c = [np.zeros(s) for s in sizes], [np.zeros(s) for s in sizes]
    e = [np.zeros((n, 2 * s[1], *s[2:])) for s in sizes]
    errors, predictions, states = [], [], []

    def layer(kind, k, x):
        return conv(x, get["prednet.%s.%d.weight" % (kind, k)], get["prednet.%s.%d.bias" % (kind, k)])

    for t, frame in enumerate(frames):
        for k in reversed(range(n_layers)):
            parts = [r[k], e[k]]
            if k + 1 < n_layers:
                parts.append(r[k + 1].repeat(2, 2).repeat(2, 3))
            x = np.concatenate(parts, 1)
            i, f, o = (np.clip(0.2 * layer(g, k, x) + 0.5, 0, 1) for g in "ifo")
            c[k] = f * c[k] + i * np.tanh(layer("c", k, x))
            r[k] = o * np.tanh(c[k])
        a = predictions[-1] if t >= first_guess else frame
        for k in range(n_layers):
            ahat = np.maximum(layer("ahat", k, r[k]), 0)
            if k == 0:
                ahat = np.minimum(ahat, 1)
                predictions.append(ahat)
            e[k] = np.concatenate([np.maximum(ahat - a, 0), np.maximum(a - ahat, 0)], 1)
            if k + 1 < n_layers:
                a = np.maximum(layer("a", k, e[k]), 0)
                a = a.reshape(*a.shape[:2], a.shape[2] // 2, 2, a.shape[3] // 2, 2).max((3, 5))
        errors.append([x.mean() for x in e])
        states.append([x.copy() for x in r])
    return np.array(errors), np.array(predictions), states
