"""Where layers and losses write their results, and what they do to rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _backend
from ._validate import Array

__all__ = ["Workspace", "add_row", "aligned", "all_finite", "empty", "sum_rows", "zeros"]

LINE = 64  # bytes of a cache line


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """`np.empty`, from the begin of a cache line on: a vector is then never split between two of them.

    NumPy's own begin at multiples of 16 bytes, and a step of Adam takes up to 2.8 times as long.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % LINE
    a: Array = memory[start : start + size].view(dtype).reshape(shape)
    return a


def zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    """`np.zeros`, likewise."""
    a = empty(shape, dtype)
    a.fill(0)
    return a


def aligned(a: Array) -> Array:
    """`a`, or a copy on a cache line where it begins elsewhere, as in a copied or unpickled object."""
    if a.__array_interface__["data"][0] % LINE == 0:
        return a
    copy = empty(a.shape, a.dtype)
    copy[...] = a
    return copy


def all_finite(a: Array) -> bool:
    """Whether no element of a contiguous array is infinite or NaN."""
    if _backend.active() == "c":
        return bool(_backend.compiled.all_finite(a))
    return bool(np.isfinite(a).all())


def add_row(a: Array, row: Array) -> None:
    """``a += row``; in C in a third of the time for small arrays, with the same bits."""
    if not (_backend.active() == "c" and _backend.compiled.add_row(a, row)):
        a += row


def sum_rows(a: Array, out: Array) -> None:
    """``np.add.reduce(a, axis=0, out=out)``, likewise."""
    if not (_backend.active() == "c" and _backend.compiled.sum_rows(a, out)):
        np.add.reduce(a, axis=0, out=out)


class Workspace:
    """Gives arrays to write results into: new ones, in a training loop those of the last step."""

    #: A dict in a training loop, whose results need not outlive the step.
    _kept: dict[str, Array] | None = None
    #: Attributes that are of the last pass: a copy does not carry the batch along.
    _transient: frozenset[str] = frozenset()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in self._transient}

    def _take(self, key: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array of `shape`, not initialised; with `_kept`, the first rows of the one under `key`."""
        if self._kept is None:
            return np.empty(shape, dtype)
        kept = self._kept.get(key)
        if kept is not None and kept.dtype == dtype:
            if kept.shape == shape:
                return kept
            if kept.shape[1:] == shape[1:] and len(kept) >= shape[0]:
                return kept[: shape[0]]
        kept = self._kept[key] = empty(shape, dtype)
        return kept
