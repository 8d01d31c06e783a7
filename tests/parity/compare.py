#!/usr/bin/env python3
"""Trains in PyTorch on the batches of a `clr train --log-steps` file and prints the differences of the losses."""

import argparse
import csv
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

import clr_torch


def read_backbone(path):
    if path.endswith(".safetensors"):
        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def read_images(listing, size, split="train"):
    """Returns the training images in the order of their indices, from `clr tasks --list`."""
    images, labels = [], []
    for line in open(listing, encoding="utf-8"):
        part, label, _, path = line.rstrip("\n").split("\t")
        if part == split:
            image = Image.open(path).convert("RGB")
            if image.size != (size, size):
                image = image.resize((size, size), Image.BILINEAR)
            images.append(np.asarray(image))
            labels.append(int(label))
    return np.stack(images), torch.tensor(labels)


def losses(args, batches, images, labels, dtype, scale=1.0):
    task = load_file(args.init)
    head = "linear.weight" if "linear.weight" in task else "fc.weight"
    arch = args.arch or ("resnet20" if head == "linear.weight" else "resnet18")
    net = clr_torch.make(arch, task[head].shape[0])
    net = net.to(dtype)
    clr_torch.load(net, read_backbone(args.backbone), task)
    training = clr_torch.Training(net, lr=args.lr, lambda_=getattr(args, "lambda"))
    return [training.step(clr_torch.normalised(images[b], dtype) * scale, labels[b]) for b in batches]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--init", required=True, help="the task file from which both start")
    parser.add_argument("--list", required=True, help="output of `clr tasks --list TASK`")
    parser.add_argument("--log-steps", required=True, help="the log that clr train wrote")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--arch")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--lambda", type=float, default=1e-5)
    parser.add_argument("--dtype", choices=["f32", "f64"], default="f32")
    parser.add_argument("--drift", action="store_true", help="also compare PyTorch with itself, its input scaled by 1 + 1e-7")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tolerance", type=float, help="exit 1 if a loss differs by more")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    rows = list(csv.DictReader(open(args.log_steps)))
    batches = [np.array([int(i) for i in row["images"].split()]) for row in rows]
    dtype = torch.float64 if args.dtype == "f64" else torch.float32
    images, labels = read_images(args.list, args.size)
    theirs = losses(args, batches, images, labels, dtype)
    drift = losses(args, batches, images, labels, dtype, 1 + 1e-7) if args.drift else None

    worst = 0.0
    print("step  clr                      torch                    difference" + ("  torch against itself" if drift else ""))
    for i, (row, (loss, _)) in enumerate(zip(rows, theirs)):
        difference = abs(float(row["loss"]) - loss)
        worst = max(worst, difference)
        own = f"  {abs(drift[i][0] - loss):.3e}" if drift else ""
        print(f"{row['step']:>4}  {float(row['loss']):<23.17g}  {loss:<23.17g}  {difference:.3e}{own}")
    print(f"largest difference {worst:.3e} over {len(rows)} steps")
    if args.tolerance is not None and worst > args.tolerance:
        sys.exit(1)


if __name__ == "__main__":
    main()
