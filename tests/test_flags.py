"""The kernels raise no floating-point flag: asked of the C library around calls, and of np.errstate."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util

import hashes
import numpy as np
import pytest
from conftest import COMPILED, ELEMENTWISE, ROWS

import cact
from cact import kernels

LIBM = ctypes.CDLL(ctypes.util.find_library("m"))
FLAGS = 0x3D  # FE_ALL_EXCEPT on x86
DTYPES = [d for d in hashes.DTYPES if d != "bfloat16" or importlib.util.find_spec("ml_dtypes")]


@pytest.mark.skipif(not COMPILED, reason="the flags are the kernels' promise; NumPy's are silenced")
@pytest.mark.skipif(cact.info()["platform"].split()[1] != "x86_64,", reason="the number of FE_ALL_EXCEPT")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_no_flag_is_raised(name: str, dtype: str) -> None:
    x = hashes.inputs(dtype, rows=False)[0]
    y, dy = np.empty_like(x), np.roll(x, 7)
    for operation, buffers in (("forward", (x, y)), ("grad", (x, y)), ("backward", (dy, x, y))):
        kernel = getattr(kernels, f"{name}_{operation}")
        rounding = LIBM.fegetround()
        LIBM.feclearexcept(FLAGS)
        kernel(*buffers)
        assert LIBM.fetestexcept(FLAGS) == 0, operation
        assert LIBM.fegetround() == rounding


@pytest.mark.skipif(not COMPILED, reason="the flags are the kernels' promise; NumPy's are silenced")
@pytest.mark.skipif(cact.info()["platform"].split()[1] != "x86_64,", reason="the number of FE_ALL_EXCEPT")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*ELEMENTWISE, *ROWS])
def test_no_operation_raises_a_flag(name: str, dtype: str) -> None:
    """Also of rows, half types, strided arrays and threads; asked right after each call."""
    f, rows = cact.get(name), name in ROWS
    x = hashes.inputs(dtype, rows=rows)[0]
    dy, strided = np.roll(x, 7), np.repeat(x, 2, axis=0)[::2]
    calls = [lambda: f(x), lambda: f(strided)]
    if not f._record.learnable:  # whose parameters' gradients NumPy sums
        calls.append(lambda: f.backward(dy, x))
    if not rows:
        calls += [lambda: f.grad(x), lambda: f.value_and_grad(x), lambda: f(np.tile(x, 40))]
        if f._record.from_output is not None:
            calls += [lambda: f.grad_from_output(x), lambda: f.backward_from_output(dy, x)]
    for i, call in enumerate(calls):
        call()  # what is made once, is made now
        LIBM.feclearexcept(FLAGS)
        call()
        assert LIBM.fetestexcept(FLAGS) == 0, i


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_operation_under_raise(name: str, dtype: str, engine: str) -> None:
    f, x = cact.get(name), hashes.inputs(dtype, rows=False)[0]
    dy = np.roll(x, 7)
    with np.errstate(all="raise"):
        f(x), f.grad(x), f.backward(dy, x), f.value_and_grad(x)
        if f._record.from_output is not None:
            f.grad_from_output(x), f.backward_from_output(dy, x)
