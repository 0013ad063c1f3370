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


@pytest.mark.parametrize("name", STD)
def test_gain_scales_and_the_seed_repeats(name):
    make = getattr(init, name)
    w = make(20, 30, rng=1)
    assert np.array_equal(w, make(20, 30, rng=np.random.default_rng(1)))
    assert not np.array_equal(w, make(20, 30, rng=2))
    default = math.sqrt(2) if name.startswith("he") else 1.0
    np.testing.assert_allclose(make(20, 30, gain=3.0, rng=1), w * (3.0 / default), rtol=1e-6)
    np.testing.assert_array_equal(make(20, 30, gain=default, rng=1), w)


@pytest.mark.parametrize("name", STD)
def test_scheme_by_name(name):
    assert init.scheme(name) is getattr(init, name)
    layer = nn.Dense(20, 30, init=name, rng=4)
    assert np.array_equal(layer.params["weight"], getattr(init, name)(20, 30, rng=4))
    assert (layer.params["bias"] == 0).all()


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
        (lambda: init.scheme("xavier"), ValueError, "unknown init 'xavier'"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
