"""rrelu: the mean slope, or in training a slope drawn for each element."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from conftest import BASE, DTYPES

import cact

LOW, HIGH = 1 / 8, 1 / 3


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (y / x)[x < 0].astype(float)


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_training_it_is_leaky(dtype: Any, engine: str) -> None:
    x = BASE.astype(dtype)
    for lower, upper in ((LOW, HIGH), (0.25, 0.5), (-1.0, 2.0), (0.0, 0.0)):
        f = cact.get("rrelu", lower=lower, upper=upper)
        wanted = np.where(x > 0, x, x.astype(float) * ((lower + upper) / 2)).astype(dtype)
        np.testing.assert_allclose(f(x).astype(float), wanted.astype(float), rtol=2 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(f(x, training=False, random_state=3), f(x))
    for f in (cact.get("rrelu", lower=-1.0, upper=1.0), cact.get("leaky_relu", negative_slope=0.0)):
        assert f(dtype(-np.inf)) == 0, "a slope of 0"


@pytest.mark.parametrize("dtype", DTYPES)
def test_training_draws_for_each_element(dtype: Any, engine: str) -> None:
    x = np.random.default_rng(0).normal(0, 2, 20000).astype(dtype)
    y = cact.rrelu(x, training=True, random_state=7)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y[x >= 0], x[x >= 0])
    a = cact.rrelu.grad(x.astype(float), training=True, random_state=7)[x < 0]
    assert a.min() >= LOW
    assert a.max() <= HIGH
    assert np.unique(a).size > 9000
    assert a.mean() == pytest.approx((LOW + HIGH) / 2, abs=0.003)
    assert a.std() == pytest.approx((HIGH - LOW) / 12**0.5, abs=0.003)
    away = abs(slopes(x, y) - a) > 4 * np.finfo(dtype).eps
    assert not away[abs(x[x < 0]) > 1e-3].any()


def test_the_slopes_are_the_generators(engine: str) -> None:
    """The drawn slope itself, to the last bit: not a mean of two that rounds."""
    x = np.full(1000, -1.0)
    wanted = np.random.default_rng(11).uniform(LOW, HIGH, 1000)
    np.testing.assert_array_equal(cact.rrelu.grad(x, training=True, random_state=11), wanted)
    np.testing.assert_array_equal(-cact.rrelu(x, training=True, random_state=11), wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", [5, np.random.SeedSequence(5)])
def test_one_seed_one_draw(seed: Any, dtype: Any, engine: str) -> None:
    """Forward, derivative, backward and both at once see the same slopes."""
    x = BASE.reshape(12, 20).astype(dtype)
    f = cact.get("rrelu", training=True, random_state=seed)
    y, g = f(x), f.grad(x)
    np.testing.assert_array_equal(f(x), y)
    np.testing.assert_array_equal(cact.rrelu(x, training=True, random_state=seed), y)
    np.testing.assert_array_equal(f.backward(x, x), x * g)
    for got, wanted in zip(f.value_and_grad(x), (y, g)):
        np.testing.assert_array_equal(got, wanted, strict=True)
    assert (f(x, random_state=6) != y).any()
    np.testing.assert_array_equal(f(x, training=False), cact.rrelu(x))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(f))(x), y)


def test_value_and_grad_without_a_seed(engine: str) -> None:
    """Drawn once for both, anew in each call; a Generator moves on."""
    f = cact.get("rrelu", training=True)
    x = -np.abs(BASE)
    first, second = f.value_and_grad(x), f.value_and_grad(x)
    for y, g in (first, second):
        np.testing.assert_allclose(y, g * x, rtol=1e-15)
    assert (first[0] != second[0]).any()
    assert (f(x) != f(x)).any()
    rng = np.random.default_rng(3)
    assert (f(x, random_state=rng) != f(x, random_state=rng)).any()
    np.testing.assert_array_equal(f(x, random_state=np.random.default_rng(3)), f(x, random_state=3))


def test_a_derivative_without_the_draws(engine: str) -> None:
    f = cact.get("rrelu", training=True)
    for seed in (None, np.random.default_rng(0), np.random.PCG64(0)):
        with pytest.raises(ValueError, match=r"rrelu\.grad: .*random_state.*forward"):
            f.grad(BASE, random_state=seed)
        with pytest.raises(ValueError, match=r"rrelu\.backward: .*random_state.*forward"):
            f.backward(BASE, BASE, random_state=seed)


def test_forms_of_x(engine: str) -> None:
    f = cact.get("rrelu", training=True, random_state=1)
    assert f(3.0) == 3
    assert -1 / 3 <= f(-1.0) <= -1 / 8
    assert f(np.zeros((0, 3))).shape == (0, 3)
    x = np.asfortranarray(BASE.reshape(12, 20))
    np.testing.assert_array_equal(f(x), f(np.ascontiguousarray(x)))
    out = np.empty_like(BASE)
    assert f(BASE, out=out) is out
    np.testing.assert_array_equal(out, f(BASE))
    wide = f(BASE[:20], upper=np.full((3, 1, 1), 0.5))
    assert wide.shape == (3, 1, 20)
    assert (wide[0] != wide[1]).any(), "a draw for each element of the result"
    low = np.linspace(0, 0.1, 12)[:, None]
    got = f.grad(x, lower=low, upper=low)
    np.testing.assert_array_equal(got[x < 0], np.broadcast_to(low, x.shape)[x < 0])


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"training": 1}, TypeError, "training must be True or False"),
        ({"training": "yes"}, TypeError, "training must be True or False"),
        ({"random_state": -1}, ValueError, "random_state"),
        ({"random_state": "seed"}, TypeError, "random_state"),
        ({"lower": 0.5}, ValueError, "lower must not exceed upper"),
        ({"upper": 0.1}, ValueError, "lower must not exceed upper"),
        ({"lower": np.nan}, ValueError, "lower must be finite"),
        ({"slope": 1.0}, TypeError, "slope"),
    ],
)
def test_bad_parameters(params: dict[str, Any], error: type[Exception], message: str, engine: str) -> None:
    out = np.full(240, 7.0)
    with pytest.raises(error, match=message):
        cact.rrelu(BASE, out=out, **params)
    with pytest.raises(error, match=message):
        cact.get("rrelu", **params)
    assert (out == 7).all()


def test_bounds_further_apart_than_float64_holds(engine: str) -> None:
    far = {"lower": -1.7e308, "upper": 1.7e308}
    x = -np.ones(2000)
    with np.errstate(all="raise"):
        a = cact.rrelu.grad(x, **far, training=True, random_state=3)
        y, grad = cact.rrelu.value_and_grad(x, **far, training=True, random_state=3)
        assert (np.abs(cact.rrelu(x, **far)) < 1e-10).all(), "the mean of the bounds"
    np.testing.assert_array_equal(y, -a)
    np.testing.assert_array_equal(grad, a)
    assert np.isfinite(a).all()
    assert -1.7e308 <= a.min() < -1.6e308
    assert 1.6e308 < a.max() <= 1.7e308
    both = {"lower": np.array([[0.1], [-1.7e308]]), "upper": np.array([[0.2], [1.7e308]])}
    a = cact.rrelu.grad(x, **both, training=True, random_state=3)
    assert ((a[0] >= 0.1) & (a[0] <= 0.2)).all()
    assert np.abs(a[1]).max() > 1.6e308


def test_array_seeds_compare(engine: str) -> None:
    f, g, h = (
        cact.get("rrelu", random_state=s) for s in (np.array([1, 2]), np.array([1, 2]), np.array([1, 3]))
    )
    assert f == g
    assert f == cact.get("rrelu", random_state=[1, 2])
    assert cact.get("rrelu", random_state=[1, 2]) == f
    assert f != h
    assert f != cact.rrelu
    assert cact.rrelu != f
