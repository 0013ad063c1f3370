"""The activations as ONNX operators: a function per name, which adds its nodes to a graph.

A function takes the graph, the input and the activation's parameters: floats, or float64 arrays
of one element per feature.  It gives the native operator where there is one of this meaning
in the graph's opset, whose attributes can hold the parameters; else the formula in operators that
runtimes have in float64 too, in a form that neither overflows nor cancels for finite x.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from .._formulas.exponential import _SELU_SCALE, _SELU_SCALE_ALPHA
from .._formulas.smooth import _ERF, _MILLS
from ._graph import Graph, Tensor
from ._validate import Array

__all__ = ["FORMS"]

Form = Callable[..., Tensor]
Parameter: TypeAlias = float | Array
FORMS: dict[str, Form] = {}


def _form(function: Form) -> Form:
    """Enter a function under its name, which is the activation's."""
    FORMS[function.__name__] = function
    return function


# ---------------------------------------------------------------------- what they share
def _max(x: Tensor, least: Any) -> Tensor:
    return x.graph("Max", x, least)


def _min(x: Tensor, most: Any) -> Tensor:
    return x.graph("Min", x, most)


def _clip(x: Tensor, low: Parameter, high: Parameter) -> Tensor:
    """Clip takes numbers alone."""
    if np.ndim(low) or np.ndim(high):
        return _min(_max(x, low), high)
    return x.graph("Clip", x, low, high)


def _polynomial(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    *others, last = coefficients
    y: Any = last
    for c in reversed(others):
        y = x * y + c
    assert isinstance(y, Tensor)
    return y


def _expm1(x: Tensor) -> Tensor:
    """e^x - 1 for x <= 0; the difference itself would have no digits near 0."""
    t = x.graph("Tanh", x * 0.5)
    return 2.0 * t / (1.0 - t)


def _log1p(x: Tensor) -> Tensor:
    """log(1+x) for x >= 0: of the rounded sum, plus what the rounding lost."""
    u = 1.0 + x
    return x.graph("Log", u) + (x - (u - 1.0)) / u


def _times_sigmoid(x: Tensor, z: Tensor) -> Tensor:
    """x*sigma(z); e^-z may be infinite. The operator Sigmoid has no tail in some runtimes."""
    return x / (1.0 + z.graph("Exp", -z))


def _normal_tail(t: Tensor) -> tuple[Tensor, Tensor]:
    """exp(-t^2/2), and Phi(-t) over that, for 0 <= t <= 40."""
    m = _polynomial((t - 4.0) / (t + 4.0), _MILLS)
    return t.graph("Exp", t * t * -0.5), m / (1.0 + math.sqrt(math.pi / 2) * t)


def _below(g: Graph, value: Parameter) -> Any:
    """The greatest number of the dtype that is not above `value`.

    So that x > value is decided as for the exact value, though ONNX has it rounded.
    """
    value = np.asarray(value, np.float64)  # a float would be compared as float32
    with np.errstate(all="ignore"):
        rounded = value.astype(g.dtype)
    lower = np.where(rounded > value, np.nextafter(rounded, g.dtype.type(-np.inf)), rounded)
    return lower.astype(np.float64) if value.ndim else float(lower)


# ---------------------------------------------------------------------- piecewise
@_form
def identity(g: Graph, x: Tensor) -> Tensor:
    return g("Identity", x)


@_form
def relu(g: Graph, x: Tensor) -> Tensor:
    return g("Relu", x)


@_form
def relu6(g: Graph, x: Tensor) -> Tensor:
    return _clip(x, 0.0, 6.0)


@_form
def leaky_relu(g: Graph, x: Tensor, negative_slope: Parameter) -> Tensor:
    if g.native(negative_slope):
        return g("LeakyRelu", x, alpha=negative_slope)
    return prelu(g, x, negative_slope)


@_form
def prelu(g: Graph, x: Tensor, weight: Parameter) -> Tensor:
    if g.double:
        return g("Where", x > 0.0, x, x * weight)
    return g("PRelu", x, np.atleast_1d(weight))


@_form
def rrelu(
    g: Graph, x: Tensor, lower: Parameter, upper: Parameter, training: bool, random_state: Any
) -> Tensor:
    if training:
        raise ValueError("with training=True it draws anew in each call, which has no ONNX form")
    return leaky_relu(g, x, 0.5 * lower + 0.5 * upper)


@_form
def thresholded_relu(g: Graph, x: Tensor, threshold: Parameter, value: Parameter) -> Tensor:
    threshold = _below(g, threshold)
    if g.native(threshold, value) and value == 0:
        return g("ThresholdedRelu", x, alpha=threshold)
    return g("Where", x > threshold, x, value)


@_form
def relu2(g: Graph, x: Tensor) -> Tensor:
    t = g("Relu", x)
    return t * t


@_form
def star_relu(g: Graph, x: Tensor, scale: Parameter, bias: Parameter) -> Tensor:
    t = g("Relu", x)
    return t * scale * t + bias


@_form
def hardtanh(g: Graph, x: Tensor, min_val: Parameter, max_val: Parameter) -> Tensor:
    return _clip(x, min_val, max_val)


@_form
def hardsigmoid(g: Graph, x: Tensor, slope: Parameter, offset: Parameter) -> Tensor:
    if g.native(slope, offset):
        return g("HardSigmoid", x, alpha=slope, beta=offset)
    return _clip(x * slope + offset, 0.0, 1.0)


@_form
def hardswish(g: Graph, x: Tensor) -> Tensor:
    if g.native():
        return g("HardSwish", x)
    return x * _clip(x / 6.0 + 0.5, 0.0, 1.0)


@_form
def hardshrink(g: Graph, x: Tensor, lambd: Parameter) -> Tensor:
    lambd = _below(g, lambd)
    if g.native(lambd):
        return g("Shrink", x, bias=0.0, lambd=lambd)
    return g("Where", g("Abs", x) > lambd, x, 0.0)


@_form
def softshrink(g: Graph, x: Tensor, lambd: Parameter) -> Tensor:
    if g.native(lambd):
        return g("Shrink", x, bias=lambd, lambd=lambd)
    return x - _clip(x, -lambd, lambd)


@_form
def sparse_plus(g: Graph, x: Tensor) -> Tensor:
    t = _clip(x, -1.0, 1.0) + 1.0
    return g("Where", x < 1.0, t * t * 0.25, x)


@_form
def sparse_sigmoid(g: Graph, x: Tensor) -> Tensor:
    return hardsigmoid(g, x, 0.5, 0.5)


# ---------------------------------------------------------------------- algebraic, exponential
@_form
def softsign(g: Graph, x: Tensor) -> Tensor:
    if g.native():
        return g("Softsign", x)
    return x / (1.0 + g("Abs", x))


@_form
def squareplus(g: Graph, x: Tensor, b: Parameter) -> Tensor:
    # x^2 would overflow: the root from the quotient of the smaller and the greater
    r, t = np.sqrt(b), g("Abs", x)
    greater = _max(t, r)
    q = _min(t, r) / greater
    d = t * 0.5 + greater * (g("Sqrt", 1.0 + q * q) * 0.5)
    return g("Where", x < 0.0, b / 4 / d, d)


@_form
def sigmoid(g: Graph, x: Tensor) -> Tensor:
    if g.native():
        return g("Sigmoid", x)
    return 1.0 / (1.0 + g("Exp", -x))


@_form
def tanh(g: Graph, x: Tensor) -> Tensor:
    return g("Tanh", x)


@_form
def tanhshrink(g: Graph, x: Tensor) -> Tensor:
    # tanh x = x/(1 + x^2/t), Lambert's t = 3 + x^2/(5 + x^2/(7 + ...)):  x - tanh x = x^3/(t + x^2)
    near = _clip(x, -2.0, 2.0)
    square = near * near
    first = 27 if g.double else 13
    t: Any = float(first)
    for n in range(first - 2, 2, -2):
        t = float(n) + square / t
    return g("Where", g("Abs", x) < 2.0, near * (square / (t + square)), x - g("Tanh", x))


@_form
def elu(g: Graph, x: Tensor, alpha: Parameter) -> Tensor:
    if g.native(alpha):
        return g("Elu", x, alpha=alpha)
    return g("Relu", x) + _expm1(_min(x, 0.0)) * alpha


@_form
def celu(g: Graph, x: Tensor, alpha: Parameter) -> Tensor:
    if g.native(alpha):
        return g("Celu", x, alpha=alpha)
    return g("Relu", x) + _expm1(_min(x, 0.0) / alpha) * alpha


@_form
def selu(g: Graph, x: Tensor) -> Tensor:
    if g.native():
        return g("Selu", x)
    return _SELU_SCALE * g("Relu", x) + _SELU_SCALE_ALPHA * _expm1(_min(x, 0.0))


@_form
def softplus(g: Graph, x: Tensor, beta: Parameter = 1.0) -> Tensor:
    plain = np.ndim(beta) == 0 and beta == 1
    z = x if plain else x * beta
    y = g("Relu", z) + _log1p(g("Exp", -g("Abs", z))) if g.double else g("Softplus", z)
    return y if plain else y / beta


@_form
def log_sigmoid(g: Graph, x: Tensor) -> Tensor:
    return -softplus(g, -x)


@_form
def exponential(g: Graph, x: Tensor) -> Tensor:
    return g("Exp", x)


# ---------------------------------------------------------------------- smooth gates
@_form
def silu(g: Graph, x: Tensor) -> Tensor:
    return swish(g, x, 1.0)


@_form
def swish(g: Graph, x: Tensor, beta: Parameter) -> Tensor:
    if g.native(beta, since=24):
        return g("Swish", x, alpha=beta)
    return _times_sigmoid(x, x if np.ndim(beta) == 0 and beta == 1 else x * beta)


@_form
def quick_gelu(g: Graph, x: Tensor) -> Tensor:
    return swish(g, x, 1.702)


@_form
def gelu(g: Graph, x: Tensor) -> Tensor:
    if g.native(since=20):
        return g("Gelu", x)
    # without Erf, which runtimes lack in float64, and whose 1 + erf has no tail
    t = _min(g("Abs", x), 40.0)
    e, m = _normal_tail(t)
    return g("Relu", x) - t * m * e


@_form
def gelu_tanh(g: Graph, x: Tensor) -> Tensor:
    if g.native(since=20):
        return g("Gelu", x, approximate="tanh")
    a = 2 * math.sqrt(2 / math.pi)
    return _times_sigmoid(x, x * (a + a * 0.044715 * (x * x)))


@_form
def mish(g: Graph, x: Tensor) -> Tensor:
    if g.native():
        return g("Mish", x)
    u = g("Exp", _min(x, 20.0))  # tanh(log(1+u)) = u(u+2)/(u(u+2)+2), from 20 on it is 1
    n = u * (u + 2.0)
    return x * (n / (n + 2.0))


@_form
def telu(g: Graph, x: Tensor) -> Tensor:
    return x * g("Tanh", g("Exp", x))


@_form
def golu(g: Graph, x: Tensor) -> Tensor:
    return x * g("Exp", -g("Exp", -x))


@_form
def serf(g: Graph, x: Tensor) -> Tensor:
    z = softplus(g, x)
    if not g.double:
        return x * g("Erf", z)
    # the series near 0, 1 - erfc elsewhere
    near = _min(z, 0.5)
    e, m = _normal_tail(_min(z * math.sqrt(2), 40.0))
    return x * g("Where", z < 0.5, near * _polynomial(near * near, _ERF), 1.0 - 2.0 * m * e)


@_form
def snake(g: Graph, x: Tensor, alpha: Parameter) -> Tensor:
    s = g("Sin", x * alpha)
    return x + s / np.where(np.equal(alpha, 0), 1.0, alpha) * s


@_form
def xielu(g: Graph, x: Tensor, alpha_p: Parameter, alpha_n: Parameter, beta: Parameter) -> Tensor:
    left = alpha_n * _expm1(_min(x, -1e-6)) + (beta - alpha_n) * x
    return g("Where", x > 0.0, x * (alpha_p * x + beta), left)


@_form
def acon_c(g: Graph, x: Tensor, p1: Parameter, p2: Parameter, beta: Parameter) -> Tensor:
    # x (p1 sigma(z) + p2 sigma(-z)), by the exponential that does not overflow
    z = x * (beta * (p1 - p2))
    e = g("Exp", -g("Abs", z))
    left = z < 0.0
    near, far = g("Where", left, p2, p1), g("Where", left, p1, p2)
    return x * ((near + far * e) / (1.0 + e))


# ---------------------------------------------------------------------- rows
def _over_rows(operator: str, x: Tensor) -> Tensor:
    """A reduction of each row, to a column."""
    return x.graph(operator, x, [1])


def _sum(x: Tensor) -> Tensor:
    return _over_rows("ReduceSum", x)


def _counts(x: Tensor) -> Tensor:
    """A condition as 0 and 1."""
    return x.graph("CastLike", x, 1.0)


def _sorted(x: Tensor) -> tuple[Tensor, Tensor]:
    """Each row, greatest first, and the places 1, 2, ... in it."""
    g = x.graph
    s, _ = g.several(2, "TopK", x, g("Shape", x, start=1))
    return s, _cumulated(s * 0.0 + 1.0)


def _cumulated(x: Tensor) -> Tensor:
    return x.graph("CumSum", x, np.int64(1))


@_form
def softmax(g: Graph, x: Tensor) -> Tensor:
    return g("Softmax", x, axis=1)


@_form
def log_softmax(g: Graph, x: Tensor) -> Tensor:
    return g("LogSoftmax", x, axis=1)


@_form
def softmin(g: Graph, x: Tensor) -> Tensor:
    return softmax(g, -x)


@_form
def sparsemax(g: Graph, x: Tensor) -> Tensor:
    # what is 1 below the maximum has no share, so nothing further down may cost digits
    z = _max(x - _over_rows("ReduceMax", x), -1.0)
    s, place = _sorted(z)
    # were the first k all that has a share, tau were (their sum - 1)/k: right for the greatest of these
    tau = _over_rows("ReduceMax", (_cumulated(s) - 1.0) / place)
    tau = tau + (_sum(g("Relu", z - tau)) - 1.0) / _sum(_counts(z > tau))  # what the sums have lost
    return g("Relu", z - tau)


@_form
def entmax15(g: Graph, x: Tensor) -> Tensor:
    z = _max((x - _over_rows("ReduceMax", x)) * 0.5, -1.0)
    s, place = _sorted(z)
    # were the first k all that has a share: k tau^2 - 2 tau sum + sum of squares = 1
    mean = _cumulated(s) / place
    spread = _cumulated(s * s) / place - mean * mean
    taus = mean - g("Sqrt", g("Relu", 1.0 / place - spread))
    k = _sum(_counts(taus <= s))  # as many lie above their own tau
    tau = _sum(g("Where", g("Equal", place, k), taus, 0.0))
    for _ in range(2):  # Newton's steps: what the sums have lost
        d = g("Relu", z - tau)
        tau = tau + (_sum(d * d) - 1.0) / (2.0 * _sum(d))
    d = g("Relu", z - tau)
    return d * d


# ---------------------------------------------------------------------- gated, of pieces
def _halves(x: Tensor) -> list[Tensor]:
    return x.graph.several(2, "Split", x, axis=1, num_outputs=2)


@_form
def glu(g: Graph, x: Tensor) -> Tensor:
    value, gate = _halves(x)
    return _times_sigmoid(value, gate)


@_form
def reglu(g: Graph, x: Tensor) -> Tensor:
    value, gate = _halves(x)
    return value * relu(g, gate)


@_form
def geglu(g: Graph, x: Tensor, approximate: Any) -> Tensor:
    value, gate = _halves(x)
    return value * (gelu if approximate in ("none", False) else gelu_tanh)(g, gate)


@_form
def swiglu(g: Graph, x: Tensor) -> Tensor:
    value, gate = _halves(x)
    return value * silu(g, gate)


@_form
def maxout(g: Graph, x: Tensor, k: int) -> Tensor:
    end = np.iinfo(np.int64).max
    return g("Max", *(g("Slice", x, [start], [end], [1], [k]) for start in range(k)))


@_form
def crelu(g: Graph, x: Tensor) -> Tensor:
    return g("Concat", g("Relu", x), g("Relu", -x), axis=1)
