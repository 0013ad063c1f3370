"""Functions of whole rows: softmax and its kin, their backward from the output.

With the C kernels the bounds below.  On NumPy, which rounds x - max, the sums and the threshold
to float64: 4 ULP for float32; for float64 16 ULP and one for each unit of max - x (half
an ULP of the difference is up to (max - x) 2^-53 of the result), and of sparsemax and entmax15,
whose small elements are differences, 16 epsilons of 1.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import oracle
import pytest
from conftest import DTYPES, ROWS
from mpmath import mp, mpf
from oracle import exact_row

import cact

LENGTHS = [1, 2, 3, 7, 8, 10, 15, 16, 17, 31, 33, 64, 100, 128, 129, 255, 1000]
#: ULP, forward and backward, with the C kernels.
BOUNDS = {
    "softmax": (2.0, 2.0),
    "log_softmax": (1.5, 1.6),  # src_c/rows_log.h: three roundings in float32, e^y to 2^-56 in float64
    "softmin": (2.0, 2.0),
    "sparsemax": (1.0, 1.0),
    "entmax15": (1.0, 2.0),  # backward in float32: three roundings
}
THRESHOLDS = ("sparsemax", "entmax15")


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers in every test and for every engine."""
    return np.random.default_rng(13)


def sample(n: int, count: int = 6) -> np.ndarray:
    """Places in a row: both ends and some between."""
    return np.unique(np.concatenate([[0, n - 1], np.random.default_rng(n).integers(0, n, count)]))


def forward_bound(name: str, engine: str, x: np.ndarray, i: int, wanted: mpf) -> float:
    """In ULP of the exact element."""
    dtype = x.dtype.type
    if engine != "numpy":
        return BOUNDS[name][0]
    if dtype is np.float32:
        return 4.0
    if name in THRESHOLDS:
        return 16 * 2.0**-52 / float(oracle.ulp(wanted, dtype)) if wanted else 0.0
    if name == "log_softmax":  # of the maximum: as the next one's exponential
        return 16.0 + float(min(x.max() - np.sort(x)[-2:][0], 800))
    sign = -1 if name == "softmin" else 1
    return 16.0 + float(min(max(sign * x) - sign * x[i], 800))


def distribution(kind: str, n: int, dtype: Any) -> np.ndarray:
    """n numbers; for softmin, negated, they do the same."""
    r = np.random.default_rng(n)
    x = r.normal(0, 2, n)
    if kind == "one dominant":
        x[n // 2] += 30 if dtype is np.float32 else 300
    elif kind == "two levels":
        x = r.choice([0.0, -90.0 if dtype is np.float32 else -700.0], n)
    elif kind == "equal":
        x = np.full(n, 3.7)
    elif kind == "huge":
        x *= 1e30
    elif kind == "tiny":
        x *= 1e-30
    elif kind == "narrow":
        x *= 1e-3
    elif kind == "wide":
        x *= 20
    elif kind == "offset":
        x = 1e6 + np.round(x, 1)
    elif kind == "masks":
        x[r.random(n) < 0.6] = -np.inf
        x[n // 3] = 0.3
    return x.astype(dtype)


KINDS = ["normal", "one dominant", "two levels", "equal", "huge", "tiny", "narrow", "wide", "offset", "masks"]


@functools.cache
def reference(name: str, kind: str, n: int, dtype: Any) -> tuple[np.ndarray, Any, list[mpf]]:
    """The row, some places, the exact results there."""
    x = distribution(kind, n, dtype) * (-1 if name == "softmin" else 1)
    places = range(n) if n <= 17 else np.union1d(sample(n), [np.argmax(x), np.argmin(x), n // 2, n // 3])
    return x, places, exact_row(name, x, places)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ROWS)
def test_error_in_ulp(name: str, kind: str, dtype: Any, engine: str) -> None:
    for n in LENGTHS if kind == "normal" else [1, 2, 3, 10, 128]:
        x, places, wanted = reference(name, kind, n, dtype)
        y = cact.get(name)(x)
        assert y.dtype == dtype
        for i, w in zip(places, wanted):
            error = oracle.ulp_error(y[i], w, dtype) if mp.isfinite(w) else 0 if y[i] == w else np.inf
            bound = forward_bound(name, engine, x, i, w)
            assert error <= bound, f"n = {n}, x[{i}] = {x[i]!r}: {error:.3g} ULP, got {y[i]!r} on {engine}"


@functools.cache
def long_reference(name: str, dtype: Any) -> tuple[np.ndarray, list[int], list[mpf]]:
    x = np.random.default_rng(1).normal(0, 2, 100_000).astype(dtype)
    places = [*sample(x.size), *np.argsort(x)[-3:], *np.argsort(x)[:3]]
    return x, places, exact_row(name, x, places, 200)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ROWS)
def test_long_rows(name: str, dtype: Any, engine: str) -> None:
    """100,000 elements: the error of the sum does not grow with the row."""
    x, places, wanted = long_reference(name, dtype)
    y = cact.get(name)(x)
    for i, w in zip(places, wanted):
        assert oracle.ulp_error(y[i], w, dtype) <= forward_bound(name, engine, x, i, w)
    flat = cact.get(name)(np.zeros(100_000, dtype))  # equal: the whole row is in the support
    w = -mp.log(100_000) if name == "log_softmax" else mpf(1) / 100_000
    assert (flat == flat[0]).all()
    assert oracle.ulp_error(flat[0], w, dtype) <= forward_bound(name, engine, x * 0, 0, w)


@pytest.mark.parametrize("name", ROWS)
def test_the_formula_says_the_same(name: str) -> None:
    """The documented formula, evaluated as it stands, is the reference of this module."""
    for n in (1, 2, 7, 30):
        x = np.random.default_rng(n).normal(0, 2, n)
        for i, w in enumerate(exact_row(name, x)):
            with mp.workprec(400):
                assert abs(oracle.value(name, x[i], {}, row=x.tolist()) - w) <= mpf(2) ** -90 * abs(w)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_tails_and_large_inputs(name: str, dtype: Any, engine: str) -> None:
    """No overflow; what is small stays, down to the subnormals."""
    depth = 100 if dtype is np.float32 else 740
    for shift in (0.0, 1e4, -1e4, float(np.finfo(dtype).max) / 4):
        x = (np.array([0.0, -1.0, -depth, -3 * depth]) + shift).astype(dtype)
        y = cact.get(name)(x)
        for i, w in enumerate(exact_row(name, x)):
            assert oracle.ulp_error(y[i], w, dtype) <= forward_bound(name, engine, x, i, w), (shift, i, y[i])
    assert cact.softmax(np.array([0, -depth], dtype))[1] > 0
    x = np.full(1000, -103 if dtype is np.float32 else -744, dtype)  # each is but a subnormal or two
    x[3] = 0
    (w,) = exact_row("log_softmax", x, [3])
    bound = forward_bound("log_softmax", engine, x, 3, w)
    assert oracle.ulp_error(cact.log_softmax(x)[3], w, dtype) <= bound
    most = np.finfo(dtype).max
    np.testing.assert_array_equal(cact.log_softmax(np.array([most, -most], dtype)), [0, -np.inf])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", THRESHOLDS)
def test_next_to_the_threshold(name: str, dtype: Any, engine: str) -> None:
    """Elements whose distance g to tau is small keep their digits.

    With z = (0, -1 + g) the difference is g/2 of sparsemax; of entmax15 its square, g/2 to first order.
    """
    eps = float(np.finfo(dtype).eps)
    for j in range(1, 20 if dtype is np.float32 else 50):
        x = np.array([0, (-1 + 2.0**-j) * (1 + THRESHOLDS.index(name)), -5], dtype)
        y = cact.get(name)(x)
        for i, w in enumerate(exact_row(name, x)):
            bound = 1.0 if engine != "numpy" else max(4.0, 16 * 2.0**-52 / float(oracle.ulp(w, dtype)))
            assert oracle.ulp_error(y[i], w, dtype) <= bound, (j, i, y[i], w)
    edge = np.array([0, -(1 + THRESHOLDS.index(name)), -5], dtype)  # at tau
    np.testing.assert_array_equal(cact.get(name)(edge), [1, 0, 0])
    y = cact.get(name)(np.random.default_rng(2).normal(0, 1, (50, 40)).astype(dtype))
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=8 * eps)
    assert (y == 0).any(axis=-1).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", THRESHOLDS)
def test_at_the_threshold(name: str, dtype: Any, engine: str) -> None:
    """The numbers next to tau itself, which have few digits of z - tau or none."""
    if engine == "numpy":
        pytest.skip("the fallback has bounds of its own")
    power = 1 + THRESHOLDS.index(name)
    least = 1.0
    for seed in range(90):
        r = np.random.default_rng(seed)
        x = r.normal(0, 1, 2 + seed % 4).astype(dtype)
        if seed % 3 == 1:
            x = ((x - x.max()) * 2.0 ** -(seed / 2)).astype(dtype)
        if seed % 3 == 2:  # all but the first beside tau
            x = np.concatenate([[power], r.random(1 + seed % 5) * 2.0 ** -r.integers(15, 70)]).astype(dtype)
        with mp.workprec(400):
            row = [mpf(v) for v in x.tolist()]
            tau = dtype(float(power * oracle.threshold(name, row)))
        for t in (tau, np.nextafter(tau, dtype(9)), np.nextafter(tau, dtype(-9))):
            row = np.append(x, t)
            for got, w in zip(cact.get(name)(row), exact_row(name, row, None, 600)):
                assert oracle.ulp_error(got, w, dtype) <= 1, (seed, row)
                least = min(least, float(w) or 1)
    assert least < (1e-9 if dtype is np.float32 else 1e-17) ** power


@pytest.mark.parametrize("name", THRESHOLDS)
def test_one_drops_at_a_time(name: str, engine: str) -> None:
    """Rows made so that each pass towards tau removes as little as it can."""
    for power in (1.01, 1.5, 2.0, 8.0):
        x = -(power ** -np.arange(200.0))
        y = cact.get(name)(x)
        places = [0, 5, 50, 199]
        for i, w in zip(places, exact_row(name, x, places)):
            assert oracle.ulp_error(y[i], w, np.float64) <= forward_bound(name, engine, x, i, w)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [128, 1000, 100_000])
def test_many_small_others(n: int, dtype: Any, engine: str) -> None:
    """One class dominates; whatever the others lose in a sum they lose alike."""
    if engine == "numpy":
        pytest.skip("the fallback has bounds of its own")
    with mp.workprec(200):
        for value in (-11.7, -12.52, -15.3, -19.07, -27, -36.6, -49.44, -60):
            x = np.full((1, n), value, dtype)
            x[0, 0] = 0
            e = mp.exp(mp.mpf(float(x[0, 1])))
            total = 1 + (n - 1) * e
            y, log_y = cact.softmax(x), cact.log_softmax(x)
            for got, want in (
                (y[0, 0], 1 / total),
                (y[0, 1], e / total),
                (log_y[0, 0], -mp.log(total)),
                (log_y[0, 1], float(x[0, 1]) - mp.log(total)),
            ):
                assert oracle.ulp_error(got, want, dtype) <= 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ROWS)
def test_sums_to_one_and_shifts(name: str, dtype: Any, rng: np.random.Generator, engine: str) -> None:
    f = cact.get(name)
    x = rng.normal(0, 3, (20, 50)).astype(dtype)
    y = f(x)
    eight = f(np.zeros((3, 8), dtype))
    if name == "log_softmax":
        assert (y <= 0).all()
        y, eight = np.exp(y), np.exp(eight)
    exactly = engine != "numpy" and name != "log_softmax"
    np.testing.assert_allclose(eight, 0.125, rtol=0 if exactly else 4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(y.astype(float).sum(axis=-1), 1, rtol=8 * np.finfo(dtype).eps)
    assert (y >= 0).all()
    one = f(np.full((2, 1), 5, dtype))
    np.testing.assert_array_equal(one, np.full((2, 1), name != "log_softmax", dtype))
    assert not np.signbit(one).any()
    a, b = f(x.astype(int)), f(x.astype(int) + 1024)  # both near to the same
    np.testing.assert_allclose(a, b, rtol=4 * np.finfo(a.dtype).eps)


# ------------------------------------------------------------------ arrays
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ROWS)
def test_axis(name: str, dtype: Any, rng: np.random.Generator, engine: str) -> None:
    f = cact.get(name)
    x = rng.normal(0, 2, (3, 4, 5)).astype(dtype)
    dy = rng.normal(0, 2, (3, 4, 5)).astype(dtype)
    for axis in (-3, -2, -1, 0, 1, 2):
        y = f(x, axis=axis)
        assert y.shape == x.shape
        assert y.dtype == dtype
        dx = f.backward(dy, y, axis=axis)
        table = [np.moveaxis(t, axis, -1).reshape(-1, x.shape[axis]) for t in (x, y, dy, dx)]
        for row, out, up, down in zip(*table):
            np.testing.assert_array_equal(f(row.copy()), out)
            np.testing.assert_array_equal(f.backward(up.copy(), out.copy()), down)
        bound = cact.get(name, axis=axis)
        np.testing.assert_array_equal(bound(x), y)
        np.testing.assert_array_equal(bound.backward(dy, y), dx)
    np.testing.assert_array_equal(f(x), f(x, axis=2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ROWS)
def test_layouts(name: str, dtype: Any, rng: np.random.Generator, engine: str) -> None:
    f = cact.get(name)
    x = rng.normal(0, 2, (6, 8)).astype(dtype)
    wanted = f(x)
    kept = x.copy()
    spaced = np.zeros((12, 24), dtype)[::2, ::-3]
    spaced[...] = x
    odd = np.zeros(x.nbytes + 1, np.uint8)[1:].view(dtype).reshape(x.shape)
    odd[...] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    for form in (np.asfortranarray(x), spaced, odd, x.astype(x.dtype.newbyteorder()), frozen, x.tolist()):
        got = f(form)
        np.testing.assert_array_equal(got, f(np.array(form).astype(got.dtype)))
    np.testing.assert_array_equal(f(spaced), wanted)
    np.testing.assert_array_equal(f(np.broadcast_to(x[0], (3, 8))), np.broadcast_to(wanted[0], (3, 8)))
    for axis in (0, 1):
        right = f(x, axis=axis)
        out = np.full((6, 8), 7, dtype)
        assert f(x, axis=axis, out=out) is out
        np.testing.assert_array_equal(out, right)
        out = np.full((6, 16), 7, dtype)[:, ::-2]
        f(x, axis=axis, out=out)
        np.testing.assert_array_equal(out, right)
        own = x.copy()
        assert f(own, axis=axis, out=own) is own
        np.testing.assert_array_equal(own, right)
        long = np.concatenate([x, x[:1]])
        f(long[:6], axis=axis, out=long[1:])
        np.testing.assert_array_equal(long[1:], right)
        dy = rng.normal(0, 1, (6, 8)).astype(dtype)
        dx = f.backward(dy, right, axis=axis)
        for own in (dy.copy(), right.copy()):
            pair = (own, right) if np.array_equal(own, dy) else (dy, own)
            f.backward(*pair, axis=axis, out=own)
            np.testing.assert_array_equal(own, dx)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("name", ROWS)
def test_empty_and_single(name: str, engine: str) -> None:
    f = cact.get(name)
    for dtype in DTYPES:
        for shape in ((0,), (0, 3), (3, 0), (2, 0, 4)):
            for axis in range(len(shape)):
                y = f(np.zeros(shape, dtype), axis=axis)
                assert y.shape == shape
                assert y.dtype == dtype
                assert f.backward(y, y, axis=axis).shape == shape
        assert f(np.array([3], dtype)) == [name != "log_softmax"]


@pytest.mark.parametrize("name", ROWS)
def test_integers_and_lists(name: str, engine: str) -> None:
    f = cact.get(name)
    for char in "?bBhHiIlLqQ":
        x = np.arange(6).reshape(2, 3).astype(char)
        y = f(x)
        assert y.dtype == np.float64
        np.testing.assert_array_equal(y, f(x.astype(float)))
    np.testing.assert_array_equal(f([1.0, 2.0]), f(np.array([1.0, 2.0])))
    assert f(np.float32([1, 2]), dtype=np.float64).dtype == np.float64


@pytest.mark.parametrize("name", ROWS)
def test_backward_broadcasts(name: str, rng: np.random.Generator, engine: str) -> None:
    f = cact.get(name)
    y = f(rng.normal(0, 1, (4, 5)))
    dy = rng.normal(0, 1, 5)
    np.testing.assert_array_equal(f.backward(dy, y), f.backward(np.tile(dy, (4, 1)), y))


# ------------------------------------------------------------------ special values
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 5, 16, 17, 40])
@pytest.mark.parametrize("name", ROWS)
def test_masked_entries(name: str, n: int, dtype: Any, engine: str) -> None:
    """-inf (softmin: +inf) means: not there.  Wherever it stands the others are as if alone."""
    f = cact.get(name)
    x = np.random.default_rng(n).normal(0, 2, n).astype(dtype)
    nothing = -np.inf if name == "log_softmax" else 0
    for where in ([0], [n - 1], list(range(0, n, 2)), list(range(n - 1))):
        masked = x.copy()
        masked[where] = np.inf if name == "softmin" else -np.inf
        with np.errstate(all="raise"):
            y = f(masked)
        assert (y[where] == nothing).all()
        rest = np.delete(y, where)
        alone = f(np.delete(x, where))
        close = {"rtol": 2 * np.finfo(dtype).eps, "atol": 2.0**-50 * (name in THRESHOLDS)}
        np.testing.assert_allclose(rest.astype(float), alone.astype(float), **close)
        with np.errstate(all="raise"):
            dx = f.backward(x, y)
        np.testing.assert_array_equal(dx[where], x[where] if name == "log_softmax" else 0)
        assert np.isfinite(dx).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 3, 16, 19, 300])
@pytest.mark.parametrize("name", ROWS)
def test_rows_without_a_result(name: str, n: int, dtype: Any, engine: str) -> None:
    """NaN anywhere, an infinity that is no mask, or nothing but masks: the row is NaN, no other is."""
    f = cact.get(name)
    mask = np.inf if name == "softmin" else -np.inf
    for place in {0, n // 2, n - 1}:
        for bad in (np.nan, -np.nan, -mask):
            for beside in (0, mask):
                x = np.zeros((3, n), dtype)
                x[1] = beside
                x[1, place] = bad
                with np.errstate(all="raise"):
                    y = f(x)
                assert np.isnan(y[1]).all(), (place, bad)
                assert np.isfinite(y[[0, 2]]).all()
                with np.errstate(all="raise"):
                    assert np.isnan(f.backward(np.ones_like(y), y)[1]).all()
    x = np.zeros((3, n), dtype)
    x[1] = mask
    with np.errstate(all="raise"):
        y = f(x)
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[[0, 2]]).all()


@pytest.mark.parametrize("name", ROWS)
def test_bfloat16(name: str, engine: str) -> None:
    """Within one unit of the row as float32, rounded."""
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    f = cact.get(name)
    x = np.random.default_rng(3).normal(0, 2, (4, 33)).astype(bfloat16)
    y = f(x)
    assert y.dtype == bfloat16
    np.testing.assert_array_equal(y, f(x.astype(np.float32)).astype(bfloat16))
    dx = f.backward(x, y)
    assert dx.dtype == bfloat16
    np.testing.assert_array_equal(dx, f.backward(x.astype(np.float32), y.astype(np.float32)).astype(bfloat16))


@pytest.mark.parametrize("name", ["softmax", "softmin"])
def test_backward_of_a_saturated_row(name: str, engine: str) -> None:
    """One y is nearly 1: all but the last digits of dy - sum(dy*y) cancel."""
    dy, y = np.float32([0.3, 1.7, 0.1]), np.float32([1, 2.3195228e-16, 4.248354e-18])
    with mp.workprec(300):
        mean = mp.fsum(mp.mpf(float(a)) * mp.mpf(float(b)) for a, b in zip(dy, y))
        exact = [mp.mpf(float(b)) * (mp.mpf(float(a)) - mean) for a, b in zip(dy, y)]
        exact = exact if name == "softmax" else [-v for v in exact]
    dx = cact.get(name).backward(dy, y)
    errors = [oracle.ulp_error(a, b, np.float32) for a, b in zip(dx, exact)]
    assert max(errors[engine == "numpy" :]) <= 1, errors  # NumPy has no more than a double for the sum
