"""Checkpoints of the estimators' fits: killed or interrupted anywhere, a fit ends with the same bits."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors")
pytest.importorskip("sklearn")

import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import cact
from cact.nn import schedules, training
from cact.sklearn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(3)
X = RNG.standard_normal((60, 4))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
LETTERS = np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])]
WEIGHT = RNG.uniform(0.1, 2, 60)
FIT = {"X": X, "y": Y}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the disk; the processes that are killed do."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint"


def model(kind: Any = MLPClassifier, **changes: Any) -> Any:
    given = {"hidden_layer_sizes": (6, 5), "activation": "gelu", "max_iter": 6, "batch_size": 9}
    return kind(**{**given, "random_state": 0, **changes})


def bits(fitted: Any) -> list[Any]:
    """All that a fit leaves behind."""
    arrays = [
        a for layer in fitted.network_.layers for a in (*layer.params.values(), *layer.buffers.values())
    ]
    arrays += fitted._optimizer.state.values()
    curves = fitted.loss_curve_, fitted.validation_scores_, fitted.validation_loss_curve_, fitted.diagnostics_
    best = fitted.best_loss_, fitted.best_validation_score_, fitted.loss_, fitted.n_iter_, fitted.t_
    state = pickle.dumps(fitted._random_state.get_state())
    rate = fitted._optimizer.lr, fitted._optimizer.steps
    return [*(a.tobytes() for a in arrays), repr(curves), repr(best), rate, state, fitted.predict(X).tolist()]


class Interrupt:
    """Ctrl-C in some step, after its work is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch, self._step = monkeypatch, training.Trainer.step

    def fit(self, estimator: Any, at: int, **given: Any) -> Any:
        left = iter(range(at - 1))

        def step(trainer: training.Trainer, *batch: Any) -> float:
            value = self._step(trainer, *batch)
            if next(left, None) is None:
                raise KeyboardInterrupt
            return value

        with self._monkeypatch.context() as patched:
            patched.setattr(training.Trainer, "step", step)
            with pytest.warns(UserWarning, match="Training interrupted by user"):
                return estimator.fit(**given)


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Interrupt:
    return Interrupt(monkeypatch)


# ---------------------------------------------------------------------- the same bits
@pytest.mark.skipif(not hasattr(os, "fork") or not hasattr(signal, "SIGKILL"), reason="needs POSIX")
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """20 times at random steps, syncs and renamings, and some more by the clock; nothing is left behind."""
    script = Path(__file__).parents[1] / "killing.py"
    root = str(Path(cact.__file__).parents[1])
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, script, "estimator", tmp_path], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    kills, expected, found, left = json.loads(done.stdout)
    assert kills == 20
    assert found == expected
    assert left == ["out"]


STOP = {"early_stopping": True, "n_iter_no_change": 2}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "adam": ({}, FIT),
    "adam, dropout, batch norm": ({"dropout": 0.2, "normalization": "batch"}, FIT),
    "momentum, adaptive": (
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1, "max_iter": 12},
        FIT,
    ),
    "inverse scaling, in order": ({"solver": "sgd", "learning_rate": "invscaling", "shuffle": False}, FIT),
    "a schedule": ({"solver": "adamw", "learning_rate": schedules.Cosine(0.01, 40)}, FIT),
    "early stopping": ({**STOP, "normalization": "batch"}, FIT),
    "early stopping, several classes": ({**STOP, "solver": "rmsprop"}, {"X": X, "y": LETTERS}),
    "early stopping on a set": (STOP, {**FIT, "X_val": X[:20], "y_val": Y[:20]}),
    "weights": ({"class_weight": "balanced"}, {**FIT, "sample_weight": WEIGHT}),
    "sparse": ({"clip_norm": 0.5}, {"X": scipy.sparse.csr_array(X * (np.abs(X) > 1)), "y": Y}),
    "float32": ({"activation": "prelu"}, {"X": X.astype(np.float32), "y": Y}),
    "diagnostics": (
        {"diagnostics": True, "activation": ["relu", "softmax"]}, {**FIT, "X_val": X, "y_val": Y},
    ),
    "numbers": ({"kind": MLPRegressor, **STOP}, {"X": X, "y": X[:, 0] * X[:, 1]}),
    "several numbers": ({"kind": MLPRegressor, "loss": "huber"}, {"X": X, "y": X[:, :2]}),
}  # fmt: skip


@pytest.mark.parametrize("every", [None, 4], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_the_bits_of_a_fit_without_interruption(
    case: str, every: Any, path: Path, interrupt: Interrupt
) -> None:
    changes, given = CASES[case]
    expected = bits(model(**changes).fit(**given))
    saved = {"checkpoint": path, "checkpoint_every": every}
    for at in (1, 10, 9):
        stopped = interrupt.fit(model(**changes, **saved), at, **given)
        assert stopped.score(given["X"], given["y"]) > -np.inf, "it can be used"
        assert path.exists()
    assert bits(model(**changes, **saved).fit(**given)) == expected
    assert os.listdir(path.parent) == []


def test_without_a_seed(path: Path, interrupt: Interrupt) -> None:
    """The file has the initial weights, the split and the state of the generator."""
    parts = {"random_state": None, **STOP, "dropout": 0.1}
    interrupt.fit(model(**parts, checkpoint=path), 1, **FIT)
    content = path.read_bytes()
    ends = []
    for _ in range(2):
        path.write_bytes(content)
        ends.append(bits(model(**parts, checkpoint=path).fit(**FIT)))
    assert ends[0] == ends[1]
    assert ends[0] != bits(model(**parts).fit(**FIT))


def test_ctrl_c_and_fit_again(path: Path, interrupt: Interrupt, capsys: pytest.CaptureFixture[str]) -> None:
    for warm in (False, True):
        expected = bits(model(warm_start=warm).fit(**FIT))
        estimator = model(warm_start=warm, checkpoint=str(path), verbose=True)
        interrupt.fit(estimator, 17, **FIT)
        capsys.readouterr()
        assert bits(estimator.fit(**FIT)) == expected
        assert f"Training goes on from {path}, after 2 epochs\nIteration 3, " in capsys.readouterr().out


def test_warm_start(path: Path, interrupt: Interrupt) -> None:
    """A later fit goes on with the estimator as it was before it; a new one is refused."""
    whole = model(warm_start=True).fit(**FIT)
    expected = bits(whole.fit(**FIT))
    first = model(warm_start=True, checkpoint=path, checkpoint_every=4).fit(**FIT)
    before = pickle.dumps(first)
    interrupt.fit(first, 17, **FIT)
    assert path.exists()
    with pytest.raises(ValueError, match="its fit began after 6 epochs of fits before it"):
        clone(first).fit(**FIT)
    content = path.read_bytes()
    resumed = pickle.loads(before).fit(**FIT)
    assert bits(resumed) == expected
    path.write_bytes(content)
    assert bits(first.fit(**FIT)) == expected
    third = bits(whole.fit(**FIT))
    assert bits(pickle.loads(pickle.dumps(resumed)).fit(**FIT)) == third, "a copy knows the order of the rows"


def test_a_progress_bar_goes_on(path: Path, interrupt: Interrupt, capsys: pytest.CaptureFixture[str]) -> None:
    interrupt.fit(model(checkpoint=path), 17, **FIT)
    model(checkpoint=path, progress_bar=True).fit(**FIT)
    assert "6/6" in capsys.readouterr().err


# ---------------------------------------------------------------------- what cannot be written
def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    expected = bits(model().fit(**FIT))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(RuntimeWarning, match=f"{path} could not be written.*No space left") as caught:
        fitted = model(checkpoint=path, checkpoint_every=1).fit(**FIT)
    assert len([w for w in caught if w.category is RuntimeWarning]) == 1
    assert bits(fitted) == expected
    assert os.listdir(path.parent) == []


def test_an_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.warns(RuntimeWarning, match="could not be written: .*training goes on"):
        fitted = model(checkpoint=tmp_path / "file" / "checkpoint").fit(**FIT)
    assert bits(fitted) == bits(model().fit(**FIT))


# ---------------------------------------------------------------------- what is refused
OTHER: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "X": ({}, {"X": -X}, r"X was float64 \(60, 4\) with hash"),
    "y": ({}, {"y": 1 - Y}, "y was bool"),
    "sample_weight": ({}, {"sample_weight": WEIGHT}, "sample_weight was None"),
    "class_weight": ({"class_weight": {0: 2.0, 1: 1.0}}, {}, "class_weight was None, now"),
    "validation": ({}, {"X_val": X, "y_val": Y}, "X_val was None"),
    "alpha": ({"alpha": 0.1}, {}, "alpha was 0.0001, now it is 0.1"),
    "solver": ({"solver": "sgd"}, {}, "solver was 'adam', now it is 'sgd'"),
    "random_state": ({"random_state": 1}, {}, "random_state was 0, now it is 1"),
    "max_iter": ({"max_iter": 9}, {}, "max_iter was 6, now it is 9"),
    "activation": ({"activation": "mish"}, {}, r"layer 1 was Activation\(gelu\)"),
    "sizes": ({"hidden_layer_sizes": (6, 4)}, {}, r"layer 2 was Dense\(6, 5\)"),
    "estimator": ({"kind": MLPRegressor, "loss": "squared_error"}, {}, "the estimator was MLPClassifier"),
}


@pytest.mark.parametrize(("changes", "data", "words"), OTHER.values(), ids=OTHER)
def test_another_fit(
    changes: dict[str, Any], data: dict[str, Any], words: str, path: Path, interrupt: Interrupt
) -> None:
    interrupt.fit(model(checkpoint=path), 17, **FIT)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=f"{path}: .*another training.*{words}.*Remove this file"):
        model(**changes, checkpoint=path).fit(**{**FIT, **data})
    assert path.read_bytes() == content


def test_what_changes_nothing_may_differ(path: Path, interrupt: Interrupt) -> None:
    interrupt.fit(model(checkpoint=path), 17, **FIT)
    moved = path.with_name("moved")
    path.rename(moved)
    again = model(checkpoint=str(moved), checkpoint_every=2, warm_start=True, verbose=True)
    assert bits(again.fit(**FIT)) == bits(model().fit(**FIT))


def test_garbled(path: Path, interrupt: Interrupt) -> None:
    interrupt.fit(model(checkpoint=path, checkpoint_every=4, **STOP), 10, **FIT)
    good = path.read_bytes()
    bad = [good[:n] for n in (0, 7, 50, len(good) // 2, len(good) - 1)]
    replacements = [
        (rb"\"n_iter_\": 1", rb"\"n_iter_\": 9"), (rb"\"step\": 2", rb"\"step\": 9"),
        (rb"\"best_validation_score_\": 0", rb"\"best_validation_score_\": x"),
        (rb"\"epochs\": 2", rb"\"epochs\": z"), (rb"\"pos\": ", rb"\"pos\": 9"),
    ]  # fmt: skip
    for old, new in replacements:
        old, new = old.replace(rb"\"", b'\\"'), new.replace(rb"\"", b'\\"')
        assert old in good, old
        changed = good.replace(old, new)
        length = int.from_bytes(good[:8], "little") + len(changed) - len(good)
        bad.append(length.to_bytes(8, "little") + changed[8:])
    for content in bad:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=str(path)):
            model(checkpoint=path, checkpoint_every=4, **STOP).fit(**FIT)
    path.write_bytes(good)
    assert bits(model(checkpoint=path, **STOP).fit(**FIT)) == bits(model(**STOP).fit(**FIT))


def test_where_it_has_no_place(path: Path) -> None:
    with pytest.raises(ValueError, match="solver='lbfgs' does not support checkpoint: its memory"):
        model(solver="lbfgs", checkpoint=path).fit(**FIT)
    with pytest.raises(ValueError, match="partial_fit does not support checkpoint"):
        model(checkpoint=path).partial_fit(X, Y, classes=[0, 1])
    for wrong in ({"checkpoint": 3}, {"checkpoint_every": 0}, {"checkpoint_every": 0.5}):
        with pytest.raises(ValueError, match=f"'{next(iter(wrong))}' parameter"):
            model(**wrong).fit(**FIT)
    assert not path.exists()


def test_the_convergence_warning_is_that_of_a_whole_fit(path: Path, interrupt: Interrupt) -> None:
    interrupt.fit(model(checkpoint=path), 17, **FIT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning, match=r"Maximum iterations \(6\) reached"):
            model(checkpoint=path).fit(**FIT)
