"""Networks as a PyTorch user constructs them after torch.manual_seed. Random numbers are sampled in this order:

1. the pretrained network, by its constructor: each convolution and the head sample their default values; then the
   constructor overwrites the convolutions (in CIFAR ResNets also the head's weight) with Kaiming normal values;
2. the reprogramming layers, convolution after convolution in the order of modules(), each with its default
   values, even if constants replace these;
3. the new head.
"""

import torch
from torch import nn
from torch.nn import functional as F
import torchvision


class CifarBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.added = cout - cin

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.added:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))
        return F.relu(y + x)


class CifarResNet(nn.Module):
    def __init__(self, blocks, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        cin = 16
        for stage in (1, 2, 3):
            cout = 8 << stage
            layers = []
            for block in range(blocks):
                layers.append(CifarBlock(cin, cout, 2 if stage > 1 and block == 0 else 1))
                cin = cout
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


def pretrained(arch, classes):
    cifar = {"resnet20": 3, "resnet32": 5}
    if arch in cifar:
        return CifarResNet(cifar[arch], classes)
    return getattr(torchvision.models, arch)(num_classes=classes)


def head_name(net):
    return "linear" if isinstance(net, CifarResNet) else "fc"


def depthwise(channels, kernel):
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)


def identity(channels, kernel):
    layer = depthwise(channels, kernel)
    nn.init.dirac_(layer.weight, groups=channels)
    return layer


class Wrapped(nn.Module):
    """A frozen convolution with a method's layer."""

    def __init__(self, conv, method):
        super().__init__()
        self.conv, self.method = conv, method
        channels, kernel = conv.out_channels, conv.kernel_size[0]
        if method in ("clr", "clr-full"):
            self.layer = identity(channels, 3)
        elif method == "clr-mixed":
            self.layer = identity(channels, 3 if kernel > 1 else 1)
        elif method == "clr-residual":
            self.layer = depthwise(channels, 3)
            self.scale = nn.Parameter(torch.zeros(1, channels, 1, 1))
        elif method == "side-conv":
            self.layer = nn.Conv2d(conv.in_channels, channels, 1, stride=conv.stride, bias=False)

    def forward(self, x):
        y = self.conv(x)
        if self.method == "side-conv":
            return y + self.layer(x)
        if self.method == "clr-residual":
            return y + self.scale * self.layer(y)
        return self.layer(y)


def make(arch, method, classes, pretrained_classes):
    net = pretrained(arch, pretrained_classes)
    if method != "linear":
        for name, conv in [m for m in net.named_modules() if isinstance(m[1], nn.Conv2d)]:
            if method == "clr" and conv.kernel_size == (1, 1):
                continue
            parent, _, last = name.rpartition(".")
            setattr(net.get_submodule(parent), last, Wrapped(conv, method))
    head = head_name(net)
    setattr(net, head, nn.Linear(getattr(net, head).in_features, classes))
    return net


def layers_of(net):
    return [m for m in net.modules() if isinstance(m, Wrapped)]
