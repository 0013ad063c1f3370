"""Fitted estimators from what others have learned: scikit-learn's, or a file."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from sklearn import neural_network
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ..nn.layers import Dense
from ..nn.network import Sequential, mlp
from ._stochastic import make_optimizer

__all__ = ["FromSklearn", "complete"]

_Estimator = TypeVar("_Estimator", bound="FromSklearn")

#: The attributes of training, which scikit-learn's estimators have too; not all after every solver.
TRAINING = (
    "n_iter_",
    "t_",
    "loss_",
    "best_loss_",
    "loss_curve_",
    "validation_scores_",
    "best_validation_score_",
)


class FromSklearn:
    """What gives the estimators `from_sklearn`."""

    @classmethod
    def from_sklearn(cls: type[_Estimator], model: Any) -> _Estimator:
        """Take over a fitted estimator of scikit-learn.

        Parameters
        ----------
        model : sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
            The one of the same name, fitted; it stays as it is.

        Returns
        -------
        estimator
            Fitted: with the parameters and attributes of `model`, copies of its weights, and the
            optimiser's moments and learning rate, so that `partial_fit` goes on as it would have gone on
            there.  What scikit-learn does not have is at its default.

        Raises
        ------
        TypeError
            For anything else, subclasses included: these may predict otherwise.
        sklearn.exceptions.NotFittedError
            For one that is not fitted (a ValueError).
        """
        its = (
            neural_network.MLPClassifier if issubclass(cls, ClassifierMixin) else neural_network.MLPRegressor
        )
        if type(model) is not its:
            raise TypeError(
                f"from_sklearn: model must be a sklearn.neural_network.{its.__name__}, got {model!r:.60}"
            )
        check_is_fitted(model)
        estimator: Any = cls(**copy.deepcopy(model.get_params(deep=False)))
        known = ("n_features_in_", "feature_names_in_", "n_outputs_", "out_activation_", "classes_")
        found = vars(model)
        attributes = {
            key: copy.deepcopy(found[key])
            for key in (*known, *TRAINING, "_label_binarizer", "_no_improvement_count")
            if key in found
        }
        vars(estimator).update(attributes)  # which the loss follows from
        attributes["_loss"] = estimator._make_loss()[0]
        sizes = [len(weight) for weight in model.coefs_] + [model.n_outputs_]
        network = mlp(
            sizes, estimator._functions(len(sizes) - 2), init=_empty, dtype=np.asarray(model.coefs_[0]).dtype
        )
        dense = [layer for layer in network.layers if isinstance(layer, Dense)]
        for layer, weight, bias in zip(dense, model.coefs_, model.intercepts_):
            layer.params["weight"][...] = weight
            layer.params["bias"][...] = bias
        complete(estimator, network, attributes)
        if hasattr(model, "_optimizer"):
            _take_optimizer(estimator, model._optimizer)
        return estimator  # type: ignore[no-any-return]


def complete(estimator: Any, network: Sequential, attributes: Mapping[str, Any]) -> None:
    """Make an estimator the fitted one that has this network and these attributes."""
    estimator.network_ = network
    estimator.n_layers_ = 1 + sum(isinstance(layer, Dense) for layer in network.layers)
    estimator._reset()
    vars(estimator).update(attributes)
    network.flat()
    estimator._show()
    if estimator.best_validation_score_ is not None:  # of these weights; those of later fits may be lower
        estimator._best = estimator._keep()


def _empty(n_in: int, n_out: int, *, rng: Any, dtype: Any) -> Any:
    return np.empty((n_in, n_out), dtype)


#: What scikit-learn's optimisers call what ours have in their state, in that order.
_MEMORY = {"adam": ("ms", "vs"), "sgd": ("velocities",)}


def _take_optimizer(estimator: Any, its: Any) -> None:
    """Go on with the memory of scikit-learn's optimiser, unless its solver was changed since.

    It has the parameters in the order of a flat network: all weights, then all biases.
    """
    names = _MEMORY.get(estimator.solver, ())
    if not names or not all(hasattr(its, name) for name in names):
        return
    optimizer = make_optimizer(estimator)
    for name, array in zip(names, optimizer.state.values()):
        array[...] = np.concatenate([np.ravel(part) for part in getattr(its, name)])
    optimizer.steps = getattr(its, "t", 0)
    if optimizer.schedule is not None:
        state = {"lr": its.learning_rate, "samples": estimator.t_}
        optimizer.schedule.load_state_dict({key: state[key] for key in optimizer.schedule.state_dict()})
