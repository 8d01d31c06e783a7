"""Golden values for tests/layers/test_state_dict.cpp: a PyTorch network that flattens images, its state dict, an input and the output.

    python3 tests/golden/layers/generate_flatten.py        (writes flatten.pth beside itself)
"""

import os

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.BatchNorm1d(24), nn.Linear(24, 5))
net(torch.randn(8, 3, 6, 4))  # moves the running statistics
net.eval()
nn.init.normal_(net[4].weight)
nn.init.normal_(net[4].bias)
images = torch.randn(2, 3, 6, 4)
tensors = {"net." + name: t for name, t in net.state_dict().items()}
with torch.no_grad():
    tensors |= {"input": images, "output": net(images)}
torch.save(tensors, os.path.join(os.path.dirname(os.path.abspath(__file__)), "flatten.pth"))
