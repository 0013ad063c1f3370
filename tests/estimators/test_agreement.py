"""The estimators beside scikit-learn's own: the same settings and seeds give the same fit, to rounding.

What they differ in is said where it shows: a loss of scikit-learn's stops at probabilities of eps,
its L-BFGS has a value and a gradient of different losses where there are several outputs, and a
warm start or another `partial_fit` of cact goes on with the optimiser and the random numbers it had.
"""

from __future__ import annotations

import inspect
import re
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", "1.7", reason="sample weights and the Poisson loss came with 1.7")

from scipy import sparse
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import unique_labels

import cact.sklearn

# fits are cut short on purpose
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NAMES = ["MLPClassifier", "MLPRegressor"]
ACTIVATIONS = ["relu", "tanh", "logistic", "identity"]

rng = np.random.default_rng(0)
N = 131  # 32 do not divide it
X = rng.normal(0, 0.5, (N, 7))
MEANS = 2 * X @ rng.normal(size=(7, 3))
# noise keeps all probabilities far above eps
NOISY = MEANS + 2 * rng.normal(size=MEANS.shape)
WEIGHT = rng.uniform(0, 2, N)

#: The estimator, y, and what else it needs.
TASKS: dict[str, tuple[str, np.ndarray, dict[str, Any]]] = {
    "binary": ("MLPClassifier", (NOISY[:, 0] > 0).astype(int), {}),
    "multiclass": ("MLPClassifier", NOISY.argmax(axis=1), {}),
    "multilabel": ("MLPClassifier", (NOISY > 0).astype(int), {}),
    "regression": ("MLPRegressor", MEANS[:, 0], {}),
    "multioutput": ("MLPRegressor", MEANS, {}),
    "poisson": ("MLPRegressor", rng.poisson(np.exp(MEANS[:, 0] / 3)).astype(float), {"loss": "poisson"}),
    "poisson, several": ("MLPRegressor", rng.poisson(np.exp(MEANS / 3)).astype(float), {"loss": "poisson"}),
}
SGD: dict[str, Any] = {"solver": "sgd", "learning_rate_init": 0.01}
SOLVERS: dict[str, dict[str, Any]] = {
    "adam": {"learning_rate_init": 0.01},
    "adam, no shuffle": {"shuffle": False},
    "sgd": {**SGD, "momentum": 0},
    "momentum": {**SGD, "nesterovs_momentum": False},
    "nesterov": SGD,
    "invscaling": {**SGD, "learning_rate": "invscaling"},
    "adaptive": {**SGD, "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2},
}
SMALL: dict[str, Any] = {"hidden_layer_sizes": (11, 6), "alpha": 0.01, "random_state": 3}
TRAINING: dict[str, Any] = {**SMALL, "batch_size": 32, "max_iter": 20}
BOTH = (cact.sklearn, neural_network)


def pair(name: str, **settings: Any) -> list[Any]:
    """cact's estimator and scikit-learn's."""
    return [getattr(module, name)(**settings) for module in BOTH]


def fits(task: str, X: Any = X, sample_weight: Any = None, **settings: Any) -> list[Any]:
    """Both, after fit."""
    name, y, more = TASKS[task]
    return [model.fit(X, y, sample_weight=sample_weight) for model in pair(name, **more, **settings)]


def parameters(model: Any) -> list[np.ndarray]:
    return [*model.coefs_, *model.intercepts_]


def layers(model: Any) -> list[np.ndarray]:
    """Of each layer the weights and intercepts in one array."""
    return [np.concatenate([w.ravel(), b]) for w, b in zip(model.coefs_, model.intercepts_, strict=True)]


def apart(a: Any, b: Any) -> float:
    """The largest difference, relative to the largest element."""
    assert np.shape(a) == np.shape(b)
    a, b = np.asarray(a, float), np.asarray(b, float)
    return float(np.abs(a - b).max() / np.abs(b).max())


def assert_same_fit(ours: Any, theirs: Any, dtype: Any = float) -> None:
    """The same course, and numbers that differ by rounding alone.

    What two orders of summation differ by grows a little in the 100 steps: measured were up to 21
    eps, with Nesterov's momentum; Adam's were up to 7.  A layer's weights and intercepts are taken
    together: an intercept that its steps brought back to 0 keeps the rounding of what it was.
    """
    bound = 128 * float(np.finfo(dtype).eps)  # 3e-14 and 1.5e-5
    for ours_, theirs_ in zip(parameters(ours), parameters(theirs), strict=True):
        assert ours_.dtype == theirs_.dtype == dtype
    for ours_, theirs_ in zip(layers(ours), layers(theirs), strict=True):
        assert apart(ours_, theirs_) < bound
    # of each epoch by itself
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=bound, atol=0)
    for name in ("best_loss_", "best_validation_score_"):
        mine, its = getattr(ours, name), getattr(theirs, name)
        assert (mine is None) == (its is None)
        assert mine is None or mine == pytest.approx(its, rel=bound, abs=0)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert hasattr(ours, "classes_") == hasattr(theirs, "classes_")
    if hasattr(theirs, "classes_"):
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)


# ------------------------------------------------------------------------------------ the start
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", [(9,), 9, (9, 5), [6, 5, 4], ()], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_first_weights_have_the_same_bits(name: str, dtype: Any, hidden: Any, activation: str) -> None:
    # a step of 1e-300 changes no number, were it as small as float64 has them
    settings = {
        "solver": "sgd",
        "momentum": 0,
        "learning_rate_init": 1e-300,
        "max_iter": 1,
        "random_state": 5,
    }
    ours, theirs = (
        model.fit(X.astype(dtype), TASKS["multiclass"][1])
        for model in pair(name, hidden_layer_sizes=hidden, activation=activation, **settings)
    )
    for mine, its in zip(parameters(ours), parameters(theirs), strict=True):
        assert mine.dtype == dtype
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_as_many_random_numbers_are_drawn(name: str, early_stopping: bool) -> None:
    states = [np.random.RandomState(4) for _ in range(2)]
    for model, state in zip(pair(name, max_iter=3, early_stopping=early_stopping), states):
        model.set_params(random_state=state).fit(X, TASKS["binary"][1])
    assert states[0].randint(2**31) == states[1].randint(2**31)


@pytest.mark.parametrize("name", NAMES)
def test_the_global_random_state(name: str) -> None:
    fitted = []
    for model in pair(name, max_iter=3):
        np.random.seed(8)  # noqa: NPY002
        fitted.append(model.fit(X, TASKS["binary"][1]))
    assert_same_fit(*fitted)


# ---------------------------------------------------------------------------- mini-batch training
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_training(solver: str, task: str, activation: str) -> None:
    ours, theirs = fits(task, activation=activation, **{**TRAINING, **SOLVERS[solver]})
    assert_same_fit(ours, theirs)
    if task not in ("binary", "multiclass", "multilabel"):
        assert apart(ours.predict(X), theirs.predict(X)) < 1e-12
    else:
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-12)
        np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", ["adam", "nesterov"])
def test_training_in_float32(solver: str, task: str, activation: str) -> None:
    settings = {**TRAINING, **SOLVERS[solver]}
    assert_same_fit(*fits(task, X.astype(np.float32), activation=activation, **settings), np.float32)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", ["adam", "nesterov"])
def test_sample_weight(solver: str, task: str) -> None:
    settings = {**TRAINING, **SOLVERS[solver]}
    weighted = fits(task, sample_weight=WEIGHT, **settings)
    assert_same_fit(*weighted)
    (without, _) = fits(task, **settings)
    assert apart(weighted[0].loss_curve_, without.loss_curve_) > 1e-3


@pytest.mark.parametrize("layout", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_sparse(layout: Any, dtype: Any, task: str) -> None:
    thin = layout(np.where(np.abs(X) > 0.5, X, 0).astype(dtype))
    ours, theirs = fits(task, thin, **TRAINING)
    assert_same_fit(ours, theirs, dtype)
    assert apart(ours.predict(thin), theirs.predict(thin)) < 1e3 * np.finfo(dtype).eps


@pytest.mark.parametrize("batch_size", [1, 50, N, "auto"])
def test_batch_sizes(batch_size: Any) -> None:
    assert_same_fit(*fits("multiclass", **{**TRAINING, "batch_size": batch_size}))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_early_stopping(task: str, weighted: bool) -> None:
    settings = {**TRAINING, "max_iter": 100, "learning_rate_init": 0.01, "validation_fraction": 0.2}
    stop = {"early_stopping": True, "n_iter_no_change": 3, "tol": 1e-3}
    ours, theirs = fits(task, sample_weight=WEIGHT if weighted else None, **settings, **stop)
    assert_same_fit(ours, theirs)
    # R2 is a difference of two numbers of the size of 1
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=0, atol=1e-12)
    assert ours.n_iter_ < 100  # it did stop


# ------------------------------------------------------------------------------------- partial_fit
@pytest.mark.parametrize("task", TASKS)
def test_first_partial_fit(task: str) -> None:
    name, y, more = TASKS[task]
    first = {"classes": unique_labels(y)} if name == "MLPClassifier" else {}
    assert_same_fit(*(model.partial_fit(X, y, **first) for model in pair(name, **more, **TRAINING)))


def test_classes_to_come() -> None:
    y = TASKS["binary"][1]
    assert_same_fit(
        *(model.partial_fit(X, y, classes=[0, 1, 2]) for model in pair("MLPClassifier", **TRAINING))
    )


@pytest.mark.parametrize("solver", ["adam", "nesterov"])
@pytest.mark.parametrize("name", NAMES)
def test_partial_fit_on_one_stream_of_random_numbers(name: str, solver: str) -> None:
    """From an int scikit-learn would draw every call's shuffle anew.

    No two calls after each other have as many rows: cact's would go on in the order of the first.
    """
    fitted = pair(name, **{**TRAINING, **SOLVERS[solver]})
    for model in fitted:
        model.set_params(random_state=np.random.RandomState(3))
        for rows in (slice(0, 80), slice(40, N), slice(0, N), slice(0, 80)):
            more = {"classes": [0, 1]} if name == "MLPClassifier" else {}
            model.partial_fit(X[rows], TASKS["binary"][1][rows], **more)
    assert_same_fit(*fitted)
    assert fitted[0].t_ == 80 + 91 + N + 80


def test_partial_fit_goes_on_where_scikit_learn_repeats() -> None:
    ours, theirs = pair("MLPRegressor", **TRAINING)
    for model in (ours, theirs):
        model.partial_fit(X, MEANS).partial_fit(X, MEANS)
    assert ours.loss_curve_[0] == pytest.approx(theirs.loss_curve_[0], rel=1e-13)
    assert ours.loss_curve_[1] != pytest.approx(theirs.loss_curve_[1], rel=1e-6)


@pytest.mark.parametrize("solver", ["adam", "nesterov"])
def test_a_warm_start_resumes_where_scikit_learn_begins_anew(solver: str) -> None:
    settings = {**TRAINING, **SOLVERS[solver], "shuffle": False}  # the optimisers alone
    straight = cact.sklearn.MLPRegressor(**{**settings, "max_iter": 6}).fit(X, MEANS)
    ours, theirs = pair("MLPRegressor", **{**settings, "max_iter": 3, "warm_start": True})
    for model in (ours, theirs):
        model.fit(X, MEANS).fit(X, MEANS)
    assert ours.loss_curve_ == straight.loss_curve_
    np.testing.assert_allclose(ours.loss_curve_[:3], theirs.loss_curve_[:3], rtol=1e-13)
    assert ours.loss_curve_[3:] != pytest.approx(theirs.loss_curve_[3:], rel=1e-6)


# ------------------------------------------------------------------------------------------ L-BFGS
# not "multioutput": see the test of several outputs
CONSISTENT = [task for task in TASKS if task != "multioutput"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("task", CONSISTENT)
def test_first_lbfgs_iterations(task: str, activation: str) -> None:
    ours, theirs = fits(task, activation=activation, solver="lbfgs", max_iter=3, **SMALL)
    assert (ours.n_iter_, ours.t_) == (theirs.n_iter_, theirs.t_) == (3, 0)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-14)
    for mine, its in zip(parameters(ours), parameters(theirs), strict=True):
        assert apart(mine, its) < 1e-13


@pytest.mark.parametrize("activation", ["tanh", "logistic", "identity"])
@pytest.mark.parametrize("task", CONSISTENT)
def test_lbfgs(task: str, activation: str) -> None:
    """Line searches magnify what rounding differs by; at relu's kinks without a bound."""
    ours, theirs = fits(task, activation=activation, solver="lbfgs", max_iter=20, **SMALL)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-10)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "logistic", "identity"])
def test_lbfgs_with_several_outputs(activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient is that of the sum over the outputs; scikit-learn's value is that of the mean.

    With the mean for a value its line search is misled: with the sum in its place it goes cact's way.
    """
    settings = {"activation": activation, "solver": "lbfgs", "max_iter": 20, **SMALL}
    ours, theirs = fits("multioutput", **settings)
    for model in (ours, theirs):
        squares = sum(float(np.sum(weight**2)) for weight in model.coefs_)
        mean = float(np.mean((model.predict(X) - MEANS) ** 2) + SMALL["alpha"] / N * squares) / 2
        assert model.loss_ == pytest.approx(mean, rel=1e-12)
    assert ours.loss_ != pytest.approx(theirs.loss_, rel=1e-3)

    losses = neural_network._multilayer_perceptron.LOSS_FUNCTIONS
    of_mean = losses["squared_error"]
    monkeypatch.setitem(losses, "squared_error", lambda y, *rest: of_mean(y, *rest) * y.shape[1])
    consistent = neural_network.MLPRegressor(**settings).fit(X, MEANS)
    assert ours.n_iter_ == consistent.n_iter_
    np.testing.assert_allclose(ours.predict(X), consistent.predict(X), rtol=0, atol=1e-6)


# ------------------------------------------------------------------------------ warnings and words
def recorded(model: Any, y: Any) -> list[tuple[type, str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    return [(warning.category, str(warning.message)) for warning in caught]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"max_iter": 2}, 1),
        ({"max_iter": 2, "batch_size": N + 1}, 2),
        ({"max_iter": 2, "early_stopping": True, "solver": "sgd"}, 1),
        ({"max_iter": 100, "tol": 1.0, "n_iter_no_change": 1}, 0),
    ],
    ids=str,
)
def test_warnings(name: str, settings: dict[str, Any], count: int) -> None:
    ours, theirs = (recorded(model, TASKS["binary"][1]) for model in pair(name, random_state=0, **settings))
    assert ours == theirs
    assert len(ours) == count


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_y_is_warned_of(name: str) -> None:
    column = TASKS["binary"][1][:, None]
    ours, theirs = (recorded(model, column) for model in pair(name, random_state=0, max_iter=2))
    assert ours == theirs
    assert len(ours) == 2


@pytest.mark.parametrize("name", NAMES)
def test_the_warning_of_lbfgs(name: str) -> None:
    """The hints at its end are cact's."""
    fitted = pair(name, random_state=0, max_iter=2, solver="lbfgs")
    [(kind, ours)], [(its_kind, theirs)] = (recorded(model, TASKS["binary"][1]) for model in fitted)
    assert kind is its_kind is ConvergenceWarning
    assert (
        ours.split()[:9] == theirs.split()[:9]
    )  # lbfgs failed to converge after 2 iteration(s) (status=1): STOP:


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "settings",
    [
        {"max_iter": 3},
        {"max_iter": 3, "early_stopping": True},
        {"max_iter": 100, "early_stopping": True, "n_iter_no_change": 2},
        {"max_iter": 100, "tol": 0.1, "n_iter_no_change": 2},
        {"max_iter": 100, **SGD, "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 1},
        {"max_iter": 20, **SGD, "learning_rate": "invscaling", "verbose": 2},
    ],
    ids=str,
)
def test_verbose(name: str, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for model in pair(name, **{"random_state": 0, "verbose": True, **settings}):
        model.fit(X, TASKS["binary"][1])
        said.append(capsys.readouterr())
    assert said[0] == said[1]
    assert "Iteration 3, loss = " in said[0].out


# ------------------------------------------------------------------------------------------ errors
def error(call: Any) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call()
    return caught.value


INVALID: list[dict[str, Any]] = [
    {"solver": "newton"},
    {"hidden_layer_sizes": 0},
    {"hidden_layer_sizes": (3, 0)},
    {"hidden_layer_sizes": -1},
    {"hidden_layer_sizes": 2.5},
    {"hidden_layer_sizes": (2.5,)},
    {"hidden_layer_sizes": None},
    {"alpha": -1},
    {"batch_size": 0},
    {"learning_rate": "falling"},
    {"learning_rate_init": 0},
    {"power_t": -1},
    {"max_iter": 0},
    {"shuffle": "yes"},
    {"random_state": "chance"},
    {"tol": -1},
    {"verbose": -1},
    {"warm_start": "yes"},
    {"momentum": 1.1},
    {"nesterovs_momentum": 3},
    {"early_stopping": 2},
    {"validation_fraction": 1.0},
    {"early_stopping": True, "validation_fraction": 0.005},
    {"early_stopping": True, "validation_fraction": 0.0},
    {"beta_1": 1.0},
    {"beta_2": -1},
    {"epsilon": 0},
    {"n_iter_no_change": 0},
    {"max_fun": 0},
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("settings", INVALID, ids=str)
def test_invalid_parameters(name: str, settings: dict[str, Any]) -> None:
    ours, theirs = (error(lambda: model.fit(X, TASKS["binary"][1])) for model in pair(name, **settings))  # noqa: B023
    assert type(ours) is type(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_invalid_activation(name: str) -> None:
    """scikit-learn's error is a ValueError, too; cact's says what there is."""
    for model in pair(name, activation="nope"):
        with pytest.raises(ValueError, match="activation"):
            model.fit(X, TASKS["binary"][1])


Y = TASKS["binary"][1]
THREE = TASKS["multiclass"][1]
MISUSE = {
    "not fitted": lambda model: model.predict(X),
    "other features": lambda model: model.fit(X, Y).predict(X[:, :3]),
    "rows of y": lambda model: model.fit(X, Y[:-1]),
    "rows of sample_weight": lambda model: model.fit(X, Y, sample_weight=WEIGHT[:-1]),
    "no weight": lambda model: model.fit(X, Y, sample_weight=np.zeros(N)),
    "NaN": lambda model: model.fit(np.full_like(X, np.nan), Y),
    "one dimension": lambda model: model.fit(X[0], Y[:1]),
    "no samples": lambda model: model.fit(X[:0], Y[:0]),
    "warm start, other features": lambda model: model.set_params(warm_start=True).fit(X, Y).fit(X[:, :3], Y),
}
MISUSE_OF_CLASSIFIER = {
    "numbers for classes": lambda model: model.fit(X, MEANS[:, 0]),
    "warm start, a new class": lambda model: model.set_params(warm_start=True).fit(X, Y).fit(X, THREE),
    "warm start, a class less": lambda model: model.set_params(warm_start=True).fit(X, THREE).fit(X, Y),
    "partial_fit without classes": lambda model: model.partial_fit(X, Y),
    "partial_fit, a new class": lambda model: model.partial_fit(X, Y, classes=[0, 1]).partial_fit(X, THREE),
    "partial_fit, other classes": lambda model: model.partial_fit(X, Y, classes=[0, 1]).partial_fit(
        X, Y, classes=[0, 1, 2]
    ),
    "partial_fit, early stopping": lambda model: model.set_params(early_stopping=True).partial_fit(
        X, Y, classes=[0, 1]
    ),
    "too few to stratify": lambda model: model.set_params(early_stopping=True).fit(X[:4], [0, 1, 0, 1]),
}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *((name, wrong) for name in NAMES for wrong in MISUSE),
        *(("MLPClassifier", wrong) for wrong in MISUSE_OF_CLASSIFIER),
    ],
)
def test_misuse(name: str, wrong: str) -> None:
    call = (MISUSE | MISUSE_OF_CLASSIFIER)[wrong]
    ours, theirs = (error(lambda: call(model)) for model in pair(name, max_iter=2, random_state=0))  # noqa: B023
    assert (type(ours), str(ours)) == (type(theirs), str(theirs))


@pytest.mark.parametrize("name", NAMES)
def test_no_partial_fit_with_lbfgs(name: str) -> None:
    """scikit-learn 1.9 hides its classifier's alone."""
    ours, theirs = pair(name, solver="lbfgs")
    assert not hasattr(ours, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        ours.partial_fit(X, Y)
    if name == "MLPClassifier":
        assert not hasattr(theirs, "partial_fit")


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_what_diverges_raises(solver: str) -> None:
    """cact's NonFiniteError is a ValueError, as scikit-learn's is; it comes at once and says where."""
    ours, theirs = pair("MLPRegressor", solver=solver, max_iter=5, random_state=0)
    said = (
        "Solver produced non-finite parameter weights. "
        "The input data may contain large values and need to be preprocessed."
    )
    with np.errstate(all="ignore"):
        for model in (
            (ours, theirs) if solver != "lbfgs" else (ours,)
        ):  # where scikit-learn ends without a word
            with pytest.raises(ValueError, match=re.escape(said)):
                model.fit(X * 1e300, MEANS)


# -------------------------------------------------------------------------- parameters, attributes
@pytest.mark.parametrize("name", NAMES)
def test_signatures(name: str) -> None:
    """What scikit-learn's take, in its order; what is more comes after it, and is keyword-only."""
    for method in (
        "__init__",
        "fit",
        "partial_fit",
        "predict",
        "score",
        "predict_proba",
        "predict_log_proba",
    ):
        if not hasattr(getattr(neural_network, name), method):
            continue
        ours, theirs = (
            list(inspect.signature(getattr(getattr(module, name), method)).parameters.values())
            for module in BOTH
        )
        for mine, its in zip(ours, theirs):
            assert (mine.name, mine.kind, mine.default) == (its.name, its.kind, its.default)
        assert len(ours) >= len(theirs)
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in ours[len(theirs) :])


def kind(value: Any) -> type:
    """The type, of Python for a number of NumPy."""
    return type(value.item() if isinstance(value, np.generic) else value)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "settings",
    [{}, {"solver": "sgd"}, {"early_stopping": True, "validation_fraction": 0.2}, {"solver": "lbfgs"}],
    ids=str,
)
def test_attributes(task: str, settings: dict[str, Any]) -> None:
    ours, theirs = fits(task, max_iter=3, random_state=0, **settings)
    fitted = [name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")]
    assert {"coefs_", "loss_", "n_iter_"} < set(fitted)
    for name in fitted:
        mine, its = getattr(ours, name), getattr(theirs, name)
        assert kind(mine) is kind(its), name
        if isinstance(its, list):
            assert [kind(item) for item in mine] == [kind(item) for item in its], name
            assert len(mine) == len(its), name
    methods = {name for name in dir(theirs) if not name.startswith("_") and callable(getattr(theirs, name))}
    assert methods <= set(dir(ours)) | {"partial_fit"}  # see the test of lbfgs


# --------------------------------------------------------------------------- what is reported only
def test_the_loss_of_a_probability_below_eps() -> None:
    """scikit-learn reports at most -log(eps), 36; cact the loss itself.  Both learn the same."""
    hard = X * 400
    ours, theirs = (
        model.fit(hard, Y)
        for model in pair("MLPClassifier", random_state=0, max_iter=1, batch_size=N, activation="identity")
    )
    assert all(
        apart(mine, its) < 1e-13 for mine, its in zip(parameters(ours), parameters(theirs), strict=True)
    )
    assert ours.loss_ > theirs.loss_ + 1


# --------------------------------------------------------------------------------- real data
DATA = ["digits", "iris", "wine", "breast_cancer", "diabetes", "seven classes"]


def dataset(name: str, seed: int) -> list[np.ndarray]:
    """Standardised: X to train and to test on, and their y."""
    if name == "seven classes":  # of the kind of covertype
        X, y = datasets.make_classification(2000, 54, n_informative=20, n_classes=7, random_state=0)
    else:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, random_state=seed)
    scaler = StandardScaler().fit(train)
    return [scaler.transform(train), scaler.transform(test), y_train, y_test]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", DATA)
def test_drop_in(name: str, seed: int) -> None:
    """At the defaults: the same epochs, the same weights, the same score.

    Measured were differences of the weights of 30 eps, and no other prediction.  One could be
    another where two classes are equally probable to rounding; none of these is.
    """
    train, test, y_train, y_test = dataset(name, seed)
    estimator = "MLPRegressor" if name == "diabetes" else "MLPClassifier"
    ours, theirs = (model.fit(train, y_train) for model in pair(estimator, random_state=seed))
    assert_same_fit(ours, theirs)
    if estimator == "MLPClassifier":
        np.testing.assert_array_equal(ours.predict(test), theirs.predict(test))
        assert apart(ours.predict_proba(test), theirs.predict_proba(test)) < 1e-12
        assert ours.score(test, y_test) == theirs.score(test, y_test)
    else:
        assert apart(ours.predict(test), theirs.predict(test)) < 1e-12
        assert ours.score(test, y_test) == pytest.approx(theirs.score(test, y_test), abs=1e-12)
