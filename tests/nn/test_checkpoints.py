"""Checkpoints of `nn.train`: killed or interrupted anywhere, training ends with the same bits."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors")

import safetensors.numpy

import cact
from cact import nn
from cact.nn import checkpoints, training

RNG = np.random.default_rng(3)
X = RNG.standard_normal((50, 3)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
WEIGHT = RNG.uniform(0.1, 2, 50).astype(np.float32)
STEPS = 5 * 6  # epochs of six batches


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the disk; the processes that are killed do."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint"


def setup(**changes: Any) -> tuple[nn.Sequential, dict[str, Any]]:
    """A network and the arguments of its training."""
    network = nn.mlp(
        (3, 6, 6, 2), changes.pop("activation", "gelu"), normalization=changes.pop("normalization", None),
        dropout=changes.pop("dropout", 0.2), rng=0,
    )  # fmt: skip
    optimizer = changes.pop("optimizer", lambda net: nn.Adam(net, 0.01))(network)
    given = dict(X=X, y=Y, optimizer=optimizer, epochs=5, batch_size=9, rng=4)
    return network, given | changes


def bits(network: nn.Sequential, given: dict[str, Any], history: nn.History) -> list[Any]:
    """All that a training leaves behind."""
    arrays = [
        array for layer in network.layers for array in (*layer.params.values(), *layer.buffers.values())
    ]
    optimizer = given["optimizer"]
    schedule = optimizer.schedule and optimizer.schedule.state_dict()
    arrays += optimizer.state.values()
    rngs = [layer.rng.bit_generator.state for layer in network.layers if isinstance(layer, nn.Dropout)]
    return [
        *(a.tobytes() for a in arrays),
        optimizer.steps,
        optimizer.lr,
        schedule,
        repr(vars(history)),
        rngs,
    ]


def run(**changes: Any) -> list[Any]:
    network, given = setup(**changes)
    history = nn.train(network, given["X"], given["y"], **{k: given[k] for k in given.keys() - {"X", "y"}})
    return bits(network, given, history)


class Interrupt:
    """Ctrl-C in some step, after its work is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch, self._step = monkeypatch, training.Trainer.step

    def at(self, n: int) -> None:
        left = iter(range(n - 1))

        def step(trainer: training.Trainer, *batch: Any) -> float:
            value = self._step(trainer, *batch)
            if next(left, None) is None:
                raise KeyboardInterrupt
            return value

        self._monkeypatch.setattr(training.Trainer, "step", step)

    def off(self) -> None:
        self._monkeypatch.setattr(training.Trainer, "step", self._step)


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Interrupt:
    return Interrupt(monkeypatch)


def interrupted(interrupt: Interrupt, path: Path, *, at: int = 11, **changes: Any) -> None:
    """Leave the checkpoint of a training that was interrupted in a step."""
    interrupt.at(at)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=nn.Checkpoint(path, every=4), **changes)
    interrupt.off()
    assert path.exists()


# ---------------------------------------------------------------------- the same bits
@pytest.mark.skipif(not hasattr(os, "fork") or not hasattr(signal, "SIGKILL"), reason="needs POSIX")
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """20 times at random steps, syncs and renamings, and some more by the clock; nothing is left behind."""
    script = Path(__file__).parents[1] / "killing.py"
    root = str(Path(cact.__file__).parents[1])
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, script, "network", tmp_path], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    kills, expected, found, left = json.loads(done.stdout)
    assert kills == 20
    assert found == expected
    assert left == ["out"]


CASES: dict[str, dict[str, Any]] = {
    "adam, dropout": {},
    "sgd, momentum": {"optimizer": lambda net: nn.SGD(net, 0.05, momentum=0.9)},
    "rmsprop, batch norm": {"optimizer": lambda net: nn.RMSProp(net, momentum=0.5), "normalization": "batch"},
    "adamw, clipped": {"optimizer": lambda net: nn.AdamW(net, 0.01, clip_norm=0.1), "sample_weight": WEIGHT},
    "warm-up of an adaptive rate, patience": {
        "optimizer": lambda net: nn.SGD(net, nn.schedules.WarmUp(nn.schedules.Adaptive(0.05), 20)),
        "patience": 1, "tol": 0.5, "validation": (X[:20], Y[:20]),
    },
    "inverse scaling": {"optimizer": lambda net: nn.SGD(net, nn.schedules.InverseScaling(0.05))},
    "learnable, selu's dropout": {"activation": ["prelu", "selu"]},
    "a squared error": {"loss": nn.SquaredError(), "y": np.stack([X[:, 0], X[:, 1]], axis=1)},
    "one batch an epoch": {"batch_size": 50, "epochs": 30},
    "a generator of another kind": {"rng": np.random.Generator(np.random.MT19937(3))},
}  # fmt: skip


@pytest.mark.parametrize("every", [None, 4, timedelta(microseconds=1)], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_the_bits_of_a_training_without_interruption(
    case: str, every: Any, path: Path, interrupt: Interrupt
) -> None:
    def fresh() -> dict[str, Any]:
        changes = dict(CASES[case])
        if "rng" in changes:
            changes["rng"] = np.random.Generator(np.random.MT19937(3))
        return changes

    expected = run(**fresh())
    for at in (1, 10, 6, 13):  # steps of each attempt; the third's is the last of an epoch
        interrupt.at(at)
        with pytest.raises(KeyboardInterrupt):
            run(checkpoint=nn.Checkpoint(path, every), **fresh())
        assert path.exists()
    interrupt.off()
    assert run(checkpoint=nn.Checkpoint(path, every), **fresh()) == expected
    assert os.listdir(path.parent) == []


def test_goes_on_where_it_was(path: Path, interrupt: Interrupt, caplog: pytest.LogCaptureFixture) -> None:
    interrupted(interrupt, path, at=16)
    steps = []
    caplog.set_level(logging.INFO, "cact")
    original = training.Trainer.step
    interrupt._monkeypatch.setattr(
        training.Trainer, "step", lambda self, *batch: (steps.append(1), original(self, *batch))[1]
    )
    run(checkpoint=path)
    # 16 is interrupted; the one at 12 is due at the end of an epoch
    assert len(steps) == STEPS - 12
    assert [record.getMessage() for record in caplog.records] == [
        f"training goes on from {path}, after 12 steps"
    ]


def test_ctrl_c_and_go_on_with_the_same_objects(path: Path, interrupt: Interrupt) -> None:
    """The network can be used after the interruption, and the same call goes on."""
    expected = run()
    network, given = setup(checkpoint=nn.Checkpoint(path, every=4))
    data = given.pop("X"), given.pop("y")
    interrupt.at(16)
    with pytest.raises(KeyboardInterrupt):
        nn.train(network, *data, **given)
    interrupt.off()
    assert np.isfinite(network.predict(X)).all()
    history = nn.train(network, *data, **given)
    assert bits(network, given, history) == expected


def test_a_finished_training_leaves_no_file(path: Path) -> None:
    expected = run()
    assert run(checkpoint=path) == expected
    assert not path.exists()
    assert run(checkpoint=str(path), patience=1, tol=9.0) == run(patience=1, tol=9.0)
    assert not path.exists()


def test_the_first_is_written_before_the_first_step(path: Path, interrupt: Interrupt) -> None:
    expected = run()
    interrupt.at(1)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=path)
    content = safetensors.numpy.load_file(path)
    untouched = setup()[0]
    assert content["network.0.weight"].tobytes() == untouched.layers[0].params["weight"].tobytes()
    interrupt.off()
    assert run(checkpoint=path) == expected


def test_writes_when_due(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many steps; at the end of an epoch where that is its last; after so much time."""
    written: list[tuple[int, int]] = []
    now = [0.0]

    def write(keeper: checkpoints.Keeper, loop: Any) -> None:
        written.append((loop[0]["epoch"], loop[0]["step"]))
        keeper._steps, keeper._time = 0, now[0]

    monkeypatch.setattr(checkpoints.Keeper, "write", write)
    step = training.Trainer.step

    def slow(trainer: training.Trainer, *batch: Any) -> float:
        now[0] += 1
        return step(trainer, *batch)

    monkeypatch.setattr(training.Trainer, "step", slow)
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    run(checkpoint=path)
    assert written == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]
    for every in (4, timedelta(seconds=4)):
        written.clear()
        run(checkpoint=nn.Checkpoint(path, every))
        assert written == [(0, 0), (0, 4), (1, 2), (2, 0), (2, 4), (3, 2), (4, 0), (4, 4)]


def test_layers_may_share_a_generator(path: Path, interrupt: Interrupt) -> None:
    def one() -> list[Any]:
        rng = np.random.default_rng(8)
        network = nn.Sequential(
            nn.Dense(3, 5, rng=rng), nn.Dropout(0.3, rng), nn.Dense(5, 5, rng=rng), nn.Dropout(0.3, rng),
            nn.Dense(5, 2, rng=rng),
        )  # fmt: skip
        given = {"optimizer": nn.SGD(network, 0.1)}
        history = nn.train(
            network, X, Y, **given, epochs=3, batch_size=9, rng=rng, checkpoint=nn.Checkpoint(path, 1)
        )
        return bits(network, given, history)

    expected = one()
    interrupt.at(8)
    with pytest.raises(KeyboardInterrupt):
        one()
    interrupt.off()
    assert one() == expected


def test_own_layers_and_functions(path: Path, interrupt: Interrupt) -> None:
    """Named without their address, which is another one after a restart."""

    class Scale(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self._add("scale", np.ones(1, np.float32))

        def _forward(self, x: Any, training: bool) -> Any:
            self._x = x
            return x * self.params["scale"]

        def _backward(self, dy: Any, wanted: bool) -> Any:
            self.grads["scale"][...] = (dy * self._x).sum()
            return dy * self.params["scale"]

    def one() -> list[Any]:
        pair = (lambda x: x * x, lambda x: 2 * x)
        network = nn.Sequential(nn.Dense(3, 4, rng=0), nn.Activation(pair), Scale(), nn.Dense(4, 2, rng=1))
        given = {"optimizer": nn.SGD(network, lambda step: 0.1 / (1 + step))}
        history = nn.train(
            network, X, Y, **given, epochs=3, batch_size=9, rng=2, checkpoint=nn.Checkpoint(path, 1)
        )
        return bits(network, given, history)

    expected = one()
    interrupt.at(8)
    with pytest.raises(KeyboardInterrupt):
        one()
    interrupt.off()
    assert one() == expected


# ---------------------------------------------------------------------- what cannot be written
def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk(call: str, path: Path, interrupt: Interrupt, monkeypatch: pytest.MonkeyPatch) -> None:
    """One warning; the checkpoint before stays as it was; training goes on, to the same bits."""
    expected = run()
    interrupted(interrupt, path)
    content = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        interrupt.at(5)
        with (
            pytest.warns(RuntimeWarning, match=f"{path} could not be written.*No space left") as caught,
            pytest.raises(KeyboardInterrupt),
        ):
            run(checkpoint=nn.Checkpoint(path, 1))
        assert len(caught) == 1
        interrupt.off()
        assert path.read_bytes() == content
        assert os.listdir(path.parent) == [path.name]
        with pytest.warns(RuntimeWarning, match="No space left"):
            assert run(checkpoint=nn.Checkpoint(path, 1)) == expected


def test_space_again(path: Path, interrupt: Interrupt, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tries again: what comes after the failure is written, and goes on."""
    expected = run()
    fsync, failures = os.fsync, iter(range(3))
    monkeypatch.setattr(os, "fsync", lambda handle: fsync(handle) if next(failures, None) is None else full())
    interrupt.at(20)
    with pytest.warns(RuntimeWarning, match="No space left"), pytest.raises(KeyboardInterrupt):
        run(checkpoint=nn.Checkpoint(path, 1))
    assert path.exists()
    interrupt.off()
    assert run(checkpoint=nn.Checkpoint(path, 1)) == expected


def test_an_unwritable_folder(tmp_path: Path) -> None:
    """Reported before the first step; a file as the folder is unwritable for everyone."""
    (tmp_path / "file").write_text("mine")
    expected = run()
    stop = RuntimeError("a step")
    network, given = setup(checkpoint=tmp_path / "file" / "checkpoint")
    for place in (tmp_path / "file", tmp_path / "missing"):
        with pytest.warns(RuntimeWarning, match="could not be written: .*; training goes on") as caught:
            assert run(checkpoint=place / "checkpoint") == expected
        assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(training.Trainer, "step", lambda *_: (_ for _ in ()).throw(stop))
            with pytest.raises(RuntimeWarning, match="could not be written"):
                nn.train(network, given.pop("X"), given.pop("y"), **given)
    assert (tmp_path / "file").read_text() == "mine"


def test_weights_that_are_not_finite_are_not_written(path: Path) -> None:
    """The checkpoint is still the one before the divergence."""
    with pytest.raises(nn.NonFiniteError):
        run(optimizer=lambda net: nn.SGD(net, 1e38), checkpoint=nn.Checkpoint(path, 1))
    for name, array in safetensors.numpy.load_file(path).items():
        assert np.isfinite(array).all(), name


# ---------------------------------------------------------------------- what is refused
OTHER: dict[str, tuple[dict[str, Any], str]] = {
    "X": ({"X": X + np.float32(1)}, r"X was float32 \(50, 3\) with hash \w+, now it is float32 \(50, 3\)"),
    "y": ({"y": 1 - Y}, "y was int64"),
    "rows": ({"X": X[:40], "y": Y[:40]}, r"X was .*\(50, 3\).* now it is float32 \(40, 3\)"),
    "sample_weight": ({"sample_weight": WEIGHT}, r"sample_weight was None, now it is float32 \(50,\)"),
    "validation": ({"validation": (X, Y)}, "validation was None"),
    "epochs": ({"epochs": 6}, "epochs was 5, now it is 6"),
    "batch_size": ({"batch_size": 8}, "batch_size was 9, now it is 8"),
    "rng": ({"rng": 5}, "rng was 4, now it is 5"),
    "rate": ({"optimizer": lambda net: nn.Adam(net, 0.02)}, "the optimizer's lr was 0.01, now it is 0.02"),
    "optimizer": ({"optimizer": lambda net: nn.SGD(net, 0.01)}, "optimizer was Adam, now it is SGD"),
    "activation": ({"activation": "mish"}, r"layer 1 was Activation\(gelu\).*now it is Activation\(mish\)"),
    "dropout": ({"dropout": 0.3}, r"layer 2 was Dropout\(0.2\)"),
    "depth": ({"normalization": "batch"}, r"layer 1 was Activation.*now it is BatchNorm.*and \d+ more"),
    "loss": ({"loss": nn.Huber(), "y": X[:, :2].copy()}, r"the loss was SoftmaxCrossEntropy\(\)"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), OTHER.values(), ids=OTHER)
def test_another_training(changes: dict[str, Any], words: str, path: Path, interrupt: Interrupt) -> None:
    """Refused before anything changes; the file stays."""
    interrupted(interrupt, path)
    content = path.read_bytes()
    network, given = setup(**changes)
    before = [param.tobytes() for _, param, _ in network.parameters()]
    data = given.pop("X"), given.pop("y")
    with pytest.raises(ValueError, match=f"(?s){path}: .*another training: .*{words}.*Remove this file"):
        nn.train(network, *data, checkpoint=path, **given)
    assert [param.tobytes() for _, param, _ in network.parameters()] == before
    assert path.read_bytes() == content


def test_a_training_that_began_later(path: Path, interrupt: Interrupt) -> None:
    """The second of two calls with one path is not taken for the first."""
    network, given = setup(checkpoint=nn.Checkpoint(path, 4))
    data = given.pop("X"), given.pop("y")
    nn.train(network, *data, **given)
    interrupt.at(9)
    with pytest.raises(KeyboardInterrupt):
        nn.train(network, *data, **given)
    interrupt.off()
    with pytest.raises(ValueError, match="began after 30 steps of the optimizer, this one after 0"):
        run(checkpoint=path)
    nn.train(network, *data, **given)
    assert given["optimizer"].steps == 2 * STEPS


@pytest.fixture
def good(path: Path, interrupt: Interrupt) -> bytes:
    interrupted(interrupt, path)
    return path.read_bytes()


def refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    network, given = setup(checkpoint=path)
    before = [param.tobytes() for _, param, _ in network.parameters()]
    with pytest.raises(ValueError, match=f"{path}: "):
        nn.train(network, given.pop("X"), given.pop("y"), **given)
    assert [param.tobytes() for _, param, _ in network.parameters()] == before
    assert given["optimizer"].steps == 0


def test_truncated_and_garbled(path: Path, good: bytes) -> None:
    for size in (0, 4, 8, 100, len(good) // 2, len(good) - 1):
        refused(path, good[:size])
    refused(path, good + b"\0")
    refused(path, b"\xff" * len(good))
    refused(path, b"not a checkpoint at all")
    cact.save(setup()[0], path)
    refused(path, path.read_bytes())


def edited(content: bytes, change: Any) -> bytes:
    """The file with a changed description or other tensors."""
    tensors = safetensors.numpy.load(content)
    length = int.from_bytes(content[:8], "little")
    description = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["cact"])
    change(description, tensors)
    return safetensors.numpy.save(tensors, {"cact": json.dumps(description)})


def put(*keys: Any, value: Any) -> Any:
    def change(description: Any, tensors: Any) -> None:
        for key in keys[:-1]:
            description = description[key]
        description[keys[-1]] = value

    return change


def tensor(name: str, change: Any) -> Any:
    return lambda description, tensors: tensors.update({name: change(tensors[name])})


GENERATOR = ("generators", "states", 0)
HOSTILE = {
    "no task": put("task", value=None),
    "no loop": put("loop", value=[]),
    "another key": put("more", value=1),
    "steps below 0": put("optimizer", "steps", value=-1),
    "steps of a huge number": put("optimizer", "steps", value=10**400),
    "steps true": put("optimizer", "steps", value=True),
    "a rate below 0": put("optimizer", "lr", value=-0.1),
    "a rate that is not finite": put("optimizer", "lr", value="nan"),
    "an epoch beyond": put("loop", "epoch", value=5),
    "a step beyond": put("loop", "step", value=6),
    "a step without order": put("loop", "step", value=0),
    "a curve of words": put("loop", "history", "train_loss", value=["a"]),
    "a curve of integers": put("loop", "history", "train_loss", value=[1]),
    "places": put("generators", "places", value=[0, 0]),
    "no states": put("generators", "states", value=[]),
    "a state of words": put(*GENERATOR, "state", "state", value="x"),
    "a state too large": put(*GENERATOR, "state", "state", value=2**200),
    "another generator": put(*GENERATOR, "bit_generator", value="MT19937"),
    "an array's form": put("arrays", "order", value=["I8", [50]]),
    "an array's shape": put("arrays", "order", value=["I64", [10**9, 10**9]]),
    "another array": put("arrays", "more", value=["I64", [1]]),
    "a row twice": tensor("loop.order", lambda a: np.where(a == 7, 8, a)),
    "a row beyond": tensor("loop.order", lambda a: np.where(a == 7, 50, a)),
    "a weight that is NaN": tensor("network.0.weight", lambda a: np.where(a == a.max(), np.nan, a)),
    "weights of another shape": tensor("network.0.weight", lambda a: a[:, :2].copy()),
    "weights of another dtype": tensor("network.0.weight", lambda a: a.astype(np.float64)),
    "weights missing": lambda description, tensors: tensors.pop("network.0.weight"),
}  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files(change: Any, path: Path, good: bytes) -> None:
    refused(path, edited(good, change))


def test_an_edit_alone_is_not_what_is_refused(path: Path, good: bytes) -> None:
    path.write_bytes(edited(good, lambda description, tensors: None))
    assert run(checkpoint=path) == run()


@pytest.mark.parametrize(("key", "value"), [("pos", 625), ("pos", 2**31)])
def test_places_in_a_generators_buffer(key: str, value: int) -> None:
    """NumPy would read there, whatever is there."""
    rng = np.random.Generator(np.random.MT19937(0))
    state = checkpoints._encoded(checkpoints.state_of(rng))
    assert checkpoints.restored(rng, state)["state"]["pos"] <= 624
    state["state"][key] = value
    with pytest.raises(ValueError, match="pos must be at most 624"):
        checkpoints.restored(rng, state)


@pytest.mark.parametrize("kind", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
def test_generators_of_all_kinds(kind: str) -> None:
    rng = np.random.Generator(getattr(np.random, kind)(5))
    rng.random(7, dtype=np.float32)
    rng.integers(9, size=3)
    state = json.loads(json.dumps(checkpoints._encoded(checkpoints.state_of(rng))))
    expected = rng.standard_normal(9)
    checkpoints._set_state(rng, checkpoints.restored(rng, state))
    assert rng.standard_normal(9).tobytes() == expected.tobytes()


def numbers() -> Iterator[float]:
    yield from (0.0, -0.0, 1.0, 0.1, 1e22, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"))
    yield from np.random.default_rng(0).standard_normal(100).tolist()


def test_floats_survive_to_the_bit() -> None:
    for value in numbers():
        text = json.dumps(checkpoints._encoded({"a": [value, np.float64(value)]}), allow_nan=False)
        for back in checkpoints._decoded(json.loads(text))["a"]:
            assert type(back) is float
            assert back.hex() == value.hex()
    assert np.isnan(checkpoints._decoded(json.loads(json.dumps(checkpoints._encoded(float("nan"))))))


def test_arguments() -> None:
    assert repr(nn.Checkpoint("a", 3)) == "Checkpoint('a', every=3)"
    for every, error in ((0, ValueError), (timedelta(0), ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="Checkpoint: every must be"):
            nn.Checkpoint("a", every)
    for path in (None, 3, b"a"):
        with pytest.raises(TypeError, match="Checkpoint: path must be a str or a path"):
            nn.Checkpoint(path)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="path must be a str or a path"):
        run(checkpoint=3)
