"""`from_sklearn`: scikit-learn's fitted estimators go on here as they would there."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy.sparse import csr_array
from sklearn import neural_network
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cact import nn
from cact.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((90, 4))
THREE = np.array(["a", "b", "zebra"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0)]
TWO = X[:, 0] > 0.2
SEVERAL = (X[:, :3] > 0).astype(int)
ONE = np.abs(X[:, 0] * X[:, 1])
TARGETS: dict[str, Any] = {
    "three": THREE, "two": TWO, "several": SEVERAL, "sparse": csr_array(SEVERAL), "lone": np.full(90, 7),
    "number": ONE, "numbers": np.c_[ONE, X[:, 2]],
}  # fmt: skip
NUMBERS = ("number", "numbers")


def theirs(target: str, **params: Any) -> Any:
    """scikit-learn's estimator, fitted."""
    kind = neural_network.MLPRegressor if target in NUMBERS else neural_network.MLPClassifier
    params = {"hidden_layer_sizes": (6, 5), "max_iter": 4, "random_state": 3, **params}
    return kind(**params).fit(X, TARGETS[target])


def ours(model: Any) -> Any:
    kind = MLPRegressor if isinstance(model, neural_network.MLPRegressor) else MLPClassifier
    return kind.from_sklearn(model)


def check_same(found: Any, model: Any, x: Any = X, tolerance: float = 1e-12) -> None:
    """The same weights and predictions, to rounding."""
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(found, name), getattr(model, name), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    a, b = found.predict(x), model.predict(x)
    if isinstance(model, neural_network.MLPRegressor):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
        return
    assert type(a) is type(b)
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    assert not (a != b).sum()
    np.testing.assert_allclose(found.predict_proba(x), model.predict_proba(x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("target", list(TARGETS))
def test_predictions(target: str, activation: str) -> None:
    model = theirs(target, activation=activation)
    before = copy.deepcopy(vars(model))
    found = ours(model)
    check_same(found, model)
    for key, value in model.get_params().items():
        assert found.get_params()[key] == value, key
    for key in (
        "n_iter_", "t_", "loss_", "best_loss_", "loss_curve_", "validation_scores_", "n_layers_",
        "best_validation_score_", "n_outputs_", "out_activation_", "n_features_in_",
    ):  # fmt: skip
        assert getattr(found, key) == before[key], key
    if target not in NUMBERS:
        assert found.classes_.tolist() == model.classes_.tolist()
    clone(found).set_params(max_iter=1).fit(X, TARGETS[target])


@pytest.mark.parametrize("hidden", [(), 7, [3, 3, 3]])
def test_layers(hidden: Any) -> None:
    check_same(ours(theirs("three", hidden_layer_sizes=hidden)), theirs("three", hidden_layer_sizes=hidden))


def test_what_was_changed_after_the_fit() -> None:
    model = theirs("number").set_params(hidden_layer_sizes=(9,), activation="tanh", random_state=None)
    found = ours(model)
    check_same(found, model)
    assert found.hidden_layer_sizes == (9,)


def test_nothing_is_shared() -> None:
    state = np.random.RandomState(0)
    model = theirs("three", random_state=state)
    expected, drawn = model.predict_proba(X), copy.deepcopy(state)
    found = ours(model)
    found.partial_fit(X, THREE)
    for array in (*found.coefs_, *found.intercepts_):
        array[...] = 0
    found.loss_curve_.append(0.0)
    found.classes_[:] = "a"
    assert np.array_equal(model.predict_proba(X), expected)
    assert len(model.loss_curve_) == 4
    assert state.randint(2**31) == drawn.randint(2**31)


def test_float32() -> None:
    x = X.astype(np.float32)
    model = neural_network.MLPClassifier(6, max_iter=3, random_state=0).fit(x, THREE)
    found = ours(model)
    check_same(found, model, x, 1e-5)
    assert found.predict_proba(x).dtype == np.float32
    check_same(found.partial_fit(x, THREE), model.partial_fit(x, THREE), x, 1e-5)


def test_poisson() -> None:
    if "loss" not in neural_network.MLPRegressor().get_params():
        pytest.skip("this scikit-learn has no Poisson loss")
    model = theirs("number", loss="poisson")
    found = ours(model)
    assert type(found._loss) is nn.Poisson
    check_same(found, model)
    check_same(found.partial_fit(X, ONE), model.partial_fit(X, ONE))


def test_names_of_features() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    model = neural_network.MLPClassifier(4, max_iter=2, random_state=0).fit(frame, THREE)
    found = ours(model)
    assert found.feature_names_in_.tolist() == list("abcd")
    check_same(found, model, frame)


# ---------------------------------------------------------------------- training goes on
@pytest.mark.parametrize("target", ["three", "two", "several", "number", "numbers"])
@pytest.mark.parametrize(
    "params",
    [
        {"solver": "adam", "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4},
        {"solver": "sgd"},
        {"solver": "sgd", "nesterovs_momentum": False},
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1, "max_iter": 9},
    ],
)
def test_partial_fit(params: dict[str, Any], target: str) -> None:
    """As scikit-learn goes on, with its moments and its learning rate."""
    model = theirs(target, batch_size=20, shuffle=False, alpha=0.01, **params)
    found = ours(model)
    for _ in range(3):
        for estimator in (model, found):
            estimator.partial_fit(X, TARGETS[target])
        check_same(found, model)
    np.testing.assert_allclose(found.loss_curve_, model.loss_curve_, rtol=1e-12)
    assert found.t_ == model.t_
    assert found._no_improvement_count == model._no_improvement_count


def test_what_the_optimiser_remembers_matters() -> None:
    model = theirs("three", shuffle=False)
    found, forgetful = ours(model), ours(model)
    forgetful._optimizer = None
    model.partial_fit(X, THREE)
    check_same(found.partial_fit(X, THREE), model)
    with pytest.raises(AssertionError):
        check_same(forgetful.partial_fit(X, THREE), model, tolerance=1e-6)


@pytest.mark.parametrize("state", [5, np.random.RandomState(5)])
def test_the_next_order_of_the_rows(state: Any) -> None:
    model = theirs("three", batch_size=7, random_state=state)
    found = ours(model)
    check_same(found.partial_fit(X, THREE), model.partial_fit(X, THREE))


def test_another_solver_since() -> None:
    for solver, other in (("adam", "sgd"), ("sgd", "adam"), ("lbfgs", "adam"), ("adam", "lbfgs")):
        model = theirs("three", solver=solver).set_params(solver=other)
        found = ours(model)
        check_same(found, model)
        found.set_params(warm_start=True, max_iter=1).fit(X, THREE)


def test_warm_start() -> None:
    model = theirs("two", max_iter=2, warm_start=True)
    found = ours(model)
    found.fit(X, TWO)
    assert len(found.loss_curve_) == 4
    assert found.loss_curve_[2] < found.loss_curve_[1]
    with pytest.raises(ValueError, match="same classes"):
        found.fit(X, THREE)


def test_early_stopping() -> None:
    model = theirs("three", early_stopping=True, max_iter=30, n_iter_no_change=2, warm_start=True)
    found = ours(model)
    check_same(found, model)
    assert found.validation_scores_ == model.validation_scores_
    found.best_validation_score_ = 2.0  # which no score beats
    check_same(found.fit(X, THREE), model)


# ---------------------------------------------------------------------- what is refused
class Own(neural_network.MLPClassifier):
    pass


def test_refused() -> None:
    for kind, name in ((MLPClassifier, "MLPClassifier"), (MLPRegressor, "MLPRegressor")):
        with pytest.raises(NotFittedError, match=name):
            kind.from_sklearn(getattr(neural_network, name)())
        for other in (None, "relu", kind(), getattr(neural_network, name), theirs("three").coefs_):
            with pytest.raises(TypeError, match=rf"must be a sklearn\.neural_network\.{name}, got"):
                kind.from_sklearn(other)
    with pytest.raises(TypeError, match=r"must be a sklearn\.neural_network\.MLPRegressor, got MLPClass"):
        MLPRegressor.from_sklearn(theirs("three"))
    with pytest.raises(TypeError, match=r"must be a sklearn\.neural_network\.MLPClassifier, got Own"):
        MLPClassifier.from_sklearn(Own(3, max_iter=1).fit(X, THREE))


def test_own_subclasses_take_over() -> None:
    class Ours(MLPClassifier):
        pass

    assert type(Ours.from_sklearn(theirs("three"))) is Ours
