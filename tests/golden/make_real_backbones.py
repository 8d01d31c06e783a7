"""Writes tests/golden/weights/real_backbones.txt: file, tensor, and the SHA-256 of the tensor's bytes as PyTorch reads
them, for the backbones in the folder given on the command line."""

import hashlib
import os
import sys

import safetensors.torch
import torch

folder = sys.argv[1]
out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "weights", "real_backbones.txt")
with open(out, "w") as f:
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith(".safetensors"):
            state = safetensors.torch.load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=False)["state_dict"]
        for key, t in state.items():
            print(name, key, hashlib.sha256(t.contiguous().numpy().tobytes()).hexdigest(), file=f)
