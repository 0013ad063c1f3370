"""The training loop."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from .. import _backend
from .._blas import limited
from .._threads import get_num_threads
from ._arrays import aligned, all_finite
from ._fused import FusedDense, fused
from ._validate import NON_NEGATIVE, Array, NonFiniteError, count, matrix, real
from .checkpoints import Checkpoint, Keeper, State, fingerprint, permutation, words
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

    def __init__(self, samples: int = 0, loss: float = 0.0, correct: int = 0) -> None:
        self.samples, self.loss, self.correct = samples, loss, correct

    def add(self, loss: float, output: Array, target: Array) -> None:
        self.samples += len(target)
        self.loss += loss * len(target)
        if target.dtype.kind in "iu":
            self.correct += int(np.count_nonzero(output.argmax(axis=1) == target))

    def result(self) -> tuple[float, float]:
        return self.loss / self.samples, self.correct / self.samples


def _check(network: Sequential, loss: Loss, X: Any, y: Any, where: str, sample_weight: Any = None) -> None:
    """Refuse data that would fail later, before anything is computed."""
    if not isinstance(loss, Loss):
        raise TypeError(f"{where}: loss must be a Loss, such as nn.SquaredError(), got {loss!r:.60}")
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
        loss.check(y, (len(X), network.n_out or X.shape[1]), X.dtype, sample_weight)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from None


def _not_finite(value: float, network: Sequential) -> NonFiniteError:
    """The error of a loss that is not finite: it names the layer where that began."""
    for i, (layer, output) in enumerate(zip(network.layers, network.outputs)):
        if not np.isfinite(output).all():
            return NonFiniteError(f"loss is {value}; the first output not finite is layer {i}'s, {layer}")
    return NonFiniteError(f"loss is {value}, though every layer's output is finite")


class _LastGood:
    """Copies of all that training changes, from when loss and gradient were last seen to be finite."""

    EVERY = 64  # steps: a copy costs about a fifth of an optimiser's step

    def __init__(self, network: Sequential, optimizer: Optimizer) -> None:
        self._network, self._optimizer = network, optimizer
        self.keep()

    def _arrays(self) -> Iterator[Array]:
        yield from self._network.learned()
        yield from self._optimizer.state.values()

    def keep(self) -> None:
        self._kept = [(array, array.copy()) for array in self._arrays()]
        self.steps = self._optimizer.steps

    def restore(self) -> None:
        self._network.flat()  # takes back what was put in place of its views
        for array, kept in self._kept:
            array[...] = kept
        self._optimizer.steps = self.steps


class Trainer:
    """The steps of training: what `train` and the estimators share.

    A context manager: inside it the layers and the loss write into the arrays of the step
    before, so a step allocates next to nothing, NumPy warns of nothing, and the matrix products
    take no more threads than `cact.set_num_threads` allows (with threadpoolctl).

    Parameters
    ----------
    network : Sequential
    loss : Loss
    optimizer : Optimizer, optional
        None where only gradients are asked for.

    Attributes
    ----------
    output : ndarray
        The network's output for the last batch; overwritten by the next.
    """

    output: Array

    def __init__(self, network: Sequential, loss: Loss, optimizer: Optimizer | None = None) -> None:
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self._steps = list(fused(network.layers))
        learns = [bool(step.params) for step in self._steps]
        # last layer first; dL/dx of a layer is wanted where one before it learns
        self._back = [(step, any(learns[:i])) for i, step in enumerate(self._steps)][::-1]
        self._parts: tuple[Any, ...] = (*network.layers, loss)
        self._kept: list[dict[str, Array]] = [{} for _ in self._parts]
        self._outputs: list[Array] = []
        self._checked = False
        if optimizer is not None:
            optimizer.state = {name: aligned(array) for name, array in optimizer.state.items()}
        self._good = None if optimizer is None else _LastGood(network, optimizer)

    def __enter__(self) -> Trainer:
        self.network.flat()  # takes over what was put in place of a parameter since
        with ExitStack() as inside:  # what fails here leaves nothing behind
            inside.enter_context(np.errstate(all="ignore"))  # what diverges is reported by its loss
            if _backend.active() == "c":  # products take no more threads than the kernels may
                inside.enter_context(limited(get_num_threads()))
            inside.callback(self._let_go)
            for part, kept in zip(self._parts, self._kept):
                part._kept = kept
            self._inside = inside.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._inside.close()
        self._list_outputs()

    def _let_go(self) -> None:
        """Layers and loss have arrays of their own again."""
        for part in self._parts:
            part._kept = None

    def _list_outputs(self) -> None:
        """Leave the network as its own forward does."""
        outputs: list[Array] = []
        for step, y in zip(self._steps, self._outputs):
            outputs += step.outputs() if isinstance(step, FusedDense) else [y]
        self.network.outputs = outputs or self.network.outputs

    def gradient(self, x: Array, target: Array, weight: Array | None = None) -> float:
        """The loss of a batch, already checked, whose gradients the network has afterwards.

        Raises
        ------
        NonFiniteError
            If the loss is not finite; names the layer.
        """
        network = self.network
        self._outputs = outputs = []
        for step in self._steps:
            if not self._checked:  # all batches have the features and the dtype of the first
                step._accept(x)
            x = step._forward(x, True)
            outputs.append(x)
        self._checked = True
        self.output = x
        value = self.loss._forward(x, target, weight)
        if not math.isfinite(value):
            self._list_outputs()
            raise _not_finite(value, network)
        dy: Any = self.loss._backward()
        for layer, wanted in self._back:
            dy = layer._backward(dy, wanted)
            if dy is None:
                break
        return value

    def check(self) -> None:
        """See to it that the last step left nothing that is not finite: no next one may notice it.

        Raises
        ------
        NonFiniteError
            As `step`, for parameters and running averages.
        """
        assert self._good is not None
        flat = self.network.flat()
        what = None
        if not all_finite(flat.values):
            what = flat.where(int(np.isfinite(flat.values).argmin()))
        for layer in self.network.layers:
            for name, buffer in layer.buffers.items():
                if what is None and not np.isfinite(buffer).all():
                    what = f"{name} of {layer}"
        if what is not None:
            self._good.restore()
            raise NonFiniteError(
                f"{what} is not finite (the weights are those after {self._good.steps} steps)"
            )

    def step(self, x: Array, target: Array, weight: Array | None = None) -> float:
        """One step of the optimiser on a batch; gives its loss before the step.

        Raises
        ------
        NonFiniteError
            If the loss or a gradient is not finite.  The weights, the optimiser's state and the
            running averages are then those of the last step that was kept, one in
            `_LastGood.EVERY`; the error says which.
        """
        assert self.optimizer is not None
        assert self._good is not None
        try:
            value = self.gradient(x, target, weight)
            # before the update: these weights have just given a finite loss
            if self.optimizer.steps % self._good.EVERY == 0:
                self._good.keep()
            self.optimizer.step()
        except NonFiniteError as error:
            self._good.restore()
            raise NonFiniteError(f"{error} (the weights are those after {self._good.steps} steps)") from None
        return value


def _is_true(answer: Any) -> bool:
    """Whether a callback says to stop: True, also NumPy's, but nothing else that counts as true."""
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


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
    NonFiniteError
        If the loss is not finite; names the first layer whose output is not.
    """
    loss = SoftmaxCrossEntropy() if loss is None else loss
    _check(network, loss, X, y, "evaluate")
    return _evaluate(network, loss, X, y, count("evaluate", "batch_size", batch_size), "evaluate")


def _evaluate(
    network: Sequential,
    loss: Loss,
    X: Array,
    y: Array,
    batch_size: int,
    when: str,
    weight: Array | None = None,
) -> tuple[float, float]:
    mean = _Mean()
    with np.errstate(all="ignore"):
        for start in range(0, len(X), batch_size):
            rows = slice(start, start + batch_size)
            output = network.forward(X[rows])
            value = loss._forward(output, y[rows], None if weight is None else weight[rows])
            if not math.isfinite(value):
                raise NonFiniteError(f"{when}: {_not_finite(value, network)}")
            mean.add(value, output, y[rows])
    return mean.result()


@dataclass
class _Loop:
    """Where `train` is: all that its loop changes beside the network and the optimiser."""

    began: int  # with so many steps of the optimiser
    epoch: int = 0
    step: int = 0  # of the epoch, done
    order: Array | None = None  # of the epoch's samples
    mean: _Mean = field(default_factory=_Mean)
    best: float = math.inf
    waited: int = 0
    history: History = field(default_factory=History)

    #: What a checkpoint keeps of it.
    FORM: ClassVar[dict[str, Any]] = {
        **dict.fromkeys(("began", "epoch", "step", "waited"), int),
        "best": float,
        "mean": {"samples": int, "loss": float, "correct": int},
        "history": {key: [float] for key in vars(History())},
    }

    def state(self) -> State:
        numbers = {**vars(self), "mean": vars(self.mean), "history": vars(self.history)}
        del numbers["order"]
        return numbers, {} if self.order is None or not self.step else {"order": self.order}

    def load(self, numbers: dict[str, Any], arrays: dict[str, Array]) -> None:
        vars(self).update(numbers, mean=_Mean(**numbers["mean"]), history=History(**numbers["history"]))
        self.order = arrays.get("order")


def _accept(
    room: tuple[int, int, int], steps: int, numbers: dict[str, Any], arrays: dict[str, Array]
) -> None:
    """ValueError unless numbers and arrays from a checkpoint are those of a `_Loop` here.

    Its room is so many epochs, batches and samples; the optimiser has done some steps.
    """
    epochs, batches, samples = room
    if numbers["began"] > steps:
        raise ValueError(
            f"its training began after {numbers['began']} steps of the optimizer, this one after {steps}"
        )
    if numbers["epoch"] >= epochs or numbers["step"] >= batches:
        raise ValueError(f"there is no step {numbers['step']} in epoch {numbers['epoch']}")
    if arrays.keys() != ({"order"} if numbers["step"] else set()):
        raise ValueError(f"its loop must have an order within an epoch, got {list(arrays)}")
    if "order" in arrays:
        permutation(arrays["order"], samples)


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
    sample_weight: Array | None = None,
    validation: tuple[Array, Array] | None = None,
    patience: int | None = None,
    tol: float = 1e-4,
    callback: Callable[[int, Sequential, History], Any] | None = None,
    checkpoint: Any = None,
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
    sample_weight : ndarray of shape (samples,), dtype of the network, optional
        Of each sample in its batch's mean; at least 0.
    validation : (X, y), optional
        Evaluated after each epoch.
    patience : int, optional
        After more than so many epochs in a row whose loss (of the validation set, if there is
        one) is not below the best one by `tol`, training ends, unless the optimiser's schedule
        has another rate to try (`cact.nn.schedules.Adaptive`).
    tol : float, default 1e-4
    callback : callable, optional
        ``callback(epoch, network, history)`` after each epoch, counted from 0; training ends
        if it returns True.  What the network and its layers keep of the last batch (`outputs`, `z`)
        is overwritten by the next epoch.
    checkpoint : str, path or Checkpoint, optional
        A file from which the same call goes on where training was killed, to the same bits.  It
        has all that `network`, `optimizer` and `rng` have become; what `callback` or a function as
        a schedule remembers is not in it.  Initial weights and the state of a Generator are not
        compared: the file's take their place.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        For data that do not fit the network or each other, or are not finite; for `epochs`
        or `batch_size` below 1; for an optimiser of another network; for a checkpoint of another
        training, or a file that is none.
    OSError
        If a checkpoint is there and cannot be read; one that cannot be written is a RuntimeWarning.
    NonFiniteError
        If a loss or a gradient is not finite; names epoch and step, both from 0, and the layer.
        The weights are the last good ones that were kept, at most 64 steps old, or the checkpoint's.
    """
    loss = SoftmaxCrossEntropy() if loss is None else loss
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"train: optimizer must be an Optimizer, such as nn.Adam(network, 1e-3), got {optimizer!r:.60}"
        )
    if optimizer.network is not network:
        raise ValueError("train: the optimizer is not one of this network")
    epochs, batch_size = count("train", "epochs", epochs), count("train", "batch_size", batch_size)
    _check(network, loss, X, y, "train", sample_weight)
    if validation is not None:
        if not isinstance(validation, (tuple, list)) or len(validation) != 2:
            raise TypeError("train: validation must be a pair (X, y)")
        _check(network, loss, *validation, "train: validation")
    patience = None if patience is None else count("train", "patience", patience)
    tol = real("train", "tol", tol, NON_NEGATIVE)
    given, rng = rng, np.random.default_rng(rng)
    batches = list(_batches(len(X), batch_size))
    loop, keeper = _Loop(optimizer.steps), None
    if checkpoint is not None:
        task = {
            **_settings(optimizer),
            "the loss": words(loss),
            "X": fingerprint(X),
            "y": fingerprint(y),
            "sample_weight": fingerprint(sample_weight),
            "validation": None if validation is None else list(map(fingerprint, validation)),
            **{"epochs": epochs, "batch_size": batch_size, "rng": words(given)},
            **{"patience": patience, "tol": tol},
        }
        keeper = Keeper(Checkpoint.of(checkpoint), task, optimizer, rng)
        accept = functools.partial(_accept, (epochs, len(batches), len(X)), optimizer.steps)
        found = keeper.resume(loop.FORM, accept)
        if found is not None:
            loop.load(*found)
        keeper.write(loop.state())
    history = loop.history
    trainer = Trainer(network, loss, optimizer)
    for epoch in range(loop.epoch, epochs):
        if loop.step == 0:
            loop.order, loop.mean = rng.permutation(len(X)), _Mean()
        order, mean = loop.order, loop.mean
        assert order is not None
        with trainer:
            for step, rows in enumerate(batches[loop.step :], loop.step):
                batch = order[rows]
                try:
                    value = trainer.step(
                        X[batch], y[batch], None if sample_weight is None else sample_weight[batch]
                    )
                except NonFiniteError as error:
                    raise NonFiniteError(f"epoch {epoch}, step {step}: {error}") from None
                mean.add(value, trainer.output, y[batch])
                if keeper is not None and keeper.step() and step + 1 < len(batches):
                    loop.step = step + 1
                    keeper.write(loop.state())
        try:
            trainer.check()
        except NonFiniteError as error:
            raise NonFiniteError(f"epoch {epoch}, step {len(batches) - 1}: {error}") from None
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
        schedule = optimizer.schedule
        if schedule is not None:
            schedule.epoch_ended(len(X) * (epoch + 1), train_loss)
        watched = train_loss if validation is None else history.val_loss[-1]
        loop.waited = loop.waited + 1 if watched > loop.best - tol else 0
        loop.best = min(loop.best, watched)
        done = callback is not None and _is_true(callback(epoch, network, history))
        if patience is not None and loop.waited > patience:
            loop.waited = 0
            done = schedule is None or schedule.no_improvement() or done
        if done:
            break
        loop.epoch, loop.step = epoch + 1, 0
        if keeper is not None and loop.epoch < epochs and keeper.epoch():
            keeper.write(loop.state())
    if keeper is not None:
        keeper.remove()
    return history


def _settings(optimizer: Optimizer) -> dict[str, str]:
    """What the arithmetic of an optimiser depends on; its rate where no schedule sets it."""
    changing = {"network", "schedule", "steps", "state", "lr"}
    settings = {k: v for k, v in vars(optimizer).items() if k not in changing and not k.startswith("_")}
    settings["lr"] = optimizer.lr if optimizer.schedule is None else optimizer.schedule
    kind = type(optimizer).__name__
    return {"the optimizer": kind, **{f"the optimizer's {k}": words(v) for k, v in settings.items()}}
