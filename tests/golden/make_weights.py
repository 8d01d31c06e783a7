"""Writes tests/golden/weights: small weight files of PyTorch and of the safetensors package, and expected.json:
the contents of each (the SHA-256 of each tensor's bytes as Reprise reads it). Run: python make_weights.py"""

import collections
import hashlib
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import safetensors.torch
import torch

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "weights")
os.makedirs(OUT, exist_ok=True)
expected = {}

# The dtype as which Reprise reads each element type.
READ_AS = {
    torch.float32: ("f32", torch.float32), torch.float64: ("f64", torch.float64),
    torch.float16: ("f32", torch.float32), torch.bfloat16: ("bf16", torch.bfloat16),
    torch.uint8: ("u8", torch.uint8), torch.bool: ("u8", torch.uint8),
    torch.int64: ("i64", torch.int64), torch.int32: ("i64", torch.int64),
    torch.int16: ("i64", torch.int64), torch.int8: ("i64", torch.int64),
}


def raw(t):
    t = t.detach().contiguous()
    return t.reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b""


def expect(name, tensors, file_format, skipped=(), section=""):
    expected[name] = {
        "format": file_format,
        "section": section,
        "skipped": sorted(skipped),
        "tensors": {
            k: [READ_AS[t.dtype][0], list(t.shape), hashlib.sha256(raw(t.to(READ_AS[t.dtype][1]))).hexdigest()]
            for k, t in tensors.items()
        },
    }


def path(name):
    return os.path.join(OUT, name)


torch.manual_seed(1)
network = torch.nn.Sequential(
    collections.OrderedDict(conv1=torch.nn.Conv2d(3, 4, 3, bias=False), bn1=torch.nn.BatchNorm2d(4),
                            fc=torch.nn.Linear(4, 2)))
network.bn1.num_batches_tracked.fill_(7)
state = network.state_dict()

base = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
odd = collections.OrderedDict([
    ("f32", torch.tensor([1.5, -0.0, float("inf"), 1e-42])),
    ("f64", torch.tensor([[1 / 3, -2.0]], dtype=torch.float64)),
    ("f16", torch.tensor([0.1, -65504.0, 6e-8, 1e-7, float("inf"), 6.1e-5, 0.0], dtype=torch.float16)),
    ("bf16", torch.tensor([3.14159, -1e30], dtype=torch.bfloat16)),
    ("i64", torch.tensor([-(2**62), 5])),
    ("i32", torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32)),
    ("i16", torch.tensor([-(2**15), 2**15 - 1], dtype=torch.int16)),
    ("i8", torch.tensor([-128, 127, 0], dtype=torch.int8)),
    ("u8", torch.tensor([0, 255, 128], dtype=torch.uint8)),
    ("bool", torch.tensor([True, False, True])),
    ("scalar", torch.tensor(2.5)),
    ("empty", torch.zeros(0, 3)),
    ("transposed", base.permute(2, 0, 1)),
    ("every second", base[1:, ::2, 1::3]),
    ("tied", base),
    ("parameter", torch.nn.Parameter(torch.tensor([1.0, 2.0]))),
])

torch.save(state, path("zip.pth"))
expect("zip.pth", state, "pth-zip")
torch.save(state, path("legacy.th"), _use_new_zipfile_serialization=False)
expect("legacy.th", state, "pth-legacy")
torch.save(odd, path("odd_zip.pt"))
expect("odd_zip.pt", odd, "pth-zip")
torch.save(odd, path("odd_legacy.pt"), _use_new_zipfile_serialization=False)
expect("odd_legacy.pt", odd, "pth-legacy")
torch.save(state, path("protocol5.pth"), pickle_protocol=5)
expect("protocol5.pth", state, "pth-zip")

optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
checkpoint = {"epoch": 7, "arch": "net", "state_dict": state, "best_prec1": 91.78, "best": None,
              "optimizer": optimizer.state_dict(), "shape": torch.Size([1, 2]), "accuracy": np.float64(0.5),
              "history": [1, 2, 3], "half": torch.float16, "done": False}
torch.save(checkpoint, path("checkpoint.pth"), pickle_protocol=2)
expect("checkpoint.pth", state, "pth-zip", [
    "epoch: a number (7)", 'arch: a text ("net")', "best_prec1: a number (91.78)", "best: None",
    "optimizer: a dictionary of 2", "shape: torch.Size", "accuracy: numpy._core.multiarray.scalar",
    "history: a list of 3", "half: torch.float16", "done: False"], section="state_dict")
torch.save({"model": {"net": dict(state)}, "step": 3}, path("nested.pth"), _use_new_zipfile_serialization=False)
expect("nested.pth", state, "pth-legacy", ["step: a number (3)"], section="model.net")
complex_state = collections.OrderedDict([("a", torch.ones(2)), ("c", torch.ones(2, dtype=torch.complex64)),
                                         ("deep", torch.ones(1, 1, 1, 1, 1, 1, 1))])
torch.save(complex_state, path("unsupported.pth"))
expect("unsupported.pth", {"a": complex_state["a"]}, "pth-zip",
       ["c: elements of type torch.ComplexFloatStorage are not supported", "deep: 7 dimensions, more than 6"])
expanded = {"a": torch.ones(1).expand(1000)}
torch.save(expanded, path("expanded.pth"))
expect("expanded.pth", expanded, "pth-zip")
with zipfile.ZipFile(path("zip.pth")) as z, zipfile.ZipFile(path("deflated.pth"), "w") as f:
    for entry in z.namelist():  # packed again, as an ordinary zip program does it
        f.writestr(zipfile.ZipInfo(entry), z.read(entry), zipfile.ZIP_DEFLATED)
expect("deflated.pth", state, "pth-zip")


def write_tar(name, tensors, as_parameters):
    """The layout of torch.save before 0.1.10: a tar with sys_info, pickle, tensors, storages."""
    storages, members = io.BytesIO(), io.BytesIO()
    pickle.dump(len(tensors), storages, protocol=2)
    pickle.dump(len(tensors), members, protocol=2)
    persistent = {}
    for i, (key, t) in enumerate(tensors.items()):
        storage_type = {torch.float32: torch.FloatStorage, torch.int64: torch.LongStorage}[t.dtype]
        tensor_type = {torch.float32: torch.FloatTensor, torch.int64: torch.LongTensor}[t.dtype]
        storage_id, tensor_id = 94000000000000 + 2 * i, 94000000000001 + 2 * i
        pickle.dump((storage_id, "cpu", storage_type), storages, protocol=2)
        storages.write(struct.pack("<q", t.numel()) + raw(t))
        # torch.FloatTensor is now an object and not a class, so its name is written by hand.
        members.write(b"\x80\x02" + b"\x8a\x08" + struct.pack("<q", tensor_id) + b"\x8a\x08" +
                      struct.pack("<q", storage_id) + f"ctorch\n{tensor_type.__name__}\n".encode() + b"\x87.")
        members.write(struct.pack("<ii", t.dim(), 0))
        members.write(struct.pack(f"<{t.dim()}q", *t.shape) + struct.pack(f"<{t.dim()}q", *t.contiguous().stride()))
        members.write(struct.pack("<q", 0))
        persistent[key] = tensor_id
    pickle.dump([], storages, protocol=2)
    out = b"\x80\x02ccollections\nOrderedDict\n)Rq\x00("
    for key, tensor_id in persistent.items():
        tensor = b"\x8a\x08" + struct.pack("<q", tensor_id) + b"Q"
        if as_parameters and tensors[key].dtype == torch.float32:
            # As the old Variable.__reduce_ex__: an empty Parameter, then (data, grad, hooks, requires_grad, volatile).
            tensor = b"ctorch.nn.parameter\nParameter\n)\x81(" + tensor + b"Nccollections\nOrderedDict\n)R\x88\x89tb"
        out += b"X" + struct.pack("<I", len(key)) + key.encode() + tensor
    out += b"u."
    system = pickle.dumps(dict(protocol_version=1000, little_endian=True, type_sizes=dict(short=2, int=4, long=8)),
                          protocol=2)
    with tarfile.open(path(name), "w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in (("sys_info", system), ("pickle", out), ("tensors", members.getvalue()),
                             ("storages", storages.getvalue())):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    expect(name, tensors, "pth-tar")


write_tar("tar.pth", state, as_parameters=False)
write_tar("tar_parameters.pth", state, as_parameters=True)
for name in ("tar.pth",):  # PyTorch itself still reads it
    loaded = torch.load(path(name), weights_only=False)
    assert all(torch.equal(loaded[k], state[k]) for k in state), name

safetensors.torch.save_file({k: v.detach().contiguous().clone() for k, v in odd.items()}, path("python.safetensors"),
                            metadata={"format": "pt", "note": 'a "quoted" \u00fc'})
expect("python.safetensors", odd, "safetensors")
expected["python.safetensors"]["metadata"] = {"format": "pt", "note": 'a "quoted" \u00fc'}
safetensors.torch.save_file({"a": torch.ones(2), "f8": torch.ones(3).to(torch.float8_e4m3fn)},
                            path("float8.safetensors"))
expect("float8.safetensors", {"a": torch.ones(2)}, "safetensors",
       ["f8: elements of type F8_E4M3 are not supported"])

# Files that are refused, with a part of the message.
refused = {}


class Evil:
    def __reduce__(self):
        return (os.system, ("echo executed",))


torch.save({"state_dict": state, "x": Evil()}, path("evil_zip.pth"))
expect("evil_zip.pth", state, "pth-zip", ["x: posix.system"], section="state_dict")
torch.save({"x": Evil()}, path("evil_legacy.pth"), _use_new_zipfile_serialization=False)
refused["evil_legacy.pth"] = "system"
torch.save(network, path("module_zip.pth"))
refused["module_zip.pth"] = "whole module"
def no_source(*_):
    raise OSError("the modules' source stays out of the file")


torch.serialization.get_source_lines_and_file = no_source
torch.save(network, path("module_legacy.pth"), _use_new_zipfile_serialization=False)
refused["module_legacy.pth"] = "whole module"
torch.save({"q": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}, path("quantised.pth"))
refused["quantised.pth"] = "quantised"
torch.save({"s": torch.eye(2).to_sparse()}, path("sparse.pth"))
refused["sparse.pth"] = "sparse"
with zipfile.ZipFile(path("torchscript.pt"), "w") as f:  # the names and methods of a TorchScript archive
    f.writestr("m/data.pkl", b"\x80\x02}.")
    f.writestr("m/code/__torch__/m.py", "def forward(self):\n  pass\n" * 20, zipfile.ZIP_DEFLATED)
    f.writestr("m/constants.pkl", b"\x80\x02).")
refused["torchscript.pt"] = "TorchScript"
torch.save(torch.ones(3), path("tensor.pt"))
refused["tensor.pt"] = "a tensor"
torch.save({"epoch": 3, "lr": 0.1}, path("no_tensors.pt"))
refused["no_tensors.pt"] = "epoch: a number (3)"
np.savez(path("numpy.npz"), a=np.ones(2))
refused["numpy.npz"] = "data.pkl"
with zipfile.ZipFile(path("compressed.pth"), "w", zipfile.ZIP_DEFLATED) as f:
    f.writestr("m/data.pkl", b"\x80\x02}." + bytes(1000))
refused["compressed.pth"] = "something follows its end"
with open(path("plain.pkl"), "wb") as f:
    pickle.dump({"a": 1}, f)
refused["plain.pkl"] = "pickle that torch.save did not write"

with open(path("expected.json"), "w") as f:
    json.dump({"files": expected, "refused": refused}, f, indent=1, sort_keys=True)
    f.write("\n")
