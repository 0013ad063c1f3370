"""scikit-learn's own tests of its MLP, as installed, run on cact's estimators."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("sklearn", "1.7", reason="sample weights and the Poisson loss came with 1.7")

import sklearn.neural_network

import cact.sklearn

pytestmark = pytest.mark.filterwarnings("default")  # as scikit-learn runs them

OTHERWISE = {
    "test_fit": "sets scikit-learn's private state by hand",
    "test_gradient": "calls scikit-learn's private _loss_grad_lbfgs",
    "test_learning_rate_warmstart": "reads scikit-learn's private _optimizer.learning_rate",
    "test_adaptive_learning_rate": "reads scikit-learn's private _optimizer.learning_rate",
    "test_predict_proba_multilabel": "log-probabilities are of the network's output, so they differ where "
    "probabilities have rounded to 1; scikit-learn's are logarithms of those",
    "test_early_stopping_stratified": "the message names the class as the caller does, not as it is encoded",
    "test_mlp_diverging_loss": "what is not finite always stops the fit",
}
NEWER = {
    "test_mlp_diverging_loss",
    "test_early_stopping_stratified",
}  # than the oldest scikit-learn that is supported
ORIGIN = Path(sklearn.neural_network.__file__).parent / "tests" / "test_mlp.py"


def theirs_on_ours() -> ModuleType:
    """Their module, with the two classes taken from cact.sklearn."""
    wanted = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
    source = ORIGIN.read_text(encoding="utf-8")
    assert source.count(wanted) == 1, f"{ORIGIN} does not import its estimators as expected"
    spec = importlib.util.spec_from_loader("scikit_learn_own_tests_on_cact", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # for what is pickled
    source = source.replace(wanted, wanted.replace("sklearn.neural_network", "cact.sklearn"))
    exec(compile(source, str(ORIGIN), "exec"), module.__dict__)
    return module


@pytest.fixture
def global_random_seed() -> int:
    """What scikit-learn's own conftest offers its tests."""
    return 42


if ORIGIN.exists():
    _tests = theirs_on_ours()
    assert _tests.MLPClassifier is cact.sklearn.MLPClassifier
    assert {name for name in OTHERWISE if not hasattr(_tests, name)} <= NEWER
    globals().update({k: v for k, v in vars(_tests).items() if k.startswith("test_") and k not in OTHERWISE})
else:

    @pytest.mark.skip(reason="this scikit-learn came without its tests")
    def test_scikit_learns_own() -> None: ...
