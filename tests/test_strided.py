"""Arrays of any layout, and parameters that are arrays: the same bits as of whole arrays, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cact

SHAPES = [(40,), (3, 50), (50, 3), (17, 16), (16, 17), (4, 5, 33), (2, 3, 4, 5), (1, 70), (70, 1), (300, 20)]


def laid(r: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """The same values in another order in memory, with gaps, some axes backwards."""
    axes = r.permutation(values.ndim)
    steps = [int(r.choice([1, 1, 2, 3])) for _ in axes]
    base = np.full([n * s for n, s in zip(np.array(values.shape)[axes], steps)], 99, values.dtype)
    view = base[tuple(slice(None, None, s) for s in steps)].transpose(np.argsort(axes))
    view = view[tuple(slice(None, None, int(r.choice([1, 1, -1]))) for _ in axes)]
    view[...] = values
    return view


def same(got: Any, wanted: Any) -> None:
    np.testing.assert_array_equal(got, wanted, strict=True)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_of_any_layout(shape: tuple[int, ...], dtype: str, engine: str) -> None:
    r = np.random.default_rng(len(shape) * shape[0])
    for name in ("relu", "tanh", "leaky_relu", "snake"):
        f = cact.get(name)
        for _ in range(6):
            whole, dys = (r.normal(0, 2, shape).astype(dtype) for _ in range(2))
            x, dy = laid(r, whole), laid(r, dys)
            wanted = f(whole)
            same(f(x), wanted)
            out = laid(r, np.zeros_like(whole))
            assert f(x, out=out) is out
            same(out, wanted)
            gaps = out.base if out.base is not None else out
            assert np.count_nonzero(gaps == 99) >= gaps.size - out.size
            if not f.learnable:
                wanted = f.backward(dys, whole)
                same(f.backward(dy, x), wanted)
                same(f.backward(dy, x, out=out), wanted)
                assert f.backward(dy, x, out=dy) is dy
                same(dy, wanted)
            for got, w in zip(f.value_and_grad(x), f.value_and_grad(whole), strict=True):
                same(got, w)
            assert f(x, out=x) is x
            same(x, f(whole))


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_overlapping(dtype: str, engine: str) -> None:
    a = np.random.default_rng(3).normal(0, 2, (40, 40)).astype(dtype)
    for shifted in (lambda m: (m[:-1], m[1:]), lambda m: (m, m.T), lambda m: (m[:, :-1], m[:, 1:])):
        m = a.copy()
        x, out = shifted(m)
        wanted = cact.tanh(x.copy())
        cact.tanh(x, out=out)
        same(out, wanted)


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_parameters_that_are_arrays(dtype: str, engine: str) -> None:
    r = np.random.default_rng(5)
    for shape in [(6, 33), (5, 16), (2, 7, 3, 9), (40,), (3, 1, 20)]:
        x, dy = (laid(r, r.normal(0, 2, shape).astype(dtype)) for _ in range(2))
        for w in (
            r.uniform(0.1, 0.3, shape[-1]),
            r.uniform(0.1, 0.3, (shape[0],) + (1,) * (len(shape) - 1)).astype("f"),
            r.uniform(0.1, 0.3, shape),
            np.float64(0.2),
        ):
            wanted = np.empty(shape, dtype)
            each = np.broadcast_to(w, shape)
            for i in np.ndindex(*shape):
                wanted[i] = cact.prelu(x[i], float(each[i]))
            for _ in range(2):  # the second time they are known to be good
                same(cact.prelu(x, w), wanted)
                same(cact.leaky_relu(x, negative_slope=w), wanted)
                out = laid(r, np.zeros_like(x))
                same(cact.prelu(x, w, out), wanted)
                same(cact.get("prelu", weight=w)(x), wanted)
            dx, dw = cact.prelu.backward(dy, x, w)
            same(dx, dy * cact.prelu.grad(x, w))
            assert np.shape(dw) == np.shape(w)
    x = np.ones((4, 3), dtype)
    for bad in (np.nan, -1):
        beta = np.array([1.0, 2.0, 1.0])
        same(cact.softplus(x, beta=beta)[:, 0], cact.softplus(x[:, 0]))
        beta[1] = bad  # in place: it is not the array that is known to be good, but what it holds
        for _ in range(2):
            with pytest.raises(ValueError, match="softplus: beta"):
                cact.softplus(x, beta=beta)
    with pytest.raises(ValueError, match="broadcast"):
        cact.prelu(x, np.ones(2))


REPEATED = {
    "prelu": [(0, 0.25, -0.3, 1e-30, 1e30, 3)],
    "leaky_relu": [(0.01, -0.2, 0.0, 1e-300)],
    "star_relu": [(0.8944271909999159, 0.5, 1e-30, -2), (-0.4472135954999579, 0.3, 0)],
    "thresholded_relu": [(1.0, 0.1, -1), (20, -0.5, 0.1)],
    "hardtanh": [(-1, -2.00000001, 0), (1, 0.1, 3)],
    "softshrink": [(0.5, 0.1, 0)],
}


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("name", REPEATED)
def test_parameters_of_each_column(name: str, dtype: str, engine: str) -> None:
    f, r = cact.get(name), np.random.default_rng(7)
    for shape in [(50, 33), (40, 16), (7, 300), (1000, 64), (3, 9000), (2, 40, 17), (30, 15)]:
        x, dy = (r.normal(0, 2, shape).astype(dtype) for _ in range(2))
        x.flat[:6] = 0, -0.0, np.inf, -np.inf, np.nan, 1e-40
        row = dict(zip(f.params, (np.resize(np.array(some, float), shape[-1]) for some in REPEATED[name])))
        full = {key: np.broadcast_to(some, shape).copy() for key, some in row.items()}
        wanted, slope = f(x, **full), f.grad(x, **full)
        same(f(x, **row), wanted)
        same(f.grad(x, **row), slope)
        if not f.learnable:
            same(f.backward(dy, x, **row), f.backward(dy, x, **full))
        for got, w in zip(f.value_and_grad(x, **row), (wanted, slope), strict=True):
            same(got, w)
        assert f(x, out=x, **row) is x
        same(x, wanted)
