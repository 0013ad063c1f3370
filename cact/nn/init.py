"""Initial weights: He, Glorot, LeCun, orthogonal; which of them suits an activation; LSUV.

He's, Glorot's and LeCun's schemes draw independent weights with mean 0 and standard deviation
``gain / sqrt(fan)``, where fan is n_in (He, LeCun) or (n_in + n_out) / 2 (Glorot); the uniform
ones have that same standard deviation, so their limit is ``sqrt(3)`` times it.  `orthogonal`
draws a rotation, and `lsuv` scales the weights of a network by what data make of them.

Sources: LeCun, Bottou, Orr & Mueller 1998, Efficient BackProp (LeCun); Glorot & Bengio 2010,
AISTATS (Glorot); He, Zhang, Ren & Sun 2015, arXiv:1502.01852 (He); Klambauer et al. 2017,
arXiv:1706.02515 (LeCun normal for SELU); Saxe, McClelland & Ganguli 2014, arXiv:1312.6120
(orthogonal); Mishkin & Matas 2016, arXiv:1511.06422 (LSUV).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._lookup import get
from ._validate import POSITIVE, Array, count, float_dtype, matrix, real

__all__ = [
    "for_activation",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "lsuv",
    "orthogonal",
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


def orthogonal(
    n_in: int, n_out: int, *, gain: float = 1.0, rng: Any = None, dtype: Any = np.float32
) -> Array:
    """Weights of shape (n_in, n_out): `gain` times a random matrix with orthonormal columns or rows.

    Drawn uniformly from all of these.  The columns are orthonormal if there are at most as many
    of them as rows: the mean square of x @ weight is then that of x, for x with uncorrelated
    features, times gain^2.  Else the rows are, and it is the length of each x that is kept.

    Parameters
    ----------
    n_in, n_out : int
        Features before and after the layer, at least 1.
    gain : float, default 1
    rng : numpy.random.Generator, int or None
    dtype : float32 or float64, default float32
        Computed in float64 and rounded.

    Returns
    -------
    ndarray of shape (n_in, n_out) and `dtype`

    Raises
    ------
    ValueError, TypeError
        For sizes below 1, a gain that is not positive, another dtype.

    Source: Saxe, McClelland & Ganguli 2014, arXiv:1312.6120; Mezzadri 2007, math-ph/0609050 (signs).
    """
    n_in, n_out = count("orthogonal", "n_in", n_in), count("orthogonal", "n_out", n_out)
    gain, dtype = real("orthogonal", "gain", gain, POSITIVE), float_dtype("orthogonal", dtype)
    q, r = np.linalg.qr(np.random.default_rng(rng).standard_normal((max(n_in, n_out), min(n_in, n_out))))
    # which of a column and its negative QR gives is its own convention, not chance; with the
    # diagonal of R positive the decomposition is unique, and Q as evenly spread as the matrix
    q *= np.copysign(gain, r.diagonal())
    return np.ascontiguousarray(q if n_in >= n_out else q.T, dtype)


SCHEMES: dict[str, Init] = {
    f.__name__: f
    for f in (
        he_normal,
        he_uniform,
        glorot_normal,
        glorot_uniform,
        lecun_normal,
        lecun_uniform,
        orthogonal,
    )
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


def lsuv(network: Any, X: Array, tol: float = 0.02, max_iter: int = 10) -> Any:
    """Scale the weights of a network layer by layer, until data leave each Dense with variance 1.

    Layer-sequential unit variance: every Dense, from the first to the last, has its weight
    divided by the standard deviation of its output, over all samples and features together,
    until its variance is within `tol` of 1.  One division does it where the bias is 0.  All
    layers work in inference mode.  The authors start from orthogonal weights:
    ``lsuv(mlp(..., init="orthogonal"), X)``.

    Parameters
    ----------
    network : Sequential
        Its weights are changed in place.
    X : ndarray of shape (samples, n_in), dtype of the network
        A batch of the training data.
    tol : float, default 0.02
        Positive.
    max_iter : int, default 10
        Divisions per layer, at most.

    Returns
    -------
    Sequential
        `network`.

    Raises
    ------
    TypeError, ValueError
        For anything but a network, for X that does not fit it, is empty or not finite, and for
        `tol` or `max_iter` outside their domain; ValueError where the output of a layer is constant,
        is not finite, or is still outside `tol` after `max_iter` divisions (large biases).  The
        message names the layer, and all weights are as they were.

    Source: Mishkin & Matas 2016, arXiv:1511.06422, algorithm 1.
    """
    layers = getattr(network, "layers", None)
    if not isinstance(layers, tuple):
        raise TypeError(f"lsuv: network must be a Sequential, got {type(network).__name__}")
    tol, max_iter = real("lsuv", "tol", tol, POSITIVE), count("lsuv", "max_iter", max_iter)
    if not len(matrix("lsuv", "X", X)):
        raise ValueError("lsuv: X must have at least one row")
    if not np.isfinite(X).all():
        raise ValueError("lsuv: X must be finite")
    before = []
    try:
        with np.errstate(all="ignore"):
            for i, layer in enumerate(layers):
                weight = layer.params.get("weight")
                if weight is not None and weight.ndim == 2:  # that of prelu has fewer
                    before.append((weight, weight.copy()))
                    _to_unit_variance(f"lsuv: layer {i}, {layer}", layer, X, tol, max_iter)
                X = layer.forward(X)
    except BaseException:
        for weight, kept in before:
            weight[...] = kept
        raise
    return network


def _to_unit_variance(where: str, layer: Any, x: Array, tol: float, max_iter: int) -> None:
    weight = layer.params["weight"]
    for divisions in range(max_iter + 1):
        y = layer.forward(x)
        mean, var = float(y.mean(dtype=np.float64)), float(y.var(dtype=np.float64))
        if abs(var - 1) < tol:
            return
        if not math.isfinite(var):
            raise ValueError(f"{where}: the output has variance {var}")
        if math.sqrt(var) <= 4 * np.finfo(y.dtype).eps * abs(mean):  # but for rounding
            raise ValueError(f"{where}: the output is constant, no weight gives it variance 1")
        if divisions < max_iter:
            weight /= math.sqrt(var)
    raise ValueError(f"{where}: variance {var:.3g} after {max_iter} divisions, not within {tol:g} of 1")
