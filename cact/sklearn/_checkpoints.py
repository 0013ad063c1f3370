"""Checkpoints of an estimator's fit: what `cact.nn.checkpoints` keeps, and the fit's own attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..nn._validate import Array
from ..nn.checkpoints import Checkpoint, Keeper, fingerprint, permutation, restored, state_of, words
from ..nn.optimizers import Optimizer

__all__ = ["Loop"]

#: Parameters that change nothing of what is computed.
WITHOUT_EFFECT = {"verbose", "progress_bar", "warm_start", "checkpoint", "checkpoint_every"}
#: Those that the layers tell.
OF_THE_LAYERS = {"hidden_layer_sizes", "activation", "dropout", "normalization"}

#: Attributes that the loop changes, with their forms.
ATTRIBUTES: dict[str, Any] = {
    "n_iter_": int,
    "t_": int,
    "_no_improvement_count": int,
    "best_loss_": (float,),
    "best_validation_score_": (float,),
    "validation_scores_": ([float],),
    "loss_curve_": [float],
    "validation_loss_curve_": [float],
    "diagnostics_": [{key: [float] for key in ("gradient_flow", "dead_units", "saturated", "weight_rms")}],
}
FORM: dict[str, Any] = {
    "began": int,
    "step": int,
    "total": float,
    "attributes": ATTRIBUTES,
    "order": {"start": dict, "epochs": int},
    "split": ({"rows": int, "state": dict},),
}


class Loop:
    """Where a fit is, and its checkpoints.

    Parameters
    ----------
    estimator : BaseMLP
    optimizer : Optimizer
    X, y, sample_weight, validation
        The data of the fit, before its own validation set is split off.

    Attributes
    ----------
    keeper : Keeper
    step : int
        Of the epoch, done before it begins here: 0 but for the first one after an interruption.
    total : float
        The sum of the loss over these steps.

    Raises
    ------
    ValueError, OSError, ModuleNotFoundError
        As `Keeper.resume`.
    """

    def __init__(
        self,
        estimator: Any,
        optimizer: Optimizer,
        X: Any,
        y: Array,
        sample_weight: Array | None,
        validation: tuple[Any, Array] | None,
    ) -> None:
        self._estimator = estimator
        self.step, self.total = 0, 0.0
        self._began = len(estimator.loss_curve_)  # epochs of the fits before, with warm_start
        parameters = estimator.get_params(deep=False)
        X_val, y_val = (None, None) if validation is None else validation
        task: dict[str, Any] = {
            "the estimator": type(estimator).__name__,
            "X": fingerprint(X),
            "y": fingerprint(estimator._targets(y, X.dtype)),
            "sample_weight": fingerprint(sample_weight),
            "X_val": fingerprint(X_val),
            "y_val": None if y_val is None else fingerprint(estimator._targets(y_val, X.dtype)),
        }
        for key in sorted(parameters.keys() - WITHOUT_EFFECT - OF_THE_LAYERS):
            task[key] = words(parameters[key])
        checkpoint = Checkpoint(estimator.checkpoint, estimator.checkpoint_every)
        self.keeper = Keeper(checkpoint, task, optimizer, estimator._random_state)
        self._found = self.keeper.resume(FORM, self._accept)
        if self._found is not None and self._split is not None:  # before the rows are split again
            estimator._split_rows, estimator._split_state = self._split

    def _accept(self, numbers: dict[str, Any], arrays: dict[str, Array]) -> None:
        """ValueError unless numbers and arrays from a checkpoint are those of this estimator."""
        estimator, attributes = self._estimator, numbers["attributes"]
        ours, theirs = estimator.loss_curve_, attributes["loss_curve_"]
        both = min(len(ours), len(theirs))
        if len(ours) < numbers["began"] or ours[:both] != theirs[:both]:
            raise ValueError(
                f"its fit began after {numbers['began']} epochs of fits before it (warm_start); "
                f"this estimator has done {len(ours)}, or others"
            )
        if attributes["n_iter_"] >= estimator.max_iter:
            raise ValueError(f"n_iter_ must be less than max_iter, got {attributes['n_iter_']}")
        for key, form in ATTRIBUTES.items():
            if isinstance(form, tuple) and (attributes[key] is None) != (getattr(estimator, key) is None):
                raise ValueError(f"{key} must not be {attributes[key]!r:.60}")
        learned = list(estimator.network_.learned())
        best = {f"best.{i}": array for i, array in enumerate(learned)} if "best.0" in arrays else {}
        if arrays.keys() != {"order", *best} or any(
            (arrays[key].dtype, arrays[key].shape) != (array.dtype, array.shape)
            for key, array in best.items()
        ):
            raise ValueError(f"its loop must have an order, and the best weights, got {list(arrays)!r:.200}")
        permutation(arrays["order"], arrays["order"].size)
        self._best = [arrays[key] for key in best] or None
        self._order_start = _legacy(numbers["order"]["start"])
        split = numbers["split"]
        self._split = None if split is None else (split["rows"], _legacy(split["state"]))

    def start(self, batches: int) -> None:
        """Go on where the checkpoint is, if there is one, and write the first.

        Raises
        ------
        ValueError
            For a checkpoint of other rows or batches.
        """
        estimator = self._estimator
        if self._found is not None:
            numbers, arrays = self._found
            order = estimator._order
            if numbers["step"] >= batches or arrays["order"].size != order.n:
                raise ValueError(f"{self.keeper.path}: it is of other rows, or another number of batches")
            vars(estimator).update(numbers["attributes"], _best=self._best)
            order._start, order._epochs = self._order_start, numbers["order"]["epochs"]
            order._rows = arrays["order"]
            self.step, self.total, self._began = numbers["step"], numbers["total"], numbers["began"]
            if estimator.verbose:
                print(f"Training goes on from {self.keeper.path}, after {estimator.n_iter_} epochs")
        self.write(self.step, self.total)

    def epoch_done(self) -> None:
        """Write if a checkpoint is due after an epoch."""
        self.step, self.total = 0, 0.0
        if self.keeper.epoch():
            self.write(0, 0.0)

    def write(self, step: int, total: float) -> None:
        """Write a checkpoint, so many steps into an epoch."""
        estimator = self._estimator
        order, split, best = estimator._order, None, estimator._best or []
        if estimator._split_state is not None:
            split = {"rows": estimator._split_rows, "state": _modern(estimator._split_state)}
        numbers = {
            "began": self._began,
            "step": step,
            "total": total,
            "attributes": {key: getattr(estimator, key) for key in ATTRIBUTES},
            "order": {"start": _modern(order._start), "epochs": order._epochs},
            "split": split,
        }
        arrays = {"order": order.rows.astype(np.int64, copy=False)}
        arrays.update({f"best.{i}": array for i, array in enumerate(best)})
        self.keeper.write((numbers, arrays))


def _modern(state: Any) -> dict[str, Any]:
    """The state of a RandomState as a dict, from a tuple."""
    rng = np.random.RandomState()
    rng.set_state(state)
    return state_of(rng)


def _legacy(state: dict[str, Any]) -> Any:
    """The same as a tuple, from a file's dict; ValueError for what is none."""
    rng = np.random.RandomState()
    rng.set_state(restored(rng, state))
    return rng.get_state()
