#!/usr/bin/env python3
"""Writes full.csv: the logits of the networks that `clr convert --full` wrote, computed by PyTorch with the code of
apps/clr/PYTORCH.md. The only argument is the folder that the test WholeNetwork.DISABLED_make has filled.

Columns: method, SHA-256 of the .safetensors file with the same tensors, logits of three images.
"""

import hashlib
import json
import pathlib
import struct
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
PAGE = (HERE / "../../../apps/clr/PYTORCH.md").read_text()
exec(PAGE.split("```python")[1].split("```")[0])  # defines load()


def read_safetensors(path):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        kind = {"F32": torch.float32, "I64": torch.int64}[entry["dtype"]]
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        tensors[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=kind).reshape(entry["shape"])
    return tensors, hashlib.sha256(data).hexdigest()


def main(folder):
    images = torch.load(folder / "images.pth")["images"].permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (images - mean[:, None, None]) / std[:, None, None]
    rows = []
    for path in sorted(folder.glob("*.safetensors")):
        state, digest = read_safetensors(path)
        pth = torch.load(path.with_suffix(".pth"))
        assert state.keys() == pth.keys() and all(torch.equal(state[n], pth[n]) for n in state), path
        with torch.no_grad():
            logits = load("resnet18", pth)(x)
        rows.append(",".join([path.stem, digest, *(f"{v:.9g}" for v in logits.flatten().tolist())]))
    (HERE / "full.csv").write_text("\n".join(rows) + "\n")


main(pathlib.Path(sys.argv[1]))
