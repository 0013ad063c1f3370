"""Losses: forward gives the mean over the samples, backward its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._lookup import get
from ._validate import Array, matrix

__all__ = ["Loss", "SoftmaxCrossEntropy"]

_softmax = get("softmax")


class Loss:
    """Base of the losses."""

    _kept: Any = None

    def _forward(self, output: Array, target: Array, weight: Any) -> float:
        return self.forward(output, target)

    def _backward(self) -> Array:
        return self.backward()

    def check(self, target: Any, shape: tuple[int, int]) -> None:
        """Raise ValueError or TypeError if `target` does not fit an output of `shape`."""
        raise NotImplementedError

    def forward(self, output: Array, target: Array) -> float:
        """The loss, averaged over the samples."""
        raise NotImplementedError

    def backward(self) -> Array:
        """dL/doutput of the last `forward`: its shape and dtype."""
        raise NotImplementedError


class SoftmaxCrossEntropy(Loss):
    """Cross-entropy of the softmax of logits: ``mean(logsumexp(logits) - logits[target])``.

    The softmax is part of the loss, so the network ends in a Dense layer.  Nothing overflows:
    the row's maximum is taken out first.
    """

    def __init__(self) -> None:
        self._saved: tuple[Array, Array] | None = None

    def __repr__(self) -> str:
        return "SoftmaxCrossEntropy()"

    def check(self, target: Any, shape: tuple[int, int]) -> None:
        """Check class targets against logits of `shape`.

        Parameters
        ----------
        target : ndarray of int, shape (samples,)
            Classes, 0 to classes - 1.
        shape : tuple of int
            (samples, classes).

        Raises
        ------
        TypeError
            If `target` is no array of integers.
        ValueError
            For another shape, or a class out of range.
        """
        n, classes = shape
        if not isinstance(target, np.ndarray) or target.dtype.kind not in "iu":
            kind = getattr(target, "dtype", type(target).__name__)
            raise TypeError(f"{self}: target must be an array of integer classes, got {kind}")
        if target.shape != (n,):
            raise ValueError(f"{self}: target must have shape ({n},), got {target.shape}")
        if n == 0:
            raise ValueError(f"{self}: there must be at least one sample")
        low, high = target.min(), target.max()
        if low < 0 or high >= classes:
            bad = low if low < 0 else high
            raise ValueError(f"{self}: target must be classes from 0 to {classes - 1}, got {bad}")

    def forward(self, output: Array, target: Array) -> float:
        """The mean cross-entropy, in nats.

        Parameters
        ----------
        output : ndarray of shape (samples, classes), float32 or float64
            Logits.
        target : ndarray of int, shape (samples,)

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            For logits that are no such array, or targets as in `check`.
        """
        logits = matrix(str(self), "logits", output)
        self.check(target, logits.shape)
        self._saved = logits, target
        z = logits - logits.max(axis=1, keepdims=True)
        chosen = z[np.arange(len(z)), target]
        lse = np.log(np.add.reduce(np.exp(z, out=z), axis=1))
        return float(np.mean(lse - chosen))

    def backward(self) -> Array:
        """(softmax(logits) - onehot(target)) / samples.

        Returns
        -------
        ndarray of shape (samples, classes), dtype of the logits

        Raises
        ------
        ValueError
            Before any `forward`.
        """
        if self._saved is None:
            raise ValueError(f"{self}: backward called before forward")
        logits, target = self._saved
        dlogits: Array = _softmax(logits)
        dlogits[np.arange(len(target)), target] -= 1
        dlogits /= len(target)
        return dlogits
