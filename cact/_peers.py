"""What else `cact bench` measures against: compilers of expressions, and runtimes of models.

As in `_idioms` each contender is a statement for `timeit`; here it calls what was compiled or
loaded before the clock runs: a function for torch.compile and numba, a model of one or a few
operators for onnxruntime, OpenVINO and LiteRT, which reads and writes preallocated arrays.
The statements end in a comment that says what they compute.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Any

import numpy as np

from . import _idioms
from ._idioms import CONSTANTS, IDIOMS, OUTPUTS, installed, output
from ._models import LITERT, ONNX, litert_model, onnx_model

__all__ = ["APART", "MODULES", "PEERS", "available", "contenders", "limit_threads", "versions"]

#: All peers, in the order of the tables, with the modules that they are.
MODULES = {
    **{peer: (peer,) for peer in _idioms.PEERS},
    "torch_compile": ("torch",),
    "onnxruntime": ("onnxruntime", "onnx"),
    "openvino": ("openvino", "onnx"),
    "litert": ("ai_edge_litert",),
    "numexpr": ("numexpr",),
    "numba": ("numba",),
}
PEERS = tuple(MODULES)

#: Not among the best peers: XNNPACK promises 5e-6 to 10 eps of relative error on narrow ranges.
APART = ("litert",)

_Contender = tuple[str, dict[str, Any]]

_S, _T = "s = 1 / (1 + exp(-x))", "t = tanh(x)"
_SHRUNK = "where(abs(x) > 0.5, {}, 0)"

#: Forward and backward in terms of one element, of which loops are made (numba) or a vector expression
#: (numexpr; torch.compile where torch has no operator).  What stands behind a comma is summed over all.
_FORMULAS = {
    "identity": ("x", "dy"),
    "sigmoid": ("1 / (1 + exp(-x))", f"{_S}; dy * s * (1 - s)"),
    "tanh": ("tanh(x)", f"{_T}; dy * (1 - t * t)"),
    "relu": ("where(x > 0, x, 0)", "where(x > 0, dy, 0)"),
    "relu6": ("where(x > 0, where(x < 6, x, 6), 0)", "where((x > 0) & (x < 6), dy, 0)"),
    "leaky_relu": ("where(x > 0, x, 0.01 * x)", "where(x > 0, dy, 0.01 * dy)"),
    "prelu": ("where(x > 0, x, 0.25 * x)", "where(x > 0, dy, 0.25 * dy), where(x > 0, 0, dy * x)"),
    "rrelu": ("where(x > 0, x, MEAN * x)", "where(x > 0, dy, MEAN * dy)"),
    "thresholded_relu": ("where(x > 1, x, 0)", "where(x > 1, dy, 0)"),
    "elu": ("where(x > 0, x, expm1(x))", "where(x > 0, dy, dy * exp(x))"),
    "celu": ("where(x > 0, x, expm1(x))", "where(x > 0, dy, dy * exp(x))"),
    "selu": (
        "where(x > 0, SCALE * x, SCALE_ALPHA * expm1(x))",
        "dy * where(x > 0, SCALE, SCALE_ALPHA * exp(x))",
    ),
    "softplus": ("where(x > 0, x, 0) + log1p(exp(-abs(x)))", "dy / (1 + exp(-x))"),
    "log_sigmoid": ("where(x < 0, x, 0) - log1p(exp(-abs(x)))", "dy / (1 + exp(x))"),
    "softsign": ("x / (1 + abs(x))", "d = 1 + abs(x); dy / (d * d)"),
    "hardtanh": ("where(x > -1, where(x < 1, x, 1), -1)", "where((x > -1) & (x < 1), dy, 0)"),
    "hardsigmoid": (
        "where(x > -3, where(x < 3, x * 0.16666666666666666 + 0.5, 1), 0)",
        "where((x > -3) & (x < 3), dy * 0.16666666666666666, 0)",
    ),
    "hardswish": (
        "x * where(x > -3, where(x < 3, x * 0.16666666666666666 + 0.5, 1), 0)",
        "dy * where(x > -3, where(x < 3, x * 0.3333333333333333 + 0.5, 1), 0)",
    ),
    "hardshrink": (_SHRUNK.format("x"), _SHRUNK.format("dy")),
    "softshrink": ("where(x > 0.5, x - 0.5, where(x < -0.5, x + 0.5, 0))", _SHRUNK.format("dy")),
    "tanhshrink": ("x - tanh(x)", f"{_T}; dy * (t * t)"),
    "silu": ("x / (1 + exp(-x))", f"{_S}; dy * s * (1 + x * (1 - s))"),
    "gelu": (
        "0.5 * x * (1 + erf(SQRT1_2 * x))",
        "dy * (0.5 * (1 + erf(SQRT1_2 * x)) + INV_SQRT_2PI * x * exp(-0.5 * x * x))",
    ),
    "gelu_tanh": (
        "0.5 * x * (1 + tanh(x * (A + B * x * x)))",
        "q = x * x; t = tanh(x * (A + B * q));"
        " dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (A + 3 * B * q))",
    ),
    "mish": (
        "x * tanh(log1p(exp(x)))",
        "u = exp(x); t = tanh(log1p(u)); dy * (t + x * (1 - t * t) * u / (1 + u))",
    ),
    "exponential": ("exp(x)", "dy * exp(x)"),
    "squareplus": ("0.5 * (x + sqrt(x * x + 4))", "0.5 * dy * (1 + x / sqrt(x * x + 4))"),
    "sparse_plus": (
        "where(x > -1, where(x < 1, 0.25 * (x + 1) * (x + 1), x), 0)",
        "dy * where(x > -1, where(x < 1, 0.5 * (x + 1), 1), 0)",
    ),
    "sparse_sigmoid": (
        "where(x > -1, where(x < 1, 0.5 * (x + 1), 1), 0)",
        "where((x > -1) & (x < 1), 0.5 * dy, 0)",
    ),
    "swish": (
        "x / (1 + exp(-BETA * x))",
        "s = 1 / (1 + exp(-BETA * x)); dy * s * (1 + BETA * x * (1 - s)), dy * x * x * s * (1 - s)",
    ),
    "quick_gelu": (
        "x / (1 + exp(-1.702 * x))",
        "s = 1 / (1 + exp(-1.702 * x)); dy * s * (1 + 1.702 * x * (1 - s))",
    ),
    "relu2": ("r = where(x > 0, x, 0); r * r", "where(x > 0, 2 * dy * x, 0)"),
    "star_relu": (
        "r = where(x > 0, x, 0); 0.8944 * r * r - 0.4472",
        "r = where(x > 0, x, 0); 1.7888 * dy * r, dy * r * r, dy",
    ),
    "telu": ("x * tanh(exp(x))", "e = exp(x); t = tanh(e); dy * (t + x * e * (1 - t * t))"),
    "golu": ("x * exp(-exp(-x))", "e = exp(-x); dy * exp(-e) * (1 + x * e)"),
    "serf": (
        "x * erf(log1p(exp(x)))",
        "u = exp(x); z = log1p(u); dy * (erf(z) + TWO_INV_SQRT_PI * x * exp(-z * z) * u / (1 + u))",
    ),
    "snake": ("s = sin(x); x + s * s", "s = sin(x); g = sin(2 * x); dy * (1 + g), dy * (x * g - s * s)"),
    "xielu": (
        "where(x > 0, 0.8 * x * x, 0.8 * (expm1(where(x < -1e-6, x, -1e-6)) - x)) + 0.5 * x",
        "n = expm1(where(x < -1e-6, x, -1e-6)); dy * (where(x > 0, 1.6 * x, 0.8 * n) + 0.5),"
        " where(x > 0, dy * x * x, 0), where(x > 0, 0, dy * (n - x)), dy * x",
    ),
    "acon_c": (
        "d = (P1 - P2) * x; d / (1 + exp(-BETA * d)) + P2 * x",
        "d = (P1 - P2) * x; s = 1 / (1 + exp(-BETA * d)); g = s * (1 + BETA * d * (1 - s));"
        " dy * ((P1 - P2) * g + P2), dy * x * g, dy * x * (1 - g), dy * d * d * s * (1 - s)",
    ),
}

#: numba's loops over rows; softmin's are softmax's of -x.
_ROW_LOOPS = {
    "softmax": (
        "m = max(m, {x}[i, j])",
        "t += exp({x}[i, j] - m)",
        "out[i, j] = exp({x}[i, j] - m) / t",
        "t += dy[i, j] * y[i, j]",
        "out[i, j] = y[i, j] * (dy[i, j] - t)",
    ),
    "log_softmax": (
        "m = max(m, {x}[i, j])",
        "t += exp({x}[i, j] - m)",
        "out[i, j] = {x}[i, j] - m - log(t)",
        "t += dy[i, j]",
        "out[i, j] = dy[i, j] - exp(y[i, j]) * t",
    ),
}


def available(peer: str) -> bool:
    """Whether the peer is installed (it is not imported)."""
    return all(map(installed, MODULES[peer]))


def versions(peers: Iterable[str]) -> dict[str, str]:
    """The version of each peer, which is not imported."""
    return {peer: metadata.version(MODULES[peer][0].replace("_", "-")) for peer in peers}


def limit_threads(n: int) -> None:
    """For what reads its number of threads when it is loaded: to be called before that."""
    for variable in ("OMP", "MKL", "NUMBA", "NUMEXPR"):
        os.environ[f"{variable}_NUM_THREADS"] = str(n)
    os.environ["NUMEXPR_MAX_THREADS"] = os.environ["NPROC"] = str(n)  # NPROC: XLA's pool, that is JAX's


def contenders(
    peer: str, function: str, operation: str, names: dict[str, Any], threads: int
) -> list[_Contender]:
    """The peer's statements for a function and operation, each with the names that it uses.

    Parameters
    ----------
    peer, function, operation : str
        One of `PEERS`, installed; a name of cact's; "forward" or "backward".
    names : dict
        As `_idioms.namespace` gives them, for this function.
    threads : int

    Returns
    -------
    list of (str, dict)
        Empty where the library has no such function, or none of this dtype.  A statement whose
        value is None has written to ``out``, or its result is what ``names["result"]()`` gives.
    """
    if peer in IDIOMS:
        return [(s, names) for s in IDIOMS[peer][operation].get(function, ())]
    return _MAKERS[peer](function, operation, names, threads)


def _formula(function: str, operation: str) -> tuple[list[str], list[str]]:
    """Assignments and results."""
    *before, last = _FORMULAS[function][operation == "backward"].split("; ")
    node = ast.parse(last, mode="eval").body
    return before, [ast.unparse(e) for e in (node.elts if isinstance(node, ast.Tuple) else [node])]


class _Rewrite(ast.NodeTransformer):
    """Replace nodes as `change` says, innermost first."""

    def __init__(self, change: Callable[[ast.AST], ast.AST]) -> None:
        self.change = change

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:  # an index stays as it is
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        return self.change(super().generic_visit(node))


def _rewritten(text: str, change: Callable[[ast.AST], ast.AST]) -> str:
    return ast.unparse(ast.fix_missing_locations(_Rewrite(change).visit(ast.parse(text))))


# ---------------------------------------------------------------------- torch.compile
def _torch_compile(function: str, operation: str, names: dict[str, Any], threads: int) -> list[_Contender]:
    """torch's own statement, its result copied into `tout`, which the compiler does in the same loop."""
    torch = names["torch"]
    statement = next((s for s in IDIOMS["torch"][operation].get(function, ()) if "tv" not in s), None)
    out = f"t{output(function, operation)}"
    if statement is not None and "g[0]" not in statement:
        statement = re.sub(r"\.(out|grad_input)\(", "(", statement)
        statement = re.sub(r", (out|grad_input)=\w+|tout\.copy_", "", statement)
        *before, first = statement.split("; ")
        others: list[str] = []
    elif function in _FORMULAS:
        before, (first, *others) = _formula(function, operation)
        before, (first, *others) = (
            [re.sub(r"\b(x|dy)\b", r"t\1", s) for s in part] for part in (before, [first, *others])
        )
    else:
        return []
    results = [f"{out}.copy_({first})", *(f"({s}).sum()" for s in others)]
    body = "; ".join([*before, f"return {', '.join(results)}"])
    used = [k for k in names if re.fullmatch(r"t(w|(log_|min_|half_|double_)?(x|dy|y|out))", k)]
    used = [k for k in used if re.search(rf"\b{k}\b", body)]
    scope = {**names, **{k: getattr(torch, k) for k in _CALLS if k != "log"}, "where": torch.where}
    exec(f"def f({', '.join(used)}): {body}", scope)
    compiled = torch.compile(scope["f"], dynamic=False)  # for this size, as in a fresh process
    return [(f"compiled({', '.join(used)})  # {body}", {**names, "compiled": compiled})]


_CALLS = ("exp", "expm1", "log", "log1p", "tanh", "erf", "sqrt", "sin", "abs")


# ---------------------------------------------------------------------- numba, numexpr
def _numba(function: str, operation: str, names: dict[str, Any], threads: int) -> list[_Contender]:
    numba = importlib.import_module("numba")
    if function in (*_ROW_LOOPS, "softmin"):
        source, sums = _row_loop(function, operation), 0
        arrays = "x, out" if operation == "forward" else f"dy, {OUTPUTS[function]}, out"
    elif function in _FORMULAS:
        source, sums = _loop(function, operation)
        arrays = "x, out" if operation == "forward" else "x, dy, out"
    else:
        return []
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    loop = _compiled_loop(source, names["x"].dtype, threads > 1)
    call = f"loop({arrays})"
    if sums:
        call = f"out, {'*' * (sums > 1)}{call}"
    return [(f"{call}  # numba, {operation} of {function}", {**names, "loop": loop})]


def _loop(function: str, operation: str) -> tuple[str, int]:
    """A loop over elements, and how many sums it returns."""
    before, (first, *others) = _formula(function, operation)
    sums = [f"s{i}" for i in range(len(others))]
    lines = [
        f"def loop(xs{', dys' if operation == 'backward' else ''}, out):",
        *(f"    {s} = 0.0" for s in sums),
        "    for i in prange(out.size):",
        "        x = xs[i]",
        *(["        dy = dys[i]"] if operation == "backward" else []),
        *(f"        {s}" for s in before),
        f"        out[i] = {first}",
        *(f"        {s} += {term}" for s, term in zip(sums, others)),
        *([f"    return {', '.join(sums)}"] if sums else []),
    ]

    def branch(node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "where":
            return ast.IfExp(*node.args)
        return node

    return _rewritten("\n".join(lines), branch), len(sums)


def _row_loop(function: str, operation: str) -> str:
    softmin = function == "softmin"
    largest, total, result, product, gradient = _ROW_LOOPS["softmax" if softmin else function]
    x = "-x" if softmin else "x"
    if operation == "forward":
        head, steps = "def loop(x, out):", [largest.format(x=x), total.format(x=x), result.format(x=x)]
    else:
        head, steps = "def loop(dy, y, out):", [product, f"{gradient}{' * -1.0' if softmin else ''}"]
    lines = [head, "    for i in prange(out.shape[0]):", "        t = 0.0"]
    if operation == "forward":
        lines += [f"        m = {x}[i, 0]"]
    for step in steps:
        lines += ["        for j in range(out.shape[1]):", f"            {step}"]
    return "\n".join(lines)


@functools.cache
def _compiled_loop(source: str, dtype: np.dtype[Any], parallel: bool) -> Any:
    """Jitted; every constant of the loop has the dtype of the arrays, or numba computes in float64."""
    numba = importlib.import_module("numba")
    scope: dict[str, Any] = {k: dtype.type(v) for k, v in CONSTANTS.items()}
    scope |= {k: getattr(math, k) for k in _CALLS if k != "abs"}
    scope["prange"] = numba.prange if parallel else range

    def typed(node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            name = f"c{len(scope)}"
            scope[name] = dtype.type(node.value)
            return ast.Name(name, ast.Load())
        return node

    exec(_rewritten(source, typed), scope)
    return numba.njit(error_model="numpy", parallel=parallel)(scope["loop"])


def _numexpr(function: str, operation: str, names: dict[str, Any], threads: int) -> list[_Contender]:
    """One expression; its constants are scalars of the dtype, for a literal 0.5 makes float64 of all."""
    if function not in _FORMULAS:
        return []
    numexpr = importlib.import_module("numexpr")
    numexpr.set_num_threads(threads)
    before, results = _formula(function, operation)
    if "erf" in _FORMULAS[function][operation == "backward"]:
        return []
    local = {"x": names["x"], "dy": names["dy"]}
    dtype = names["x"].dtype

    def typed(node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            name = f"k{len(local)}"
            local[name] = dtype.type(node.value)
            return ast.Name(name, ast.Load())
        if isinstance(node, ast.Name) and node.id in CONSTANTS:
            local[node.id] = dtype.type(CONSTANTS[node.id])
        return node

    assigned: dict[str, ast.expr] = {}

    def inlined(node: ast.AST) -> ast.AST:
        return assigned.get(node.id, node) if isinstance(node, ast.Name) else node

    for assignment in before:
        name, value = assignment.split(" = ", 1)
        assigned[name] = ast.parse(_rewritten(value, inlined), mode="eval").body
    first, *others = (_rewritten(_rewritten(r, inlined), typed) for r in results)
    call = "evaluate({!r}, local_dict=local, global_dict={{}}{})"
    calls = [call.format(first, ", out=out"), *(call.format(f"sum({s})", "") for s in others)]
    return [(", ".join(calls), {**names, "evaluate": numexpr.evaluate, "local": local})]


# ---------------------------------------------------------------------- models
def _onnxruntime(function: str, operation: str, names: dict[str, Any], threads: int) -> list[_Contender]:
    if operation == "backward" or function not in ONNX:
        return []
    ort = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    options.add_session_config_entry(
        "session.force_spinning_stop", "1"
    )  # after a run, not while the next waits
    model = onnx_model(ONNX[function], names["x"])
    try:
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if type(error).__name__ in ("NotImplemented", "InvalidGraph"):  # no kernel of this dtype
            return []
        raise
    binding = session.io_binding()
    for bind, name in ((binding.bind_input, "x"), (binding.bind_output, "out")):
        a = names[name]
        bind(name, "cpu", 0, a.dtype, a.shape, a.ctypes.data)
    statement = f"session.run_with_iobinding(binding)  # {ONNX[function]}"
    return [(statement, {**names, "session": session, "binding": binding})]


def _openvino(function: str, operation: str, names: dict[str, Any], threads: int) -> list[_Contender]:
    if operation == "backward" or function not in ONNX or names["x"].dtype != np.float32:
        return []  # the CPU plugin computes float64 as float32
    ov = importlib.import_module("openvino")
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",  # bfloat16 else, where the processor has it
    }
    core = ov.Core()
    model = core.read_model(onnx_model(ONNX[function], names["x"]))
    request = core.compile_model(model, "CPU", options).create_infer_request()
    request.set_input_tensor(ov.Tensor(names["x"], shared_memory=True))
    request.set_output_tensor(ov.Tensor(names["out"], shared_memory=True))
    statement = f"request.infer(share_outputs=True)  # {ONNX[function]}"
    return [(statement, {**names, "request": request, "result": lambda: names["out"]})]


def _litert(function: str, operation: str, names: dict[str, Any], threads: int) -> list[_Contender]:
    if operation == "backward" or function not in LITERT or names["x"].dtype != np.float32:
        return []
    module = importlib.import_module("ai_edge_litert.interpreter")
    model = litert_model(LITERT[function], names["x"])
    with _quiet_stderr():  # it announces XNNPACK
        interpreter = module.Interpreter(model_content=model, num_threads=threads)
        interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], names["x"])
    view = interpreter.tensor(interpreter.get_output_details()[0]["index"])
    statement = f"interpreter.invoke()  # {LITERT[function]}"
    return [(statement, {**names, "interpreter": interpreter, "result": lambda: view().copy()})]


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """No output on standard error, not even from C."""
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


_MAKERS = {
    "torch_compile": _torch_compile,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "litert": _litert,
    "numexpr": _numexpr,
    "numba": _numba,
}
