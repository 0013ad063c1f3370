"""The estimators beyond scikit-learn's: activations, resuming, validation, callbacks, what breaks."""

from __future__ import annotations

import copy
import doctest
import io
import pickle
import re
import signal
import sys
import warnings
from contextlib import contextmanager, redirect_stderr, suppress
from typing import Any

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import log_loss, make_scorer, max_error, mean_squared_error, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cact
import cact.sklearn
from cact import _lookup, _registry, nn
from cact.nn import NonFiniteError, schedules
from cact.sklearn import MLPClassifier, MLPRegressor

# A few epochs say enough here, and seldom converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BOTH = [MLPClassifier, MLPRegressor]
DTYPES = [np.float32, np.float64]
both = pytest.mark.parametrize("kind", BOTH)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def classes(n: int = 120, k: int = 3, seed: int = 0, dtype: Any = np.float64) -> tuple[Any, Any]:
    X, y = make_classification(n, 6, n_informative=4, n_classes=k, class_sep=2, random_state=seed)
    return X.astype(dtype), y


def numbers(n: int = 120, outputs: int = 1, seed: int = 0, dtype: Any = np.float64) -> tuple[Any, Any]:
    X, y = make_regression(n, 6, n_targets=outputs, random_state=seed)
    return X.astype(dtype), y / 100


def data(kind: Any, n: int = 120, seed: int = 0, dtype: Any = np.float64) -> tuple[Any, Any]:
    return (classes if kind is MLPClassifier else numbers)(n, seed=seed, dtype=dtype)


def make(kind: Any, **settings: Any) -> Any:
    """A small one, with several batches in an epoch and a last one that is shorter."""
    chosen = {"hidden_layer_sizes": (8, 6), "max_iter": 3, "batch_size": 32, "random_state": 0, **settings}
    return kind(**chosen)


def bits(model: Any) -> list[bytes]:
    """All that training has changed in the network."""
    arrays = [array for _, array, _ in model.network_.parameters()]
    for layer in model.network_.layers:
        arrays += layer.buffers.values()
    return [array.tobytes() for array in arrays]


def assert_shown(model: Any) -> None:
    """coefs_ are the network's own arrays, not copies."""
    dense = [layer for layer in model.network_.layers if isinstance(layer, nn.Dense)]
    assert all(coef is layer.params["weight"] for coef, layer in zip(model.coefs_, dense, strict=True))


def outputs(model: Any, X: Any) -> Any:
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


# ------------------------------------------------------------------ activations
def square(x: Any) -> Any:
    return x * x / 4


def square_grad(x: Any) -> Any:
    return x / 2


def name_of(value):
    """The same in every process, which an address is not."""
    return re.sub(r" at 0x\w+", "", repr(value))


@pytest.fixture
def registered():
    f = cact.register("quarter_square", square, square_grad)
    yield f
    for table in (_registry.RECORDS, _registry._keys, _lookup._activations):
        for key in [key for key in table if key.replace("_", "") == "quartersquare"]:
            del table[key]


@both
@dtypes
@pytest.mark.parametrize(
    "activation",
    [
        "gelu",
        "LeakyReLU",
        cact.get("leaky_relu", negative_slope=0.3),
        (square, square_grad),
        ["mish", cact.get("elu", alpha=0.5)],
        [(square, square_grad), "tanh"],
        "glu",
        "swiglu",
        ["reglu", "geglu"],
        ("relu", "tanh"),
        "softmax",
        "maxout",
    ],
    ids=name_of,
)
def test_any_activation(kind, dtype, activation):
    X, y = data(kind, dtype=dtype)
    model = make(kind, activation=activation, max_iter=30, learning_rate_init=0.01).fit(X, y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    given = activation if isinstance(activation, list) or activation == ("relu", "tanh") else [activation] * 2
    assert [repr(layer.activation) for layer in model.network_.activations] == [
        repr(cact.get(one)) for one in given
    ]
    assert np.isfinite(outputs(model, X)).all()
    assert outputs(model, X).dtype == dtype


@both
def test_registered_activation(kind, registered):
    X, y = data(kind)
    by_name = make(kind, activation="quarter_square").fit(X, y)
    assert bits(by_name) == bits(make(kind, activation=registered).fit(X, y))
    assert bits(by_name) == bits(make(kind, activation=(square, square_grad)).fit(X, y))


def test_bound_parameters_are_used():
    X, y = classes()
    gentle, steep = (
        make(MLPClassifier, activation=cact.get("leaky_relu", negative_slope=slope), init="he_normal").fit(
            X, y
        )
        for slope in (0.01, 0.5)
    )
    assert bits(gentle) != bits(steep)
    plain = make(MLPClassifier, activation="leaky_relu", init="he_normal").fit(X, y)
    assert bits(gentle) == bits(plain)


@both
def test_one_activation_for_all_is_a_list_of_it(kind):
    X, y = data(kind)
    one, each = (make(kind, activation=a).fit(X, y) for a in ("tanh", ["tanh", "tanh"]))
    assert bits(one) == bits(each)


@both
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["prelu", "snake", "swish", "star_relu", "xielu", "acon_c"])
def test_learnable_activations_learn(kind, name, dtype):
    X, y = data(kind, dtype=dtype)
    model = make(kind, activation=name).fit(X, y)
    f = cact.get(name)
    assert f.learnable
    for layer in model.network_.activations:
        for key in f.learnable:
            assert layer.params[key].dtype == dtype
            assert layer.params[key] != dtype(f.params[key]), key
    # none of them is taken for an intercept
    assert [len(b) for b in model.intercepts_] == [8, 6, model.n_outputs_]


@both
def test_wrong_activations(kind):
    X, y = data(kind)
    with pytest.raises(ValueError, match=r"activation must be one or a list of 2, one for each.*, got 3"):
        make(kind, activation=["relu"] * 3).fit(X, y)
    with pytest.raises(ValueError, match=rf"{kind.__name__}: activation: .*'no_such'"):
        make(kind, activation="no_such").fit(X, y)
    for each in (["relu", "no_such"], ("relu", "no_such"), np.array(["relu", "no_such"])):
        with pytest.raises(ValueError, match=rf"{kind.__name__}: activation\[1\]: .*'no_such'"):
            make(kind, activation=each).fit(X, y)
    with pytest.raises(TypeError, match=r"activation: "):
        make(kind, activation=3).fit(X, y)
    with pytest.raises(ValueError, match=rf"{kind.__name__}: hidden_layer_sizes\[1\]: glu: .*got 7"):
        make(kind, activation="glu", hidden_layer_sizes=(8, 7)).fit(X, y)  # of which there is no half


@both
def test_without_hidden_layers_it_is_linear(kind):
    X, y = data(kind)
    model = make(kind, hidden_layer_sizes=(), diagnostics=True).fit(X, y)
    assert len(model.coefs_) == 1
    assert model.diagnostics_[0]["gradient_flow"] == []
    output = X @ model.coefs_[0] + model.intercepts_[0]
    expected = cact.softmax(output) if kind is MLPClassifier else output[:, 0]
    np.testing.assert_allclose(outputs(model, X), expected, rtol=1e-12)


# ------------------------------------------------------------------ scikit-learn's company
@both
def test_grid_search_in_a_pipeline(kind):
    X, y = data(kind)
    asked = ["relu", ["gelu", "tanh"], cact.get("elu", alpha=0.5), "prelu"]
    name = kind.__name__.lower()
    search = GridSearchCV(make_pipeline(StandardScaler(), make(kind)), {f"{name}__activation": asked}, cv=2)
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert [p[f"{name}__activation"] for p in search.cv_results_["params"]] == asked
    assert search.predict(X).shape == y.shape


@both
def test_clone_params_and_repr(kind):
    X, y = data(kind)
    model = make(
        kind,
        activation=["gelu", cact.get("leaky_relu", negative_slope=0.2)],
        dropout=[0.1, 0],
        init="he_uniform",
    ).fit(X, y)
    other = clone(model)
    assert not hasattr(other, "network_")
    assert repr(other.get_params()) == repr(model.get_params())
    assert repr(other) == repr(model)
    assert "negative_slope=0.2" in repr(model)
    assert bits(other.fit(X, y)) == bits(model)
    again = kind().set_params(**model.get_params())
    assert again.get_params() == model.get_params()
    assert bits(again.fit(X, y)) == bits(model)


@both
@dtypes
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"solver": "sgd", "activation": ["prelu", "swish"], "normalization": "batch", "dropout": 0.2},
        {"solver": "lbfgs"},
        {"early_stopping": True, "validation_fraction": 0.3},
    ],
    ids=["adam", "sgd", "lbfgs", "early stopping"],
)
def test_copies_predict_and_train_on_to_the_same_bits(kind, dtype, copied, settings):
    X, y = data(kind, dtype=dtype)
    model = make(kind, warm_start=True, **settings).fit(X, y)
    twin = copied(model)
    before = bits(model)
    assert outputs(twin, X).tobytes() == outputs(model, X).tobytes()
    twin.fit(X, y)
    assert bits(model) == before, "a copy has arrays of its own"
    model.fit(X, y)
    assert bits(twin) == bits(model) != before
    assert twin.loss_curve_ == model.loss_curve_
    assert_shown(twin)


@both
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_pickle_holds_no_data(kind, solver, early_stopping):
    sizes = []
    for n in (200, 4000):
        X, y = data(kind, n)
        model = make(
            kind, solver=solver, early_stopping=early_stopping, diagnostics=True, max_iter=2, batch_size=n,
            normalization="batch",
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the batch, which is clipped by the split
            model.fit(X, y, X_val=X, y_val=y)
        outputs(model, X)
        sizes.append(len(pickle.dumps(model)))
    # numbers may take a byte more or less; the shortest thing of n elements would take 3800 more
    assert abs(sizes[1] - sizes[0]) < 100


# ------------------------------------------------------------------ data
@both
def test_pandas(kind):
    pd = pytest.importorskip("pandas")
    X, y = data(kind)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = make(kind, early_stopping=True, validation_fraction=0.3, scoring=lambda m, X, y: m.score(X, y))
    model.fit(frame, pd.Series(y), X_val=frame, y_val=pd.Series(y))  # warnings are errors here
    assert list(model.feature_names_in_) == list("abcdef")
    assert bits(model) == bits(clone(model).fit(X, y, X_val=X, y_val=y))
    split = clone(model).fit(frame, y)
    assert list(split.feature_names_in_) == list("abcdef")
    for wrong in (frame.rename(columns={"a": "z"}), frame.drop(columns="a"), frame[list("bacdef")]):
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(wrong)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


@both
@dtypes
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_matrix, sp.csr_array, sp.coo_array])
def test_sparse_is_dense(kind, dtype, solver, form):
    X, y = data(kind, dtype=dtype)
    X[np.abs(X) < 0.7] = 0
    settings = {"solver": solver, "early_stopping": solver == "sgd", "validation_fraction": 0.3}
    dense = make(kind, **settings).fit(X, y, X_val=X, y_val=y)
    sparse = make(kind, **settings).fit(form(X), y, X_val=form(X), y_val=y)
    rtol = 1e-3 if dtype == np.float32 else 1e-9  # rounding, through 3 epochs or L-BFGS's line search
    for a, b in zip(dense.coefs_, sparse.coefs_):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol / 10)
    np.testing.assert_allclose(dense.validation_loss_curve_, sparse.validation_loss_curve_, rtol=rtol)
    np.testing.assert_allclose(outputs(sparse, form(X)), outputs(sparse, X), rtol=rtol / 10, atol=rtol / 100)
    assert outputs(sparse, form(X)).dtype == dtype


@dtypes
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_multilabel(dtype, solver):
    X, Y = make_multilabel_classification(100, 6, n_classes=4, random_state=0)
    X = StandardScaler().fit_transform(X).astype(dtype)  # counts, which would saturate tanh
    model = make(MLPClassifier, activation="tanh", solver=solver, max_iter=150, learning_rate_init=0.01)
    model.fit(X, Y)
    assert model.n_outputs_ == 4
    assert model.out_activation_ == "logistic"
    p = model.predict_proba(X)
    assert p.shape == model.predict(X).shape == Y.shape
    np.testing.assert_array_equal(model.predict(X), p > 0.5)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(np.log(p), model.predict_log_proba(X), rtol=1e-3, atol=1e-6)
    assert np.mean(model.predict(X) == Y) > 0.8
    assert bits(model) == bits(clone(model).fit(X, sp.csr_matrix(Y)))
    part = make(MLPClassifier)
    part.partial_fit(X, Y, classes=range(4)).partial_fit(X, Y)
    assert part.predict(X).shape == Y.shape


@dtypes
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_several_outputs(dtype, solver):
    X, Y = numbers(outputs=3, dtype=dtype)
    model = make(MLPRegressor, solver=solver, max_iter=200, learning_rate_init=0.01, alpha=0).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    assert model.predict(X).dtype == dtype
    assert model.score(X, Y) > 0.9
    if solver == "lbfgs":  # the loss is half the mean square over rows and outputs
        assert model.loss_ == pytest.approx(mean_squared_error(Y, model.predict(X)) / 2, rel=1e-3)


@pytest.mark.parametrize("k", [2, 3])
def test_string_labels(k):
    X, y = classes(k=k)
    names = np.array(["north", "east", "south"])[y]
    model = make(MLPClassifier, max_iter=100, learning_rate_init=0.01).fit(X, names, X_val=X, y_val=names)
    assert list(model.classes_) == sorted(set(names))
    assert set(model.predict(X)) <= set(names)
    assert model.score(X, names) > 0.9
    assert model.predict_proba(X).shape == (len(X), k)
    expected = log_loss(names, model.predict_proba(X))
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-12)


@both
def test_column_y_and_shapes(kind):
    X, y = data(kind)
    flat = make(kind).fit(X, y)
    with pytest.warns(DataConversionWarning):
        column = make(kind).fit(X, y[:, None])
    assert bits(column) == bits(flat)
    assert column.predict(X).shape == (len(X),)
    assert flat.predict(X[:1]).shape == (1,)
    assert flat.n_features_in_ == 6
    assert flat.n_layers_ == 4
    flat.fit(X, y, X_val=X, y_val=y[:, None])
    assert len(flat.validation_loss_curve_) == 3


@both
@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.int8, bool])
def test_other_dtypes_become_float64(kind, dtype):
    X, y = data(kind)
    X = (X * 2).astype(dtype)
    model = make(kind).fit(X, y)
    assert {a.dtype for a in (*model.coefs_, *model.intercepts_)} == {np.dtype(np.float64)}
    assert bits(model) == bits(make(kind).fit(X.astype(np.float64), y))
    assert outputs(model, X).tobytes() == outputs(model, X.astype(np.float64)).tobytes()


@both
@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop", "lbfgs"])
def test_float32_is_kept(kind, solver):
    X, y = data(kind, dtype=np.float32)
    model = make(
        kind, solver=solver, activation="prelu", normalization="batch", diagnostics=True, init="orthogonal"
    ).fit(X, y, sample_weight=np.ones(len(y)))
    arrays = [*model.coefs_, *model.intercepts_, outputs(model, X), outputs(model, X.astype(np.float64))]
    arrays += [array for layer in model.network_.layers for array in layer.buffers.values()]
    arrays += [array for layer in model.network_.layers for array in layer.grads.values()]
    if kind is MLPClassifier:
        arrays.append(model.predict_log_proba(X))
    if solver != "lbfgs":
        assert model._optimizer.state
        arrays += model._optimizer.state.values()
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    # data of the other dtype train the network on in its own
    model.set_params(warm_start=True).fit(X.astype(np.float64), y)
    assert {a.dtype for a in (*model.coefs_, *model.intercepts_)} == {np.dtype(np.float32)}


@both
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_input_that_is_not_finite_is_refused(kind, bad):
    X, y = data(kind)
    model = make(kind).fit(X, y)
    wrong = X.copy()
    wrong[3, 2] = bad
    for call in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            call(wrong, y)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        model.predict(wrong)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        model.fit(X, y, X_val=wrong, y_val=y)
    if kind is MLPRegressor:
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            model.fit(X, np.where(np.arange(len(y)) == 5, bad, y))
        with pytest.raises(ValueError, match=r"y_val: .*finite"):
            model.fit(X, y, X_val=X, y_val=np.where(np.arange(len(y)) == 5, bad, y))


# ------------------------------------------------------------------ weights of the samples
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("k", [2, 3])
def test_class_weight_is_a_sample_weight(solver, k):
    X, y = classes(k=k)
    keep = (y != 0) | (np.arange(len(y)) % 4 == 0)  # fewer of class 0
    X, y = X[keep], y[keep]
    balanced = len(y) / (k * np.bincount(y))
    for given, weights in (("balanced", balanced), ({0: 3.0, 1: 0.5}, np.array([3, 0.5, 1])[:k])):
        model = make(MLPClassifier, solver=solver, class_weight=given).fit(X, y)
        assert bits(model) == bits(make(MLPClassifier, solver=solver).fit(X, y, weights[y]))
        assert bits(model) != bits(make(MLPClassifier, solver=solver).fit(X, y))
        # and both multiply
        twice = make(MLPClassifier, solver=solver, class_weight=given).fit(X, y, weights[y])
        squared = make(MLPClassifier, solver=solver).fit(X, y, weights[y] ** 2)
        np.testing.assert_allclose(twice.coefs_[0], squared.coefs_[0], rtol=1e-9)


@both
@dtypes
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_zero_weights_count_nothing(kind, dtype, solver):
    X, y = data(kind, dtype=dtype)
    weight = np.r_[np.ones(90), np.zeros(30)]
    spoiled, wrong = X.copy(), y.copy()
    spoiled[90:] = 1e3
    wrong[90:] = wrong[0]
    whole = {"shuffle": False, "solver": solver, "batch_size": 120}
    model = make(kind, **whole).fit(spoiled, wrong, weight)
    without = make(kind, **{**whole, "batch_size": 90}).fit(X[:90], y[:90])
    rtol = 1e-3 if dtype == np.float32 else 1e-9  # other sums, rounded otherwise
    for a, b in zip(model.coefs_, without.coefs_):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol / 10)
    assert model.loss_ == pytest.approx(without.loss_, rel=rtol)


@both
def test_a_weight_is_a_repetition(kind):
    X, y = data(kind)
    weight = np.arange(len(y)) % 3
    weighted = make(kind, solver="lbfgs").fit(X, y, weight)
    repeated = make(kind, solver="lbfgs").fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(outputs(weighted, X), outputs(repeated, X), rtol=1e-6, atol=1e-9)


@both
def test_wrong_weights(kind):
    X, y = data(kind)
    weight = np.ones(len(y))
    weight[4] = -0.5
    for solver in ("adam", "lbfgs"):
        with pytest.raises(ValueError, match=r"sample_weight must be at least 0, got -0\.5"):
            make(kind, solver=solver).fit(X, y, weight)
    with pytest.raises(ValueError, match="sample_weight"):
        make(kind).fit(X, y, np.ones(3))
    with pytest.raises(ValueError, match=r"sum of sample_weight|non-zero"):  # scikit-learn's, since 1.9
        make(kind, solver="lbfgs").fit(X, y, np.zeros(len(y)))


# ------------------------------------------------------------------ the network
@both
@dtypes
@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 0.3},
        {"dropout": [0.5, 0]},
        {"dropout": np.array([0.1, 0.2]), "activation": "selu"},
        {"normalization": "batch"},
        {"normalization": "layer"},
        {"normalization": "batch", "dropout": 0.2},
    ],
    ids=str,
)
def test_predictions_are_free_of_chance(kind, dtype, settings):
    X, y = data(kind, dtype=dtype)
    model = make(kind, **settings).fit(X, y)
    np.testing.assert_array_equal(outputs(model, X), outputs(model, X))
    # nor do they depend on what else is in the batch
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(outputs(model, X[:1]), outputs(model, X)[:1], rtol=rtol)
    plain = make(kind, activation=settings.get("activation", "relu")).fit(X, y)
    assert bits(plain) != bits(model)


@both
def test_dropout_drops(kind):
    X, y = data(kind)
    rates = [layer.rate for layer in make(kind, dropout=[0.5, 0.25]).fit(X, y).network_.layers
             if isinstance(layer, nn.Dropout)]  # fmt: skip
    assert rates == [0.5, 0.25]
    kinds = {type(layer) for layer in make(kind, dropout=0.5, activation="selu").fit(X, y).network_.layers}
    assert nn.AlphaDropout in kinds
    for wrong in ([0.1, 1.0], 1.0):
        with pytest.raises(ValueError, match="dropout"):
            make(kind, dropout=wrong).fit(X, y)
    needed = f"{kind.__name__}: dropout must be one rate or a list of 2, one for each hidden layer"
    for wrong in ([0.1], (0.1, 0.1, 0.1)):
        with pytest.raises(ValueError, match=f"{needed}, got {len(wrong)}"):
            make(kind, dropout=wrong).fit(X, y)
    with pytest.raises(ValueError, match="dropout must be 0"):
        make(kind, dropout=0.1, solver="lbfgs").fit(X, y)


@both
@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_the_intercepts_of_a_normalised_layer_are_beta(kind, normalization):
    X, y = data(kind)
    model = make(kind, normalization=normalization).fit(X, y)
    norms = [layer for layer in model.network_.layers if isinstance(layer, (nn.BatchNorm, nn.LayerNorm))]
    assert len(norms) == 2
    for intercept, norm in zip(model.intercepts_, norms):
        assert intercept is norm.params["beta"]
    assert len(model.intercepts_[2]) == model.n_outputs_


@both
def test_batch_norm_with_one_row_left_over(kind):
    X, y = data(kind, 97)
    model = make(kind, normalization="batch", batch_size=32).fit(X, y)  # 32, 32 and 33
    assert model._optimizer.steps == 9
    model.set_params(normalization=None).fit(X, y)
    assert model._optimizer.steps == 12
    with pytest.raises(ValueError, match="a batch_size of at least 2, got 1"):
        make(kind, normalization="batch", batch_size=1).fit(X, y)
    for solver in ("adam", "lbfgs"):
        with pytest.raises(ValueError, match="at least 2 samples, got n_samples=1"):
            make(kind, normalization="batch", solver=solver, batch_size="auto").fit(X[:1], y[:1])


@both
@dtypes
def test_batch_norm_with_lbfgs_has_the_moments_of_all_rows(kind, dtype):
    X, y = data(kind, dtype=dtype)
    model = make(kind, normalization="batch", solver="lbfgs", max_iter=20).fit(X, y)
    norm = model.network_.layers[1]
    z = X @ model.coefs_[0]
    rtol = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(norm.running_mean, z.mean(axis=0), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(norm.running_var, z.var(axis=0, ddof=1), rtol=rtol)
    assert norm.momentum == 0.1


@both
@pytest.mark.parametrize("name", ["he_normal", "he_uniform", "glorot_normal", "lecun_uniform", "orthogonal"])
def test_init_by_name(kind, name):
    X, y = data(kind)
    model = make(kind, init=name, hidden_layer_sizes=(5,), learning_rate_init=1e-300, max_iter=1).fit(X, y)
    weight = model.coefs_[0]
    assert np.abs(model.intercepts_[0]).max() < 1e-298
    if name == "orthogonal":
        product = weight.T @ weight
        np.testing.assert_allclose(product, product[0, 0] * np.eye(5), atol=1e-12)
    else:
        drawn = nn.init.scheme(name)(6, 5, rng=np.random.default_rng(
            np.random.RandomState(0).randint(2**31 - 1)), dtype=np.float64)  # fmt: skip
        np.testing.assert_allclose(weight / drawn, (weight / drawn)[0, 0], rtol=1e-12)


@both
def test_init_by_function(kind):
    X, y = data(kind)

    def ones(n_in, n_out, *, rng, dtype):
        return np.full((n_in, n_out), 0.5, dtype)

    model = make(kind, init=ones, learning_rate_init=1e-300, max_iter=1).fit(X, y)
    assert all((coef == 0.5).all() for coef in model.coefs_)
    with pytest.raises(ValueError, match="unknown init 'no_such'; there are he_normal"):
        make(kind, init="no_such").fit(X, y)
    with pytest.raises(ValueError, match="init must return an array of shape"):
        make(kind, init=lambda n_in, n_out, *, rng, dtype: np.ones(3)).fit(X, y)


@both
def test_automatic_init_follows_the_activation(kind):
    X, y = data(kind, 60)
    still = {"hidden_layer_sizes": (400,), "learning_rate_init": 1e-300, "max_iter": 1}
    uniform = make(kind, activation="tanh", **still).fit(X, y).coefs_[0]
    assert np.abs(uniform).max() <= np.sqrt(6 / 406)
    for name in ("gelu", "selu"):
        weight = make(kind, activation=name, **still).fit(X, y).coefs_[0]
        scheme, _ = nn.init.for_activation(name)
        assert scheme in ("he_normal", "lecun_normal")
        assert weight.std() == pytest.approx(1 / np.sqrt(6), rel=0.1)  # 2400 of them: 3 % is 2 sigma


# ------------------------------------------------------------------ optimisers
@both
@dtypes
def test_a_clipped_gradient_takes_a_step_of_that_length(kind, dtype):
    X, y = data(kind, dtype=dtype)
    settings = {"solver": "sgd", "momentum": 0, "batch_size": len(X), "max_iter": 1, "alpha": 0}
    start = make(kind, **{**settings, "learning_rate_init": 1e-30}).fit(X, y)
    step = make(kind, clip_norm=0.01, learning_rate_init=1.0, **settings).fit(X, y)
    moved = step.network_.flat().values - start.network_.flat().values
    assert np.linalg.norm(moved) == pytest.approx(0.01, rel=1e-4)


@both
def test_adamw_decays_by_alpha_itself(kind):
    """Without a gradient weights shrink by 1 - lr*alpha, whatever the size of the batch."""
    X, y = data(kind, 64)

    def flat(output, target):
        return np.zeros(len(output)), np.zeros_like(output)

    settings = {"solver": "adamw", "loss": flat, "learning_rate_init": 0.1, "warm_start": True}
    start = make(kind, alpha=0, **settings).fit(X, y)
    model = make(kind, alpha=0.5, max_iter=2, **settings).fit(X, y)
    for a, b in zip(model.coefs_, start.coefs_):
        np.testing.assert_allclose(a, b * (1 - 0.05) ** 4, rtol=1e-12)
    for a, b in zip(model.intercepts_, start.intercepts_):
        np.testing.assert_array_equal(a, b)
    model.set_params(alpha=0.0).fit(X, y)  # heeded in the fit that goes on
    np.testing.assert_allclose(model.coefs_[0], start.coefs_[0] * (1 - 0.05) ** 4, rtol=1e-12)


@both
@pytest.mark.parametrize(
    ("solver", "rate", "settings"),
    [
        ("adamw", 0.01, {}),
        ("rmsprop", 0.001, {"beta_2": 0.9, "momentum": 0}),
        ("rmsprop", 0.001, {"beta_2": 0.9}),
    ],
)
def test_more_solvers_learn(kind, solver, rate, settings):
    X, y = data(kind)
    model = make(kind, solver=solver, learning_rate_init=rate, activation="tanh", max_iter=100, **settings)
    model.fit(X, y)
    assert model.score(X, y) > 0.9
    assert type(model._optimizer).__name__.lower() == solver


@both
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop"])
def test_schedules_are_followed_and_left_alone(kind, solver):
    X, y = data(kind)
    seen = []

    def rate(step):
        seen.append(step)
        return 0.01 / (step + 1)

    model = make(kind, solver=solver, learning_rate=rate).fit(X, y)
    assert seen[-1] == 11
    assert model._optimizer.lr == 0.01 / 12
    constant = make(kind, solver=solver, learning_rate=schedules.Constant(0.02), learning_rate_init=1.0).fit(
        X, y
    )
    assert bits(constant) == bits(make(kind, solver=solver, learning_rate_init=0.02).fit(X, y))
    given = schedules.Adaptive(0.5)
    make(kind, solver=solver, learning_rate=given, tol=1e3, n_iter_no_change=1, max_iter=6).fit(X, y)
    assert given.lr(0) == 0.5
    warm = schedules.WarmUp(schedules.InverseScaling(0.1), 5)
    first = make(kind, solver=solver, learning_rate=warm).fit(X, y)
    assert bits(first) == bits(make(kind, solver=solver, learning_rate=warm).fit(X, y))
    with pytest.raises(TypeError, match=rf"{kind.__name__}: learning_rate: .*an instance, not its class"):
        make(kind, solver=solver, learning_rate=schedules.Cosine).fit(X, y)


@both
def test_adaptive_divides_the_rate_and_then_stops(kind):
    X, y = data(kind)
    model = make(
        kind, solver="sgd", learning_rate="adaptive", learning_rate_init=1e-5, tol=1e3, n_iter_no_change=2,
        max_iter=100,
    ).fit(X, y)  # fmt: skip
    # the first epoch improves on infinity; then 3 do not, and after each time 3 more
    assert model.n_iter_ == 1 + 3 * 3
    assert model._optimizer.lr == pytest.approx(1e-5 / 25)


@both
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scoring": "r2"}, "scoring needs early_stopping=True"),
        ({"solver": "lbfgs", "scoring": "r2"}, "solver='lbfgs' does not support scoring"),
        ({"solver": "lbfgs", "scoring": "r2", "early_stopping": True}, "does not support scoring"),
        ({"solver": "lbfgs", "learning_rate": schedules.Constant(0.1)}, "a schedule as learning_rate"),
        ({"solver": "lbfgs", "learning_rate": lambda step: 0.1}, "a schedule as learning_rate"),
        ({"solver": "lbfgs", "clip_norm": 1.0}, "solver='lbfgs' does not support clip_norm"),
    ],
)
def test_settings_that_nothing_would_read(kind, settings, words):
    X, y = data(kind)
    with pytest.raises(ValueError, match=rf"{kind.__name__}: .*{words}"):
        make(kind, **settings).fit(X, y)


@both
@pytest.mark.parametrize("settings", [{"learning_rate": "adaptive"}, {"early_stopping": True}], ids=str)
def test_settings_of_its_own_that_scikit_learn_lets_be(kind, settings):
    X, y = data(kind)
    one, other = (make(kind, solver="lbfgs", **given).fit(X, y) for given in (settings, {}))
    assert bits(one) == bits(other)


# ------------------------------------------------------------------ validation
@dtypes
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_validation_loss_is_the_log_loss(dtype, k, solver):
    X, y = classes(k=k, dtype=dtype)
    new, known = classes(60, k=k, seed=1, dtype=dtype)
    model = make(MLPClassifier, solver=solver, normalization="batch" if solver == "adam" else None)
    model.fit(X, y, X_val=new, y_val=known)
    assert len(model.validation_loss_curve_) == len(model.loss_curve_) == model.n_iter_ == 3
    p = model.predict_proba(new).astype(np.float64)
    expected = log_loss(known, p / p.sum(axis=1, keepdims=True))
    assert model.validation_loss_curve_[-1] == pytest.approx(
        expected, rel=1e-5 if dtype == np.float32 else 1e-12
    )
    assert bits(model) == bits(clone(model).fit(X, y)), "the validation set trains nothing"


@dtypes
@pytest.mark.parametrize("outputs", [1, 2])
def test_validation_loss_of_a_regression(dtype, outputs):
    X, y = numbers(outputs=outputs, dtype=dtype)
    new, known = numbers(60, outputs=outputs, seed=1, dtype=dtype)
    model = make(MLPRegressor).fit(X, y, X_val=new, y_val=known)
    expected = mean_squared_error(known, model.predict(new)) / 2
    assert model.validation_loss_curve_[-1] == pytest.approx(
        expected, rel=1e-5 if dtype == np.float32 else 1e-12
    )


@both
def test_wrong_validation_sets(kind):
    X, y = data(kind)
    epochs = []
    model = make(kind, learning_rate=lambda step: epochs.append(step) or 0.1)
    with pytest.raises(ValueError, match="X_val and y_val must be given together"):
        model.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="X has 5 features"):
        model.fit(X, y, X_val=X[:, :5], y_val=y)
    with pytest.raises(ValueError, match="y_val must have as many rows as X_val, 120"):
        model.fit(X, y, X_val=X, y_val=y[:7])
    if kind is MLPClassifier:
        with pytest.raises(ValueError, match="y_val"):
            model.fit(X, y, X_val=X, y_val=y + 1)
    else:
        with pytest.raises(ValueError, match=r"y_val: .*shape"):
            model.fit(X, y, X_val=X, y_val=np.c_[y, y])
    assert not epochs, "all of that is known before training"


REFUSED = {
    "X_val": (lambda X, y: (X, y, None, X[:, :2], y), {}),
    "weights": (lambda X, y: (X[:, :3], y, np.ones(3)), {}),
    "weights below 0": (lambda X, y: (X, y + 7, -np.ones(len(X))), {}),
    "weights without a sum": (lambda X, y: (X, y, np.full(len(X), 1e308)), {}),
    "X": (lambda X, y: (X * np.nan, y + 7), {}),
    "activation": (lambda X, y: (X[:, :3], y), {"activation": "nope"}),
    "scoring": (lambda X, y: (X[:, :3], y), {"scoring": "nope", "early_stopping": True}),
    "split": (lambda X, y: (X, y), {"validation_fraction": 1e-9, "early_stopping": True}),
    "dropout": (lambda X, y: (X, y), {"solver": "lbfgs", "dropout": 0.5}),
    "clip_norm": (lambda X, y: (X[:, :3], y), {"solver": "lbfgs", "clip_norm": 1.0}),
    "batches of one": (lambda X, y: (X, y), {"batch_size": 1, "normalization": "batch"}),
}


@both
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_fit_lets_go_of_its_data(kind, solver):
    X, y = data(kind)
    model = make(kind, solver=solver).fit(X, y, X_val=X, y_val=y)
    parts = [model.network_, *model.network_.layers, model._loss]
    held = [value for part in parts for value in vars(part).values() if isinstance(value, np.ndarray)]
    assert not held
    assert model.network_.outputs == []


def test_a_sparse_validation_target():
    X, y = make_multilabel_classification(60, n_features=6, random_state=0)
    dense = make(MLPClassifier).fit(X, y, X_val=X, y_val=y)
    sparse = make(MLPClassifier).fit(X, sp.csr_matrix(y), X_val=X, y_val=sp.csc_matrix(y))
    assert sparse.validation_loss_curve_ == dense.validation_loss_curve_


@both
@pytest.mark.parametrize(("given", "settings"), REFUSED.values(), ids=REFUSED)
def test_a_fit_that_is_refused_loses_nothing(kind, given, settings):
    X, y = data(kind)
    model = make(kind).fit(X, y)
    before, expected = dict(vars(model)), outputs(model, X)
    X_, y_, *weight_and_validation = given(X, y)
    weight, X_val, y_val = (*weight_and_validation, None, None, None)[:3]
    model.set_params(**settings)
    with pytest.raises(ValueError):  # noqa: PT011
        model.fit(X_, y_, weight, X_val=X_val, y_val=y_val)
    after = dict(vars(model))
    assert after.keys() == before.keys()
    assert all(after[key] is before[key] for key in before if key not in settings)
    np.testing.assert_array_equal(outputs(model, X), expected)


def test_a_first_partial_fit_that_is_refused_is_none():
    X, y = classes()
    model = make(MLPClassifier)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(X * np.nan, y, classes=[0, 1, 2])
    assert not hasattr(model, "classes_")
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    assert model.partial_fit(X, y, classes=[0, 1, 2]).n_outputs_ == 3


def area(model, X, y):
    return roc_auc_score(y, model.predict_proba(X), multi_class="ovr")


@pytest.mark.parametrize(
    ("scoring", "scorer"),
    [
        ("roc_auc_ovr", area),
        (area, area),
        ("neg_log_loss", lambda model, X, y: -log_loss(y, model.predict_proba(X))),
        (None, MLPClassifier.score),
    ],
)
@pytest.mark.parametrize("given", [False, True])
def test_early_stopping_by_any_score(scoring, scorer, given):
    X, y = classes(seed=3)
    weight = np.ones(len(y))
    settings = {"early_stopping": True, "validation_fraction": 0.3, "scoring": scoring, "max_iter": 60}
    settings |= {"learning_rate_init": 0.05, "n_iter_no_change": 3, "normalization": "batch"}
    model = make(MLPClassifier, **settings)
    new, known = classes(60, seed=4)
    model.fit(X, y, weight, **({"X_val": new, "y_val": known} if given else {}))
    scores = model.validation_scores_
    assert model.best_validation_score_ == max(scores)
    assert len(scores) == len(model.loss_curve_) == len(model.validation_loss_curve_) == model.n_iter_ < 60
    assert model.best_loss_ is None
    # it stopped since the last 4 were not better than the best by tol
    assert max(scores[-4:]) < max(scores[:-4]) + model.tol
    if given:  # the best weights are back, and the averages of normalisation that belong to them
        assert scorer(model, new, known) == pytest.approx(max(scores), abs=1e-12)


worst = make_scorer(max_error, greater_is_better=False)  # which takes no weights


def test_a_regression_stops_early_by_its_score():
    X, y = numbers()
    new, known = numbers(60, seed=0)
    for scoring in (None, "neg_mean_absolute_error", worst):
        model = make(
            MLPRegressor, early_stopping=True, scoring=scoring, max_iter=20, learning_rate_init=0.1,
            n_iter_no_change=2,
        ).fit(X, y, np.ones(len(y)), X_val=new, y_val=known)  # fmt: skip
        assert model.best_validation_score_ == max(model.validation_scores_)
        if scoring is None:
            assert model.score(new, known) == max(model.validation_scores_)


def test_the_validation_split_is_weighted_where_the_scorer_can():
    X, y = numbers()
    weight = np.where(np.arange(len(y)) % 2, 1.0, 0.0)
    seen = []

    def weighted(model, X, y, sample_weight=None):
        seen.append(sample_weight)
        return 0.0

    def plain(model, X, y):
        return 0.0

    for scoring in (weighted, plain, worst, "r2"):
        make(MLPRegressor, early_stopping=True, scoring=scoring).fit(X, y, weight)
    assert len(seen) == 3
    assert set(seen[0]) == {0.0, 1.0}


def test_a_score_that_is_no_number_is_no_improvement():
    X, y = numbers()
    model = make(
        MLPRegressor, early_stopping=True, scoring=lambda *_: np.nan, n_iter_no_change=2, max_iter=50
    ).fit(X, y)
    assert model.n_iter_ == 3


# ------------------------------------------------------------------ going on
RESUMED = {
    "adam": {},
    "sgd with momentum": {"solver": "sgd"},
    "adamw": {"solver": "adamw"},
    "rmsprop": {"solver": "rmsprop"},
    "dropout": {"dropout": 0.3},
    "batch norm": {"normalization": "batch"},
    "layer norm": {"normalization": "layer"},
    "inverse scaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 1e3, "n_iter_no_change": 1},
    "schedule": {"learning_rate": schedules.Cosine(0.01, 40)},
    "learnable": {"activation": "prelu"},
    "in order": {"shuffle": False},
    "one batch": {"batch_size": 120},
}


@both
@dtypes
@pytest.mark.parametrize("settings", RESUMED.values(), ids=RESUMED)
def test_a_warm_start_resumes(kind, dtype, settings):
    X, y = data(kind, dtype=dtype)
    whole = make(kind, max_iter=10, **settings).fit(X, y)
    assert whole.n_iter_ == 10
    parts = make(kind, max_iter=5, warm_start=True, **settings).fit(X, y).fit(X, y)
    assert bits(parts) == bits(whole)
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.t_ == whole.t_ == 1200


@both
@dtypes
@pytest.mark.parametrize("settings", [s for k, s in RESUMED.items() if k != "adaptive"])
def test_partial_fits_are_epochs(kind, dtype, settings):
    X, y = data(kind, dtype=dtype)
    whole = make(kind, max_iter=4, **settings).fit(X, y)
    parts = make(kind, **settings)
    for i in range(4):
        parts.partial_fit(X, y, **({"classes": [0, 1, 2]} if kind is MLPClassifier and not i else {}))
    assert bits(parts) == bits(whole)
    assert parts.loss_curve_ == whole.loss_curve_


@both
def test_a_copy_goes_on_in_the_same_order(kind):
    """The order of the rows is not in the copy; how it came about is."""
    X, y = data(kind)
    whole = make(kind, max_iter=6).fit(X, y)
    parts = make(kind, max_iter=2, warm_start=True).fit(X, y)
    for _ in range(2):
        parts = pickle.loads(pickle.dumps(parts)).fit(X, y)
    assert bits(parts) == bits(whole)


@both
def test_other_data_and_settings(kind):
    X, y = data(kind)
    model = make(kind, warm_start=True).fit(X, y)
    first = model._optimizer
    assert model.fit(X, y)._optimizer is first
    model.set_params(learning_rate_init=0.01).fit(X, y)
    assert model._optimizer is not first
    assert model._optimizer.lr == 0.01
    assert model._optimizer.steps == 12
    model.set_params(solver="sgd").fit(X, y)
    assert type(model._optimizer) is nn.SGD
    model.fit(X[:50], y[:50])  # fewer rows
    assert len(model.loss_curve_) == 15
    model.set_params(solver="lbfgs").fit(X, y)
    assert len(model.loss_curve_) == 18
    cold = model.set_params(warm_start=False, solver="adam", learning_rate_init=0.001).fit(X, y)
    assert bits(cold) == bits(make(kind).fit(X, y))
    assert len(cold.loss_curve_) == 3


def test_new_classes_are_refused():
    X, y = classes()
    model = make(MLPClassifier).partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="has classes not in"):
        model.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        make(MLPClassifier).partial_fit(X, y)
    with pytest.raises(ValueError, match="same classes as in the previous call"):
        make(MLPClassifier, warm_start=True).fit(X, y).fit(X, y + 1)
    with pytest.raises(ValueError, match="y must have 1 outputs, got 2"):
        make(MLPRegressor).fit(X, y).partial_fit(X, np.c_[y, y])
    for kind in BOTH:
        with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
            make(kind).fit(X, y).set_params(early_stopping=True).partial_fit(X, y)
        assert not hasattr(make(kind, solver="lbfgs"), "partial_fit")


@both
@dtypes
def test_seeds(kind, dtype):
    X, y = data(kind, dtype=dtype)
    for settings in ({}, {"dropout": 0.2}, {"activation": "gelu"}):
        model = make(kind, **settings).fit(X, y)
        assert bits(model) == bits(make(kind, **settings).fit(X, y)) == bits(model.fit(X, y))
        assert bits(model) != bits(make(kind, **{**settings, "random_state": 1}).fit(X, y))
        state = np.random.RandomState(0)
        by_state = make(kind, **{**settings, "random_state": state})
        assert bits(by_state.fit(X, y)) == bits(model)
        assert bits(by_state.fit(X, y)) != bits(model), "the state has gone on"
    free = [make(kind, random_state=None).fit(X, y) for _ in range(2)]
    assert bits(free[0]) != bits(free[1])


# ------------------------------------------------------------------ callbacks and progress
class Recorder:
    """A callback that notes what it is called with."""

    def __init__(self, stop_after: int | None = None, do: Any = None) -> None:
        self.stop_after, self.do, self.seen, self.losses = stop_after, do, [], []

    def setup(self, estimator, context):
        self.seen.append("setup")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.seen.append(f"{context.task_name} begins")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.seen.append(f"{context.task_name} ends")
        self.losses.append(outputs(fitted_estimator, X[:5]))
        if self.do is not None:
            self.do()
        return context.task_name == "epoch" and self.seen.count("epoch ends") == self.stop_after

    def teardown(self, estimator, context):
        self.seen.append("teardown")


@pytest.fixture
def callbacks():
    return pytest.importorskip("sklearn.callback")


@both
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("settings", [{}, {"normalization": "batch"}, {"activation": "prelu"}])
def test_callbacks_are_called_once_per_epoch(callbacks, kind, solver, settings):
    X, y = data(kind)
    recorder = Recorder()
    model = make(kind, solver=solver, **settings).set_callbacks(recorder).fit(X, y)
    epochs = ["epoch begins", "epoch ends"] * 3
    assert recorder.seen == ["setup", "fit begins", *epochs, "fit ends", "teardown"]
    assert bits(model) == bits(make(kind, solver=solver, **settings).fit(X, y)), (
        "being watched changes nothing"
    )
    assert recorder.losses[-1].tobytes() == outputs(model, X[:5]).tobytes()
    assert not np.array_equal(recorder.losses[0], recorder.losses[1]), "each epoch predicts as it does"
    pickle.dumps(model)


@both
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_callback_can_stop(callbacks, kind, solver):
    X, y = data(kind)
    recorder = Recorder(stop_after=2)
    model = make(kind, solver=solver, max_iter=9).set_callbacks(recorder).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 2
    assert recorder.seen[-2:] == ["fit ends", "teardown"]
    assert bits(model) == bits(make(kind, solver=solver, max_iter=2).fit(X, y))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_what_a_callback_predicts_is_its_own(callbacks, solver):
    """Training does not write into it afterwards."""
    X, y = numbers()
    kept = []

    def predict():
        prediction = model.predict(X[:5])
        kept.append((prediction, prediction.copy()))

    model = make(MLPRegressor, solver=solver).set_callbacks(Recorder(do=predict))
    model.fit(X, y)
    assert len(kept) == 4
    for prediction, copied in kept:
        np.testing.assert_array_equal(prediction, copied)


@both
def test_partial_fit_calls_no_hooks(callbacks, kind):
    X, y = data(kind)
    recorder = Recorder()
    model = make(kind).fit(X, y).set_callbacks(recorder)
    model.partial_fit(X, y)
    assert recorder.seen == []
    assert not hasattr(model, "_callback_fit_ctx")


@both
def test_callbacks_in_pipelines_and_searches(callbacks, kind):
    X, y = data(kind)
    recorder = Recorder()
    pipe = make_pipeline(StandardScaler(), make(kind).set_callbacks(recorder)).fit(X, y)
    assert recorder.seen.count("epoch ends") == 3
    assert recorder.seen.count("setup") == recorder.seen.count("teardown") == 1
    name = kind.__name__.lower()
    GridSearchCV(pipe, {f"{name}__activation": ["relu", "gelu"]}, cv=2).fit(X, y)
    failing = Recorder(do=lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make(kind).set_callbacks(failing).fit(X, y)
    assert failing.seen[-1] == "teardown"


@both
def test_the_progress_bar_of_scikit_learn(callbacks, kind, capsys):
    pytest.importorskip("rich")
    X, y = data(kind)
    model = make(kind).set_callbacks(callbacks.ProgressBar()).fit(X, y)
    assert model.n_iter_ == 3


@both
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_progress_bar(kind, solver, capsys):
    pytest.importorskip("tqdm")
    X, y = data(kind)
    shown = io.StringIO()
    with redirect_stderr(shown):
        model = make(kind, solver=solver, progress_bar=True, early_stopping=solver == "adam").fit(X, y)
    text = shown.getvalue()
    assert kind.__name__ in text
    assert "3/3" in text
    assert f"loss={model.loss_:.4g}" in text
    if solver == "adam":
        assert f"score={model.validation_scores_[-1]:.4g}" in text
    assert capsys.readouterr().out == ""


def test_verbose(capsys):
    X, y = classes()
    for solver in ("adam", "lbfgs"):
        model = make(MLPClassifier, solver=solver, verbose=True).fit(X, y)
        lines = capsys.readouterr().out.splitlines()
        assert lines == [f"Iteration {i + 1}, loss = {loss:.8f}" for i, loss in enumerate(model.loss_curve_)]


# ------------------------------------------------------------------ what breaks
@both
@dtypes
@pytest.mark.parametrize("normalization", [None, "batch"])
def test_a_rate_too_large(kind, dtype, normalization):
    X, y = data(kind, dtype=dtype)
    model = make(kind, warm_start=True, solver="sgd", normalization=normalization).fit(X, y)
    good = copy.deepcopy(model)
    model.set_params(learning_rate_init=1e30 if dtype == np.float32 else 1e300, activation="relu")
    with pytest.raises(NonFiniteError) as caught:
        model.fit(X, y)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, FloatingPointError)
    message = str(caught.value)
    assert message.startswith(f"{kind.__name__}: epoch 3, step ")
    assert "Dense(" in message or "BatchNorm(" in message
    for (key, value, _), (_, before, _) in zip(model.network_.parameters(), good.network_.parameters()):
        assert value.tobytes() == before.tobytes(), key
    if normalization is None:  # else the averages have seen one batch more
        assert outputs(model, X).tobytes() == outputs(good, X).tobytes()
    assert np.isfinite(outputs(model, X)).all()
    # and on with a better rate, as if nothing had been
    for one in (model, good):
        one.set_params(learning_rate_init=0.01).fit(X, y)
    assert np.isfinite(outputs(model, X)).all()
    assert len(model.loss_curve_) == 6


@both
@dtypes
@pytest.mark.parametrize("settings", [{"early_stopping": True}, {"diagnostics": True}])
@pytest.mark.parametrize("power", [0.2, 0.4, 0.6, 0.8])
def test_what_diverges_warns_of_nothing_else(kind, dtype, settings, power):
    """Between finite and infinite there are weights whose predictions overflow."""
    X, y = data(kind, dtype=dtype)
    rate = float(np.finfo(dtype).max) ** power
    model = make(kind, solver="sgd", learning_rate_init=rate, batch_size=96, **settings)
    with suppress(NonFiniteError):  # warnings are errors, too
        model.fit(X, y, X_val=X, y_val=y)
    assert all(np.isfinite(array).all() for array in model.network_.learned())


@both
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}])
def test_the_last_step_is_looked_at_too(kind, settings):
    """No step follows that could notice."""
    X, y = data(kind, dtype=np.float32)
    model = make(
        kind, solver="sgd", max_iter=1, batch_size=len(X), learning_rate_init=1e300, momentum=0, **settings
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the batch, which is clipped by the split
        with pytest.raises(NonFiniteError, match=r"epoch 0, step 0: .* of .* is not finite"):
            model.fit(X, y)
    assert np.isfinite(outputs(model, X)).all()


@both
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("normalization", [None, "batch"])
def test_data_too_large(kind, solver, normalization):
    X, y = data(kind)
    model = make(kind, solver=solver, normalization=normalization)
    with pytest.raises(NonFiniteError, match=rf"{kind.__name__}: .*Dense\(6, 8\)|layer 0"):
        # of one sign, lest scikit-learn's check warn of inf - inf in its sum
        model.fit(np.random.default_rng(0).uniform(1e308, 1.7e308, X.shape), y)
    assert np.isfinite(outputs(model, X)).all()
    assert all(np.isfinite(array).all() for array in model.network_.learned())
    model.fit(X, y)
    assert np.isfinite(outputs(model, X)).all()


@both
def test_a_loss_that_diverges_in_lbfgs_keeps_the_last_iteration(kind):
    X, y = data(kind)
    calls = []

    def then_not(output, target):
        calls.append(None)
        value = np.full(len(output), np.nan) if len(calls) == 5 else np.sum(output**2, axis=1) / 2
        return value, output.copy()

    model = make(kind, solver="lbfgs", loss=then_not, normalization="batch", max_iter=50)
    with pytest.raises(NonFiniteError, match=r"L-BFGS iteration [1-4]: "):
        model.fit(X, y)
    assert np.isfinite(outputs(model, X)).all()
    assert all(np.isfinite(array).all() for array in model.network_.learned())


@contextmanager
def interrupted():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background ignores it
    try:
        with pytest.warns(UserWarning, match="interrupted by user"):
            yield
    finally:
        signal.signal(signal.SIGINT, before)


@both
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("normalization", [None, "batch"])
def test_ctrl_c_from_inside(kind, solver, normalization):
    X, y = data(kind)
    steps = []

    def f(x):
        steps.append(None)
        if len(steps) == 23:
            signal.raise_signal(signal.SIGINT)
        return np.tanh(x)

    def grad(x):
        return 1 - np.tanh(x) ** 2

    model = make(kind, activation=(f, grad), solver=solver, normalization=normalization, max_iter=50)
    with interrupted():
        model.fit(X, y)
    assert len(steps) >= 23
    assert 0 < model.n_iter_ == len(model.loss_curve_) < 50
    assert np.isfinite(outputs(model, X)).all()
    assert [c.shape for c in model.coefs_] == [(6, 8), (8, 6), (6, model.n_outputs_)]
    assert_shown(model)
    model.set_params(warm_start=True, max_iter=2).fit(X, y)  # and on
    assert np.isfinite(outputs(model, X)).all()


@both
def test_ctrl_c_in_a_scorer_gives_the_best_weights(kind):
    pd = pytest.importorskip("pandas")
    X, y = data(kind)
    scores = iter([0.5, 0.9, 0.3])

    def scoring(model, X, y):
        score = next(scores, None)
        if score is None:
            raise KeyboardInterrupt
        return score

    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = make(kind, early_stopping=True, validation_fraction=0.3, scoring=scoring, max_iter=50)
    with interrupted():
        model.fit(frame, y)
    assert model.validation_scores_ == [0.5, 0.9, 0.3]
    assert list(model.feature_names_in_) == list("abcdef")
    best = make(
        kind, early_stopping=True, validation_fraction=0.3, max_iter=2, scoring=lambda *_: next(rising)
    )
    rising = iter([0, 1])
    assert bits(best.fit(frame, y)) == bits(model)


@both
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_ctrl_c_in_a_callback(callbacks, kind, solver):
    X, y = data(kind)

    def stop():
        if len(recorder.losses) == 2:
            signal.raise_signal(signal.SIGINT)

    recorder = Recorder(do=stop)
    model = make(kind, solver=solver, max_iter=50).set_callbacks(recorder)
    with interrupted():
        model.fit(X, y)
    assert model.n_iter_ == 2
    assert recorder.seen[-1] == "teardown"
    assert bits(model) == bits(make(kind, solver=solver, max_iter=2).fit(X, y))


# ------------------------------------------------------------------ coefs_ and intercepts_
@both
@dtypes
@pytest.mark.parametrize("normalization", [None, "batch"])
@pytest.mark.parametrize("way", ["in place", "replaced"])
def test_weights_by_the_user(kind, dtype, normalization, way):
    X, y = data(kind, dtype=dtype)
    model = make(kind, normalization=normalization, warm_start=True).fit(X, y)
    donor = make(kind, normalization=normalization, random_state=1).fit(X, y)
    for layer, other in zip(model.network_.layers, donor.network_.layers):
        for key, value in layer.buffers.items():
            value[...] = other.buffers[key]
        if "gamma" in layer.params:
            layer.params["gamma"][...] = other.params["gamma"]
    for mine, its in ((model.coefs_, donor.coefs_), (model.intercepts_, donor.intercepts_)):
        for i, value in enumerate(its):
            if way == "in place":
                mine[i][...] = value
            else:
                mine[i] = value.astype(np.float64).tolist() if i == 1 else value.copy()
    assert outputs(model, X).tobytes() == outputs(donor, X).tobytes()
    given = [a.copy() for a in (*donor.coefs_, *donor.intercepts_)]
    # training goes on from there, with and without predictions in between
    twin = copy.deepcopy(model)
    model.fit(X, y)
    twin.fit(X, y, X_val=X, y_val=y)
    assert bits(twin) == bits(model)
    for now, before in zip((*model.coefs_, *model.intercepts_), given):
        assert not np.array_equal(now, before)
        np.testing.assert_allclose(now, before, atol=0.1)  # 12 steps of Adam move 0.001 each
    assert_shown(model)


@both
def test_replaced_weights_serve_data_of_the_other_dtype(kind):
    X, y = data(kind, dtype=np.float32)
    model = make(kind, solver="sgd", learning_rate_init=1e-30).fit(X, y)
    model.coefs_[0] = np.ones_like(model.coefs_[0])
    model.partial_fit(X.astype(np.float64), y)
    assert (model.coefs_[0] == 1).all()


@both
def test_wrong_weights_by_the_user(kind):
    X, y = data(kind)
    model = make(kind).fit(X, y)
    kept = model.coefs_[1]
    model.coefs_[1] = kept.T
    for call in (model.predict, lambda X: model.partial_fit(X, y)):
        with pytest.raises(
            ValueError, match=rf"{kind.__name__}: coefs_\[1\] must have shape \(8, 6\), got \(6, 8\)"
        ):
            call(X)
    model.coefs_[1] = kept
    model.intercepts_[0] = np.zeros(3)
    with pytest.raises(ValueError, match=r"intercepts_\[0\] must have shape \(8,\), got \(3,\)"):
        model.predict(X)


@both
@dtypes
@pytest.mark.parametrize("settings", [{}, {"normalization": "batch", "activation": "prelu"}])
def test_memory_maps(kind, dtype, settings, tmp_path):
    X, y = data(kind, dtype=dtype)
    model = make(kind, warm_start=True, **settings).fit(X, y)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    assert isinstance(mapped.coefs_[0], np.memmap)
    assert not mapped.coefs_[0].flags.writeable
    assert outputs(mapped, X).tobytes() == outputs(model, X).tobytes()
    X.flags.writeable = y.flags.writeable = False
    assert bits(clone(model).fit(X, y)) == bits(model), "data may be read-only"
    assert bits(mapped.fit(X, y)) == bits(model.fit(X, y)), "training goes on in copies"


# ------------------------------------------------------------------ diagnostics
@both
@dtypes
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"activation": ["prelu", "gelu"], "normalization": "batch"},
        {"activation": ["softmax", "glu"]},
        {"early_stopping": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("validated", [False, True])
def test_diagnostics_change_nothing(kind, dtype, solver, settings, validated):
    X, y = data(kind, dtype=dtype)
    more = {"X_val": X, "y_val": y} if validated else {}
    model = make(kind, solver=solver, diagnostics=True, **settings).fit(X, y, **more)
    plain = make(kind, solver=solver, **settings).fit(X, y, **more)
    assert bits(model) == bits(plain)
    assert model.loss_curve_ == plain.loss_curve_
    assert plain.diagnostics_ == []
    assert len(model.diagnostics_) == 3
    for epoch in model.diagnostics_:
        lengths = {key: len(value) for key, value in epoch.items()}
        assert lengths == {"gradient_flow": 2, "dead_units": 2, "saturated": 2, "weight_rms": 3}
        assert epoch["gradient_flow"][1] == 1
        assert epoch["gradient_flow"][0] > 0
        functions = [layer.activation for layer in model.network_.activations]
        for f, dead, saturated in zip(functions, epoch["dead_units"], epoch["saturated"]):
            if f.name in ("softmax", "glu"):  # no f' of each element
                assert np.isnan(dead)
                assert np.isnan(saturated)
            else:
                assert 0 <= dead <= 1
                assert 0 <= saturated <= 100
    rms = [np.sqrt(np.mean(coef.astype(np.float64) ** 2)) for coef in model.coefs_]
    if not settings.get("early_stopping") or solver == "lbfgs":  # else those of the best epoch are back
        np.testing.assert_allclose(model.diagnostics_[-1]["weight_rms"], rms, rtol=1e-12)


@both
def test_diagnostics_can_begin_later(kind):
    X, y = data(kind)
    model = make(kind, warm_start=True).fit(X, y).set_params(diagnostics=True).fit(X, y)
    assert len(model.diagnostics_) == 3


@both
def test_dead_units_are_found(kind):
    X, y = data(kind)
    model = make(kind, warm_start=True, diagnostics=True).fit(X, y)
    model.intercepts_[0][:4] = -1e6
    model.fit(X, y)
    assert model.diagnostics_[-1]["dead_units"][0] >= 0.5
    assert model.diagnostics_[-1]["saturated"][0] >= 50
    assert model.diagnostics_[0]["dead_units"][0] < 0.5


# ------------------------------------------------------------------ losses
def noisy(n: int, seed: int, dtype: Any = np.float64) -> tuple[Any, Any]:
    """A line with noise that is skewed: mean, median and quantiles differ."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 1)).astype(dtype)
    return X, X[:, 0] + rng.exponential(1.0, n)


@dtypes
@pytest.mark.parametrize(
    ("loss", "above"),  # the prediction at 0 is what the noise has as its mean, its median, ...
    [
        ("squared_error", 1.0),
        ("absolute_error", np.log(2)),
        ("quantile", np.log(2)),
        (nn.Quantile(0.9), np.log(10)),
        (nn.Huber(1e-3), np.log(2)),
        (nn.Huber(1e3), 1.0),
    ],
    ids=name_of,
)
def test_what_a_loss_learns(dtype, loss, above):
    X, y = noisy(2000, 0, dtype)
    model = MLPRegressor(
        loss, (8,), "tanh", max_iter=60, learning_rate_init=0.02, learning_rate="constant", random_state=0
    ).fit(X, y)
    new, known = noisy(4000, 1, dtype)
    # e^-x is the share of the noise above x; 4 sigma of 2000 samples' quantile, and of training's own noise
    assert np.mean(known > model.predict(new)) == pytest.approx(np.exp(-above), abs=0.045)
    assert model.predict(np.zeros((1, 1), dtype))[0] == pytest.approx(above, abs=0.3)


def test_ninety_per_cent_are_below():
    X, y = noisy(2000, 0)
    model = MLPRegressor(nn.Quantile(0.9), (8,), "tanh", max_iter=60, learning_rate_init=0.02, random_state=0)
    new, known = noisy(4000, 1)
    assert np.mean(known <= model.fit(X, y).predict(new)) == pytest.approx(0.9, abs=0.02)


@dtypes
def test_poisson(dtype):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (2000, 1)).astype(dtype)
    y = rng.poisson(np.exp(1 + X[:, 0]))
    model = MLPRegressor("poisson", (8,), "tanh", max_iter=40, learning_rate_init=0.02, random_state=0).fit(
        X, y
    )
    assert model.out_activation_ == "exp"
    np.testing.assert_allclose(model.predict(X), np.exp(1 + X[:, 0]), rtol=0.15)
    with pytest.raises(ValueError, match="at least 0"):
        model.fit(X, y - 5)


def half_square(output, target):
    error = output - target
    return np.sum(error**2, axis=1) / 2, error


@dtypes
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_function_as_a_loss(dtype, solver):
    X, y = numbers(dtype=dtype)
    own = make(MLPRegressor, loss=half_square, solver=solver).fit(X, y)
    known = make(MLPRegressor, solver=solver).fit(X, y)
    rtol = 1e-4 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(own.predict(X), known.predict(X), rtol=rtol, atol=rtol)
    assert own.loss_ == pytest.approx(known.loss_, rel=rtol)


@pytest.mark.parametrize("k", [2, 3])
def test_losses_of_a_classifier(k):
    X, y = classes(k=k)
    plain = make(MLPClassifier).fit(X, y)
    known = nn.SoftmaxCrossEntropy() if k > 2 else nn.BinaryCrossEntropy()
    assert bits(make(MLPClassifier, loss=known).fit(X, y)) == bits(plain)

    def own(output, target):  # target: the place of the class, or for two classes whether it is the second
        if k == 2:
            p = cact.sigmoid(output)
            return -np.log(np.where(target, p, 1 - p))[:, 0], p - target
        p = cact.softmax(output)
        rows = np.arange(len(p))
        losses = -np.log(p[rows, target])
        p[rows, target] -= 1
        return losses, p

    by_function = make(MLPClassifier, loss=own).fit(X, y)
    np.testing.assert_allclose(by_function.predict_proba(X), plain.predict_proba(X), rtol=1e-9)


def test_a_loss_object_is_not_changed():
    X, y = numbers()
    loss = nn.Huber(0.5)
    before = dict(vars(loss))
    make(MLPRegressor, loss=loss).fit(X, y)
    assert vars(loss) == before


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "log_loss", "no_such"])
def test_a_regression_refuses_the_losses_of_classes(loss):
    X, y = numbers()
    valid = "squared_error, absolute_error, huber, poisson, quantile"
    with pytest.raises(ValueError, match=rf"MLPRegressor: loss must be {valid}.* got '{loss}'"):
        make(MLPRegressor, loss=loss).fit(X, y)


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy", "no_such"])
def test_a_classifier_refuses_the_losses_of_numbers(loss):
    X, y = classes()
    with pytest.raises(ValueError, match=rf"MLPClassifier: loss must be 'log_loss'.* got '{loss}'"):
        make(MLPClassifier, loss=loss).fit(X, y)


@both
def test_what_is_no_loss(kind):
    X, y = data(kind)
    for wrong in (3, nn.SquaredError, None):
        with pytest.raises(TypeError, match=rf"{kind.__name__}: .*loss"):
            make(kind, loss=wrong).fit(X, y)
    with pytest.raises(TypeError, match="must return a tuple of two arrays"):
        make(kind, loss=lambda output, target: 3).fit(X, y)


@pytest.mark.parametrize("k", [2, 3])
def test_a_loss_object_of_the_other_kind_does_not_fit(k):
    X, y = classes(k=k)
    with pytest.raises((TypeError, ValueError), match=r"SquaredError.*target"):
        make(MLPClassifier, loss=nn.SquaredError()).fit(X, y)


# ------------------------------------------------------------------ probabilities
@dtypes
def test_log_probabilities_have_their_digits(dtype):
    X, y = classes(k=2, dtype=dtype)
    model = make(MLPClassifier, hidden_layer_sizes=()).fit(X, y)
    model.coefs_[0][...] = np.array([1, 0, 0, 0, 0, 0], dtype)[:, None]
    model.intercepts_[0][...] = 0
    z = np.zeros((4, 6), dtype)
    z[:, 0] = [30, -30, 60, 2000]
    log = model.predict_log_proba(z)
    logit = z[:3, 0].astype(float)
    np.testing.assert_allclose(log[:3, 1], -np.logaddexp(0, -logit), rtol=1e-6)
    np.testing.assert_allclose(log[:3, 0], -np.logaddexp(0, logit), rtol=1e-6)
    assert log[3, 0] == -np.inf
    assert model.predict_proba(z)[3, 0] == 0
    np.testing.assert_allclose(model.predict_proba(z)[2, 0], np.exp(-60.0), rtol=1e-5)
    assert log.dtype == dtype


# ------------------------------------------------------------------ what is written about them
@both
def test_the_docstring_names_everything(kind):
    X, y = data(kind)
    model = make(kind).fit(X, y)
    attributes = [name for name in vars(model) if name.endswith("_")]
    lines = re.findall(r"^    (\w[\w, ]*) : ", kind.__doc__, re.M)
    named = {name for line in lines for name in line.split(", ")}
    assert {*model.get_params(), *attributes} <= named


@pytest.mark.parametrize("module", [cact.sklearn, *(sys.modules[kind.__module__] for kind in BOTH)])
def test_the_examples_run(module):
    failed, attempted = doctest.testmod(module)
    assert attempted
    assert not failed


@both
@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}, {"batch_size": 10**6}], ids=str)
def test_warnings_point_at_the_line_that_called(kind, settings):
    X, y = data(kind)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kind(max_iter=1, **settings).fit(X, y)
    assert caught
    assert {warning.filename for warning in caught} == {__file__}


@both
def test_what_is_missing_is_named(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    X, y = data(kind)
    with pytest.raises(ModuleNotFoundError, match=r'tqdm is not installed; pip install "cact\[learn\]"'):
        make(kind, progress_bar=True).fit(X, y)


def test_the_package_is_reached_through_cact():
    assert cact.sklearn.MLPClassifier is MLPClassifier
