"""Golden values for tests/optim from PyTorch's own optimizers and schedules.

Two parameters (3,4) and (5) start from value() and take 100 steps on the gradient value("g<step>.<i>") + 0.1 * p; the
first has no gradient in steps 40 to 44. The file has the parameters after steps 1, 50 and 100, one row each, in double
precision, and `<name>.noise`, the distance of single precision from these. Schedules: the learning rates of epochs 0..29.

    python3 tests/golden/optim/generate.py        (writes beside itself)
"""

import os
import sys

import torch
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "layers"))
from generate import value  # noqa: E402

SHAPES = [(3, 4), (5,)]
CASES = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01),
    "sgd_momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, dampening=0.3, weight_decay=0.02),
    "sgd_nesterov": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.8, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "adam_decay": lambda p: torch.optim.Adam(p, lr=3e-3, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.05),
    "adamw": lambda p: torch.optim.AdamW(p, lr=3e-3, weight_decay=0.05),
}


def run(make, dtype):
    params = []
    for i, shape in enumerate(SHAPES):
        start = torch.from_numpy(value(f"p{i}", torch.Size(shape).numel())).reshape(shape)
        params.append(start.to(dtype).requires_grad_(True))
    optimizer = make(params)
    kept = []
    for step in range(100):
        for i, p in enumerate(params):
            fresh = torch.from_numpy(value(f"g{step}.{i}", p.numel())).reshape(p.shape).to(dtype)
            p.grad = None if i == 0 and 40 <= step < 45 else fresh + 0.1 * p.detach()
        optimizer.step()
        if step in (0, 49, 99):
            kept.append(torch.cat([p.detach().double().flatten() for p in params]))
    return torch.stack(kept)


def rates(make):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-3)
    schedule = make(optimizer)
    found = []
    for _ in range(30):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return torch.tensor(found, dtype=torch.float64)


def main():
    tensors = {}
    for name, make in CASES.items():
        tensors[name] = run(make, torch.float64)
        tensors[name + ".noise"] = (run(make, torch.float32) - tensors[name]).abs().max()[None]
    tensors["step_lr"] = rates(lambda o: torch.optim.lr_scheduler.StepLR(o, 7, 0.1))
    tensors["cosine_lr"] = rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 30, 1e-5))
    save_file(tensors, os.path.join(HERE, "optim.safetensors"))
    print({k: v.flatten()[-1].item() for k, v in tensors.items()})


if __name__ == "__main__":
    main()
