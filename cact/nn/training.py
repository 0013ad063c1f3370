"""The training loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._validate import Array, count, matrix
from .losses import Loss, SoftmaxCrossEntropy
from .network import Sequential
from .optimizers import Optimizer

__all__ = ["History", "evaluate", "train"]


@dataclass
class History:
    """What training did: one entry per epoch.

    Attributes
    ----------
    train_loss, train_accuracy : list of float
        Means over the epoch's samples, in training mode and while the weights changed.
    val_loss, val_accuracy : list of float
        After the epoch, in inference mode; empty without a validation set.  Accuracies are
        shares of 1, and empty unless the targets are classes.
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """The number of epochs done."""
        return len(self.train_loss)


class _Mean:
    """Loss and accuracy over batches, weighted by their samples."""

    def __init__(self) -> None:
        self.samples, self.loss, self.correct = 0, 0.0, 0

    def add(self, loss: float, output: Array, target: Array) -> None:
        self.samples += len(target)
        self.loss += loss * len(target)
        if target.dtype.kind in "iu":
            self.correct += int(np.count_nonzero(output.argmax(axis=1) == target))

    def result(self) -> tuple[float, float]:
        return self.loss / self.samples, self.correct / self.samples


def _check(network: Sequential, loss: Loss, X: Any, y: Any, where: str) -> None:
    """Refuse data that would fail later, before anything is computed."""
    matrix(where, "X", X)
    if network.dtype is not None and X.dtype != network.dtype:
        raise TypeError(f"{where}: X must be {network.dtype}, as the network is, got {X.dtype}")
    if network.n_in is not None and X.shape[1] != network.n_in:
        raise ValueError(
            f"{where}: X must have {network.n_in} features, as the network has, got {X.shape[1]}"
        )
    if not np.isfinite(X).all():
        row, column = np.argwhere(~np.isfinite(X))[0]
        raise ValueError(f"{where}: X must be finite, got {X[row, column]} in row {row}, column {column}")
    try:
        loss.check(y, (len(X), network.n_out or X.shape[1]), X.dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from None


def _finite(value: float, network: Sequential, when: str) -> float:
    if math.isfinite(value):
        return value
    for i, (layer, output) in enumerate(zip(network.layers, network.outputs)):
        if not np.isfinite(output).all():
            raise FloatingPointError(
                f"{when}: loss is {value}; the first output not finite is layer {i}'s, {layer}"
            )
    raise FloatingPointError(f"{when}: loss is {value}, though every layer's output is finite")


def _batches(n: int, batch_size: int) -> Iterator[slice]:
    """Slices of `batch_size`; a single last row joins the batch before (BatchNorm needs two)."""
    start = 0
    while start < n:
        stop = start + batch_size
        if batch_size > 1 and stop == n - 1:
            stop = n
        yield slice(start, stop)
        start = stop


def evaluate(
    network: Sequential, X: Array, y: Array, *, loss: Loss | None = None, batch_size: int = 1024
) -> tuple[float, float]:
    """Mean loss and accuracy in inference mode.

    Parameters
    ----------
    network : Sequential
    X : ndarray of shape (samples, features), dtype of the network
    y : ndarray of shape (samples,)
        Classes.
    loss : Loss, default SoftmaxCrossEntropy()
    batch_size : int, default 1024

    Returns
    -------
    loss, accuracy : float
        The accuracy is a share of 1 (0 unless the targets are classes).

    Raises
    ------
    ValueError, TypeError
        For data that do not fit the network or each other, or are not finite.
    FloatingPointError
        If the loss is not finite; names the first layer whose output is not.
    """
    loss = SoftmaxCrossEntropy() if loss is None else loss
    _check(network, loss, X, y, "evaluate")
    return _evaluate(network, loss, X, y, count("evaluate", "batch_size", batch_size), "evaluate")


def _evaluate(
    network: Sequential, loss: Loss, X: Array, y: Array, batch_size: int, when: str
) -> tuple[float, float]:
    mean = _Mean()
    with np.errstate(all="ignore"):
        for start in range(0, len(X), batch_size):
            rows = slice(start, start + batch_size)
            output = network.forward(X[rows])
            mean.add(_finite(loss.forward(output, y[rows]), network, when), output, y[rows])
    return mean.result()


def train(
    network: Sequential,
    X: Array,
    y: Array,
    *,
    optimizer: Optimizer,
    loss: Loss | None = None,
    epochs: int,
    batch_size: int,
    rng: Any = None,
    validation: tuple[Array, Array] | None = None,
    callback: Callable[[int, Sequential, History], Any] | None = None,
) -> History:
    """Train a network on shuffled batches.

    The same seeds give the same weights to the bit, on one machine with one number of BLAS
    threads.

    Parameters
    ----------
    network : Sequential
    X : ndarray of shape (samples, features), dtype of the network
    y : ndarray of shape (samples,)
        Classes, 0 to n_out - 1.
    optimizer : Optimizer
        Of this network.
    loss : Loss, default SoftmaxCrossEntropy()
    epochs, batch_size : int
        The last batch of an epoch may be smaller; a single last row joins the batch before.
    rng : numpy.random.Generator, int or None
        Shuffles the samples before each epoch.
    validation : (X, y), optional
        Evaluated after each epoch.
    callback : callable, optional
        ``callback(epoch, network, history)`` after each epoch, counted from 0; training ends
        if it returns True.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        For data that do not fit the network or each other, or are not finite; for `epochs`
        or `batch_size` below 1; for an optimiser of another network.
    FloatingPointError
        If a loss is not finite; names epoch and step, both from 0, and the first layer whose
        output is not finite.
    """
    loss = SoftmaxCrossEntropy() if loss is None else loss
    if getattr(optimizer, "network", None) is not network:
        raise ValueError("train: the optimizer is not one of this network")
    epochs, batch_size = count("train", "epochs", epochs), count("train", "batch_size", batch_size)
    _check(network, loss, X, y, "train")
    if validation is not None:
        if not isinstance(validation, (tuple, list)) or len(validation) != 2:
            raise TypeError("train: validation must be a pair (X, y)")
        _check(network, loss, *validation, "train: validation")
    rng = np.random.default_rng(rng)
    history = History()
    for epoch in range(epochs):
        order, mean = rng.permutation(len(X)), _Mean()
        # a diverging network is reported by its loss, not by NumPy's warnings
        with np.errstate(all="ignore"):
            for step, rows in enumerate(_batches(len(X), batch_size)):
                when = f"epoch {epoch}, step {step}"
                target = y[order[rows]]
                try:
                    output = network.forward(X[order[rows]], training=True)
                except FloatingPointError as error:
                    raise FloatingPointError(f"{when}: {error}") from None
                mean.add(_finite(loss.forward(output, target), network, when), output, target)
                network.backward(loss.backward())
                optimizer.step()
        classes = y.dtype.kind in "iu"
        train_loss, train_accuracy = mean.result()
        history.train_loss.append(train_loss)
        if classes:
            history.train_accuracy.append(train_accuracy)
        if validation is not None:
            when = f"epoch {epoch}, validation"
            val_loss, val_accuracy = _evaluate(network, loss, *validation, max(batch_size, 1024), when)
            history.val_loss.append(val_loss)
            if classes:
                history.val_accuracy.append(val_accuracy)
        if callback is not None and callback(epoch, network, history) is True:
            break
    return history
