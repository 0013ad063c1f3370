"""Gated functions (glu, ...) and functions of pieces (maxout, crelu).

Gated ones have the bits of the composition ``value * gate``; maxout and crelu are exact.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import oracle
import pytest
from conftest import DTYPES, GATED, PIECES, misaligned
from mpmath import mpf

import cact

GATES = {"glu": cact.sigmoid, "reglu": cact.relu, "geglu": cact.gelu, "swiglu": cact.silu}
SHAPED = [*GATED, *PIECES]


def numbers(*shape: int, dtype: Any = np.float64, scale: float = 2) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(0, scale, shape).astype(dtype)


def same(got: Any, wanted: Any) -> None:
    """The same numbers and dtype; NaN where NaN is."""
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)


def test_all_are_here() -> None:
    assert set(GATES) == set(GATED)
    assert {"maxout", "crelu"} == set(PIECES)


# ------------------------------------------------------------------ values
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GATED)
def test_gated_is_the_composition(name: str, dtype: Any, engine: str) -> None:
    """Value first; bit for bit, backward too."""
    f, gate = cact.get(name), GATES[name]
    for shape in ((2,), (10,), (5, 64), (3, 4, 34), (2, 2000)):
        x = numbers(*shape, dtype=dtype)
        a, b = np.split(x, 2, axis=-1)
        y = f(x)
        same(y, a * gate(b))
        dy = numbers(*y.shape, dtype=dtype)
        same(f.backward(dy, x), np.concatenate([dy * gate(b), dy * (a * gate.grad(b))], axis=-1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", GATED)
def test_gated_against_the_oracle(name: str, dtype: Any, engine: str) -> None:
    """One rounding of the gate and one of the product."""
    x = numbers(2, 20, dtype=dtype)
    y = cact.get(name)(x, axis=0)[0]
    for a, b, got in zip(*x, y):
        exact = mpf(float(a)) * oracle.value(GATES[name].name, b, {}, dtype=dtype)
        assert oracle.ulp_error(got, exact, dtype) <= (2.5 if engine != "numpy" else 17)


@pytest.mark.parametrize("dtype", DTYPES)
def test_geglu_approximate(dtype: Any, engine: str) -> None:
    x = numbers(4, 30, dtype=dtype)
    dy = numbers(4, 15, dtype=dtype)
    a, b = np.split(x, 2, axis=-1)
    bound = cact.get("geglu", approximate="tanh")
    exact = cact.geglu(x)
    for f in (bound, lambda x: cact.geglu(x, approximate="tanh"), lambda x: cact.geglu(x, approximate=True)):
        same(f(x), a * cact.gelu_tanh(b))
    assert (cact.geglu(x, approximate="tanh") != exact).any() or dtype is np.float16
    wanted = np.concatenate([dy * cact.gelu_tanh(b), dy * (a * cact.gelu_tanh.grad(b))], axis=-1)
    same(bound.backward(dy, x), wanted)
    same(cact.geglu.backward(dy, x, approximate="tanh"), wanted)
    same(cact.geglu(x, approximate=np.True_), a * cact.gelu_tanh(b))
    assert cact.get("geglu", approximate=np.True_).params["approximate"] is True
    for choice in ("none", False, np.False_):
        same(bound(x, approximate=choice), exact)
    same(bound(b, a), a * cact.gelu_tanh(b))
    for bad in ("erf", 1.5, None, ["tanh"], np.zeros(2)):
        with pytest.raises(ValueError, match="geglu: approximate must be one of"):
            cact.geglu(x, approximate=bad)
        with pytest.raises(ValueError, match="geglu: approximate must be one of"):
            cact.get("geglu", approximate=bad)
    with pytest.raises(TypeError, match=r"glu: unknown (keyword|parameter) 'approximate'"):
        cact.glu(x, approximate="tanh")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GATED)
def test_gate_and_value_apart(name: str, dtype: Any, engine: str) -> None:
    """Two inputs, gate first; backward gives (dgate, dvalue), into `out` in that order too."""
    f, gate = cact.get(name), GATES[name]
    g, v, dy = numbers(3, 5, 7, dtype=dtype)
    y = f(g, v)
    same(y, v * gate(g))
    same(y, f(np.concatenate([v, g], axis=-1)))
    wanted = dy * (v * gate.grad(g)), dy * gate(g)
    for got, right in zip(f.backward(dy, g, v), wanted):
        same(got, right)
    out = np.empty_like(y)
    assert f(g, v, out=out) is out
    same(out, y)
    outs = np.empty_like(g), np.empty_like(v)
    result = f.backward(dy, g, v, out=outs)
    for got, given, right in zip(result, outs, wanted):
        assert got is given
        same(got, right)
    dg, dv = f.backward(dy, g, v, out=(None, outs[1]))
    same(dg, wanted[0])
    assert dv is outs[1]
    own = g.copy(), v.copy()
    for got, right in zip(f.backward(dy, *own, out=own), wanted):
        same(got, right)
    for bad in (v[:, :3], v[0], v[..., None]):
        with pytest.raises(ValueError, match=f"{name}: gate and value differ in shape"):
            f(g, bad)
    with pytest.raises(ValueError, match=rf"{name}.backward: dy has shape \(7,\), the output has \(5, 7\)"):
        f.backward(dy[0], g, v)
    with pytest.raises(TypeError, match=f"{name}.backward: out must be a tuple of two"):
        f.backward(dy, g, v, out=outs[0])
    with pytest.raises(ValueError, match=rf"{name}\.backward: the two arrays of out overlap"):
        f.backward(dy, g, v, out=(outs[0], outs[0]))
    for axis in (77, -3, 2**70):
        with pytest.raises(ValueError, match=f"{name}: axis {axis} is out of bounds.*dimension 2"):
            f(g, v, axis=axis)
        with pytest.raises(ValueError, match=rf"{name}\.backward: axis {axis} is out of bounds"):
            f.backward(dy, g, v, axis=axis, out=outs)
    with pytest.raises(TypeError, match=f"{name}: axis must be an integer"):
        f(g, v, axis=0.5)
    same(f(g, v, axis=0), y)
    assert f(g, v, out=(out,)) is out
    with pytest.raises(ValueError, match=rf"{name}: out has shape \(5,\)"):
        f(g, v, out=np.zeros(5, dtype))
    with pytest.raises(TypeError, match=f"{name}: unknown keyword 'where'"):
        f(g, v, where=True)
    same(f(g.tolist(), v.tolist()), f(g.astype(float), v.astype(float)))
    mixed = f(g.astype(np.float32), v.astype(np.float64))
    same(mixed, f(g.astype(np.float32).astype(float), v.astype(float)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_maxout(dtype: Any, engine: str) -> None:
    x = numbers(4, 12, dtype=dtype)
    for k in (1, 2, 3, 4, 6, 12, np.int64(3)):
        y = cact.maxout(x, k=k)
        same(y, x.reshape(4, -1, int(k)).max(axis=-1))
        same(cact.get("maxout", k=k)(x), y)
        dy = numbers(*y.shape, dtype=dtype)
        dx = cact.maxout.backward(dy, x, k=k)
        same(dx, np.where(x == np.repeat(y, k, axis=-1), np.repeat(dy, k, axis=-1), dtype(0)))
        same(cact.maxout(x.T, k=k, axis=0), y.T)
        same(cact.maxout.backward(dy.T, x.T, k=k, axis=0), dx.T)
    ties = np.array([1, 1, 0, -0.0, -0.0, 0, 2, 3], dtype)
    np.testing.assert_array_equal(cact.maxout.backward(np.ones(4, dtype), ties), [1, 0, 1, 0, 1, 0, 0, 1])
    np.testing.assert_array_equal(np.signbit(cact.maxout(ties)), [False, False, True, False])
    for k in (0, -2, 5, 24):
        many = f"the axis must have a multiple of k.* 12 with k={k}"
        wanted = many if k > 0 else f"k must be at least 1, got {k}"
        with pytest.raises(ValueError, match=f"maxout: {wanted}"):
            cact.maxout(x, k=k)
    assert cact.maxout(np.zeros((3, 0)), k=10**12).shape == (3, 0)
    assert cact.maxout.backward(np.zeros((3, 0)), np.zeros((3, 0)), k=10**12).shape == (3, 0)
    for bad in (2.0, "2", None, [2]):
        with pytest.raises(TypeError, match="maxout: k must be an integer"):
            cact.maxout(x, k=bad)
        with pytest.raises(TypeError, match="maxout: k must be an integer"):
            cact.get("maxout", k=bad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_crelu(dtype: Any, engine: str) -> None:
    x = np.concatenate(
        [numbers(4, 9, dtype=dtype), np.zeros((4, 1), dtype), -np.zeros((4, 1), dtype)], axis=1
    )
    y = cact.crelu(x)
    same(y, np.concatenate([cact.relu(x), cact.relu(-x)], axis=-1))
    assert not np.signbit(y).any()
    dy = numbers(4, 22, dtype=dtype)
    dx = cact.crelu.backward(dy, x)
    up, down = np.split(dy, 2, axis=-1)
    same(dx, np.where(x > 0, up, np.where(x < 0, -down, dtype(0))))
    same(cact.crelu(x, axis=0), cact.crelu(x.T).T)
    same(cact.crelu(np.array([np.inf, -np.inf], dtype)), np.array([np.inf, 0, 0, np.inf], dtype))


def special(*shape: int, dtype: Any) -> np.ndarray:
    """Small integers, so that there are ties; zeros of both signs, infinities, NaNs of several bits."""
    random = np.random.default_rng(sum(shape))
    x = random.integers(-3, 4, shape).astype(dtype)
    values = np.array([-0.0, np.inf, -np.inf, np.nan, -np.nan, np.nan], dtype)
    values.view(f"u{values.itemsize}")[-1] += 5
    where = random.random(shape) < 0.3
    x[where] = random.choice(values, np.count_nonzero(where))
    return x


def same_bits(got: Any, wanted: Any) -> None:
    unsigned = f"u{wanted.itemsize}"
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(np.asarray(got).view(unsigned), wanted.view(unsigned), strict=True)


#: Shape, axis, k: a few elements, whole vectors and not, several blocks; pieces together and apart.
SHAPES = [
    *((((n * k,), 0, k)) for n in (1, 2, 7, 8, 9, 33, 64, 257, 600) for k in (1, 2, 3, 5)),
    *(((3, n * k), -1, k) for n in (1, 5, 16, 41) for k in (2, 4)),
    *(((k * n, width), 0, k) for width in (1, 3, 8, 37, 300) for n in (1, 4) for k in (1, 2, 3, 7)),
    ((3, 4, 1), 1, 2), ((2, 6, 5), 1, 3), ((2, 6, 5), -3, 2), ((5, 2, 3, 7), 1, 2), ((2, 1030), -1, 1030),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PIECES)
def test_bits_of_pieces(name: str, dtype: Any, engine: str) -> None:
    """Those of the formulas in NumPy, into new arrays, into `out` and in place, whatever the layout."""
    pieces = cact.get(name)._record.pieces
    assert pieces is not None
    for shape, axis, k in SHAPES:
        keywords = {"k": k} if name == "maxout" else {}
        f = cact.get(name, axis=axis, **keywords)
        x = special(*shape, dtype=dtype)
        last = np.moveaxis(x, axis, -1)
        wanted = np.empty((*last.shape[:-1], f.width(last.shape[-1])), dtype)
        dy, wanted_dx = special(*wanted.shape, dtype=dtype), np.empty(last.shape, dtype)
        with np.errstate(all="ignore"):
            pieces.forward(last, wanted, **keywords)
            pieces.backward(dy, last, wanted_dx, **keywords)
        wanted, dy, wanted_dx = (np.moveaxis(a, -1, axis).copy() for a in (wanted, dy, wanted_dx))
        with np.errstate(all="raise"):
            for form in (x, np.asfortranarray(x), misaligned(x), np.repeat(x, 2, -1)[..., ::2]):
                same_bits(f(form), wanted)
                same_bits(f.backward(dy, form), wanted_dx)
                same_bits(f.backward(np.asfortranarray(dy), form), wanted_dx)
            same_bits(cact.get(name)(x, axis=axis, **keywords), wanted)
            same_bits(cact.get(name).backward(dy, x, axis=axis, **keywords), wanted_dx)
            for order in "CF":
                y, dx = np.ones(wanted.shape, dtype, order), np.ones(x.shape, dtype, order)
                assert f(x, out=y) is y
                assert f.backward(dy, x, out=dx) is dx
                same_bits(y, wanted)
                same_bits(dx, wanted_dx)
            own = x.copy()
            assert f.backward(dy, own, out=own) is own
            same_bits(own, wanted_dx)


@pytest.mark.parametrize("name", PIECES)
def test_operands_of_pieces(name: str, engine: str) -> None:
    """dy, x and out of one another's memory, of other types, and those that do not fit."""
    f, x = cact.get(name), special(6, 10, dtype=np.float32)
    y = f(x)
    dx = f.backward(y, x)
    same_bits(f.backward(y.astype(float), x), f.backward(y.astype(float), x.astype(float)))
    same_bits(f.backward(y, x.astype(float)), f.backward(y.astype(float), x.astype(float)))
    for shift in (0, 3, 60, 90):
        memory = np.zeros(400, np.float32)
        a, b = memory[shift : shift + 60].reshape(6, 10), memory[60 : 60 + y.size].reshape(y.shape)
        a[...] = x
        f(a, out=b)
        same_bits(b, y)
        b[...] = y
        c = memory[60 + shift : 120 + shift].reshape(6, 10)
        f.backward(b, x, out=c)
        same_bits(c, dx)
    kept = np.full(y.shape, 7, np.float32)
    for k in (3, 0, -2, 2**70) if name == "maxout" else (2,):
        with pytest.raises((ValueError, TypeError), match=name):
            f(x, out=kept, k=k)
        with pytest.raises((ValueError, TypeError), match=name):
            f.backward(kept, x, out=kept, k=k)
    assert (kept == 7).all()


@pytest.mark.parametrize(("name", "n"), [(n, 12) for n in SHAPED])
def test_backward_is_the_derivative(name: str, n: int, engine: str) -> None:
    """Against differences of the forward function."""
    f, x = cact.get(name), numbers(n, scale=1)
    dy = numbers(f(x).size)
    dx = f.backward(dy, x)
    h = 1e-6
    for i in range(n):
        e = np.zeros(n)
        e[i] = h
        assert dx[i] == pytest.approx(dy @ (f(x + e) - f(x - e)) / (2 * h), abs=1e-8)


def test_against_torch(engine: str) -> None:
    torch = pytest.importorskip("torch")
    x = numbers(6, 20)
    t = torch.tensor(x, requires_grad=True)
    pairs: dict[str, Callable[[Any], Any]] = {
        "glu": torch.nn.functional.glu,
        "geglu": lambda t: t[:, :10] * torch.nn.functional.gelu(t[:, 10:]),
        "swiglu": lambda t: t[:, :10] * torch.nn.functional.silu(t[:, 10:]),
        "reglu": lambda t: t[:, :10] * torch.relu(t[:, 10:]),
        "maxout": lambda t: t.reshape(6, 10, 2).max(dim=-1).values,
        "crelu": lambda t: torch.cat([torch.relu(t), torch.relu(-t)], dim=-1),
    }
    for name, theirs in pairs.items():
        y = theirs(t)
        np.testing.assert_allclose(cact.get(name)(x), y.detach().numpy(), rtol=1e-13, atol=1e-15)
        dy = numbers(*y.shape)
        (dx,) = torch.autograd.grad(y, t, torch.tensor(dy))
        np.testing.assert_allclose(cact.get(name).backward(dy, x), dx.numpy(), rtol=1e-12, atol=1e-14)


# ------------------------------------------------------------------ arrays
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SHAPED)
def test_axis_and_layout(name: str, dtype: Any, engine: str) -> None:
    f = cact.get(name)
    x = numbers(4, 6, 8, dtype=dtype)
    for axis in (-3, -2, -1, 0, 1, 2):
        y = f(x, axis=axis)
        last = np.moveaxis(x, axis, -1).copy()
        same(y, np.moveaxis(f(last), -1, axis))
        same(cact.get(name, axis=axis)(x), y)
        dy = numbers(*y.shape, dtype=dtype)
        dx = f.backward(dy, x, axis=axis)
        assert dx.shape == x.shape
        same(dx, np.moveaxis(f.backward(np.moveaxis(dy, axis, -1).copy(), last), -1, axis))
        frozen = x.copy()
        frozen.flags.writeable = False
        spaced = np.zeros((8, 12, 24), dtype)[::2, ::-2, ::3]
        spaced[...] = x
        swapped = x.astype(x.dtype.newbyteorder())
        for form in (np.asfortranarray(x), spaced, misaligned(x), frozen, swapped, memoryview(x)):
            same(f(form, axis=axis), y)
            same(f.backward(dy, form, axis=axis), dx)
        out = np.full((*y.shape, 2), 7, dtype)[..., 0]
        assert f(x, axis=axis, out=out) is out
        same(out, y)
        out = misaligned(np.full(x.shape, 7, dtype))
        assert f.backward(dy, x, axis=axis, out=out) is out
        same(out, dx)
        out = np.zeros(y.shape, np.float64)  # wider
        f(x, axis=axis, out=out)
        same(out, y.astype(float))
        out = np.zeros(y.shape, x.dtype.newbyteorder())
        f(x, axis=axis, out=out)
        np.testing.assert_array_equal(out, y)
    same(f(np.broadcast_to(x[0], (5, 6, 8))), np.broadcast_to(f(x[0]), (5, *f(x[0]).shape)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SHAPED)
def test_overlapping_out(name: str, dtype: Any, engine: str) -> None:
    """As if it did not overlap."""
    f = cact.get(name)
    x = numbers(6, 10, dtype=dtype)
    y = f(x)
    dy = numbers(*y.shape, dtype=dtype)
    dx = f.backward(dy, x)
    own = x.copy()
    assert f.backward(dy, own, out=own) is own
    same(own, dx)
    big = np.zeros((6, 40), dtype)
    for shift in (0, 1, 3):
        big[:, shift : shift + 10] = x
        f(big[:, shift : shift + 10], out=big[:, : y.shape[1]])
        same(big[:, : y.shape[1]], y)
        memory = np.zeros(400, dtype)
        up = memory[shift : shift + dy.size].reshape(dy.shape)
        up[...] = dy
        down = memory[5 : 5 + x.size].reshape(x.shape)
        f.backward(up, x, out=down)
        same(down, dx)


@pytest.mark.parametrize("name", SHAPED)
def test_other_inputs(name: str, engine: str) -> None:
    f = cact.get(name)
    for char in "?bBhHiIlLqQ":
        x = np.arange(8).reshape(2, 4).astype(char)
        y = f(x)
        same(y, f(x.astype(float)))
        same(f.backward(y, x), f.backward(y, x.astype(float)))
    same(f([1.0, -2.0, 3, 4]), f(np.array([1.0, -2, 3, 4])))
    same(f([[1, 2]]), f(np.array([[1.0, 2.0]])))
    for scalar in (1.0, 3, np.float32(2), np.array(1.0)):
        with pytest.raises(ValueError, match=f"{name}: axis -1 is out of bounds.*dimension 0"):
            f(scalar)
    for shape in ((0,), (0, 4), (4, 0), (2, 0, 4)):
        for axis in range(len(shape)):
            y = f(np.zeros(shape, np.float32), axis=axis)
            assert y.dtype == np.float32
            assert y.size == 0
            assert f.backward(y, np.zeros(shape, np.float32), axis=axis).shape == shape


@pytest.mark.parametrize("name", SHAPED)
def test_bfloat16(name: str, engine: str) -> None:
    """Two roundings of the composition, as for the other dtypes."""
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    f, x = cact.get(name), numbers(4, 16).astype(bfloat16)
    y = f(x)
    assert y.dtype == bfloat16
    np.testing.assert_allclose(y.astype(float), f(x.astype(float)), rtol=2**-7)
    if name in GATED:
        a, b = np.split(x, 2, axis=-1)
        same(y, a * GATES[name](b))
    dx = f.backward(y, x)
    assert dx.dtype == bfloat16
    wanted = f.backward(y.astype(float), x.astype(float))
    np.testing.assert_allclose(dx.astype(float), wanted, rtol=2**-6, atol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SHAPED)
def test_nan(name: str, dtype: Any, engine: str) -> None:
    """NaN spoils what it is in, and nothing else."""
    f = cact.get(name)
    for i in range(8):
        x = numbers(8, dtype=dtype)
        x[i] = np.nan
        with np.errstate(all="raise"):
            y = f(x)
            assert np.isnan(y).sum() == (2 if name == "crelu" else 1), i
            dx = f.backward(np.ones_like(y), x)
        assert np.isnan(dx[i]) or (name in GATED and i < 4)  # dvalue = dy*gate(b) does not depend on value
        assert np.isnan(dx).any()
        dy = np.ones_like(y)
        dy[0] = np.nan
        assert np.isnan(f.backward(dy, np.ones(8, dtype))).any()


def mask_of(name: str, x: np.ndarray, masked: np.ndarray, dy: np.ndarray | None = None) -> Any:
    """Where a result depends on a masked element, told by what NaN there does."""
    f, x = cact.get(name), np.where(masked, np.nan, x)
    return np.isnan(f(x) if dy is None else f.backward(dy, x))


@pytest.mark.parametrize("name", SHAPED)
def test_masked_arrays(name: str, engine: str) -> None:
    """What depends on a masked element is masked: by position, by keyword, into `out`."""
    f, x = cact.get(name), numbers(4, 8)
    y, hidden = f(x), x > 1
    dy = numbers(*y.shape)
    dx = f.backward(dy, x)
    masked = np.ma.array(x, mask=hidden)
    for axis, turn in ((-1, np.asarray), (0, np.transpose)):
        own = masked if axis else masked.T
        got = f(own, axis=axis)
        assert isinstance(got, np.ma.MaskedArray)
        np.testing.assert_array_equal(got.mask, turn(mask_of(name, x, hidden)))
        np.testing.assert_array_equal(got.data, turn(y))
        back = f.backward(turn(dy), own, axis=axis)
        assert isinstance(back, np.ma.MaskedArray)
        np.testing.assert_array_equal(back.mask, turn(mask_of(name, x, hidden, dy)))
        np.testing.assert_array_equal(back.data, turn(dx))
    np.testing.assert_array_equal(f(x=masked).mask, f(masked).mask)
    np.testing.assert_array_equal(f.backward(dy=dy, x=masked).mask, f.backward(dy, masked).mask)
    out = np.ma.zeros(y.shape)
    for given in (masked, x, masked):  # each anew
        assert f(given, out=out) is out
        np.testing.assert_array_equal(out.data, y)
        np.testing.assert_array_equal(np.ma.getmaskarray(out), np.ma.getmaskarray(f(given)))
    plain = np.zeros_like(y)
    assert f(masked, out=plain) is plain
    np.testing.assert_array_equal(plain, y)
    dy = np.ma.array(dy, mask=dy > 1)
    for given in (x, masked):
        back = f.backward(dy, given)
        assert isinstance(back, np.ma.MaskedArray)
        lost = mask_of(name, x, np.ma.getmaskarray(given), np.where(dy.mask, np.nan, 1))
        np.testing.assert_array_equal(back.mask, lost)
        np.testing.assert_array_equal(back.data, dx)
    rough = np.ma.array([np.nan, np.inf, -np.inf, 1e300, -1e300, 0, 5, 7], mask=[0] * 7 + [1])
    np.testing.assert_array_equal(f(rough).mask, mask_of(name, np.zeros(8), rough.mask))


@pytest.mark.parametrize("name", SHAPED)
def test_mixed_half_types(name: str, engine: str) -> None:
    """Neither holds the other: float32, as elsewhere."""
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    f, x = cact.get(name), numbers(4, 8, dtype=np.float16)
    dy = f(x).astype(bfloat16)
    same(f.backward(dy, x), f.backward(dy.astype(np.float32), x.astype(np.float32)))
    same(
        f.backward(f(x), x.astype(bfloat16)),
        f.backward(*(a.astype(np.float32) for a in (f(x), x.astype(bfloat16)))),
    )


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("name", SHAPED)
def test_masked_arrays_and_subclasses(name: str, engine: str) -> None:
    class Own(np.ndarray):
        pass

    f, x = cact.get(name), numbers(4, 8)
    y = f(x)
    for view in (x.view(Own), np.asmatrix(x)):
        np.testing.assert_array_equal(np.asarray(f(view)), y)
    for out in (np.zeros_like(y).view(Own), np.asmatrix(np.zeros_like(y)), np.ma.zeros(y.shape)):
        assert f(x, out=out) is out
        np.testing.assert_array_equal(np.asarray(out), y)
    if name in GATED:
        masked = np.ma.array(x, mask=x > 1)
        gate, value = masked[:, :4], x[:, 4:]
        apart = f(gate, value)
        assert isinstance(apart, np.ma.MaskedArray)
        np.testing.assert_array_equal(apart.mask, gate.mask)
        np.testing.assert_array_equal(apart[~gate.mask], f(x[:, :4], value)[~gate.mask])


# ------------------------------------------------------------------ errors
@pytest.mark.parametrize("name", SHAPED)
def test_errors(name: str, engine: str) -> None:
    f = cact.get(name)
    x = numbers(3, 8)
    y = f(x)
    kept = np.full(y.shape, 7.0)
    if name != "crelu":
        with pytest.raises(ValueError, match=rf"{name}: the axis must have .*, got 7"):
            f(x[:, :7])
        with pytest.raises(ValueError, match=rf"{name}\.backward: the axis must have .*, got 3"):
            f.backward(y, x, axis=0)
    for axis in (2, -3):
        with pytest.raises(ValueError, match=f"{name}: axis {axis} is out of bounds.*dimension 2"):
            f(x, axis=axis)
    for axis in (0.5, "last", None):
        with pytest.raises(TypeError, match=f"{name}: axis must be an integer"):
            f(x, axis=axis)
    for dy in (y[:2], y[..., :1], y[0], x[:, :3], 1.0):
        with pytest.raises(ValueError, match=rf"{name}\.backward: dy has shape .*, the output has"):
            f.backward(dy, x)
    frozen = kept.copy()
    frozen.flags.writeable = False
    bad = [
        (kept[:, :1], ValueError, r"out has shape \(3, 1\)"),
        (kept[None], ValueError, "out has shape"),
        (frozen, ValueError, "out is read-only"),
        (np.zeros(y.shape, int), TypeError, "out of dtype int64 cannot hold"),
        (kept.tolist(), TypeError, "out must be an ndarray"),
    ]
    for out, kind, words in bad:
        with pytest.raises(kind, match=f"{name}: {words}"):
            f(x, out=out)
    assert (kept == 7).all()
    with pytest.raises(ValueError, match=rf"{name}\.backward: out has shape"):
        f.backward(y, x, out=np.zeros((3, 3)))
    for value in (np.array([1j, 2]), np.array(["a", "b"]), np.zeros(2, object), np.zeros(2, np.longdouble)):
        with pytest.raises(TypeError, match=rf"\b{name}\b"):
            f(value)
        with pytest.raises(TypeError, match=rf"\b{name}\b"):
            f.backward(np.ones(1), value)
    for operation in ("grad", "value_and_grad"):
        with pytest.raises(TypeError, match=rf"{name}\.{operation}: .*use backward\(dy, x\)"):
            getattr(f, operation)(x)
    with pytest.raises(TypeError, match=f"{name}: unknown keyword 'dim'"):
        f(x, dim=0)
    with pytest.raises(TypeError, match=f"{name}: missing argument 'x'"):
        f()
    with pytest.raises(TypeError, match=rf"{name}\.backward: missing argument 'x'"):
        f.backward(y)
    same(f(x=x), y)
    same(f.backward(dy=y, x=x), f.backward(y, x))
    same(f(x, out=None), y)


@pytest.mark.parametrize("copied", [lambda f: pickle.loads(pickle.dumps(f)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("name", SHAPED)
def test_pickle_and_copy(name: str, copied: Callable[[Any], Any], engine: str) -> None:
    x = numbers(12, 12)
    others = [{"axis": 0}, *({"k": 3} for _ in "1" if name == "maxout")]
    if name == "geglu":
        others += [{"approximate": "tanh"}, {"approximate": "tanh", "axis": 0}]
    for params in ({}, *others):
        f = cact.get(name, **params)
        g = copied(f)
        assert g == f
        assert hash(g) == hash(f)
        assert dict(g.params) == dict(f.params)
        assert params.items() <= dict(g.params).items()
        same(g(x), f(x))
        assert (f == cact.get(name)) == (not params)
        assert name in repr(g)
        assert name in g.__doc__


def test_the_oracle_counts_digits() -> None:
    """mpmath alone, once: swiglu is value times silu."""
    x = np.array([1.5, -0.75])
    exact = mpf(1.5) * (mpf(-0.75) / (1 + mpmath.exp(mpf(0.75))))
    assert float(cact.swiglu(x)[0]) == pytest.approx(float(exact), rel=1e-15)
