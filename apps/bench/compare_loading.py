#!/usr/bin/env python3
"""Compares the loading of images (read, decode, resize) with Pillow in PyTorch's DataLoader, interleaved; prints a Markdown table.

    python3 apps/bench/compare_loading.py --bench build/release/apps/bench/bench_load FOLDER... [--size 224] [--rounds 3]
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import numpy
import torch
from PIL import Image

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".pgm", ".ppm", ".webp"}


class Images(torch.utils.data.Dataset):
    def __init__(self, folder, size):
        self.files = sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES)
        self.size = size

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        return torch.from_numpy(numpy.array(Image.open(self.files[i]).convert("RGB").resize((self.size, self.size), Image.BILINEAR)))


def rate(images, workers):
    start = time.perf_counter()
    for _ in torch.utils.data.DataLoader(images, batch_size=32, num_workers=workers):
        pass
    return len(images) / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--bench", required=True, help="path of bench_load")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"| images | number | KiB each | Reprise images/s | Pillow, one process | Pillow, {args.workers} workers | ratio to the workers (min-max) |\n"
          + "| --- " * 7 + "|")
    for folder in args.folders:
        images = Images(folder, args.size)
        rate(images, 0)  # brings the files into the page cache
        ours, one_process, workers = [], [], []
        for _ in range(args.rounds):
            done = subprocess.run([args.bench, folder, "--size", str(args.size), "--rounds", "1", "--json"], capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(done.stderr)
            result = json.loads(done.stdout)
            if result["images"] != len(images):
                sys.exit(f"{folder}: bench_load reads {result['images']} images, Pillow {len(images)}")
            ours.append(result["images_per_second"])
            one_process.append(rate(images, 0))
            workers.append(rate(images, args.workers))
        ratios = sorted(a / b for a, b in zip(ours, workers))
        kib = statistics.fmean(p.stat().st_size for p in images.files) / 1024
        print(f"| {pathlib.Path(folder).name} | {len(images)} | {kib:.0f} | {statistics.median(ours):.0f} | {statistics.median(one_process):.0f} "
              f"| {statistics.median(workers):.0f} | {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f}) |")


if __name__ == "__main__":
    main()
