"""The bits of a result depend on x, the dtype and the parameters alone.

Every call here is compared with one plain call on the best instruction set: other lengths,
offsets, strides, alignments, positions, in place, and every other instruction set.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import COMPILED, ELEMENTWISE, GATED, PIECES, ROWS, numeric, use

import cact

pytestmark = pytest.mark.skipif(not COMPILED, reason="no compiled kernels: the NumPy fallback is exempt")

DTYPES = [np.float32, np.float64, np.float16]
OPERATIONS = ["forward", "grad", "backward", "value", "value's grad"]
INTEGERS = {2: np.uint16, 4: np.uint32, 8: np.uint64}


def bits(a: Any) -> np.ndarray:
    """The numbers as integers, so that NaN and the two zeros compare too."""
    a = np.ascontiguousarray(a)
    return a.view(INTEGERS[a.dtype.itemsize])


def pool(dtype: Any) -> np.ndarray:
    """400 numbers: special ones, and all that kernels treat differently, well mixed."""
    rng = np.random.default_rng(7)
    info = np.finfo(dtype)
    special = [0.0, info.smallest_subnormal, info.tiny, info.max, np.inf, 1.0, 0.5, 88.8, 104.0, 710.0, 746.0]
    special += [-v for v in special] + [np.nan, -np.nan, -1.2784646, -0.7517915, -1.1924312, -13.5, -38.5]
    with np.errstate(over="ignore"):
        x = np.concatenate([special, rng.normal(0, 2, 200), rng.normal(0, 30, 200)])[:400].astype(dtype)
    return rng.permutation(x)


def call(name: str, operation: str, upstream: np.ndarray) -> Callable[..., Any]:
    """The operation as a function of x and out; `upstream` is dy, as long as x or longer."""
    f = cact.get(name)
    if operation == "forward":
        return lambda x, out=None: f(x, out=out)
    if operation == "grad":
        return lambda x, out=None: f.grad(x, out=out)
    if operation == "backward":
        if f.learnable:
            return lambda x, out=None: f.backward(upstream[: x.size].reshape(x.shape), x, out=out)[0]
        return lambda x, out=None: f.backward(upstream[: x.size].reshape(x.shape), x, out=out)
    if operation == "value":
        return lambda x, out=None: f.value_and_grad(x, out=(out, None))[0]
    return lambda x, out=None: f.value_and_grad(x, out=(None, out))[1]


@functools.cache
def reference(name: str, operation: str, dtype: Any) -> np.ndarray:
    """The plain call on the best instruction set."""
    use(COMPILED[0])
    x = pool(dtype)
    return bits(call(name, operation, np.roll(x, 7))(x))


def assert_same(got: Any, wanted: np.ndarray, x: np.ndarray, what: str) -> None:
    got = bits(got)
    if (got != wanted).any():
        i = int(np.argmax(got != wanted))
        raise AssertionError(f"{what}: at x = {x[i]!r} the bits are {got[i]:#x}, elsewhere {wanted[i]:#x}")


CASES = [
    pytest.param(n, op, d, id=f"{n}-{op}-{d.__name__}")
    for n, op, d in itertools.product(ELEMENTWISE, OPERATIONS, DTYPES)
]


@pytest.fixture(params=COMPILED)
def compiled(request: pytest.FixtureRequest) -> Any:
    """The engines but NumPy."""
    from conftest import current

    former = current()
    use(request.param)
    yield request.param
    use(former)


@pytest.mark.parametrize(("name", "operation", "dtype"), CASES)
def test_bits(name: str, operation: str, dtype: Any, compiled: str) -> None:
    wanted = reference(name, operation, dtype)
    use(compiled)
    x = pool(dtype)
    dy = np.roll(x, 7)
    f = call(name, operation, dy)
    assert_same(f(x), wanted, x, "the whole")

    for n in range(131):
        assert_same(f(x[:n]), wanted[:n], x, f"length {n}")
    for offset in range(18):
        shifted = call(name, operation, dy[offset:])
        for n in (1, 15, 16, 17, 100, 130):
            here = slice(offset, offset + n)
            assert_same(shifted(x[here]), wanted[here], x[here], f"offset {offset}, length {n}")

    for step in (-3, -2, -1, 2, 3, 5):
        part = call(name, operation, dy[::step])
        assert_same(part(x[::step]), wanted[::step], x[::step], f"stride {step}")
        spaced = np.zeros(x.size * abs(step), dtype)[::step]
        spaced[...] = x
        assert_same(f(spaced), wanted, x, f"spaced by {step}")
        result = np.zeros(x.size * abs(step), dtype)[::step]
        assert_same(f(x, out=result), wanted, x, f"out spaced by {step}")
    assert_same(f(x.reshape(20, 20)).ravel(), wanted, x, "two dimensions")
    turned = call(name, operation, np.asarray(dy.reshape(20, 20).T).ravel())
    assert_same(turned(x.reshape(20, 20).T).T.ravel(), wanted, x, "transposed")

    for byte in range(1, 2 * np.dtype(dtype).itemsize):
        memory = np.zeros(x.nbytes + byte, np.uint8)[byte:].view(dtype)
        memory[...] = x
        assert_same(f(memory), wanted, x, f"misaligned by {byte} bytes")
        assert_same(f(memory, out=memory), wanted, x, f"misaligned by {byte} bytes, in place")
    for n in (0, 1, 7, 16, 33, 400):
        own = x[:n].copy()
        f(own, out=own)
        assert_same(own, wanted[:n], x, f"in place, length {n}")
    if operation == "backward":
        up = dy.copy()
        call(name, operation, up)(x, out=up)
        assert_same(up, wanted, x, "in the place of dy")
    swapped = x.astype(x.dtype.newbyteorder())
    assert_same(f(swapped), wanted, x, "byte-swapped")
    for i in range(0, x.size, 3):
        alone = call(name, operation, dy[i:])
        assert_same(alone(x[i : i + 1]), wanted[i : i + 1], x[i : i + 1], "alone")
        assert_same(alone(x[i : i + 1].reshape(())).reshape(1), wanted[i : i + 1], x[i : i + 1], "0-d")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_bits_in_a_large_array(name: str, dtype: Any, compiled: str) -> None:
    """Beyond every block size, each number at each place modulo 400."""
    repeats = 401
    wanted = reference(name, "forward", dtype)
    use(compiled)
    x = pool(dtype)
    for shift in (0, 13):
        long = np.tile(np.roll(x, shift), repeats)[: 400 * repeats - 3]
        assert_same(
            cact.get(name)(long), np.tile(np.roll(wanted, shift), repeats)[: long.size], long, "large"
        )


@pytest.mark.parametrize(("name", "operation", "dtype"), CASES)
def test_bits_of_the_rare_among_the_usual(name: str, operation: str, dtype: Any, compiled: str) -> None:
    """What needs other code than its neighbours, seldom and in crowds, in place or not."""
    wanted = reference(name, operation, dtype)
    use(compiled)
    x = pool(dtype)
    usual = np.flatnonzero(np.abs(x) < 1)
    rng = np.random.default_rng(5)
    for share in (0.003, 0.1, 0.9):
        at = np.where(rng.random(3001) < share, rng.integers(0, x.size, 3001), rng.choice(usual, 3001))
        f, many = call(name, operation, np.roll(x, 7)[at]), x[at]
        assert_same(f(many), wanted[at], many, f"{share} of all")
        own = many.copy()
        f(own, out=own)
        assert_same(own, wanted[at], many, f"{share} of all, in place")
        if operation == "backward":
            dy = np.roll(x, 7)[at]
            call(name, operation, dy)(many, out=dy)
            assert_same(dy, wanted[at], many, f"{share} of all, in the place of dy")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if cact.get(n).params])
def test_bits_with_a_parameter_for_each(name: str, dtype: Any, compiled: str) -> None:
    """One parameter for all, or the same for each: the loops differ, the bits do not."""
    wanted = {op: reference(name, op, dtype) for op in ("forward", "grad")}
    use(compiled)
    f, x = cact.get(name), pool(dtype)
    for n in (1, 16, 100, 130, 400):
        each = {k: np.full(n, v) for k, v in numeric(f).items()}
        assert_same(f(x[:n], **each), wanted["forward"][:n], x, f"{n} parameters")
        assert_same(f.grad(x[:n], **each), wanted["grad"][:n], x, f"{n} parameters")
        spread = {k: np.full((n, 2), v)[:, 0] for k, v in numeric(f).items()}
        assert_same(f(x[:n], **spread), wanted["forward"][:n], x, f"{n} spaced parameters")


@pytest.mark.parametrize("char", "?bBhHiIqQ")
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_bits_of_integers(name: str, char: str, compiled: str) -> None:
    """Integers are float64 from the start."""
    x = np.random.default_rng(3).integers(0, 2 if char == "?" else 100, 150).astype(char)
    if np.dtype(char).kind == "i":
        x -= 50
    f = cact.get(name)
    for n in (1, 17, 150):
        for operation in (f, f.grad):
            assert_same(operation(x[:n]), bits(operation(x[:n].astype(np.float64))), x, f"{char}, length {n}")


# ------------------------------------------------------------------ rows
@functools.cache
def row_reference(name: str, n: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    use(COMPILED[0])
    x = np.random.default_rng(n).normal(0, 4, n).astype(dtype)
    y = cact.get(name)(x)
    return bits(y), bits(cact.get(name).backward(x[::-1].copy(), y))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ROWS)
def test_bits_of_rows(name: str, dtype: Any, compiled: str) -> None:
    """Alone or among other rows, along any axis, in place or not, at any address."""
    f = cact.get(name)
    for n in [*range(1, 131), 1000]:
        forward, backward = row_reference(name, n, dtype)
        use(compiled)
        x = np.random.default_rng(n).normal(0, 4, n).astype(dtype)
        dy = x[::-1].copy()
        y = f(x)
        assert_same(y, forward, x, f"{n}")
        assert_same(f.backward(dy, y), backward, x, f"{n}, backward")
        many = np.random.default_rng(1).normal(0, 9, (3, n, 2)).astype(dtype)
        many[1, :, 1] = x
        assert_same(f(many, axis=1)[1, :, 1], forward, x, f"{n} along the middle axis")
        rows = np.ascontiguousarray(many.transpose(0, 2, 1))
        assert_same(f(rows)[1, 1], forward, x, f"{n} as a row of many")
        f(rows, out=rows)
        assert_same(rows[1, 1], forward, x, f"{n} in place")
        for offset in (1, 3, 8):
            memory = np.zeros(x.nbytes + offset, np.uint8)[offset:].view(dtype)
            memory[...] = x
            assert_same(f(memory), forward, x, f"{n} at {offset} bytes")
        assert_same(f(np.repeat(x, 2)[::2]), forward, x, f"{n} spaced")
        own = dy.copy()
        assert_same(f.backward(own, y, out=own), backward, x, f"{n}, backward in the place of dy")
        own = y.copy()
        assert_same(f.backward(dy, own, out=own), backward, x, f"{n}, backward in the place of y")


# ------------------------------------------------------------------ halves and pieces
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*GATED, *PIECES])
def test_bits_of_halves_and_pieces(name: str, dtype: Any, compiled: str) -> None:
    """Along any axis, at any place and length, in any layout."""
    f, x = cact.get(name), pool(dtype).reshape(2, -1)
    if name in GATED:  # value and gate side by side: column i depends on nothing else
        x = np.concatenate([x, np.roll(x, 31, axis=1)])
    use(COMPILED[0])
    wanted = f(x, axis=0)
    dy = np.roll(wanted, 5, axis=1)
    back = f.backward(dy, x, axis=0)
    use(compiled)
    for n in [*range(1, 40), 100, 200]:
        for first in (0, 3):
            here = slice(first, first + n)
            part = x[:, here]
            for form in (part, part.copy(), np.asfortranarray(part)):
                y, dx = f(form, axis=0), f.backward(dy[:, here], form, axis=0)
                assert_same(y.ravel(), bits(wanted[:, here]).ravel(), y.ravel(), f"{n} from {first}")
                assert_same(
                    dx.ravel(), bits(back[:, here]).ravel(), dx.ravel(), f"{n} from {first}, backward"
                )
            y = f(np.ascontiguousarray(part.T))
            assert_same(y.T.ravel(), bits(wanted[:, here]).ravel(), y.T.ravel(), f"{n} along the last axis")
            out = np.zeros((2 * y.shape[1], y.shape[0]), dtype)[::2]
            f(part, axis=0, out=out)
            assert_same(out.ravel(), bits(wanted[:, here]).ravel(), out.ravel(), f"{n} spaced out")
