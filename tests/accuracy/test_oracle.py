"""The reference itself, against closed forms and published digits."""

from __future__ import annotations

import math

import numpy as np
import oracle
import pytest
from mpmath import mp, mpf

import cact


def mish_grad(x: mpf) -> mpf:
    u = mp.exp(x)
    w = u * (u + 2)
    return w / (w + 2) + 4 * x * u * (1 + u) / (w + 2) ** 2


def gelu_grad(x: mpf) -> mpf:
    return mp.erfc(-x / mp.sqrt(2)) / 2 + x * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def gelu_tanh_grad(x: mpf) -> mpf:
    a = mp.sqrt(2 / mp.pi)
    t = mp.tanh(a * (x + mpf("0.044715") * x**3))
    return (1 + t) / 2 + x * (1 - t * t) * a * (1 + 3 * mpf("0.044715") * x * x) / 2


@pytest.mark.parametrize(
    ("name", "grad"), [("mish", mish_grad), ("gelu", gelu_grad), ("gelu_tanh", gelu_tanh_grad)]
)
@pytest.mark.parametrize("x", [-700.0, -37.0, -21.3, -13.5, -1.2, -1e-9, 5e-324, 0.7, 15.0, 200.0])
def test_derivatives(name: str, grad: object, x: float) -> None:
    """Also far in the tail, where a difference taken too coarsely sees one factor move only."""
    got = oracle.derivative(name, x, {})
    with mp.workprec(4000):
        wanted = grad(mpf(x))  # type: ignore[operator]
        assert abs(got - wanted) <= max(abs(wanted) * mpf(2) ** -90, oracle.NOTHING[np.float64])


def test_values() -> None:
    for x in (-37.0, -13.5, -0.75, 1e-300, 3.0):
        with mp.workprec(4000):
            wanted = mpf(x) * mp.erfc(-mpf(x) / mp.sqrt(2)) / 2
        assert abs(oracle.value("gelu", x, {}) / wanted - 1) < mpf(2) ** -90
    assert mp.nstr(oracle.value("gelu", -13.5, {}), 9) == "-1.05553899e-40"
    assert oracle.value("relu", -3.0, {}) == 0
    assert oracle.value("gelu_tanh", -1e308, {}) == 0
    assert oracle.value("softplus", 1e308, {"beta": 1.0}) == mpf(1e308)


def test_decimals_are_exact() -> None:
    """0.044715 is the decimal, not the double next to it; parameters are the double."""
    with mp.workprec(300):
        assert oracle.evaluate("0.1*x", x=mpf(10)) == mpf("0.1") * 10
        assert oracle.evaluate("0.1*x", x=mpf(10)) != mpf(0.1) * 10
        assert oracle.evaluate("1/3*x", x=mpf(3)) == mpf(1) / 3 * 3
    half = oracle.value("leaky_relu", -1.0, {"negative_slope": 0.1})
    assert half == -mpf(0.1)


def test_kinks() -> None:
    assert oracle.derivative("relu", 1e-310, {}) == 1
    assert oracle.derivative("relu", -5e-324, {}) == 0
    assert oracle.derivative("relu", 0.0, {}, direction=1) == 1
    assert oracle.derivative("relu", 0.0, {}, direction=-1) == 0
    assert oracle.derivative("prelu", -2.5, {"weight": 0.25}, by="weight") == -2.5


def test_ulp() -> None:
    for dtype, bits, least in ((np.float32, 24, -149), (np.float64, 53, -1074), (np.float16, 11, -24)):
        assert oracle.ulp(mpf(1), dtype) == mpf(2) ** (1 - bits)
        with mp.workprec(300):
            assert oracle.ulp(mpf(1) - mpf(2) ** -200, dtype) == mpf(2) ** -bits
        assert oracle.ulp(mpf(0), dtype) == mpf(2) ** least
        assert oracle.ulp(mpf(2) ** -5000, dtype) == mpf(2) ** least
        most = np.finfo(dtype).max
        assert oracle.ulp(mpf(2) ** 5000, dtype) == mpf(float(most)) - mpf(
            float(np.nextafter(most, dtype(0)))
        )


def test_ulp_error() -> None:
    f = oracle.ulp_error
    third = mpf(1) / 3
    assert f(np.float64(1), mpf(1), np.float64) == 0
    assert f(np.nextafter(1.0, 2), mpf(1), np.float64) == 1
    assert f(np.nextafter(1.0, 0), mpf(1), np.float64) == 0.5  # the binade of the exact number
    assert 0 < f(np.float32(1 / 3), third, np.float32) <= 0.5
    assert f(np.float32(0), mpf(2) ** -149, np.float32) == 1
    assert f(np.float32(0), mpf(2) ** -151, np.float32) == 0.25
    assert f(np.inf, mpf(2) ** 1030, np.float64) == 0
    assert f(np.inf, mpf(float(np.finfo(np.float64).max)), np.float64) == 1
    assert f(np.finfo(np.float32).max, mpf(2) ** 200, np.float32) == 1
    assert f(-np.inf, mpf(2) ** 1030, np.float64) > 1e15
    assert f(np.nan, mpf(1), np.float64) == math.inf
    assert f(np.nan, mp.nan, np.float64) == 0


def test_rounded() -> None:
    assert oracle.rounded(mpf(1) / 3, np.float64) == 1 / 3
    assert oracle.rounded(mpf(1) / 3, np.float32) == np.float32(1 / 3)
    assert oracle.rounded(mpf(2) ** 1030, np.float64) == np.inf
    assert oracle.rounded(-(mpf(2) ** 128), np.float32) == -np.inf
    assert oracle.rounded(mpf(2) ** -149, np.float32) == np.float32(1e-45)


def test_formulas_are_the_documented_ones() -> None:
    """The oracle reads the registry: a change of the string changes the reference."""
    assert oracle.value("gelu_tanh", 1.0, {}) != oracle.value("gelu", 1.0, {})
    assert cact.get("gelu").formula == "x*erfc(-x/sqrt(2))/2"
