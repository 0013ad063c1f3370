"""f' from the output y = f(x), for the functions whose output tells it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import ELEMENTWISE, numeric

import cact

FROM_OUTPUT = [n for n in ELEMENTWISE if cact.get(n)._record.from_output is not None]
DTYPES = [np.float16, np.float32, np.float64]


def test_which() -> None:
    for name in ELEMENTWISE:
        assert hasattr(cact.get(name), "grad_from_output") == (name in FROM_OUTPUT)
    assert {
        "identity", "sigmoid", "tanh", "relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "softplus",
        "softsign", "hardtanh", "hardsigmoid", "hardshrink", "softshrink", "squareplus", "sparse_sigmoid",
        "relu2",
    } <= set(FROM_OUTPUT)  # fmt: skip


@pytest.mark.parametrize("name", FROM_OUTPUT)
def test_is_the_derivative(name: str, engine: str) -> None:
    """As exact as y lets it be: within the change of f' over a few steps of y."""
    f = cact.get(name)
    x = np.linspace(-4, 4, 1602)  # odd multiples of 4/1601: no kink but those that round
    y = f(x)
    got = f.grad_from_output(y)
    np.testing.assert_allclose(got, f.grad(x), rtol=1e-12, atol=1e-13)
    single = f.grad_from_output(y.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, got, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FROM_OUTPUT)
def test_backward_is_the_product(name: str, dtype: Any, engine: str) -> None:
    f = cact.get(name)
    y = f(np.linspace(-6, 6, 150).astype(dtype))
    dy = np.linspace(-2, 3, 150).astype(dtype)
    got = f.backward_from_output(dy, y)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, dy * f.grad_from_output(y))
    for n in (0, 1, 7, 33):
        np.testing.assert_array_equal(f.backward_from_output(dy[:n], y[:n]), got[:n])
    out = y.copy()
    assert f.backward_from_output(dy, out, out=out) is out
    np.testing.assert_array_equal(out, got)


@pytest.mark.parametrize("name", FROM_OUTPUT)
def test_at_the_ends(name: str, engine: str) -> None:
    """Where f saturates, f' is 0 and no NaN; a NaN stays one; no warning."""
    f = cact.get(name)
    with np.errstate(all="raise"):
        for dtype in DTYPES:
            x = np.array([-np.inf, np.inf], dtype)
            got, wanted = (g.astype(float) for g in (f.grad_from_output(f(x)), f.grad(x)))
            tolerance = 4 * np.finfo(dtype).eps
            np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)
            assert np.isnan(f.grad_from_output(np.array([np.nan, 0.5], dtype))).tolist() == [True, False]


@pytest.mark.parametrize("name", [n for n in FROM_OUTPUT if cact.get(n)._record.defaults])
def test_parameters(name: str, engine: str) -> None:
    """One for each element, as one for all."""
    f = cact.get(name)
    y = f(np.linspace(-6, 6, 150))
    each = {k: np.full(150, v) for k, v in numeric(f).items()}
    np.testing.assert_array_equal(f.grad_from_output(y, **each), f.grad_from_output(y))


@pytest.mark.parametrize("name", [n for n in FROM_OUTPUT if cact.get(n)._record.output_domain])
def test_a_parameter_that_hides_the_sign(name: str, engine: str) -> None:
    f = cact.get(name)
    key = f._record.output_domain
    for value in (0.0, -0.5, np.array([0.5, -0.5])):
        with pytest.raises(ValueError, match=f"{name}.grad_from_output: .* only where {key} is positive"):
            f.grad_from_output(np.ones(2), **{key: value})
