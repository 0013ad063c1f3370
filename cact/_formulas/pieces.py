"""Functions of pieces of x along an axis: exact in any dtype; C has float32 and float64 in C order."""

from __future__ import annotations

import numpy as np

from .._registry import Pieces, pieces

INF = float("inf")


def _maxout_length(n, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if n % k:
        raise ValueError(f"the axis must have a multiple of k elements, got {n} with k={k}")
    return n // k


def _maxout(x, out, k):
    """The k pieces of a unit stand together, as in Goodfellow's layers of num_units * k."""
    np.copyto(out, x[..., ::k])
    for start in range(
        1, min(k, x.shape[-1])
    ):  # the first of equal ones, so that of two zeros it is always the same
        piece = x[..., start::k]
        np.copyto(out, piece, where=(piece > out) | np.isnan(piece))


def _maxout_backward(dy, x, out, k):
    """dy to the first of the greatest pieces; where one is NaN, NaN to all."""
    y = np.empty(dy.shape, x.dtype)
    _maxout(x, y, k)
    free = np.ones(dy.shape, bool)
    for piece in range(min(k, x.shape[-1])):
        chosen = free & (x[..., piece::k] == y)
        out[..., piece::k] = np.where(np.isnan(y), y, np.where(chosen, dy, np.zeros_like(dy)))
        free &= ~chosen


pieces(
    "maxout",
    "max(x[i*k:(i+1)*k])",
    Pieces(_maxout_length, _maxout, _maxout_backward),
    {"k": 2},
    reference="Goodfellow et al. 2013, arXiv:1302.4389",
    smoothness=0,
)


def _crelu(x, out):
    n, zero = x.shape[-1], np.zeros((), x.dtype)
    np.copyto(out[..., :n], np.where(x <= 0, zero, x))  # NaN stays, -0 becomes 0
    np.copyto(out[..., n:], np.where(x >= 0, zero, -x))


def _crelu_backward(dy, x, out):
    n = x.shape[-1]
    zero = np.zeros((), x.dtype)
    out[...] = np.where(x > 0, dy[..., :n], np.where(x < 0, -dy[..., n:], np.where(np.isnan(x), x, zero)))


pieces(
    "crelu",
    "[max(x, 0), max(-x, 0)]",
    Pieces(lambda n: 2 * n, _crelu, _crelu_backward),
    {},
    reference="Shang et al. 2016, arXiv:1603.05201",
    range=(0, INF),
    smoothness=0,
)
