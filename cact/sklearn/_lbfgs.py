"""The fit on all rows at once: ``solver="lbfgs"``."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._warn import warn
from ..nn._validate import Array, NonFiniteError
from ..nn.lbfgs import LBFGS
from ._callbacks import Calls

__all__ = ["DIVERGED", "fit_lbfgs"]

#: What scikit-learn says, word for word, of any fit that diverges.
DIVERGED = (
    "In scikit-learn's words: Solver produced non-finite parameter weights. "
    "The input data may contain large values and need to be preprocessed."
)


def fit_lbfgs(
    estimator: Any, X: Any, y: Array, sample_weight: Array | None, validation: tuple[Any, Array] | None
) -> None:
    """Train for `max_iter` iterations at most."""
    name = type(estimator).__name__
    if np.any(estimator.dropout):
        raise ValueError(f"{name}: solver='lbfgs' needs a loss that is free of chance: dropout must be 0")
    target = estimator._targets(y, X.dtype)
    estimator._loss.check(target, (X.shape[0], estimator.n_outputs_), sample_weight=sample_weight)
    sum_of_weights = X.shape[0] if sample_weight is None else float(sample_weight.sum())
    if not sum_of_weights > 0:
        raise ValueError(f"{name}: the sum of sample_weight must be greater than 0")
    held_out = None if validation is None else estimator._held_out(*validation, scored=False)
    solver = LBFGS(
        estimator.network_,
        estimator.alpha / sum_of_weights,
        estimator.max_iter,
        estimator.max_fun,
        estimator.tol,
    )
    estimator._before = None
    calls = Calls(estimator, estimator.max_iter, estimator._fitted_state, X=X, y=y)
    estimator.n_iter_ = 0

    def iteration(value: float, penalty: float) -> bool:
        estimator.n_iter_ += 1
        estimator.loss_ = estimator._reported(value) + penalty
        estimator.loss_curve_.append(estimator.loss_)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        if estimator.diagnostics:
            estimator.diagnostics_.append(estimator._diagnose(X))
        if held_out is not None:
            estimator._validate(held_out)
        bar(estimator)
        return calls.end_epoch()

    with estimator._progress(estimator.max_iter) as bar:
        try:  # an epoch begins if the one before has ended
            result = solver._minimize(
                estimator._loss, X, target, sample_weight, iteration, before=calls.begin_epoch
            )
        except NonFiniteError as error:
            raise NonFiniteError(
                f"{name}: L-BFGS iteration {estimator.n_iter_}: {error} (the weights are those after it). "
                f"{DIVERGED}"
            ) from None
        except KeyboardInterrupt:
            solver._settle_averages(X)
            warn("Training interrupted by user.")
        else:
            estimator.loss_ = estimator._reported(result.fun - result.penalty) + result.penalty
            if result.status not in (0, 99):  # 99: a callback stopped it
                warn(
                    f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}): "
                    f"{result.message}\nIncrease max_iter, scale the data, or raise tol.",
                    ConvergenceWarning,
                )
    estimator._show()
    calls.end()
