"""L-BFGS against closed forms and SciPy on the loss written out."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from cact import nn

rng = np.random.default_rng(0)
X = rng.standard_normal((40, 3))
CLASSES = (X[:, 0] + X[:, 1] ** 2 > 0.7).astype(int)
NUMBERS = (X @ [1.0, -2.0, 0.5] + 3.0)[:, None]


def linear(n_out: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Dense(3, n_out, dtype=np.float64, rng=0))


def test_least_squares():
    """Without a hidden layer the minimum is the normal equations'."""
    network = linear()
    result = nn.LBFGS(network, tol=1e-10).minimize(X, NUMBERS, loss=nn.SquaredError())
    assert result.status == 0
    np.testing.assert_allclose(network.layers[0].params["weight"].ravel(), [1.0, -2.0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(network.layers[0].params["bias"], [3.0], rtol=1e-6)


def test_ridge():
    """The penalty is on the weights alone: the same as centred data."""
    decay, network = 0.3, linear()
    nn.LBFGS(network, weight_decay=decay, tol=1e-10).minimize(X, NUMBERS, loss=nn.SquaredError())
    A, b = X - X.mean(axis=0), NUMBERS - NUMBERS.mean()
    expected = np.linalg.solve(A.T @ A / len(A) + decay * np.eye(3), A.T @ b / len(A))
    np.testing.assert_allclose(network.layers[0].params["weight"], expected, rtol=1e-6)


def test_weights_of_samples_are_repetitions():
    times = np.random.default_rng(1).integers(0, 4, len(X))
    found = []
    for data, target, weight in (
        (X, CLASSES, times.astype(float)),
        (np.repeat(X, times, axis=0), np.repeat(CLASSES, times), None),
    ):
        network = linear(2)
        solver = nn.LBFGS(network, weight_decay=0.1, tol=1e-9)
        solver.minimize(data, target, sample_weight=weight)
        found.append(network.predict(X))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-7)


def test_the_callback_sees_each_iteration_and_can_stop():
    seen = []

    def callback(iteration, loss):
        seen.append((iteration, loss))
        return iteration == 4

    network = nn.mlp((3, 8, 2), "tanh", dtype=np.float64, rng=0)
    result = nn.LBFGS(network, weight_decay=0.01).minimize(X, CLASSES, callback=callback)
    assert [i for i, _ in seen] == list(range(5))
    assert (np.diff([loss for _, loss in seen]) < 0).all()
    assert result.nit == 5
    weights = [p for key, p, _ in network.parameters() if key.endswith("weight")]
    penalty = 0.01 / 2 * sum((w**2).sum() for w in weights)
    assert result.penalty == pytest.approx(penalty, rel=1e-12)
    assert seen[-1][1] == pytest.approx(nn.evaluate(network, X, CLASSES)[0] + penalty, rel=1e-12)


def test_float32_stays():
    network = nn.mlp((3, 8, 2), "gelu", rng=0)
    nn.LBFGS(network, max_iter=20).minimize(X.astype(np.float32), CLASSES)
    assert network.flat().values.dtype == np.float32
    assert nn.evaluate(network, X.astype(np.float32), CLASSES)[1] > 0.9


def test_batch_norm_has_the_moments_of_all_samples():
    network = nn.mlp((3, 8, 2), "tanh", normalization="batch", dtype=np.float64, rng=0)
    nn.LBFGS(network, max_iter=5).minimize(X, CLASSES)
    z = X @ network.layers[0].params["weight"]
    np.testing.assert_allclose(network.layers[1].running_mean, z.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(network.layers[1].running_var, z.var(axis=0, ddof=1), rtol=1e-12)
    assert network.layers[1].momentum == 0.1


@pytest.mark.parametrize("error", [KeyboardInterrupt, nn.NonFiniteError])
def test_what_interrupts_it_leaves_the_last_iteration(error):
    class Failing(nn.SoftmaxCrossEntropy):
        calls = 0

        def _forward(self, output, target, sample_weight):
            self.calls += 1
            if self.calls == 12:
                raise error("now")
            return super()._forward(output, target, sample_weight)

    kept = []
    network = nn.mlp((3, 8, 2), "tanh", dtype=np.float64, rng=0)
    with pytest.raises(error, match="now"):
        nn.LBFGS(network).minimize(
            X, CLASSES, loss=Failing(), callback=lambda *_: kept.append(network.flat().values.copy())
        )
    assert len(kept) > 3
    np.testing.assert_array_equal(network.flat().values, kept[-1])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.LBFGS(3), TypeError, "network must be a Sequential, got int"),
        (
            lambda: nn.LBFGS(nn.mlp((3, 4, 2), "relu", dropout=0.1)),
            ValueError,
            r"free of chance.*Dropout\(0.1\)",
        ),
        (
            lambda: nn.LBFGS(linear(), weight_decay=-1),
            ValueError,
            "weight_decay must be finite and at least 0",
        ),
        (lambda: nn.LBFGS(linear(), max_iter=0), ValueError, "max_iter must be at least 1"),
        (lambda: nn.LBFGS(linear(2)).minimize(X[:, :2], CLASSES), ValueError, "X must have 3 features"),
        (lambda: nn.LBFGS(linear(2)).minimize(X, CLASSES + 1), ValueError, "classes from 0 to 1, got 2"),
        (
            lambda: nn.LBFGS(linear(2)).minimize(X, CLASSES, sample_weight=np.zeros(40)),
            ValueError,
            "sum of sample_weight must be greater than 0",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
