#!/usr/bin/env python3
"""Compares CLR inference with ONNX Runtime and OpenVINO, interleaved in one run; prints a Markdown table.

    python3 apps/bench/compare_inference.py --bench build/release/apps/bench/bench_step [--dtype bf16] [--rounds 3]

Each engine runs the same network as a file in ONNX, batch norm folded, of fixed shape, with as many threads as cores.
With --dtype bf16 only OpenVINO takes part: its precision hint is bf16. Random weights. Needs PyTorch, torchvision,
onnx, onnxruntime and openvino from PyPI.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from compare_pytorch import reprogrammed_network

CASES = [(arch, size, batch) for arch, size in (("resnet18", 224), ("resnet50", 224), ("resnet20", 32)) for batch in (1, 4, 16)]
ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
THREADS = len(os.sched_getaffinity(0))


def export(arch, size, batch, path):
    import torch
    network = reprogrammed_network(arch, "clr", size).eval()
    torch.onnx.export(network, torch.rand(batch, 3, size, size), path, input_names=["x"], dynamo=False)


def engine_side(engine, model, size, batch, steps, dtype):
    """Times an engine in a process of its own. Prints JSON: the seconds of each step, version."""
    import numpy
    x = numpy.random.default_rng(0).random((batch, 3, size, size), dtype=numpy.float32)
    if engine == "onnxruntime":
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        version, step = onnxruntime.__version__, lambda: session.run(None, {"x": x})
    else:
        import openvino
        hints = {"INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": dtype}
        compiled = openvino.Core().compile_model(model, "CPU", hints)
        request = compiled.create_infer_request()
        version, step = openvino.__version__, lambda: request.infer({0: x}, share_inputs=True)
    for _ in range(3):
        step()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": statistics.median(seconds), "fastest_seconds": min(seconds), "version": version}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", help="path of bench_step")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--cases", help="numbers of the cases to run, from 0, with commas between them")
    parser.add_argument("--engine-case", help=argparse.SUPPRESS)
    parser.add_argument("--export-case", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine_case:
        return engine_side(*json.loads(args.engine_case))
    if args.export_case:
        return export(*json.loads(args.export_case))
    if not args.bench:
        parser.error("--bench is needed")

    def run(command):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stderr}")
        return done.stdout

    engines = ["openvino"] if args.dtype == "bf16" else list(ENGINES)
    cases = [CASES[int(i)] for i in args.cases.split(",")] if args.cases else CASES
    print("| network | size | batch | Reprise images/s | of peak | "
          + " | ".join(f"{ENGINES[e]} | ratio (min-max) | of fastest steps" for e in engines) + " |")
    print("| --- " * (5 + 3 * len(engines)) + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for arch, size, batch in cases:
            model = os.path.join(folder, "model.onnx")
            run([sys.executable, __file__, "--export-case", json.dumps([arch, size, batch, model])])
            steps = max(10, 64 // batch) * (10 if size == 32 else 1)
            ours, theirs = [], {e: [] for e in engines}
            for _ in range(args.rounds):
                ours.append(json.loads(run([args.bench, "--arch", arch, "--method", "clr", "--mode", "infer", "--size", str(size),
                                            "--batch", str(batch), "--steps", str(steps), "--warmup", "3", "--dtype", args.dtype,
                                            "--json"])))
                for e in engines:
                    case = json.dumps([e, model, size, batch, steps, args.dtype])
                    theirs[e].append(json.loads(run([sys.executable, __file__, "--engine-case", case])))
            us = statistics.median(r["seconds"] for r in ours)
            line = f"| {arch} clr | {size} | {batch} | {batch / us:.1f} | {100 * ours[-1]['gflops'] / ours[-1]['machine_gflops']:.0f} % |"
            for e in engines:
                ratios = sorted(t["seconds"] / o["seconds"] for o, t in zip(ours, theirs[e]))
                fastest = min(r["fastest_seconds"] for r in theirs[e]) / min(r["fastest_seconds"] for r in ours)
                line += (f" {batch / statistics.median(r['seconds'] for r in theirs[e]):.1f} "
                         f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f}) | {fastest:.2f} |")
            print(line, flush=True)
    versions = ", ".join(f"{ENGINES[e]} {theirs[e][-1]['version']}" for e in engines)
    print(f"\n{versions}; {args.rounds} rounds interleaved, medians; {args.dtype}; {THREADS} threads; peak "
          f"{ours[-1]['machine_gflops']:.0f} GFLOP/s and {ours[-1]['machine_gbs']:.0f} GB/s measured in this run")


if __name__ == "__main__":
    main()
