#!/usr/bin/env python3
"""The state dicts of the original's methods, from modules with the same names.

Without arguments: writes state_dicts.tsv beside this script. With --check METHOD FILE --images F.safetensors: reads FILE,
written by `clr reproduce`, with strict=True, runs the images (u8, N,H,W,C) in evaluation mode and writes the logits to --output.
"""

import argparse
import hashlib
import pathlib

import torch
import torchvision
from torch import nn


class Ghost(nn.Module):
    """original_block, then Ghos_Mod: depthwise 3x3, or depthwise 1x1."""

    def __init__(self, conv, kernel):
        super().__init__()
        c = conv.out_channels
        self.original_block = conv
        self.Ghos_Mod = nn.Sequential(nn.Conv2d(c, c, kernel, padding=kernel // 2, groups=c, bias=False))

    def forward(self, x):
        return self.Ghos_Mod(self.original_block(x))


class GhostA(nn.Module):
    class Pair(nn.Module):
        def __init__(self, conv):
            super().__init__()
            c = conv.out_channels
            self.conv_layer = conv
            self.ghost_layer = nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False)

    class Combine(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.A = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def __init__(self, conv):
        super().__init__()
        self.conv, self.combine = self.Pair(conv), self.Combine(conv.out_channels)

    def forward(self, x):
        y = self.conv.conv_layer(x)
        return y + self.combine.A * self.conv.ghost_layer(y)


class Side(nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.conv_layer = conv
        self.re = nn.Conv2d(conv.in_channels, conv.out_channels, 1, stride=conv.stride, bias=False)

    def forward(self, x):
        return self.conv_layer(x) + self.re(x)


def wrap(module, make):
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d):
            setattr(module, name, make(child))
        else:
            wrap(child, make)


def pointwise(conv):
    return conv.kernel_size == (1, 1)


WRAPPERS = {
    "Ghost_reduced_v1": lambda conv: conv if pointwise(conv) else Ghost(conv, 3),
    "Ghost": lambda conv: Ghost(conv, 3),
    "Ghost_reduced_v2": lambda conv: Ghost(conv, 1 if pointwise(conv) else 3),
    "Ghost_a": GhostA,
    "li18": Side,
    "li50": Side,
    "Linear": None,
    "Finetune": None,
    "Resnet_Scratch": None,
}


class Whole(nn.Module):
    """Every network of the original sits in `self.model`."""

    def __init__(self, method, arch, classes):
        super().__init__()
        self.model = getattr(torchvision.models, arch)()
        if WRAPPERS[method]:
            wrap(self.model, WRAPPERS[method])
        self.model.fc = nn.Linear(self.model.fc.in_features, classes)

    def forward(self, x):
        return self.model(x)


def arch_of(method):
    return "resnet18" if method.startswith("Ghost") or method == "li18" else "resnet50"


def digest(state):
    lines = sorted(f"{name} {str(t.dtype).removeprefix('torch.')} {list(t.shape)}\n" for name, t in state.items())
    return len(lines), hashlib.sha256("".join(lines).encode()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", nargs=2, metavar=("METHOD", "FILE"))
    parser.add_argument("--arch")
    parser.add_argument("--images")
    parser.add_argument("--output")
    args = parser.parse_args()
    if not args.check:
        with open(pathlib.Path(__file__).with_name("state_dicts.tsv"), "w") as out:
            for method in WRAPPERS:
                for arch in ("resnet18", "resnet50"):
                    count, sha = digest(Whole(method, arch, 7).state_dict())
                    out.write(f"{method}\t{arch}\t{count}\t{sha}\n")
        return
    from safetensors.torch import load_file, save_file
    method, file = args.check
    state = torch.load(file, map_location="cpu", weights_only=True)
    net = Whole(method, args.arch or arch_of(method), state["model.fc.weight"].shape[0])
    net.load_state_dict(state, strict=True)
    print(f"{file}: {len(state)} tensors read with strict=True")
    if args.images:
        x = load_file(args.images)["images"].to(torch.float32) / 255
        x = (x - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
        with torch.no_grad():
            logits = net.eval()(x.permute(0, 3, 1, 2))
        save_file({"logits": logits.contiguous()}, args.output)


if __name__ == "__main__":
    main()
