"""Optimisers against their recurrences in plain Python, and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cact import nn

GRADS = [0.5, -1.5, 2.0, 0.1, -0.3, 0.0, 4.0]


def network(dtype=np.float64) -> nn.Sequential:
    return nn.Sequential(
        nn.Dense(1, 1, init=lambda n, m, rng, dtype: np.full((n, m), 2.0, dtype), dtype=dtype)
    )


def run(make, grads=GRADS, dtype=np.float64) -> list[tuple[float, float]]:
    """Weight and bias after each step; the bias gets the gradients halved."""
    net = network(dtype)
    optimizer, layer = make(net), net.layers[0]
    weight, bias, path = layer.params["weight"], layer.params["bias"], []
    for g in grads:
        layer.grads["weight"][:], layer.grads["bias"][:] = g, g / 2
        optimizer.step()
        path.append((weight.item(), bias.item()))
    assert layer.params["weight"] is weight, "parameters are changed in place"
    assert layer.params["bias"] is bias
    assert weight.dtype == dtype
    return path


def sgd(start, grads, lr, momentum=0.0, nesterov=False, decay=0.0):
    p, v, path = start, 0.0, []
    for g in grads:
        g += decay * p
        v = momentum * v + g
        p -= lr * (g + momentum * v if nesterov else v)
        path.append(p)
    return path


def adam(start, grads, lr, b1=0.9, b2=0.999, eps=1e-8, decay=0.0):
    p, m, v, path = start, 0.0, 0.0, []
    for t, g in enumerate(grads, 1):
        g += decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        p -= lr * (m / (1 - b1**t)) / (math.sqrt(v / (1 - b2**t)) + eps)
        path.append(p)
    return path


CASES = {
    "sgd": (nn.SGD, sgd, {}, {}),
    "momentum": (nn.SGD, sgd, {"momentum": 0.9}, {"momentum": 0.9}),
    "nesterov": (nn.SGD, sgd, *[{"momentum": 0.8, "nesterov": True}] * 2),
    "decay": (nn.SGD, sgd, {"weight_decay": 0.3}, {"decay": 0.3}),
    "momentum and decay": (
        nn.SGD,
        sgd,
        {"momentum": 0.9, "weight_decay": 0.3},
        {"momentum": 0.9, "decay": 0.3},
    ),
    "adam": (nn.Adam, adam, {}, {}),
    "adam, other betas": (
        nn.Adam,
        adam,
        {"betas": (0.5, 0.8), "eps": 0.1},
        {"b1": 0.5, "b2": 0.8, "eps": 0.1},
    ),
    "adam and decay": (nn.Adam, adam, {"weight_decay": 0.3}, {"decay": 0.3}),
}


@pytest.mark.parametrize(("cls", "reference", "given", "named"), CASES.values(), ids=CASES)
def test_recurrence(cls, reference, given, named):
    path = run(lambda net: cls(net, 0.1, **given))
    np.testing.assert_allclose([w for w, _ in path], reference(2.0, GRADS, 0.1, **named), rtol=1e-13)
    named = {**named, "decay": 0.0}  # no penalty on biases
    halves = [g / 2 for g in GRADS]
    np.testing.assert_allclose([b for _, b in path], reference(0.0, halves, 0.1, **named), rtol=1e-12)


def test_momentum_of_a_constant_gradient():
    """v_t = g (1 - mu^t)/(1 - mu), so the path is a sum of geometric series."""
    path = run(lambda net: nn.SGD(net, 0.01, momentum=0.9), [1.0] * 50)
    steps = [(1 - 0.9**t) / 0.1 for t in range(1, 51)]
    np.testing.assert_allclose([w for w, _ in path], 2.0 - 0.01 * np.cumsum(steps), rtol=1e-12)


@pytest.mark.parametrize("g", [1e-3, 1.0, 1e3])
def test_adam_of_a_constant_gradient(g):
    """Both corrected moments are exact then: every step is lr g/(|g| + eps)."""
    path = run(lambda net: nn.Adam(net, 0.01), [g] * 50)
    steps = np.arange(1, 51) * 0.01 * g / (g + 1e-8)
    np.testing.assert_allclose([w for w, _ in path], 2.0 - steps, rtol=1e-11)


@pytest.mark.parametrize(("cls", "reference", "given", "named"), CASES.values(), ids=CASES)
def test_float32_is_kept(cls, reference, given, named):
    path = run(lambda net: cls(net, 0.1, **given), dtype=np.float32)
    np.testing.assert_allclose([w for w, _ in path], reference(2.0, GRADS, 0.1, **named), rtol=1e-5)
    optimizer = cls(network(np.float32), 0.1, **given)
    state = [a for d in vars(optimizer).values() if isinstance(d, dict) for a in d.values()]
    assert all(a.dtype == np.float32 for a in state)


def test_gradients_are_only_read():
    net = network()
    grad = net.layers[0].grads["weight"]
    grad[:] = 1.5
    for optimizer in (
        nn.SGD(net, 0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
        nn.Adam(net, 0.1, weight_decay=0.1),
    ):
        optimizer.step()
        assert grad.item() == 1.5


def test_every_kind_of_parameter_is_stepped():
    net = nn.mlp((3, 4, 4, 2), ["prelu", "relu"], normalization="batch", dtype=np.float64, rng=0)
    for optimizer in (nn.SGD(net, 0.5), nn.SGD(net, 0.5, momentum=0.5), nn.Adam(net, 0.5)):
        before = {key: param.copy() for key, param, _ in net.parameters()}
        for _, _, grad in net.parameters():
            grad[...] = 1.0
        optimizer.step()
        for key, param, _ in net.parameters():
            np.testing.assert_allclose(before[key] - param, 0.5, rtol=1e-6, err_msg=key)
    assert {"2.weight", "1.gamma", "1.beta"} <= before.keys()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda net: nn.SGD(net, 0), ValueError, "SGD: lr must be finite and greater than 0, got 0"),
        (lambda net: nn.SGD(net, -0.1), ValueError, "SGD: lr must be"),
        (
            lambda net: nn.Adam(net, math.nan),
            ValueError,
            "Adam: lr must be finite and greater than 0, got nan",
        ),
        (lambda net: nn.SGD(net, "fast"), TypeError, "SGD: lr must be a real number, got 'fast'"),
        (lambda net: nn.SGD(net, True), TypeError, "SGD: lr must be a real number, got True"),
        (lambda net: nn.SGD(net, 0.1, momentum=1), ValueError, r"momentum must be in \[0, 1\), got 1"),
        (lambda net: nn.SGD(net, 0.1, nesterov=True), ValueError, "nesterov needs a momentum"),
        (
            lambda net: nn.SGD(net, 0.1, weight_decay=-1),
            ValueError,
            "weight_decay must be finite and at least 0",
        ),
        (
            lambda net: nn.Adam(net, 0.1, betas=(0.9, 1.0)),
            ValueError,
            r"betas\[1\] must be in \[0, 1\), got 1.0",
        ),
        (lambda net: nn.Adam(net, 0.1, betas=0.9), TypeError, "betas must be two numbers, got 0.9"),
        (lambda net: nn.Adam(net, 0.1, eps=0), ValueError, "eps must be finite and greater than 0"),
        (lambda net: nn.SGD(net.layers[0], 0.1), TypeError, "network must be a Sequential, got Dense"),
    ],
)
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make(network())
