"""`MLPClassifier` and `MLPRegressor`."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from .._lookup import get
from ..nn._validate import Array
from ..nn.losses import Loss, Poisson, get_loss
from ._callbacks import fitting, updating
from ._mlp import BaseMLP

__all__ = ["MLPClassifier", "MLPRegressor"]

_sigmoid, _softmax = get("sigmoid"), get("softmax")
_log_sigmoid, _log_softmax = get("log_sigmoid"), get("log_softmax")


def _stochastic(estimator: Any) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
        )
    return True


def _validation(estimator: Any, X_val: Any, y_val: Any) -> tuple[Any, Any] | None:
    if (X_val is None) != (y_val is None):
        raise ValueError(f"{type(estimator).__name__}: X_val and y_val must be given together")
    return None if X_val is None else (X_val, y_val)


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }
    _default_scoring = "accuracy"

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        class_weight: Any = None,
        dropout: Any = 0.0,
        normalization: str | None = None,
        init: Any = "auto",
        clip_norm: float | None = None,
        scoring: Any = None,
        progress_bar: bool = False,
        diagnostics: bool = False,
        checkpoint: Any = None,
        checkpoint_every: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.class_weight = class_weight
        self.dropout = dropout
        self.normalization = normalization
        self.init = init
        self.clip_norm = clip_norm
        self.scoring = scoring
        self.progress_bar = progress_bar
        self.diagnostics = diagnostics
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    # ------------------------------------------------------------------ targets
    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self, X, y, accept_sparse="csr", multi_output=True, dtype=(np.float64, np.float32), reset=reset
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            classes = unique_labels(y)
            if self.warm_start and set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call "
                    f"to fit. Previously got {self.classes_}, `y` has {classes}"
                )
            self._refuse_new_classes("y", classes)
        return X, y

    def _refuse_new_classes(self, name: str, classes: Array) -> None:
        if len(np.setdiff1d(classes, self.classes_)):
            raise ValueError(
                f"`{name}` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'{name}' has {classes}."
            )

    def _validate_validation(self, X: Any, y: Any) -> tuple[Any, Array]:
        X, y = super()._validate_validation(X, y)
        self._refuse_new_classes("y_val", unique_labels(y))
        return X, y

    @property
    def _multiclass(self) -> bool:
        return bool(self._label_binarizer.y_type_ == "multiclass")

    def _targets(self, y: Array, dtype: Any) -> Array:
        if self._multiclass:  # the place of each class
            return np.searchsorted(self.classes_, y)
        return self._label_binarizer.transform(y).astype(bool)  # type: ignore[no-any-return]

    def _make_loss(self) -> tuple[Loss, int, str]:
        several = len(self.classes_)
        outputs = several if self._multiclass or self._label_binarizer.y_type_.startswith("multilabel") else 1
        loss = self.loss
        if isinstance(loss, str):
            if loss != "log_loss":
                raise ValueError(
                    f"{type(self).__name__}: loss must be 'log_loss', a Loss or a callable, got {loss!r:.60}"
                )
            loss = "cross_entropy" if self._multiclass else "binary_cross_entropy"
        link = "softmax" if self._multiclass else "logistic"
        try:
            return copy.deepcopy(get_loss(loss)), outputs, link
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}: {error}") from None

    def _class_weights(self, y: Array) -> Array | None:
        if self.class_weight is None:
            return None
        return compute_sample_weight(self.class_weight, y)  # type: ignore[no-any-return]

    # ------------------------------------------------------------------ public
    @fitting
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> MLPClassifier:
        """Train on X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 is kept; anything but float32 and float64 becomes float64.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or for several labels at once an indicator matrix.
        sample_weight : array-like of shape (n_samples,), optional
            At least 0.
        X_val, y_val : array-like, optional
            A validation set: gives `validation_loss_curve_`, and is what early stopping scores
            instead of a part of the training data.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data that scikit-learn refuses too, and for those of cact.nn; for a
            checkpoint of another training, or a file that is none.
        NonFiniteError
            If a loss or a gradient is not finite (a ValueError and a FloatingPointError); names
            epoch, step and layer; the estimator keeps the last good weights.
        """
        validation = _validation(self, X_val, y_val)
        return self._fit(X, y, sample_weight, validation)  # type: ignore[no-any-return]

    @available_if(_stochastic)  # type: ignore[untyped-decorator]
    @updating
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Train for one epoch more.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,), optional
            All classes that will come; needed in the first call.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit`; for new classes after the first call; for ``early_stopping=True``; with
            `checkpoint`, which has no place in a loop that is not the estimator's.
        AttributeError
            For ``solver="lbfgs"``.
        """
        if _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
        return self._fit(X, y, sample_weight, incremental=True)  # type: ignore[no-any-return]

    def predict(self, X: Any) -> Array:
        """The classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        check_is_fitted(self)
        probabilities = self._probabilities(self._output(X))
        if self.n_outputs_ == 1:
            probabilities = probabilities[:, 0]
        return self._label_binarizer.inverse_transform(probabilities)  # type: ignore[no-any-return]

    def _probabilities(self, output: Array) -> Array:
        return _softmax(output) if self.out_activation_ == "softmax" else _sigmoid(output)  # type: ignore[no-any-return]

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Classes as in `classes_`; for multi-label data of each label.
        """
        check_is_fitted(self)
        output = self._output(X)
        if self.n_outputs_ == 1:  # sigmoid(-z), which is 1 - sigmoid(z) with all its digits
            output = np.hstack([-output, output])
        return self._probabilities(output)

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of `predict_proba`, with all its digits near 0; -inf where that is 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        output = self._output(X)
        if self.n_outputs_ == 1:
            output = np.hstack([-output, output])
        log = _log_softmax if self.out_activation_ == "softmax" else _log_sigmoid
        return np.where(self._probabilities(output) == 0, -np.inf, log(output))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    _default_scoring = "r2"
    _losses = ("squared_error", "absolute_error", "huber", "poisson", "quantile")  # by name: those of numbers

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        normalization: str | None = None,
        init: Any = "auto",
        clip_norm: float | None = None,
        scoring: Any = None,
        progress_bar: bool = False,
        diagnostics: bool = False,
        checkpoint: Any = None,
        checkpoint_every: Any = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.normalization = normalization
        self.init = init
        self.clip_norm = clip_norm
        self.scoring = scoring
        self.progress_bar = progress_bar
        self.diagnostics = diagnostics
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    # ------------------------------------------------------------------ targets
    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            y_numeric=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if not reset and outputs != self.n_outputs_:
            raise ValueError(f"{type(self).__name__}: y must have {self.n_outputs_} outputs, got {outputs}")
        self.n_outputs_ = outputs
        return X, y

    def _targets(self, y: Array, dtype: Any) -> Array:
        y = y.astype(dtype, copy=False)
        return y[:, None] if y.ndim == 1 else y

    def _make_loss(self) -> tuple[Loss, int, str]:
        name, loss = type(self).__name__, self.loss
        if isinstance(loss, str) and loss not in self._losses:
            raise ValueError(
                f"{name}: loss must be {', '.join(self._losses)}, a Loss or a callable, got {loss!r:.60}"
            )
        try:
            loss = copy.deepcopy(get_loss(loss))
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        return loss, self.n_outputs_, "exp" if isinstance(loss, Poisson) else "identity"

    # ------------------------------------------------------------------ public
    @fitting
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> MLPRegressor:
        """Train on X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 is kept; anything but float32 and float64 becomes float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers; they get the dtype of X.
        sample_weight : array-like of shape (n_samples,), optional
            At least 0.
        X_val, y_val : array-like, optional
            A validation set: gives `validation_loss_curve_`, and is what early stopping scores
            instead of a part of the training data.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data that scikit-learn refuses too, and for those of cact.nn; for a
            checkpoint of another training, or a file that is none.
        NonFiniteError
            If a loss or a gradient is not finite (a ValueError and a FloatingPointError); names
            epoch, step and layer; the estimator keeps the last good weights.
        """
        validation = _validation(self, X_val, y_val)
        return self._fit(X, y, sample_weight, validation)  # type: ignore[no-any-return]

    @available_if(_stochastic)  # type: ignore[untyped-decorator]
    @updating
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch more.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit`; for ``early_stopping=True``; with `checkpoint`, which has no place in a loop
            that is not the estimator's.
        AttributeError
            For ``solver="lbfgs"``.
        """
        return self._fit(X, y, sample_weight, incremental=True)  # type: ignore[no-any-return]

    def predict(self, X: Any) -> Array:
        """The predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        check_is_fitted(self)
        y = self._loss.link(self._output(X))
        return y[:, 0] if y.shape[1] == 1 else y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
