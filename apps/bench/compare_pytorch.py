#!/usr/bin/env python3
"""Compares a CLR training step and inference with PyTorch, interleaved in one run; prints a Markdown table.

    python3 apps/bench/compare_pytorch.py --bench build/release/apps/bench/bench_step [--dtype bf16] [--rounds 3] [--quick]
    python3 apps/bench/compare_pytorch.py --bench build/cuda/apps/bench/bench_step --device cuda [--tf32] [--rounds 3]

PyTorch runs at its best. On a GPU: channels_last, cudnn.benchmark, eager and torch.compile (max-autotune).
On a CPU: contiguous and channels_last, with --compiled also torch.compile; glibc keeps freed memory between steps.
With --dtype bf16 PyTorch computes under autocast.

Both sides use the same shapes, random weights, Adam and the L2-norm penalty, and their default number of threads.
A round's ratio is of the medians of its steps. A second ratio is of the fastest step of all rounds, because other
programs on the machine only ever slow a step down. The method is written here from its description; Reprise
itself uses nothing of this file.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

# Tells glibc to keep freed memory, as a training loop wants it. Must be set before the process starts.
TUNED = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "2147483647", "MALLOC_TOP_PAD_": "268435456"}

CASES = [  # arch, method, mode, size, batch
    ("resnet18", "clr", "train", 224, 32),
    ("resnet18", "clr-full", "train", 224, 32),
    ("resnet34", "clr", "train", 224, 32),
    ("resnet50", "clr", "train", 224, 32),
    ("resnet50", "clr-full", "train", 224, 32),
    ("resnet20", "clr", "train", 32, 32),
    ("resnet56", "clr", "train", 32, 32),
    ("resnet18", "clr", "infer", 224, 16),
    ("resnet18", "clr", "infer", 224, 1),
    ("resnet50", "clr", "infer", 224, 16),
    ("resnet50", "clr", "infer", 224, 1),
    ("resnext50_32x4d", "clr", "train", 224, 32),
    ("wide_resnet50_2", "clr", "train", 224, 32),
    ("mobilenet_v2", "clr", "train", 224, 32),
    ("mobilenet_v2", "clr", "infer", 224, 16),
]

GPU_CASES = [(arch, method, mode, 224, batch)
             for arch, method in (("resnet18", "clr"), ("resnet50", "clr"), ("resnet50", "clr-full"))
             for mode in ("train", "infer") for batch in (32, 256)]


def reprogrammed_network(arch, method, size):
    """Builds the network in PyTorch: its own head of 100 classes, depthwise filters after its convolutions."""
    from torch import nn
    import torch.nn.functional as F
    import torchvision

    class Reprogrammed(nn.Module):
        def __init__(self, conv):
            super().__init__()
            self.conv, c = conv, conv.out_channels
            self.depthwise = nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False)
            nn.init.dirac_(self.depthwise.weight, groups=c)

        def forward(self, x):
            return self.depthwise(self.conv(x))

    class Block(nn.Module):  # a block of a CIFAR ResNet; its shortcut has no parameters
        def __init__(self, cin, cout, stride):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout)
            self.conv2, self.bn2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False), nn.BatchNorm2d(cout)
            self.stride, self.pad = stride, (cout - cin) // 2

        def forward(self, x):
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            if self.pad:
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
            return F.relu(x + y)

    class Cifar(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
            depth = (int(arch.removeprefix("resnet")) - 2) // 6
            blocks = [Block(c, b, t) for a, b, s in [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
                      for c, t in [(a, s)] + [(b, 1)] * (depth - 1)]
            self.blocks, self.fc = nn.Sequential(*blocks), nn.Linear(64, 100)

        def forward(self, x):
            return self.fc(self.blocks(F.relu(self.bn1(self.conv1(x)))).mean((2, 3)))

    net = Cifar() if size == 32 else getattr(torchvision.models, arch)(num_classes=100)
    for p in net.parameters():
        p.requires_grad = False
    for module in list(net.modules()):
        if isinstance(module, (nn.BatchNorm2d, nn.Linear)):
            for p in module.parameters():
                p.requires_grad = True
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and (child.kernel_size != (1, 1) or method == "clr-full"):
                setattr(module, name, Reprogrammed(child))
    return net


def torch_side(arch, method, mode, size, batch, channels_last, steps, device, tf32, compiled, dtype):
    """Times PyTorch's step in a process of its own. Prints JSON: seconds a step, the fastest, peak memory, version."""
    import torch
    import torch.nn.functional as F

    net = reprogrammed_network(arch, method, size)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    on_gpu = device != "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = on_gpu
    net = net.to(device).to(memory_format=layout)
    x = torch.rand(batch, 3, size, size).to(device).to(memory_format=layout)
    y = (torch.arange(batch) % 100).to(device)
    trained = [p for p in net.parameters() if p.requires_grad]
    adam = torch.optim.Adam(trained, lr=1e-3)
    net.train(mode == "train")
    run_net = torch.compile(net, mode="max-autotune" if on_gpu else "default") if compiled else net
    finish = torch.cuda.synchronize if on_gpu else lambda: None
    cast = torch.autocast(device, torch.bfloat16, enabled=dtype == "bf16")

    def step():
        if mode == "infer":
            with torch.inference_mode(), cast:
                run_net(x)
            return
        with cast:
            logits = run_net(x)
        loss = F.cross_entropy(logits.float(), y) + 1e-5 * sum(p.norm() for p in trained)
        adam.zero_grad()
        loss.backward()
        adam.step()

    for _ in range(5 if on_gpu else 2):
        step()
    seconds = []
    for _ in range(steps):
        finish()
        start = time.perf_counter()
        step()
        finish()
        seconds.append(time.perf_counter() - start)
    import resource
    print(json.dumps({"seconds": statistics.median(seconds), "fastest_seconds": min(seconds),
                      "peak_bytes": torch.cuda.max_memory_allocated() if on_gpu
                      else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                      "torch": torch.__version__ + (", " + torch.cuda.get_device_name() if on_gpu else "")}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", help="path of bench_step")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"], help="bf16: PyTorch by autocast")
    parser.add_argument("--tf32", action="store_true", help="on cuda: both sides may round products to TF32")
    parser.add_argument("--compiled", action="store_true", help="on cpu: torch.compile too (it takes a minute a case)")
    parser.add_argument("--quick", action="store_true", help="only the first case")
    parser.add_argument("--cases", help="numbers of the cases to run, from 0, with commas between them")
    parser.add_argument("--variants", help="only these of PyTorch, with commas between them: eager or compiled on cuda; "
                        "contiguous, channels_last or compiled on cpu")
    parser.add_argument("--torch-case", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch_case:
        torch_side(*json.loads(args.torch_case))
        return
    if not args.bench:
        parser.error("--bench is needed")

    def run(command, env):
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stderr}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    on_gpu = args.device == "cuda"
    cases = GPU_CASES if on_gpu else CASES
    # PyTorch's variants by name: (channels_last, compiled).
    variants = ({"eager": (True, False), "compiled": (True, True)} if on_gpu
                else {"contiguous": (False, False), "channels_last": (True, False)} | ({"compiled": (True, True)} if args.compiled else {}))
    if args.variants:
        variants = {name: variants[name] for name in args.variants.split(",")}
    if args.cases:
        cases = [cases[int(i)] for i in args.cases.split(",")]
    names = list(variants)
    # The most memory held: on a CPU by the whole process, libraries included; on a GPU by its tensors.
    memory = "peak_bytes" if on_gpu else "resident_bytes"
    print("| network | step | size | batch | Reprise images/s | of peak | MiB | "
          + " | ".join(f"PyTorch {n} | MiB | ratio (min-max) | of fastest steps" for n in names) + " |")
    print("| --- " * (7 + 4 * len(names)) + "|", flush=True)
    for arch, method, mode, size, batch in cases[:1] if args.quick else cases:
        steps = 20 * args.steps if on_gpu else args.steps if size > 32 and batch > 1 else 10 * args.steps
        ours, theirs = [], {name: [] for name in variants}
        for _ in range(args.rounds):
            ours.append(run([args.bench, "--arch", arch, "--method", method, "--mode", mode, "--size", str(size), "--batch",
                             str(batch), "--steps", str(steps), "--device", args.device, "--dtype", args.dtype, "--json"]
                            + ["--tf32"] * args.tf32, dict(os.environ)))
            for name, (channels_last, compiled) in variants.items():
                case = json.dumps([arch, method, mode, size, batch, channels_last, steps, args.device, args.tf32, compiled, args.dtype])
                theirs[name].append(run([sys.executable, __file__, "--torch-case", case], {**os.environ, **TUNED}))
        us = statistics.median(r["seconds"] for r in ours)
        share = 100 * ours[-1]["gflops"] / ours[-1]["machine_gflops"]
        line = (f"| {arch} {method} | {mode} | {size} | {batch} | {batch / us:.1f} | {share:.0f} % "
                f"| {ours[-1][memory] / 2**20:.0f} |")
        for n in names:
            ratios = sorted(t["seconds"] / o["seconds"] for o, t in zip(ours, theirs[n]))
            fastest = min(r["fastest_seconds"] for r in theirs[n]) / min(r["fastest_seconds"] for r in ours)
            line += (f" {batch / statistics.median(r['seconds'] for r in theirs[n]):.1f} | {theirs[n][-1]['peak_bytes'] / 2**20:.0f} "
                     f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f}) | {fastest:.2f} |")
        print(line, flush=True)
    print(f"\nPyTorch {theirs[names[-1]][-1]['torch']}, {args.rounds} rounds interleaved, medians; "
          f"{args.dtype}{' with TF32' if args.tf32 else ''}; peak {ours[-1]['machine_gflops']:.0f} GFLOP/s and "
          f"{ours[-1]['machine_gbs']:.0f} GB/s measured in this run")


if __name__ == "__main__":
    main()
