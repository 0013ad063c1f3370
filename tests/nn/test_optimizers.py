"""Optimisers against their recurrences in plain Python, and closed forms."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

import cact
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


def adam_hat(start, grads, lr, b1=0.9, b2=0.999, eps=1e-8):
    """The efficient order at the end of section 2, which scikit-learn has."""
    p, m, v, path = start, 0.0, 0.0, []
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        p -= lr * math.sqrt(1 - b2**t) / (1 - b1**t) * m / (math.sqrt(v) + eps)
        path.append(p)
    return path


def adamw(start, grads, lr, decay=0.0):
    p, path = start, []
    for step in np.diff(adam(0.0, grads, lr), prepend=0.0):  # steps do not depend on p
        p = p * (1 - lr * decay) + step
        path.append(p)
    return path


def rmsprop(start, grads, lr, rho=0.9, momentum=0.0, eps=1e-8, decay=0.0):
    p, s, u, path = start, 0.0, 0.0, []
    for g in grads:
        g += decay * p
        s = rho * s + (1 - rho) * g * g
        u = momentum * u + g / (math.sqrt(s) + eps)
        p -= lr * u
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
    "adam, eps hat": (nn.Adam, adam_hat, {"eps_hat": True, "eps": 0.1}, {"eps": 0.1}),
    "adamw": (nn.AdamW, adamw, {"weight_decay": 0.3}, {"decay": 0.3}),
    "rmsprop": (nn.RMSProp, rmsprop, {}, {}),
    "rmsprop, momentum and decay": (
        nn.RMSProp,
        rmsprop,
        {"decay": 0.7, "momentum": 0.5, "eps": 0.1, "weight_decay": 0.3},
        {"rho": 0.7, "momentum": 0.5, "eps": 0.1, "decay": 0.3},
    ),
}


@pytest.mark.parametrize(("cls", "reference", "given", "named"), CASES.values(), ids=CASES)
def test_recurrence(cls, reference, given, named):
    path = run(lambda net: cls(net, 0.1, **given))
    np.testing.assert_allclose([w for w, _ in path], reference(2.0, GRADS, 0.1, **named), rtol=1e-13)
    named = {key: value for key, value in named.items() if key != "decay"}  # no penalty on biases
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


def test_many_parameters_are_all_stepped():
    """More than one block of them, and weights that end within one."""
    net = nn.Sequential(
        nn.Dense(150, 150, dtype=np.float64, rng=0), nn.Dense(150, 3, dtype=np.float64, rng=1)
    )
    optimizer = nn.SGD(net, 0.1, momentum=0.5, weight_decay=0.2)
    rng = np.random.default_rng(2)
    before = {key: param.copy() for key, param, _ in net.parameters()}
    for _, _, grad in net.parameters():
        grad[...] = rng.standard_normal(grad.shape)
    optimizer.step()
    for key, param, grad in net.parameters():
        decay = 0.2 if param.ndim == 2 else 0.0
        np.testing.assert_allclose(
            param, before[key] - 0.1 * (grad + decay * before[key]), rtol=1e-12, atol=1e-15
        )


def test_clip_norm():
    net = nn.mlp((3, 4, 2), "prelu", dtype=np.float64, rng=0)
    optimizer = nn.SGD(net, 1.0, clip_norm=2.0)
    rng = np.random.default_rng(1)
    for scale in (1e-3, 1e3):
        given = []
        for _, _, grad in net.parameters():
            grad[...] = scale * rng.standard_normal(grad.shape)
            given.append(grad.copy())
        norm = math.sqrt(sum((g**2).sum() for g in given))
        optimizer.step()
        for (_, _, grad), g in zip(net.parameters(), given):
            np.testing.assert_allclose(grad, g * min(1.0, 2.0 / norm), rtol=1e-12)


def test_clip_norm_of_a_norm_whose_square_overflows():
    net = network(np.float32)
    optimizer, layer = nn.SGD(net, 1.0, clip_norm=5.0), net.layers[0]
    layer.grads["weight"][:], layer.grads["bias"][:] = 3e25, -4e25
    optimizer.step()
    np.testing.assert_allclose([layer.grads["weight"].item(), layer.grads["bias"].item()], [3, -4], rtol=1e-6)


def test_clip_norm_of_a_float64_norm_whose_square_overflows():
    net = network()
    optimizer, layer = nn.SGD(net, 1.0, clip_norm=5.0), net.layers[0]
    layer.grads["weight"][:], layer.grads["bias"][:] = 3e200, -4e200
    optimizer.step()
    np.testing.assert_allclose([layer.grads["weight"].item(), layer.grads["bias"].item()], [3, -4])


@pytest.mark.parametrize("backend", ["c", "numpy"])
@pytest.mark.parametrize("cls", [nn.SGD, nn.RMSProp])
def test_momentum_given_later(cls, backend, monkeypatch):
    """It begins then, from rest."""
    if backend == "c" and cact.info()["backend"] != "c":
        pytest.skip("the C backend is not there")
    monkeypatch.setattr(nn.optimizers._backend, "active", lambda: backend)

    def late(net):
        optimizer = cls(net, 0.1)
        optimizer.momentum = 0.9
        return optimizer

    assert run(late) == run(lambda net: cls(net, 0.1, momentum=0.9))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("cls", [nn.SGD, nn.RMSProp, nn.Adam, nn.AdamW])
def test_a_gradient_that_is_not_finite_changes_nothing(cls, value):
    net = nn.mlp((3, 4, 2), "relu", dtype=np.float64, rng=0)
    optimizer = cls(net, 0.1)
    net.layers[2].grads["bias"][1] = value
    before = [a.copy() for a in (net.flat().values, *optimizer.state.values())]
    with pytest.raises(nn.NonFiniteError, match=rf"{value} for bias of Dense\(4, 2\)"):
        optimizer.step()
    assert optimizer.steps == 0
    for a, b in zip(before, (net.flat().values, *optimizer.state.values())):
        np.testing.assert_array_equal(a, b)


def test_an_array_put_in_place_of_a_parameter_is_stepped():
    net = network()
    optimizer, layer = nn.SGD(net, 0.5), net.layers[0]
    layer.params["weight"] = np.array([[7.0]])
    layer.grads["weight"] = np.array([[2.0]])
    optimizer.step()
    assert layer.params["weight"].item() == 6.0
    layer.params["bias"] = np.zeros(2)
    with pytest.raises(
        ValueError, match=r"Dense\(1, 1\): bias must be an array of shape \(1,\) and float64, got \(2,\)"
    ):
        optimizer.step()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_copies_go_on_by_themselves(copied):
    net = nn.mlp((3, 4, 2), "prelu", dtype=np.float64, rng=0)
    optimizer = nn.Adam(net, 0.1, weight_decay=0.1)

    def step(net, optimizer):
        for _, param, grad in net.parameters():
            grad[...] = param + 1
        optimizer.step()
        return net.flat().values.copy()

    step(net, optimizer)
    other_net, other = copied((net, optimizer))
    assert other.network is other_net
    first = step(net, optimizer)
    np.testing.assert_array_equal(step(other_net, other), first)
    np.testing.assert_array_equal(net.flat().values, first)


def test_layers_cannot_share_what_is_learned():
    net = nn.mlp((3, 3, 3), "relu", rng=0)
    net.layers[2].params["weight"] = net.layers[0].params["weight"]
    with pytest.raises(ValueError, match="what is learned cannot be shared"):
        nn.SGD(net, 0.1)


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
        (lambda net: nn.Adam(net, nn.schedules.Cosine), TypeError, "Adam: lr: a schedule is .*, got <class"),
        (lambda net: nn.SGD(net, 0.1, momentum=1.1), ValueError, r"momentum must be in \[0, 1\], got 1.1"),
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
        (lambda net: nn.RMSProp(net, eps=1e-310), ValueError, "eps must be at least 2.2250738585072014e-308"),
        (lambda net: nn.SGD(net.layers[0], 0.1), TypeError, "network must be a Sequential, got Dense"),
    ],
)
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make(network())
