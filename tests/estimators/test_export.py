"""`cact.to_onnx` of estimators: what onnxruntime makes of the model, against their methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("sklearn")

import onnx
import onnxruntime
from sklearn import neural_network
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

import cact
from cact import nn
from cact.nn._onnx_forms import FORMS
from cact.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((80, 4))
THREE = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
SEVERAL = (X[:, :3] > 0).astype(int)
ONE = np.abs(X[:, 0])
SHAPED = [n for n in FORMS if cact.get(n)._record.gate or cact.get(n)._record.pieces is not None]
DTYPES = [np.float32, np.float64]


def run(model: Any, x: np.ndarray, **options: Any) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The checked model, and its outputs by name."""
    exported = cact.to_onnx(model, **options)
    onnx.checker.check_model(exported, full_check=True)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(exported.SerializeToString(), settings, ["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["x"]
    names = [output.name for output in session.get_outputs()]
    results = dict(zip(names, session.run(None, {"x": x}), strict=True))
    for output in session.get_outputs():
        declared = [d if isinstance(d, int) else len(x) for d in output.shape]
        assert list(results[output.name].shape) == declared
        assert output.shape[0] == "batch"
    return exported, results


def close(found: np.ndarray, expected: np.ndarray, ulp: float = 64) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    scale = np.maximum(1, np.abs(expected))
    assert np.max(np.abs(found - expected) / scale) <= ulp * np.finfo(found.dtype).eps


def check_classifier(model: Any, x: np.ndarray, **options: Any) -> onnx.ModelProto:
    exported, found = run(model, x, **options)
    assert list(found) == ["label", "probabilities"]
    close(found["probabilities"], model.predict_proba(x))
    label, expected = found["label"], model.predict(x)
    assert label.shape == expected.shape
    assert np.array_equal(label, expected)
    strings = model.classes_.dtype.kind in "UO"
    assert label.dtype == (object if strings else np.int64)
    return exported


def classifier(y: Any = THREE, dtype: Any = np.float32, **params: Any) -> MLPClassifier:
    params = {"hidden_layer_sizes": (6, 4), "max_iter": 2, "random_state": 0, **params}
    return MLPClassifier(**params).fit(X.astype(dtype), y)


def regressor(y: Any = ONE, dtype: Any = np.float32, **params: Any) -> MLPRegressor:
    params = {"hidden_layer_sizes": (6, 4), "max_iter": 2, "random_state": 0, **params}
    return MLPRegressor(**params).fit(X.astype(dtype), y)


# ---------------------------------------------------------------------- classifiers
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [n for n in FORMS if n not in SHAPED])
def test_every_activation(name: str, dtype: Any) -> None:
    """With one epoch; the labels of other rows than those of the fit, too."""
    model = classifier(dtype=dtype, activation=name, max_iter=1)
    x = np.random.default_rng(1).standard_normal((200, 4)).astype(dtype)
    check_classifier(model, x)


@pytest.mark.parametrize("name", SHAPED)
def test_activations_that_take_several_features(name: str) -> None:
    check_classifier(classifier(activation=name), X.astype(np.float32))


LABELS = [
    np.array([3, 5, 8]), np.array([-1, 0, 2**40]), np.array([0, 1, 200], np.uint8), np.array([0.0, 1.0, 2.0]),
    np.array(["a", "b", "zebra"]), np.array(["", "é", "\U0001f993"]), np.array(["a", "b", "c"], object),
    np.array([4, 7]), np.array(["no", "yes"]), np.array([False, True]), np.array([-1.0, 1.0]),
    np.array([9]), np.array(["only"]),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("labels", LABELS, ids=lambda a: f"{len(a)} {a.dtype}")
def test_labels(labels: np.ndarray, dtype: Any) -> None:
    y = labels[(X[:, 0] > 0).astype(int) * (len(labels) > 1) + ((X[:, 1] > 0) & (len(labels) > 2))]
    model = classifier(y, dtype, max_iter=30, learning_rate_init=0.05)
    exported = check_classifier(model, X.astype(dtype))
    assert len(set(model.predict(X.astype(dtype)).tolist())) == len(labels)
    assert exported.doc_string.startswith("cact.sklearn.MLPClassifier: cact.nn.Sequential(Dense(4, 6)")


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_labels(dtype: Any) -> None:
    model = classifier(SEVERAL, dtype, max_iter=30, learning_rate_init=0.05)
    check_classifier(model, X.astype(dtype))
    assert 0.2 < model.predict(X.astype(dtype)).mean() < 0.8


def test_probabilities_near_0() -> None:
    """Of the class, and not 1 less that of the other."""
    model = classifier(THREE > 0, np.float64, activation="identity")
    for array in (*model.coefs_, *model.intercepts_):
        array *= 40
    _, found = run(model, X)
    expected = model.predict_proba(X)
    assert expected.min() < 1e-20
    np.testing.assert_allclose(found["probabilities"], expected, rtol=1e-10)


@pytest.mark.parametrize("normalization", ["batch", "layer"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_normalised_networks(normalization: str, dtype: Any) -> None:
    model = classifier(dtype=dtype, normalization=normalization, dropout=0.5, activation=["gelu", "selu"])
    check_classifier(model, X.astype(dtype))


# ---------------------------------------------------------------------- regressors
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("y", [ONE, np.c_[ONE, ONE + 1]], ids=["one", "two"])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson", nn.Quantile(0.9)])
def test_regressors(loss: Any, y: np.ndarray, dtype: Any) -> None:
    model = regressor(y, dtype, loss=loss)
    exported, found = run(model, X.astype(dtype))
    assert list(found) == ["y"]
    close(found["y"], model.predict(X.astype(dtype)))
    assert ("Exp" in {node.op_type for node in exported.graph.node}) == (loss == "poisson")


def test_links() -> None:
    share = np.abs(np.tanh(X[:, 0]))
    model = regressor(share, loss=nn.BinaryCrossEntropy())
    close(run(model, X.astype(np.float32))[1]["y"], model.predict(X.astype(np.float32)))

    class OwnLink(nn.SquaredError):
        def link(self, output: Any) -> Any:
            return 2 * output

    with pytest.raises(ValueError, match=r"to_onnx: the link of the loss OwnLink\(\) has no ONNX form"):
        cact.to_onnx(regressor(loss=OwnLink()))


# ---------------------------------------------------------------------- others
def test_scikit_learns_own() -> None:
    for y in (THREE, THREE > 0, SEVERAL):
        model = neural_network.MLPClassifier(6, max_iter=3, random_state=0).fit(X, y)
        check_classifier(model, X)
    model = neural_network.MLPRegressor(hidden_layer_sizes=6, max_iter=3, random_state=0).fit(X, ONE)
    close(run(model, X)[1]["y"], model.predict(X))


def test_what_was_put_into_coefs() -> None:
    model = classifier()
    model.coefs_[0] = -model.coefs_[0]
    check_classifier(model, X.astype(np.float32))


@pytest.mark.parametrize("opset", [18, onnx.defs.onnx_opset_version()])
def test_opset(opset: int) -> None:
    exported = cact.to_onnx(classifier(np.array(["a", "b", "c"])[THREE]), opset=opset)
    onnx.checker.check_model(exported, full_check=True)
    assert exported.opset_import[0].version == opset


def test_written_to_a_file(tmp_path: Any) -> None:
    path = tmp_path / "model.onnx"
    exported = cact.to_onnx(classifier(), path)
    assert onnx.load(path) == exported
    assert path.read_bytes() == cact.to_onnx(classifier()).SerializeToString(deterministic=True)


class Own(MLPClassifier):
    pass


def test_refused() -> None:
    for model in (MLPClassifier(), MLPRegressor(), neural_network.MLPClassifier()):
        with pytest.raises(NotFittedError):
            cact.to_onnx(model)
    for model, name in ((Own(3, max_iter=1).fit(X, THREE), "Own"), (make_pipeline(classifier()), "Pipeline")):
        with pytest.raises(TypeError, match=f"MLPClassifier or MLPRegressor, got {name}"):
            cact.to_onnx(model)
    with pytest.raises(ValueError, match=r"layer 1, Activation\(sin\): an own function has no ONNX form"):
        cact.to_onnx(classifier(activation=(np.sin, np.cos)))
    with pytest.raises(TypeError, match="opset must be an integer"):
        cact.to_onnx(classifier(), opset="20")
    model = classifier()
    for labels in (np.array([1, 2, 2**63], np.uint64), np.array([0.5, 1.5, 2.5])):
        model.classes_ = labels
        with pytest.raises(ValueError, match="strings or integers of 64 bits"):
            cact.to_onnx(model)
