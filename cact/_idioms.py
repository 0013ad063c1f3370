"""What `cact bench` measures against: the expression a competent user writes, by library.

Each idiom is a statement as `timeit` takes it, so that no wrapper's call is measured with
it; its last expression is the result (if None: `out`).  The names it may use are those of `namespace`.
Where several statements stand, all are timed and the fastest counts.  Rewritings that only
an expert in the function would find (sigmoid through tanh), or that give inf or NaN for x above 44 or
88 where the usual form does not, are not among them.  Single ufuncs get
``out=`` as cact does; longer expressions allocate, as they do in real code.  Python floats
are weak, so float32 stays float32 throughout.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._backend import info

__all__ = ["IDIOMS", "LIMIT", "PEERS", "cact_statement", "functions", "installed", "namespace"]

#: The libraries, in the order of the tables.
PEERS = ("numpy", "scipy", "torch")

#: The same bytes moved, nothing computed: what no contender that reads and writes them once
#: through the caches can beat by much.
LIMIT = {"forward": "np.copyto(out, x)", "backward": "np.add(dy, x, out=out)"}

_CONSTANTS = {
    "A": math.sqrt(2 / math.pi),  # gelu_tanh: tanh(x (A + B x^2))
    "B": math.sqrt(2 / math.pi) * 0.044715,
    "SCALE": 1.0507009873554805,  # selu
    "SCALE_ALPHA": 1.7580993408473769,
    "SQRT1_2": math.sqrt(0.5),
    "INV_SQRT_2PI": 1 / math.sqrt(2 * math.pi),
}

_NUMPY_FORWARD = {
    "identity": ("np.positive(x, out=out)",),  # a copy of x is the limit
    "sigmoid": ("1 / (1 + np.exp(-x))",),
    "tanh": ("np.tanh(x, out=out)",),
    "relu": ("np.maximum(x, 0, out=out)",),
    "leaky_relu": ("np.where(x > 0, x, 0.01 * x)", "np.maximum(x, 0.01 * x)"),
    "prelu": ("np.where(x > 0, x, 0.25 * x)", "np.maximum(x, 0.25 * x)"),
    "elu": ("np.where(x > 0, x, np.expm1(x))", "np.maximum(x, np.expm1(np.minimum(x, 0)))"),
    "selu": (
        "np.where(x > 0, SCALE * x, SCALE_ALPHA * np.expm1(x))",
        "SCALE * np.maximum(x, 0) + SCALE_ALPHA * np.expm1(np.minimum(x, 0))",
    ),
    "softplus": (
        "np.logaddexp(x, 0, out=out)",
        "np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))",
    ),
    "silu": ("x / (1 + np.exp(-x))",),
    "gelu": ("0.5 * x * (1 + erf(SQRT1_2 * x))",),
    "gelu_tanh": (
        "0.5 * x * (1 + np.tanh(A * (x + 0.044715 * x * x * x)))",
        "0.5 * x * (1 + np.tanh(x * (A + B * x * x)))",
    ),
    "mish": ("x * np.tanh(np.log1p(np.exp(x)))",),
    "softmax": ("e = np.exp(x - x.max(axis=-1, keepdims=True)); e / e.sum(axis=-1, keepdims=True)",),
}

_NUMPY_BACKWARD = {
    "identity": ("np.multiply(dy, np.ones_like(x), out=out)",),  # a copy of dy is the limit
    "sigmoid": ("s = 1 / (1 + np.exp(-x)); dy * s * (1 - s)",),
    "tanh": ("t = np.tanh(x); dy * (1 - t * t)",),
    "relu": ("dy * (x > 0)", "np.multiply(dy, x > 0, out=out)"),
    "leaky_relu": ("np.where(x > 0, dy, 0.01 * dy)",),
    "prelu": ("np.where(x > 0, dy, 0.25 * dy), np.sum(dy * np.minimum(x, 0))",),
    "elu": ("dy * np.exp(np.minimum(x, 0))",),
    "selu": (
        "dy * np.where(x > 0, SCALE, SCALE_ALPHA * np.exp(x))",
        "np.where(x > 0, SCALE * dy, SCALE_ALPHA * dy * np.exp(x))",
    ),
    "softplus": ("dy / (1 + np.exp(-x))",),
    "silu": ("s = 1 / (1 + np.exp(-x)); dy * s * (1 + x * (1 - s))",),
    "gelu": ("dy * (0.5 * (1 + erf(SQRT1_2 * x)) + INV_SQRT_2PI * x * np.exp(-0.5 * x * x))",),
    "gelu_tanh": (
        "q = x * x; t = np.tanh(x * (A + B * q));"
        " dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (A + 3 * B * q))",
    ),
    "mish": ("u = np.exp(x); t = np.tanh(np.log1p(u)); dy * (t + x * (1 - t * t) * u / (1 + u))",),
    "softmax": (
        "y * (dy - (dy * y).sum(axis=-1, keepdims=True))",
        "y * (dy - np.einsum('ij,ij->i', dy, y)[:, None])",
    ),
}

_SCIPY_FORWARD = {
    "sigmoid": ("special.expit(x, out=out)",),
    "elu": ("np.where(x > 0, x, special.expm1(x))",),
    "softplus": ("-special.log_expit(-x)", "special.log1p(np.exp(x))"),
    "silu": ("x * special.expit(x)",),
    "gelu": ("x * special.ndtr(x)",),
    "mish": ("x * np.tanh(-special.log_expit(-x))",),
    "softmax": ("special.softmax(x, axis=-1)",),
}

_SCIPY_BACKWARD = {
    "sigmoid": ("s = special.expit(x); dy * s * (1 - s)",),
    "softplus": ("dy * special.expit(x)",),
    "silu": ("s = special.expit(x); dy * s * (1 + x * (1 - s))",),
    "gelu": ("dy * (special.ndtr(x) + INV_SQRT_2PI * x * np.exp(-0.5 * x * x))",),
    "mish": ("s = special.expit(x); t = np.tanh(-special.log_expit(-x)); dy * (t + x * s * (1 - t * t))",),
}

# tx, tdy, ty, tout share the memory of x, dy, y, out; tw is prelu's weight.  The backwards of
# sigmoid and tanh take the output, which is computed here: every contender starts from x.
_TORCH_FORWARD = {
    "identity": ("tout.copy_(tx)",),
    "sigmoid": ("torch.sigmoid(tx, out=tout)",),
    "tanh": ("torch.tanh(tx, out=tout)",),
    "relu": ("torch.clamp(tx, min=0, out=tout)", "torch.relu(tx)"),
    "leaky_relu": ("aten.leaky_relu.out(tx, 0.01, out=tout)",),
    "prelu": ("torch.prelu(tx, tw)",),
    "elu": ("aten.elu.out(tx, 1.0, out=tout)",),
    "selu": ("aten.elu.out(tx, SCALE_ALPHA / SCALE, SCALE, out=tout)", "torch.selu(tx)"),
    "softplus": ("aten.softplus.out(tx, out=tout)",),
    "silu": ("aten.silu.out(tx, out=tout)",),
    "gelu": ("aten.gelu.out(tx, out=tout)",),
    "gelu_tanh": ("aten.gelu.out(tx, approximate='tanh', out=tout)",),
    "mish": ("aten.mish.out(tx, out=tout)",),
    "softmax": ("aten._softmax.out(tx, -1, False, out=tout)", "torch.softmax(tx, -1)"),
}

_TORCH_BACKWARD = {
    "identity": ("tout.copy_(tdy)",),
    "sigmoid": ("aten.sigmoid_backward.grad_input(tdy, torch.sigmoid(tx), grad_input=tout)",),
    "tanh": ("aten.tanh_backward.grad_input(tdy, torch.tanh(tx), grad_input=tout)",),
    "relu": ("aten.threshold_backward.grad_input(tdy, tx, 0, grad_input=tout)",),
    "leaky_relu": ("aten.leaky_relu_backward.grad_input(tdy, tx, 0.01, False, grad_input=tout)",),
    "prelu": ("g = aten._prelu_kernel_backward(tdy, tx, tw); g[0], g[1].sum()",),
    "elu": ("aten.elu_backward.grad_input(tdy, 1.0, 1.0, 1.0, False, tx, grad_input=tout)",),
    "selu": (
        "aten.elu_backward.grad_input(tdy, SCALE_ALPHA / SCALE, SCALE, 1.0, False, tx, grad_input=tout)",
    ),
    "softplus": ("aten.softplus_backward.grad_input(tdy, tx, 1.0, 20.0, grad_input=tout)",),
    "silu": ("aten.silu_backward.grad_input(tdy, tx, grad_input=tout)",),
    "gelu": ("aten.gelu_backward.grad_input(tdy, tx, grad_input=tout)",),
    "gelu_tanh": ("aten.gelu_backward.grad_input(tdy, tx, approximate='tanh', grad_input=tout)",),
    "mish": ("aten.mish_backward(tdy, tx)",),
    "softmax": ("aten._softmax_backward_data(tdy, ty, -1, ty.dtype)",),
}

#: Statements by peer, operation and function.
IDIOMS: Mapping[str, Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "numpy": {"forward": _NUMPY_FORWARD, "backward": _NUMPY_BACKWARD},
    "scipy": {"forward": _SCIPY_FORWARD, "backward": _SCIPY_BACKWARD},
    "torch": {"forward": _TORCH_FORWARD, "backward": _TORCH_BACKWARD},
}


def functions() -> list[str]:
    """The functions that have a NumPy idiom, in the order of the catalogue."""
    return list(_NUMPY_FORWARD)


def installed(peer: str) -> bool:
    """Whether the library `peer` is installed (it is not imported)."""
    return importlib.util.find_spec(peer) is not None


def cact_statement(function: str, operation: str) -> str:
    """The call of cact's public function that the idioms are measured against."""
    if operation == "forward":
        return f"cact.{function}(x, out=out)"
    return f"cact.{function}.backward(dy, {'y' if function == 'softmax' else 'x'}, out=out)"


def namespace(
    x: npt.NDArray[Any], dy: npt.NDArray[Any], out: npt.NDArray[Any], peers: Sequence[str] = PEERS
) -> dict[str, Any]:
    """The names the statements use.

    Parameters
    ----------
    x, dy, out : ndarray, all of one shape and dtype
        Input, upstream gradient, preallocated result.
    peers : sequence of str
        The peers whose statements will run; each must be installed.

    Returns
    -------
    dict
        Also ``y``, the softmax of x along the last axis, and an ``erf`` of x's dtype:
        SciPy's where it is installed, since NumPy has none, else `math.erf` vectorised.
    """
    import cact

    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    names: dict[str, Any] = {**_CONSTANTS, "cact": cact, "np": np, "x": x, "dy": dy, "y": y, "out": out}
    if installed("scipy"):
        names["special"] = importlib.import_module("scipy.special")
        names["erf"] = names["special"].erf
    else:
        names["erf"] = np.vectorize(math.erf, otypes=[x.dtype])
    if "torch" in peers:
        torch = importlib.import_module("torch")
        torch.set_num_threads(info()["threads"])
        names |= {"torch": torch, "aten": torch.ops.aten}
        names |= {f"t{k}": torch.from_numpy(names[k]) for k in ("x", "dy", "y", "out")}
        names["tw"] = torch.tensor([0.25], dtype=names["tx"].dtype)
    return names
