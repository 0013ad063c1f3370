"""`cact.kernels`: the kernels on contiguous buffers, without allocation or conversion."""

from __future__ import annotations

import array
import itertools
from typing import Any

import numpy as np
import pytest
from conftest import ELEMENTWISE, misaligned, numeric, room

import cact
from cact import _backend

kernels = pytest.importorskip("cact.kernels")

#: Operation -> numbers of inputs and of outputs.
OPERATIONS = {"forward": (1, 1), "grad": (1, 1), "backward": (2, 1), "value_and_grad": (1, 2)}
TYPES = {np.float32: "f", np.float64: "d"}
X = np.random.default_rng(11).normal(0, 3, 150)
CASES = [
    pytest.param(n, o, d, id=f"{n}-{o}-{d.__name__}")
    for n, o, d in itertools.product(ELEMENTWISE, OPERATIONS, TYPES)
]


@pytest.fixture(params=_backend.compiled.isas() if _backend.compiled is not None else ["numpy"])
def isa(request: pytest.FixtureRequest) -> Any:
    """Every instruction set of the machine; without the extension, NumPy."""
    if request.param == "numpy":
        yield request.param
        return
    former = _backend.compiled.isa()
    _backend.compiled.set_isa(request.param)
    with cact.use_backend("c"):
        yield request.param
    _backend.compiled.set_isa(former)


def kernel(name: str, operation: str) -> Any:
    return getattr(kernels, f"{name}_{operation}")


def wanted(name: str, operation: str, x: np.ndarray, **params: Any) -> list[np.ndarray]:
    """What the ufuncs give; dy is x."""
    f = cact.get(name, **params)
    if operation == "backward":
        result = f.backward(x, x)
        return [result[0] if f.learnable else result]
    if operation == "value_and_grad":
        return list(f.value_and_grad(x))
    return [(f if operation == "forward" else f.grad)(x)]


@pytest.mark.parametrize(("name", "operation", "dtype"), CASES)
def test_same_bits_as_the_ufuncs(name: str, operation: str, dtype: Any, isa: str) -> None:
    inputs, outputs = OPERATIONS[operation]
    for n in (0, 1, 15, 16, 17, 150):
        x = X[:n].astype(dtype)
        outs = [np.full(n, 7, dtype) for _ in range(outputs)]
        kept = x.copy()
        assert kernel(name, operation)(*[x] * inputs, *outs) is None
        for out, right in zip(outs, wanted(name, operation, x)):
            np.testing.assert_array_equal(out, right, strict=True)
        np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("dtype", TYPES)
def test_every_kind_of_buffer(operation: str, dtype: Any, isa: str) -> None:
    inputs, outputs = OPERATIONS[operation]
    x = X.astype(dtype)
    read_only = x.copy()
    read_only.flags.writeable = False
    sources = [
        x,
        memoryview(x),
        array.array(TYPES[dtype], x.tolist()),
        read_only,
        memoryview(x.tobytes()).cast(TYPES[dtype]),
    ]
    for source in sources:
        for make in (np.array, lambda a: memoryview(np.array(a)), lambda a: array.array(TYPES[dtype], a)):
            outs = [make(np.full(150, 7, dtype)) for _ in range(outputs)]
            kernel("mish", operation)(*[source] * inputs, *outs)
            for out, right in zip(outs, wanted("mish", operation, x)):
                np.testing.assert_array_equal(np.asarray(out), right, strict=True)


@pytest.mark.parametrize("dtype", TYPES)
def test_in_place(dtype: Any, isa: str) -> None:
    x = X.astype(dtype)
    for operation in ("forward", "grad"):
        own = x.copy()
        kernel("gelu", operation)(own, own)
        np.testing.assert_array_equal(own, wanted("gelu", operation, x)[0])
    for place in (0, 1):
        buffers = [x.copy(), x.copy()]
        kernels.gelu_backward(*buffers, buffers[place])
        np.testing.assert_array_equal(buffers[place], wanted("gelu", "backward", x)[0])
    right = wanted("gelu", "value_and_grad", x)
    for place in (0, 1):
        own, other = x.copy(), np.empty_like(x)
        outs = (own, other) if place == 0 else (other, own)
        kernels.gelu_value_and_grad(own, *outs)
        for out, r in zip(outs, right):
            np.testing.assert_array_equal(out, r)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("name", "key"), [(n, k) for n in ELEMENTWISE for k in numeric(cact.get(n))])
def test_parameters_are_keywords(name: str, key: str, operation: str, isa: str) -> None:
    inputs, outputs = OPERATIONS[operation]
    for value in (1.5, 2, np.float32(0.5)):
        outs = [np.full(150, 7.0) for _ in range(outputs)]
        params = {key: value, **room(name, key)}
        kernel(name, operation)(*[X] * inputs, *outs, **params)
        for out, right in zip(outs, wanted(name, operation, X, **params)):
            np.testing.assert_array_equal(out, right)


# ------------------------------------------------------------------ the gate
def writable() -> np.ndarray:
    return np.full(150, 7.0)


def readonly() -> np.ndarray:
    a = writable()
    a.flags.writeable = False
    return a


#: What may not stand in any place of a call whose other buffers are float64 of length 150.
BAD = {
    "None": lambda: None,
    "too short": lambda: np.full(149, 7.0),
    "too long": lambda: np.full(151, 7.0),
    "empty": lambda: np.full(0, 7.0),
    "misaligned": lambda: misaligned(writable()),
    "strided": lambda: np.full(300, 7.0)[::2],
    "backwards": lambda: writable()[::-1],
    "zero stride": lambda: np.lib.stride_tricks.as_strided(writable(), (150,), (0,)),
    "two dimensions": lambda: np.full((150, 1), 7.0),
    "0-d": lambda: np.full((), 7.0),
    "float32": lambda: np.full(150, 7, np.float32),
    "float16": lambda: np.full(150, 7, np.float16),
    "integers": lambda: np.full(150, 7),
    "complex": lambda: np.full(150, 7 + 0j),
    "byte-swapped": lambda: np.full(150, 7, np.dtype("f8").newbyteorder()),
    "objects": lambda: np.full(150, 7.0, object),
    "bytes": lambda: bytes(1200),
    "a list": lambda: [7.0] * 150,
    "a number": lambda: 7.0,
    "a string": lambda: "7" * 150,
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("case", BAD)
def test_what_the_gate_refuses(case: str, operation: str, isa: str) -> None:
    """In the place of each buffer: an error that names the kernel, and nothing is written."""
    inputs, outputs = OPERATIONS[operation]
    for place in range(inputs + outputs):
        buffers: list[Any] = [X.copy() for _ in range(inputs)] + [writable() for _ in range(outputs)]
        buffers[place] = BAD[case]()
        with pytest.raises((TypeError, ValueError)) as error:
            kernel("gelu", operation)(*buffers)
        assert f"gelu_{operation}" in str(error.value), str(error.value)
        assert "\n" not in str(error.value)
        for i, b in enumerate(buffers[inputs:], inputs):
            if i != place or isinstance(b, np.ndarray):
                assert (b == 7).all()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_read_only_output(operation: str, isa: str) -> None:
    inputs, outputs = OPERATIONS[operation]
    for place in range(outputs):
        for bad in (readonly(), memoryview(readonly()), memoryview(bytes(1200)).cast("d")):
            outs: list[Any] = [writable() for _ in range(outputs)]
            outs[place] = bad
            kept = np.array(bad)
            with pytest.raises((TypeError, ValueError), match=r"read-only|not writable") as error:
                kernel("gelu", operation)(*[X] * inputs, *outs)
            assert f"gelu_{operation}" in str(error.value)
            np.testing.assert_array_equal(np.asarray(bad), kept)
            for i, out in enumerate(outs):
                assert i == place or (out == 7).all()


def test_partial_overlap(isa: str) -> None:
    """Kernels do not buffer: what overlaps without being the same is refused."""
    memory = np.concatenate([X, X])
    for shift in (1, 5, 149):
        x, y = memory[:150], memory[shift : shift + 150]
        kept = memory.copy()
        for call in (
            lambda x=x, y=y: kernels.gelu_forward(x, y),
            lambda x=x, y=y: kernels.gelu_forward(y, x),
            lambda x=x, y=y: kernels.gelu_backward(X, x, y),
            lambda x=x, y=y: kernels.gelu_backward(x, X, y),
            lambda x=x, y=y: kernels.gelu_value_and_grad(x, writable(), y),
            lambda x=x, y=y: kernels.gelu_value_and_grad(x, y, writable()),
            lambda x=x, y=y: kernels.gelu_value_and_grad(X, x, y),
        ):
            with pytest.raises(ValueError, match="overlap"):
                call()
            np.testing.assert_array_equal(memory, kept)
    own = writable()
    with pytest.raises(ValueError, match=r"same|overlap"):
        kernels.gelu_value_and_grad(X, own, own)
    kernels.gelu_forward(memory[:150], memory[150:])  # neighbours
    np.testing.assert_array_equal(memory[150:], cact.gelu(X))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_wrong_arguments(operation: str, isa: str) -> None:
    inputs, outputs = OPERATIONS[operation]
    f = kernel("gelu", operation)
    buffers = [X] * inputs + [writable() for _ in range(outputs)]
    for wrong in ([], buffers[:-1], [*buffers, writable()]):
        with pytest.raises(
            TypeError, match=rf"gelu_{operation} takes {inputs + outputs} buffers, got {len(wrong)}"
        ):
            f(*wrong)
    with pytest.raises(TypeError, match=rf"gelu_{operation}: unknown parameter 'alpha'"):
        f(*buffers, alpha=1.0)
    for bad in ("x", None, 1j, np.ones(3)):
        with pytest.raises(TypeError):
            kernel("leaky_relu", operation)(*buffers, negative_slope=bad)
    for b in buffers[inputs:]:
        assert (b == 7).all()


def test_names() -> None:
    for name, operation in itertools.product(ELEMENTWISE, OPERATIONS):
        assert f"{name}_{operation}" in kernels.__all__
        assert kernel(name, operation).__name__ == f"{name}_{operation}"
        assert f"{name}_{operation}" in repr(kernel(name, operation))
    with pytest.raises(AttributeError, match="gelu_sideways"):
        kernels.gelu_sideways  # noqa: B018
    with pytest.raises(AttributeError, match="softmax_forward"):
        kernels.softmax_forward  # noqa: B018


def test_special_values_and_no_flags(isa: str) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 5e-324, 1e308, -1e308, -745.2, 710.0])
    for name, operation in itertools.product(ELEMENTWISE, OPERATIONS):
        inputs, outputs = OPERATIONS[operation]
        outs = [np.empty(10) for _ in range(outputs)]
        with np.errstate(all="raise"):
            kernel(name, operation)(*[x] * inputs, *outs)
            right = wanted(name, operation, x)
        for out, r in zip(outs, right):
            np.testing.assert_array_equal(out, r)


def test_it_follows_the_backend() -> None:
    """Under the NumPy backend the kernels compute there too."""
    if _backend.compiled is None:
        pytest.skip("no compiled kernels")
    x = np.linspace(-30, 5, 2001)
    y = np.empty_like(x)
    with cact.use_backend("numpy"):
        plain = cact.gelu_tanh(x)
        kernels.gelu_tanh_forward(x, y)
    np.testing.assert_array_equal(y, plain)


def test_threads(isa: str) -> None:
    """The GIL is released: calls from several threads at once."""
    from concurrent.futures import ThreadPoolExecutor

    x = np.tile(X, 500)
    outs = [np.empty_like(x) for _ in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda y: kernels.mish_forward(x, y), outs))
    for y in outs:
        np.testing.assert_array_equal(y, np.tile(cact.mish(X), 500))
