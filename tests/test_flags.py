"""The kernels raise no floating-point flag: asked of the C library around calls, and of np.errstate."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util

import hashes
import numpy as np
import pytest
from conftest import COMPILED, ELEMENTWISE

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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_operation_under_raise(name: str, dtype: str, engine: str) -> None:
    f, x = cact.get(name), hashes.inputs(dtype, rows=False)[0]
    dy = np.roll(x, 7)
    with np.errstate(all="raise"):
        f(x), f.grad(x), f.backward(dy, x), f.value_and_grad(x)
        if f._record.from_output is not None:
            f.grad_from_output(x), f.backward_from_output(dy, x)
