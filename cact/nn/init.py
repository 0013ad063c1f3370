"""Initial weights: He, Glorot and LeCun, and which of them suits an activation.

Each scheme draws independent weights with mean 0 and standard deviation ``gain / sqrt(fan)``,
where fan is n_in (He, LeCun) or (n_in + n_out) / 2 (Glorot); the uniform ones have that same
standard deviation, so their limit is ``sqrt(3)`` times it.

Sources: LeCun, Bottou, Orr & Mueller 1998, Efficient BackProp (LeCun); Glorot & Bengio 2010,
AISTATS (Glorot); He, Zhang, Ren & Sun 2015, arXiv:1502.01852 (He); Klambauer et al. 2017,
arXiv:1706.02515 (LeCun normal for SELU).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._lookup import get
from ._validate import POSITIVE, Array, count, float_dtype, real

__all__ = [
    "for_activation",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "scheme",
]

Init = Callable[..., Array]
Fan = Callable[[int, int], float]


def _draw(
    name: str, n_in: int, n_out: int, fan: Fan, uniform: bool, gain: float, rng: Any, dtype: Any
) -> Array:
    shape = count(name, "n_in", n_in), count(name, "n_out", n_out)
    std = real(name, "gain", gain, POSITIVE) / math.sqrt(fan(*shape))
    dtype = float_dtype(name, dtype)
    rng = np.random.default_rng(rng)
    weight: Array
    if uniform:
        weight = rng.random(shape, dtype=dtype)
        weight -= 0.5
        weight *= math.sqrt(12) * std
    else:
        weight = rng.standard_normal(shape, dtype=dtype)
        weight *= std
    return weight


def _scheme(name: str, fan: Fan, uniform: bool, gain: float, source: str) -> Init:
    def init(n_in: int, n_out: int, *, gain: float = gain, rng: Any = None, dtype: Any = np.float32) -> Array:
        return _draw(name, n_in, n_out, fan, uniform, gain, rng, dtype)

    words = "n_in" if fan(1, 3) == 1 else "(n_in + n_out)/2"
    law = f"U(-s*sqrt(3), s*sqrt(3)), s = gain/sqrt({words})" if uniform else f"N(0, (gain/sqrt({words}))^2)"
    init.__name__ = init.__qualname__ = name
    init.__doc__ = f"""Weights of shape (n_in, n_out) from {law}.

    Parameters
    ----------
    n_in, n_out : int
        Features before and after the layer, at least 1.
    gain : float, default {gain:.6g}
    rng : numpy.random.Generator, int or None
    dtype : float32 or float64, default float32

    Returns
    -------
    ndarray of shape (n_in, n_out) and `dtype`

    Raises
    ------
    ValueError, TypeError
        For sizes below 1, a gain that is not positive, another dtype.

    Source: {source}.
    """
    return init


def _fan_in(n_in: int, n_out: int) -> float:
    return n_in


def _fan_mean(n_in: int, n_out: int) -> float:
    return (n_in + n_out) / 2


_HE = "He et al. 2015, arXiv:1502.01852"
_GLOROT = "Glorot & Bengio 2010, AISTATS"
_LECUN = "LeCun et al. 1998, Efficient BackProp"

he_normal = _scheme("he_normal", _fan_in, False, math.sqrt(2), _HE)
he_uniform = _scheme("he_uniform", _fan_in, True, math.sqrt(2), _HE)
glorot_normal = _scheme("glorot_normal", _fan_mean, False, 1.0, _GLOROT)
glorot_uniform = _scheme("glorot_uniform", _fan_mean, True, 1.0, _GLOROT)
lecun_normal = _scheme("lecun_normal", _fan_in, False, 1.0, _LECUN)
lecun_uniform = _scheme("lecun_uniform", _fan_in, True, 1.0, _LECUN)

SCHEMES: dict[str, Init] = {
    f.__name__: f for f in (he_normal, he_uniform, glorot_normal, glorot_uniform, lecun_normal, lecun_uniform)
}


def scheme(init: Any) -> Init:
    """The function behind `init`: a name of a scheme, or a callable with the schemes' signature.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For anything that is neither a name nor callable.
    """
    if isinstance(init, str):
        if init not in SCHEMES:
            raise ValueError(f"unknown init {init!r}; there are {', '.join(SCHEMES)}")
        return SCHEMES[init]
    if not callable(init):
        raise TypeError(f"init is a name or a callable, got {init!r:.60}")
    return init  # type: ignore[no-any-return]


def for_activation(activation: Any) -> tuple[str, float]:
    """The scheme and gain that suit the layer in front of an activation.

    Parameters
    ----------
    activation : str, Activation or pair of callables
        Anything that `cact.get` takes.

    Returns
    -------
    name : str
        ``"glorot_uniform"`` for a function that saturates on both sides (sigmoid, tanh) or
        mixes a row (softmax): it compromises between the forward and the backward pass, and
        keeps z where f' is not small.  ``"lecun_normal"`` for a zero-centred one that keeps
        unit variance by itself (selu, identity).  ``"he_normal"`` for all others.
    gain : float
        The activation's own gain, ``1/sqrt(E f(z)^2)`` for z ~ N(0, 1), for He (sqrt(2) for
        relu); 1 for Glorot and LeCun, as their authors have it.

    Raises
    ------
    ValueError, TypeError
        As `cact.get`; ValueError also if the gain is not a positive number.

    Sources: Glorot & Bengio 2010; He et al. 2015; LeCun et al. 1998; Klambauer et al. 2017.
    """
    f = get(activation)
    if f.saturates == "both" or all(map(math.isfinite, f.range)):
        return "glorot_uniform", 1.0
    try:
        gain = f.gain
    except ZeroDivisionError:
        gain = math.inf
    if not (math.isfinite(gain) and gain > 0):
        raise ValueError(f"{f.name}: no init keeps its second moment (gain {gain}); name one")
    if f.zero_centered and abs(gain - 1) < 1e-3:
        return "lecun_normal", 1.0
    return "he_normal", gain
