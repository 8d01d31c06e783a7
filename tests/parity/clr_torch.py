"""Channel-wise Lightweight Reprogramming of ResNets in PyTorch, for comparison only."""

import torch
from torch import nn
from torch.nn import functional as F


class Reprogrammed(nn.Module):
    """A frozen convolution, followed by a depthwise 3x3 one (for clr: unless its kernel is 1x1)."""

    def __init__(self, cin, cout, kernel, stride, padding):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(cout, cin, kernel, kernel), requires_grad=False)
        self.stride, self.padding = stride, padding
        self.wrapped = kernel != 1
        if self.wrapped:
            self.reprogram = nn.Conv2d(cout, cout, 3, padding=1, groups=cout, bias=False)
            nn.init.dirac_(self.reprogram.weight, groups=cout)

    def forward(self, x):
        y = F.conv2d(x, self.weight, stride=self.stride, padding=self.padding)
        return self.reprogram(y) if self.wrapped else y


class Block(nn.Module):
    expansion = 1

    def __init__(self, cin, cout, stride, option_a):
        super().__init__()
        self.conv1 = Reprogrammed(cin, cout, 3, stride, 1)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = Reprogrammed(cout, cout, 3, 1, 1)
        self.bn2 = nn.BatchNorm2d(cout)
        self.pad = None
        self.downsample = None
        if stride != 1 or cin != cout:
            if option_a:
                self.pad = (cout - cin) // 2
            else:
                self.downsample = nn.Sequential(Reprogrammed(cin, cout, 1, stride, 0), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.pad is not None:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        elif self.downsample is not None:
            x = self.downsample(x)
        return F.relu(y + x)


class ResNet(nn.Module):
    def __init__(self, widths, depth, classes, cifar):
        super().__init__()
        self.cifar = cifar
        self.conv1 = Reprogrammed(3, widths[0], 3 if cifar else 7, 1 if cifar else 2, 1 if cifar else 3)
        self.bn1 = nn.BatchNorm2d(widths[0])
        cin = widths[0]
        for i, width in enumerate(widths):
            blocks = []
            for j in range(depth):
                blocks.append(Block(cin, width, 2 if i > 0 and j == 0 else 1, cifar))
                cin = width
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.stages = len(widths)
        setattr(self, "linear" if cifar else "fc", nn.Linear(cin, classes))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if not self.cifar:
            x = F.max_pool2d(x, 3, 2, 1)
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        x = x.mean(dim=(2, 3))
        return (self.linear if self.cifar else self.fc)(x)


def make(arch, classes):
    if arch == "resnet18":
        return ResNet([64, 128, 256, 512], 2, classes, cifar=False)
    depth = {"resnet20": 3, "resnet32": 5, "resnet44": 7, "resnet56": 9, "resnet110": 18}[arch]
    return ResNet([16, 32, 64], depth, classes, cifar=True)


def load(net, backbone, task):
    """Loads tensors by name: the backbone's body, then the task's own over it. One of them must have every name."""
    head = ("linear." if net.cifar else "fc.")
    state = net.state_dict()
    for name in state:
        source = task.get(name, backbone.get(name) if not name.startswith(head) else None)
        if name.endswith("num_batches_tracked"):
            continue
        if source is None:
            raise SystemExit(f"neither the backbone nor the task file has {name}")
        state[name] = source.to(state[name].dtype).reshape(state[name].shape)
    net.load_state_dict(state)


def regularised(net):
    """Returns the head, BatchNorm scale and shift, and all parameters of wrapped convolutions, frozen filters included."""
    found = []
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.BatchNorm2d)):
            found += [module.weight, module.bias]
        elif isinstance(module, Reprogrammed) and module.wrapped:
            found += [module.weight, module.reprogram.weight]
    return found


class Training:
    def __init__(self, net, lr=1e-3, lambda_=1e-5):
        self.net = net.train()
        self.lambda_ = lambda_
        self.optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=lr)

    def step(self, x, labels):
        """Makes one step. Returns the reported loss, and the cross-entropy without the penalty."""
        self.optimizer.zero_grad()
        entropy = F.cross_entropy(self.net(x), labels)
        penalty = 0
        for w in regularised(self.net):
            norm = torch.linalg.vector_norm(w)
            if norm > 0:
                penalty = penalty + norm
        loss = entropy + self.lambda_ * penalty
        loss.backward()
        self.optimizer.step()
        return loss.item(), entropy.item()


def normalised(images, dtype):
    """Normalises u8 (N,H,W,3) to (N,3,H,W). The constants have single precision for every dtype."""
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float32).to(dtype)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float32).to(dtype)
    return ((torch.from_numpy(images).to(dtype) / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()
