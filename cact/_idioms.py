"""What `cact bench` measures against: the expression a competent user writes, by library.

Each idiom is a statement as `timeit` takes it, so that no wrapper's call is measured with
it; its last expression is the result (if None: `out`).  The names it may use are those of `namespace`.
Where several statements stand, all are timed and the fastest counts; benchmarks/sweep.py judges the
first.  NumPy has all functions, JAX all but sparsemax and entmax15, torch those that it provides and a
few of one line, SciPy those that it helps with; `_peers` has more libraries.  Rewritings that only an
expert in the function would find (sigmoid through tanh), or that give inf or NaN for x above 44 or 88
where the usual form does not, are not among them.  Single ufuncs get ``out=`` as cact does; longer
expressions allocate, as they do in real code.  Python floats are weak, so float32 stays float32 throughout.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._backend import info
from ._registry import RECORDS

__all__ = [
    "COMMON",
    "CONSTANTS",
    "IDIOMS",
    "LIMIT",
    "OUTPUTS",
    "PEERS",
    "ROWS",
    "SOFTMAX_KIN",
    "cact_statement",
    "functions",
    "installed",
    "namespace",
    "output",
]

#: The libraries, in the order of the tables.
PEERS = ("numpy", "scipy", "torch", "jax")

#: The functions in most use, which `cact bench` times unless told otherwise.
COMMON = (
    *("identity", "sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "selu"),
    *("softplus", "silu", "gelu", "gelu_tanh", "mish", "softmax"),
)

#: What the backwards of the functions of rows start from: their output.
OUTPUTS = {
    **{"softmax": "y", "log_softmax": "log_y", "softmin": "min_y"},
    **{"sparsemax": "sparse_y", "entmax15": "entmax_y"},
}
#: The results of these have another length than x: the prefix of the names of dy and out.
_LENGTHS = {**dict.fromkeys(("glu", "reglu", "geglu", "swiglu", "maxout"), "half_"), "crelu": "double_"}

#: The functions along an axis, whose time depends on the length of the rows.
SOFTMAX_KIN = tuple(OUTPUTS)
#: The functions whose idioms want an array of rows; of an even length, for the halves of the gated ones.
ROWS = (*OUTPUTS, *_LENGTHS)

#: The same bytes moved, nothing computed: what no contender that reads and writes them once
#: through the caches can beat by much.
LIMIT = {"forward": "np.copyto(out, x)", "backward": "np.add(dy, x, out=out)"}

CONSTANTS = {
    "A": math.sqrt(2 / math.pi),  # gelu_tanh: tanh(x (A + B x^2))
    "B": math.sqrt(2 / math.pi) * 0.044715,
    "SCALE": 1.0507009873554805,  # selu
    "SCALE_ALPHA": 1.7580993408473769,
    "SQRT1_2": math.sqrt(0.5),
    "INV_SQRT_2PI": 1 / math.sqrt(2 * math.pi),
    "TWO_INV_SQRT_PI": 2 / math.sqrt(math.pi),
    "MEAN": 11 / 48,  # rrelu: of 1/8 and 1/3
    **{"BETA": 1.0, "P1": 1.0, "P2": 0.0},  # swish, acon_c
}

_NUMPY_FORWARD = {
    "identity": ("np.positive(x, out=out)",),  # a copy of x is the limit
    "sigmoid": ("1 / (1 + np.exp(-x))",),
    "tanh": ("np.tanh(x, out=out)",),
    "relu": ("np.maximum(x, 0, out=out)",),
    "relu6": ("np.clip(x, 0, 6, out=out)",),
    "leaky_relu": ("np.where(x > 0, x, 0.01 * x)", "np.maximum(x, 0.01 * x)"),
    "prelu": ("np.where(x > 0, x, 0.25 * x)", "np.maximum(x, 0.25 * x)"),
    "rrelu": ("np.where(x > 0, x, MEAN * x)", "np.maximum(x, MEAN * x)"),
    "thresholded_relu": ("np.where(x > 1, x, 0)",),
    "elu": ("np.where(x > 0, x, np.expm1(x))", "np.maximum(x, np.expm1(np.minimum(x, 0)))"),
    "celu": ("np.where(x > 0, x, np.expm1(x))", "np.maximum(x, np.expm1(np.minimum(x, 0)))"),
    "selu": (
        "np.where(x > 0, SCALE * x, SCALE_ALPHA * np.expm1(x))",
        "SCALE * np.maximum(x, 0) + SCALE_ALPHA * np.expm1(np.minimum(x, 0))",
    ),
    "softplus": (
        "np.logaddexp(x, 0, out=out)",
        "np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))",
    ),
    "log_sigmoid": ("-np.logaddexp(-x, 0)", "np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))"),
    "softsign": ("x / (1 + np.abs(x))",),
    "hardtanh": ("np.clip(x, -1, 1, out=out)",),
    "hardsigmoid": ("np.clip(x / 6 + 0.5, 0, 1)",),
    "hardswish": ("x * np.clip(x / 6 + 0.5, 0, 1)",),
    "hardshrink": ("np.where(np.abs(x) > 0.5, x, 0)",),
    "softshrink": ("np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)", "x - np.clip(x, -0.5, 0.5)"),
    "tanhshrink": ("x - np.tanh(x)",),
    "silu": ("x / (1 + np.exp(-x))",),
    "gelu": ("0.5 * x * (1 + erf(SQRT1_2 * x))",),
    "gelu_tanh": (
        "0.5 * x * (1 + np.tanh(A * (x + 0.044715 * x * x * x)))",
        "0.5 * x * (1 + np.tanh(x * (A + B * x * x)))",
    ),
    "mish": ("x * np.tanh(np.log1p(np.exp(x)))",),
    "exponential": ("np.exp(x, out=out)",),
    "squareplus": ("0.5 * (x + np.sqrt(x * x + 4))",),
    "sparse_plus": ("np.where(x < 1, 0.25 * np.maximum(x + 1, 0) ** 2, x)",),
    "sparse_sigmoid": ("np.clip(0.5 * (x + 1), 0, 1)",),
    "swish": ("x / (1 + np.exp(-BETA * x))",),
    "quick_gelu": ("x / (1 + np.exp(-1.702 * x))",),
    "relu2": ("np.maximum(x, 0) ** 2",),
    "star_relu": ("0.8944 * np.maximum(x, 0) ** 2 - 0.4472",),
    "telu": ("x * np.tanh(np.exp(x))",),
    "golu": ("x * np.exp(-np.exp(-x))",),
    "serf": ("x * erf(np.log1p(np.exp(x)))",),
    "snake": ("x + np.sin(x) ** 2",),
    "xielu": ("np.where(x > 0, 0.8 * x * x, 0.8 * (np.expm1(np.minimum(x, -1e-6)) - x)) + 0.5 * x",),
    "acon_c": ("d = (P1 - P2) * x; d / (1 + np.exp(-BETA * d)) + P2 * x",),
    "softmax": ("e = np.exp(x - x.max(axis=-1, keepdims=True)); e / e.sum(axis=-1, keepdims=True)",),
    "log_softmax": (
        "d = x - x.max(axis=-1, keepdims=True); d - np.log(np.exp(d).sum(axis=-1, keepdims=True))",
    ),
    "softmin": ("e = np.exp(x.min(axis=-1, keepdims=True) - x); e / e.sum(axis=-1, keepdims=True)",),
    "sparsemax": (
        "z = -np.sort(-x, axis=-1); c = z.cumsum(axis=-1) - 1;"
        " k = np.sum(z * ranks > c, axis=-1, keepdims=True);"
        " np.maximum(x - np.take_along_axis(c, k - 1, axis=-1) / k.astype(x.dtype), 0)",
    ),
    "entmax15": (
        "d = (x - x.max(axis=-1, keepdims=True)) / 2; z = -np.sort(-d, axis=-1);"
        " m = z.cumsum(axis=-1) / ranks; v = (z * z).cumsum(axis=-1) / ranks - m * m;"
        " t = m - np.sqrt(np.maximum(1 / ranks - v, 0)); k = np.sum(t <= z, axis=-1, keepdims=True);"
        " np.maximum(d - np.take_along_axis(t, k - 1, axis=-1), 0) ** 2",
    ),
    "glu": ("a, b = np.split(x, 2, axis=-1); a / (1 + np.exp(-b))",),
    "reglu": ("a, b = np.split(x, 2, axis=-1); a * np.maximum(b, 0)",),
    "geglu": ("a, b = np.split(x, 2, axis=-1); a * (0.5 * b * (1 + erf(SQRT1_2 * b)))",),
    "swiglu": ("a, b = np.split(x, 2, axis=-1); a * b / (1 + np.exp(-b))",),
    "maxout": (
        "np.maximum(x[..., ::2], x[..., 1::2], out=half_out)",
        "x.reshape(*half_dy.shape, 2).max(axis=-1)",
    ),
    "crelu": ("np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], axis=-1)",),
}

_NUMPY_BACKWARD = {
    "identity": ("np.multiply(dy, np.ones_like(x), out=out)",),  # a copy of dy is the limit
    "sigmoid": ("s = 1 / (1 + np.exp(-x)); dy * s * (1 - s)",),
    "tanh": ("t = np.tanh(x); dy * (1 - t * t)",),
    "relu": ("dy * (x > 0)", "np.multiply(dy, x > 0, out=out)"),
    "relu6": ("dy * ((x > 0) & (x < 6))",),
    "leaky_relu": ("np.where(x > 0, dy, 0.01 * dy)",),
    "prelu": ("np.where(x > 0, dy, 0.25 * dy), np.sum(dy * np.minimum(x, 0))",),
    "rrelu": ("np.where(x > 0, dy, MEAN * dy)",),
    "thresholded_relu": ("dy * (x > 1)", "np.multiply(dy, x > 1, out=out)"),
    "elu": ("dy * np.exp(np.minimum(x, 0))",),
    "celu": ("dy * np.exp(np.minimum(x, 0))",),
    "selu": (
        "dy * np.where(x > 0, SCALE, SCALE_ALPHA * np.exp(x))",
        "np.where(x > 0, SCALE * dy, SCALE_ALPHA * dy * np.exp(x))",
    ),
    "softplus": ("dy / (1 + np.exp(-x))",),
    "log_sigmoid": ("dy / (1 + np.exp(x))",),
    "softsign": ("dy / (1 + np.abs(x)) ** 2",),
    "hardtanh": ("dy * (np.abs(x) < 1)",),
    "hardsigmoid": ("dy * (np.abs(x) < 3) / 6",),
    "hardswish": ("dy * np.where(np.abs(x) < 3, x / 3 + 0.5, x > 0)",),
    "hardshrink": ("dy * (np.abs(x) > 0.5)",),
    "softshrink": ("dy * (np.abs(x) > 0.5)",),
    "tanhshrink": ("dy * np.tanh(x) ** 2",),
    "silu": ("s = 1 / (1 + np.exp(-x)); dy * s * (1 + x * (1 - s))",),
    "gelu": ("dy * (0.5 * (1 + erf(SQRT1_2 * x)) + INV_SQRT_2PI * x * np.exp(-0.5 * x * x))",),
    "gelu_tanh": (
        "q = x * x; t = np.tanh(x * (A + B * q));"
        " dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (A + 3 * B * q))",
    ),
    "mish": ("u = np.exp(x); t = np.tanh(np.log1p(u)); dy * (t + x * (1 - t * t) * u / (1 + u))",),
    "exponential": ("dy * np.exp(x)",),
    "squareplus": ("0.5 * dy * (1 + x / np.sqrt(x * x + 4))",),
    "sparse_plus": ("dy * np.clip(0.5 * (x + 1), 0, 1)",),
    "sparse_sigmoid": ("0.5 * dy * (np.abs(x) < 1)",),
    "swish": (
        "s = 1 / (1 + np.exp(-BETA * x));"
        " dy * s * (1 + BETA * x * (1 - s)), np.sum(dy * x * x * s * (1 - s))",
    ),
    "quick_gelu": ("s = 1 / (1 + np.exp(-1.702 * x)); dy * s * (1 + 1.702 * x * (1 - s))",),
    "relu2": ("2 * dy * np.maximum(x, 0)",),
    "star_relu": ("r = np.maximum(x, 0); 1.7888 * dy * r, np.sum(dy * r * r), np.sum(dy)",),
    "telu": ("e = np.exp(x); t = np.tanh(e); dy * (t + x * e * (1 - t * t))",),
    "golu": ("e = np.exp(-x); dy * np.exp(-e) * (1 + x * e)",),
    "serf": (
        "u = np.exp(x); z = np.log1p(u); dy * (erf(z) + TWO_INV_SQRT_PI * x * np.exp(-z * z) * u / (1 + u))",
    ),
    "snake": ("s = np.sin(2 * x); dy * (1 + s), np.sum(dy * (x * s - np.sin(x) ** 2))",),
    "xielu": (
        "r = np.maximum(x, 0); n = np.expm1(np.minimum(x, -1e-6));"
        " dy * (np.where(x > 0, 1.6 * x, 0.8 * n) + 0.5),"
        " np.sum(dy * r * r), np.sum(dy * np.where(x > 0, 0, n - x)), np.sum(dy * x)",
    ),
    "acon_c": (
        "d = (P1 - P2) * x; s = 1 / (1 + np.exp(-BETA * d)); g = s * (1 + BETA * d * (1 - s));"
        " dy * ((P1 - P2) * g + P2),"
        " np.sum(dy * x * g), np.sum(dy * x * (1 - g)), np.sum(dy * d * d * s * (1 - s))",
    ),
    "softmax": (
        "y * (dy - (dy * y).sum(axis=-1, keepdims=True))",
        "y * (dy - np.einsum('ij,ij->i', dy, y)[:, None])",
    ),
    "log_softmax": ("dy - np.exp(log_y) * dy.sum(axis=-1, keepdims=True)",),
    "softmin": (
        "min_y * ((dy * min_y).sum(axis=-1, keepdims=True) - dy)",
        "min_y * (np.einsum('ij,ij->i', dy, min_y)[:, None] - dy)",
    ),
    "sparsemax": (
        "s = sparse_y > 0; n = s.sum(axis=-1, keepdims=True, dtype=dy.dtype);"
        " s * (dy - (dy * s).sum(axis=-1, keepdims=True) / n)",
    ),
    "entmax15": (
        "s = np.sqrt(entmax_y);"
        " s * (dy - (dy * s).sum(axis=-1, keepdims=True) / s.sum(axis=-1, keepdims=True))",
    ),
    "glu": (
        "a, b = np.split(x, 2, axis=-1); s = 1 / (1 + np.exp(-b));"
        " np.concatenate([half_dy * s, half_dy * a * s * (1 - s)], axis=-1)",
    ),
    "reglu": (
        "a, b = np.split(x, 2, axis=-1);"
        " np.concatenate([half_dy * np.maximum(b, 0), half_dy * a * (b > 0)], axis=-1)",
    ),
    "geglu": (
        "a, b = np.split(x, 2, axis=-1); p = 0.5 * (1 + erf(SQRT1_2 * b));"
        " d = p + INV_SQRT_2PI * b * np.exp(-0.5 * b * b);"
        " np.concatenate([half_dy * b * p, half_dy * a * d], axis=-1)",
    ),
    "swiglu": (
        "a, b = np.split(x, 2, axis=-1); s = 1 / (1 + np.exp(-b)); d = s * (1 + b * (1 - s));"
        " np.concatenate([half_dy * b * s, half_dy * a * d], axis=-1)",
    ),
    "maxout": (
        "m = x[..., ::2] >= x[..., 1::2]; np.stack([half_dy * m, half_dy * ~m], axis=-1).reshape(x.shape)",
    ),
    "crelu": ("a, b = np.split(double_dy, 2, axis=-1); a * (x > 0) - b * (x < 0)",),
}

_SCIPY_FORWARD = {
    "sigmoid": ("special.expit(x, out=out)",),
    "elu": ("np.where(x > 0, x, special.expm1(x))",),
    "celu": ("np.where(x > 0, x, special.expm1(x))",),
    "softplus": ("-special.log_expit(-x)", "special.log1p(np.exp(x))"),
    "log_sigmoid": ("special.log_expit(x, out=out)",),
    "silu": ("x * special.expit(x)",),
    "gelu": ("x * special.ndtr(x)",),
    "mish": ("x * np.tanh(-special.log_expit(-x))",),
    "swish": ("x * special.expit(BETA * x)",),
    "quick_gelu": ("x * special.expit(1.702 * x)",),
    "serf": ("x * special.erf(-special.log_expit(-x))",),
    "softmax": ("special.softmax(x, axis=-1)",),
    "log_softmax": ("special.log_softmax(x, axis=-1)",),
    "softmin": ("special.softmax(-x, axis=-1)",),
    "glu": ("a, b = np.split(x, 2, axis=-1); a * special.expit(b)",),
}

_SCIPY_BACKWARD = {
    "sigmoid": ("s = special.expit(x); dy * s * (1 - s)",),
    "softplus": ("dy * special.expit(x)",),
    "log_sigmoid": ("dy * special.expit(-x)",),
    "silu": ("s = special.expit(x); dy * s * (1 + x * (1 - s))",),
    "gelu": ("dy * (special.ndtr(x) + INV_SQRT_2PI * x * np.exp(-0.5 * x * x))",),
    "mish": ("s = special.expit(x); t = np.tanh(-special.log_expit(-x)); dy * (t + x * s * (1 - t * t))",),
    "quick_gelu": ("s = special.expit(1.702 * x); dy * s * (1 + 1.702 * x * (1 - s))",),
}

# tx, tdy... share the memory of x, dy...; tw is prelu's weight, tv is tx with a gradient.  The backwards of
# sigmoid, tanh and exp take the output, which is computed here: every contender starts from x.
_TORCH_FORWARD = {
    "identity": ("tout.copy_(tx)",),
    "sigmoid": ("torch.sigmoid(tx, out=tout)",),
    "tanh": ("torch.tanh(tx, out=tout)",),
    "relu": ("torch.clamp(tx, min=0, out=tout)", "torch.relu(tx)"),
    "relu6": ("aten.hardtanh.out(tx, 0, 6, out=tout)",),
    "leaky_relu": ("aten.leaky_relu.out(tx, 0.01, out=tout)",),
    "prelu": ("torch.prelu(tx, tw)",),
    "rrelu": ("torch.rrelu(tx, 1 / 8, 1 / 3, False)", "aten.leaky_relu.out(tx, MEAN, out=tout)"),
    "thresholded_relu": ("aten.threshold.out(tx, 1, 0, out=tout)",),
    "elu": ("aten.elu.out(tx, 1.0, out=tout)",),
    "celu": ("torch.celu(tx)", "aten.elu.out(tx, 1.0, out=tout)"),
    "selu": ("aten.elu.out(tx, SCALE_ALPHA / SCALE, SCALE, out=tout)", "torch.selu(tx)"),
    "softplus": ("aten.softplus.out(tx, out=tout)",),
    "log_sigmoid": ("aten.log_sigmoid.out(tx, out=tout)",),
    "softsign": ("F.softsign(tx)",),
    "hardtanh": ("aten.hardtanh.out(tx, -1, 1, out=tout)",),
    "hardsigmoid": ("aten.hardsigmoid.out(tx, out=tout)",),
    "hardswish": ("aten.hardswish.out(tx, out=tout)",),
    "hardshrink": ("aten.hardshrink.out(tx, 0.5, out=tout)",),
    "softshrink": ("aten.softshrink.out(tx, 0.5, out=tout)",),
    "tanhshrink": ("F.tanhshrink(tx)",),
    "silu": ("aten.silu.out(tx, out=tout)",),
    "gelu": ("aten.gelu.out(tx, out=tout)",),
    "gelu_tanh": ("aten.gelu.out(tx, approximate='tanh', out=tout)",),
    "mish": ("aten.mish.out(tx, out=tout)",),
    "exponential": ("torch.exp(tx, out=tout)",),
    "softmax": ("aten._softmax.out(tx, -1, False, out=tout)", "torch.softmax(tx, -1)"),
    "log_softmax": ("aten._log_softmax.out(tx, -1, False, out=tout)", "torch.log_softmax(tx, -1)"),
    "softmin": ("F.softmin(tx, -1)",),
    "glu": ("aten.glu.out(tx, -1, out=thalf_out)",),
    "reglu": ("a, b = tx.chunk(2, -1); a * F.relu(b)",),
    "geglu": ("a, b = tx.chunk(2, -1); a * F.gelu(b)",),
    "swiglu": ("a, b = tx.chunk(2, -1); a * F.silu(b)",),
    "maxout": (
        "torch.maximum(tx[..., ::2], tx[..., 1::2], out=thalf_out)",
        "torch.amax(tx.unflatten(-1, (-1, 2)), -1, out=thalf_out)",
    ),
    "crelu": ("torch.cat((F.relu(tx), F.relu(-tx)), -1)",),
}

_TORCH_BACKWARD = {
    "identity": ("tout.copy_(tdy)",),
    "sigmoid": ("aten.sigmoid_backward.grad_input(tdy, torch.sigmoid(tx), grad_input=tout)",),
    "tanh": ("aten.tanh_backward.grad_input(tdy, torch.tanh(tx), grad_input=tout)",),
    "relu": ("aten.threshold_backward.grad_input(tdy, tx, 0, grad_input=tout)",),
    "relu6": ("aten.hardtanh_backward.grad_input(tdy, tx, 0, 6, grad_input=tout)",),
    "leaky_relu": ("aten.leaky_relu_backward.grad_input(tdy, tx, 0.01, False, grad_input=tout)",),
    "prelu": ("g = aten._prelu_kernel_backward(tdy, tx, tw); g[0], g[1].sum()",),
    "rrelu": ("aten.leaky_relu_backward.grad_input(tdy, tx, MEAN, False, grad_input=tout)",),
    "thresholded_relu": ("aten.threshold_backward.grad_input(tdy, tx, 1, grad_input=tout)",),
    "elu": ("aten.elu_backward.grad_input(tdy, 1.0, 1.0, 1.0, False, tx, grad_input=tout)",),
    "celu": ("aten.elu_backward.grad_input(tdy, 1.0, 1.0, 1.0, False, tx, grad_input=tout)",),
    "selu": (
        "aten.elu_backward.grad_input(tdy, SCALE_ALPHA / SCALE, SCALE, 1.0, False, tx, grad_input=tout)",
    ),
    "softplus": ("aten.softplus_backward.grad_input(tdy, tx, 1.0, 20.0, grad_input=tout)",),
    "log_sigmoid": ("aten.log_sigmoid_backward(tdy, tx, aten.log_sigmoid_forward(tx)[1])",),
    "softsign": (  # autograd's, and what one writes for speed
        "torch.autograd.grad(F.softsign(tv), tv, tdy)[0]",
        "tdy / (1 + tx.abs()).square_()",
    ),
    "hardtanh": ("aten.hardtanh_backward.grad_input(tdy, tx, -1, 1, grad_input=tout)",),
    "hardsigmoid": ("aten.hardsigmoid_backward.grad_input(tdy, tx, grad_input=tout)",),
    "hardswish": ("aten.hardswish_backward(tdy, tx)",),
    "hardshrink": ("aten.hardshrink_backward.grad_input(tdy, tx, 0.5, grad_input=tout)",),
    "softshrink": ("aten.softshrink_backward.grad_input(tdy, tx, 0.5, grad_input=tout)",),
    "tanhshrink": (
        "torch.autograd.grad(F.tanhshrink(tv), tv, tdy)[0]",
        "torch.tanh(tx).square_().mul_(tdy)",
    ),
    "silu": ("aten.silu_backward.grad_input(tdy, tx, grad_input=tout)",),
    "gelu": ("aten.gelu_backward.grad_input(tdy, tx, grad_input=tout)",),
    "gelu_tanh": ("aten.gelu_backward.grad_input(tdy, tx, approximate='tanh', grad_input=tout)",),
    "mish": ("aten.mish_backward(tdy, tx)",),
    "exponential": ("torch.mul(tdy, torch.exp(tx), out=tout)",),
    "softmax": ("aten._softmax_backward_data(tdy, ty, -1, ty.dtype)",),
    "log_softmax": ("aten._log_softmax_backward_data(tdy, tlog_y, -1, tlog_y.dtype)",),
    "softmin": ("aten._softmax_backward_data(tdy, tmin_y, -1, tmin_y.dtype).neg_()",),
    "glu": ("aten.glu_backward.grad_input(thalf_dy, tx, -1, grad_input=tout)",),
    "reglu": ("a, b = tx.chunk(2, -1); torch.cat((thalf_dy * F.relu(b), thalf_dy * a * (b > 0)), -1)",),
    "geglu": (
        "a, b = tx.chunk(2, -1); torch.cat((thalf_dy * F.gelu(b), aten.gelu_backward(thalf_dy * a, b)), -1)",
    ),
    "swiglu": (
        "a, b = tx.chunk(2, -1); torch.cat((thalf_dy * F.silu(b), aten.silu_backward(thalf_dy * a, b)), -1)",
    ),
    "maxout": (
        "m = tx[..., ::2] >= tx[..., 1::2]; torch.stack((thalf_dy * m, thalf_dy * ~m), -1).flatten(-2)",
    ),
    "crelu": ("a, b = tdouble_dy.chunk(2, -1); a * (tx > 0) - b * (tx < 0)",),
}

# Expressions in x and in the learnable parameters by cact's names.  `namespace` has each compiled by jax.jit,
# and its vjp: jax_gelu, jax_gelu_backward.
_JAX = {
    "identity": "jnp.copy(x)",  # jit hands nn.identity's x back
    "sigmoid": "nn.sigmoid(x)",
    "tanh": "jnp.tanh(x)",
    "relu": "nn.relu(x)",
    "relu6": "nn.relu6(x)",
    "leaky_relu": "nn.leaky_relu(x)",
    "prelu": "jnp.where(x > 0, x, weight * x)",
    "rrelu": "nn.leaky_relu(x, 11 / 48)",
    "thresholded_relu": "jnp.where(x > 1, x, 0)",
    "elu": "nn.elu(x)",
    "celu": "nn.celu(x)",
    "selu": "nn.selu(x)",
    "softplus": "nn.softplus(x)",
    "log_sigmoid": "nn.log_sigmoid(x)",
    "softsign": "nn.soft_sign(x)",
    "hardtanh": "nn.hard_tanh(x)",
    "hardsigmoid": "nn.hard_sigmoid(x)",
    "hardswish": "nn.hard_swish(x)",
    "hardshrink": "jnp.where(jnp.abs(x) > 0.5, x, 0)",
    "softshrink": "x - jnp.clip(x, -0.5, 0.5)",
    "tanhshrink": "x - jnp.tanh(x)",
    "silu": "nn.silu(x)",
    "gelu": "nn.gelu(x, approximate=False)",
    "gelu_tanh": "nn.gelu(x, approximate=True)",
    "mish": "nn.mish(x)",
    "exponential": "jnp.exp(x)",
    "squareplus": "nn.squareplus(x)",
    "sparse_plus": "nn.sparse_plus(x)",
    "sparse_sigmoid": "nn.sparse_sigmoid(x)",
    "swish": "x * nn.sigmoid(beta * x)",
    "quick_gelu": "x * nn.sigmoid(1.702 * x)",
    "relu2": "jnp.square(nn.relu(x))",
    "star_relu": "scale * jnp.square(nn.relu(x)) + bias",
    "telu": "x * jnp.tanh(jnp.exp(x))",
    "golu": "x * jnp.exp(-jnp.exp(-x))",
    "serf": "x * jax.lax.erf(nn.softplus(x))",
    "snake": "x + jnp.square(jnp.sin(alpha * x)) / alpha",
    "xielu": "jnp.where(x > 0, alpha_p * x * x, alpha_n * (jnp.expm1(jnp.minimum(x, -1e-6)) - x)) + beta * x",
    "acon_c": "(p1 - p2) * x * nn.sigmoid(beta * (p1 - p2) * x) + p2 * x",
    "softmax": "nn.softmax(x)",
    "log_softmax": "nn.log_softmax(x)",
    "softmin": "nn.softmax(-x)",
    "glu": "nn.glu(x)",
    "reglu": "(lambda a, b: a * nn.relu(b))(*jnp.split(x, 2, -1))",
    "geglu": "(lambda a, b: a * nn.gelu(b, approximate=False))(*jnp.split(x, 2, -1))",
    "swiglu": "(lambda a, b: a * nn.silu(b))(*jnp.split(x, 2, -1))",
    "maxout": "jnp.maximum(x[..., ::2], x[..., 1::2])",
    "crelu": "jnp.concatenate([nn.relu(x), nn.relu(-x)], -1)",
}

# The backwards that start from the output.
_JAX_ROWS = {
    "softmax": "y * (dy - (dy * y).sum(-1, keepdims=True))",
    "log_softmax": "dy - jnp.exp(y) * dy.sum(-1, keepdims=True)",
    "softmin": "y * ((dy * y).sum(-1, keepdims=True) - dy)",
}


def _jax_statement(function: str, operation: str) -> str:
    """The call whose results are there when it returns; that of a backward may be a tuple."""
    if operation == "forward":
        return f"jax_{function}(jx).block_until_ready()"
    call = "jax_{}_backward(j{}, j{})".format(function, *_arguments(function))
    if RECORDS[function].learnable:
        return f"tuple(g.block_until_ready() for g in {call})"
    return f"{call}.block_until_ready()"


def _arguments(function: str) -> tuple[str, str]:
    """What its backward takes."""
    return f"{_LENGTHS.get(function, '')}dy", OUTPUTS.get(function, "x")


def output(function: str, operation: str) -> str:
    """The name of its preallocated result."""
    return f"{_LENGTHS.get(function, '')}out" if operation == "forward" else "out"


#: Statements by peer, operation and function.
IDIOMS: Mapping[str, Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "numpy": {"forward": _NUMPY_FORWARD, "backward": _NUMPY_BACKWARD},
    "scipy": {"forward": _SCIPY_FORWARD, "backward": _SCIPY_BACKWARD},
    "torch": {"forward": _TORCH_FORWARD, "backward": _TORCH_BACKWARD},
    "jax": {op: {f: (_jax_statement(f, op),) for f in _JAX} for op in ("forward", "backward")},
}


def functions() -> list[str]:
    """The functions that have a NumPy idiom, in the order of the catalogue."""
    return list(_NUMPY_FORWARD)


def installed(module: str) -> bool:
    """Whether a module is installed (it is not imported)."""
    return importlib.util.find_spec(module) is not None


def cact_statement(function: str, operation: str) -> str:
    """The call of cact's public function that the idioms are measured against."""
    if operation == "forward":
        return f"cact.{function}(x, out={output(function, operation)})"
    return "cact.{}.backward({}, {}, out=out)".format(function, *_arguments(function))


def namespace(
    x: npt.NDArray[Any],
    dy: npt.NDArray[Any],
    out: npt.NDArray[Any],
    peers: Sequence[str] = PEERS,
    function: str | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """The names the statements use.

    Parameters
    ----------
    x, dy, out : ndarray, all of one shape and dtype
        Input, upstream gradient, preallocated result.
    peers : sequence of str
        The peers whose statements will run; each must be installed.
    function : str, optional
        The one whose statements will run, to make no arrays for others; default: all.
    threads : int, optional
        Of torch and JAX; default: as many as cact has.

    Returns
    -------
    dict
        Also ``erf`` of x's dtype (SciPy's where it is installed, since NumPy has none, else
        `math.erf` vectorised), and where x has two dimensions the outputs of the functions of
        rows, and arrays of half and twice the length for functions that give and take them.
    """
    import cact

    threads = threads or info()["threads"]
    arrays = {"x": x, "dy": dy, "out": out}
    if x.ndim == 2:
        wanted = ROWS if function is None else (function,)
        arrays |= {name: cact.get(f)(x) for f, name in OUTPUTS.items() if f in wanted}
        for prefix in dict.fromkeys(_LENGTHS[f] for f in wanted if f in _LENGTHS):
            arrays[f"{prefix}dy"] = dy[:, : x.shape[1] // 2].copy() if prefix == "half_" else np.tile(dy, 2)
            arrays[f"{prefix}out"] = np.zeros_like(arrays[f"{prefix}dy"])
    names: dict[str, Any] = {**CONSTANTS, "cact": cact, "np": np, **arrays}
    names["ranks"] = np.arange(1, x.shape[-1] + 1, dtype=x.dtype) if x.ndim == 2 else None
    if installed("scipy"):
        names["special"] = importlib.import_module("scipy.special")
        names["erf"] = names["special"].erf
    else:
        names["erf"] = np.vectorize(math.erf, otypes=[x.dtype])
    if "torch" in peers or "torch_compile" in peers:
        torch = importlib.import_module("torch")
        torch.set_num_threads(threads)
        names |= {"torch": torch, "aten": torch.ops.aten, "F": torch.nn.functional}
        names |= {f"t{k}": torch.from_numpy(a) for k, a in arrays.items()}
        names["tw"] = torch.tensor([0.25], dtype=names["tx"].dtype)
        names["tv"] = names["tx"].detach().requires_grad_()
    if "jax" in peers:
        os.environ.setdefault("NPROC", str(threads))  # of XLA's pool, if it has not computed yet
        jax = importlib.import_module("jax")
        jax.config.update("jax_enable_x64", True)
        names |= {f"j{k}": jax.numpy.asarray(a) for k, a in arrays.items() if "out" not in k}
        names |= _jitted()
    return names


@functools.cache
def _jitted() -> dict[str, Any]:
    """`_JAX` and the gradients, each of which is compiled when it is first called."""
    jax = importlib.import_module("jax")
    names = {"jax": jax, "jnp": jax.numpy, "nn": jax.nn}

    def backward_of(f: Any, values: list[float]) -> Any:
        def backward(dy: Any, x: Any) -> Any:
            gradients = jax.vjp(f, x, *(jax.numpy.asarray(v, x.dtype) for v in values))[1](dy)
            return gradients if values else gradients[0]

        return backward

    found: dict[str, Any] = {}
    for function, expression in _JAX.items():
        record = RECORDS[function]
        learnable = {k: record.defaults[k] for k in record.learnable}
        parameters = "".join(f", {k}={v!r}" for k, v in learnable.items())
        f = eval(f"lambda x{parameters}: {expression}", names)
        if function in _JAX_ROWS:
            backward = eval(f"lambda dy, y: {_JAX_ROWS[function]}", names)
        else:
            backward = backward_of(f, list(learnable.values()))
        found |= {f"jax_{function}": jax.jit(f), f"jax_{function}_backward": jax.jit(backward)}
    return found
