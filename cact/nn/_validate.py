"""Checks of arguments, shared by the layers, losses and optimisers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

#: Domains of numbers: (test, words for the error).
POSITIVE: tuple[Callable[[float], bool], str] = (
    lambda v: math.isfinite(v) and v > 0,
    "finite and greater than 0",
)
NON_NEGATIVE: tuple[Callable[[float], bool], str] = (
    lambda v: math.isfinite(v) and v >= 0,
    "finite and at least 0",
)
FRACTION: tuple[Callable[[float], bool], str] = (lambda v: 0 <= v < 1, "in [0, 1)")
SHARE: tuple[Callable[[float], bool], str] = (lambda v: 0 < v <= 1, "in (0, 1]")
SHARE_OR_NONE: tuple[Callable[[float], bool], str] = (lambda v: 0 <= v <= 1, "in [0, 1]")
INSIDE: tuple[Callable[[float], bool], str] = (lambda v: 0 < v < 1, "in (0, 1)")


class NonFiniteError(FloatingPointError, ValueError):
    """A loss, a gradient or a parameter is infinite or NaN."""


def real(where: str, name: str, value: Any, domain: tuple[Callable[[float], bool], str]) -> float:
    """`value` as a float inside `domain`; TypeError if it is no number, ValueError if outside."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{where}: {name} must be a real number, got {value!r:.60}")
    test, words = domain
    if not test(float(value)):
        raise ValueError(f"{where}: {name} must be {words}, got {value}")
    return float(value)


def count(where: str, name: str, value: Any, least: int = 1) -> int:
    """`value` as an integer of at least `least`."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{where}: {name} must be an integer, got {value!r:.60}") from None
    if number < least:
        raise ValueError(f"{where}: {name} must be at least {least}, got {number}")
    return number


def float_dtype(where: str, dtype: Any) -> np.dtype[Any]:
    """`dtype` as the NumPy dtype float32 or float64, in native byte order."""
    found: np.dtype[Any] = np.dtype(dtype)
    if found not in (np.float32, np.float64):
        raise TypeError(f"{where}: dtype must be float32 or float64, got {found}")
    return found


def matrix(where: str, name: str, x: Any) -> Array:
    """`x`, which must be a 2-D array of float32 or float64."""
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{where}: {name} must be a NumPy array, got {type(x).__name__}")
    float_dtype(f"{where}: {name}", x.dtype)
    if x.ndim != 2:
        raise ValueError(f"{where}: {name} must have shape (samples, features), got {x.shape}")
    return x


def none_of(where: str, name: str, x: Array, bad: Array, words: str) -> None:
    """ValueError that names the first element of `x`, a vector or a matrix, that is `bad`."""
    if bad.any():
        index = tuple(map(int, np.argwhere(bad)[0]))
        place = ", ".join(f"{axis} {i}" for axis, i in zip(("row", "column"), index))
        raise ValueError(f"{where}: {name} must be {words}, got {x[index]} in {place}")
