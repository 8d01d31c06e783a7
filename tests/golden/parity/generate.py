#!/usr/bin/env python3
"""Writes resnet20_f64.csv: the losses of 20 CLR steps of a small ResNet-20 in double, from inputs computed by formula.

tests/apps/train_parity_test.cpp computes the same backbone, start values and images and expects the same losses.
"""

import os
import sys

import numpy as np
import torch

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "parity"))
import clr_torch  # noqa: E402

CLASSES, IMAGES, SIZE, BATCH, STEPS = 3, 24, 16, 8, 20
MASK = (1 << 64) - 1


def mix(x):
    """The output function of SplitMix64."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def fnv(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def noise(name, n):
    """Returns n values in [-1, 1), multiples of 2^-20, which are exact in single precision."""
    base = fnv(name)
    return np.array([(mix(base ^ i) >> 43) / 2.0**20 - 1 for i in range(n)])


def value(name, shape):
    u = noise(name, int(np.prod(shape))).reshape(shape)
    if name.endswith("reprogram.weight"):
        u = u / 8
        u[:, 0, 1, 1] += 1
        return u
    if name.endswith("running_var"):
        return 1 + u / 4
    if ("bn" in name) and name.endswith("weight"):
        return 1 + u / 4
    if ("bn" in name) or name.startswith("linear"):
        return u / 8
    return u * {3: 0.5, 16: 0.125, 32: 0.125, 64: 0.0625}[shape[1]]


def image(index):
    u = noise(f"image{index}", SIZE * SIZE * 3).reshape(SIZE, SIZE, 3)
    return np.floor((u + 1) * 128).astype(np.uint8)


def main():
    torch.set_num_threads(1)
    net = clr_torch.make("resnet20", CLASSES).double()
    state = {}
    for name, tensor in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            state[name] = torch.from_numpy(value(name, tuple(tensor.shape)))
    net.load_state_dict(state, strict=False)
    images = np.stack([image(i) for i in range(IMAGES)])
    labels = torch.tensor([i // (IMAGES // CLASSES) for i in range(IMAGES)])
    training = clr_torch.Training(net)
    with open(os.path.join(here, "resnet20_f64.csv"), "w") as out:
        out.write("step,loss,cross_entropy\n")
        for step in range(STEPS):
            batch = [(step * BATCH + 5 * i) % IMAGES for i in range(BATCH)]
            loss, entropy = training.step(clr_torch.normalised(images[batch], torch.float64), labels[batch])
            out.write(f"{step + 1},{loss:.17g},{entropy:.17g}\n")


if __name__ == "__main__":
    main()
