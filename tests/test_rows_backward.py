"""Backward of the functions of rows against the exact derivative, above all where its terms cancel."""

from typing import Any

import numpy as np
import oracle
import pytest
from mpmath import mpf
from oracle import exact_row_backward
from test_rows import BOUNDS, LENGTHS, ROWS, sample

import cact


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


def backward_scale(name: str, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What the terms of dx have in size, to measure what cancels on NumPy by."""
    dy, y = dy.astype(float), y.astype(float)
    if name == "log_softmax":
        return abs(dy) + np.exp(y) * abs(dy.sum())
    return abs(dy).max() * (y > 0 if name == "sparsemax" else np.sqrt(y) if name == "entmax15" else y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ROWS)
def test_backward(name: str, dtype: Any, engine: str) -> None:
    """C: whatever cancels.  NumPy: 16 epsilons of the terms."""
    f = cact.get(name)
    for n in LENGTHS if engine != "numpy" else LENGTHS[:-1]:
        r = np.random.default_rng(n)
        y = f(r.normal(0, 2, n).astype(dtype))
        dy = r.normal(0, 1, n).astype(dtype)
        dx = f.backward(dy, y)
        assert dx.dtype == dtype
        scale = backward_scale(name, dy, y)
        for i, wanted in enumerate(exact_row_backward(name, dy, y, 400)):
            miss = float(abs(mpf(float(dx[i])) - wanted))
            error = oracle.ulp_error(dx[i], wanted, dtype)
            if engine == "numpy":
                assert miss <= 16 * np.finfo(dtype).eps * scale[i], (n, i)
            else:
                assert error <= BOUNDS[name][1], f"n = {n}, dx[{i}]: {error:.3g} ULP, {dx[i]!r}, {dy[i]!r}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ROWS)
def test_backward_of_long_rows(name: str, dtype: Any, engine: str) -> None:
    f, r = cact.get(name), np.random.default_rng(8)
    y = f(r.normal(0, 0.01, 100_000).astype(dtype))
    dy = r.normal(0, 1, 100_000).astype(dtype)
    dx = f.backward(dy, y)
    places = sample(dy.size, 20)
    wanted = exact_row_backward(name, dy, y, 200, places)
    for i, w in zip(places, wanted):
        error = oracle.ulp_error(dx[i], w, dtype)
        if engine == "numpy":
            error = float(abs(mpf(float(dx[i])) - w)) / np.finfo(dtype).eps / 16
            error /= backward_scale(name, dy, y)[i] or 1
        assert error <= BOUNDS[name][1], (i, error)


@pytest.mark.parametrize("name", ROWS)
def test_backward_is_the_derivative(name: str, rng: np.random.Generator, engine: str) -> None:
    """Against differences of the forward function."""
    f = cact.get(name)
    x, dy = rng.normal(0, 1, 12), rng.normal(0, 1, 12)
    dx = f.backward(dy, f(x))
    h = 1e-6
    for i in range(12):
        e = np.zeros(12)
        e[i] = h
        difference = dy @ (f(x + e) - f(x - e)) / (2 * h)
        assert dx[i] == pytest.approx(difference, abs=1e-8)
    assert dx.sum() == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_backward_of_log_softmax_where_its_terms_cancel(dtype: Any, engine: str) -> None:
    """As many bits as dtype has: dy is chosen for a dx of 2^-j dy in a row of ordinary numbers."""
    if engine == "numpy":
        pytest.skip("the fallback has bounds of its own")
    for j in range(1, np.finfo(dtype).nmant - 3):
        r = np.random.default_rng(j)
        n, i = 17 + j, 3 * (j // 3)
        y = cact.log_softmax(r.normal(0, 3, n).astype(dtype))
        dy = r.normal(0, 1, n).astype(dtype)
        e = np.exp(float(y[i]))
        dy[i] = (dy.sum(dtype=float) - float(dy[i])) * e / (1 - e) * (1 + 2.0**-j)
        dx = cact.log_softmax.backward(dy, y)
        wanted = exact_row_backward("log_softmax", dy, y, 400)[i]
        assert abs(wanted) < 2.0 ** (1 - j) * abs(float(dy[i]))
        assert oracle.ulp_error(dx[i], wanted, dtype) <= 1, j
        for out in (dy.copy(), y.copy()):
            same = cact.log_softmax.backward(*((out, y) if out[0] == dy[0] else (dy, out)), out=out)
            np.testing.assert_array_equal(same, dx)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ROWS)
def test_backward_where_all_terms_cancel(name: str, dtype: Any, engine: str) -> None:
    """Less than the rounding of y, or nothing, is left of the terms; in place as elsewhere."""
    if engine == "numpy":
        pytest.skip("the fallback has bounds of its own")
    f = cact.get(name)
    for n in (1, 2, 3, 10, 33, 600):
        r = np.random.default_rng(n)
        x = r.normal(0, 2, n).astype(dtype)
        y, share = f(x), cact.softmax(x)
        weights = y > 0 if name == "sparsemax" else np.ones(n)
        if name == "entmax15":
            weights = np.sqrt(y.astype(float))
        near = r.normal(0, 1, n)
        near[0] = 0 if n == 1 else near[1:] @ weights[1:] / weights[1:].sum() if weights[1:].any() else 1
        for dy in (1, 1 / 3, -share, 7 * share, 1 + r.normal(0, np.finfo(dtype).eps, n), near):
            dy = (dy * np.ones(n)).astype(dtype)
            dx = f.backward(dy, y)
            wanted = exact_row_backward(name, dy, y)
            for i in sample(n, 40):
                error = oracle.ulp_error(dx[i], wanted[i], dtype)
                assert error <= BOUNDS[name][1], (
                    f"n = {n}, dx[{i}] of dy = {dy[:2]}: {error:.3g} ULP, {dx[i]!r}"
                )
            for out in (dy.copy(), y.copy()):
                same = f.backward(*((out, y) if out[0] == dy[0] else (dy, out)), out=out)
                np.testing.assert_array_equal(same, dx)


@pytest.mark.parametrize("name", ROWS)
def test_backward_where_the_mean_cancels(name: str, engine: str) -> None:
    """A dy of 0, and others, beside a mean that is but the rounding of its terms."""
    if engine == "numpy":
        pytest.skip("the fallback has bounds of its own")
    f = cact.get(name)
    rows = [
        ([0.08, 0, 0.83, -0.08, -0.83], [0.21, 0.44000000000000006, 0.07, 0.21, 0.07]),
        (
            [-0.151, 0.151, 1.249, 0, -1.332, 0, 1.332, -1.249],
            [0.1, 0.1, 0.01, 0.35, 0.04, 0.35, 0.04, 0.01],
        ),
        ([1.698, 0.692, -1.698, -0.908, 0, -0.692, 0.908], [0.11, 0.09, 0.11, 0.12, 0.36, 0.09, 0.12]),
        ([1, -1, -(2.0**-60), 0, 2.0**-120, 0, 0, 0, 2.0**-60], [1 / 16] * 9),
        ([0.2, 0.1, 0], [1 / 3] * 3),
        ([0.4, 0.8, 0], [1 / 3] * 3),
    ]
    for n in (10, 100):
        r = np.random.default_rng(n)
        y = cact.get("softmax" if name == "log_softmax" else name)(r.normal(0, 2, n))
        weights = {"log_softmax": np.ones(n), "sparsemax": y > 0, "entmax15": np.sqrt(y)}.get(name, y)
        dy = r.normal(0, 1, n) * (r.random(n) < 0.7)
        some = np.flatnonzero((dy != 0) & (weights > 0))
        for _ in range(3):
            dy[some] -= dy @ weights / max(weights[some].sum(), 1e-9)
        rows.append((dy, y))
    for dy, y in (map(np.array, row) for row in rows):
        if name == "log_softmax":
            y = np.log(y)
        dx = f.backward(dy, y)
        errors = [oracle.ulp_error(a, b, float) for a, b in zip(dx, exact_row_backward(name, dy, y))]
        assert max(errors) <= BOUNDS[name][1], (dy, y, errors)
        out = dy.copy()
        np.testing.assert_array_equal(f.backward(out, y, out=out), dx)


@pytest.mark.parametrize("name", ROWS)
def test_backward_keeps_nan_beside_what_cancels(name: str, engine: str) -> None:
    f, near = cact.get(name), 1 + 2.0**-52
    for dy, y in (
        ([1, near, np.nan], [0.5, 0.5, 0]),
        ([1, near, 1], [0.5, 0.5, np.nan]),
        ([1, 1, np.nan], [0.5, 0.5, 0]),
        ([1, 1, 1], [0.5, 0.5, np.nan]),
    ):
        assert np.isnan(f.backward(np.array(dy), np.array(y))[2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_backward_of_a_class_that_is_sure(dtype: Any, engine: str) -> None:
    """What is left of dy is what the others have, and less than the rounding of their sum."""
    if engine == "numpy":
        pytest.skip("the fallback has bounds of its own")
    for other in (1e-13, 1e-15, 1e-17):
        y = cact.log_softmax(np.array([60, 0, 0], dtype))
        dy = np.array([-1, -other, -other], dtype)
        wanted = exact_row_backward("log_softmax", dy, y)[0]
        assert oracle.ulp_error(cact.log_softmax.backward(dy, y)[0], wanted, dtype) <= 1, other


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_backward_of_log_softmax_beside_overflow(dtype: Any, engine: str) -> None:
    big = float(np.finfo(dtype).max)
    y = cact.log_softmax(np.array([40, 0], dtype))
    dx = cact.log_softmax.backward(np.array([big * 0.8, big * 0.8 * np.exp(-40)], dtype), y)
    assert np.isfinite(dx).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_backward_of_log_softmax_of_an_infinite_sum(dtype: Any, engine: str) -> None:
    """dy - inf, and NaN for inf - inf, as arithmetic has it."""
    y = cact.log_softmax(np.array([0, 1, 2], dtype))
    with np.errstate(invalid="ignore"):
        dx = cact.log_softmax.backward(np.array([1, 2, np.inf], dtype), y)
    np.testing.assert_array_equal(dx, np.array([-np.inf, -np.inf, np.nan], dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_backward_of_what_log_softmax_lost(dtype: Any, engine: str) -> None:
    """y = -inf, and y so small that e^y is 0 until a large sum multiplies it."""
    big = float(np.finfo(dtype).max) / 8
    y = np.array([0, -np.inf, -200 if dtype is np.float64 else -150], dtype)
    if dtype is np.float64:
        y[2] = -1100
    dy = np.array([big, big, 0], dtype)
    dx = cact.log_softmax.backward(dy, y)
    assert dx[1] == big
    if engine != "numpy":
        wanted = exact_row_backward("log_softmax", dy, y)[2]
        assert oracle.ulp_error(dx[2], wanted, dtype) <= 2
