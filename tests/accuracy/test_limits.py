"""Limits at infinity, NaN, derivatives at kinks, subnormal results: the end of CATALOGUE's rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from conftest import ELEMENTWISE, numeric

import cact

INF = np.inf
LAMBDA = 1.0507009873554804934193349852946
LA = 1.7580993408473768599402175208123
DTYPES = [np.float16, np.float32, np.float64]

#: name: f(-inf), f(inf), f'(-inf), f'(inf), from the definitions.
LIMITS = {
    "identity": (-INF, INF, 1, 1),
    "sigmoid": (0, 1, 0, 0),
    "tanh": (-1, 1, 0, 0),
    "relu": (0, INF, 0, 1),
    "relu6": (0, 6, 0, 0),
    "leaky_relu": (-INF, INF, 0.01, 1),
    "prelu": (-INF, INF, 0.25, 1),
    "rrelu": (-INF, INF, 11 / 48, 1),
    "thresholded_relu": (0, INF, 0, 1),
    "elu": (-1, INF, 0, 1),
    "celu": (-1, INF, 0, 1),
    "selu": (-LA, INF, 0, LAMBDA),
    "softplus": (0, INF, 0, 1),
    "softsign": (-1, 1, 0, 0),
    "hardtanh": (-1, 1, 0, 0),
    "hardsigmoid": (0, 1, 0, 0),
    "hardswish": (0, INF, 0, 1),
    "hardshrink": (-INF, INF, 1, 1),
    "softshrink": (-INF, INF, 1, 1),
    "log_sigmoid": (-INF, 0, 1, 0),
    "tanhshrink": (-INF, INF, 1, 1),
    "silu": (0, INF, 0, 1),
    "gelu": (0, INF, 0, 1),
    "gelu_tanh": (0, INF, 0, 1),
    "mish": (0, INF, 0, 1),
    "squareplus": (0, INF, 0, 1),
    "sparse_plus": (0, INF, 0, 1),
    "sparse_sigmoid": (0, 1, 0, 0),
    "relu2": (0, INF, 0, INF),
    "star_relu": (-0.4472, INF, 0, INF),
    "exponential": (0, INF, 0, INF),
    "swish": (0, INF, 0, 1),
    "quick_gelu": (0, INF, 0, 1),
    "xielu": (INF, INF, 0.5 - 0.8, INF),
    "acon_c": (0, INF, 0, 1),
    "telu": (0, INF, 0, 1),
    "golu": (0, INF, 0, 1),
    "serf": (0, INF, 0, 1),
    "snake": (-INF, INF, np.nan, np.nan),  # f' has no limit
}

#: name: (kink, parameters, f' there)
KINKS = [
    ("relu", 0.0, {}, 0.0),
    ("relu6", 0.0, {}, 0.0),
    ("relu6", 6.0, {}, 0.0),
    ("leaky_relu", 0.0, {}, 0.01),
    ("leaky_relu", 0.0, {"negative_slope": -1.5}, -1.5),
    ("prelu", 0.0, {}, 0.25),
    ("prelu", 0.0, {"weight": 2.0}, 2.0),
    ("rrelu", 0.0, {}, 11 / 48),
    ("rrelu", 0.0, {"lower": -1.0, "upper": 2.0}, 0.5),
    ("thresholded_relu", 1.0, {}, 0.0),
    ("thresholded_relu", -2.0, {"threshold": -2.0, "value": 3.0}, 0.0),
    ("elu", 0.0, {}, 1.0),
    ("elu", 0.0, {"alpha": 0.3}, 0.3),
    ("celu", 0.0, {}, 1.0),
    ("celu", 0.0, {"alpha": 0.3}, 1.0),
    ("selu", 0.0, {}, LA),
    ("softsign", 0.0, {}, 1.0),
    ("hardtanh", -1.0, {}, 0.0),
    ("hardtanh", 1.0, {}, 0.0),
    ("hardtanh", -0.5, {"min_val": -0.5, "max_val": 0.5}, 0.0),
    ("hardtanh", 0.5, {"min_val": -0.5, "max_val": 0.5}, 0.0),
    ("hardtanh", 0.5, {"min_val": 0.5, "max_val": 0.5}, 0.0),
    ("hardsigmoid", -3.0, {}, 0.0),
    ("hardsigmoid", 3.0, {}, 0.0),
    ("hardsigmoid", 2.5, {"slope": 0.2}, 0.0),
    ("hardswish", -3.0, {}, 0.0),
    ("hardswish", 3.0, {}, 1.0),
    ("hardshrink", -0.5, {}, 0.0),
    ("hardshrink", 0.5, {}, 0.0),
    ("hardshrink", 0.0, {"lambd": 0.0}, 0.0),
    ("softshrink", -0.5, {}, 0.0),
    ("softshrink", 0.5, {}, 0.0),
    ("softshrink", -2.0, {"lambd": 2.0}, 0.0),
    ("softshrink", 2.0, {"lambd": 2.0}, 0.0),
    ("sparse_plus", -1.0, {}, 0.0),
    ("sparse_plus", 1.0, {}, 1.0),
    ("sparse_sigmoid", -1.0, {}, 0.0),
    ("sparse_sigmoid", 1.0, {}, 0.0),
    ("relu2", 0.0, {}, 0.0),
    ("star_relu", 0.0, {}, 0.0),
    ("xielu", 0.0, {}, 0.5 - 0.8),
    ("xielu", 0.0, {"alpha_n": 0.25}, 0.25),
]


def everywhere(x: float, dtype: Any) -> np.ndarray:
    """x in every lane of a vector and in the tail of the loop, among ordinary numbers."""
    a = np.linspace(-3, 3, 41).astype(dtype)
    a[::3] = x
    return a


def all_of(f: Any, x: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """f, then f' in each of the three ways to get it, at the places of `everywhere`."""
    value, grad = f.value_and_grad(x)
    one = np.ones_like(x)
    backward = f.backward(one, x)
    backward = backward[0] if f.learnable else backward
    forms = [("f", f(x), 0), ("f of value_and_grad", value, 0), ("f'", f.grad(x), 1)]
    forms += [("f' of value_and_grad", grad, 1), ("backward", backward, 1)]
    return [(what, y[::3], order) for what, y, order in forms]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(LIMITS))
def test_limits_at_infinity(name: str, dtype: Any, engine: str) -> None:
    f = cact.get(name)
    for side, x in enumerate((-INF, INF)):
        for what, y, order in all_of(f, everywhere(x, dtype)):
            wanted = np.dtype(dtype).type(LIMITS[name][2 * order + side])
            same = (y == wanted) | (np.isnan(y) & np.isnan(wanted))
            assert same.all(), f"{name}: {what} at {x} is {y[0]!r}, not {wanted!r}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("params", [0.2, 2.7])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_limits_follow_from_the_formula(name: str, params: float, dtype: Any, engine: str) -> None:
    """For functions that the table above does not know yet, and for other parameters."""
    f = cact.get(name, **dict.fromkeys(numeric(cact.get(name)), params))
    for sign in (-1, 1):
        x = np.full(3, sign * INF, dtype)
        for operation, y in (("forward", f(x)), ("grad", f.grad(x))):
            wanted = np.dtype(dtype).type(oracle.limit(name, sign, numeric(f), operation))
            if operation == "grad" and np.isnan(LIMITS.get(name, (0, 0, 0, 0))[2]):
                continue  # there is none
            wanted = np.dtype(dtype).type(oracle.limit(name, sign, numeric(f), operation))
            assert (y == wanted).all(), f"{name} {operation} at {x[0]} is {y[0]!r}, not {wanted!r}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nan_in_nan_out(name: str, dtype: Any, engine: str) -> None:
    f = cact.get(name)
    for nan in (np.nan, -np.nan):
        for what, y, _ in all_of(f, everywhere(nan, dtype)):
            assert np.isnan(y).all(), f"{name}: {what} of NaN is {y[0]!r}"
    x = everywhere(np.nan, dtype)
    assert np.isfinite(np.delete(f(x), np.s_[::3])).all(), f"{name}: NaN spreads to its neighbours"


def test_payload_of_a_signalling_nan(engine: str) -> None:
    x = np.array([0x7FA00001, 0xFFA00001], np.uint32).view(np.float32)
    for name in ELEMENTWISE:
        with np.errstate(all="raise"):
            assert np.isnan(cact.get(name)(x)).all(), name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "kink", "params", "wanted"), KINKS)
def test_derivative_at_a_kink(
    name: str, kink: float, params: dict[str, float], wanted: float, dtype: Any, engine: str
) -> None:
    f = cact.get(name, **params)
    for x in (kink,) if kink else (0.0, -0.0):
        for what, y, order in all_of(f, everywhere(x, dtype)):
            if order:
                assert (y == np.dtype(dtype).type(wanted)).all(), f"{name}: {what} at {x!r} is {y[0]!r}"


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if cact.get(n)._record.kinks])
def test_derivative_at_a_kink_is_one_sided(name: str, engine: str) -> None:
    """At every kink of the record f' is the derivative from the left or from the right."""
    f = cact.get(name)
    for kink in oracle.kinks(name, numeric(f)):
        with oracle.mp.workprec(300):
            beside = [kink + side * oracle.mpf(2) ** -200 for side in (-1, 1)]  # f itself may jump
        sides = [float(oracle.derivative(name, x, numeric(f))) for x in beside]
        assert float(f.grad(np.float64(kink))) in sides, f"{name}'({kink})"


@pytest.mark.parametrize(
    ("name", "operation", "x", "wanted"),
    [
        ("gelu", "forward", np.float32(-6), -5.9195259e-09),
        ("gelu", "forward", np.float32(-13.5), -1.0555389862638154e-40),
        ("elu", "grad", np.float64(-40), 4.248354255291589e-18),
        ("elu", "grad", np.float64(-745), 5e-324),
        ("sigmoid", "forward", np.float32(-103), 1.8501e-45),
        ("mish", "grad", np.float64(-745), -2.1e-321),
        ("log_sigmoid", "forward", np.float64(745), -5e-324),
        ("log_sigmoid", "grad", np.float32(103), 1.8501e-45),
        ("exponential", "forward", np.float64(-745), 5e-324),
        ("tanhshrink", "forward", np.float64(1e-107), 3.333e-322),
        ("swish", "forward", np.float32(-108), -1.2952e-45),
        ("telu", "forward", np.float64(-745), -2.1026513e-321),
        ("golu", "forward", np.float32(-4.65), -1.7650886e-45),
        ("golu", "grad", np.float64(-6.61), -1.7160169e-319),
    ],
)
def test_tails_are_kept(name: str, operation: str, x: Any, wanted: str, engine: str) -> None:
    f = cact.get(name)
    y = (f if operation == "forward" else f.grad)(x)
    assert y == type(x)(wanted)
    assert y != 0


@pytest.mark.parametrize(
    "name", ["identity", "tanh", "softsign", "hardtanh", "hardshrink", "softshrink", "tanhshrink"]
)
def test_odd_functions_keep_the_sign_of_zero(name: str, engine: str) -> None:
    for dtype in (np.float32, np.float64):
        y = cact.get(name)(np.array([0.0, -0.0] * 20, dtype))
        assert np.signbit(y).tolist() == [False, True] * 20
        assert (y == 0).all()


#: 0 for all that is negative, without its sign.
RECTIFIED = {"relu", "relu6", "relu2", "thresholded_relu"}


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if cact.get(n)(0.0) == 0 and n not in RECTIFIED])
def test_zero_keeps_its_sign(name: str, engine: str) -> None:
    """f(-0.0) is -0.0 in every dtype where f(0) = 0 and f' > 0 there, or at any slope from the left."""
    for dtype in (np.float16, np.float32, np.float64):
        y = cact.get(name)(np.array([-0.0, 0.0], dtype))
        assert np.signbit(y).tolist() == [True, False], (name, dtype, y)


@pytest.mark.parametrize("beta", [1e-300, 1e-290, 1e300])
def test_softplus_at_infinity_with_extreme_beta(beta: float, engine: str) -> None:
    for dtype in (np.float32, np.float64):
        x = np.array([-np.inf, np.inf], dtype)
        assert cact.softplus(x, beta=beta).tolist() == [0, np.inf]
        assert cact.softplus.grad(x, beta=beta).tolist() == [0, 1]
