"""Golden values for tests/layers from PyTorch and torchvision, in double precision.

Weights and images are not stored: both sides compute them from the tensor's name and an index (value() below, fill() in
tests/layers/golden.cpp). Per network one file: for each method the logits, the loss with the seed's penalty, and for
every trained tensor and every running statistic its norm and 8 samples, one row a tensor, sorted by name. `<method>.noise`
is how far PyTorch in single precision is from that: the largest distance over the rows, in norms of the row's tensor.

    python3 tests/golden/layers/generate.py        (writes beside itself)
"""

import hashlib
import os

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
METHODS = ["clr", "clr-full", "clr-mixed", "linear", "bn-only"]
LAMBDA = 1e-5


# ---- values from names

def value(name, count):
    """`count` numbers in [-0.5, 0.5), exact in single precision: SplitMix64 at the name's FNV-1a hash plus the index."""
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(count, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**24 - 0.5


def filled(name, shape):
    """The tensor of that name: batch norm near the identity, kernels near a Dirac, filters of He's variance."""
    v = value(name, int(np.prod(shape))).reshape(shape)
    if name.endswith("running_mean"):
        v = 0.2 * v
    elif name.endswith("running_var"):
        v = 1.0 + v
    elif name.endswith("reprogram.weight"):
        dirac = np.zeros(shape)
        dirac[:, :, shape[2] // 2, shape[3] // 2] = 1.0
        v = dirac + 0.2 * v
    elif len(shape) == 4:
        v = np.sqrt(24.0 / np.prod(shape[1:])) * v
    elif len(shape) == 2:
        v = np.sqrt(12.0 / shape[1]) * v
    elif name.endswith("weight"):
        v = 1.0 + 0.5 * v
    else:
        v = 0.2 * v
    return torch.from_numpy(v.astype(np.float32))


# ---- networks: torchvision's, and CIFAR's with option A

class CifarBlock(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.stride = 1 if cin == cout else 2
        self.conv1 = nn.Conv2d(cin, cout, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride == 2:
            quarter = y.shape[1] // 4
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
        return F.relu(x + y)


class CifarResNet(nn.Module):
    def __init__(self, depth, classes):
        super().__init__()
        n = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*[CifarBlock(16, 16) for _ in range(n)])
        self.layer2 = nn.Sequential(CifarBlock(16, 32), *[CifarBlock(32, 32) for _ in range(n - 1)])
        self.layer3 = nn.Sequential(CifarBlock(32, 64), *[CifarBlock(64, 64) for _ in range(n - 1)])
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


CIFAR = ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"]
IMAGENET = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


def make(arch, classes):
    if arch in CIFAR:
        return CifarResNet(int(arch[6:]), classes)
    return getattr(torchvision.models, arch)(weights=None, num_classes=classes)


# ---- methods

def apply_method(net, method):
    """Puts the depthwise kernels behind the convolutions; returns the tensors that the penalty counts."""
    for p in net.parameters():
        p.requires_grad = method == "whole"
    blocks, norms = [], []
    for module in list(net.modules()):
        if isinstance(module, nn.Conv2d):
            pointwise = module.kernel_size == (1, 1)
            k = {"clr": 0 if pointwise else 3, "clr-full": 3, "clr-mixed": 1 if pointwise else 3}.get(method, 0)
            if k:
                c = module.out_channels
                module.reprogram = nn.Conv2d(c, c, k, padding=k // 2, groups=c, bias=False)
                module.register_forward_hook(lambda m, x, y: m.reprogram(y))
                blocks += [module.weight, module.reprogram.weight]
        elif isinstance(module, nn.BatchNorm2d) and method != "linear":
            norms += [module.weight, module.bias]
    head = net.linear if hasattr(net, "linear") else net.fc
    for p in [head.weight, head.bias, *norms]:
        p.requires_grad = True
    return [head.weight, head.bias, *norms, *blocks]


def row(t):
    t = t.detach().double().flatten()
    return torch.cat([t.norm()[None], t[[k * t.numel() // 8 for k in range(8)]]])


def run(arch, method, classes, shape, dtype):
    net = make(arch, classes)
    penalised = apply_method(net, method)
    state = net.state_dict()
    for name, t in state.items():
        if not name.endswith("num_batches_tracked"):
            t.copy_(filled(name, tuple(t.shape)))
    net = net.to(dtype).train(method != "linear")
    n = shape[0]
    x = torch.from_numpy((4 * value("images", int(np.prod(shape)))).astype(np.float32)).reshape(shape).to(dtype)
    labels = torch.tensor([7 * i % classes for i in range(n)])
    logits = net(x)
    entropy = F.cross_entropy(logits, labels)
    loss = entropy + LAMBDA * sum(p.norm() for p in penalised if p.norm() > 0)
    loss.backward()
    trained = {name: p for name, p in net.named_parameters() if p.requires_grad}
    return {
        "logits": logits.detach().double(),
        "loss": torch.tensor([loss.item(), entropy.item()], dtype=torch.float64),
        "grads": torch.stack([row(trained[k].grad) for k in sorted(trained)]),
        "stats": torch.stack([row(t) for k, t in sorted(net.state_dict().items()) if "running_" in k]),
    }


def distance(a, b):
    """The largest difference, in norms: of a row's tensor, or of the whole for logits."""
    worst = ((a["logits"] - b["logits"]).norm() / b["logits"].norm()).item()
    for key in ["grads", "stats"]:
        worst = max(worst, ((a[key] - b[key]).abs().amax(1) / b[key][:, 0]).max().item())
    return worst


def main():
    torch.manual_seed(0)
    lines = []
    for arch in IMAGENET + CIFAR:
        with torch.device("meta"):
            net = make(arch, 10)
        names = sorted(f"{k} {list(v.shape)}\n" for k, v in net.state_dict().items() if "num_batches" not in k)
        digest = hashlib.sha256("".join(names).encode()).hexdigest()
        lines.append(f"{arch} {digest} {sum(p.numel() for p in net.parameters())}\n")
    with open(os.path.join(HERE, "names.txt"), "w") as f:
        f.writelines(lines)

    for arch, shape, methods in [("resnet20", (3, 3, 16, 12), ["clr", "linear", "bn-only", "whole"]),
                                 ("resnet18", (3, 3, 64, 48), METHODS), ("resnet50", (3, 3, 64, 64), METHODS)]:
        tensors = {"shape": torch.tensor(shape)}
        for method in methods:
            exact = run(arch, method, 5, shape, torch.float64)
            noise = distance(run(arch, method, 5, shape, torch.float32), exact)
            print(arch, method, "loss", exact["loss"].tolist(), "noise", noise)
            for key, t in exact.items():
                tensors[f"{method}.{key}"] = t.contiguous()
            tensors[f"{method}.noise"] = torch.tensor([noise], dtype=torch.float64)
        save_file(tensors, os.path.join(HERE, f"{arch}.safetensors"))


if __name__ == "__main__":
    main()
