"""Calls that go straight to the kernels: the same as those that go through NumPy's ufuncs."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import misaligned

import cact

DTYPES = ["e", "f", "d", "?", "b", "B", "h", "H", "i", "I", "q", "Q", ">f4", ">f8", "<i4", ">i2"]
NAMES = ["tanh", "gelu", "relu", "leaky_relu", "hardtanh", "softplus", "prelu", "xielu", "rrelu"]
GATED = ["glu", "reglu", "geglu", "swiglu"]
VALUES = np.random.default_rng(8).normal(0, 3, 240)

#: How an array of 240 elements may lie in memory.
LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "line": lambda a: a,
    "one": lambda a: a[:1],
    "none": lambda a: a[:0],
    "no rows": lambda a: a[:0].reshape(0, 4),
    "C": lambda a: a.reshape(4, 5, 12),
    "F": lambda a: a.reshape(4, 5, 12).T,
    "axes swapped": lambda a: a.reshape(4, 5, 12).swapaxes(0, 1),
    "every third": lambda a: a[::3],
    "backwards": lambda a: a[::-1],
    "backwards in 3-d": lambda a: a.reshape(4, 5, 12)[::-1, ::-1, ::-1],
    "every other, evenly": lambda a: a.reshape(4, 5, 12)[:, :, ::2],
    "a column": lambda a: a.reshape(20, 12)[:, 3:4],
    "a corner": lambda a: a.reshape(20, 12)[:7, :5],
    "one element again and again": lambda a: np.broadcast_to(a[3], (5, 6)),
    "one row again and again": lambda a: np.broadcast_to(a[:6], (5, 6)),
    "misaligned": misaligned,
    "0-d": lambda a: a[5].reshape(()),
    "scalar": lambda a: a[5],
    "number": lambda a: a[5].item(),
    "list": lambda a: a[:40].reshape(4, 10).tolist(),
    "tuple": lambda a: tuple(a[:40].tolist()),
}


def array(layout: str, dtype: str) -> Any:
    kind = np.dtype(dtype)
    values = np.abs(VALUES) if kind.kind == "u" else VALUES
    return LAYOUTS[layout](values.astype(kind))


def same(got: Any, wanted: Any) -> None:
    """Type, dtype, shape, order in memory and bits."""
    if isinstance(wanted, tuple):
        assert isinstance(got, tuple)
        for g, w in zip(got, wanted, strict=True):
            same(g, w)
        return
    assert type(got) is type(wanted)
    np.testing.assert_array_equal(got, wanted, strict=True)
    assert np.signbit(got).tolist() == np.signbit(wanted).tolist()
    if isinstance(got, np.ndarray):
        assert got.flags.c_contiguous == wanted.flags.c_contiguous
        assert got.flags.f_contiguous == wanted.flags.f_contiguous


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_same_as_through_the_ufunc(layout: str, name: str, engine: str) -> None:
    f = cact.get(name)
    for dtype in DTYPES:
        x = array(layout, dtype)
        with np.errstate(all="raise"):
            for call in (f, f.grad, f.value_and_grad):
                same(call(x), call(x, where=True))
            for dy in (x, np.asarray(f(x))):
                if not f.learnable:
                    same(f.backward(dy, x), f.backward(dy, x, where=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_out(layout: str, engine: str) -> None:
    """A new one, x itself, one that overlaps x, and one whose elements lie otherwise."""
    f = cact.get("leaky_relu", negative_slope=0.2)
    for dtype in "efdi":
        x = np.asarray(array(layout, dtype))
        wanted, product = np.asarray(f(x)), np.asarray(f.backward(x, x))
        spread = np.zeros((*x.shape, 2), wanted.dtype)
        for out in (np.zeros_like(wanted), np.zeros(x.shape, wanted.dtype, order="F"), spread[..., 0]):
            for call, right in ((lambda o, x=x: f(x, o), wanted), (lambda o, x=x: f(x, out=o), wanted)):
                out[...] = 7
                assert call(out) is out
                np.testing.assert_array_equal(out, right)
            assert f.backward(x, x, out) is out
            np.testing.assert_array_equal(out, product)
        assert not spread[..., 1].any()
        if dtype != "i" and x.size and x.strides.count(0) == 0:
            own = x.copy(order="K")
            f(own, own)
            np.testing.assert_array_equal(own, wanted)
            own = x.copy(order="K")
            f.backward(own, own, out=own)
            np.testing.assert_array_equal(own, product)


@pytest.mark.parametrize("dtype", ["e", "f", "d"])
def test_out_overlaps_x(dtype: str, engine: str) -> None:
    f = cact.get("elu", alpha=2)
    for shift, step in itertools.product((0, 1, 3, 17, 100), (1, 2, -1)):
        memory = VALUES.astype(dtype)
        x, out = memory[:100][::step], memory[shift : shift + 100][:: abs(step)]
        wanted = f(x.copy())
        f(x, out)
        np.testing.assert_array_equal(out, wanted)


def test_operands_of_other_types(engine: str) -> None:
    """dy of the result's type goes with x of integers; otherwise the product has the wider of both."""
    for a, b in itertools.product("efdiqB", repeat=2):
        dy, x = np.abs(VALUES).astype(a), np.abs(VALUES).astype(b)
        same(cact.tanh.backward(dy, x), dy * cact.tanh.grad(x) if a in "efd" else cact.tanh.grad(x) * dy)


# ------------------------------------------------------------------ parameters given in the call
@pytest.mark.parametrize("name", ["leaky_relu", "elu", "softplus", "hardtanh", "prelu", "xielu"])
def test_parameters_in_the_call(name: str, engine: str) -> None:
    """One, several, now these and now those: as with them bound."""
    f = cact.get(name)
    keys = list(f.params)
    x = VALUES.astype(np.float32)
    for value in (0.5, 2, np.float64(0.75), np.float32(0.25), 0.5, 3, True):
        for some in (keys[:1], keys[-1:], keys):
            params = {k: value for k in some}
            if name == "hardtanh":
                params = {"min_val": -value, "max_val": value} if len(some) > 1 else {"max_val": value}
            bound = f.bind(**params)
            out = np.empty_like(x)
            same(f(x, **params), bound(x))
            same(f(x, out=out, **params), bound(x))
            same(f.grad(x, **params), bound.grad(x))
            same(f.value_and_grad(x, **params), bound.value_and_grad(x))
            same(f.backward(x, x, **params), bound.backward(x, x))
            made_at_run_time = {"".join(list(k)): v for k, v in params.items()}
            same(f(x, **made_at_run_time), bound(x))
        if f.learnable:
            same(f(x, *[value] * len(keys)), f.bind(**dict.fromkeys(keys, value))(x))
            same(f(x, value, **{keys[0]: 0.125}), f.bind(**{keys[0]: 0.125})(x))


def test_what_was_checked_is_not_taken_for_more(engine: str) -> None:
    """Good values once do not let bad ones through, nor two that are good each for itself."""
    x, out = VALUES.copy(), np.full(240, 7.0)
    for _ in range(2):
        cact.softplus(x, beta=2.0)
        for bad in (float("nan"), 0.0, -1, 10**400):
            with pytest.raises(ValueError, match="softplus: beta must be"):
                cact.softplus(x, out, beta=bad)
        cact.hardtanh(x, min_val=-3.0)
        cact.hardtanh(x, min_val=2.0, max_val=3.0)
        with pytest.raises(ValueError, match="hardtanh: min_val must not exceed max_val"):
            cact.hardtanh(x, out, min_val=2.0)
        with pytest.raises(ValueError, match="prelu: weight must be finite"):
            cact.prelu(x, float("inf"), out)
        with pytest.raises(TypeError, match="prelu: 'out' given twice"):
            cact.prelu(x, 0.5, out, out=out)
    assert (out == 7).all()


def test_approximate_in_the_call(engine: str) -> None:
    x = VALUES.astype(np.float32)
    w = x.reshape(2, 120)
    for value in ("tanh", "none", True, "tanh"):
        other = cact.gelu if value == "none" else cact.gelu_tanh
        same(cact.gelu(x, approximate=value), other(x))
        same(cact.gelu.backward(x, x, approximate=value), other.backward(x, x))
        same(cact.geglu(w, approximate=value), w[:, :60] * other(w[:, 60:]))
    for _ in range(2):
        for f in (cact.gelu, cact.geglu):
            with pytest.raises(ValueError, match="approximate must be one of"):
                f(w, approximate="sigmoid")


@pytest.mark.parametrize("name", ["prelu", "swish", "star_relu", "acon_c"])
def test_gradients_of_parameters(name: str, engine: str) -> None:
    """The same bits as through NumPy's sums, from one element to several blocks of its summation."""
    f = cact.get(name)
    spoilt = np.concatenate([VALUES, [np.inf, np.nan, -np.inf, 1e300, -1e300]])
    for dtype, n in itertools.product("fd", [*range(1, 20), 64, 127, 128, 129, 130, 240]):
        dy, x = VALUES[::-1][:n].astype(dtype), VALUES[:n].astype(dtype)
        for shape in ((n,), (1, n), (n, 1)):
            a, b = dy.reshape(shape), x.reshape(shape)
            for got, wanted in zip(f.backward(a, b), f.backward(a, b, where=True), strict=True):
                np.testing.assert_array_equal(got, wanted, strict=True)
    with np.errstate(all="raise"):
        dx, *totals = f.backward(spoilt[-40:], spoilt[-40:])
        assert dx.shape == (40,)
        assert np.isnan(totals).any()
        f.backward(np.full(9, 3e38, np.float32), np.full(9, -3e38, np.float32))


# ------------------------------------------------------------------ along an axis
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax"])
@pytest.mark.parametrize("layout", [k for k in LAYOUTS if k not in ("0-d", "scalar", "number")])
def test_rows_same_as_through_the_ufunc(layout: str, name: str, engine: str) -> None:
    f = cact.get(name)
    for dtype in DTYPES:
        x = array(layout, dtype)
        y = np.asarray(f(x))
        for axis in range(-y.ndim, y.ndim):
            same(f(x, axis=axis), f(x, axis=axis, order="K"))
            same(f.backward(y, y, axis=axis), f.backward(y, y, axis=axis, order="K"))
            out = np.empty_like(y)
            assert f(x, axis=axis, out=out) is out
            np.testing.assert_array_equal(out, f(x, axis=axis))


@pytest.mark.parametrize("name", GATED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gated_is_the_product(name: str, dtype: str, engine: str) -> None:
    """Along each axis, from small to large; dy of the result's type."""
    gate = cact.get({"glu": "sigmoid", "reglu": "relu", "geglu": "gelu", "swiglu": "silu"}[name])
    f = cact.get(name)
    for shape in ((2,), (6,), (64,), (1, 2), (8, 16), (6, 2, 20), (0, 4), (4, 0), (4, 6, 10)):
        values = VALUES[: np.prod(shape, dtype=int)].reshape(shape)
        x = (np.abs(values) if np.dtype(dtype).kind == "u" else values).astype(dtype)
        for axis in range(-x.ndim, x.ndim):
            if x.shape[axis] % 2:
                continue
            a, b = np.split(x, 2, axis)
            y = a * gate(b)
            same(f(x, axis=axis), np.asarray(y, order="C"))
            out = np.empty(y.shape, y.dtype)
            assert f(x, axis=axis, out=out) is out
            np.testing.assert_array_equal(out, y)
            dx = np.concatenate([y * gate(b), y * (a * gate.grad(b))], axis)
            np.testing.assert_array_equal(f.backward(y, x, axis=axis), dx, strict=True)
            if x.size:
                np.testing.assert_array_equal(f(b, a), y, strict=True)
                dgate, dvalue = f.backward(y, b, a)
                np.testing.assert_array_equal(dgate, y * (a * gate.grad(b)), strict=True)
                np.testing.assert_array_equal(dvalue, y * gate(b), strict=True)


@pytest.mark.parametrize("strides", list(itertools.product((0, 1, 4, 12), repeat=3)))
def test_every_pattern_of_strides(strides: tuple[int, ...], engine: str) -> None:
    """Views with elements in common, too: broadcast along the first, the last or any axis."""
    base = np.linspace(-3, 3, 64, dtype=np.float32)
    x = np.lib.stride_tricks.as_strided(base, (2, 3, 4), [4 * s for s in strides])
    dy = np.ascontiguousarray(x)[::-1]
    plain = np.ascontiguousarray(x)
    for f in (cact.relu, cact.tanh):
        np.testing.assert_array_equal(f(x), f(plain))
        np.testing.assert_array_equal(f.backward(dy, x), f.backward(dy, plain))
        np.testing.assert_array_equal(f.backward(x, dy), f.backward(plain, dy))
        np.testing.assert_array_equal(f.value_and_grad(x)[1], f.grad(plain))
    np.testing.assert_array_equal(cact.softmax(x), cact.softmax(plain))
    np.testing.assert_array_equal(cact.softmax.backward(x, dy), cact.softmax.backward(plain, dy))
    np.testing.assert_array_equal(cact.swiglu(x), cact.swiglu(plain))
    np.testing.assert_array_equal(cact.geglu(x, dy), cact.geglu(plain, dy))
    np.testing.assert_array_equal(cact.maxout(x), cact.maxout(plain))
    np.testing.assert_array_equal(cact.prelu.backward(x, dy)[0], cact.prelu.backward(plain, dy)[0])


def test_however_the_arguments_come() -> None:
    """Calls take their arguments by the vectorcall protocol; Python has other ways to pass them."""
    x, out = np.linspace(-3, 3, 7), np.empty(7)
    wanted = cact.leaky_relu(x, negative_slope=0.3)
    made = "".join(["negative_", "slope"])  # not interned
    calls: list[Callable[[], Any]] = [
        lambda: cact.leaky_relu(*[x], **{made: 0.3}),
        lambda: cact.leaky_relu.__call__(x, negative_slope=0.3),
        lambda: functools.partial(cact.leaky_relu, negative_slope=0.3)(x),
        lambda: next(map(cact.get("leaky_relu", negative_slope=0.3), [x])),
        lambda: cact.leaky_relu(x, negative_slope=0.3, out=out),
        lambda: type(cact.leaky_relu).__call__(cact.leaky_relu, x, **{made: 0.3}),
    ]
    for call in calls:
        same(call(), wanted)
    for f, chosen in ((cact.gelu, cact.gelu_tanh), (cact.get("gelu"), cact.gelu_tanh)):
        same(f(x, **{"".join(["approx", "imate"]): "tanh"}), chosen(x))
        same(f.backward(x, x, out, approximate="tanh"), chosen.backward(x, x))
        same(f(x, out=out, approximate="tanh"), chosen(x))
        assert f(x, approximate="tanh", out=out) is out
    for fast in (cact.gelu, cact.gelu.grad, cact.kernels.gelu_forward):
        for args in ((), (x,) * 40):
            with pytest.raises(TypeError):
                fast(*args)
        with pytest.raises(TypeError):
            fast(x, out, **{f"k{i}": 0 for i in range(40)})
    with pytest.raises(TypeError):
        type(cact.gelu).grad()  # type: ignore[call-arg]


def test_a_subclass_may_call_otherwise() -> None:
    f = cact.gelu

    class Doubled(cact.Activation):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return 2 * super().__call__(*args, **kwargs)

    doubled = Doubled(f._record, f.params, f._functions)
    same(doubled(VALUES), 2 * f(VALUES))
    same(doubled.grad(VALUES), f.grad(VALUES))


def test_numbers(engine: str) -> None:
    """As 0-d arrays of the dtype that NumPy would make of them."""
    for name in ["gelu", "leaky_relu", "sigmoid", "hardtanh"]:
        f = cact.get(name)
        for v in (0.3, -2, np.float64(-0.0), np.float32(1e-40), np.nan, 2**80, True, np.int8(3)):
            a = np.asarray(v)
            if a.dtype == object:
                with pytest.raises(TypeError):
                    f(v)
                continue
            same(f(v), f(a))
            same(f.grad(v), f.grad(a))
            same(f.value_and_grad(v), f.value_and_grad(a))
            for dy in (0.5, np.float32(0.5), 2):
                same(f.backward(dy, v), f.backward(dy, v, where=True))
