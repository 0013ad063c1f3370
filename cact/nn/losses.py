"""Losses: forward gives the (weighted) mean over the samples, backward its gradient.

The loss of a sample is the sum over its outputs.  Where a link stands between the network's
output and its prediction (softmax, sigmoid, exp), it is part of the loss, which stays exact and
finite where the link saturates; `link` gives the prediction.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _backend
from .._lookup import get
from ._arrays import Workspace
from ._validate import INSIDE, POSITIVE, Array, float_dtype, matrix, none_of, real

__all__ = [
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CallableLoss",
    "Huber",
    "Loss",
    "Poisson",
    "Quantile",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "get_loss",
]

_exponential, _log_softmax, _sigmoid, _softmax, _softplus = map(
    get, ("exponential", "log_softmax", "sigmoid", "softmax", "softplus")
)


LN2 = math.log(2)
LEAST = 1e-37  # the least probability that float32 has with all its digits, nearly
ENOUGH = 1e-3  # the least mean of logarithms that their product tells to 13 digits


@functools.cache
def _scalar(value: float, dtype: np.dtype[Any]) -> Array:
    """`value` as an array of no dimension, which a ufunc takes in half the time of a number."""
    array = np.array(value, dtype)
    array.flags.writeable = False
    return array


class Loss(Workspace):
    """Base of the losses.

    A loss takes the network's output (samples, outputs) of float32 or float64, with float
    targets and weights of the same dtype, and keeps that dtype.  A subclass defines
    `name`, `_check_target`, `_parts`, and `link` unless that is the identity.

    Attributes
    ----------
    name : str
        What `get_loss` knows it by.
    """

    name: str
    _slope: Array | None = None
    _even: Array | None = None
    _transient = frozenset(("_kept", "_slope", "_factor", "_even", "_hard"))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def check(
        self, target: Any, shape: tuple[int, int], dtype: Any = None, sample_weight: Any = None
    ) -> None:
        """Raise if targets or weights do not fit an output.

        Parameters
        ----------
        target : ndarray
            See the class.
        shape : tuple of int
            The output's: (samples, outputs).
        dtype : float32 or float64, optional
            The output's; without it any float dtype passes.
        sample_weight : ndarray of shape (samples,), optional

        Raises
        ------
        TypeError
            For what is no array, or of another dtype.
        ValueError
            Without samples; for another shape; for values that are not finite or outside the
            loss's domain, weights below 0, weights whose sum overflows.
        """
        if shape[0] == 0:
            raise ValueError(f"{self}: there must be at least one sample")
        self._check_target(target, shape, dtype)
        if sample_weight is not None:
            self._check_floats("sample_weight", sample_weight, (shape[:1],), dtype)
            none_of(str(self), "sample_weight", sample_weight, sample_weight < 0, "at least 0")
            with np.errstate(over="ignore"):
                if not np.isfinite(sample_weight.sum()):
                    raise ValueError(f"{self}: sample_weight must have a finite sum")

    def forward(self, output: Array, target: Array, sample_weight: Array | None = None) -> float:
        """The mean over the samples, ``sum(w * loss) / sum(w)``.

        Parameters
        ----------
        output : ndarray of shape (samples, outputs), float32 or float64
            Kept by reference, as `target` is.
        target : ndarray
            See the class.
        sample_weight : ndarray of shape (samples,), dtype of the output, optional
            At least 0.  A sample of weight 0 counts nothing, were its loss infinite; where all
            weigh 0, loss and gradient are 0.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            For an output that is no such array, and as in `check`.
        """
        matrix(str(self), "output", output)
        self.check(target, output.shape, output.dtype, sample_weight)
        with np.errstate(all="ignore"):
            return self._forward(output, target, sample_weight)

    def backward(self) -> Array:
        """dL/doutput of the last `forward`.

        Returns
        -------
        ndarray of shape (samples, outputs), dtype of the output

        Raises
        ------
        ValueError
            Before any `forward`.
        """
        if self._slope is None:
            raise ValueError(f"{self}: backward called before forward")
        with np.errstate(all="ignore"):
            return self._backward()

    def link(self, output: Array) -> Array:
        """The prediction that an output stands for; here the output itself.

        Parameters
        ----------
        output : ndarray of shape (samples, outputs), float32 or float64

        Returns
        -------
        ndarray of shape (samples, outputs), dtype of the output
        """
        return output

    # What a loss computes.  Nothing is checked here: `forward` has done that, and a training
    # loop does it once for all its data.

    def _check_target(self, target: Any, shape: tuple[int, int], dtype: Any) -> None:
        raise NotImplementedError

    def _parts(self, output: Array, target: Array) -> tuple[Array, Array]:
        """The losses, of each element or of each sample, and the derivatives of each element."""
        raise NotImplementedError

    def _at_infinity(self, losses: Array, output: Array, target: Array) -> Array:
        """The losses with their limits where an output is infinite, if `_parts` has NaN there."""
        return losses

    def _forward(self, output: Array, target: Array, sample_weight: Array | None) -> float:
        share = self._weigh(len(output), output.dtype, sample_weight)
        losses, slope = self._parts(output, target)
        value = _mean(losses, share)
        if not math.isfinite(value):  # perhaps of a sample without weight
            counted = share > 0
            value = _mean(self._at_infinity(losses, output, target)[counted], share[counted])
            slope = np.where(counted[:, None], slope, 0)
        self._slope = slope
        return value

    def _backward(self) -> Array:
        assert self._slope is not None
        grad = self._take("grad", self._slope.shape, self._slope.dtype)
        return np.multiply(self._slope, self._factor, out=grad)

    def _weigh(self, n: int, dtype: np.dtype[Any], weight: Array | None) -> Array:
        """Each sample's share of the mean; `_factor` is the same, to multiply rows with."""
        if weight is not None:
            total = weight.sum()
            share = weight / total if total else weight
            self._factor = share[:, None]
            return share
        if self._even is None or len(self._even) != n or self._even.dtype != dtype:
            self._even = np.full(n, 1 / n, dtype)
        self._factor = self._even[0, ...]
        return self._even

    def _check_floats(self, name: str, x: Any, shapes: tuple[tuple[int, ...], ...], dtype: Any) -> None:
        """Check an array of finite floats of `dtype` that has one of the `shapes`."""
        where = str(self)
        if not isinstance(x, np.ndarray):
            raise TypeError(f"{where}: {name} must be a NumPy array, got {type(x).__name__}")
        float_dtype(f"{where}: {name}", x.dtype)
        if dtype is not None and x.dtype != dtype:
            raise TypeError(f"{where}: {name} must be {dtype}, as the output is, got {x.dtype}")
        self._check_shape(name, x, shapes)
        none_of(where, name, x, ~np.isfinite(x), "finite")

    def _check_shape(self, name: str, x: Array, shapes: tuple[tuple[int, ...], ...]) -> None:
        if x.shape not in shapes:
            words = " or ".join(map(str, shapes))
            raise ValueError(f"{self}: {name} must have shape {words}, got {x.shape}")


def _mean(losses: Array, share: Array) -> float:
    """The sum of the losses, of shape (samples,) or (samples, outputs), by their samples' shares."""
    if losses.size > 4096:  # a long sum of float32 would lose digits
        return float(np.sum(losses.T * share, dtype=np.float64))
    total = share.dot(losses)
    return float(total) if losses.ndim == 1 else sum(total.tolist())


# ---------------------------------------------------------------------------------- classes
class SoftmaxCrossEntropy(Loss):
    """Cross-entropy of the softmax of logits: ``logsumexp(output) - output[target]``, in nats.

    The softmax is part of the loss, so the network ends in a Dense layer.

    Targets are classes, an int array of shape (samples,) with 0 to classes - 1; or probabilities
    (soft labels, one-hot), floats of the output's shape and dtype, at least 0, that sum to 1 in
    each row within 1e-5: then it is ``-sum(target * log_softmax(output))``.

    Source: Bridle 1990, Neurocomputing (NATO ASI F68).
    """

    name = "cross_entropy"

    _hard: tuple[Array, Array] | None = None  # classes and shares

    def link(self, output: Array) -> Array:
        """The softmax: probabilities of the classes, (samples, classes)."""
        return _softmax(output)  # type: ignore[no-any-return]

    def _check_target(self, target: Any, shape: tuple[int, int], dtype: Any) -> None:
        n, classes = shape
        kind = target.dtype if isinstance(target, np.ndarray) else type(target).__name__
        if isinstance(target, np.ndarray) and target.dtype.kind in "iu":
            self._check_shape("target", target, ((n,),))
            outside = (target < 0) | (target >= classes)
            none_of(str(self), "target", target, outside, f"classes from 0 to {classes - 1}")
        elif isinstance(target, np.ndarray) and target.ndim == 2:
            self._check_floats("target", target, (shape,), dtype)
            none_of(str(self), "target", target, target < 0, "at least 0")
            total = target.sum(axis=1)
            none_of(str(self), "the sum of a target's row", total, abs(total - 1) > 1e-5, "1")
        else:
            raise TypeError(
                f"{self}: target must be a NumPy array of integer classes, got {kind};"
                f" probabilities have shape ({n}, {classes})"
            )

    def _forward(self, output: Array, target: Array, sample_weight: Array | None) -> float:
        if target.ndim == 2:
            self._hard = None
            return super()._forward(output, target, sample_weight)
        share = self._weigh(len(output), output.dtype, sample_weight)
        p = _softmax(output, out=self._take("slope", output.shape, output.dtype))
        target = np.ascontiguousarray(target, np.int64)
        if not target.flags.aligned:
            target = target.copy()
        if sample_weight is not None:
            share = np.require(share, requirements=["C", "A", "E"])
        self._slope, self._hard = p, (target, share)
        n = len(target)
        if sample_weight is None and _backend.active() == "c":
            product, exponent = _backend.compiled.product_of_chosen(p, target, LEAST)
            sum_of_logs: float = math.log(product) + exponent * LN2
            if abs(sum_of_logs) >= ENOUGH * n:  # not NaN
                return abs(sum_of_logs) / n
        rows = np.arange(n)
        chosen = p[rows, target]
        if chosen.min() >= LEAST:
            logs = np.log(chosen, dtype=float)
        else:
            logs = _log_softmax(output)[rows, target]
            unweighted = share == 0  # there it may be infinite
            logs[unweighted], p[unweighted] = 0, 0
        if sample_weight is None:
            return abs(float(logs.sum(dtype=float))) / n
        weight = np.asarray(sample_weight, float)
        total = weight.sum()
        return abs(float(weight.dot(logs) / total)) if total else 0.0

    def _backward(self) -> Array:
        if self._hard is None:
            return super()._backward()
        target, share = self._hard
        p = self._slope
        assert p is not None
        grad = self._take("grad", p.shape, p.dtype)
        if _backend.active() == "c":
            _backend.compiled.cross_entropy_slope(p, target, share, grad)
            return grad
        np.multiply(p, self._factor, out=grad)
        rows = np.arange(len(target))
        grad[rows, target] = (p[rows, target] - _scalar(1.0, p.dtype)) * share
        return grad

    def _parts(self, output: Array, target: Array) -> tuple[Array, Array]:
        losses = _log_softmax(output, out=self._take("losses", output.shape, output.dtype))
        slope = self._take("slope", output.shape, output.dtype)
        np.subtract(_softmax(output, out=slope), target, out=slope)
        losses *= target
        return np.negative(losses, out=losses), slope


class _Elementwise(Loss):
    """A loss of float targets that are shaped as the outputs."""

    def _check_target(self, target: Any, shape: tuple[int, int], dtype: Any) -> None:
        self._check_floats("target", target, _shapes(shape), dtype)

    def _forward(self, output: Array, target: Array, sample_weight: Array | None) -> float:
        if target.ndim == 1:
            target = target[:, None]
        return super()._forward(output, target, sample_weight)

    def _pair(self, output: Array) -> tuple[Array, Array]:
        """Where `_parts` writes its results."""
        shape, dtype = output.shape, output.dtype
        return self._take("losses", shape, dtype), self._take("slope", shape, dtype)


def _shapes(shape: tuple[int, int]) -> tuple[tuple[int, ...], ...]:
    """Those of a target for outputs of `shape`: one output needs no axis of its own."""
    return (shape, shape[:1]) if shape[1] == 1 else (shape,)


class BinaryCrossEntropy(_Elementwise):
    """Cross-entropy of the sigmoid of logits: ``softplus(output) - target * output``, in nats.

    The sigmoid is part of the loss, so the network ends in a Dense layer.  With several outputs
    each is a label of its own (multi-label).

    Targets have shape (samples, outputs), or (samples,) for one output: bool or int, 0 or 1; or
    floats of the output's dtype in [0, 1].

    Source: Cox 1958, J. R. Stat. Soc. B 20 (logistic regression).
    """

    name = "binary_cross_entropy"

    def link(self, output: Array) -> Array:
        """The sigmoid: the probability of each label, (samples, outputs)."""
        return _sigmoid(output)  # type: ignore[no-any-return]

    def _check_target(self, target: Any, shape: tuple[int, int], dtype: Any) -> None:
        if not isinstance(target, np.ndarray) or target.dtype.kind not in "biu":
            super()._check_target(target, shape, dtype)
            none_of(str(self), "target", target, (target < 0) | (target > 1), "in [0, 1]")
            return
        self._check_shape("target", target, _shapes(shape))
        none_of(str(self), "target", target, (target != 0) & (target != 1), "0 or 1")

    def _parts(self, output: Array, target: Array) -> tuple[Array, Array]:
        losses, slope = self._pair(output)
        dtype = output.dtype
        target = target.astype(dtype, copy=False)
        # softplus(x) - t*x = softplus(-|x|) + (max(x, 0) - t*x), without cancellation for t = 1
        np.copysign(output, _scalar(-1.0, dtype), out=slope)
        np.maximum(output, _scalar(0.0, dtype), out=losses)
        losses -= target * output
        losses += _softplus(slope, out=slope)
        _sigmoid(output, out=slope)
        slope -= target
        return losses, slope

    def _at_infinity(self, losses: Array, output: Array, target: Array) -> Array:
        limits = np.where((output > 0) == target, 0.0, np.inf)
        return np.where(np.isinf(output), limits, losses)


# ------------------------------------------------------------------------------- regression
class SquaredError(_Elementwise):
    """Half the squared error, ``(output - target)**2 / 2``: the mean is learned.

    Targets have shape (samples, outputs), or (samples,) for one output, and the output's dtype.

    Source: Legendre 1805; half, as in scikit-learn, so that the gradient is the error.
    """

    name = "squared_error"

    def _parts(self, output: Array, target: Array) -> tuple[Array, Array]:
        losses, slope = self._pair(output)
        np.subtract(output, target, out=slope)
        np.multiply(slope, _scalar(0.5, slope.dtype), out=losses)
        losses *= slope
        return losses, slope


class AbsoluteError(_Elementwise):
    """The absolute error, ``|output - target|``: the median is learned.  The slope at 0 is 0.

    Targets have shape (samples, outputs), or (samples,) for one output, and the output's dtype.

    Source: Laplace 1774 (the median as the estimate of least absolute error).
    """

    name = "absolute_error"

    def _parts(self, output: Array, target: Array) -> tuple[Array, Array]:
        losses, slope = self._pair(output)
        np.subtract(output, target, out=losses)
        np.sign(losses, out=slope)
        return np.abs(losses, out=losses), slope


class Huber(_Elementwise):
    """Squared for small errors d, absolute for large ones: robust against outliers.

    ``d**2 / 2`` where ``|d| <= delta``, else ``delta * (|d| - delta / 2)``.

    Targets have shape (samples, outputs), or (samples,) for one output, and the output's dtype.

    Parameters
    ----------
    delta : float, default 1.0
        Positive.

    Raises
    ------
    ValueError, TypeError
        If `delta` is no positive number.

    Source: Huber 1964, Ann. Math. Stat. 35.
    """

    name = "huber"

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = real("Huber", "delta", delta, POSITIVE)

    def __repr__(self) -> str:
        return f"Huber(delta={self.delta:g})"

    def _parts(self, output: Array, target: Array) -> tuple[Array, Array]:
        losses, slope = self._pair(output)
        dtype = output.dtype
        np.subtract(output, target, out=losses)
        # with c = d between -delta and delta, both cases are c*(d - c/2)
        np.minimum(losses, _scalar(self.delta, dtype), out=slope)
        np.maximum(slope, _scalar(-self.delta, dtype), out=slope)
        losses -= slope * _scalar(0.5, dtype)
        losses *= slope
        return losses, slope


class Poisson(_Elementwise):
    """Half the Poisson deviance of counts whose mean is m = exp(output).

    ``target * log(target / m) - target + m``, which is 0 where m is the target; the likelihood's
    ``m - target * output`` differs by what the target alone makes.  m overflows where it must:
    the loss is infinite then.

    Targets have shape (samples, outputs), or (samples,) for one output, the output's
    dtype, and no value below 0.

    Source: McCullagh & Nelder 1989, Generalized Linear Models, section 2.3.
    """

    name = "poisson"

    def link(self, output: Array) -> Array:
        """The mean exp(output), (samples, outputs)."""
        return _exponential(output)  # type: ignore[no-any-return]

    def _check_target(self, target: Any, shape: tuple[int, int], dtype: Any) -> None:
        super()._check_target(target, shape, dtype)
        none_of(str(self), "target", target, target < 0, "at least 0")

    def _parts(self, output: Array, target: Array) -> tuple[Array, Array]:
        losses, slope = self._pair(output)
        _exponential(output, out=slope)
        slope -= target
        # t*(log t - x) + (m - t): two small numbers where m is near t; 0 log 0 is 0
        np.maximum(target, _scalar(float(np.finfo(output.dtype).tiny), output.dtype), out=losses)
        np.log(losses, out=losses)
        losses -= output
        losses *= target
        losses += slope
        return losses, slope

    def _at_infinity(self, losses: Array, output: Array, target: Array) -> Array:
        limits = np.where((output < 0) & (target == 0), 0.0, np.inf)
        return np.where(np.isinf(output), limits, losses)


class Quantile(_Elementwise):
    """The pinball loss: the q-quantile is learned.  The slope at 0 is 0.

    ``(1 - q) * d`` for an error d = output - target above 0, else ``-q * d``; q = 0.5 is half
    the absolute error.

    Targets have shape (samples, outputs), or (samples,) for one output, and the output's dtype.

    Parameters
    ----------
    q : float, default 0.5
        In (0, 1).

    Raises
    ------
    ValueError, TypeError
        If `q` is no number in (0, 1).

    Source: Koenker & Bassett 1978, Econometrica 46.
    """

    name = "quantile"

    def __init__(self, q: float = 0.5) -> None:
        self.q = real("Quantile", "q", q, INSIDE)

    def __repr__(self) -> str:
        return f"Quantile(q={self.q:g})"

    def _parts(self, output: Array, target: Array) -> tuple[Array, Array]:
        losses, slope = self._pair(output)
        q = _scalar(self.q, output.dtype)
        np.subtract(output, target, out=losses)
        np.heaviside(losses, q, out=slope)  # q at 0, so that the slope there is 0
        slope -= q
        losses *= slope
        return losses, slope


# ----------------------------------------------------------------------------------- others
class CallableLoss(Loss):
    """A function as a loss.

    Targets are an array of shape (samples, ...) that the function takes; only the number of samples
    is checked.

    Parameters
    ----------
    function : callable
        ``function(output, target) -> (losses, derivatives)``: from the output (samples, outputs)
        and the target, which it gets read-only, the loss of each sample (samples,) and
        dloss/doutput (samples, outputs), both of the output's dtype.

    Raises
    ------
    TypeError
        If `function` is not callable; in `forward`, if it returns anything but two arrays of the
        output's dtype (ValueError: of these shapes).
    """

    def __init__(self, function: Callable[[Array, Array], tuple[Array, Array]]) -> None:
        if not callable(function):
            raise TypeError(f"CallableLoss: function must be callable, got {function!r:.60}")
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def __repr__(self) -> str:
        return f"CallableLoss({self.name})"

    def _check_target(self, target: Any, shape: tuple[int, int], dtype: Any) -> None:
        if not isinstance(target, np.ndarray):
            raise TypeError(f"{self}: target must be a NumPy array, got {type(target).__name__}")
        if target.shape[:1] != shape[:1]:
            raise ValueError(f"{self}: target must have {shape[0]} rows, got shape {target.shape}")

    def _parts(self, output: Array, target: Array) -> tuple[Array, Array]:
        # a function that works in place must not reach the network's arrays
        views = output.view(), target.view()
        for view in views:
            view.flags.writeable = False
        parts = self.function(*views)
        if not isinstance(parts, tuple) or len(parts) != 2:
            raise TypeError(f"{self}: the function must return a tuple of two arrays, got {parts!r:.60}")
        for part, shape, words in zip(parts, (output.shape[:1], output.shape), ("losses", "derivatives")):
            if not isinstance(part, np.ndarray) or part.dtype != output.dtype:
                kind = getattr(part, "dtype", type(part).__name__)
                raise TypeError(f"{self}: {words} must be an array of {output.dtype}, got {kind}")
            self._check_shape(words, part, (shape,))
        return parts


LOSSES: dict[str, type[Loss]] = {
    kind.name: kind
    for kind in (
        SoftmaxCrossEntropy,
        BinaryCrossEntropy,
        SquaredError,
        AbsoluteError,
        Huber,
        Poisson,
        Quantile,
    )
}


def get_loss(loss: Any) -> Loss:
    """A loss by name.

    Parameters
    ----------
    loss : str, Loss or callable
        ``"cross_entropy"``, ``"binary_cross_entropy"``, ``"squared_error"``,
        ``"absolute_error"``, ``"huber"``, ``"poisson"`` or ``"quantile"``, at the default
        parameters; a Loss, which is returned as it is; or a function for `CallableLoss`.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        For an unknown name; lists those there are.
    TypeError
        For anything else.
    """
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(f"unknown loss {loss!r}; there are {', '.join(LOSSES)}")
        return LOSSES[loss]()
    if isinstance(loss, Loss):
        return loss
    if callable(loss) and not isinstance(loss, type):
        return CallableLoss(loss)
    raise TypeError(f"a loss is a name, a Loss (not its class) or a callable, got {loss!r:.60}")
