"""AlphaDropout: its formula, mean and variance, gradients, masks.  (Dropout: test_layers.py.)"""

from __future__ import annotations

import numpy as np
import pytest
from finite_differences import check

import cact
from cact import nn

LIMIT = -1.7580993408473766  # of selu at -inf


def formula(x: np.ndarray, kept: np.ndarray, rate: float) -> tuple[np.ndarray, float]:
    """y and a, as the paper writes them."""
    q = 1 - rate
    a = (q + LIMIT**2 * q * (1 - q)) ** -0.5
    b = -a * (1 - q) * LIMIT
    return a * (x * kept + LIMIT * (1 - kept)) + b, a


def samples(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


def test_the_limit_is_that_of_selu():
    assert cact.selu(-np.inf) == pytest.approx(LIMIT, rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.9])
def test_forward_and_backward_are_the_formula(rate, dtype):
    layer = nn.AlphaDropout(rate, rng=2)
    x, dy = samples(40, 30).astype(dtype), samples(30, 40).T.astype(dtype)
    kept = np.random.default_rng(2).random((40, 30), dtype=dtype) >= rate
    assert 0 < kept.mean() < 1
    y = layer.forward(x, training=True)
    expected, a = formula(x.astype(float), kept, rate)
    # x - alpha' is at most 6 here, and a at most 1.5: four roundings of numbers below 10
    np.testing.assert_allclose(y, expected, rtol=0, atol=20 * np.finfo(dtype).eps)
    assert len(np.unique(y[~kept])) == 1, "all that is dropped becomes one number"
    np.testing.assert_allclose(layer.backward(dy), a * kept * dy.astype(float), rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.8])
def test_keeps_mean_0_and_variance_1(rate):
    """Of the output over draws of x and mask, to five standard errors; Dropout's variance is 1/q."""
    n = 1_000_000
    x = samples(1000, 1000)
    y = nn.AlphaDropout(rate, rng=1).forward(x, training=True)
    assert abs(y.mean()) < 5 / np.sqrt(n)
    fourth = np.mean((y - y.mean()) ** 4)
    assert abs(y.var() - 1) < 5 * np.sqrt((fourth - 1) / n)
    plain = nn.Dropout(rate, rng=1).forward(x, training=True)
    assert plain.var() == pytest.approx(1 / (1 - rate), rel=0.05)


def test_keeps_what_selu_hands_on():
    """Through eight layers of width 400; after Dropout they are 0.11 and 2.4."""
    network = nn.mlp((400,) * 10, "selu", rng=0, dtype=np.float64)
    dropped = [nn.AlphaDropout(0.2, rng=seed) for seed in range(8)]
    x = samples(300, 400)
    for dense, activation, dropout in zip(network.layers[::2], network.layers[1::2], dropped):
        x = dropout.forward(activation.forward(dense.forward(x)), training=True)
    assert abs(x.mean()) < 0.02
    assert abs(x.var() - 1) < 0.05


def test_gradients():
    layer = nn.AlphaDropout(0.4)

    def before():
        layer.rng = np.random.default_rng(3)

    check(layer, samples(6, 5), True, before)


def test_is_the_identity_in_inference_and_at_rate_0():
    x = samples(3, 4)
    for layer, training in ((nn.AlphaDropout(0.5), False), (nn.AlphaDropout(0), True)):
        assert layer.forward(x, training) is x
        assert layer.backward(x) is x


def test_masks_repeat_with_the_seed():
    x = samples(20, 20)
    first, second, other = (nn.AlphaDropout(0.5, rng=seed) for seed in (1, 1, 2))
    a = [first.forward(x, True) for _ in range(2)]
    b = [second.forward(x, True) for _ in range(2)]
    assert np.array_equal(a, b)
    assert not np.array_equal(a[0], a[1]), "each call draws its own mask"
    assert not np.array_equal(a[0], other.forward(x, True))


def test_a_training_loop_keeps_the_arrays():
    layer, fresh = (nn.AlphaDropout(0.5, rng=1) for _ in range(2))
    layer._kept = {}
    x = samples(6, 4)
    for rows in (x, x[:4], x[2:]):
        y, dx = layer.forward(rows, True), layer.backward(rows)
        assert np.array_equal(y, fresh.forward(rows, True))
        assert np.array_equal(dx, fresh.backward(rows))
        assert np.shares_memory(y, layer._kept["y"])
        assert np.shares_memory(dx, layer._kept["dx"])
        assert len(layer._kept["y"]) == 6


def test_repr():
    assert repr(nn.AlphaDropout(0.25)) == "AlphaDropout(0.25)"


@pytest.mark.parametrize(
    ("rate", "error", "words"),
    [
        (1, ValueError, r"AlphaDropout: rate must be in \[0, 1\), got 1"),
        (-0.1, ValueError, r"AlphaDropout: rate must be in \[0, 1\), got -0.1"),
        (float("nan"), ValueError, r"AlphaDropout: rate must be in \[0, 1\), got nan"),
        ("half", TypeError, "AlphaDropout: rate must be a real number, got 'half'"),
    ],
)
def test_errors(rate, error, words):
    with pytest.raises(error, match=words):
        nn.AlphaDropout(rate)
