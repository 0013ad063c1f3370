"""Initial weights: their laws, reproducibility, and the choice by activation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import cact
from cact import nn
from cact.nn import init

N_IN, N_OUT = 300, 500
STD = {
    "he_normal": math.sqrt(2 / N_IN),
    "he_uniform": math.sqrt(2 / N_IN),
    "glorot_normal": math.sqrt(2 / (N_IN + N_OUT)),
    "glorot_uniform": math.sqrt(2 / (N_IN + N_OUT)),
    "lecun_normal": math.sqrt(1 / N_IN),
    "lecun_uniform": math.sqrt(1 / N_IN),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", STD)
def test_law(name, dtype):
    w = getattr(init, name)(N_IN, N_OUT, rng=5, dtype=dtype)
    assert w.shape == (N_IN, N_OUT)
    assert w.dtype == dtype
    z = w.ravel().astype(float) / STD[name]
    law = stats.norm() if name.endswith("normal") else stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))
    assert stats.kstest(z, law.cdf).pvalue > 1e-3
    # the variance of 150,000 draws, to five standard errors (kurtosis 3 or 1.8)
    kurtosis = 3 if name.endswith("normal") else 1.8
    assert abs(z.var() - 1) < 5 * math.sqrt((kurtosis - 1) / z.size)
    assert abs(z.mean()) < 5 / math.sqrt(z.size)


@pytest.mark.parametrize("name", [*STD, "orthogonal"])
def test_gain_scales_and_the_seed_repeats(name):
    make = getattr(init, name)
    w = make(20, 30, rng=1)
    assert np.array_equal(w, make(20, 30, rng=np.random.default_rng(1)))
    assert not np.array_equal(w, make(20, 30, rng=2))
    default = math.sqrt(2) if name.startswith("he") else 1.0
    np.testing.assert_allclose(make(20, 30, gain=3.0, rng=1), w * (3.0 / default), rtol=1e-6)
    np.testing.assert_array_equal(make(20, 30, gain=default, rng=1), w)


@pytest.mark.parametrize("name", [*STD, "orthogonal"])
def test_scheme_by_name(name):
    assert init.scheme(name) is getattr(init, name)
    layer = nn.Dense(20, 30, init=name, rng=4)
    assert np.array_equal(layer.params["weight"], getattr(init, name)(20, 30, rng=4))
    assert (layer.params["bias"] == 0).all()


# ---------------------------------------------------------------------- orthogonal
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(40, 40), (60, 25), (25, 60), (1, 7), (7, 1), (1, 1)])
def test_orthogonal(shape, dtype):
    w = init.orthogonal(*shape, gain=1.7, rng=3, dtype=dtype)
    assert w.shape == shape
    assert w.dtype == dtype
    assert w.flags.c_contiguous
    w64 = w.astype(np.float64) / 1.7
    product = w64.T @ w64 if shape[0] >= shape[1] else w64 @ w64.T
    # rounding to u = eps/2 moves a product of unit columns by 2u at most; in float64 what counts is
    # the rounding of QR, a few u times the root of the size
    eps = np.finfo(dtype).eps
    bound = 1.01 * eps if dtype == np.float32 else 16 * eps
    np.testing.assert_allclose(product, np.eye(min(shape)), rtol=0, atol=bound)


def test_orthogonal_rounds_what_float64_gives():
    w = init.orthogonal(30, 20, gain=0.3, rng=8)
    assert np.array_equal(w, init.orthogonal(30, 20, gain=0.3, rng=8, dtype=np.float64).astype(np.float32))


def test_orthogonal_keeps_lengths():
    x = np.random.default_rng(0).standard_normal((10, 20))
    for n_out in (20, 50):
        y = x @ init.orthogonal(20, n_out, gain=2.0, rng=1, dtype=np.float64)
        np.testing.assert_allclose(np.linalg.norm(y, axis=1), 2 * np.linalg.norm(x, axis=1), rtol=1e-13)


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
def test_orthogonal_is_uniform(shape):
    """Each element has mean 0 and variance 1/max(shape), and a square one is as often a reflection.

    Without the correction of signs, QR by Householder gives a first diagonal element below 0 alone.
    """
    draws = np.array([init.orthogonal(*shape, rng=seed, dtype=np.float64) for seed in range(4000)])
    n = max(shape)
    # five standard errors; elements of a uniform column have E w^4 = 3/(n (n + 2))
    assert np.abs(draws.mean(axis=0)).max() < 5 / math.sqrt(n * len(draws))
    spread = math.sqrt((3 / (n * (n + 2)) - 1 / n**2) / len(draws))
    assert np.abs((draws**2).mean(axis=0) - 1 / n).max() < 5 * spread
    # the trace of a uniform rotation of 2 or more dimensions has mean 0 and variance 1
    if shape == (4, 4):
        trace = draws.trace(axis1=1, axis2=2)
        assert abs(trace.mean()) < 5 / math.sqrt(len(draws))
        assert abs(trace.var() - 1) < 0.2
        assert abs(np.linalg.det(draws).mean()) < 5 / math.sqrt(len(draws))


# ---------------------------------------------------------------------- by activation
@pytest.mark.parametrize(
    ("activation", "name"),
    [
        ("relu", "he_normal"),
        ("leaky_relu", "he_normal"),
        ("prelu", "he_normal"),
        ("elu", "he_normal"),
        ("softplus", "he_normal"),
        ("silu", "he_normal"),
        ("gelu", "he_normal"),
        ("gelu_tanh", "he_normal"),
        ("mish", "he_normal"),
        ("sigmoid", "glorot_uniform"),
        ("tanh", "glorot_uniform"),
        ("softmax", "glorot_uniform"),
        ("selu", "lecun_normal"),
        ("identity", "lecun_normal"),
    ],
)
def test_for_activation(activation, name):
    scheme, gain = init.for_activation(activation)
    assert scheme == name
    assert gain == (cact.get(activation).gain if name == "he_normal" else 1.0)


def test_for_activation_goes_by_the_parameters_and_traits():
    assert init.for_activation("relu")[1] == pytest.approx(math.sqrt(2), rel=1e-9)
    leaky = cact.get("leaky_relu", negative_slope=0.5)
    assert init.for_activation(leaky) == ("he_normal", pytest.approx(math.sqrt(2 / 1.25), rel=1e-9))
    own = (lambda x: 3 * x, lambda x: np.full_like(x, 3))
    assert init.for_activation(own) == ("he_normal", pytest.approx(1 / 3, rel=1e-9))
    with pytest.raises(ValueError, match="no init keeps its second moment"):
        init.for_activation((np.zeros_like, np.zeros_like))
    with pytest.raises(ValueError, match="unknown activation"):
        init.for_activation("gelo")


@pytest.mark.parametrize(
    "activation", ["relu", "leaky_relu", "elu", "selu", "silu", "gelu", "mish", "softplus"]
)
def test_auto_init_keeps_the_second_moment_through_ten_layers(activation):
    network = nn.mlp((512,) * 12, activation, rng=0)
    network.forward(np.random.default_rng(1).standard_normal((64, 512), dtype=np.float32))
    moments = [float(np.mean(layer.z**2)) for layer in network.activations]
    # a factor of 1/2 a layer, as LeCun's would have it with relu, is 1e-3 at the end
    assert 0.4 < moments[-1] / moments[0] < 2.5


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: init.he_normal(0, 3), ValueError, "he_normal: n_in must be at least 1, got 0"),
        (lambda: init.lecun_uniform(3, -1), ValueError, "lecun_uniform: n_out must be at least 1, got -1"),
        (lambda: init.glorot_normal("a", 1), TypeError, "n_in must be an integer, got 'a'"),
        (lambda: init.he_normal(2, 3, gain=0), ValueError, "gain must be finite and greater than 0"),
        (lambda: init.he_normal(2, 3, gain=math.inf), ValueError, "gain must be finite and greater than 0"),
        (lambda: init.he_normal(2, 3, dtype="f2"), TypeError, "float32 or float64, got float16"),
        (lambda: init.orthogonal(0, 3), ValueError, "orthogonal: n_in must be at least 1, got 0"),
        (lambda: init.orthogonal(3, 2.0), TypeError, "orthogonal: n_out must be an integer, got 2.0"),
        (lambda: init.orthogonal(2, 3, gain=-1), ValueError, "orthogonal: gain must be finite and greater"),
        (lambda: init.orthogonal(2, 3, dtype=int), TypeError, "orthogonal: dtype must be float32 or float64"),
        (lambda: init.scheme("xavier"), ValueError, "unknown init 'xavier'"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


# ---------------------------------------------------------------------- LSUV
def variances(network: nn.Sequential, X: np.ndarray) -> list[float]:
    """Of the output of each Dense."""
    network.forward(X)
    pairs = zip(network.layers, network.outputs)
    return [float(y.var(dtype=np.float64)) for layer, y in pairs if isinstance(layer, nn.Dense)]


def data(n: int = 200, features: int = 20, dtype=np.float32) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((n, features)).astype(dtype) * 3 + 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "activation", ["relu", "tanh", "sigmoid", "selu", "gelu", "mish", "prelu", "softmax"]
)
@pytest.mark.parametrize("start", ["orthogonal", "auto"])
def test_lsuv(activation, dtype, start):
    network = nn.mlp((20, *[30] * 12, 5), activation, init=start, rng=0, dtype=dtype)
    X = data(dtype=dtype)
    before = variances(network, X)
    first = network.layers[0].params["weight"]
    ratio = first[3, 4]
    assert init.lsuv(network, X) is network
    assert network.layers[0].params["weight"] is first
    after = variances(network, X)
    assert len(after) == 13
    assert np.abs(np.subtract(before, 1)).max() > 0.3, "it must have something to do"
    # without biases a single division is enough, to rounding
    np.testing.assert_allclose(after, 1, atol=0.02)
    assert first[3, 4] == pytest.approx(ratio / math.sqrt(before[0]), rel=1e-6)
    if activation == "prelu":
        assert all(layer.params["weight"] == np.float32(0.25) for layer in network.activations)


def test_lsuv_leaves_what_is_within_the_tolerance():
    X = data()
    network = init.lsuv(nn.mlp((20, 30, 30, 5), "relu", rng=0), X)
    kept = [param.copy() for _, param, _ in network.parameters()]
    init.lsuv(network, X)
    assert all(np.array_equal(a, b) for a, (_, b, _) in zip(kept, network.parameters()))
    network.layers[2].params["weight"] *= 1.005  # variance 1.01
    init.lsuv(network, X)
    assert variances(network, X)[1] == pytest.approx(1.01, abs=1e-4)
    init.lsuv(network, X, tol=0.001)
    assert variances(network, X)[1] == pytest.approx(1, abs=1e-3)


def test_lsuv_with_biases_takes_more_than_one_division():
    X = data(dtype=np.float64)
    network = nn.Sequential(nn.Dense(20, 4, rng=0, dtype=np.float64))
    network.layers[0].params["bias"][:] = [0.3, -0.3, 0.6, 0.1]
    weight = network.layers[0].params["weight"]
    before = weight.copy()
    with pytest.raises(
        ValueError, match=r"layer 0, Dense\(20, 4\): variance .* after 1 divisions, not within"
    ):
        init.lsuv(network, X, tol=1e-6, max_iter=1)
    assert np.array_equal(weight, before), "an error leaves the weights as they were"
    init.lsuv(network, X, tol=1e-6, max_iter=50)
    assert variances(network, X)[0] == pytest.approx(1, abs=1e-6)


def test_lsuv_works_in_inference_mode():
    network = nn.mlp((20, 30, 30, 5), "relu", normalization="batch", dropout=0.5, rng=0)
    network.layers[1].running_mean[:] = 0.5
    state = network.layers[3].rng.bit_generator.state
    init.lsuv(network, data())
    assert network.layers[3].rng.bit_generator.state == state
    assert (network.layers[1].running_mean == 0.5).all()
    np.testing.assert_allclose(variances(network, data()), 1, atol=0.02)


def broken(i: int, value: float) -> nn.Sequential:
    network = nn.mlp((20, 30, 30, 5), "relu", rng=0)
    network.layers[i].params["weight"][:] = value
    return network


@pytest.mark.parametrize(
    ("network", "X", "options", "error", "words"),
    [
        (broken(2, 0), data(), {}, ValueError, r"lsuv: layer 2, Dense\(30, 30\): the output is constant"),
        (
            broken(4, math.nan),
            data(),
            {},
            ValueError,
            r"layer 4, Dense\(30, 5\): the output has variance nan",
        ),
        (broken(0, 1), 0 * data(), {}, ValueError, r"layer 0, Dense\(20, 30\): the output is constant"),
        (broken(0, 0.1), 0 * data() + 1, {}, ValueError, r"layer 0, .*the output is constant"),
        (broken(0, 1), data() * np.inf, {}, ValueError, "lsuv: X must be finite"),
        (broken(0, 1), data(0), {}, ValueError, "lsuv: X must have at least one row"),
        (broken(0, 1), data(dtype=np.float64), {}, TypeError, "x must be float32, got float64"),
        (broken(0, 1), data(features=3), {}, ValueError, "x must have 20 features, got 3"),
        (broken(0, 1), [[1.0]], {}, TypeError, "lsuv: X must be a NumPy array, got list"),
        (nn.Dense(20, 3), data(), {}, TypeError, "network must be a Sequential, got Dense"),
        (broken(0, 1), data(), {"tol": 0}, ValueError, "lsuv: tol must be finite and greater than 0"),
        (broken(0, 1), data(), {"max_iter": 0}, ValueError, "lsuv: max_iter must be at least 1, got 0"),
    ],
)
def test_lsuv_errors(network, X, options, error, words):
    before = [param.copy() for _, param, _ in network.parameters()] if hasattr(network, "layers") else []
    with pytest.raises(error, match=words):
        init.lsuv(network, X, **options)
    for kept, (key, param, _) in zip(before, network.parameters() if before else ()):
        np.testing.assert_array_equal(param, kept, err_msg=key)
