"""The fit by batches: every solver but "lbfgs"."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import gen_batches

from .._warn import warn
from ..nn._validate import Array, NonFiniteError
from ..nn.losses import SquaredError
from ..nn.normalization import BatchNorm
from ..nn.optimizers import SGD, Adam, AdamW, Optimizer, RMSProp
from ..nn.schedules import Adaptive, InverseScaling, Schedule, get_schedule
from ..nn.training import Trainer
from ._batches import Batches, Order
from ._callbacks import Calls
from ._checkpoints import Loop
from ._lbfgs import DIVERGED

__all__ = ["fit_stochastic", "make_optimizer"]

OPTIMIZER_SETTINGS = (
    "solver",
    "learning_rate",
    "learning_rate_init",
    "power_t",
    "momentum",
    "nesterovs_momentum",
    "beta_1",
    "beta_2",
    "epsilon",
    "clip_norm",
)


def fit_stochastic(
    estimator: Any,
    X: Any,
    y: Array,
    sample_weight: Array | None,
    validation: tuple[Any, Array] | None,
    incremental: bool,
) -> None:
    """Train for `max_iter` epochs at most; if `incremental`, for one."""
    network, loss = estimator.network_, estimator._loss
    if estimator.early_stopping and estimator.best_validation_score_ is None:
        estimator.validation_scores_, estimator.best_validation_score_ = [], -np.inf
        estimator.best_loss_ = None
    elif not estimator.early_stopping and estimator.best_loss_ is None:
        estimator.validation_scores_, estimator.best_validation_score_ = None, None
        estimator.best_loss_ = np.inf
    optimizer = make_optimizer(estimator)
    loop = (
        None if estimator.checkpoint is None else Loop(estimator, optimizer, X, y, sample_weight, validation)
    )
    rows = np.arange(X.shape[0])
    if estimator.early_stopping and validation is None:
        rows, test = _split(estimator, X, y)
        validation = X[test], y[test]
        weight_val = None if sample_weight is None else sample_weight[test]
    else:
        weight_val = None
    target = estimator._targets(y, X.dtype)
    n = len(rows)
    if estimator.batch_size == "auto":
        batch_size = min(200, n)
    else:
        if estimator.batch_size > n:
            warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
        batch_size = min(estimator.batch_size, n)
    normalised = any(isinstance(layer, BatchNorm) for layer in network.layers)
    batches = list(gen_batches(n, batch_size, min_batch_size=2 if normalised and n > 1 else 0))
    if normalised and batch_size < 2:
        raise ValueError(
            f"{type(estimator).__name__}: batch normalization needs a batch_size of at least 2, got 1"
        )
    loss.check(target, (X.shape[0], estimator.n_outputs_), sample_weight=sample_weight)
    trainer = Trainer(network, loss, optimizer)
    held_out = None if validation is None else estimator._held_out(*validation, weight_val)
    estimator._before = None
    epochs = 1 if incremental else estimator.max_iter
    calls = Calls(estimator, None if incremental else epochs, estimator._fitted_state, X=X, y=y)
    gathered = Batches(X, target, sample_weight, batches)
    if estimator._order is None or estimator._order.n != n:
        estimator._order = Order(n, estimator._random_state)
    estimator.n_iter_ = 0
    if loop is not None:
        loop.start(len(batches))
    try:
        with estimator._progress(epochs) as bar:
            for _ in range(estimator.n_iter_, epochs):
                calls.begin_epoch()
                if estimator.shuffle and not (loop is not None and loop.step):
                    estimator._order.draw()
                order = rows[estimator._order.rows] if estimator.shuffle else rows
                estimator.loss_ = _epoch(estimator, trainer, gathered, order, loop)
                estimator.n_iter_ += 1
                estimator.t_ += n
                estimator.loss_curve_.append(estimator.loss_)
                if estimator.verbose:
                    print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
                if estimator.diagnostics:  # first: a prediction forgets the gradients
                    estimator.diagnostics_.append(estimator._diagnose(X))
                if held_out is not None:
                    estimator._validate(held_out)
                if not estimator.early_stopping:
                    _watch_loss(estimator)
                if optimizer.schedule is not None:
                    optimizer.schedule.epoch_ended(estimator.t_, estimator.loss_)
                bar(estimator)
                stop = calls.end_epoch()
                if estimator._no_improvement_count > estimator.n_iter_no_change:
                    stop = _no_improvement(estimator, optimizer.schedule) or stop
                if stop or incremental:
                    break
                if estimator.n_iter_ == estimator.max_iter:
                    warn(
                        f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
                        "optimization hasn't converged yet.",
                        ConvergenceWarning,
                    )
                elif loop is not None:
                    loop.epoch_done()
    except KeyboardInterrupt:
        warn("Training interrupted by user.")
    else:
        if loop is not None:
            loop.keeper.remove()
    if estimator.early_stopping and estimator._best is not None:
        estimator._restore(estimator._best)
    estimator._show()
    calls.end()


def _split(estimator: Any, X: Any, y: Array) -> tuple[Array, Array]:
    """Rows for training and for validation; those of the first fit where training goes on."""
    state = estimator._random_state
    if estimator._split_rows == X.shape[0]:
        state = np.random.RandomState()
        state.set_state(estimator._split_state)
    else:
        estimator._split_rows, estimator._split_state = X.shape[0], state.get_state()
    # stratified where scikit-learn does it: for two classes
    stratify = y if is_classifier(estimator) and estimator.n_outputs_ == 1 else None
    train, test = train_test_split(
        np.arange(X.shape[0]), random_state=state, test_size=estimator.validation_fraction, stratify=stratify
    )
    if len(test) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
        )
    return train, test


def make_optimizer(estimator: Any) -> Optimizer:
    """The optimiser, which goes on from a fit before where its settings are the same."""
    settings = {key: getattr(estimator, key) for key in OPTIMIZER_SETTINGS}
    optimizer: Optimizer | None = estimator._optimizer
    if optimizer is not None and settings == estimator._optimizer_settings:
        if estimator.solver == "adamw":
            optimizer.weight_decay = float(estimator.alpha)
        return optimizer
    estimator._optimizer_settings = settings
    lr: Any = estimator.learning_rate_init
    if not isinstance(estimator.learning_rate, str):
        try:
            lr = copy.deepcopy(get_schedule(estimator.learning_rate))
        except TypeError as error:
            raise TypeError(f"{type(estimator).__name__}: learning_rate: {error}") from None
    elif estimator.solver != "adam":  # as in scikit-learn
        if estimator.learning_rate == "invscaling":
            lr = InverseScaling(lr, estimator.power_t)
        elif estimator.learning_rate == "adaptive":
            lr = Adaptive(lr)
    network, clip = estimator.network_, estimator.clip_norm
    moments: dict[str, Any] = {
        "betas": (estimator.beta_1, estimator.beta_2),
        "eps": estimator.epsilon,
        "eps_hat": True,
        "clip_norm": clip,
    }
    if estimator.solver == "sgd":
        nesterov = estimator.nesterovs_momentum and estimator.momentum > 0
        optimizer = SGD(network, lr, estimator.momentum, nesterov, clip_norm=clip)
    elif estimator.solver == "adam":
        optimizer = Adam(network, lr, **moments)
    elif estimator.solver == "adamw":
        optimizer = AdamW(network, lr, weight_decay=estimator.alpha, **moments)
    else:
        optimizer = RMSProp(
            network, lr, estimator.beta_2, momentum=estimator.momentum, eps=estimator.epsilon, clip_norm=clip
        )
    estimator._optimizer = optimizer
    return optimizer


def _epoch(estimator: Any, trainer: Trainer, batches: Batches, rows: Array, loop: Loop | None) -> float:
    """One pass over the rows, in batches; gives the mean loss with the penalty."""
    optimizer = trainer.optimizer
    assert optimizer is not None
    penalised = estimator.solver != "adamw"  # which decays its weights by itself
    flat = estimator.network_.flat()
    weights = flat.values[: flat.weights]
    outputs = estimator.n_outputs_ if isinstance(estimator._loss, SquaredError) else 1  # see _reported
    alpha = estimator.alpha
    step, total = (0, 0.0) if loop is None else (loop.step, loop.total)
    penalty = 0.0
    with trainer:
        try:
            for x, target, weight in batches(rows, step):
                size = len(target)
                scale = size if weight is None else float(weight.sum())
                if penalised:
                    optimizer.weight_decay = decay = alpha / scale if scale else 0.0
                    penalty = 0.5 * decay * float(weights.dot(weights))
                total += (trainer.step(x, target, weight) / outputs + penalty) * size
                step += 1
                if loop is not None and loop.keeper.step() and step < len(batches):
                    loop.write(step, total)
        except NonFiniteError as error:
            raise _diverged(estimator, step, error) from None
    try:
        trainer.check()
    except NonFiniteError as error:
        raise _diverged(estimator, step - 1, error) from None
    return total / len(rows)


def _diverged(estimator: Any, step: int, what: Any) -> NonFiniteError:
    return NonFiniteError(
        f"{type(estimator).__name__}: epoch {len(estimator.loss_curve_)}, step {step}: {what}. {DIVERGED} "
        "Scale the data, lower learning_rate_init, or set clip_norm."
    )


def _watch_loss(estimator: Any) -> None:
    if estimator.loss_ > estimator.best_loss_ - estimator.tol:
        estimator._no_improvement_count += 1
    else:
        estimator._no_improvement_count = 0
    estimator.best_loss_ = min(estimator.loss_, estimator.best_loss_)


def _no_improvement(estimator: Any, schedule: Schedule | None) -> bool:
    """What to do when training has come to a halt; whether to stop."""
    what = "Validation score" if estimator.early_stopping else "Training loss"
    epochs = f"{estimator.n_iter_no_change} consecutive epochs"
    message = f"{what} did not improve more than tol={estimator.tol:f} for {epochs}."
    stop = schedule is None or schedule.no_improvement()
    if not stop:
        estimator._no_improvement_count = 0
    if estimator.verbose:
        if not stop:
            assert schedule is not None
            rate = f"Setting learning rate to {schedule.lr(0):f}"
        else:
            rate = "Learning rate too small. Stopping." if isinstance(schedule, Adaptive) else "Stopping."
        print(f"{message} {rate}")
    return stop
