"""What the two estimators share: parameters, the network, and the fit.

The steps of the fit are in `_stochastic`, by batches, and in `_lbfgs`, on all rows at once.

Settings that scikit-learn's own estimators know give what these give: the same weights at the
start, the same batches, the same loss curve to rounding, the same warnings.  The order in which
random numbers are drawn is theirs, therefore: for each layer the weights, then the biases; the
validation split; before each epoch the shuffle.
"""

from __future__ import annotations

import copy
import inspect
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import diagnose
from .._need import need
from ..nn._arrays import all_finite
from ..nn._validate import Array, NonFiniteError
from ..nn.layers import Activation, Dense
from ..nn.losses import Loss, SquaredError
from ..nn.network import Sequential, hidden_activations, mlp
from ..nn.normalization import BatchNorm, LayerNorm
from ..nn.optimizers import Optimizer
from ..nn.schedules import Schedule
from ._batches import Order
from ._callbacks import CallbackSupportMixin
from ._lbfgs import fit_lbfgs
from ._stochastic import fit_stochastic
from ._takeover import FromSklearn

#: scikit-learn's four activations, whose initial weights `init="auto"` draws as it does.
ITS_ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu")
_QUIET = np.errstate(all="ignore")  # as in a Trainer: what diverges is reported by its loss
REFERENCE_ROWS = 256  # of the training data, for the diagnostics


class BaseMLP(FromSklearn, CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]
    """Base of `MLPClassifier` and `MLPRegressor`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": "no_validation",  # cact.get's errors say more
        "solver": [StrOptions({"lbfgs", "sgd", "adam", "adamw", "rmsprop"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), Schedule, callable],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "loss": "no_validation",
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "normalization": [StrOptions({"batch", "layer"}), None],
        "init": [str, callable],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "scoring": [str, callable, None],
        "progress_bar": ["boolean"],
        "diagnostics": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left"), timedelta, None],
    }

    # ------------------------------------------------------------------ what the estimators differ in
    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """X and y as arrays, and what is known of y kept in attributes."""
        raise NotImplementedError

    def _targets(self, y: Array, dtype: Any) -> Array:
        """What the loss compares the outputs with."""
        raise NotImplementedError

    def _make_loss(self) -> tuple[Loss, int, str]:
        """The loss, the number of outputs, and the name of the output's activation."""
        raise NotImplementedError

    def _class_weights(self, y: Array) -> Array | None:
        """A weight for each sample by its class."""
        return None

    def _predictions(self, output: Array) -> Array:
        """The predictions from the network's output."""
        raise NotImplementedError

    _default_score: Any  # of true and predicted targets
    #: In `fit` the attributes from before, until training begins; see `updating`.
    _before: dict[str, Any] | None = None

    # ------------------------------------------------------------------ the network
    def _build(self, n_features: int, hidden: list[int], dtype: Any) -> None:
        """A network with new weights, and the attributes that belong to it."""
        name, state = type(self).__name__, self._random_state
        self._loss, self.n_outputs_, self.out_activation_ = self._make_loss()
        self.n_layers_ = len(hidden) + 2
        functions = self._functions(len(hidden))
        # the activation decides on the weights even where there is no hidden layer
        followers = functions or ([] if np.ndim(self.activation) else self._functions(1))
        for i, (function, units) in enumerate(zip(functions, hidden)):
            try:
                Activation(function).width(units)
            except ValueError as error:
                raise ValueError(f"{name}: hidden_layer_sizes[{i}]: {error}") from None
        dropout = self.dropout if np.ndim(self.dropout) == 0 else list(self.dropout)
        intercepts: list[Array] = []

        def as_scikit_learn(n_in: int, n_out: int, *, rng: Any = None, dtype: Any = None) -> Array:
            """Glorot's uniform weights, and biases of the same width (Glorot & Bengio 2010)."""
            follower = followers[min(len(intercepts), len(followers) - 1)].name if followers else "identity"
            bound = np.sqrt((2.0 if follower == "sigmoid" else 6.0) / (n_in + n_out))
            weight: Array = state.uniform(-bound, bound, (n_in, n_out)).astype(dtype, copy=False)
            intercepts.append(state.uniform(-bound, bound, n_out).astype(dtype, copy=False))
            return weight

        its = isinstance(self.init, str) and self.init == "auto"
        its = its and all(function.name in ITS_ACTIVATIONS for function in functions)
        drawn = not its or np.any(dropout)  # by another generator, which the first one seeds
        try:
            network = mlp(
                (n_features, *hidden, self.n_outputs_),
                functions,
                normalization=self.normalization,
                dropout=dropout,
                init=as_scikit_learn if its else self.init,
                rng=np.random.default_rng(state.randint(2**31 - 1)) if drawn else None,
                dtype=dtype,
            )
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {str(error).removeprefix('mlp: ')}") from None
        dense = [layer for layer in network.layers if isinstance(layer, Dense)]
        for layer, intercept in zip(dense, intercepts):
            if "bias" in layer.params:
                layer.params["bias"][...] = intercept
        self.network_: Sequential = network
        network.flat()
        self._show()

    def _functions(self, hidden: int) -> list[Any]:
        """The hidden layers' activations."""
        given = self.activation
        # a tuple is a pair of callables, but for one with names
        listed = isinstance(given, (list, np.ndarray))
        listed = listed or (isinstance(given, tuple) and any(isinstance(one, str) for one in given))
        return hidden_activations(type(self).__name__, list(given) if listed else given, hidden)

    def _weights(self) -> Iterator[tuple[list[Array], int, dict[str, Array], str]]:
        """Where each of coefs_ and intercepts_ stands in the network.

        Gives the list, the index in it, and the layer's dict with the key.  Where a layer is
        normalised, beta is the intercept.
        """
        i = -1
        for layer in self.network_.layers:
            if isinstance(layer, Dense):
                i += 1
                yield self.coefs_, i, layer.params, "weight"
                if "bias" in layer.params:
                    yield self.intercepts_, i, layer.params, "bias"
            elif isinstance(layer, (BatchNorm, LayerNorm)):  # activations have a beta, too: swish
                yield self.intercepts_, i, layer.params, "beta"

    def _show(self) -> None:
        """Make coefs_ and intercepts_ the network's own arrays."""
        self.coefs_: list[Any] = [None] * (self.n_layers_ - 1)
        self.intercepts_: list[Any] = [None] * (self.n_layers_ - 1)
        for arrays, i, params, key in self._weights():
            arrays[i] = params[key]

    def _sync(self) -> Sequential:
        """The network, with whatever was put into coefs_ and intercepts_ since."""
        for arrays, i, params, key in self._weights():
            if arrays[i] is not params[key]:
                given = np.asarray(arrays[i])
                if given.shape != params[key].shape:
                    what = "coefs_" if arrays is self.coefs_ else "intercepts_"
                    raise ValueError(
                        f"{type(self).__name__}: {what}[{i}] must have shape {params[key].shape}, "
                        f"got {given.shape}"
                    )
                arrays[i] = params[key] = given.astype(params[key].dtype, copy=False)
        return self.network_

    def _own(self) -> None:
        """Put copies in the place of what is read-only: memory maps of a file."""
        state = {} if self._optimizer is None else self._optimizer.state
        for arrays in (state, *(layer.buffers for layer in self.network_.layers)):
            for key, array in arrays.items():
                if not array.flags.writeable:
                    arrays[key] = array.copy()

    def _keep(self) -> list[Array]:
        return [array.copy() for array in self.network_.learned()]

    def _restore(self, kept: list[Array]) -> None:
        for array, value in zip(self.network_.learned(), kept):
            array[...] = value

    def _forget(self) -> None:
        """Let go of the last batch, which with L-BFGS is all the data."""
        self.network_.outputs = []
        for part in (*self.network_.layers, self._loss):
            for key in part._transient:
                vars(part).pop(key, None)

    # ------------------------------------------------------------------ prediction
    def _output(self, X: Any, check_input: bool = True) -> Array:
        """The network's output: logits, or before the regression's link."""
        check_is_fitted(self)
        network = self._sync()
        if check_input:
            X = validate_data(self, X, accept_sparse="csr", reset=False)
        assert network.dtype is not None
        return network.predict(X.astype(network.dtype, copy=False))

    # ------------------------------------------------------------------ fit
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        validation: tuple[Any, Any] | None = None,
        incremental: bool = False,
    ) -> Any:
        name = type(self).__name__
        hidden = self.hidden_layer_sizes
        hidden = list(hidden) if hasattr(hidden, "__iter__") else [hidden]
        if np.any(np.array(hidden) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        for i, size in enumerate(hidden):
            if isinstance(size, bool) or not isinstance(size, Integral):
                raise TypeError(f"{name}: hidden_layer_sizes[{i}] must be an integer, got {size!r:.60}")
        first = not hasattr(self, "network_") or not (self.warm_start or incremental)
        self._check_combination(incremental)
        X, y = self._validate_input(X, y, incremental, reset=first)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
            if (sample_weight < 0).any():
                raise ValueError(f"{name}: sample_weight must be at least 0, got {sample_weight.min()}")
        class_weights = self._class_weights(y)
        if class_weights is not None:
            class_weights = class_weights.astype(X.dtype, copy=False)
            sample_weight = class_weights if sample_weight is None else sample_weight * class_weights
        if self.normalization == "batch" and X.shape[0] < 2:
            raise ValueError(f"{name}: batch normalization needs at least 2 samples, got n_samples=1")

        if first or not hasattr(self, "_random_state"):
            self._random_state = check_random_state(self.random_state)
        if first:
            self._build(X.shape[1], hidden, X.dtype)
            self._reset()
        else:  # the network stays what it is
            self._sync().flat()
            self._show()  # what the user put there, or unpickling, is a copy of what is trained now
            self._own()
            X = X.astype(self.network_.dtype, copy=False)
            sample_weight = None if sample_weight is None else sample_weight.astype(X.dtype, copy=False)
        if validation is not None:
            validation = X_val, y_val = self._validate_validation(*validation)
            try:
                self._loss.check(self._targets(y_val, X.dtype), (X_val.shape[0], self.n_outputs_), X.dtype)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name}: y_val: {error}") from None
        if self.solver == "lbfgs":
            fit_lbfgs(self, X, y, sample_weight, validation)
        else:
            fit_stochastic(self, X, y, sample_weight, validation, incremental)
        self._show()
        self._forget()
        if not all_finite(self.network_.flat().values):
            raise NonFiniteError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )
        return self

    def _check_combination(self, incremental: bool) -> None:
        """ValueError for settings of cact's own that nothing would read; scikit-learn lets its own be."""
        name = type(self).__name__
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if incremental and self.checkpoint is not None:
            raise ValueError("partial_fit does not support checkpoint; save the estimator between the calls")
        if self.solver == "lbfgs":
            no_rate = "a line search finds its steps"
            refused = {
                "a schedule as learning_rate": (not isinstance(self.learning_rate, str), no_rate),
                "clip_norm": (self.clip_norm is not None, no_rate),
                "scoring": (self.scoring is not None, "it has no early stopping"),
                "checkpoint": (
                    self.checkpoint is not None,
                    "its memory, on which the next step depends, is inside SciPy, so that a fit that goes on "
                    "from a file would have other bits",
                ),
            }
            for setting, (given, reason) in refused.items():
                if given:
                    raise ValueError(f"{name}: solver='lbfgs' does not support {setting}: {reason}")
        if self.scoring is not None and not self.early_stopping:
            raise ValueError(f"{name}: scoring needs early_stopping=True, which alone looks at it")

    def _reset(self) -> None:
        """The attributes of a training that begins."""
        self.n_iter_ = 0
        self.t_ = 0
        self._optimizer: Optimizer | None = None
        self._optimizer_settings: dict[str, Any] = {}
        self._order: Order | None = None
        self._split_rows: int | None = None
        self._split_state: Any = None
        self._no_improvement_count = 0
        self._best: list[Array] | None = None
        self.best_loss_: float | None = None
        self.best_validation_score_: float | None = None
        self.validation_scores_: list[float] | None = None
        self.loss_curve_: list[float] = []
        self.validation_loss_curve_: list[float] = []
        self.diagnostics_: list[dict[str, Any]] = []

    def _validate_validation(self, X: Any, y: Any) -> tuple[Any, Array]:
        try:
            X = validate_data(self, X, accept_sparse="csr", dtype=self.network_.dtype, reset=False)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: X_val: {error}") from None
        y = y.tocsr() if hasattr(y, "tocsr") else np.asarray(y)
        if y.ndim == 0 or y.shape[0] != X.shape[0]:
            raise ValueError(
                f"{type(self).__name__}: y_val must have as many rows as X_val, {X.shape[0]}, got {y.shape}"
            )
        return X, column_or_1d(y) if y.shape[1:] == (1,) else y

    def _reported(self, value: float) -> float:
        """A loss as scikit-learn reports it: the squared error's is the mean over the outputs."""
        return value / self.n_outputs_ if isinstance(self._loss, SquaredError) else value

    # ------------------------------------------------------------------ validation
    def _held_out(
        self, X: Any, y: Array, weight: Array | None = None, scored: bool | None = None
    ) -> _Validation:
        scored = self.early_stopping if scored is None else scored
        scorer = check_scoring(self, self.scoring) if scored and self.scoring is not None else None
        return _Validation(X, y, self._targets(y, self.network_.dtype), weight, scored, scorer)

    @contextmanager
    def _nameless(self) -> Iterator[None]:
        """For predictions on what was validated and has lost its feature names."""
        names = self.__dict__.pop("feature_names_in_", None)
        try:
            yield
        finally:
            if names is not None:
                self.feature_names_in_ = names

    @_QUIET
    def _validate(self, validation: _Validation) -> None:
        """The loss of the validation set and, for early stopping, its score; keeps the best weights."""
        X, y, target, weight = validation.X, validation.y, validation.target, validation.weight
        output = self._output(X, check_input=False)
        self.validation_loss_curve_.append(self._reported(self._loss.forward(output, target)))
        if not validation.scored:
            return
        assert self.validation_scores_ is not None
        assert self.best_validation_score_ is not None
        scorer, score = validation.scorer, math.nan
        if np.isfinite(output).all():
            if scorer is None:
                score = float(self._default_score(y, self._predictions(output), sample_weight=weight))
            else:
                given = {} if weight is None or not _takes_weight(scorer) else {"sample_weight": weight}
                with self._nameless():
                    score = float(scorer(self, X, y, **given))
        self.validation_scores_.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")
        if score >= self.best_validation_score_ + self.tol:
            self._no_improvement_count = 0
        else:  # NaN too
            self._no_improvement_count += 1
        if score > self.best_validation_score_:
            self.best_validation_score_ = score
            self._best = self._keep()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _validate_params(self) -> None:
        try:
            super()._validate_params()
        except ValueError as error:
            if isinstance(self.learning_rate, Real) and "'learning_rate'" in str(error):
                raise type(error)(f"{error} The rate itself is learning_rate_init.") from None
            raise

    # ------------------------------------------------------------------ diagnostics
    @_QUIET
    def _diagnose(self, X: Any) -> dict[str, Any]:
        """What the epoch's last gradient and the first rows of the data say of each hidden layer."""
        network = self.network_
        hidden = network.activations
        flow = (
            diagnose.gradient_flow([layer.dz for layer in hidden if layer.dz is not None]) if hidden else []
        )
        dense = [layer for layer in network.layers if isinstance(layer, Dense)]
        network.predict(X[:REFERENCE_ROWS], batch_size=REFERENCE_ROWS)
        dead, saturated = [], []
        for layer in hidden:
            f = layer.function
            if f._record.elementwise and layer.z is not None:
                dead.append(float(np.mean(diagnose.dead_units(f, layer.z))))
                saturated.append(diagnose.saturated(f, layer.z))
            else:
                dead.append(math.nan)
                saturated.append(math.nan)
        return {
            "gradient_flow": flow,
            "dead_units": dead,
            "saturated": saturated,
            "weight_rms": [diagnose.rms(layer.params["weight"]) for layer in dense],
        }

    # ------------------------------------------------------------------ callbacks and progress
    def _fitted_state(self) -> dict[str, Any]:
        """The attributes of an estimator that predicts with the weights of now."""
        twin = copy.copy(self)
        twin.network_ = copy.deepcopy(self.network_)
        twin._show()
        return {key: getattr(twin, key) for key in ("network_", "coefs_", "intercepts_")}

    @contextmanager
    def _progress(self, epochs: int) -> Iterator[Any]:
        if not self.progress_bar:
            yield lambda estimator: None
            return
        need("tqdm")
        from tqdm.auto import tqdm

        with tqdm(total=epochs, initial=self.n_iter_, unit="epoch", desc=type(self).__name__) as bar:

            def update(estimator: Any) -> None:
                shown = {"loss": f"{estimator.loss_:.4g}"}
                if estimator.validation_scores_:
                    shown["score"] = f"{estimator.validation_scores_[-1]:.4g}"
                bar.set_postfix(shown, refresh=False)
                bar.update()

            yield update


@dataclass
class _Validation:
    """A validation set; `scorer` is None for the default score."""

    X: Any
    y: Array
    target: Array
    weight: Array | None
    scored: bool
    scorer: Any


def _takes_weight(scorer: Any) -> bool:
    """Whether a scorer takes sample_weight: one of scikit-learn's as its metric does."""
    return "sample_weight" in inspect.signature(getattr(scorer, "_score_func", scorer)).parameters


def stochastic(estimator: Any) -> bool:
    """Whether there is a `partial_fit`; AttributeError says why not."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
        )
    return True


def given_validation(estimator: Any, X_val: Any, y_val: Any) -> tuple[Any, Any] | None:
    """The validation set that `fit` was given, if it was."""
    if (X_val is None) != (y_val is None):
        raise ValueError(f"{type(estimator).__name__}: X_val and y_val must be given together")
    return None if X_val is None else (X_val, y_val)
