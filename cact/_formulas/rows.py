"""Functions of whole rows, along the last axis.

-inf in a row is a mask; a row with NaN or +inf, or of nothing but -inf, is NaN.
"""

from __future__ import annotations

import numpy as np

from .._registry import activation

INF = float("inf")


def _shifted(x):
    return x - x.max(axis=-1, keepdims=True, initial=-INF)


def _sum(x):
    return x.sum(axis=-1, keepdims=True)


def _softmax_backward(dy, y):
    return y * (dy - _sum(dy * y))


@activation(
    "exp(x)/fsum(exp(t) for t in row)",
    row_backward=_softmax_backward,
    reference="Bridle 1990, NIPS 2",
    range=(0, 1),
)
def softmax(x):
    e = np.exp(_shifted(x))
    return e / _sum(e)


def _log_softmax_backward(dy, y):
    return dy - np.exp(y) * _sum(dy)


@activation(
    "x-log(fsum(exp(t) for t in row))",
    row_backward=_log_softmax_backward,
    reference="Bridle 1990, NIPS 2",
    range=(-INF, 0),
)
def log_softmax(x):
    """The maximum stands apart: next to its 1 the other exponentials would lose their digits."""
    d = _shifted(x)
    greatest = d == 0
    others = _sum(np.where(greatest, 0.0, np.exp(d)))
    return d - np.log1p(others + (_sum(greatest) - 1.0))


def _softmin_backward(dy, y):
    return y * (_sum(dy * y) - dy)


@activation(
    "exp(-x)/fsum(exp(-t) for t in row)",
    row_backward=_softmin_backward,
    reference="torch.nn.Softmin",
    range=(0, 1),
)
def softmin(x):
    return softmax(-x)


def _sparsemax_backward(dy, y):
    support = y > 0
    mean = _sum(np.where(support, dy, 0.0)) / _sum(support)
    return np.where(support, dy - mean, np.where(np.isnan(y), y, np.where(np.isnan(dy), dy, 0.0)))


@activation(
    "max(x-tau, 0)",
    row_backward=_sparsemax_backward,
    reference="Martins & Astudillo 2016, arXiv:1602.02068",
    range=(0, 1),
    smoothness=0,
)
def sparsemax(x):
    """tau is such that the row sums to 1: of the k greatest elements, as many as lie above it."""
    if not x.shape[-1]:
        return x
    z = _shifted(x)
    s = np.sort(z, axis=-1)[..., ::-1]
    excess = np.cumsum(s, axis=-1) - 1
    k = np.maximum(_sum(s * np.arange(1, x.shape[-1] + 1) > excess), 1)
    tau = np.take_along_axis(excess, k - 1, axis=-1) / k
    for _ in range(2):  # what cumsum has lost
        tau = tau + (_sum(np.maximum(z - tau, 0.0)) - 1) / k
    return np.maximum(z - tau, 0.0)


def _entmax15_backward(dy, y):
    s = np.sqrt(y)
    return s * (dy - _sum(dy * s) / _sum(s))


@activation(
    "max(x/2-tau, 0)**2",
    row_backward=_entmax15_backward,
    reference="Peters, Niculae & Martins 2019, arXiv:1905.05702",
    range=(0, 1),
    smoothness=1,
)
def entmax15(x):
    """tau is such that the row sums to 1; Newton's steps from its left do not pass it."""
    z = _shifted(x) / 2
    tau = np.full((*x.shape[:-1], 1), -1.0)
    for _ in range(200):
        d = np.maximum(z - tau, 0.0)
        step = (_sum(d * d) - 1) / (2 * _sum(d))
        if not (step > 1e-16).any():
            break
        tau = np.where(step <= 1e-16, tau, tau + step)  # each row as if alone
    return np.maximum(z - tau, 0.0) ** 2
