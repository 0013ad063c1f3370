"""float16 and bfloat16: f and f' correctly rounded for all 65,536 inputs, in C and in NumPy."""

from __future__ import annotations

import functools

import numpy as np
import oracle
import pytest
from conftest import COMPILED, ELEMENTWISE, GATED, ROWS, numeric
from mpmath import mp, mpf

import cact

#: name: (bits of the significand, exponents of the smallest normal number and of the largest)
FORMATS = {"float16": (11, -14, 15), "bfloat16": (8, -126, 127)}

#: (name, operation, dtype): how many of the 65,536 results are not the nearest.  At all of them the
#: exact result is so near a tie that float64 is the tie itself, and neither backend can tell on which
#: side it was: x/2 + x^2 for an odd subnormal x; a parameter such as 0.01 or 0.8, which is no double.
EXCEPTIONS = {
    ("leaky_relu", "forward", "float16"): 21,
    ("leaky_relu", "forward", "bfloat16"): 3,
    ("rrelu", "forward", "float16"): 1328,
    ("rrelu", "forward", "bfloat16"): 1517,
    ("hardswish", "forward", "bfloat16"): 128,
    ("silu", "forward", "bfloat16"): 128,
    ("gelu", "forward", "bfloat16"): 128,
    ("gelu_tanh", "forward", "bfloat16"): 128,
    ("swish", "forward", "bfloat16"): 128,
    ("quick_gelu", "forward", "bfloat16"): 128,
    ("xielu", "forward", "float16"): 29,
    ("xielu", "forward", "bfloat16"): 80,
    ("xielu", "grad", "float16"): 308,
    ("xielu", "grad", "bfloat16"): 39,
    ("acon_c", "forward", "bfloat16"): 128,
}

#: Float64 references are taken to be this near, relatively; what they leave open mpmath decides.
NEAR = 2.0**-36


def half(dtype: str) -> np.dtype:
    if dtype == "bfloat16":
        return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    return np.dtype(dtype)


def inputs(dtype: str) -> np.ndarray:
    return np.arange(65536, dtype=np.uint16).view(half(dtype))


def wide(a: np.ndarray) -> np.ndarray:
    """As float64; ml_dtypes' casts of signalling NaNs raise a flag."""
    with np.errstate(all="ignore"):
        return a.astype(np.float64)


def nearest(values: np.ndarray, dtype: str) -> np.ndarray:
    """float64 rounded to the format, ties to even, still as float64."""
    bits, least, most = FORMATS[dtype]
    unit = np.ldexp(1.0, np.maximum(np.frexp(values)[1] - 1, least) - bits + 1)
    with np.errstate(all="ignore"):
        result = np.where(np.isfinite(values), np.rint(values / unit) * unit, values)
    return np.where(np.abs(result) >= 2.0 ** (most + 1), np.copysign(np.inf, values), result)


def decided(name: str, operation: str, x: float, dtype: str) -> float:
    """The same from mpmath."""
    f = cact.get(name)
    compute = oracle.value if operation == "forward" else oracle.derivative
    exact = compute(name, x, numeric(f))
    bits, least, most = FORMATS[dtype]
    with mp.workprec(400):
        exponent = mp.frexp(exact)[1] - 1 if exact else least
        unit = mpf(2) ** (max(exponent, least) - bits + 1)
        result = mp.nint(exact / unit) * unit
        return float(result if abs(result) < mpf(2) ** (most + 1) else mp.sign(exact) * mp.inf)


def on_a_tie(name: str, operation: str, x: np.ndarray, dtype: str) -> np.ndarray:
    """Whether float64 cannot tell to which side the exact result must be rounded."""
    with cact.use_backend("numpy"), np.errstate(all="ignore"):
        y = cact.get(name)(x) if operation == "forward" else cact.get(name).grad(x)
        return nearest(y * (1 - 2.0**-51), dtype) != nearest(y * (1 + 2.0**-51), dtype)


@functools.cache
def reference(name: str, operation: str, dtype: str) -> np.ndarray:
    f, x = cact.get(name), wide(inputs(dtype))
    with cact.use_backend("numpy"):
        exact = f(x) if operation == "forward" else f.grad(x)
    with np.errstate(all="ignore"):
        low, high = (nearest(exact * (1 + side), dtype) for side in (-NEAR, NEAR))
    wanted = nearest(exact, dtype)
    kinks = [float(k) for k in oracle.kinks(name, numeric(f))]
    for i in np.flatnonzero((low != high) & np.isfinite(x) & ~np.isin(x, kinks)):
        wanted[i] = decided(name, operation, float(x[i]), dtype)
    return wanted


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("operation", ["forward", "grad"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_correctly_rounded(name: str, operation: str, dtype: str, engine: str) -> None:
    x, wanted = inputs(dtype), reference(name, operation, dtype)
    f = cact.get(name)
    with np.errstate(all="raise"):
        y = f(x) if operation == "forward" else f.grad(x)
    assert y.dtype == x.dtype
    got = wide(y)
    wrong = np.flatnonzero((got != wanted) & ~(np.isnan(got) & np.isnan(wanted)))
    allowed = EXCEPTIONS.get((name, operation, dtype), 0)
    shown = [(float(x[i]), float(got[i]), float(wanted[i])) for i in wrong[:3]]
    assert wrong.size <= allowed, f"{name} {operation}: {wrong.size} wrong, (x, result, nearest): {shown}"
    assert on_a_tie(name, operation, wide(x[wrong]), dtype).all(), shown


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_products(name: str, dtype: str, engine: str) -> None:
    """backward rounds f' first; value_and_grad is the two calls."""
    f, x = cact.get(name), inputs(dtype)
    dy = np.roll(x[::-1], 12345)
    backward = f.backward(dy, x)
    with np.errstate(all="ignore"):
        pairs = [(backward[0] if f.learnable else backward, dy * f.grad(x))]
        pairs += zip(f.value_and_grad(x), (f(x), f.grad(x)))
        for got, wanted in pairs:
            got, wanted = (a.astype(np.float32) for a in (got, wanted))
            both = np.isnan(got) & np.isnan(wanted)
            assert (both | (got.view(np.uint32) == wanted.view(np.uint32))).all()


def results(name: str, dy: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
    """Of all operations, rows being of 128, as integers; NaN counts as one."""
    f = cact.get(name)
    if name in ROWS + GATED:
        x = x.reshape(-1, 128)
        dy = dy[: x.size // 2].reshape(-1, 64) if name in GATED else dy.reshape(x.shape)
        found: tuple[np.ndarray, ...] = (f(x), f.backward(dy, x))
    else:
        found = (f(x), f.grad(x), *f.value_and_grad(x))
        found += (f.backward(dy, x)[0] if f.learnable else f.backward(dy, x),)
        if f.params:
            parts = f._functions["c"]["param_grad"](x, *f._record.defaults.values())
            found += parts if isinstance(parts, tuple) else (parts,)
    return [np.where(np.isnan(a), 0x7E57, np.ascontiguousarray(a).view(np.uint16)).ravel() for a in found]


@pytest.mark.skipif(not COMPILED, reason="the NumPy fallback is exempt")
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", ELEMENTWISE + ROWS + GATED)
def test_bits_depend_on_nothing_else(name: str, dtype: str) -> None:
    """Neighbours, threads, strides: where one result needs a second look, the others keep theirs."""
    x, dy = (np.tile(np.roll(inputs(dtype), k), 2) for k in (0, 12345))
    with np.errstate(all="ignore"), cact.num_threads(1):
        wanted = results(name, dy, x)
        apart = [np.repeat(a, 3)[::3] for a in (dy, x)]
        assert not apart[0].flags.c_contiguous
        for got, one in zip(results(name, *apart), wanted):
            assert (got == one).all()
    with np.errstate(all="ignore"), cact.num_threads(2):
        for got, one in zip(results(name, dy, x), wanted):
            assert (got == one).all()
        if name in ROWS + GATED:
            return
        order = np.random.default_rng(3).permutation(x.size)
        for got, one in zip(results(name, dy[order], x[order]), wanted):
            assert (got == one[order]).all()


def test_bfloat16_as_the_dtype_of_the_loop(engine: str) -> None:
    x = np.linspace(-3, 3, 50, dtype=np.float32)
    for f in (cact.gelu, cact.gelu.grad, cact.leaky_relu):
        wanted = f(x.astype(half("bfloat16")))
        for dtype in (half("bfloat16"), half("bfloat16").type):
            y = f(x, dtype=dtype)
            assert y.dtype == dtype
            assert (y == wanted).all()
