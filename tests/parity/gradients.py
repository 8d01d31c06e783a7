#!/usr/bin/env python3
"""Compares the gradients of one CLR step, written by `clr forward --train-step`, with PyTorch's.

    clr forward --backbone F --task T.safetensors --input batch.safetensors --output ours.safetensors --train-step
    python3 tests/parity/gradients.py --backbone F --task T.safetensors --input batch.safetensors --ours ours.safetensors

`batch.safetensors` has `images` (u8, N,H,W,3) and `labels` (i64). Prints for each tensor the norm of the difference, divided by
the norm of PyTorch's gradient in double, for our gradient and for PyTorch's in single precision.
"""
import argparse

import torch
from safetensors.torch import load_file
from torch.nn import functional as F

import clr_torch
from compare import read_backbone


def gradients(args, dtype):
    task = load_file(args.task)
    head = task.get("linear.weight", task.get("fc.weight"))
    batch = load_file(args.input)
    net = clr_torch.make(args.arch, head.shape[0])
    clr_torch.load(net, read_backbone(args.backbone), task)
    net = net.to(dtype).train()
    x = clr_torch.normalised(batch["images"].numpy(), dtype)
    F.cross_entropy(net(x), batch["labels"]).backward()
    return {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--backbone", "--task", "--input", "--ours"):
        parser.add_argument(name, required=True)
    parser.add_argument("--arch", default="resnet20")
    args = parser.parse_args()
    exact, single = gradients(args, torch.float64), gradients(args, torch.float32)
    ours = load_file(args.ours)
    worst_ours = worst_single = 0
    for name, g in exact.items():
        away = [((other.double().reshape(g.shape) - g).norm() / g.norm()).item() for other in
                (ours["grad." + name], single[name])]
        worst_ours, worst_single = max(worst_ours, away[0]), max(worst_single, away[1])
        print(f"{name:40} ours {away[0]:.1e}   PyTorch f32 {away[1]:.1e}")
    print(f"{len(exact)} tensors, largest: ours {worst_ours:.1e}, PyTorch in single precision {worst_single:.1e}")


if __name__ == "__main__":
    main()
