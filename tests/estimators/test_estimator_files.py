"""`cact.save` and `cact.load` of estimators: the same predictions back, ValueError for every bad file."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors")
pytest.importorskip("sklearn")
pytest.importorskip("hypothesis")

import hypothesis
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn import neural_network
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from tensorfiles import joined, parts, places

import cact
from cact import nn
from cact.nn import schedules
from cact.sklearn import MLPClassifier, MLPRegressor, _files

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MEBI = 2**20
X = np.random.default_rng(0).standard_normal((60, 3))
THREE = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
TWO = X[:, 0] > 0
SEVERAL = (X[:, :2] > 0).astype(int)
NUMBERS = X[:, 0] ** 2

#: The attributes that come back.
KEPT = (
    "n_iter_", "t_", "loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_",
    "validation_loss_curve_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_",
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "estimator.safetensors"


def classifier(y: Any = THREE, **params: Any) -> MLPClassifier:
    return MLPClassifier(**{"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0, **params}).fit(X, y)


def test_where_a_fit_writes_is_not_kept(path: Path, tmp_path: Path) -> None:
    cact.save(classifier(checkpoint=tmp_path / "c", checkpoint_every=timedelta(minutes=1)), path)
    model = cact.load(path)
    assert model.checkpoint is None
    assert model.checkpoint_every is None


def regressor(y: Any = NUMBERS, **params: Any) -> MLPRegressor:
    return MLPRegressor(**{"hidden_layer_sizes": 4, "max_iter": 2, "random_state": 0, **params}).fit(X, y)


def shown(params: dict[str, Any]) -> dict[str, Any]:
    """Losses and schedules by their attributes, which they have no == for."""
    return {
        key: (type(value).__name__, shown(vars(value)))
        if isinstance(value, (nn.Loss, schedules.Schedule))
        else value
        for key, value in params.items()
    }


def same(a: Any, b: Any) -> bool:
    """Equal, and arrays to the bit."""
    if isinstance(a, np.ndarray):
        return (a.dtype, a.shape, a.tolist()) == (b.dtype, b.shape, b.tolist())
    return bool(a == b)


def check_round_trip(model: Any, path: Path, x: Any = X) -> Any:
    """The same estimator from a file, which stays the same when it is written again."""
    cact.save(model, path)
    content = path.read_bytes()
    loaded = cact.load(path)
    assert type(loaded) is type(model)
    assert shown(loaded.get_params()) == shown(model.get_params())
    for key in KEPT:
        assert same(getattr(loaded, key), getattr(model, key)), key
    for name in ("coefs_", "intercepts_"):
        assert len(getattr(loaded, name)) == len(getattr(model, name))
        assert all(map(same, getattr(loaded, name), getattr(model, name)))
    for method in {"predict", "predict_proba"} & set(dir(model)):
        found, expected = getattr(loaded, method)(x), getattr(model, method)(x)
        assert type(found) is type(expected)
        assert same(found, expected) if isinstance(found, np.ndarray) else not (found != expected).nnz
    assert shown(clone(loaded).get_params()) == shown(clone(model).get_params())
    cact.save(loaded, path)
    assert path.read_bytes() == content
    return loaded


# ---------------------------------------------------------------------- round trips
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"hidden_layer_sizes": [5, 4, 3], "activation": ["gelu", "tanh", "prelu"]},
        {"hidden_layer_sizes": (4, 6), "activation": [cact.get("elu", alpha=0.1 + 0.2), "glu"]},
        {"hidden_layer_sizes": ()},
        {"activation": cact.get("leaky_relu", negative_slope=[0.1, 0.2, 0.3, 0.4])},
        {"activation": "logistic", "solver": "lbfgs"},
        {"normalization": "batch", "dropout": 0.25, "clip_norm": 1.0, "solver": "adamw"},
        {"normalization": "layer", "activation": "selu", "dropout": (0.5,), "solver": "rmsprop"},
        {"hidden_layer_sizes": (4, 4), "dropout": [0.0, 0.5], "init": "orthogonal"},
        {"early_stopping": True, "scoring": "accuracy", "n_iter_no_change": np.inf},
        {"learning_rate": "adaptive", "solver": "sgd", "random_state": np.int64(3), "alpha": np.float64(0.1)},
        {"learning_rate": schedules.Constant(0.01)},
        {"learning_rate": schedules.InverseScaling(0.01, 0.3)},
        {"learning_rate": schedules.Adaptive(0.01, 3, 1e-5)},
        {"learning_rate": schedules.Step(0.01, 5, 0.3)},
        {"learning_rate": schedules.OneCycle(0.01, 100, 0.2, 0.1, 0.01)},
        {"learning_rate": schedules.WarmUp(schedules.Cosine(0.01, 100, 1e-4), 10, 0.1)},
        {"random_state": None, "shuffle": False, "batch_size": 7, "warm_start": True, "tol": 0.0},
    ],
)
@pytest.mark.parametrize("make", [classifier, regressor])
def test_parameters(make: Callable[..., Any], params: dict[str, Any], path: Path) -> None:
    if make is regressor and "scoring" in params:
        params = {**params, "scoring": "neg_median_absolute_error"}
    check_round_trip(make(**params), path)


@pytest.mark.parametrize(
    "loss",
    ["squared_error", "absolute_error", "huber", "poisson", "quantile", nn.Huber(0.3), nn.Quantile(0.9)]
    + [nn.Poisson(), nn.SquaredError(), nn.AbsoluteError()],
)
def test_losses(loss: Any, path: Path) -> None:
    loaded = check_round_trip(regressor(loss=loss), path)
    check_round_trip(regressor(np.c_[NUMBERS, NUMBERS + 1], loss=loss), path)
    assert shown({"": loaded._loss}) == shown({"": nn.get_loss(loss)})


def test_the_loss_is_that_of_the_fit(path: Path) -> None:
    model = regressor(loss="poisson").set_params(loss="squared_error", hidden_layer_sizes=(9, 9))
    assert check_round_trip(model, path).out_activation_ == "exp"


@pytest.mark.parametrize(
    "labels",
    [
        *[np.array([0, 1, 2], dtype) for dtype in "bBhHiIlLqQefd"],
        np.array([-7, 3, 2**62]),
        np.array([1, 2, 2**64 - 1], np.uint64),
        np.array(["a", "b", "zebra"]),
        np.array(["", "é", "\U0001f993"]),
        np.array(["a", "b", "zebra"], object),
        np.array([5, 6]),
        np.array(["no", "yes"]),
        np.array([False, True]),
        np.array([-1.0, 1.0]),
        np.array([3]),
        np.array(["only"], object),
    ],
    ids=lambda labels: f"{len(labels)} {labels.dtype}",
)
def test_labels(labels: np.ndarray, path: Path) -> None:
    model = classifier(labels[np.arange(60) % len(labels)])
    loaded = check_round_trip(model, path)
    assert same(loaded.classes_, model.classes_)
    assert loaded.classes_.tolist() == labels.tolist()


def test_many_classes(path: Path) -> None:
    """scikit-learn warns of data with a class for nearly each sample."""
    model = MLPClassifier(4, max_iter=1, random_state=0).fit(np.tile(X, (2, 1)), np.arange(120) % 60)
    check_round_trip(model, path)


def test_several_labels(path: Path) -> None:
    check_round_trip(classifier(SEVERAL), path)
    model = MLPClassifier(4, random_state=0).partial_fit(X, SEVERAL, classes=[0, 1])
    assert check_round_trip(model, path).classes_.tolist() == [0, 1]


def test_sparse_labels(path: Path) -> None:
    loaded = check_round_trip(classifier(csr_array(SEVERAL)), path)
    assert hasattr(loaded.predict(X), "tocsr")


@pytest.mark.parametrize("weight", ["balanced", {0: 1.5, 1: 2, 2: 0.25}, {np.int64(0): np.float64(3)}])
def test_class_weight(weight: Any, path: Path) -> None:
    check_round_trip(classifier(class_weight=weight), path)
    names = np.array(["a", "b", "c"])[THREE]
    check_round_trip(classifier(names, class_weight={"a": 2.0, "b": 1.0, "c": 1.0}), path)


def test_float32(path: Path) -> None:
    x = X.astype(np.float32)
    loaded = check_round_trip(MLPClassifier(4, max_iter=2, random_state=0).fit(x, THREE), path, x)
    assert loaded.predict_proba(x).dtype == np.float32


def test_names_of_features(path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "é"])
    model = MLPRegressor("huber", 4, max_iter=2, random_state=0).fit(frame, NUMBERS)
    loaded = check_round_trip(model, path, frame)
    assert same(loaded.feature_names_in_, model.feature_names_in_)
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(frame.rename(columns={"a": "other"}))


def test_validation_curves(path: Path) -> None:
    model = MLPClassifier(4, max_iter=3, random_state=0).fit(X, THREE, X_val=X[:9], y_val=THREE[:9])
    assert len(check_round_trip(model, path).validation_loss_curve_) == 3
    model.validation_scores_, model.best_validation_score_ = [0.5, math.nan], -math.inf
    cact.save(model, path)
    loaded = cact.load(path)
    assert loaded.best_validation_score_ == -math.inf
    assert loaded.validation_scores_[0] == 0.5
    assert math.isnan(loaded.validation_scores_[1])


def test_what_was_put_into_coefs(path: Path) -> None:
    model = regressor()
    model.coefs_[0] = model.coefs_[0] * 2
    check_round_trip(model, path)


def test_scikit_learns_own(path: Path) -> None:
    model = neural_network.MLPClassifier(4, max_iter=2, random_state=0).fit(X, THREE)
    cact.save(model, path)
    loaded = cact.load(path)
    assert type(loaded) is MLPClassifier
    assert np.allclose(loaded.predict_proba(X), model.predict_proba(X), rtol=1e-13)


# ---------------------------------------------------------------------- training goes on
def test_refit(path: Path) -> None:
    model = classifier(dropout=0.2, activation="gelu")
    loaded = check_round_trip(model, path).fit(X, THREE)
    assert loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()


@pytest.mark.parametrize("make", [classifier, regressor])
def test_partial_fit(make: Callable[..., Any], path: Path) -> None:
    """Without momentum there is nothing that the optimiser remembers."""
    y = THREE if make is classifier else NUMBERS
    model = make(solver="sgd", momentum=0.0, shuffle=False, normalization="batch")
    loaded = check_round_trip(model, path)
    for _ in range(3):
        model.partial_fit(X, y)
        loaded.partial_fit(X, y)
    assert loaded.predict(X).tobytes() == model.predict(X).tobytes()
    assert loaded.loss_curve_ == model.loss_curve_
    assert loaded.t_ == model.t_


def test_training_goes_on_the_same_each_time(path: Path) -> None:
    cact.save(classifier(dropout=0.3, hidden_layer_sizes=(8, 8)), path)
    first, second = (cact.load(path).partial_fit(X, THREE) for _ in range(2))
    assert first.predict_proba(X).tobytes() == second.predict_proba(X).tobytes()


def test_the_best_weights_are_those_of_the_file(path: Path) -> None:
    model = classifier(early_stopping=True, warm_start=True, n_iter_no_change=2)
    model.best_validation_score_ = 2.0  # which no score beats
    loaded = check_round_trip(model, path)
    before = loaded.predict_proba(X)
    assert same(loaded.fit(X, THREE).predict_proba(X), before)


def test_new_classes_are_refused(path: Path) -> None:
    loaded = check_round_trip(classifier(), path)
    with pytest.raises(ValueError, match="classes not in"):
        loaded.partial_fit(X, THREE + 1)


# ---------------------------------------------------------------------- what cannot be saved
def zeros(n_in: int, n_out: int, *, rng: Any, dtype: Any) -> Any:
    return np.zeros((n_in, n_out), dtype)


def score(model: Any, x: Any, y: Any) -> float:
    return float(model.score(x, y))


@pytest.mark.parametrize(
    ("params", "key", "default"),
    [
        ({"init": zeros}, "init", "auto"),
        ({"scoring": score, "early_stopping": True}, "scoring", None),
        ({"random_state": np.random.RandomState(0)}, "random_state", None),
    ],
)
def test_what_no_prediction_needs_is_dropped(
    params: dict[str, Any], key: str, default: Any, path: Path
) -> None:
    model = classifier(**params)
    with pytest.warns(UserWarning, match=f"MLPClassifier: {key} is .* {default!r} stands there") as caught:
        cact.save(model, path)
    assert [warning.filename for warning in caught] == [__file__]
    loaded = cact.load(path)
    assert loaded.get_params()[key] == default
    assert same(loaded.predict_proba(X), model.predict_proba(X))


class Own(MLPClassifier):
    pass


class OwnLoss(nn.SquaredError):
    pass


def half_square(output: Any, target: Any) -> Any:
    return ((output - target) ** 2 / 2).sum(axis=1), output - target


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (lambda: MLPClassifier(), NotFittedError, "not fitted"),
        (lambda: neural_network.MLPRegressor(), NotFittedError, "not fitted"),
        (lambda: Own(4, max_iter=1).fit(X, THREE), TypeError, "MLPClassifier or MLPRegressor, got Own"),
        (lambda: make_pipeline(classifier()), TypeError, "got Pipeline"),
        (lambda: MLPClassifier, TypeError, "got ABCMeta|got type"),
        (lambda: classifier(activation=(np.sin, np.cos)), TypeError, r"sin\): .*cact\.register"),
        (
            lambda: classifier().set_params(activation=["relu", np.sin]),
            TypeError,
            r"MLPClassifier: activation: a file does not keep <ufunc 'sin'>.*cact\.register",
        ),
        (lambda: classifier().set_params(activation=cact.get((np.sin, np.cos))), TypeError, "cact.register"),
        (lambda: regressor(loss=half_square), TypeError, "MLPRegressor: loss: .*half_square"),
        (lambda: regressor(loss=OwnLoss()), TypeError, "MLPRegressor: loss: .*OwnLoss"),
        (lambda: regressor(learning_rate=lambda step: 0.1), TypeError, "learning_rate: .*set_params"),
        (
            lambda: regressor(learning_rate=schedules.WarmUp(lambda step: 0.1, 3)),
            TypeError,
            "MLPRegressor: learning_rate: ",
        ),
        (lambda: classifier().set_params(class_weight={frozenset(): 1}), TypeError, "weight: .*frozenset"),
        (lambda: classifier().set_params(class_weight={(1,): 1}), ValueError, "a dict must be"),
        (lambda: classifier().set_params(alpha=-1.0), ValueError, "'alpha' parameter of MLPClassifier"),
        (lambda: classifier().set_params(max_iter=2.5), ValueError, "'max_iter' parameter of MLPClassifier"),
    ],
)  # fmt: skip
def test_refused_before_anything_is_written(
    model: Callable[[], Any], error: type[Exception], words: str, path: Path
) -> None:
    path.write_bytes(b"old")
    with pytest.raises(error, match=words):
        cact.save(model(), path)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


def test_labels_that_are_too_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "MAX_HEADER", 20)
    for labels in (["a", "bc", "long"], ["a", "bc", "longer"]):
        check_round_trip(classifier(np.array(labels)[THREE]), path)
    with pytest.raises(ValueError, match="labels are too long"):
        cact.save(classifier(np.array(["a", "bc", "longest"])[THREE]), path)


def test_labels_that_are_none(path: Path) -> None:
    model = classifier()
    for labels in (np.array([b"a", b"b", b"c"]), np.array([1j, 2, 3]), np.array([0, "a", None], object)):
        model.classes_ = labels
        with pytest.raises(TypeError, match="labels must be"):
            cact.save(model, path)


def test_without_scikit_learn(path: Path) -> None:
    cact.save(classifier(), path)
    code = """
import sys
sys.modules["sklearn"] = None
import cact
network = cact.nn.mlp((2, 3), "relu")
cact.save(network, sys.argv[1] + "2")
cact.load(sys.argv[1] + "2")
try:
    cact.load(sys.argv[1])
except ModuleNotFoundError as error:
    print(error.name)
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, env=os.environ
    )
    assert result.stdout.split(".")[0].strip() == "sklearn"


# ---------------------------------------------------------------------- hostile files
def tiny() -> MLPClassifier:
    """Trained on nearly nothing; with all kinds of values."""
    model = MLPClassifier(
        1,
        cact.get("elu", alpha=0.5),
        max_iter=1,
        random_state=0,
        class_weight={"a": 2.0, "b": 1.0, "c": 1.0},
        learning_rate=schedules.WarmUp(schedules.Adaptive(0.1), 2),
        n_iter_no_change=np.inf,
        dropout=(0.5,),
    )
    model.fit(X[:9, :1], np.array(["a", "b", "c"] * 3))
    model.feature_names_in_ = np.array(["x"], object)
    return model


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("small") / "file"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = tiny()
    cact.save(model, path)
    return path.read_bytes()


def check_hostile(path: Path, content: bytes) -> bool:
    """A valid model or a ValueError; whether it was the latter."""
    path.write_bytes(content)
    try:
        model = cact.load(path)
    except ValueError as error:
        refusal = str(error)
    else:
        refusal = None
    if refusal is not None:
        assert refusal.startswith(f"{path}: ")
        return True
    vars(model).pop("feature_names_in_", None)
    x = np.ones((3, model.n_features_in_), model.network_.dtype)
    with np.errstate(all="ignore"):
        assert len(model.predict(x)) == 3
        if isinstance(model, MLPClassifier):
            assert model.predict_proba(x).shape == (3, max(2, model.n_outputs_))
    return False


def refused(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        cact.load(path)


def test_every_truncation(small: bytes, path: Path) -> None:
    assert not check_hostile(path, small)
    for n in range(len(small)):
        assert check_hostile(path, small[:n]), n


def test_every_byte_changed(small: bytes, path: Path) -> None:
    """By one bit, another for each; a number or a letter may become another one, that is all."""
    for i in range(len(small)):
        changed = bytearray(small)
        changed[i] ^= 1 << (i * 5) % 8
        refused = check_hostile(path, bytes(changed))
        assert refused or i >= 8, "the header's length"


Change = Callable[[dict[str, Any], dict[str, Any]], Any]


def param(key: str, value: Any) -> Change:
    return lambda header, description: description["params"].update({key: value})


def found(key: str, value: Any) -> Change:
    return lambda header, description: description["fitted"].update({key: value})


def typed(kind: Any, **entries: Any) -> dict[str, Any]:
    return {"type": kind, **entries}


def classes(values: Any, dtype: Any = "str", **more: Any) -> Change:
    return found("classes", {"dtype": dtype, "values": values, **more})


def rate(**params: Any) -> Change:
    return param("learning_rate", typed("Constant", params=params, state={}))


HUGE = 10**4000
DEEP: Any = typed("Constant", params={"lr": 0.1}, state={})
for _ in range(400):
    DEEP = typed("WarmUp", params={"schedule": DEEP, "steps": 2, "start": 0.0}, state={})

CHANGES: list[tuple[Change, str]] = [
    # the parts
    (lambda h, d: d.update(run="os.system"), "must have the keys network, params, fitted"),
    *[
        (lambda h, d, k=k: d.pop(k), "must have the keys network, params, fitted")
        for k in ("network", "params", "fitted")
    ],
    *[(lambda h, d, k=k: d.update({k: []}), f"{k} must be dict") for k in ("network", "params", "fitted")],
    (lambda h, d: d.update(kind="MLPRegressor"), "MLPRegressor has no parameters"),
    *[(lambda h, d, k=k: d.update(kind=k), "it keeps") for k in ("BaseMLP", "Pipeline", "mlpclassifier", 1)],
    (lambda h, d: d.update(kind="network"), "the network must have the keys"),
    (lambda h, d: h.update({"other": h.pop("network.0.bias")}), "missing"),
    # the network
    (lambda h, d: d["network"].update(layers=[]), "not expected"),
    (lambda h, d: d["network"]["layers"].insert(0, typed("Dropout", rate=0.5)), "missing"),
    (lambda h, d: d["network"]["layers"].append(typed("Dropout", rate=0.5)), "must begin and end with Dense"),
    # parameters
    (param("run", 1), "has no parameters"),
    (param("self", 1), "has no parameters"),
    (param("checkpoint", "/somewhere/else"), "has no parameters"),  # a file must not say where a fit writes
    *[(param("alpha", v), "'alpha' parameter") for v in (-1.0, "1", None, [], typed("float", value="nan"))],
    *[(param("max_iter", v), "'max_iter' parameter") for v in (0, 1.5, None, [3])],
    *[(param("shuffle", v), "'shuffle' parameter") for v in (2, "yes", None)],
    *[(param("random_state", v), "'random_state' parameter") for v in (-1, 2**32, HUGE - 1, "0", [1], 0.5)],
    *[(param("init", v), "'init' parameter") for v in (None, 1, [])],
    (param("hidden_layer_sizes", 0), "'hidden_layer_sizes' parameter"),
    (param("class_weight", "unbalanced"), "'class_weight' parameter"),
    (param("class_weight", {"a": 1.0}), "cannot be of the type None"),
    # values with a type
    *[
        (param("alpha", typed(t)), "cannot be of the type")
        for t in ("function", "os.system", "Loss", "Schedule", "_Function", "CallableLoss", None, 1, [], "")
    ],
    *[(param("alpha", typed("float", value=v)), "no number that JSON") for v in ("1", "infinity", "", "NaN")],
    *[(param("alpha", typed("float", value=v)), "value must be str") for v in (1.0, None, ["inf"])],
    *[(param("dropout", typed("tuple", items=v)), "items must be list") for v in (None, "ab", {}, 1)],
    (param("dropout", typed("tuple")), "must have the keys"),
    (param("dropout", typed("tuple", items=[], run=1)), "must have the keys"),
    *[
        (param("class_weight", typed("dict", items=v)), "a dict must be")
        for v in ([1], [[1]], [[1, 2, 3]], ["ab"], [[[1], 2]], [[None, 2]], [[typed("tuple", items=[]), 1]])
    ],
    (param("class_weight", typed("dict", items=[[1, 2], [1, 3]])), "a key occurs twice"),
    (param("class_weight", typed("dict", items=[[1, 2], [True, 3]])), "a key occurs twice"),
    (param("activation", typed("Activation", activation="elu", params={})), "elu has the parameters"),
    (param("activation", typed("Activation", activation="own", params={})), "no activation is named"),
    (param("activation", typed("Activation", activation="elu", params={"alpha": "1"})), "alpha must be"),
    (param("activation", typed("Activation", activation="elu", params={"alpha": [[1.0], 2.0]})), ""),
    (param("activation", typed("Activation", activation="relu")), "must have the keys"),
    *[(rate(lr=v), "lr must be") for v in (0.0, -1.0, "0.1", None, True, [0.1])],
    (rate(lr=HUGE - 1), ""),
    (rate(), "Constant must have the keys lr"),
    (rate(lr=0.1, run=1), "Constant must have the keys lr"),
    (param("learning_rate", typed("Constant", params={"lr": 0.1})), "must have the keys"),
    (param("learning_rate", typed("Constant", params={"lr": 0.1}, state={"lr": 1})), "state must have"),
    (param("learning_rate", typed("Adaptive", params={"lr": 0.1, "factor": 5.0, "minimum": 0.0},
                                  state={"lr": "1"})), "lr must be"),
    (param("learning_rate", typed("WarmUp", params={"schedule": "fast", "steps": 2, "start": 0.0},
                                  state={"schedule": {}})), "a schedule is"),
    (param("learning_rate", DEEP), ""),
    (param("loss", typed("Huber", params={"delta": -1.0})), "delta must be"),
    (param("loss", typed("Huber", params={"delta": 1.0}, state={})), "Huber must have the keys"),
    (param("loss", typed("Poisson", params={"delta": 1.0})), "Poisson must have the keys"),
    # what training has found
    *[(found(k, v), f"{k} cannot be") for k in ("n_iter_", "t_") for v in (-1, 1.0, True, None, "1", [1])],
    *[
        (found(k, v), f"{k} cannot be")
        for k in ("loss_", "best_loss_", "best_validation_score_")
        for v in (1, True, "1", [1.0])
    ],
    *[(found("loss_curve_", v), "loss_curve_") for v in (None, 1.0, [1], [None], [[1.0]], "ab", ["1"])],
    *[(found("validation_scores_", v), "validation_scores_") for v in (1.0, [1], "ab")],
    *[(found("n_features_in_", v), "feature") for v in (2, 0, -1, HUGE - 1, None, True, 1.0)],
    *[(found("feature_names_in_", v), "feature_names_in_") for v in ([], ["a", "b"], [1], "a", [["a"]], {})],
    *[(found("loss", v), "") for v in ({}, None, "log_loss", {"type": "CallableLoss", "params": {}})],
    (found("loss", typed("tuple", items=[])), "is no loss"),
    (found("coefs_", [[1.0]]), "must have the keys"),
    (lambda h, d: d["fitted"].pop("t_"), "must have the keys"),
    # labels
    (classes(["a", "b", "c"], extra=1), "classes must have the keys"),
    *[
        (classes(["a", "b", "c"], t), "classes must be labels|dtype must be str")
        for t in ("U", "S1", "<U1", "int64", "datetime64", "O", "bytes", None, ["str"])
    ],
    *[(classes(v), "classes must be labels") for v in ([], [1, 2, 3], ["a", "b", None], [["a"], ["b"]])],
    *[(classes(v), "in order") for v in (["a", "a", "b"], ["c", "b", "a"], ["a", "b\0", "c"])],
    (classes(["a", "b"]), "3 outputs for 2 classes"),
    (classes(["a", "b", "c", "d"]), "3 outputs for 4 classes"),
    (classes(["a"]), "3 outputs for 1 classes"),
    (classes([0, 1, 256], "uint8"), ""),
    (classes([-1, 0, 1], "uint64"), ""),
    (classes([0, 1, HUGE - 1], "int64"), ""),
    (classes([0.0, 1.0, 1e300], "float32"), ""),
    (classes([0.0, 1.5, 2.5], "float64"), ""),
    (classes([0.0, 1.0, typed("float", value="nan")], "float64"), "classes must be labels"),
    (classes([False, True, True], "bool"), "in order"),
    *[(found("multilabel", v), "multilabel must be bool") for v in (1, None, "yes")],
    *[(found("sparse", v), "sparse must be bool") for v in (0, None)],
    (found("sparse", True), "only several labels at once can be sparse"),
    (lambda h, d: (found("multilabel", True)(h, d), classes(["a"])(h, d)), "cannot be 1"),
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(CHANGES)))
def test_changed_descriptions(i: int, small: bytes, path: Path) -> None:
    change, words = CHANGES[i]
    header, description, data = parts(small)
    assert not check_hostile(path, joined(header, description, data))
    change(header, description)
    content = joined(header, description, data)
    if words:
        refused(path, content, words)
    else:
        check_hostile(path, content)


def test_a_parameter_that_the_file_lacks(small: bytes, path: Path) -> None:
    """As one written before there was such a parameter."""
    header, description, data = parts(small)
    del description["params"]["clip_norm"], description["params"]["dropout"]
    path.write_bytes(joined(header, description, data))
    assert cact.load(path).dropout == 0.0


def peak(path: Path) -> int:
    """Bytes at most taken while a file is refused."""
    for traced in (False, True):
        if traced:
            tracemalloc.start()
        with pytest.raises(ValueError):  # noqa: PT011
            cact.load(path)
    try:
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_declared_sizes_are_not_believed(small: bytes, path: Path) -> None:
    header, description, data = parts(small)
    description["fitted"]["n_features_in_"] = 10**12
    path.write_bytes(joined(header, description, data))
    assert peak(path) < MEBI
    _, description, _ = parts(small)
    classes(["x" * 100_000, *(f"y{i:05}" for i in range(10_000))])(header, description)
    path.write_bytes(joined(header, description, data))
    assert peak(path) < 4 * MEBI


FUZZ = hypothesis.settings(
    max_examples=200,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["type", "params", "tuple", "dict", "float", "inf", "Huber", "WarmUp", "gelu", "sgd"])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda v: (
        st.lists(v, max_size=4)
        | st.dictionaries(st.text(max_size=6), v, max_size=4)
        | st.fixed_dictionaries(
            {"type": st.sampled_from(["tuple", "dict"]), "items": st.lists(v, max_size=3)}
        )
    ),
    max_leaves=8,
)


@FUZZ
@hypothesis.given(data=st.data())
def test_fuzzed_structures(data: st.DataObject, small: bytes, path: Path) -> None:
    header, description, numbers = parts(small)
    for _ in range(data.draw(st.integers(1, 3))):
        all_places = places(data.draw(st.sampled_from([header, description])))
        container, key = data.draw(st.sampled_from(all_places))
        action = data.draw(st.sampled_from(["replace", "nudge", "remove", "copy", "rename"]))
        if action == "replace":
            container[key] = data.draw(VALUES)
        elif action == "nudge" and isinstance(container[key], (int, float)):
            container[key] += data.draw(st.sampled_from([-8, -1, 1, 4, 2**31, 2**63]))
        elif action == "remove":
            del container[key]
        elif action == "copy":
            other, place = data.draw(st.sampled_from(all_places))
            if place in other or isinstance(other, list):
                container[key] = json.loads(json.dumps(other[place]))
        elif action == "rename" and isinstance(container, dict):
            container[data.draw(st.text(max_size=4) | st.sampled_from(["tol", "alpha"]))] = container.pop(key)
    check_hostile(path, joined(header, description, numbers))


@FUZZ
@hypothesis.given(data=st.data())
def test_fuzzed_parameters(data: st.DataObject, small: bytes, path: Path) -> None:
    header, description, numbers = parts(small)
    part = description[data.draw(st.sampled_from(["params", "fitted"]))]
    part[data.draw(st.sampled_from(sorted(part)))] = data.draw(VALUES)
    check_hostile(path, joined(header, description, numbers))
