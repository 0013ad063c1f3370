"""LayerNorm: its formula, gradients, rows without variance.  (BatchNorm: test_layers.py.)"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from finite_differences import check

from cact import nn


def samples(rows: int, features: int, dtype=np.float64) -> np.ndarray:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((rows, features)) * rng.uniform(0.1, 10, (rows, 1)) + rng.normal(0, 3, (rows, 1))
    return x.astype(dtype)


def layer(features: int, dtype=np.float64, **options) -> nn.LayerNorm:
    """With a gamma and a beta that are not those it starts with."""
    made = nn.LayerNorm(features, dtype=dtype, **options)
    rng = np.random.default_rng(2)
    made.params["gamma"][:], made.params["beta"][:] = rng.normal(1, 0.5, features), rng.normal(size=features)
    return made


def formula(norm: nn.LayerNorm, x: np.ndarray) -> np.ndarray:
    """Row by row, mean and variance exact."""
    rows = []
    for row in x.astype(float):
        values = [Fraction(v) for v in row]
        mean = sum(values) / len(row)
        var = sum((v - mean) ** 2 for v in values) / len(row)
        rows.append([float(v - mean) / math.sqrt(var + Fraction(norm.eps)) for v in values])
    return norm.params["gamma"].astype(float) * np.array(rows) + norm.params["beta"].astype(float)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_forward(dtype, eps):
    norm = layer(30, dtype, eps=eps)
    x = samples(20, 30, dtype)
    x[3] += 1000  # far from 0, where a mean is rounded by 1000 eps
    # |gamma*xhat| and |y| are below 10, and each of a dozen operations may round them
    atol = 10 * 12 / 2 * np.finfo(dtype).eps
    np.testing.assert_allclose(norm.forward(x), formula(norm, x), rtol=0, atol=atol)


def test_starts_as_the_normalised_row():
    y = nn.LayerNorm(50, eps=1e-12, dtype=np.float64).forward(samples(9, 50))
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-15)
    np.testing.assert_allclose(y.var(axis=1), 1, rtol=1e-9)


@pytest.mark.parametrize("features", [1, 2, 5])
@pytest.mark.parametrize("training", [True, False])
def test_gradients(features, training):
    check(layer(features), samples(6, features), training)


def test_gradients_where_eps_counts():
    check(layer(4, eps=0.3), samples(6, 4) / 20)


def test_a_row_does_not_depend_on_the_others():
    norm, x = layer(8), samples(5, 8)
    y = norm.forward(x)
    assert all(np.array_equal(norm.forward(x[i : i + 1])[0], y[i]) for i in range(5))


def test_training_is_inference():
    norm, x, dy = layer(8), samples(5, 8), samples(8, 5).T
    results = []
    for training in (True, False):
        y = norm.forward(x, training)
        dx = norm.backward(dy)
        results.append([y.copy(), dx, norm.grads["gamma"].copy(), norm.grads["beta"].copy()])
    assert all(map(np.array_equal, *results))


def test_a_single_feature_gives_beta():
    norm = layer(1)
    y = norm.forward(samples(4, 1))
    assert (y == norm.params["beta"]).all()
    assert (norm.backward(np.ones((4, 1))) == 0).all()
    assert (norm.grads["gamma"] == 0).all()
    assert (norm.grads["beta"] == 4).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3, -1e12 / 7])
@pytest.mark.parametrize("features", [7, 100])
def test_a_constant_row_gives_beta(features, value, dtype):
    """Its mean may be rounded by as much as the eps of a variance, far from 0."""
    norm = layer(features, dtype)
    x = np.full((2, features), value, dtype)
    y = norm.forward(x)
    np.testing.assert_allclose(y, [norm.params["beta"]] * 2, rtol=0, atol=4 * np.finfo(dtype).eps)
    dy = samples(2, features, dtype)
    dx, g = norm.backward(dy), dy.astype(float) * norm.params["gamma"]
    expected = (g - g.mean(axis=1, keepdims=True)) / math.sqrt(norm.eps)
    np.testing.assert_allclose(dx, expected, rtol=0, atol=8 * np.finfo(dtype).eps * np.abs(expected).max())


def test_a_training_loop_keeps_the_arrays():
    norm, fresh = layer(4), layer(4)
    norm._kept = {}
    x = samples(6, 4)
    for rows in (x, x[:4], x[2:]):
        y, dx = norm.forward(rows, True), norm.backward(rows)
        assert np.array_equal(y, fresh.forward(rows, True))
        assert np.array_equal(dx, fresh.backward(rows))
        assert all(np.array_equal(norm.grads[key], fresh.grads[key]) for key in norm.grads)
        assert np.shares_memory(y, norm._kept["y"])
        assert np.shares_memory(dx, norm._kept["dx"])
        assert len(norm._kept["y"]) == 6


def test_gradients_of_parameters_without_dx():
    norm, fresh, x = layer(4), layer(4), samples(6, 4)
    for made in (norm, fresh):
        made.forward(x, True)
    assert norm._backward(x, False) is None
    fresh.backward(x)
    assert all(np.array_equal(norm.grads[key], fresh.grads[key]) for key in norm.grads)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.LayerNorm(0), ValueError, "LayerNorm: features must be at least 1, got 0"),
        (lambda: nn.LayerNorm(2.0), TypeError, "LayerNorm: features must be an integer, got 2.0"),
        (
            lambda: nn.LayerNorm(3, eps=0),
            ValueError,
            r"LayerNorm\(3\): eps must be finite and greater than 0",
        ),
        (lambda: nn.LayerNorm(3, dtype=np.float16), TypeError, r"LayerNorm\(3\): dtype must be float32 or"),
        (
            lambda: nn.LayerNorm(3).forward(np.ones((2, 4), np.float32)),
            ValueError,
            "must have 3 features, got 4",
        ),
        (lambda: nn.LayerNorm(3).forward(np.ones((2, 3))), TypeError, "x must be float32, got float64"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
