"""Golden values of the ops for tests/ops/golden_test.cpp, from PyTorch, in double precision.

Each line of ops.txt is a tensor: the case, its name, its sizes joined by x, its elements. `a`, `b`, … are the operands in the
op's order, `y` the result, `u` the gradient that it is given, `da`, `db`, … the gradients of the operands. Images are
(N,H,W,C), filters (O,R,S,I) as in the ops.

    python3 tests/golden/ops/generate.py        (writes beside itself)
"""
import math
import os

import torch
from torch.nn import functional as F

random = torch.Generator().manual_seed(7)


def values(*shape, low=-2.0, high=2.0):
    """Multiples of 1/1024, exact in every dtype that the tests compare."""
    v = torch.rand(shape, generator=random, dtype=torch.float64) * (high - low) + low
    return (v * 1024).round() / 1024


def images(f):
    """Runs f on channels-first copies of the first operand."""
    return lambda x, *rest: f(x.permute(0, 3, 1, 2), *rest).permute(0, 2, 3, 1)


def filters(w):
    return w.permute(0, 3, 1, 2)


def norm12(x):
    return x.flatten(1).norm(dim=1).sum()


def depthwise(x, w):  # w is (R,S,C)
    return F.conv2d(x, w.permute(2, 0, 1)[:, None], stride=2, padding=1, groups=w.shape[2])


X, W = (2, 4, 3, 4), (6, 3, 3, 2)
LABELS = torch.tensor([2, 0, 1])
CASES = {
    "add": (torch.add, values(2, 3), values(2, 3)),
    "add_channel": (torch.add, values(2, 2, 3), values(3)),
    "sub": (torch.sub, values(2, 3), values(2, 3)),
    "mul": (torch.mul, values(2, 3), values(2, 3)),
    "mul_channel": (torch.mul, values(2, 2, 3), values(3)),
    "div": (torch.div, values(2, 3), values(2, 3, low=0.5)),
    "div_scalar": (torch.div, values(2, 3), values(1, low=0.5)),
    "affine": (lambda x: 3 * x - 0.5, values(2, 3)),
    "batch_norm": (lambda x, g, b: F.batch_norm(x, None, None, g, b, True, eps=1e-3), values(7, 3), values(3), values(3)),
    "batch_norm_eval": (lambda x, g, b: F.batch_norm(x, torch.tensor([.5, 0, -1]).double(), torch.tensor([2., 1, .25]).double(),
                                                     g, b, False, eps=1e-3), values(4, 3), values(3), values(3)),
    "conv2d": (images(lambda x, w: F.conv2d(x, filters(w), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)),
               values(*X), values(*W)),
    "depthwise_conv2d": (images(depthwise), values(*X), values(3, 3, 4)),
    "reshape": (lambda x: x.reshape(3, 4), values(2, 6)),
    "slice": (lambda x: x[1:3], values(4, 2)),
    "pad": (lambda x: F.pad(x, (0, 1, 2, 1)), values(2, 3)),
    "stride_slice": (lambda x: x[1::2, 0::3], values(5, 7)),
    "transpose": (torch.t, values(3, 4)),
    "concat": (lambda x, y: torch.cat([x, y], 1), values(2, 3), values(2, 2)),
    "linear": (F.linear, values(2, 3), values(4, 3), values(4)),
    "matmul": (torch.matmul, values(2, 3), values(3, 4)),
    "matmul_transposed": (lambda a, b: a.T @ b.T, values(3, 2), values(4, 3)),
    "max_pool2d": (images(lambda x: F.max_pool2d(x, 3, 2, 1)), values(*X)),
    "avg_pool2d": (images(lambda x: F.avg_pool2d(x, (3, 2), 2, (1, 0))), values(*X)),
    "avg_pool2d_inside": (images(lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)), values(*X)),
    "global_avg_pool": (lambda x: x.mean((1, 2)), values(*X)),
    "sum": (torch.sum, values(2, 3)),
    "mean": (torch.mean, values(2, 3)),
    "sum_rows": (lambda x: x.sum((0, 1)), values(2, 3, 2)),
    "sum_dim": (lambda x: x.sum(1), values(2, 3, 2)),
    "mean_dim": (lambda x: x.mean(0), values(2, 3, 2)),
    "max_dim": (lambda x: x.amax(-2), values(2, 3, 2)),
    "norm_l1": (lambda x: x.abs().sum(), values(2, 3)),
    "norm_l2": (lambda x, y: x.norm() + y.norm(), values(2, 3), values(4)),
    "norm_l12": (norm12, values(2, 3, 2)),
    "softmax": (lambda x: x.softmax(1), values(2, 3)),
    "log_softmax": (lambda x: x.log_softmax(1), values(2, 3)),
    "cross_entropy": (lambda x: F.cross_entropy(x, LABELS), values(3, 4)),
    "cross_entropy_smoothed": (lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.25), values(3, 4)),
    "relu": (torch.relu, values(2, 3)),
    "relu6": (F.relu6, values(2, 5, low=-4, high=12)),
    "gelu": (F.gelu, values(2, 3)),
    "clamp": (lambda x: x.clamp(-0.5, 1.25), values(2, 5)),
    "exp": (torch.exp, values(2, 3)),
    "log": (torch.log, values(2, 3, low=0.1)),
    "sqrt": (torch.sqrt, values(2, 3, low=0.1)),
    "tanh": (torch.tanh, values(2, 3)),
    "sigmoid": (torch.sigmoid, values(2, 3)),
}


def main():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "ops.txt"), "w") as file:
        def put(case, name, t):
            sizes = "x".join(map(str, t.shape)) or "scalar"
            file.write(" ".join([case, name, sizes, *(f"{v:.15g}" for v in t.detach().flatten().tolist())]) + "\n")

        for case, (f, *operands) in CASES.items():
            for x in operands:
                x.requires_grad_()
            y = f(*operands)
            u = values(*y.shape)
            y.backward(u)
            for name, x in zip("abc", operands):
                put(case, name, x)
                put(case, "d" + name, x.grad)
            put(case, "y", y)
            put(case, "u", u)
    assert math.isfinite(sum(float(x.grad.sum()) for _, *operands in CASES.values() for x in operands))


main()
