"""The comparison: structure, determinism, what the table says, the picture."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ELEMENTWISE

import cact
from cact import _backend, _compare, _lookup, _registry, nn
from cact._compare import Comparison, Run, configurations
from cact._data import load
from cact._files import write_file
from cact.plots import figure, spread

IRIS = load("iris")
SMALL: dict[str, Any] = {"depths": [1, 2], "repeats": 2, "epochs": 4, "width": 8, "progress": False}


def timeless(runs: list[Run]) -> list[Run]:
    return [replace(run, seconds=0.0) for run in runs]


@pytest.fixture(scope="module")
def small() -> Comparison:
    return cact.compare(IRIS.X, IRIS.y, ["prelu", "sigmoid+bn"], description=IRIS.description, **SMALL)


@pytest.fixture
def register() -> Iterator[Any]:
    """`cact.register`, undone at the end."""
    tables = (_registry.RECORDS, _registry._keys, _lookup._activations)
    before = [dict(table) for table in tables]
    yield cact.register
    for table, then in zip(tables, before):
        table.clear()
        table.update(then)


# ---------------------------------------------------------------------- configurations
def test_default_configurations() -> None:
    labels = [c.label for c in configurations()]
    assert [label for label in labels if "batch norm" not in label] == list(_compare.USUAL)
    assert labels.index("sigmoid + batch norm") == labels.index("sigmoid") + 1
    assert [c.activation.name for c in configurations("all")] == ELEMENTWISE


def test_configurations_are_in_the_order_of_the_catalogue() -> None:
    given = ["mish", (lambda x: x, np.ones_like), "Sigmoid + BN", cact.get("leaky_relu", negative_slope=0.2)]
    labels = [c.label for c in configurations([*given, ("relu", "batch")])]
    assert labels == [
        "sigmoid + batch norm",
        "relu + batch norm",
        "leaky_relu(negative_slope=0.2)",
        "mish",
        "<lambda>",
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["relu", "gelo"], "unknown activation 'gelo'; did you mean gelu"),
        (["relu", "rectifier"], "relu is given twice"),
        (["softmax"], "softmax works on whole rows"),
        (["glu"], "glu changes the width of its layer"),
        (["maxout"], "maxout changes the width of its layer"),
        ([], "at least one activation"),
    ],
)
def test_bad_configurations(given: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configurations(given)


# ---------------------------------------------------------------------- the runs
def test_structure(small: Comparison) -> None:
    assert small.labels == ["sigmoid + batch norm", "prelu"]
    assert [(r.depth, r.configuration, r.repeat) for r in small.results] == [
        (depth, label, repeat) for depth in (1, 2) for label in small.labels for repeat in (0, 1)
    ]
    for run in small.results:
        assert len(run.gradient_flow) == run.depth
        assert run.gradient_flow[-1] == 1
        assert len(run.train_loss) == len(run.test_curve) == 4
        assert run.test_accuracy == run.test_curve[-1]
        for accuracy, rows in ((run.test_accuracy, 38), (run.train_accuracy, 112)):
            assert 0 <= accuracy <= 1
            assert accuracy * rows == pytest.approx(round(accuracy * rows), abs=1e-9)
        assert run.dead is not None
        assert 0 <= run.dead <= 100
        assert run.saturated is not None
        assert 0 <= run.saturated <= 100
        assert run.diverged is None
    assert small.settings["train_rows"] + small.settings["test_rows"] == 150
    assert small.scores(2).shape == (2, 2)


def test_same_seed_same_numbers_whatever_the_processes(small: Comparison) -> None:
    again = cact.compare(IRIS.X, IRIS.y, ["prelu", "sigmoid+bn"], n_jobs=2, **SMALL)
    assert timeless(again.results) == timeless(small.results)
    other = cact.compare(IRIS.X, IRIS.y, ["prelu"], seed=1, **SMALL)
    assert [r.test_curve for r in other.runs(1, "prelu")] != [r.test_curve for r in small.runs(1, "prelu")]


def test_all_have_the_same_network_split_and_seed(register: Any) -> None:
    """The same function twice gives the same runs, repeats differ."""
    twins = ["first_twin", "second_twin"]
    for name in twins:
        register(name, lambda x: np.tanh(x), lambda x: 1 - np.tanh(x) ** 2, saturates="both")
    found = cact.compare(IRIS.X, IRIS.y, twins, **SMALL)
    for depth in found.depths:
        first, second = (found.runs(depth, label) for label in twins)
        assert [r.test_curve for r in first] == [r.test_curve for r in second]
        assert [r.train_loss for r in first] == [r.train_loss for r in second]
        assert first[0].train_loss != first[1].train_loss


def test_registered_functions_reach_other_processes(register: Any) -> None:
    register("half_tanh", lambda x: np.tanh(x) / 2, lambda x: (1 - np.tanh(x) ** 2) / 2, saturates="both")
    settings = {**SMALL, "depths": [1]}
    one, two = (cact.compare(IRIS.X, IRIS.y, ["half_tanh"], n_jobs=n, **settings) for n in (1, 2))
    assert timeless(one.results) == timeless(two.results)


def test_splits_are_stratified_and_standardised_by_the_training_part() -> None:
    settings = {"seed": 0, "test_size": 0.2}
    train, test = _compare._split(IRIS.y, 3, settings)
    assert sorted([*train, *test]) == list(range(150))
    assert np.bincount(IRIS.y[test]).tolist() == [10, 10, 10]
    assert not np.array_equal(train, _compare._split(IRIS.y, 4, settings)[0])
    X, X_test = _compare._standardised(IRIS.X, train, test)
    assert X.dtype == X_test.dtype == np.float32
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(X.std(axis=0), 1, rtol=1e-6)
    mean, std = IRIS.X[train].mean(axis=0), IRIS.X[train].std(axis=0)
    np.testing.assert_allclose(X_test, (IRIS.X[test] - mean) / std, rtol=1e-5, atol=1e-6)


def test_standardising_constant_and_huge_columns() -> None:
    X = np.array([[7.0, 1e300], [7.0, -1e300], [7.0, 3e300]])
    first, second = _compare._standardised(X, np.array([0, 1]), np.array([2]))
    assert first.tolist() == [[0, 1], [0, -1]]
    assert second.tolist() == [[0, 3]]
    first, second = _compare._standardised(
        np.array([[1e-9], [-1e-9], [-1e300]]), np.array([0, 1]), np.array([2])
    )
    assert first.tolist() == [[1], [-1]]
    assert second.tolist() == [[-1e6]]


def test_gradient_flow_is_that_of_the_initial_network_and_health_that_of_the_trained_one() -> None:
    short, long = (
        cact.compare(IRIS.X, IRIS.y, ["relu"], **{**SMALL, "epochs": epochs}).runs(2, "relu")
        for epochs in (1, 20)
    )
    assert [r.gradient_flow for r in short] == [r.gradient_flow for r in long]
    assert [r.saturated for r in short] != [r.saturated for r in long]


def test_health_is_judged_with_the_trained_parameters() -> None:
    layers = nn.Dense(2, 2, rng=0), nn.Activation("prelu")
    layers[0].params["weight"][...] = np.eye(2)
    network = nn.Sequential(*layers)
    X = np.float32([[1, -1], [-1, -1]])
    assert _compare._health(network, X) == (0, 0)
    layers[1].params["weight"][...] = 0.005  # below 1 % of 1, which is on the other side
    assert _compare._health(network, X) == (0, 75)
    layers[1].params["weight"][...] = 0
    assert _compare._health(network, X) == (50, 75)


def test_runs_use_one_blas_thread_and_the_backend_of_the_caller(register: Any) -> None:
    from threadpoolctl import threadpool_info

    seen = set()

    def forward(x: Any) -> Any:
        threads = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
        seen.add((_backend.active(), *threads))
        return x

    register("spy", forward, lambda x: np.ones_like(x))
    with cact.use_backend("numpy"):
        cact.compare(IRIS.X, IRIS.y, ["spy"], **{**SMALL, "depths": [1], "repeats": 1, "epochs": 1})
    assert {backend for backend, *_ in seen} == {"numpy"}
    assert {n for _, *threads in seen for n in threads} <= {1}


def test_deep_sigmoid_has_no_gradient_and_batch_norm_brings_it_back() -> None:
    settings = {**SMALL, "depths": [10], "epochs": 1, "width": 64}
    found = cact.compare(IRIS.X, IRIS.y, ["sigmoid", "sigmoid+bn", "relu"], **settings)
    plain, rescued, relu = found.summary(10)
    assert plain.gradient_ratio < 1e-4
    assert 0.1 < rescued.gradient_ratio < 20
    assert 0.1 < relu.gradient_ratio < 10


def test_a_run_that_diverges_counts_as_chance() -> None:
    found = cact.compare(IRIS.X, IRIS.y, ["identity"], lr=1e4, **{**SMALL, "depths": [2], "epochs": 20})
    for run in found.results:
        assert run.diverged is not None
        assert run.dead is None
        assert run.epochs_to_converge is None
        assert run.test_accuracy == pytest.approx(1 / 3, abs=0.02)
        assert len(run.test_curve) < 20
    assert "diverged 2/2" in found.table()
    assert figure(found) is not None


# ---------------------------------------------------------------------- what it says
def synthetic(scores: dict[str, list[float]], curves: dict[str, list[float]] | None = None) -> Comparison:
    """A comparison at depth 10 with these accuracies per repeat."""
    repeats = len(next(iter(scores.values())))
    runs = [
        Run(label, label, None, 10, i, a, a, 5, [0.5] * 9 + [1.0], 1.0, 2.0, 0.1, [1.0, 0.5], [0.1, a])
        for label, values in scores.items()
        for i, a in enumerate(values)
    ]
    settings = {
        "repeats": repeats, "width": 64, "epochs": 2, "batch_size": 32, "optimizer": "adam", "lr": 0.001,
        "momentum": None, "train_rows": 1347, "test_rows": 450,
    }  # fmt: skip
    return Comparison("toy", list(scores), [10], settings, runs)


def rows(table: str) -> list[str]:
    """The first words of the lines."""
    return [
        line.split("  ")[0] if line[:1] != " " else line.split()[0] for line in table.splitlines() if line
    ]


def test_the_table_does_not_rank_what_it_cannot_tell_apart() -> None:
    table = synthetic(
        {
            "sigmoid": [0.10, 0.11, 0.10, 0.10, 0.10],
            "tanh": [0.96, 0.97, 0.96, 0.97, 0.96],
            "relu": [0.97, 0.96, 0.97, 0.97, 0.98],
            "elu": [0.97, 0.97, 0.96, 0.97, 0.96],
            "softplus": [0.94, 0.10, 0.95, 0.60, 0.93],
        }
    ).table()
    words = rows(table)
    head = "Within seed noise of the best: 5 repeats cannot tell these 3 from it"
    head += " (catalogue order, no ranking)"
    start = words.index(head)
    assert words[start : start + 8] == [
        head,
        "tanh",
        "relu",
        "elu",
        "Unsettled: a lower mean, but too erratic for 5 repeats to tell",
        "softplus",
        "Worse than the best by more than seed noise",
        "sigmoid",
    ]
    line = next(line for line in table.splitlines() if line.startswith("  relu "))
    assert line.split() == ["relu", "0.970", "±", "0.007", "5", "0.5", "1.0", "2.0", "0.10"]
    assert "no sign of a difference among them" in table
    assert max(map(len, table.splitlines())) <= 110


def test_the_table_names_a_clear_best() -> None:
    noise = [0.0, 0.004, -0.004, 0.002, -0.002]
    scores = {"tanh": [0.7 + e for e in noise], "relu": [0.9 - e for e in noise]}
    words = rows(synthetic(scores).table())
    start = words.index("Best, and by more than seed noise")
    assert words[start + 1] == "relu"
    assert words[start + 2 : start + 4] == ["Worse than the best by more than seed noise", "tanh"]


def test_one_repeat_says_nothing() -> None:
    found = synthetic({"tanh": [0.1], "relu": [0.9]})
    assert "One repeat has no spread, so nothing can be told apart" in found.table()
    assert "±" not in found.table()
    assert "Friedman" not in found.table()
    assert found.summary(10)[0].group is None


def test_epochs_to_converge() -> None:
    """95 % of the way from chance (the share of the most frequent class) to the best on the split."""
    y = np.repeat([0, 1], 50)
    settings = {"repeats": 1, "seed": 0, "test_size": 0.2}
    base = synthetic({"relu": [0.9], "tanh": [0.9], "elu": [0.9]}).results
    curves = [[0.5, 0.87, 0.88, 0.9], [0.89, 0.5, 0.5, 0.6], [0.5, 0.6, 0.7, 0.8]]  # target: 0.5 + 0.95*0.4
    runs = [replace(r, test_curve=c, test_accuracy=c[-1]) for r, c in zip(base, curves)]
    assert [r.epochs_to_converge for r in _compare._with_epochs(runs, y, settings)] == [3, 1, None]
    stuck = [replace(r, test_curve=[0.5, 0.5], test_accuracy=0.5) for r in base]
    assert [r.epochs_to_converge for r in _compare._with_epochs(stuck, y, settings)] == [None] * 3
    runs[0] = replace(runs[0], diverged="epoch 4")
    assert _compare._with_epochs(runs, y, settings)[0].epochs_to_converge is None


def test_json(small: Comparison, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    small.to_json(path)
    read = json.loads(path.read_text(encoding="utf-8"))
    assert read == small.to_dict()
    assert read["format"] == "cact comparison 1"
    assert [Run(**r) for r in read["results"]] == small.results
    assert read["summary"] == [asdict(s) for depth in (1, 2) for s in small.summary(depth)]
    assert set(read["tests"]) == {"1", "2"}
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_json_has_no_nan(tmp_path: Path) -> None:
    found = synthetic({"tanh": [0.1], "relu": [0.9]})
    assert math.isnan(found.summary(10)[0].spread)
    found.to_json(tmp_path / "one.json")
    assert json.loads((tmp_path / "one.json").read_text())["summary"][0]["spread"] is None


# ---------------------------------------------------------------------- files and pictures
def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def broken(file: Any) -> None:
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_file(path, broken)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_reader_of_the_old_file_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with open(path) as reader:
        write_file(path, lambda file: file.write(b"new"))
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_picture(small: Comparison, tmp_path: Path) -> None:
    small.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    small.plot(tmp_path / "picture.svg")
    assert b"<svg" in (tmp_path / "picture.svg").read_bytes()
    with pytest.raises(ValueError, match=r"picture\.xyz: no such format of pictures; there are .*png"):
        small.plot(tmp_path / "picture.xyz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["picture.png", "picture.svg"]


def test_names_in_the_picture_do_not_overlap() -> None:
    """Fourteen lines with nearly the same end."""
    found = synthetic({f"function_{i}": [0.96 + i / 1e5, 0.96] for i in range(14)})
    drawn = figure(found)
    drawn.canvas.draw()
    for axes in drawn.axes:
        boxes = sorted((t.get_window_extent() for t in axes.texts), key=lambda box: box.y0)
        assert len(boxes) == 14
        assert all(low.y1 <= high.y0 for low, high in pairwise(boxes))
        assert all(box.x0 >= 0 and box.x1 <= drawn.bbox.x1 for box in boxes)
        looks = {(line.get_color(), str(line.get_linestyle())) for line in axes.get_lines()[:14]}
        assert len(looks) == 14


@pytest.mark.parametrize(
    ("where", "places"),
    [
        ([0.2, 0.8], [0.2, 0.8]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.0, 0.0], [0.0, 0.1]),
        ([1.0, 0.99], [1.0, 0.9]),
        ([0.5, 0.1, 0.52, 0.48], [0.5, 0.1, 0.6, 0.4]),
    ],
)
def test_spread(where: list[float], places: list[float]) -> None:
    assert spread(where, 0.1) == pytest.approx(places)


# ---------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"repeats": 0}, "repeats must be at least 1, got 0"),
        ({"depths": [3, 3]}, "depths must be different numbers"),
        ({"depths": [0]}, "depths must be at least 1"),
        ({"depths": []}, "depths must be different numbers"),
        ({"width": -1}, "width must be at least 1"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"lr": -1.0}, "lr must be finite and greater than 0"),
        ({"optimizer": "sdg"}, "optimizer must be 'sgd' or 'adam', got 'sdg'"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"test_size": 0.01}, "too few rows to split"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"compare: {message}"):
        cact.compare(IRIS.X, IRIS.y, ["relu"], **{**SMALL, **settings})


def test_bad_data() -> None:
    X, y = IRIS.X, IRIS.y
    with pytest.raises(ValueError, match=r"X must have shape \(rows, features\), got \(150,\)"):
        cact.compare(X[:, 0], y)
    with pytest.raises(ValueError, match=r"y must have shape \(150,\), got \(149,\)"):
        cact.compare(X, y[1:])
    with pytest.raises(TypeError, match="X must be numbers"):
        cact.compare([["a", "b"]], [1])
    with pytest.raises(ValueError, match="at least two classes"):
        cact.compare(X, np.zeros(150))
    with pytest.raises(ValueError, match="class b has one row"):
        cact.compare(X[:3], ["a", "b", "a"])
    X = X.copy()
    X[7, 2] = np.nan
    with pytest.raises(ValueError, match="X must be finite, got nan in row 7, column 2"):
        cact.compare(X, y)
