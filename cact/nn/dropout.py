"""Dropout: noise in training that keeps what follows from relying on single features."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ._validate import FRACTION, Array, real
from .layers import Layer

__all__ = ["AlphaDropout", "Dropout"]

#: selu far below 0: -lambda * alpha.
_SELU_LIMIT = -1.7580993408473766


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

    _mask: Array | None = None

    def __init__(self, rate: float, rng: Any = None) -> None:
        super().__init__()
        self.rate = real(type(self).__name__, "rate", rate, FRACTION)
        self.rng = np.random.default_rng(rng)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.rate:g})"

    _arguments: ClassVar = {"rate": (float,)}

    def _config(self) -> dict[str, Any]:
        return {"rate": self.rate}

    def _forward(self, x: Array, training: bool) -> Array:
        if not training or self.rate == 0:
            self._mask = None
            return x
        mask = self._draw(x, 1 / (1 - self.rate))
        return np.multiply(x, mask, out=self._take("y", x.shape, x.dtype))

    def _draw(self, x: Array, kept: float) -> Array:
        """The factor of each element: 0 where it is dropped, else `kept`."""
        mask = self._uniform(x)
        np.greater_equal(mask, self.rate, out=mask)
        mask *= kept
        return mask

    def _uniform(self, x: Array) -> Array:
        """What becomes the mask: a number in [0, 1) for each element."""
        mask = self._mask = self._take("mask", x.shape, x.dtype)
        self.rng.random(out=mask, dtype=mask.dtype.type)
        return mask

    def _backward(self, dy: Array, wanted: bool) -> Array:
        if self._mask is None:
            return dy
        return np.multiply(dy, self._mask, out=self._take("dx", dy.shape, dy.dtype))


class AlphaDropout(Dropout):
    """Sets a share of the elements to selu's lower limit in training, and keeps mean 0 and variance 1.

    ``y = a * (x if kept else alpha') + b``, where ``alpha' = -lambda*alpha = -1.7580993408473766``
    is selu's limit at -inf and ``q = 1 - rate``::

        a = (q + alpha'^2 * q * (1 - q))^(-1/2)
        b = -a * (1 - q) * alpha'

    Elements of mean 0 and variance 1, as selu hands them on, have them afterwards too; Dropout
    would raise the variance.  Inference is the identity.

    Parameters
    ----------
    rate : float
        The probability of an element to be dropped, in [0, 1).
    rng : numpy.random.Generator, int or None

    Raises
    ------
    ValueError, TypeError
        If `rate` is no number in [0, 1).

    Source: Klambauer, Unterthiner, Mayr & Hochreiter 2017, arXiv:1706.02515.
    """

    def _forward(self, x: Array, training: bool) -> Array:
        if not training or self.rate == 0:
            self._mask = None
            return x
        q, limit = 1 - self.rate, _SELU_LIMIT
        a = 1 / math.sqrt(q + limit**2 * q * (1 - q))
        mask = self._draw(x, a)
        # (x - alpha')*a*m + (a*alpha' + b), m in {0, 1}, is the formula with x in one place
        y = np.subtract(x, limit, out=self._take("y", x.shape, x.dtype))
        y *= mask
        y += a * limit * q
        return y
