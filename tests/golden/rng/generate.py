#!/usr/bin/env python3
"""Writes numbers of PyTorch's CPU generator: generator.txt, networks.txt, training.csv.

Run it on a machine where torch.backends.cpu.get_cpu_capability() is AVX2 or AVX512.
"""

import hashlib
import importlib.util
import math
import os

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

import networks

HERE = os.path.dirname(os.path.abspath(__file__))


def by_formula():
    path = os.path.join(HERE, "..", "parity", "generate.py")
    spec = importlib.util.spec_from_file_location("parity_generate", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def following():
    """Returns the global generator's next number, which shows how many were consumed."""
    return torch.empty((), dtype=torch.int64).random_().item()


def hashed(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def words(values):
    return " ".join(f"{w:08x}" for w in values.numpy().view(np.uint32))


def write(name, lines):
    with open(os.path.join(HERE, name), "w") as out:
        out.write("".join(line + "\n" for line in lines))


SEEDS = (0, 1, 27, 123456789, 2**32 + 5)


def generator():
    lines = []
    for seed in SEEDS:
        for n in (1, 2, 7, 8, 9, 15, 16, 17, 33, 4099):
            for low, high in ((0, 1), (-1 / math.sqrt(9), 1 / math.sqrt(9)), (-0.25, 0.7)):
                torch.manual_seed(seed)
                v = torch.empty(n).uniform_(low, high)
                told = words(v) if n < 100 else hashed(v.numpy())
                lines.append(f"uniform {seed} {n} {low!r} {high!r} {following()} {told}")
        for n in (1, 2, 3, 15, 16, 17, 32, 35, 100):
            torch.manual_seed(seed)
            v = torch.empty(n).normal_(0.5, 2)
            # A second tensor of 1 value: fewer than 16 leave a number over.
            w = torch.empty(1).normal_()
            lines.append(f"normal {seed} {n} {following()} " + " ".join(f"{x:.9g}" for x in [*v, *w]))
        for n in (1, 2, 3, 10, 64, 5120, 70000):
            torch.manual_seed(seed)
            p = torch.randperm(n)
            told = " ".join(map(str, p.tolist())) if n < 100 else hashed(p.numpy())
            lines.append(f"permutation {seed} {n} {following()} {told}")
        for n in (1, 2, 31, 500):
            loader = DataLoader(TensorDataset(torch.arange(n)), batch_size=3, shuffle=True)
            torch.manual_seed(seed)
            for iteration in range(3):
                order = torch.cat([batch for (batch,) in loader])
                told = " ".join(map(str, order.tolist())) if n < 100 else hashed(order.numpy())
                lines.append(f"loader {seed} {n} {iteration} {told}")
    write("generator.txt", lines)


def network_lines():
    lines = []
    for arch, pretrained_classes in (("resnet18", 1000), ("resnet34", 1000), ("resnet50", 1000),
                                     ("resnet18", 7), ("resnet20", 10), ("resnet32", 100)):
        several = (arch, pretrained_classes) in (("resnet18", 1000), ("resnet20", 10))
        for method in ("clr", "clr-full", "clr-mixed", "clr-residual", "side-conv", "linear"):
            for seed, classes in ((27, 47), (0, 3), (4294967301, 102))[:3 if several else 1]:
                torch.manual_seed(seed)
                net = networks.make(arch, method, classes, pretrained_classes)
                layers = []
                for m in networks.layers_of(net):
                    layers.append(m.layer.weight.detach().numpy())
                    if method == "clr-residual":
                        layers.append(m.scale.detach().numpy())
                head = getattr(net, networks.head_name(net))
                heads = hashed(head.weight.detach().numpy(), head.bias.detach().numpy())
                lines.append(f"{arch} {pretrained_classes} {method} {seed} {classes} {following()} {heads} "
                             f"{hashed(*layers)}")
    # The constructors' own samples: the first values of the stem and of the head.
    for arch, classes in (("resnet18", 1000), ("resnet20", 10)):
        torch.manual_seed(3)
        net = networks.pretrained(arch, classes)
        first = net.conv1.weight.detach().flatten()[:16]
        head = getattr(net, networks.head_name(net))
        lines.append(f"constructor {arch} {classes} 3 {following()} " +
                     " ".join(f"{x:.9g}" for x in [*first, *head.weight.detach().flatten()[:16], *head.bias[:4]]))
    write("networks.txt", lines)


CLASSES, TRAIN, VAL, EPOCHS, BATCH = 3, 20, 10, 3, 8


def penalty(net, method):
    wrapped = networks.layers_of(net)
    tensors = list(getattr(net, networks.head_name(net)).parameters())
    if method != "side-conv":
        tensors += [p for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in (m.weight, m.bias)]
    tensors += [t for m in wrapped for t in (m.conv.weight, m.layer.weight)]
    return 1e-5 * sum(t.norm() for t in tensors)


def training(method, seed, lines):
    """Trains by the published recipe in double, from start values sampled in single precision."""
    formula = by_formula()
    torch.manual_seed(seed)
    net = networks.make("resnet20", method, CLASSES, 10)
    for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
        plain = name.replace(".conv.", ".")
        is_body = (".layer." not in name) and not name.startswith("linear") and not name.endswith(("scale", "tracked"))
        if is_body:
            tensor.data.copy_(torch.from_numpy(formula.value(plain, tuple(tensor.shape))))
    net.double()
    for m in net.modules():
        if isinstance(m, networks.Wrapped):
            m.conv.weight.requires_grad_(False)
        if isinstance(m, torch.nn.BatchNorm2d) and method == "side-conv":
            m.weight.requires_grad_(False)
            m.bias.requires_grad_(False)
    images = np.stack([formula.image(i) for i in range(TRAIN + VAL)])
    x = formula.clr_torch.normalised(images, torch.float64)
    y = torch.tensor([i % CLASSES for i in range(TRAIN + VAL)])
    # Class folders order the images by class.
    order = [i for c in range(CLASSES) for i in range(TRAIN) if i % CLASSES == c]
    val = [i for c in range(CLASSES) for i in range(TRAIN, TRAIN + VAL) if i % CLASSES == c]
    train_loader = DataLoader(TensorDataset(x[order], y[order], torch.arange(TRAIN)), BATCH, shuffle=True)
    val_loader = DataLoader(TensorDataset(x[val], y[val], torch.arange(VAL)), 16, shuffle=True)
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.1)
    step = 0
    for _ in range(EPOCHS):
        net.train(method != "side-conv")
        for images, labels, indices in train_loader:
            entropy = torch.nn.functional.cross_entropy(net(images), labels)
            loss = entropy + penalty(net, method)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            lines.append(f"{method},{seed},{step},{loss.item():.17g},{entropy.item():.17g}," +
                         " ".join(map(str, indices.tolist())))
        schedule.step()
        visited = [i for _, _, indices in val_loader for i in indices.tolist()]
        lines.append(f"{method},{seed},val,,," + " ".join(map(str, visited)))


def main():
    torch.set_num_threads(1)
    generator()
    network_lines()
    lines = ["method,seed,step,loss,cross_entropy,images"]
    for method, seed in (("clr", 0), ("clr", 27), ("side-conv", 27), ("clr-residual", 4294967301)):
        training(method, seed, lines)
    write("training.csv", lines)


if __name__ == "__main__":
    main()
