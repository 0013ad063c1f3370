"""softmax: a function of whole rows, its backward from the output.

With the C kernels 2 ULP forward.  On NumPy 4 ULP for float32, and for float64 what the rounding
of x - max and of the sum costs: 16 ULP, and one for each unit of max - x (half an ULP of
the difference is up to (max - x) 2^-53 of the result).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from conftest import DTYPES
from mpmath import mp, mpf

import cact

LENGTHS = [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 129, 255, 1000]


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers in every test and for every engine."""
    return np.random.default_rng(13)


def sample(n: int, count: int = 6) -> np.ndarray:
    """Places in a row: both ends and some between."""
    return np.unique(np.concatenate([[0, n - 1], np.random.default_rng(n).integers(0, n, count)]))


def exact(x: np.ndarray, i: int) -> mpf:
    """Element i, by the documented formula."""
    return oracle.value("softmax", x[i], {}, row=x.tolist(), dtype=x.dtype.type)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_error_in_ulp(dtype: Any, scale: float, engine: str) -> None:
    for n in LENGTHS:
        x = np.random.default_rng(n).normal(0, scale, n).astype(dtype)
        y = cact.softmax(x)
        assert y.dtype == dtype
        for i in sample(n, 3):
            error = oracle.ulp_error(y[i], exact(x, i), dtype)
            bound = 2.0
            if engine == "numpy":
                bound = 4.0 if dtype is np.float32 else 16.0 + float(x.max() - x[i])
            assert error <= bound, f"n = {n}, x[{i}] = {x[i]!r}: {error:.3g} ULP, got {y[i]!r} on {engine}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_rows(dtype: Any, engine: str) -> None:
    """100,000 elements: the error of the sum does not grow with the row."""
    x = np.random.default_rng(1).normal(0, 2, 100_000).astype(dtype)
    with mp.workprec(200):
        terms = np.exp(x.astype(np.longdouble) - np.longdouble(x.max()))
        total = mp.fsum(mp.exp(mpf(float(v)) - mpf(float(x.max()))) for v in x[:2000])
        head = np.exp(x[:2000].astype(np.longdouble) - np.longdouble(x.max())).sum()
        assert abs(mpf(str(head)) / total - 1) < mpf(2) ** -55, "the reference is worth nothing here"
        total = mpf(str(terms.sum()))
        for i in sample(x.size):
            wanted = mp.exp(mpf(float(x[i])) - mpf(float(x.max()))) / total
            assert oracle.ulp_error(cact.softmax(x)[i], wanted, dtype) <= (4 if engine != "numpy" else 16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tails_and_large_inputs(dtype: Any, engine: str) -> None:
    """No overflow; what is small stays, down to the subnormals."""
    depth = 100 if dtype is np.float32 else 740
    for shift in (0.0, 1e4, -1e4, float(np.finfo(dtype).max) / 4):
        x = (np.array([0.0, -1.0, -depth, -3 * depth]) + shift).astype(dtype)
        y = cact.softmax(x)
        for i in range(4):
            error = oracle.ulp_error(y[i], exact_shifted(x, i), dtype)
            bound = 2.0 if engine != "numpy" else 16.0 + float(min(x.max() - x[i], 800))
            assert error <= bound, (shift, i, y[i])
    assert cact.softmax(np.array([0, -depth], dtype))[1] > 0


def exact_shifted(x: np.ndarray, i: int) -> mpf:
    """As `exact`, for numbers whose exponentials mpmath cannot write down."""
    with mp.workprec(1500):
        z = [mpf(float(v)) - mpf(float(x.max())) for v in x]
        return mp.exp(z[i]) / mp.fsum(mp.exp(v) for v in z)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_to_one_and_shifts(dtype: Any, rng: np.random.Generator, engine: str) -> None:
    x = rng.normal(0, 3, (20, 50)).astype(dtype)
    y = cact.softmax(x)
    np.testing.assert_allclose(y.astype(float).sum(axis=-1), 1, rtol=8 * np.finfo(dtype).eps)
    assert (y >= 0).all()
    np.testing.assert_array_equal(cact.softmax(np.zeros((3, 8), dtype)), np.full((3, 8), 0.125, dtype))
    np.testing.assert_array_equal(cact.softmax(np.full((2, 1), 5, dtype)), np.ones((2, 1), dtype))


# ------------------------------------------------------------------ backward
def exact_backward(dy: np.ndarray, y: np.ndarray) -> list[mpf]:
    """y (dy - sum(dy y)), from the y that was given."""
    with mp.workprec(2400):
        a, b = ([mpf(v) for v in t.tolist()] for t in (dy, y))
        dot = mp.fdot(a, b)
        return [v * (u - dot) for u, v in zip(a, b)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_backward(dtype: Any, engine: str) -> None:
    """C: 2 ULP, whatever cancels.  NumPy: 16 epsilons of y times the largest |dy|."""
    for n in LENGTHS:
        r = np.random.default_rng(n)
        y = cact.softmax(r.normal(0, 2, n).astype(dtype))
        dy = r.normal(0, 1, n).astype(dtype)
        dx = cact.softmax.backward(dy, y)
        assert dx.dtype == dtype
        for i, wanted in enumerate(exact_backward(dy, y)):
            if engine == "numpy":
                error = float(abs(mpf(float(dx[i])) - wanted))
                assert error <= 16 * np.finfo(dtype).eps * float(y[i]) * abs(dy).max(), (n, i)
            else:
                error = oracle.ulp_error(dx[i], wanted, dtype)
                assert error <= 2, f"n = {n}, dx[{i}]: {error:.3g} ULP, got {dx[i]!r}, dy = {dy[i]!r}"


def test_backward_is_the_derivative(rng: np.random.Generator, engine: str) -> None:
    """Against differences of the forward function."""
    x, dy = rng.normal(0, 1, 12), rng.normal(0, 1, 12)
    dx = cact.softmax.backward(dy, cact.softmax(x))
    h = 1e-6
    for i in range(12):
        e = np.zeros(12)
        e[i] = h
        difference = dy @ (cact.softmax(x + e) - cact.softmax(x - e)) / (2 * h)
        assert dx[i] == pytest.approx(difference, abs=1e-9)
    assert dx.sum() == pytest.approx(0, abs=1e-15)


# ------------------------------------------------------------------ arrays
@pytest.mark.parametrize("dtype", DTYPES)
def test_axis(dtype: Any, rng: np.random.Generator, engine: str) -> None:
    x = rng.normal(0, 2, (3, 4, 5)).astype(dtype)
    dy = rng.normal(0, 2, (3, 4, 5)).astype(dtype)
    for axis in (-3, -2, -1, 0, 1, 2):
        y = cact.softmax(x, axis=axis)
        assert y.shape == x.shape
        assert y.dtype == dtype
        dx = cact.softmax.backward(dy, y, axis=axis)
        table = [np.moveaxis(t, axis, -1).reshape(-1, x.shape[axis]) for t in (x, y, dy, dx)]
        for row, out, up, down in zip(*table):
            np.testing.assert_array_equal(cact.softmax(row.copy()), out)
            np.testing.assert_array_equal(cact.softmax.backward(up.copy(), out.copy()), down)
        bound = cact.get("softmax", axis=axis)
        np.testing.assert_array_equal(bound(x), y)
        np.testing.assert_array_equal(bound.backward(dy, y), dx)
    np.testing.assert_array_equal(cact.softmax(x), cact.softmax(x, axis=2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts(dtype: Any, rng: np.random.Generator, engine: str) -> None:
    x = rng.normal(0, 2, (6, 8)).astype(dtype)
    wanted = cact.softmax(x)
    kept = x.copy()
    spaced = np.zeros((12, 24), dtype)[::2, ::-3]
    spaced[...] = x
    odd = np.zeros(x.nbytes + 1, np.uint8)[1:].view(dtype).reshape(x.shape)
    odd[...] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    for form in (np.asfortranarray(x), spaced, odd, x.astype(x.dtype.newbyteorder()), frozen, x.tolist()):
        got = cact.softmax(form)
        np.testing.assert_array_equal(got, cact.softmax(np.array(form).astype(got.dtype)))
    np.testing.assert_array_equal(cact.softmax(spaced), wanted)
    np.testing.assert_array_equal(
        cact.softmax(np.broadcast_to(x[0], (3, 8))), np.broadcast_to(wanted[0], (3, 8))
    )
    for axis in (0, 1):
        right = cact.softmax(x, axis=axis)
        out = np.full((6, 8), 7, dtype)
        assert cact.softmax(x, axis=axis, out=out) is out
        np.testing.assert_array_equal(out, right)
        out = np.full((6, 16), 7, dtype)[:, ::-2]
        cact.softmax(x, axis=axis, out=out)
        np.testing.assert_array_equal(out, right)
        own = x.copy()
        assert cact.softmax(own, axis=axis, out=own) is own
        np.testing.assert_array_equal(own, right)
        long = np.concatenate([x, x[:1]])
        cact.softmax(long[:6], axis=axis, out=long[1:])
        np.testing.assert_array_equal(long[1:], right)
        dy = rng.normal(0, 1, (6, 8)).astype(dtype)
        dx = cact.softmax.backward(dy, right, axis=axis)
        for own in (dy.copy(), right.copy()):
            pair = (own, right) if np.array_equal(own, dy) else (dy, own)
            cact.softmax.backward(*pair, axis=axis, out=own)
            np.testing.assert_array_equal(own, dx)
    np.testing.assert_array_equal(x, kept)


def test_empty_and_single(engine: str) -> None:
    for dtype in DTYPES:
        for shape in ((0,), (0, 3), (3, 0), (2, 0, 4)):
            for axis in range(len(shape)):
                y = cact.softmax(np.zeros(shape, dtype), axis=axis)
                assert y.shape == shape
                assert y.dtype == dtype
                assert cact.softmax.backward(y, y, axis=axis).shape == shape
        assert cact.softmax(np.array([3], dtype)) == [1]


def test_integers_and_lists(engine: str) -> None:
    for char in "?bBhHiIlLqQ":
        x = np.arange(6).reshape(2, 3).astype(char)
        y = cact.softmax(x)
        assert y.dtype == np.float64
        np.testing.assert_array_equal(y, cact.softmax(x.astype(float)))
    np.testing.assert_array_equal(cact.softmax([1.0, 2.0]), cact.softmax(np.array([1.0, 2.0])))
    assert cact.softmax(np.float32([1, 2]), dtype=np.float64).dtype == np.float64


def test_backward_broadcasts(rng: np.random.Generator, engine: str) -> None:
    y = cact.softmax(rng.normal(0, 1, (4, 5)))
    dy = rng.normal(0, 1, 5)
    np.testing.assert_array_equal(cact.softmax.backward(dy, y), cact.softmax.backward(np.tile(dy, (4, 1)), y))


# ------------------------------------------------------------------ special values
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 5, 16, 17, 40])
def test_masked_entries(n: int, dtype: Any, engine: str) -> None:
    """-inf means: not there.  Wherever it stands the others are as if alone."""
    x = np.random.default_rng(n).normal(0, 2, n).astype(dtype)
    for where in ([0], [n - 1], list(range(0, n, 2)), list(range(n - 1))):
        masked = x.copy()
        masked[where] = -np.inf
        with np.errstate(all="raise"):
            y = cact.softmax(masked)
        assert (y[where] == 0).all()
        rest = np.delete(y, where)
        alone = cact.softmax(np.delete(x, where))
        np.testing.assert_allclose(rest.astype(float), alone.astype(float), rtol=2 * np.finfo(dtype).eps)
        dx = cact.softmax.backward(x, y)
        assert (dx[where] == 0).all()
        assert np.isfinite(dx).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 3, 16, 19])
def test_rows_without_a_result(n: int, dtype: Any, engine: str) -> None:
    """NaN anywhere, +inf, or nothing but -inf: the row is NaN, its neighbours are not."""
    for place in {0, n // 2, n - 1}:
        for bad in (np.nan, np.inf):
            x = np.zeros((3, n), dtype)
            x[1, place] = bad
            with np.errstate(all="raise"):
                y = cact.softmax(x)
            assert np.isnan(y[1]).all(), (place, bad)
            assert np.isfinite(y[[0, 2]]).all()
    x = np.zeros((3, n), dtype)
    x[1] = -np.inf
    with np.errstate(all="raise"):
        y = cact.softmax(x)
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[[0, 2]]).all()
