#!/usr/bin/env python3
"""Prints the tables of apps/clr/TASKMAP.md: how well a run's task map infers tasks.

usage: task_map_figures.py CLR BACKBONE DATA CUT WORK

DATA holds the tasks, CUT names two of them whose classes are cut into five tasks each, WORK is an empty folder.
"""
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import sys

clr, backbone, data, cut, work = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4], pathlib.Path(sys.argv[5])


def call(*words):
    return subprocess.run([clr, *map(str, words)], check=True, stdout=subprocess.PIPE, text=True).stdout


def train(folder, run, val_fraction=0.1):
    call("train", "--backbone", backbone, "--data", folder, "--run", run, "--epochs", 20, "--quiet",
         "--val-fraction", val_fraction)


def evaluated(run, tasks, folder, *more):
    """Evaluates a copy of the run that holds only these tasks, with a map of its own."""
    part = work / "part"
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(run, part)
    for file in (part / "tasks").iterdir():
        if file.stem not in tasks:
            file.unlink()
    call("map", "--run", part, "--data", folder, "--quiet")
    return json.loads(call("eval", "--run", part, "--data", folder, "--quiet", "--json", "--map", *more))["map"]


columns = ["told", "untold", "task_right", "in_first_three", "colour", "entropy"]


def line(name, maps):
    cells = []
    for column in columns:
        values = [100 * m["macro"][column] for m in maps]
        spread = f" ({min(values):.0f} to {max(values):.0f})" if len(values) > 1 else ""
        cells.append(f"{statistics.mean(values):.1f} %{spread}")
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def heads(first):
    print(f"\n| {first} | told | not told | task right | in first 3 | by colour | by entropy |")
    print("| --- " * (1 + len(columns)) + "|")


def task_names(run):
    return sorted(file.stem for file in (run / "tasks").iterdir())


run = work / "run"
train(data, run)
names = task_names(run)
heads("tasks in the run")
orders = [random.Random(seed).sample(names, len(names)) for seed in range(5)]
for count in (2, 3, 5, len(names)):
    parts = {tuple(sorted(order[:count])) for order in orders}
    line(count, [evaluated(run, part, data) for part in sorted(parts)])

print("\n| left out | images | refused | AUROC | accepted at 95 % |\n| --- | --- | --- | --- | --- |")
for left_out in names:
    unknown = evaluated(run, [n for n in names if n != left_out], data, "--unknown", data / left_out)["unknown"]
    print(f"| {left_out} | {unknown['images']} | {100 * unknown['refused'] / unknown['images']:.1f} % | "
          f"{unknown['auroc']:.3f} | {100 * unknown['false_acceptance_at_95']:.1f} % |", flush=True)

heads("one data set cut into five tasks")
for name in cut.split(","):
    classes = sorted(folder for folder in (data / name).iterdir() if folder.is_dir())
    pieces, share = work / f"cut-{name}", len(classes) // 5
    for i, folder in enumerate(classes[: 5 * share]):
        piece = pieces / f"part{i // share}"
        piece.mkdir(parents=True, exist_ok=True)
        (piece / folder.name).symlink_to(folder.resolve())
    train(pieces, work / f"run-{name}", val_fraction=0.2)
    line(name, [evaluated(work / f"run-{name}", task_names(work / f"run-{name}"), pieces)])
