"""The calls are those of a NumPy ufunc.

Each scenario is run three times: with a cact function; with `np.tanh` (`np.multiply` for two
inputs), which says what type, dtype, shape and memory layout the result must have; and with
`np.positive` on values computed element by element, which says what the values must be.
"""

from __future__ import annotations

import array
import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import BASE, DTYPES, ELEMENTWISE, GATED, PIECES, misaligned, numeric

import cact

Array = np.ndarray[Any, Any]
Call = Callable[..., Any]

FUNCTIONS = ["gelu", "leaky_relu", "elu"]


class Unit(np.ndarray):
    """A subclass that carries something along."""

    unit = "none"

    def __array_finalize__(self, parent: Any) -> None:
        self.unit = getattr(parent, "unit", "none")


def readonly(a: Array) -> Array:
    a = a.copy()
    a.flags.writeable = False
    return a


def filled(f: Call, x: Array, out: Array, **kwargs: Any) -> Array:
    """The result in `out`, which starts as 7."""
    out[...] = 7
    assert f(x, out=out, **kwargs) is out
    return out


def in_place(f: Call, x: Array) -> Array:
    assert f(x, out=x) is x
    return x


def overlap(f: Call, b: Array, source: slice, target: slice) -> Array:
    """Only the part that was written: the rest is another matter."""
    b = b.copy()
    before = b.copy()
    f(b[source], out=b[target])
    rest = np.ones(b.shape, bool)
    rest[target] = False
    np.testing.assert_array_equal(b[rest], before[rest])
    return b[target].copy()


MASK = (np.arange(60) % 3 > 0).reshape(4, 15)
ODD = np.arange(240) % 2 > 0

#: name: a function of the callable under test and of 240 numbers in one dimension.
SCENARIOS: dict[str, Callable[[Call, Array], Any]] = {
    "contiguous": lambda f, a: f(a),
    "two dimensions": lambda f, a: f(a.reshape(12, 20)),
    "four dimensions": lambda f, a: f(a.reshape(2, 3, 4, 10)),
    "Fortran order": lambda f, a: f(np.asfortranarray(a.reshape(12, 20))),
    "transposed": lambda f, a: f(a.reshape(2, 12, 10).transpose(1, 2, 0)),
    "every third": lambda f, a: f(a[::3]),
    "backwards": lambda f, a: f(a[::-1]),
    "backwards by two": lambda f, a: f(a[::-2]),
    "zero stride": lambda f, a: f(np.broadcast_to(a[:20], (6, 20))),
    "zero stride of one": lambda f, a: f(np.broadcast_to(a[0], (70,))),
    "columns": lambda f, a: f(a.reshape(12, 20)[:, 3:9]),
    "columns backwards": lambda f, a: f(a.reshape(12, 20)[::-1, ::-2]),
    "field of a record": lambda f, a: f(a.view([("a", a.dtype), ("b", a.dtype), ("c", a.dtype)])["b"]),
    "misaligned": lambda f, a: f(misaligned(a)),
    "misaligned by stride": lambda f, a: f(misaligned(a)[::-3]),
    "byte-swapped": lambda f, a: f(a.astype(a.dtype.newbyteorder())),
    "byte-swapped and strided": lambda f, a: f(a.astype(a.dtype.newbyteorder())[::-2]),
    "read-only": lambda f, a: f(readonly(a)),
    "0-d array": lambda f, a: f(a[5:6].reshape(())),
    "scalar": lambda f, a: f(a[5]),
    "1 element": lambda f, a: f(a[5:6]),
    "empty": lambda f, a: f(a[:0]),
    "empty of 3 dimensions": lambda f, a: f(a[:0].reshape(3, 0, 5)),
    "64 dimensions": lambda f, a: f(a.reshape((1,) * 63 + (240,))),
    "subclass": lambda f, a: f(a.view(Unit)),
    "subclass, subok=False": lambda f, a: f(a.view(Unit), subok=False),
    "masked": lambda f, a: f(np.ma.masked_array(a[:60].reshape(4, 15), MASK)).filled(0),
    "out": lambda f, a: filled(f, a, np.empty_like(a)),
    "out, positional": lambda f, a: f(a, np.zeros_like(a)),
    "out, tuple": lambda f, a: f(a, out=(np.zeros_like(a),)),
    "out=None": lambda f, a: f(a, out=None),
    "out, tuple of None": lambda f, a: f(a, out=(None,)),
    "out, float64": lambda f, a: filled(f, a, np.empty(a.shape, np.float64)),
    "out, narrower": lambda f, a: filled(f, a, np.empty(a.shape, np.float16)),
    "out, strided": lambda f, a: filled(f, a, np.empty(720, a.dtype)[::3]),
    "out, backwards": lambda f, a: filled(f, a, np.empty_like(a)[::-1]),
    "out, Fortran order": lambda f, a: filled(f, a.reshape(12, 20), np.empty((12, 20), a.dtype, "F")),
    "out, misaligned": lambda f, a: filled(f, a, misaligned(a)),
    "out, byte-swapped": lambda f, a: filled(f, a, np.empty(240, a.dtype.newbyteorder())),
    "out, larger": lambda f, a: filled(f, a[:20], np.empty((3, 20), a.dtype)),
    "out, subclass": lambda f, a: filled(f, a, np.empty_like(a).view(Unit)),
    "out, 0-d": lambda f, a: filled(f, a[5:6].reshape(()), np.empty((), a.dtype)),
    "out, empty": lambda f, a: filled(f, a[:0], a[:0].copy()),
    "where": lambda f, a: filled(f, a[:60].reshape(4, 15), np.empty((4, 15), a.dtype), where=MASK),
    "where, broadcast": lambda f, a: filled(f, a.reshape(16, 15), np.empty((16, 15), a.dtype), where=MASK[0]),
    "where, one": lambda f, a: filled(f, a, np.empty_like(a), where=False),
    "where, in place": lambda f, a: (lambda b: f(b, out=b, where=ODD)[ODD])(a.copy()),
    "in place": lambda f, a: in_place(f, a.copy()),
    "in place, strided": lambda f, a: in_place(f, a.copy()[::-2]),
    "in place, Fortran order": lambda f, a: in_place(f, np.array(a.reshape(12, 20), order="F")),
    "in place, misaligned": lambda f, a: in_place(f, misaligned(a)),
    "in place, byte-swapped": lambda f, a: in_place(f, a.astype(a.dtype.newbyteorder())),
    "in place, subclass": lambda f, a: in_place(f, a.copy().view(Unit)),
    "order=C": lambda f, a: f(np.asfortranarray(a.reshape(12, 20)), order="C"),
    "order=F": lambda f, a: f(a.reshape(12, 20), order="F"),
    "order=A": lambda f, a: f(np.asfortranarray(a.reshape(12, 20)), order="A"),
    "order=K": lambda f, a: f(a.reshape(2, 12, 10).transpose(1, 0, 2), order="K"),
}  # fmt: skip


@functools.cache
def elementwise(engine: str, name: str, operation: str, dtype: Any) -> Array:
    """f or f' of each number of `BASE` by itself."""
    call = getattr(cact.get(name), operation)
    return np.array([call(v) for v in BASE.astype(dtype)], dtype)


def assert_alike(got: Any, like: Any, values: Any) -> None:
    """Type, dtype, shape and layout of one; the values, bit for bit, of the other."""
    assert type(got) is type(like)
    assert got.dtype == like.dtype
    assert got.shape == like.shape
    if isinstance(got, np.ndarray):
        assert got.strides == like.strides
        assert got.flags.writeable == like.flags.writeable
        assert got.flags.aligned == like.flags.aligned
    assert getattr(got, "unit", None) == getattr(like, "unit", None)
    np.testing.assert_array_equal(np.asarray(got), np.asarray(values), strict=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_call_as_ufunc(scenario: str, dtype: Any, engine: str) -> None:
    run = SCENARIOS[scenario]
    a = BASE.astype(dtype)
    for name, operation in itertools.product(FUNCTIONS, ("__call__", "grad")):
        call = getattr(cact.get(name), operation)
        kept = a.copy()
        values = run(np.positive, elementwise(engine, name, operation, dtype))
        assert_alike(run(call, a), run(np.tanh, a), values)
        np.testing.assert_array_equal(a, kept, err_msg="the input was changed")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if not s.startswith(("out", "where", "in place"))])
def test_value_and_grad_as_ufunc(scenario: str, dtype: Any, engine: str) -> None:
    a = BASE.astype(dtype)
    for name in FUNCTIONS:
        f = cact.get(name)
        for k, single in enumerate((f, f.grad)):
            pick = lambda x, k=k, f=f, **kwargs: f.value_and_grad(x, **kwargs)[k]  # noqa: E731
            got, wanted = SCENARIOS[scenario](pick, a), SCENARIOS[scenario](single, a)
            assert_alike(got, wanted, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_backward_as_ufunc(scenario: str, dtype: Any, engine: str) -> None:
    """In each scenario as x, with dy an ordinary array of x's shape, against `np.multiply`.

    dy is -1, 0 or 1: how products are rounded is tested below.
    """
    run = SCENARIOS[scenario]
    a = BASE.astype(dtype)

    def upstream(x: Any) -> Any:
        return (np.arange(np.size(x)).reshape(np.shape(x)) % 3 - 1).astype(dtype)

    for name in FUNCTIONS:
        f = cact.get(name)
        got = run(lambda x, *out, f=f, **kwargs: f.backward(upstream(x), x, *out, **kwargs), a)
        wanted = run(
            lambda x, *out, **kwargs: np.multiply(upstream(x), x, *out, **kwargs),
            elementwise(engine, name, "grad", dtype),
        )
        like = run(lambda x, *out, **kwargs: np.multiply(upstream(x), x, *out, **kwargs), a)
        assert_alike(got, like, wanted)


OVERLAPS = [
    (slice(None), slice(None)),
    (slice(1, None), slice(None, -1)),
    (slice(None, -1), slice(1, None)),
    (slice(None, -17), slice(17, None)),
    (slice(100, None), slice(None, -100)),
    (slice(None, None, -1), slice(None)),
    (slice(None), slice(None, None, -1)),
    (slice(None, 120), slice(None, None, 2)),
    (slice(None, None, 2), slice(None, 120)),
    (slice(None, None, 2), slice(1, None, 2)),
    (slice(None, None, 2), slice(None, None, -2)),
    (slice(60, 180), slice(None, 120)),
    (slice(None, 80), slice(239, None, -3)),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("source", "target"), OVERLAPS)
def test_overlap(source: slice, target: slice, dtype: Any, engine: str) -> None:
    """The result is as if `out` were elsewhere, and nothing beside it is touched."""
    a = BASE.astype(dtype)
    for name in FUNCTIONS:
        f = cact.get(name)
        for call in (f, f.grad):
            np.testing.assert_array_equal(overlap(call, a, source, target), call(a[source]))
        dy = BASE[::-1].astype(dtype)
        for shared in (a, dy):  # out overlaps x; out overlaps dy
            buffer = shared.copy()
            args = [dy[source], a[source]]
            wanted = f.backward(args[0].copy(), args[1].copy())
            args[1 if shared is a else 0] = buffer[source]
            f.backward(*args, out=buffer[target])
            np.testing.assert_array_equal(buffer[target], wanted)
        buffer = a.copy()
        wanted = f.value_and_grad(buffer[source])
        grad = np.empty_like(wanted[1])
        f.value_and_grad(buffer[source], out=(buffer[target], grad))
        np.testing.assert_array_equal(buffer[target], wanted[0])
        np.testing.assert_array_equal(grad, wanted[1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_overlap_by_a_few(dtype: Any, engine: str) -> None:
    """`out` begins within a vector of the input: at its ends, beside cache lines, in several pieces."""
    for n in (16, 17, 33, 257, 4100, 70_000):
        for k in (1, 7, 15) if n < 5000 else (7,):
            whole = np.resize(BASE, n + k).astype(dtype)
            for source, target in ((slice(k, None), slice(n)), (slice(n), slice(k, None))):
                for name in ("relu", "elu", "gelu", "tanh", "snake", "hardtanh"):
                    f = cact.get(name)
                    x = whole[source].copy()
                    np.testing.assert_array_equal(overlap(f, whole, source, target), f(x))
                    if not f.learnable:
                        dy, buffer = np.ones(n, dtype), whole.copy()
                        f.backward(dy, buffer[source], out=buffer[target])
                        np.testing.assert_array_equal(buffer[target], f.backward(dy, x))
                weight, x = np.resize(np.abs(BASE) + 1, n + k), np.resize(BASE, n)
                for place in (target, source):  # over its own parameter
                    buffer = weight.copy()
                    cact.prelu(x, buffer[source], out=buffer[place])
                    np.testing.assert_array_equal(buffer[place], cact.prelu(x, weight[source]))
                rows = x[: n // 16 * 16].reshape(-1, 16)
                buffer = np.resize(weight, rows.shape)
                wanted = cact.prelu(rows, buffer[0].copy())
                cact.prelu(rows, buffer[0], out=buffer)
                np.testing.assert_array_equal(buffer, wanted)


def test_overlap_across_dtypes(engine: str) -> None:
    """`out` of another dtype in the same memory."""
    for source, target in ((np.float32, np.float64), (np.float64, np.float32), (np.float16, np.float32)):
        memory = np.zeros(960, np.uint8)
        x = memory[: 60 * np.dtype(source).itemsize].view(source)
        out = memory[: 60 * np.dtype(target).itemsize].view(target)
        x[...] = BASE[:60]
        wanted = cact.gelu(x.copy()).astype(target)
        cact.gelu(x, out=out)
        np.testing.assert_array_equal(out, wanted)


def test_overlap_in_two_dimensions(engine: str) -> None:
    a = BASE.reshape(12, 20)
    b = a[:, :12].copy()
    cact.gelu(b, out=b.T)
    np.testing.assert_array_equal(b.T, cact.gelu(a[:, :12]))
    c = a.copy()
    cact.gelu(c[1:, 1:], out=c[:-1, :-1])
    np.testing.assert_array_equal(c[:-1, :-1], cact.gelu(a[1:, 1:]))


# ------------------------------------------------------------------ what else can be x
@pytest.mark.parametrize("char", "?bBhHiIlLqQ")
def test_integers_give_float64(char: str, engine: str) -> None:
    x = np.arange(40).astype(char)
    if np.dtype(char).kind == "i":
        x -= 20
    info = None if char == "?" else np.iinfo(char)
    if info is not None:
        x[3], x[5] = info.min, info.max
    for name in FUNCTIONS:
        f = cact.get(name)
        for call in (f, f.grad):
            for form in (x, x[::-3], x.astype(x.dtype.newbyteorder()), x[:1], x[:0]):
                assert call(form).dtype == np.float64
                np.testing.assert_array_equal(call(form), call(form.astype(np.float64)))
            assert type(call(x[7])) is np.float64
        wanted = f.backward(x.astype(np.float64), x.astype(np.float64))
        np.testing.assert_array_equal(f.backward(x, x), wanted, strict=True)
        np.testing.assert_array_equal(f.backward(x, x.astype(np.float64)), wanted, strict=True)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_float16_is_rounded_once(name: str, engine: str) -> None:
    """All 65,536 of them, as if computed in float64."""
    x = np.arange(65536, dtype=np.uint16).view(np.float16)
    f = cact.get(name)
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
    for call in (f, f.grad):
        with np.errstate(all="raise"):
            got = call(x)
        with np.errstate(all="ignore"):
            wanted = call(wide).astype(np.float16)
        assert got.dtype == np.float16
        np.testing.assert_array_equal(got, wanted)


def test_python_numbers(engine: str) -> None:
    for x in (0.5, -2, 3, True, False, float("inf"), 2**62):
        for call in (cact.gelu, cact.gelu.grad, cact.leaky_relu):
            y = call(x)
            assert type(y) is np.float64
            assert y == call(np.array([x], np.float64))[0]
        for y in cact.gelu.value_and_grad(x):
            assert type(y) is np.float64
        assert type(cact.gelu.backward(x, x)) is np.float64


def test_python_numbers_are_weak(engine: str) -> None:
    for dtype in DTYPES:
        x = BASE[:9].astype(dtype)
        np.testing.assert_array_equal(cact.gelu.backward(2.5, x), dtype(2.5) * cact.gelu.grad(x), strict=True)
        np.testing.assert_array_equal(cact.gelu.backward(2, x), dtype(2) * cact.gelu.grad(x), strict=True)


def test_dtypes_together(engine: str) -> None:
    """dy and x of different dtypes, as in ``dy * f.grad(x)``."""
    for first, second in itertools.product("efd?bHl", repeat=2):
        dy, x = (np.arange(-3 if t in "efdbl" else 0, 9).astype(t)[-9:] for t in (first, second))
        wanted = dy * cact.gelu.grad(x)
        np.testing.assert_array_equal(cact.gelu.backward(dy, x), wanted, err_msg=first + second)
        if first in "efd" and second in "efd":
            assert cact.gelu.backward(dy, x).dtype == wanted.dtype


@pytest.mark.parametrize(
    "wrap",
    [
        list,
        tuple,
        lambda x: [list(row) for row in x.reshape(2, 5)],
        lambda x: array.array("d", x.tolist()),
        lambda x: array.array("f", x.tolist()),
        lambda x: memoryview(x.copy()),
        lambda x: memoryview(x.astype(np.float32)),
        lambda x: memoryview(x.copy())[::-2],
        lambda x: list(x.astype(np.float32)),
        lambda x: [1, 2, True],
        lambda x: [],
        lambda x: [[]],
    ],
)
def test_other_sequences(wrap: Callable[[Array], Any], engine: str) -> None:
    x = BASE[:10]
    for call in (cact.gelu, cact.gelu.grad, cact.leaky_relu):
        wanted = call(np.asarray(wrap(x)).astype(np.asarray(wrap(x)).dtype))
        np.testing.assert_array_equal(call(wrap(x)), wanted, strict=True)
        assert type(call(wrap(x))) is np.ndarray
    wanted = cact.gelu.grad(np.asarray(wrap(x))) * np.asarray(wrap(x))
    np.testing.assert_array_equal(cact.gelu.backward(wrap(x), wrap(x)), wanted)
    assert type(cact.gelu.backward(wrap(x), wrap(x))) is np.ndarray


class OnlyDLPack:
    """An exporter such as a torch tensor, without the array interface."""

    def __init__(self, a: Array) -> None:
        self.a = a

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.a.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self.a.__dlpack_device__()


class OnlyArray:
    def __init__(self, a: Array) -> None:
        self.a = a

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return self.a if dtype is None else self.a.astype(dtype)


@pytest.mark.parametrize("exporter", [OnlyDLPack, OnlyArray])
def test_exporters(exporter: Any, engine: str) -> None:
    for dtype in (np.float32, np.float64):
        x = BASE.astype(dtype)
        for form in (x, x[::2], x.reshape(12, 20).T):
            np.testing.assert_array_equal(cact.gelu(exporter(form)), cact.gelu(form), strict=True)
            np.testing.assert_array_equal(
                cact.gelu.backward(exporter(form), exporter(form)),
                cact.gelu.backward(form, form),
                strict=True,
            )


def test_memory_map(tmp_path: Path, engine: str) -> None:
    BASE.astype(np.float32).tofile(tmp_path / "x")
    for mode in ("r", "r+", "c"):
        x = np.memmap(tmp_path / "x", np.float32, mode)
        y = cact.gelu(x)
        assert type(y) is type(np.tanh(x))
        np.testing.assert_array_equal(y, cact.gelu(BASE.astype(np.float32)))
        del x
    out = np.memmap(tmp_path / "y", np.float32, "w+", shape=(240,))
    assert cact.gelu(BASE.astype(np.float32), out=out) is out
    out.flush()
    np.testing.assert_array_equal(np.fromfile(tmp_path / "y", np.float32), y)


def test_masked_arrays_keep_their_mask(engine: str) -> None:
    x = np.ma.masked_array(BASE[:60].reshape(4, 15), MASK)
    for call in (
        cact.gelu,
        cact.gelu.grad,
        lambda x: cact.gelu.backward(x, x),
        lambda x: cact.gelu.value_and_grad(x)[1],
    ):
        y = call(x)
        assert type(y) is np.ma.MaskedArray
        np.testing.assert_array_equal(y.mask, MASK)
        np.testing.assert_array_equal(y.compressed(), call(x.data)[~MASK])


# ------------------------------------------------------------------ keywords
@pytest.mark.parametrize("casting", ["no", "equiv", "safe", "same_kind", "unsafe"])
@pytest.mark.parametrize("dtype", [None, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("source", DTYPES)
def test_dtype_and_casting(casting: Any, dtype: Any, source: Any, engine: str) -> None:
    """Accepted where np.tanh accepts, refused with TypeError where it refuses."""
    x = BASE[:9].astype(source)

    for target in (None, *DTYPES):

        def run(f: Call, target: Any = target) -> Any:
            out = None if target is None else np.zeros(9, target)
            return f(x, out=out, dtype=dtype, casting=casting)

        try:
            like = run(np.tanh)
        except TypeError:
            for call in (cact.gelu, cact.gelu.grad):
                with pytest.raises(TypeError, match="gelu"):
                    run(call)
            continue
        for call in (cact.gelu, cact.gelu.grad):
            values = call(x if dtype is None else x.astype(dtype)).astype(like.dtype)
            assert_alike(run(call), like, values)


def test_value_and_grad_out(engine: str) -> None:
    for dtype in DTYPES:
        x = BASE.astype(dtype)
        wanted = cact.mish(x), cact.mish.grad(x)
        y, g = np.empty_like(x), np.empty(720, dtype)[::3]
        for out, got in (
            ((y, g), (y, g)),
            ((None, g), (None, g)),
            ((y, None), (y, None)),
            ((None, None), (None, None)),
        ):
            y[...] = g[...] = 0
            result = cact.mish.value_and_grad(x, out=out)
            for r, given, w in zip(result, got, wanted):
                assert given is None or r is given
                np.testing.assert_array_equal(r, w, strict=True)
        for r, w in zip(cact.mish.value_and_grad(x, out=None), wanted):
            np.testing.assert_array_equal(r, w, strict=True)
        xx = x.copy()
        result = cact.mish.value_and_grad(xx, out=(xx, None))
        assert result[0] is xx
        np.testing.assert_array_equal(xx, wanted[0])
        np.testing.assert_array_equal(result[1], wanted[1])
        xx = x.copy()
        result = cact.mish.value_and_grad(xx, out=(None, xx))
        np.testing.assert_array_equal(xx, wanted[1])
        np.testing.assert_array_equal(result[0], wanted[0])


# ------------------------------------------------------------------ identities
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_backward_and_value_and_grad_are_the_calls(name: str, dtype: Any, engine: str) -> None:
    """Bit for bit, special values and all."""
    f = cact.get(name)
    info = np.finfo(dtype)
    special = [
        0,
        -0.0,
        np.inf,
        -np.inf,
        np.nan,
        info.max,
        info.min,
        info.tiny,
        -info.tiny,
        info.smallest_subnormal,
    ]
    x = np.concatenate([BASE, np.array(special, dtype)] * 2).astype(dtype)
    dy = np.roll(x, 11)

    def same(a: Array, b: Array) -> None:
        where = ~(np.isnan(a) & np.isnan(b))
        assert a.dtype == b.dtype
        assert a[where].tobytes() == b[where].tobytes()

    with np.errstate(all="ignore"):
        product = dy * f.grad(x)
    backward = f.backward(dy, x)
    same(backward[0] if f.learnable else backward, product)
    for got, wanted in zip(f.value_and_grad(x), (f(x), f.grad(x))):
        same(got, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", cact.names())
def test_no_floating_point_warning(name: str, dtype: Any, engine: str) -> None:
    f = cact.get(name)
    info = np.finfo(dtype)
    least, most = info.smallest_subnormal, info.max
    x = np.array(
        [
            0,
            -0.0,
            least,
            -least,
            info.tiny,
            -info.tiny,
            info.eps,
            most,
            -most,
            np.inf,
            -np.inf,
            np.nan,
            -np.nan,
        ]
        + [0.5, -0.5, 20, -20, 90, -90, 104, -104, 710, -710, 746, -746],
        dtype,
    )
    rest = {"axis": 0} if "axis" in f.params else {}
    with np.errstate(all="raise"):
        for n in (x.size, 1):
            for i in range(0, x.size, n):
                part = x[i : i + n]
                dy = part
                if name in (*GATED, *PIECES):
                    part = np.stack([part, x[i : i + n][::-1]])
                    dy = np.resize(part, f(part, **rest).shape)
                f(part, **rest)
                f(part.astype(part.dtype.newbyteorder()), **rest)
                f.backward(dy, part, **rest)
                f.backward(dy[::-1], part, **rest)
                if not rest:
                    f.grad(part)
                    f.value_and_grad(part)
        if f.params and not rest:
            for extreme in (1e-300, 1e-3, 1e3, 1e300):
                f.bind(**dict.fromkeys(numeric(f), extreme)).value_and_grad(x)
        f(np.array([10**18, -(10**18), 0, 1]), **rest)
        f(np.float64([1e300, -1e300, 1e-300, 1]), **rest)


def test_out_and_x_as_keywords(engine: str) -> None:
    np.testing.assert_array_equal(cact.gelu(x=BASE), cact.gelu(BASE))
    np.testing.assert_array_equal(cact.gelu.grad(x=BASE), cact.gelu.grad(BASE))
    np.testing.assert_array_equal(cact.gelu.backward(dy=BASE, x=BASE), cact.gelu.backward(BASE, BASE))
    np.testing.assert_array_equal(cact.gelu.backward(BASE, x=BASE), cact.gelu.backward(BASE, BASE))
    np.testing.assert_array_equal(cact.gelu.value_and_grad(x=BASE), cact.gelu.value_and_grad(BASE))


def test_several_threads_and_reentrance(engine: str) -> None:
    """A large call releases the GIL; smaller ones meanwhile give what they always give."""
    from concurrent.futures import ThreadPoolExecutor

    x = np.tile(BASE, 400)
    wanted = cact.gelu(x)
    with ThreadPoolExecutor(4) as pool:
        for y in pool.map(cact.gelu, [x] * 16):
            np.testing.assert_array_equal(y, wanted)


def test_iterator_buffers(engine: str) -> None:
    """Sizes around NumPy's own buffer of 8192 elements, where casting goes through it."""
    for n in (8191, 8192, 8193, 20001):
        x = np.resize(BASE, n)
        wanted = cact.gelu(x)
        np.testing.assert_array_equal(cact.gelu(x.astype(">f8")), wanted)
        np.testing.assert_array_equal(cact.gelu(misaligned(x)), wanted)
        np.testing.assert_array_equal(cact.gelu(x, out=np.empty(n, np.float32)), wanted.astype(np.float32))
        ints = np.arange(n) % 40 - 20
        np.testing.assert_array_equal(cact.gelu(ints), cact.gelu(ints.astype(float)))
