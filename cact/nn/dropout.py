"""Dropout: noise in training that keeps what follows from relying on single features."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ._validate import FRACTION, Array, real
from .layers import Layer

__all__ = ["Dropout"]


class Dropout(Layer):
    """Sets a share of the elements to 0 in training and scales the others by 1/(1 - rate).

    Inverted dropout: the expected output is x, and inference is the identity.

    Parameters
    ----------
    rate : float
        The probability of an element to be dropped, in [0, 1).
    rng : numpy.random.Generator, int or None

    Raises
    ------
    ValueError, TypeError
        If `rate` is no number in [0, 1).

    Source: Srivastava et al. 2014, JMLR 15.
    """

    def __init__(self, rate: float, rng: Any = None) -> None:
        super().__init__()
        self.rate = real("Dropout", "rate", rate, FRACTION)
        self.rng = np.random.default_rng(rng)
        self._mask: Array | None = None

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"

    _arguments: ClassVar = {"rate": (float,)}

    def _config(self) -> dict[str, Any]:
        return {"rate": self.rate}

    def _forward(self, x: Array, training: bool) -> Array:
        if not training or self.rate == 0:
            self._mask = None
            return x
        mask = self._take("mask", x.shape, x.dtype)
        self.rng.random(out=mask, dtype=mask.dtype.type)
        np.greater_equal(mask, self.rate, out=mask)
        mask *= 1 / (1 - self.rate)
        self._mask = mask
        return np.multiply(x, mask, out=self._take("y", x.shape, x.dtype))

    def _backward(self, dy: Array, wanted: bool) -> Array:
        if self._mask is None:
            return dy
        return np.multiply(dy, self._mask, out=self._take("dx", dy.shape, dy.dtype))
