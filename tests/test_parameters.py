"""Parameters: broadcasting, binding, learning, and what a copy of an Activation is."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import BASE, DTYPES, ELEMENTWISE, misaligned, numeric, room

import cact

#: Other values than the default for parameters that are no numbers.
OTHER: dict[str, dict[str, Any]] = {
    "axis": {"axis": 0},
    "k": {"k": 3},
    "approximate": {"approximate": "tanh"},
    "training": {"training": True, "random_state": 5},
    "random_state": {"random_state": 5},
}

PARAMETRIC = [(n, k) for n in ELEMENTWISE for k in numeric(cact.get(n))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "key"), PARAMETRIC)
def test_parameters_broadcast(name: str, key: str, dtype: Any, engine: str) -> None:
    """Per row, per column, per element, or more of them than x has: as one call for each."""
    f = cact.get(name, **room(name, key))
    x = BASE.reshape(12, 20).astype(dtype)
    p = np.linspace(0.1, 2, 12)
    for call in ("__call__", "grad"):
        each = np.stack([getattr(f, call)(row, **{key: v}) for row, v in zip(x, p)])
        for form in (p, p[::-1].copy()[::-1], p.astype(">f8"), misaligned(p)):
            got = getattr(f, call)(x, **{key: form[:, None]})
            np.testing.assert_array_equal(got, each, strict=True)
        np.testing.assert_array_equal(
            getattr(f, call)(np.asfortranarray(x.T), **{key: p}), each.T, strict=True
        )
        np.testing.assert_array_equal(
            getattr(f, call)(x, **{key: np.broadcast_to(p[:, None], x.shape)}), each, strict=True
        )
        outer = getattr(f, call)(x[0], **{key: p[:, None, None]})
        assert outer.shape == (12, 1, 20)
        assert outer.dtype == dtype
        np.testing.assert_array_equal(outer[3, 0], getattr(f, call)(x[0], **{key: p[3]}))
        np.testing.assert_array_equal(
            getattr(f, call)(x, **{key: np.float32(0.5)}), getattr(f, call)(x, **{key: 0.5})
        )
        np.testing.assert_array_equal(getattr(f, call)(x, **{key: [[2]]}), getattr(f, call)(x, **{key: 2.0}))
    bound = f.bind(**{key: p[:, None]})
    np.testing.assert_array_equal(bound(x), f(x, **{key: p[:, None]}))
    got = f.value_and_grad(x, **{key: p[:, None]})
    np.testing.assert_array_equal(got[0], f(x, **{key: p[:, None]}), strict=True)
    np.testing.assert_array_equal(got[1], f.grad(x, **{key: p[:, None]}), strict=True)
    if not f.learnable:
        np.testing.assert_array_equal(
            f.backward(x, x, **{key: p[:, None]}), x * f.grad(x, **{key: p[:, None]}), strict=True
        )


def test_parameters_do_not_change_the_dtype(engine: str) -> None:
    for dtype in DTYPES:
        x = BASE.astype(dtype)
        for slope in (
            0.2,
            1,
            True,
            np.float64(0.2),
            np.float16(0.2),
            np.array(0.2),
            np.full(240, 0.2),
            [0.2] * 240,
        ):
            assert cact.leaky_relu(x, negative_slope=slope).dtype == dtype
            assert cact.leaky_relu.grad(x, negative_slope=slope).dtype == dtype
            assert cact.leaky_relu.backward(x, x, negative_slope=slope).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (4, 1), (4, 5), (1, 5), (3, 1, 1), (3, 4, 5), (1, 1, 1)])
def test_prelu_backward_sums_over_broadcast_axes(shape: tuple[int, ...], dtype: Any, engine: str) -> None:
    x, dy = BASE[:60].reshape(3, 4, 5).astype(dtype), BASE[60:120].reshape(3, 4, 5).astype(dtype)
    weight = np.linspace(0.1, 1, int(np.prod(shape))).reshape(shape)
    for given in ((weight,), ()):
        f = cact.prelu if given else cact.get("prelu", weight=weight)
        dx, dweight = f.backward(dy, x, *given)
        np.testing.assert_array_equal(dx, dy * cact.prelu.grad(x, weight=weight), strict=True)
        assert np.shape(dweight) == shape
        assert dweight.dtype == dtype
        terms = dy.astype(np.float64) * np.minimum(x, 0)
        missing = tuple(range(3 - len(shape)))
        wanted = terms.sum(axis=missing) if missing else terms
        kept = tuple(i for i, n in enumerate(shape) if n == 1)
        wanted = wanted.sum(axis=kept, keepdims=True)
        np.testing.assert_allclose(
            dweight, wanted, rtol=20 * np.finfo(dtype).eps, atol=30 * np.finfo(dtype).eps
        )


LEARNABLE = [n for n in ELEMENTWISE if cact.get(n).learnable]


@pytest.mark.parametrize("name", LEARNABLE)
def test_gradients_have_the_shapes_of_their_own(name: str, engine: str) -> None:
    """Also where the parameter has more elements than x: dx is summed over them."""
    f = cact.get(name)
    first, *others = f.learnable
    x, p, dy = BASE[:5], np.linspace(0.5, 1.5, 12).reshape(3, 4, 1), BASE[:60].reshape(3, 4, 5)
    full = np.broadcast_to(x, dy.shape)
    terms, wanted, *rest = f.backward(dy, full, **{first: p})
    out = np.zeros(5)
    for given in ({}, {"out": out}, {"out": (out,)}):
        dx, dp, *more = f.backward(dy, x, **{first: p}, **given)
        assert dx.shape == x.shape
        np.testing.assert_allclose(dx, terms.sum(axis=(0, 1)), rtol=1e-13)
        np.testing.assert_array_equal(dp, wanted, strict=True)
        assert len(more) == len(others)
        np.testing.assert_array_equal(more, rest)
        assert not given or dx is out
    dx, dp, *_ = f.backward(dy[0, :, :1], -1.0, **{first: p[0]})
    assert np.shape(dx) == ()
    assert dp.shape == (4, 1)
    kept = np.full(3, 7.0)
    with pytest.raises(ValueError, match=rf"{name}\.backward: .*broadcast"):
        f.backward(dy, x, **{first: p}, out=kept)
    assert (kept == 7).all()


@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
@pytest.mark.parametrize("name", LEARNABLE)
def test_gradients_are_sums_of_products(name: str, dtype: Any, engine: str) -> None:
    """Each product rounded, then added as NumPy adds float64: of any length, in place, spaced."""
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    rng = np.random.default_rng(9)
    x, dy = (rng.normal(0, s, 40_000).astype(dtype) for s in (2, 1))
    x[7::101], dy[99::1001] = -12, -0.0
    great = 1e4 if dtype is np.float16 else 1e15  # what cancels shows in which order it was added
    for plus, minus in ((3, 100), (200, 6000), (300, 39_000)):
        x[[plus, minus]], dy[plus], dy[minus] = -1.5, great, -great
    f = cact.get(name)
    for params in (f.params, {k: 1.25 * v + 0.1 for k, v in f.params.items()}):
        each = {k: np.full(x.shape, v) for k, v in params.items()}
        parts = f.backward(np.ones_like(x), x, **each)[1:]
        dx = dy * f.grad(x, **params)
        for n in (1, 7, 8, 15, 100, 128, 129, 1000, 1024, 1025, 2063, 8192, 8201, 40_000):
            wanted = [(dy * part)[:n].sum(dtype=np.float64).astype(dtype) for part in parts]
            out = np.zeros(2 * n, dtype)[::2]
            copies = x[:n].copy(), dy[:n].copy()
            for got in (
                f.backward(dy[:n], x[:n], **params),
                f.backward(dy[:n], x[:n], **params, out=out),
                f.backward(dy[:n], copies[0], **params, out=copies[0]),
                f.backward(copies[1], x[:n], **params, out=copies[1]),
            ):
                np.testing.assert_array_equal(got[0], dx[:n], strict=True)
                np.testing.assert_array_equal(got[1:], wanted)
                assert {g.dtype for g in got} == {np.dtype(dtype)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LEARNABLE)
def test_gradients_of_parameters_of_each_column(name: str, dtype: Any, engine: str) -> None:
    """The bits of the products, whether one pass computes all or several: of any shape, in place, spaced."""
    f, rng = cact.get(name), np.random.default_rng(11)
    for shape in ((50, 33), (7, 300), (1000, 2), (64, 1), (2, 40, 17), (5, 15)):
        x, dy = (rng.normal(0, 2, shape).astype(dtype) for _ in range(2))
        x.flat[:4] = 0, -0.0, 1e-40, -20
        row = {k: v * rng.uniform(0.5, 1.5, shape[-1]) for k, v in f.params.items()}
        full = {k: np.broadcast_to(v, shape).copy() for k, v in row.items()}
        parts = f.backward(np.ones_like(x), x, **full)[1:]
        dx = dy * f.grad(x, **full)
        axes = tuple(range(len(shape) - 1))
        wanted = [(dy * part).sum(axis=axes, dtype=np.float64).astype(dtype) for part in parts]
        first, *others = row
        mixed = {first: row[first], **{k: float(f.params[k]) for k in others}}
        copies = x.copy(), dy.copy()
        for got in (
            f.backward(dy, x, **row),
            f.backward(dy, x, *row.values(), np.zeros((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2]),
            f.backward(dy, copies[0], **row, out=copies[0]),
            f.backward(copies[1], x, **row, out=copies[1]),
            f.bind(**row).backward(np.repeat(dy, 2, axis=0)[::2], x),
        ):
            np.testing.assert_array_equal(got[0], dx, strict=True)
            for one, other in zip(got[1:], wanted, strict=True):
                np.testing.assert_array_equal(one, other, strict=True)
        got = f.backward(dy, x, **mixed)
        assert [np.shape(g) for g in got] == [shape, shape[-1:], *[()] * len(others)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_of_arrays_beyond_the_caches(dtype: Any, engine: str) -> None:
    """dx is written past them from 64 MB of all operands on, wherever it begins; not where it is dy."""
    n = (64 << 20) // 3 // np.dtype(dtype).itemsize + 1000
    rng = np.random.default_rng(5)
    x, dy = (rng.standard_normal(n, np.float32).astype(dtype) for _ in range(2))
    wanted, total = (
        dy * np.where(x > 0, 1, dtype(0.25)),
        (dy * np.minimum(x, 0)).sum(dtype=np.float64).astype(dtype),
    )
    out = np.zeros(n + 5, dtype)
    for got in (cact.prelu.backward(dy, x), cact.prelu.backward(dy, x, 0.25, out[3:-2])):
        np.testing.assert_array_equal(got[0], wanted, strict=True)
        assert got[1] == total
    assert not out[:3].any()
    assert not out[-2:].any()
    dx, sums = cact.prelu.backward(dy, x, out=dy)
    assert dx is dy
    np.testing.assert_array_equal(dx, wanted)
    assert sums == total


@pytest.mark.parametrize("name", LEARNABLE)
def test_where_and_dtype_reach_the_gradients_of_parameters(name: str, engine: str) -> None:
    f, x, dy = cact.get(name), BASE[:60].reshape(3, 20), BASE[60:120].reshape(3, 20)
    where = dy > 0.5
    dx, *dparams = f.backward(dy, x, where=where, out=np.full(x.shape, 7.0))
    wanted, *sums = f.backward(np.where(where, dy, 0), x)
    np.testing.assert_array_equal(dx, np.where(where, wanted, 7.0))
    np.testing.assert_allclose(dparams, sums, rtol=1e-13)
    first = f.learnable[0]
    p = np.linspace(0.5, 1.5, 4).reshape(4, 1, 1)
    dx, dp, *_ = f.backward(dy, x, where=where, **{first: p})
    wanted, sums, *_ = f.backward(np.where(where, dy, 0), x, **{first: p})
    np.testing.assert_array_equal(dx, wanted)
    np.testing.assert_array_equal(dp, sums)
    for dtype in DTYPES:
        got = f.backward(dy, x, dtype=dtype)
        assert {g.dtype for g in got} == {np.dtype(dtype)}
        for one, other in zip(got, f.backward(dy.astype(dtype), x.astype(dtype))):
            np.testing.assert_allclose(one, other, rtol=4 * np.finfo(dtype).eps)
        got = f.backward(dy.astype(np.float32), x.astype(np.float32), dtype=np.float64)
        assert {g.dtype for g in got} == {np.dtype(np.float64)}


def test_prelu_backward_forms(engine: str) -> None:
    x, dy = BASE[:20].copy(), BASE[20:40].copy()
    wanted = cact.prelu.backward(dy, x)
    assert len(wanted) == 2
    out = np.empty(20)
    dx, dweight = cact.prelu.backward(dy, x, 0.25, out)
    assert dx is out
    np.testing.assert_array_equal(dx, wanted[0])
    assert dweight == wanted[1]
    dx, _ = cact.prelu.backward(dy, x, weight=0.25, out=out)
    assert dx is out
    xx = x.copy()
    dx, dweight = cact.prelu.backward(dy, xx, 0.25, xx)
    np.testing.assert_array_equal(dx, wanted[0])
    assert dweight == wanted[1], "x is needed for dweight after dx went into its place"
    yy = dy.copy()
    dx, dweight = cact.prelu.backward(yy, x, out=yy)
    np.testing.assert_array_equal(dx, wanted[0])
    assert dweight == wanted[1], "dy is needed for dweight after dx went into its place"
    np.testing.assert_array_equal(cact.prelu(x, 0.5), cact.prelu(x, weight=0.5))
    assert cact.prelu(x, 0.5, out) is out
    assert cact.prelu.grad(x, 0.5, out) is out


# ------------------------------------------------------------------ gelu's two forms, get, bind
def test_gelu_approximate(engine: str) -> None:
    x = BASE.astype(np.float32)
    for value, name in (("none", "gelu"), ("tanh", "gelu_tanh"), (False, "gelu"), (True, "gelu_tanh")):
        f = cact.get(name)
        np.testing.assert_array_equal(cact.gelu(x, approximate=value), f(x))
        np.testing.assert_array_equal(cact.gelu.grad(x, approximate=value), f.grad(x))
        np.testing.assert_array_equal(cact.gelu.backward(x, x, approximate=value), f.backward(x, x))
        np.testing.assert_array_equal(cact.gelu.value_and_grad(x, approximate=value), f.value_and_grad(x))
        assert cact.get("gelu", approximate=value) == f
        out = np.empty_like(x)
        assert cact.gelu(x, out=out, approximate=value) is out
        np.testing.assert_array_equal(out, f(x))
    assert (cact.gelu(x) != cact.gelu_tanh(x)).any()


def test_integers_that_float_takes(engine: str) -> None:
    x = np.array([-2.0, 3.0])
    for slope in (10**30, -(10**30), 2**64, np.uint64(2**63), 1):
        np.testing.assert_array_equal(
            cact.leaky_relu(x, negative_slope=slope), cact.leaky_relu(x, negative_slope=float(slope))
        )
        assert cact.get("leaky_relu", negative_slope=slope).params == {"negative_slope": float(slope)}
    got = cact.leaky_relu(x, negative_slope=[10**30, 0.5])
    np.testing.assert_array_equal(got, cact.leaky_relu(x, negative_slope=[1e30, 0.5]))


def test_get_and_bind(engine: str) -> None:
    x = BASE
    f = cact.get("leaky_relu", negative_slope=0.2)
    assert f.params == {"negative_slope": 0.2}
    np.testing.assert_array_equal(f(x), cact.leaky_relu(x, negative_slope=0.2))
    np.testing.assert_array_equal(f(x, negative_slope=0.3), cact.leaky_relu(x, negative_slope=0.3))
    np.testing.assert_array_equal(f.grad(x), cact.leaky_relu.grad(x, negative_slope=0.2))
    assert cact.leaky_relu.params == {"negative_slope": 0.01}
    assert cact.get(f) is f
    assert f.bind() is f
    assert f.bind(negative_slope=0.01) == cact.leaky_relu
    assert f != cact.leaky_relu
    assert f != 3
    assert len({f, cact.leaky_relu, cact.get("LeakyReLU", negative_slope=0.2)}) == 2
    assert cact.get(cact.leaky_relu, negative_slope=0.2) == f


@pytest.mark.parametrize("copied", [lambda f: pickle.loads(pickle.dumps(f)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("name", cact.names())
def test_pickle_and_copy(name: str, copied: Callable[[Any], Any], engine: str) -> None:
    f = cact.get(name)
    assert copied(f) == f
    assert copied(f).params == f.params
    np.testing.assert_array_equal(copied(f)(BASE), f(BASE))
    for key, value in f.params.items():
        other = f.bind(**(OTHER[key] if key in OTHER else {key: value + 1, **room(name, key)}))
        assert copied(other) == other != f
        assert f.params[key] == value == cact.get(name).params[key], "a copy changed the original"
        np.testing.assert_array_equal(copied(other)(BASE), other(BASE))
    if "negative_slope" in f.params:
        other = f.bind(negative_slope=np.array([[0.1], [0.2]]))
        np.testing.assert_array_equal(copied(other)(BASE), other(BASE))


@pytest.mark.parametrize("name", ["leaky_relu", "prelu", "elu", "softplus"])
def test_dtype_with_parameters(name: str, engine: str) -> None:
    """`dtype` is that of x and the result; parameters stay float64."""
    f = cact.get(name)
    for dtype in DTYPES:
        y = f(BASE, dtype=dtype)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, f(BASE.astype(dtype)))
        np.testing.assert_array_equal(f.grad(BASE, dtype=dtype), f.grad(BASE.astype(dtype)))
        got = f.backward(BASE, BASE.astype(np.float32), dtype=dtype)
        got, wanted = (
            r[0] if f.learnable else r
            for r in (got, f.backward(*[BASE.astype(np.float32).astype(dtype)] * 2))
        )
        assert got.dtype == dtype
        np.testing.assert_allclose(got, wanted, rtol=1e-6 if dtype is np.float64 else 4 * np.finfo(dtype).eps)


def test_a_narrow_out_raises_no_warning(engine: str) -> None:
    with np.errstate(all="raise"):
        out = np.empty(3, np.float16)
        cact.gelu(np.float32([-5, -12, 6e4]), out=out, casting="same_kind")
        assert out[2] == np.float16(6e4)


def test_a_registered_function_cannot_write_to_x(engine: str) -> None:
    in_place = cact.get((lambda x: np.add(x, 1, out=x), np.ones_like))
    x = np.zeros(3)
    with pytest.raises(ValueError, match="read-only"):
        in_place(x)
    assert not x.any()


def test_parameter_gradients_are_summed_exactly(engine: str) -> None:
    """2^24 + 2 ones in float32: a float32 accumulator stops at 2^24."""
    x = -np.ones((2**24 + 2, 1), np.float32)
    dy = np.ones_like(x)
    assert cact.prelu.backward(dy, x, np.array([0.25]))[1].tolist() == [-(2**24 + 2)]
    assert cact.prelu.backward(dy, x)[1] == -(2**24 + 2)
