"""Golden values for tests/layers from PyTorch, torchvision and timm, in double precision.

Weights and images are not stored: both sides compute them from the tensor's name and an index (value() below, fill() in
tests/layers/golden.cpp). Each network has a file. For each method it has the logits, the loss with the original's penalty,
and for every trained tensor and every running statistic its norm and 8 of its elements, one row per tensor, sorted by name.

A file `<network>_active` is for weights that open nearly every ReLU. It also says what single precision can reach:
`<method>.noise.*` is the distance of PyTorch's own results from the above, for the logits and for each row's tensor, in norms.
With other weights, rounding moves a value near 0 to the other side of a ReLU now and then, which changes gradients by whole
terms. Methods in evaluation mode are only in this file, because with other weights their activations grow without bound.

`logits.safetensors` has a few networks' logits in evaluation mode, for one image of 64x64 and one of 224x224 (the values
that are not `_active`: activations grow, but all of them alike).

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
METHODS = ["clr", "clr-full", "clr-mixed", "clr-residual", "side-conv", "linear", "bn-only", "finetune"]
MOBILENET_METHODS = [m for m in METHODS if m != "side-conv"]  # a 1x1 convolution beside a depthwise one is refused
EVALUATION_MODE = ["linear", "side-conv"]  # batch norm frozen
LAMBDA = 1e-5


# ---- values from names

def value(name, count):
    """Returns `count` numbers in [-0.5, 0.5), exact in single precision: SplitMix64 at the name's FNV-1a hash plus the index."""
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(count, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**24 - 0.5


def filled(name, shape, active=False):
    """Returns the tensor of that name: batch norm near the identity, kernels near a Dirac, filters with He's variance."""
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
    elif active and name.endswith("weight"):
        v = 0.05 + 0.025 * v
    elif active and name.endswith("bias"):
        v = 1.0 + 0.2 * v
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
GROUPED = ["resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2", "mobilenet_v2"]


def make(arch, classes):
    if arch in CIFAR:
        return CifarResNet(int(arch[6:]), classes)
    if arch == "xception":
        import timm
        return timm.create_model("legacy_xception", num_classes=classes)
    if arch == "mobilenet_v2":  # Reprise's has no dropout
        return torchvision.models.mobilenet_v2(weights=None, num_classes=classes, dropout=0.0)
    return getattr(torchvision.models, arch)(weights=None, num_classes=classes)


# ---- methods

class Residual(nn.Module):
    """y + scale * depthwise3x3(y)"""
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 3, 3))
        self.scale = nn.Parameter(torch.empty(channels))

    def forward(self, y):
        return y + self.scale.view(1, -1, 1, 1) * F.conv2d(y, self.weight, padding=1, groups=y.shape[1])


def apply_method(net, method):
    """Puts the method's layers after the convolutions and returns the tensors that the penalty counts."""
    for p in net.parameters():
        p.requires_grad = method == "finetune"
    blocks, norms = [], []
    for module in list(net.modules()):
        if isinstance(module, nn.Conv2d):
            pointwise = module.kernel_size == (1, 1)
            if method == "clr-residual":
                module.reprogram = Residual(module.out_channels)
                module.register_forward_hook(lambda m, x, y: m.reprogram(y))
                blocks += [module.weight, module.reprogram.weight]
            if method == "side-conv":
                module.side = nn.Conv2d(module.in_channels, module.out_channels, 1, module.stride, bias=False)
                module.register_forward_hook(lambda m, x, y: y + m.side(x[0]))
                blocks += [module.weight, module.side.weight]
            k = {"clr": 0 if pointwise else 3, "clr-full": 3, "clr-mixed": 1 if pointwise else 3}.get(method, 0)
            if k:
                c = module.out_channels
                module.reprogram = nn.Conv2d(c, c, k, padding=k // 2, groups=c, bias=False)
                module.register_forward_hook(lambda m, x, y: m.reprogram(y))
                blocks += [module.weight, module.reprogram.weight]
        elif isinstance(module, nn.BatchNorm2d) and method not in EVALUATION_MODE:
            norms += [module.weight, module.bias]
    head = [m for m in net.modules() if isinstance(m, nn.Linear)][-1]
    for p in [head.weight, head.bias, *norms]:
        p.requires_grad = True
    return [head.weight, head.bias, *norms, *blocks]


def row(t):
    t = t.detach().double().flatten()
    return torch.cat([t.norm()[None], t[[k * t.numel() // 8 for k in range(8)]]])


def run(arch, method, classes, shape, dtype, active):
    net = make(arch, classes)
    penalised = apply_method(net, method)
    state = net.state_dict()
    for name, t in state.items():
        if not name.endswith("num_batches_tracked"):
            t.copy_(filled(name, tuple(t.shape), active))
    net = net.to(dtype).train(method not in EVALUATION_MODE)
    n = shape[0]
    x = torch.from_numpy((4 * value("images", int(np.prod(shape)))).astype(np.float32)).reshape(shape).to(dtype)
    labels = torch.tensor([7 * i % classes for i in range(n)])
    logits = net(x)
    entropy = F.cross_entropy(logits, labels)
    penalty = LAMBDA * sum(p.norm() for p in penalised if p.norm() > 0)
    (entropy + penalty).backward()
    trained = {name: p for name, p in net.named_parameters() if p.requires_grad}
    tensors = {"grads": [trained[k].grad for k in sorted(trained)],
               "stats": [t for k, t in sorted(net.state_dict().items()) if "running_" in k],
               "logits": [logits.detach()]}
    rows = {
        "logits": logits.detach().double(),
        "loss": torch.tensor([entropy.item(), penalty.item()], dtype=torch.float64),
        "grads": torch.stack([row(t) for t in tensors["grads"]]),
        "stats": torch.stack([row(t) for t in tensors["stats"]]),
    }
    return rows, tensors


def logits_of(arch, size, classes):
    """Returns the logits of one image in evaluation mode, in double, and how far single precision is from the largest."""
    net = make(arch, classes)
    for name, t in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            t.copy_(filled(name, tuple(t.shape)))
    x = torch.from_numpy((4 * value("images", 3 * size * size)).astype(np.float32)).reshape(1, 3, size, size)
    with torch.no_grad():
        single, exact = net.eval()(x).double(), net.double()(x.double())
    return exact, ((single - exact).abs().max() / exact.abs().max()).reshape(1)


def distances(a, b):
    """Returns the distance of each tensor of a from that of b, divided by the norm of the latter."""
    return {key: torch.stack([(s.double() - t).norm() / t.norm() for s, t in zip(a[key], b[key])]) for key in b}


def main():
    torch.manual_seed(0)
    lines = []
    for arch in IMAGENET + CIFAR + GROUPED + ["xception"]:
        with torch.device("meta"):
            net = make(arch, 10)
        names = sorted(f"{k} {list(v.shape)}\n" for k, v in net.state_dict().items() if "num_batches" not in k)
        digest = hashlib.sha256("".join(names).encode()).hexdigest()
        lines.append(f"{arch} {digest} {sum(p.numel() for p in net.parameters())}\n")
    with open(os.path.join(HERE, "names.txt"), "w") as f:
        f.writelines(lines)

    logits = {}
    for arch in GROUPED:
        for size in (64, 224):
            logits[f"{arch}.{size}"], logits[f"{arch}.{size}.noise"] = logits_of(arch, size, 5)
    save_file(logits, os.path.join(HERE, "logits.safetensors"))

    for arch, shape, methods in [("resnet20", (3, 3, 16, 12), ["clr", "linear", "bn-only", "finetune"]),
                                 ("resnet18", (3, 3, 64, 48), METHODS), ("resnet50", (3, 3, 48, 32), METHODS),
                                 ("resnext50_32x4d", (3, 3, 48, 32), ["clr", "linear", "finetune"]),
                                 ("mobilenet_v2", (3, 3, 48, 64), MOBILENET_METHODS),
                                 ("xception", (2, 3, 48, 40), ["clr-full", "linear", "finetune"])]:
        for active in [False, True]:
            tensors = {"shape": torch.tensor(shape)}
            for method in [m for m in methods if active or m not in EVALUATION_MODE]:
                rows, exact = run(arch, method, 5, shape, torch.float64, active)
                print(arch, "active" if active else "", method, rows["loss"].tolist())
                for key, t in rows.items():
                    tensors[f"{method}.{key}"] = t.contiguous()
                if not active:
                    continue
                for key, t in distances(run(arch, method, 5, shape, torch.float32, active)[1], exact).items():
                    print("  noise of", key, t.max().item())
                    tensors[f"{method}.noise.{key}"] = t.contiguous()
            save_file(tensors, os.path.join(HERE, f"{arch}{'_active' if active else ''}.safetensors"))


if __name__ == "__main__":
    main()
