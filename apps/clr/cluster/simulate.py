#!/usr/bin/env python3
"""Prints how much faster N nodes learn a list of tasks, by the plan of `clr train --shard`.

    simulate.py TASKS.csv [N ...]

The file has a line a task, with the columns `train` and `validation`: numbers of images. A task
takes time in proportion to its training images plus 0.35 of its validation images. It runs on one
node from its first epoch to its last.
"""
import csv
import sys


def plan(work, nodes):
    """Returns each node's work: the longest task first, to the node with the least so far."""
    loads = [0.0] * nodes
    for task in sorted(work, reverse=True):
        loads[loads.index(min(loads))] += task
    return loads


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with open(sys.argv[1], newline="") as file:
        work = [float(r["train"]) + 0.35 * float(r["validation"]) for r in csv.DictReader(file)]
    print("nodes  times as fast  share of the longest task")
    for nodes in [int(n) for n in sys.argv[2:]] or [1, 2, 4, 8, 16, 32]:
        longest = max(plan(work, nodes))
        print(f"{nodes:5}  {sum(work) / longest:13.1f}  {max(work) / longest:24.0%}")


main()
