#!/usr/bin/env python3
"""Learns the same tasks with `clr train` and with PyTorch, several seeds each, and prints both curves and a paired table.

Both follow the original's recipe: Adam at 1e-3, divided by ten after every third of the epochs; a penalty of 1e-5 times the sum of
the norms; batch 32; the best epoch on the validation images; a stop when that is more than 21 epochs old. Splits are fixed.

With --paired, a seed's two runs have the same head and the same order of images, both sampled by PyTorch. Their chance then
cancels, and the table's error is that of the differences. Without it the programs share only images, backbone and recipe, and
sample their own random numbers.

--work keeps what is finished, one file per curve, so that an interrupted run continues.
"""

import argparse
import csv
import math
import pathlib
import statistics
import subprocess
import sys

import torch
from safetensors.torch import save_file

import clr_torch
from compare import read_backbone, read_images

PATIENCE = 21


def listing(args, task):
    path = args.work / f"{task}.tsv"
    if not path.exists():
        out = subprocess.run([args.clr, "tasks", "--data", args.data, "--list", task, *split_options(args)], check=True, capture_output=True,
                             text=True).stdout
        path.write_text(out, encoding="utf-8")
    return path


def split_options(args):
    return ["--val-fraction", str(args.val_fraction)] + (["--max-images", str(args.max_images)] if args.max_images else [])


def start(args, classes, seed):
    """Returns PyTorch's network for a seed, whose first samples are the new head and the reprogramming layers."""
    torch.manual_seed(seed)
    net = clr_torch.make(args.arch, classes)
    clr_torch.load(net, read_backbone(args.backbone), own_tensors(net))
    return net


def task_tensors(net):
    """Returns the tensors of a task file: all except the frozen filters."""
    frozen = {f"{name}.weight" for name, module in net.named_modules() if isinstance(module, clr_torch.Reprogrammed)}
    return {n: t.clone() for n, t in net.state_dict().items() if n not in frozen and not n.endswith("num_batches_tracked")}


def write_start(args, task, seed):
    """Writes the start values and the order of images of train_theirs as files for `clr train`."""
    splits = [line.split("\t")[:2] for line in listing(args, task).read_text(encoding="utf-8").splitlines()]
    labels = [int(label) for split, label in splits if split == "train"]
    init, order = (args.work / f"start-{task}-{seed}{suffix}" for suffix in (".safetensors", ".txt"))
    save_file(task_tensors(start(args, max(labels) + 1, seed)), init)
    lines = [" ".join(map(str, torch.randperm(len(labels)).tolist())) for _ in range(args.epochs)]
    order.write_text("\n".join(lines) + "\n")
    return ["--init", str(init), "--order", str(order)]


def train_ours(args, task, seed):
    run = args.work / f"{ours(args)}-{task}-{seed}"
    same = write_start(args, task, seed) if args.paired else []
    subprocess.run([args.clr, "train", "--backbone", args.backbone, "--data", args.data, "--tasks", task, "--run", str(run), "--size", str(args.size),
                    "--epochs", str(args.epochs), "--seed", str(seed), "--threads", str(args.threads), "--quiet", *split_options(args), *same], check=True)
    return [float(row["val_accuracy"]) for row in csv.DictReader(open(run / "log" / f"{task}.csv"))]


def accuracy(net, images, labels):
    net.eval()
    with torch.no_grad():
        right = sum(int((net(images[i:i + 128]).argmax(1) == labels[i:i + 128]).sum()) for i in range(0, len(labels), 128))
    net.train()
    return right / len(labels)


def train_theirs(args, task, seed):
    x, y = read_images(listing(args, task), args.size, "train")
    val_x, val_y = read_images(listing(args, task), args.size, "val")
    x, val_x = clr_torch.normalised(x, torch.float32), clr_torch.normalised(val_x, torch.float32)
    net = start(args, int(y.max()) + 1, seed)
    training = clr_torch.Training(net)
    schedule = torch.optim.lr_scheduler.StepLR(training.optimizer, max(1, args.epochs // 3), 0.1)
    curve, best, best_epoch = [], -1.0, 0
    for epoch in range(args.epochs):
        for batch in torch.randperm(len(y)).split(32):
            training.step(x[batch], y[batch])
        schedule.step()
        curve.append(accuracy(net, val_x, val_y))
        if curve[-1] > best:
            best, best_epoch = curve[-1], epoch
        if epoch - best_epoch > PATIENCE:
            break
    return curve


def own_tensors(net):
    """Returns the tensors that no backbone has: the new head, and reprogramming layers at their start values."""
    return {n: t for n, t in net.state_dict().items() if n.startswith(("linear.", "fc.")) or ".reprogram." in n}


def ours(args):
    return "ours-paired" if args.paired else "ours"


def curve_of(args, side, task, seed):
    path = args.work / f"{side if side == 'torch' else ours(args)}-{task}-{seed}.curve"
    if not path.exists():
        curve = (train_ours if side == "ours" else train_theirs)(args, task, seed)
        path.write_text("\n".join(map(repr, curve)) + "\n")
        print(f"{side} {task} seed {seed}: {max(curve):.3f} after {len(curve)} epochs", file=sys.stderr, flush=True)
    return [float(line) for line in path.read_text().split()]


def mean_and_error(values):
    return statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))


def report(args, tasks, curves):
    seeds = range(args.seeds)
    print(f"| task | classes | train | val | Reprise, best epoch % | PyTorch, best epoch % | difference, points |\n|{' --- |' * 7}")
    differences, variance = [], 0.0
    for task in tasks:
        rows = [line.split("\t") for line in listing(args, task).read_text(encoding="utf-8").splitlines()]
        splits = [row[0] for row in rows]
        sides = {side: mean_and_error([100 * max(curves[side, task, seed]) for seed in seeds]) for side in ("ours", "torch")}
        difference, error = sides["ours"][0] - sides["torch"][0], math.hypot(sides["ours"][1], sides["torch"][1])
        if args.paired:
            error = mean_and_error([100 * (max(curves["ours", task, s]) - max(curves["torch", task, s])) for s in seeds])[1]
        differences.append(difference)
        variance += error * error
        both = " | ".join(f"{m:.2f} ± {e:.2f}" for m, e in (sides["ours"], sides["torch"]))
        print(f"| {task} | {len({row[1] for row in rows})} | {splits.count('train')} | {splits.count('val')} | {both} | {difference:+.2f} ± {error:.2f} |")
    mean, error = statistics.fmean(differences), math.sqrt(variance) / len(tasks)
    print(f"\nMean difference over {len(tasks)} tasks and {args.seeds} seeds a side: {mean:+.2f} ± {error:.2f} points (standard error).\n")
    print("Validation accuracy in percent after so many epochs, mean over the seeds (a stopped run keeps its last value):\n")
    marks = sorted({e for e in (1, 2, 3, 5, 10, 15, 20, 25, 30, 40, 50, 60) if e < args.epochs} | {args.epochs})
    print("| task | side | " + " | ".join(map(str, marks)) + f" |\n|{' --- |' * (len(marks) + 2)}")
    for task in tasks:
        for side, name in (("ours", "Reprise"), ("torch", "PyTorch")):
            at = [statistics.fmean([100 * curves[side, task, s][min(e, len(curves[side, task, s])) - 1] for s in seeds]) for e in marks]
            print(f"| {task} | {name} | " + " | ".join(f"{a:.1f}" for a in at) + " |")
    return abs(mean) <= 2 * error and abs(mean) <= 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clr", default="build/release/apps/clr")
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--arch", default="resnet20")
    parser.add_argument("--data", required=True)
    parser.add_argument("--tasks", required=True, help="names, separated by commas")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="a folder for runs and curves")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--paired", action="store_true", help="give a seed's two runs equal heads and orders of images")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--val-fraction", type=float, default=0.25)
    parser.add_argument("--max-images", type=int, default=0, help="the largest number of training images per task; 0: all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=["ours", "torch"], help="fill --work with one side's curves, print nothing")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    tasks = args.tasks.split(",")
    sides = [args.only] if args.only else ["ours", "torch"]
    curves = {(side, task, seed): curve_of(args, side, task, seed) for seed in range(args.seeds) for task in tasks for side in sides}
    if not args.only and not report(args, tasks, curves):
        sys.exit("the sides differ by more than two standard errors, or by more than one point")


if __name__ == "__main__":
    main()
