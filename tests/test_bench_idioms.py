"""`cact bench`: the idioms, formulas and models compute what cact does."""

from __future__ import annotations

import ast
import copy
import math
import sys
import types
from typing import Any

import numpy as np
import pytest

import cact
from cact import _idioms, _models, _peers, bench

CASES = [
    pytest.param(peer, operation, function, i, id=f"{peer}-{operation}-{function}-{i}")
    for peer, operations in _idioms.IDIOMS.items()
    for operation, by_function in operations.items()
    for function, statements in by_function.items()
    for i in range(len(statements))
]
CASES += [
    pytest.param(peer, operation, function, 0, id=f"{peer}-{operation}-{function}")
    for peer in _peers.PEERS
    if peer not in _idioms.PEERS
    for operation in bench.OPERATIONS
    for function in _idioms.functions()
]

# Errors of the peers' own in float64, relative to the largest result
INEXACT = {
    ("torch", "backward", "hardsigmoid"): 6e-8,  # its 1/6 is float32's
    ("torch_compile", "backward", "hardsigmoid"): 6e-8,
    ("onnxruntime", "forward", "gelu_tanh"): 1e-9,  # so are its constants
    ("onnxruntime", "forward", "hardshrink"): 6e-8,  # it computes in float32
    ("onnxruntime", "forward", "softshrink"): 6e-8,
    ("jax", "backward", "telu"): 1e-13,  # x e^x (1 - tanh^2) of a tanh some ULP off
}


def evaluate(statement: str, names: dict[str, Any]) -> Any:
    """The value of the statement's last expression."""
    tree = ast.parse(statement)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr)
    names = dict(names)
    exec(compile(tree, "idiom", "exec"), names)
    return eval(compile(ast.Expression(last.value), "idiom", "eval"), names)


def inputs(function: str, dtype: str, peer: str) -> dict[str, Any]:
    # |x| < 8: no idiom overflows there, and gelu_tanh's 1 + tanh keeps some digits of its tail
    random = np.random.default_rng(1)
    x = np.clip(random.normal(0, 2, 1280), -8, 8).astype(dtype)
    dy = random.normal(0, 2, x.size).astype(dtype)
    if function in _idioms.ROWS:
        x, dy = x.reshape(10, 128), dy.reshape(10, 128)
    return _idioms.namespace(x, dy, np.full_like(x, np.nan), (peer,), function)


@pytest.mark.parametrize(("peer", "operation", "function", "which"), CASES)
@pytest.mark.parametrize("dtype", bench.DTYPES)
def test_idiom_agrees_with_cact(peer: str, operation: str, function: str, which: int, dtype: str) -> None:
    for module in _peers.MODULES[peer]:
        pytest.importorskip(module)
    names = inputs(function, dtype, peer)
    contenders = _peers.contenders(peer, function, operation, names, 1)
    if not contenders and peer not in _idioms.PEERS:
        pytest.skip("it has no such function, or not of this dtype")
    statement, scope = contenders[which]
    theirs = evaluate(statement, scope)
    if "result" in scope:
        theirs = scope["result"]()
    out = names[_idioms.output(function, operation)]
    theirs = copy.deepcopy(out if theirs is None else theirs)  # both may write to `out`
    out.fill(np.nan)
    ours = evaluate(_idioms.cact_statement(function, operation), names)
    if not isinstance(theirs, tuple):
        theirs, ours = (theirs,), (ours,)
    assert len(theirs) == len(ours)
    for a, b in zip(theirs, ours):
        assert isinstance(a, float) or np.asarray(a).dtype == dtype  # numba's sums are Python's
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        # The idioms cancel where 1 + tanh or 1 + erf does: absolute error, of the size of eps.
        # prelu's dweight is a sum over all elements, so its error grows with them.
        scale = np.abs(b).max()
        limit = max(64 * np.finfo(dtype).eps, INEXACT.get((peer, operation, function), 0)) * scale
        np.testing.assert_allclose(a, b, rtol=0, atol=limit)


def test_every_idiom_names_a_function_of_cact() -> None:
    for operations in _idioms.IDIOMS.values():
        for by_function in operations.values():
            assert set(by_function) <= set(cact.names())
    assert set(_peers._FORMULAS) | set(_models.ONNX) | set(_models.LITERT) <= set(_idioms.functions())
    numpy = _idioms.IDIOMS["numpy"]
    assert list(numpy["forward"]) == list(numpy["backward"]) == _idioms.functions() == cact.names()
    assert set(_idioms.COMMON) <= set(_idioms.functions())


VECTOR: dict[str, Any] = {
    **{k: getattr(np, k) for k in ("exp", "expm1", "log1p", "tanh", "sqrt", "sin", "abs", "where")},
    "erf": np.vectorize(math.erf),
}


def agree(function: str, operation: str, found: list[Any], x: Any, dy: Any) -> None:
    f = cact.get(function)
    expected = f(x) if operation == "forward" else f.backward(dy, x)
    if not isinstance(expected, tuple):
        expected = (expected,)
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=0, atol=64 * 2.0**-52 * np.abs(b).max())


@pytest.mark.parametrize("operation", bench.OPERATIONS)
@pytest.mark.parametrize("function", _peers._FORMULAS)
def test_formula_agrees_with_cact(function: str, operation: str) -> None:
    """What torch.compile, numexpr and numba are given, here computed by NumPy and by a plain loop."""
    random = np.random.default_rng(1)
    x, dy = np.clip(random.normal(0, 2, 300), -8, 8), random.normal(0, 2, 300)
    names = {**VECTOR, **_idioms.CONSTANTS, "x": x, "dy": dy}
    before, results = _peers._formula(function, operation)
    exec("\n".join(before), names)
    first, *others = (eval(r, names) for r in results)
    agree(function, operation, [first, *(np.sum(v) for v in others)], x, dy)

    source, sums = _peers._loop(function, operation)
    out = np.full_like(x, np.nan)
    scope = {
        **{k: getattr(math, k) for k in _peers._CALLS if k != "abs"},
        **_idioms.CONSTANTS,
        "prange": range,
    }
    exec(source, scope)
    returned = scope["loop"](*((x,) if operation == "forward" else (x, dy)), out)
    agree(function, operation, [out, *((returned,) if sums == 1 else returned or ())], x, dy)


@pytest.mark.parametrize("operation", bench.OPERATIONS)
@pytest.mark.parametrize("function", [*_peers._ROW_LOOPS, "softmin"])
def test_loop_over_rows_agrees_with_cact(function: str, operation: str) -> None:
    names = inputs(function, "float64", "numpy")
    scope: dict[str, Any] = {"exp": math.exp, "log": math.log, "prange": range}
    exec(_peers._row_loop(function, operation), scope)
    given = [names["x"]] if operation == "forward" else [names["dy"], names[_idioms.OUTPUTS[function]]]
    scope["loop"](*given, names["out"])
    ours = evaluate(_idioms.cact_statement(function, operation), {**names, "out": np.empty_like(names["x"])})
    np.testing.assert_allclose(names["out"], ours, rtol=0, atol=64 * 2.0**-52 * np.abs(ours).max())


def test_constants_of_a_loop_have_the_dtype_of_the_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    _peers._compiled_loop.cache_clear()
    numba: Any = types.ModuleType("numba")
    numba.njit = lambda **options: lambda f: f
    monkeypatch.setitem(sys.modules, "numba", numba)
    x = np.float32([-2, 3])
    for function in ("leaky_relu", "hardswish"):
        loop = _peers._compiled_loop(_peers._loop(function, "forward")[0], x.dtype, False)
        constants = [v for k, v in loop.__globals__.items() if k[0] == "c" and k[1:].isdigit()]
        assert constants
        assert all(type(v) is np.float32 for v in constants)
        out = np.zeros_like(x)
        loop(x, out)
        np.testing.assert_allclose(out, cact.get(function)(x), rtol=1e-6)
    _peers._compiled_loop.cache_clear()


@pytest.mark.parametrize("function", _models.ONNX)
def test_onnx_model_agrees_with_cact(function: str) -> None:
    reference = pytest.importorskip("onnx.reference")
    onnx = pytest.importorskip("onnx")
    x = np.clip(np.random.default_rng(1).normal(0, 2, (4, 32)), -8, 8).astype(np.float32)
    model = onnx.load_model_from_string(_models.onnx_model(_models.ONNX[function], x))
    onnx.checker.check_model(model, full_check=True)
    (y,) = reference.ReferenceEvaluator(model).run(None, {"x": x})
    expected = cact.get(function)(x)
    # the reference evaluator takes some parameters, such as selu's, as float32
    np.testing.assert_allclose(
        y, expected, rtol=0, atol=64 * np.finfo(np.float32).eps * np.abs(expected).max()
    )


def test_erf_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_idioms, "installed", lambda peer: False)
    x = np.linspace(-3, 3, 7, dtype=np.float32)
    names = _idioms.namespace(x, x, np.empty_like(x), ("numpy",))
    assert "special" not in names
    erf = names["erf"](x)
    assert erf.dtype == np.float32
    assert erf.tolist() == [np.float32(math.erf(v)) for v in x]
