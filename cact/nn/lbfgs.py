"""L-BFGS, SciPy's, on all samples at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._validate import NON_NEGATIVE, Array, NonFiniteError, count, real
from .dropout import Dropout
from .losses import Loss, SoftmaxCrossEntropy
from .network import Sequential
from .normalization import BatchNorm
from .training import Trainer, _check

__all__ = ["LBFGS"]


class LBFGS:
    """Quasi-Newton steps along a line search, from gradients of all samples at once.

    No `Optimizer`: it evaluates the loss as often as its line search asks for, so it has `minimize`
    in place of `step`.  It suits data of up to some thousand samples.

    Parameters
    ----------
    network : Sequential
        Without dropout, whose loss depends on chance.
    weight_decay : float, default 0.0
        L2 penalty: ``weight_decay/2`` times the sum of all squared weights is added to the mean loss.
    max_iter : int, default 200
    max_fun : int, default 15000
        Evaluations of the loss at most.
    tol : float, default 1e-4
        Ends when no element of the gradient is larger.

    Raises
    ------
    TypeError, ValueError
        For anything but a network, one with dropout, negative numbers, `max_iter` or `max_fun`
        below 1.

    Source: Liu & Nocedal 1989, Math. Program. 45; SciPy's L-BFGS-B without bounds.
    """

    def __init__(
        self,
        network: Sequential,
        weight_decay: float = 0.0,
        max_iter: int = 200,
        max_fun: int = 15000,
        tol: float = 1e-4,
    ) -> None:
        if not isinstance(network, Sequential):
            raise TypeError(f"LBFGS: network must be a Sequential, got {type(network).__name__}")
        for layer in network.layers:
            if isinstance(layer, Dropout) and layer.rate:
                raise ValueError(f"LBFGS needs a loss that is free of chance; the network has {layer}")
        self.network = network
        self.weight_decay = real("LBFGS", "weight_decay", weight_decay, NON_NEGATIVE)
        self.max_iter, self.max_fun = count("LBFGS", "max_iter", max_iter), count("LBFGS", "max_fun", max_fun)
        self.tol = real("LBFGS", "tol", tol, NON_NEGATIVE)

    def minimize(
        self,
        X: Array,
        y: Array,
        *,
        loss: Loss | None = None,
        sample_weight: Array | None = None,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Any:
        """Train the network.

        Batch normalisation has the moments of all samples afterwards.

        Parameters
        ----------
        X : ndarray of shape (samples, features), dtype of the network
        y : ndarray
            Targets, as the loss takes them.
        loss : Loss, default SoftmaxCrossEntropy()
        sample_weight : ndarray of shape (samples,), optional
            Not all 0.
        callback : callable, optional
            ``callback(iteration, loss)``, with the penalty, after each iteration, counted from 0;
            training ends if it returns True.

        Returns
        -------
        scipy.optimize.OptimizeResult
            ``fun``, of which ``penalty`` is a part, ``nit``, ``nfev``, ``status`` (0: converged),
            ``message``, ...

        Raises
        ------
        ValueError, TypeError
            For data that do not fit the network or each other, or are not finite.
        NonFiniteError
            If a loss is not finite.  After it, as after Ctrl-C, the weights are those of the last
            iteration.
        """
        loss = SoftmaxCrossEntropy() if loss is None else loss
        _check(self.network, loss, X, y, "LBFGS", sample_weight)
        if sample_weight is not None and not sample_weight.any():
            raise ValueError("LBFGS: the sum of sample_weight must be greater than 0")
        done = 0

        def iteration(value: float, penalty: float) -> bool:
            nonlocal done
            done += 1
            return callback is not None and bool(callback(done - 1, value + penalty) is True)

        try:
            return self._minimize(loss, X, y, sample_weight, iteration)
        except NonFiniteError as error:
            raise NonFiniteError(f"iteration {done}: {error}") from None

    def _minimize(
        self,
        loss: Loss,
        X: Any,
        target: Array,
        weight: Array | None,
        iteration: Callable[[float, float], bool],
        before: Callable[[], None] = lambda: None,
    ) -> Any:
        """The same for data that have been checked.

        `before` is called before each evaluation, `iteration` after each iteration, with loss and
        penalty, when the network has its weights; it may use the network.
        """
        from scipy.optimize import minimize

        trainer, flat = Trainer(self.network, loss), self.network.flat()
        good = [array.copy() for array in self.network.learned()]

        def penalty(values: Array) -> float:
            weights = values[: flat.weights]
            return float(0.5 * self.weight_decay * np.dot(weights, weights))

        def objective(values: Array) -> tuple[float, Array]:
            before()
            flat.values[...] = values
            with trainer:  # not around it all: what is predicted in `iteration` stays as it is
                value = trainer.gradient(X, target, weight)
            gradient = flat.grads.astype(np.float64)
            gradient[: flat.weights] += self.weight_decay * values[: flat.weights]
            return value + penalty(values), gradient

        def after(intermediate_result: Any) -> None:
            values = intermediate_result.x
            flat.values[...] = values
            for kept, array in zip(good, self.network.learned()):
                kept[...] = array
            if iteration(float(intermediate_result.fun) - penalty(values), penalty(values)):
                raise StopIteration

        options = {"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol}
        start = flat.values.astype(np.float64)
        try:
            with np.errstate(all="ignore"):
                result = minimize(
                    objective, start, method="L-BFGS-B", jac=True, callback=after, options=options
                )
        except BaseException:
            for kept, array in zip(good, self.network.learned()):
                array[...] = kept
            raise
        flat.values[...] = result.x
        result.penalty = penalty(result.x)
        self._settle_averages(X)
        return result

    def _settle_averages(self, X: Any) -> None:
        """Give batch normalisation the moments of all samples: there are no batches to average over."""
        layers = [layer for layer in self.network.layers if isinstance(layer, BatchNorm)]
        if layers:
            momenta = [layer.momentum for layer in layers]
            for layer in layers:
                layer.momentum = 1.0
            self.network.forward(X, training=True)
            for layer, momentum in zip(layers, momenta):
                layer.momentum = momentum
