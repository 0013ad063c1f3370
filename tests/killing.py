"""Trainings in processes that are killed again and again: ``python killing.py TASK FOLDER``.

Prints how often the training was killed, and hashes of what became of it and of one that was not.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cact import nn
from cact.nn import training

KILLS, BY_THE_CLOCK = 20, 5


def data(n: int = 120) -> tuple[Any, Any]:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((n, 4))
    return X, X[:, 0] * X[:, 1] + 0.1 * rng.standard_normal(n)


def digest(*results: Any) -> str:
    return hashlib.blake2b(
        b"".join(r.tobytes() if isinstance(r, np.ndarray) else repr(r).encode() for r in results)
    ).hexdigest()


def network(path: Path | None) -> str:
    """Adam with a schedule, batch normalisation, dropout, a validation set."""
    X, y = data()
    classes = (y > 0).astype(int)
    net = nn.mlp((4, 8, 8, 2), "prelu", normalization="batch", dropout=0.2, rng=0, dtype=np.float64)
    optimizer = nn.Adam(net, nn.schedules.Cosine(0.01, 400))
    history = nn.train(
        net, X, classes, optimizer=optimizer, epochs=25, batch_size=8, rng=1, validation=(X, classes),
        checkpoint=None if path is None else nn.Checkpoint(path, every=3),
    )  # fmt: skip
    return digest(vars(history), net.predict(X), *optimizer.state.values(), optimizer.lr)


def estimator(path: Path | None) -> str:
    """Momentum with an adaptive rate, early stopping, dropout."""
    import warnings

    from cact.sklearn import MLPRegressor

    warnings.simplefilter("ignore")
    X, y = data()
    model = MLPRegressor(
        hidden_layer_sizes=(8, 8), activation=["gelu", "tanh"], solver="sgd", learning_rate="adaptive",
        learning_rate_init=0.02, early_stopping=True, n_iter_no_change=4, max_iter=25, batch_size=8,
        dropout=0.1, normalization="batch", random_state=0, checkpoint=path, checkpoint_every=path and 3,
    ).fit(X, y)  # fmt: skip
    curves = model.loss_curve_, model.validation_scores_, model.validation_loss_curve_, model.n_iter_
    return digest(curves, model.predict(X), *model.coefs_)


def attempt(train: Callable[[], str], out: Path, events: int = 0, delay: float = 0.0) -> bool:
    """Train in a process that is killed at some event, or after a time; whether it was."""
    child = os.fork()
    if not child:
        try:
            if events:
                doom(events)
            out.write_text(train())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if delay:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)  # not yet waited for, it is there in any case
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the training failed"
    return False


def doom(events: int) -> None:
    """Be killed at an event: before or after a step, a sync to the disk, a renaming."""
    left = [events]

    def tick() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def deadly(function: Any) -> Any:
        def call(*args: Any) -> Any:
            tick()
            result = function(*args)
            tick()
            return result

        return call

    os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)
    training.Trainer.step = deadly(training.Trainer.step)  # type: ignore[method-assign]


def main(task: str, folder: Path) -> None:
    train = {"network": network, "estimator": estimator}[task]
    if task == "estimator":
        import cact.sklearn  # noqa: F401  (once, not in each process)
    path, out = folder / "checkpoint", folder / "out"
    start = time.monotonic()
    attempt(lambda: train(None), out)
    whole, expected = time.monotonic() - start, out.read_text()
    out.unlink()
    chance, kills = random.Random(7), 0
    while kills < KILLS and attempt(lambda: train(path), out, events=chance.randint(1, 60)):
        kills += 1
    for _ in range(BY_THE_CLOCK):
        if not out.exists():
            attempt(lambda: train(path), out, delay=chance.uniform(0, whole / 4) + 1e-3)
    if not out.exists():
        attempt(lambda: train(path), out)
    print(json.dumps([kills, expected, out.read_text(), sorted(os.listdir(folder))]))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
