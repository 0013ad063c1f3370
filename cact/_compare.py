"""The main job: train the same network with each activation, and say what can be told apart."""

from __future__ import annotations

import math
import operator
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _backend, _lookup, _registry, diagnose, nn
from ._activation import Activation
from ._comparison import Comparison, Run
from ._lookup import get, names
from ._need import need
from ._shaped import RowActivation
from .nn._validate import FRACTION, POSITIVE, count, real

__all__ = ["Comparison", "Configuration", "Run", "compare", "configurations"]

Array: TypeAlias = npt.NDArray[Any]

#: Learning rates that suit standardised data and networks of this size.
LEARNING_RATES = {"sgd": 0.005, "adam": 0.001}
MOMENTUM = 0.9
#: A run has converged where it has come so far from chance to the best accuracy on its split.
CONVERGED = 0.95
#: Diagnostics look at so many rows of the training part, at most.
REFERENCE_ROWS = 1000


# ---------------------------------------------------------------------- what is compared
@dataclass(frozen=True)
class Configuration:
    """An activation, and the normalisation in front of it (None or ``"batch"``)."""

    activation: Activation
    normalization: str | None = None

    @property
    def label(self) -> str:
        """Such as ``"leaky_relu(negative_slope=0.2) + batch norm"``."""
        f = self.activation
        default = type(f)(f._record, {}, f._functions).params
        changed = [f"{k}={v}" for k, v in f.params.items() if not np.array_equal(v, default[k])]
        return (
            f.name
            + (f"({', '.join(changed)})" if changed else "")
            + (" + batch norm" if self.normalization else "")
        )


#: What is compared by default: the functions that most networks use.
USUAL = (
    *("identity", "sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "selu", "softplus"),
    *("silu", "gelu", "gelu_tanh", "mish"),
)


def configurations(activations: Sequence[Any] | None = None) -> list[Configuration]:
    """The configurations to compare, in the order of the catalogue.

    Parameters
    ----------
    activations : sequence, optional
        Each a name, an Activation or a pair of callables, as `cact.get` takes them; a name
        with ``"+bn"`` behind it, or ``(activation, "batch")``, has batch normalisation in
        front of each activation; ``"all"``: every elementwise function of `cact.names`.  By default
        the usual ones (identity is the linear baseline), and sigmoid with batch normalisation.

    Returns
    -------
    list of Configuration

    Raises
    ------
    ValueError, TypeError
        As `cact.get`; for a function that is not elementwise, the same configuration twice, none.
    """
    if activations is None:
        activations = [*USUAL, ("sigmoid", "batch")]
    if isinstance(activations, (str, Activation)):
        activations = [activations]
    if len(activations) == 1 and isinstance(activations[0], str) and activations[0] == "all":
        activations = [n for n in names() if get(n)._record.elementwise]
    found = [_configuration(a) for a in activations]
    if not found:
        raise ValueError("compare: there must be at least one activation")
    labels = [c.label for c in found]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"compare: {label} is given twice")
    order = names()
    return sorted(
        found,
        key=lambda c: order.index(c.activation.name) if c.activation.name in order else len(order),
    )


def _configuration(spec: Any) -> Configuration:
    normalization = None
    if isinstance(spec, Configuration):
        return spec
    if isinstance(spec, tuple) and len(spec) == 2 and spec[1] in (None, "batch"):
        spec, normalization = spec
    elif isinstance(spec, str) and spec.replace(" ", "").lower().endswith(("+bn", "+batchnorm")):
        spec, normalization = spec.rpartition("+")[0], "batch"
    f = get(spec)
    if not f._record.elementwise:
        how = "works on whole rows" if isinstance(f, RowActivation) else "changes the width of its layer"
        raise ValueError(f"compare: {f.name} {how}; only elementwise functions are compared")
    return Configuration(f, normalization)


# ---------------------------------------------------------------------- doing it
def compare(
    X: Any,
    y: Any,
    activations: Sequence[Any] | None = None,
    depths: Sequence[int] = (3, 10),
    repeats: int = 5,
    *,
    width: int = 64,
    epochs: int = 50,
    batch_size: int = 32,
    optimizer: str = "sgd",
    lr: float | None = None,
    test_size: float = 0.25,
    seed: int = 0,
    n_jobs: int = 1,
    progress: bool = True,
    description: str = "",
) -> Comparison:
    """Train the same classifier with each activation, and say which ones can be told apart.

    Everything but the activation is the same for all: the network (`depths` hidden layers of
    `width`), the splits (stratified; features standardised by their training part) and the
    seeds.  Each repeat has a split and a seed of its own.  The initial weights suit the
    activation (`cact.nn.init.for_activation`).

    Parameters
    ----------
    X : array_like of shape (rows, features)
        Finite numbers.
    y : array_like of shape (rows,)
        Class labels, at least 2 rows each.
    activations : sequence, optional
        As `configurations` takes them; by default the usual functions, and sigmoid with
        batch normalisation.
    depths : sequence of int, default (3, 10)
    repeats : int, default 5
        One repeat trains, but has no spread to judge by.
    width, epochs, batch_size : int
    optimizer : {"sgd", "adam"}
        SGD has momentum 0.9.
    lr : float, optional
        The learning rate; by default 0.005 for SGD, 0.001 for Adam.
    test_size : float, default 0.25
        The share of the rows that is kept for testing.
    seed : int, default 0
        The same seed gives the same numbers, whatever `n_jobs` is.
    n_jobs : int, default 1
        Processes, as joblib counts them (-1: one per CPU); each computes with one BLAS
        thread.  A `joblib.parallel_config` around the call chooses another backend.
    progress : bool, default True
        Show a progress bar on standard error.
    description : str, optional
        The data in a line, for the report.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError, TypeError
        For data that do not fit, an unknown activation, a number out of range.
    ModuleNotFoundError
        Without the extra ``cact[learn]``.

    Examples
    --------
    >>> import cact
    >>> from sklearn.datasets import load_iris
    >>> result = cact.compare(*load_iris(return_X_y=True), ["relu", "gelu"], depths=[2], progress=False)
    >>> print(result.table())  # doctest: +SKIP
    """
    need("sklearn", "joblib", "tqdm", "threadpoolctl")
    chosen = configurations(activations)
    X, y, description = _checked(X, y, description)
    depths = [count("compare", "depths", d) for d in np.ravel(depths).tolist()]
    if not depths or len(set(depths)) < len(depths):
        raise ValueError(f"compare: depths must be different numbers, got {depths}")
    if optimizer not in LEARNING_RATES:
        raise ValueError(f"compare: optimizer must be 'sgd' or 'adam', got {optimizer!r:.60}")
    try:
        operator.index(seed)
    except TypeError:
        raise TypeError(f"compare: seed must be an integer, got {seed!r:.60}") from None
    if seed < 0:
        raise ValueError(f"compare: seed must be at least 0, got {seed}")
    settings: dict[str, Any] = {
        "repeats": count("compare", "repeats", repeats),
        "width": count("compare", "width", width),
        "epochs": count("compare", "epochs", epochs),
        "batch_size": count("compare", "batch_size", batch_size),
        "optimizer": optimizer,
        "lr": real("compare", "lr", LEARNING_RATES[optimizer] if lr is None else lr, POSITIVE),
        "momentum": MOMENTUM if optimizer == "sgd" else None,
        "test_size": real("compare", "test_size", test_size, FRACTION),
        "seed": seed,
    }
    train, test = _split(y, 0, settings)  # its errors come before any work
    settings |= {"train_rows": len(train), "test_rows": len(test)}
    tasks = [
        _Task(X, y, c, depth, repeat, settings, _backend.active())
        for depth in sorted(depths, reverse=True)  # the long ones first
        for c in chosen
        for repeat in range(settings["repeats"])
    ]
    labels = [c.label for c in chosen]
    runs = list(_execute(tasks, n_jobs, progress))
    runs.sort(key=lambda r: (depths.index(r.depth), labels.index(r.configuration), r.repeat))
    return Comparison(description, labels, depths, settings, _with_epochs(runs, y, settings))


def _checked(X: Any, y: Any, description: str) -> tuple[Array, Array, str]:
    try:
        X = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError("compare: X must be numbers") from None
    y = np.asarray(y)
    if X.ndim != 2 or not X.shape[1]:
        raise ValueError(f"compare: X must have shape (rows, features), got {X.shape}")
    if y.shape != X.shape[:1]:
        raise ValueError(f"compare: y must have shape ({len(X)},), got {y.shape}")
    bad = np.argwhere(~np.isfinite(X))
    if len(bad):
        row, column = bad[0]
        raise ValueError(f"compare: X must be finite, got {X[row, column]} in row {row}, column {column}")
    labels, y = np.unique(y, return_inverse=True)
    if len(labels) < 2:
        raise ValueError("compare: y must have at least two classes")
    counts = np.bincount(y)
    if counts.min() < 2:
        label = labels[int(counts.argmin())]
        raise ValueError(f"compare: class {label} has one row, at least 2 are needed")
    words = f"{X.shape[0]} rows, {X.shape[1]} feature{'s' * (X.shape[1] > 1)}, {len(labels)} classes"
    return X, y, description or words


@dataclass(frozen=True)
class _Task:
    """All that one run needs, so that it can be sent to another process."""

    X: Array
    y: Array
    configuration: Configuration
    depth: int
    repeat: int
    settings: dict[str, Any]
    backend: str

    def __getstate__(self) -> dict[str, Any]:
        """Functions that `cact.register` entered here are unknown there: their record goes along."""
        f = self.configuration.activation
        state = dict(vars(self))
        if f._record.registered:
            state["configuration"] = (f._record, dict(f.params), self.configuration.normalization)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if isinstance(state["configuration"], tuple):
            record, params, normalization = state["configuration"]
            _registry.add(record, replace=True)
            _lookup._activations.pop(record.name, None)
            state["configuration"] = Configuration(get(record.name, **params), normalization)
        self.__dict__.update(state)


def _execute(tasks: list[_Task], n_jobs: int, progress: bool) -> Iterator[Run]:
    """The runs, as they are done, with a progress bar."""
    import joblib
    from tqdm import tqdm

    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator", batch_size=1)
    runs = parallel(joblib.delayed(_train)(task) for task in tasks)
    pause = 0.1 if sys.stderr.isatty() else 10.0  # seconds between lines in a log
    with tqdm(total=len(tasks), unit="run", disable=not progress, mininterval=pause) as bar:
        for run in runs:
            bar.update()
            bar.set_postfix_str(f"depth {run.depth}, {run.configuration}", refresh=False)
            yield run


def _seeds(repeat: int, settings: dict[str, Any]) -> list[int]:
    """Seeds of split, initial weights and batches: of the repeat alone, so the same for all."""
    return [int(s) for s in np.random.SeedSequence([settings["seed"], repeat]).generate_state(3)]


def _split(y: Array, repeat: int, settings: dict[str, Any]) -> tuple[Array, Array]:
    """The rows for training and for testing."""
    from sklearn.model_selection import train_test_split

    try:
        train, test = train_test_split(
            np.arange(len(y)),
            test_size=settings["test_size"],
            stratify=y,
            random_state=_seeds(repeat, settings)[0],
        )
    except ValueError as error:
        raise ValueError(f"compare: too few rows to split: {error}") from None
    return train, test


def _standardised(X: Array, train: Array, test: Array) -> tuple[Array, Array]:
    """Both parts with the training part's means and variances taken out, as float32."""
    parts = X[train], X[test]
    largest = np.abs(parts[0]).max(axis=0)
    scale = np.where(largest > 0, largest, 1.0)  # no overflow in the squares
    mean = (parts[0] / scale).mean(axis=0)
    std = (parts[0] / scale).std(axis=0)
    std[std < 1e-12] = 1.0  # a constant column
    limit = 1e6  # a test row may be far from all training rows, but stays finite
    with np.errstate(over="ignore"):
        first, second = (np.clip((part / scale - mean) / std, -limit, limit) for part in parts)
    return first.astype(np.float32), second.astype(np.float32)


def _train(task: _Task) -> Run:
    """One run."""
    from threadpoolctl import threadpool_limits

    # small products: threads gain nothing, and one thread gives the same bits everywhere
    with threadpool_limits(1, user_api="blas"), _backend.use_backend(task.backend):
        return _run(task)


def _run(task: _Task) -> Run:
    c, settings = task.configuration, task.settings
    train, test = _split(task.y, task.repeat, settings)
    X, X_test = _standardised(task.X, train, test)
    y, y_test = task.y[train], task.y[test]
    _, init_seed, batch_seed = _seeds(task.repeat, settings)

    def build() -> nn.Sequential:
        sizes = [X.shape[1], *[settings["width"]] * task.depth, int(task.y.max()) + 1]
        return nn.mlp(sizes, c.activation, normalization=c.normalization, rng=init_seed)

    flow = _gradient_flow(build(), X[:REFERENCE_ROWS], y[:REFERENCE_ROWS])
    network = build()
    lr = settings["lr"]
    optimizer = nn.SGD(network, lr, MOMENTUM) if settings["optimizer"] == "sgd" else nn.Adam(network, lr)
    recorded = [nn.History()]
    diverged = dead = saturated = None
    start = time.perf_counter()
    try:
        nn.train(
            network,
            X,
            y,
            optimizer=optimizer,
            epochs=settings["epochs"],
            batch_size=settings["batch_size"],
            rng=batch_seed,
            validation=(X_test, y_test),
            callback=lambda epoch, network, history: recorded.append(history),
        )
        seconds = time.perf_counter() - start
        train_accuracy = nn.evaluate(network, X, y)[1]
        test_accuracy = recorded[-1].val_accuracy[-1]
        dead, saturated = _health(network, X[:REFERENCE_ROWS])
    except FloatingPointError as error:
        seconds = time.perf_counter() - start
        diverged = str(error)
        train_accuracy, test_accuracy = (float(np.mean(part == _majority(y))) for part in (y, y_test))
    return Run(
        configuration=c.label,
        activation=c.activation.name,
        normalization=c.normalization,
        depth=task.depth,
        repeat=task.repeat,
        test_accuracy=test_accuracy,
        train_accuracy=train_accuracy,
        epochs_to_converge=None,  # needs all the runs on this split: see _with_epochs
        gradient_flow=flow,
        dead=dead,
        saturated=saturated,
        seconds=seconds,
        train_loss=recorded[-1].train_loss,
        test_curve=recorded[-1].val_accuracy,
        diverged=diverged,
    )


def _majority(y: Array) -> int:
    return int(np.bincount(y).argmax())


def _gradient_flow(network: nn.Sequential, X: Array, y: Array) -> list[float]:
    """Of a fresh network; in training mode, since batch norm has seen no batch yet."""
    loss = nn.SoftmaxCrossEntropy()
    with np.errstate(all="ignore"):
        loss.forward(network.forward(X, training=True), y)
        network.backward(loss.backward())
        return diagnose.gradient_flow([layer.dz for layer in network.activations if layer.dz is not None])


def _health(network: nn.Sequential, X: Array) -> tuple[float, float]:
    """Dead units and saturated elements over all hidden layers, in percent."""
    network.forward(X)
    dead, saturated = [], []
    for layer in network.activations:
        f, z = layer.function, layer.z
        assert z is not None
        dead.append(100 * float(np.mean(diagnose.dead_units(f, z))))
        saturated.append(diagnose.saturated(f, z))
    return float(np.mean(dead)), float(np.mean(saturated))


def _with_epochs(runs: list[Run], y: Array, settings: dict[str, Any]) -> list[Run]:
    """The runs with `epochs_to_converge`, for which the best run on each split is the measure."""
    targets = []
    for repeat in range(settings["repeats"]):
        train, test = _split(y, repeat, settings)
        chance = float(np.mean(y[test] == _majority(y[train])))
        best = max(r.test_accuracy for r in runs if r.repeat == repeat)
        targets.append(chance + CONVERGED * (best - chance) if best > chance else math.inf)

    def first(run: Run) -> int | None:
        if run.diverged is not None:
            return None
        reached = (i for i, a in enumerate(run.test_curve, 1) if a >= targets[run.repeat])
        return next(reached, None)

    return [replace(run, epochs_to_converge=first(run)) for run in runs]
