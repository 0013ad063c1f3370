"""Functions of whole rows, along the last axis."""

from __future__ import annotations

import numpy as np

from .._registry import activation

INF = float("inf")


def _softmax_backward(dy, y):
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


@activation(
    "exp(x)/fsum(exp(t) for t in row)",
    row_backward=_softmax_backward,
    reference="Bridle 1990, NIPS 2",
    range=(0, 1),
)
def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True, initial=-INF))
    return e / e.sum(axis=-1, keepdims=True)
