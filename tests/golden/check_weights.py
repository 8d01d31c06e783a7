"""Reads the files that Reprise wrote (tests/golden/weights/ours.*) with PyTorch and with the safetensors package, and
fails if a value differs from what the writing test put in. Run it after that test's files change."""

import collections
import os

import safetensors
import safetensors.torch
import torch

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "weights")
WANT = collections.OrderedDict([
    ("conv1.weight", torch.arange(24, dtype=torch.float32).reshape(2, 3, 2, 2) / 4),
    ("bn1.num_batches_tracked", torch.tensor(2**40)),
    ("image", torch.tensor([1, 2, 255], dtype=torch.uint8)),
    ("double", torch.tensor([[1 / 3]], dtype=torch.float64)),
    ("half", torch.tensor([1.0, -2.5], dtype=torch.bfloat16)),
    ("empty", torch.zeros(0, 4)),
])


def check(got, what):
    assert set(got) == set(WANT), (what, list(got))
    for name, want in WANT.items():
        assert got[name].dtype == want.dtype and torch.equal(got[name], want), (what, name)
    print(what, "ok")


loaded = torch.load(os.path.join(HERE, "ours.pth"), weights_only=True)
assert isinstance(loaded, collections.OrderedDict) and list(loaded) == list(WANT)
check(loaded, "ours.pth")
check(torch.load(os.path.join(HERE, "ours.pth"), weights_only=True, mmap=True), "ours.pth, mapped")
check(safetensors.torch.load_file(os.path.join(HERE, "ours.safetensors")), "ours.safetensors")
with safetensors.safe_open(os.path.join(HERE, "ours.safetensors"), "pt") as f:
    assert f.metadata() == {"b": "\u00fc \"quoted\"", "a": "1"}, f.metadata()
