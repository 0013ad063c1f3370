"""Which code runs: the compiled kernels or NumPy, joined to the Python records by name."""

from __future__ import annotations

import functools
import importlib
import os
import platform
import sys
import threading
from types import TracebackType
from typing import Any

import numpy as np

from . import _formulas  # noqa: F401  (fills the registry)
from ._registry import RECORDS, Record
from ._ufunc import RowUFunc, UFunc

__all__ = ["active", "compiled", "functions", "info", "use_backend"]

#: The extension module, or None; then `why_not` says why.
compiled: Any = None
why_not = ""
_active = "numpy"


def _load() -> None:
    global compiled, why_not, _active
    wanted = os.environ.get("CACT_BACKEND", "")
    if wanted not in ("", "c", "numpy"):
        raise ImportError(f"CACT_BACKEND must be 'c' or 'numpy', got {wanted!r}")
    if wanted == "numpy":
        why_not = "CACT_BACKEND=numpy"
        return
    try:
        _kernels = importlib.import_module(f"{__package__}._kernels")
    except ModuleNotFoundError as error:
        if error.name != f"{__package__}._kernels":
            raise
        why_not = "the compiled extension is not installed (built without a C compiler?)"
    else:
        if _kernels.isa() is None:
            why_not = "this CPU or operating system lacks every instruction set of the extension"
        else:
            join({n: r for n, r in RECORDS.items() if not r.gate}, _kernels.inventory())
            isa = os.environ.get("CACT_ISA")
            if isa:
                try:
                    _kernels.set_isa(isa)
                except ValueError as error:
                    raise ImportError(f"CACT_ISA: {error}") from None
            compiled = _kernels
            _active = "c"
    if wanted == "c" and compiled is None:
        raise ImportError(f"CACT_BACKEND=c, but {why_not}")


def join(records: dict[str, Record], inventory: dict[str, int]) -> None:
    """Check that C rows and Python records name the same functions, parameters and all."""
    problems = (
        [
            f"{name}: a Python record in cact/_formulas/, but no C kernels;"
            f' add src_c/act/{name}.h and #include "act/{name}.h" to src_c/activations.h, then rebuild'
            for name in records.keys() - inventory.keys()
        ]
        + [
            f"{name}: C kernels in src_c/act/{name}.h, but no Python record; add one to cact/_formulas/"
            for name in inventory.keys() - records.keys()
        ]
        + [
            f"{name}: {inventory[name]} parameter(s) in src_c/act/{name}.h,"
            f" {len(records[name].defaults)} in cact/_formulas/"
            for name in records.keys() & inventory.keys()
            if len(records[name].defaults) != inventory[name]
        ]
    )
    if problems:
        raise ImportError("cact: C kernels and Python records differ\n  " + "\n  ".join(sorted(problems)))


def numpy_function(record: Record, operation: str) -> Any:
    """One operation of a record on NumPy alone, called like a ufunc; None if it has none."""
    pair, n = record.pair, len(record.defaults)
    name = record.name if operation == "forward" else f"{record.name}_{operation}"
    if record.row_backward is not None:
        rows = {"forward": (1, pair), "backward": (2, record.row_backward)}
        return RowUFunc(name, *rows[operation]) if operation in rows else None
    if record.gate or record.pieces:
        return None

    def with_nan(part: Any, *args: Any) -> Any:
        total = sum(args)  # NaN where one of them is, and of the shape of all
        return np.where(np.isnan(total), total, part)

    def parts(*args: Any) -> list[Any]:
        return [with_nan(part, *args) for part in pair(*args)]

    if operation == "forward":
        return UFunc(name, 1 + n, 1, lambda *a: parts(*a)[0])
    if operation == "grad":
        return UFunc(name, 1 + n, 1, lambda *a: parts(*a)[1])
    if operation == "value_and_grad":
        return UFunc(name, 1 + n, 2, lambda *a: tuple(parts(*a)[:2]))
    if operation == "param_grad":
        return UFunc(name, 1 + n, n, lambda *a: tuple(parts(*a)[2:])) if record.learnable else None
    if operation == "grad_from_output" and record.from_output is not None:
        from_output = record.from_output
        return UFunc(name, 1 + n, 1, lambda *a: with_nan(from_output(*a), *a))
    factors = {"backward": "grad", "backward_from_output": "grad_from_output", "gate": "forward"}
    if operation in factors:
        factor = numpy_function(record, factors[operation])
        return factor and functools.partial(multiply, name, factor)
    if operation == "gate_backward":
        forward, grad = numpy_function(record, "forward"), numpy_function(record, "grad")
        return functools.partial(_gate_backward, name, forward, grad)
    return None


def _gate_backward(name: str, forward: Any, grad: Any, dy: Any, a: Any, b: Any, out: Any = None) -> Any:
    """dy*f(b) and dy*(a*f'(b))."""
    da = multiply(name, forward, dy, b)
    db = multiply(name, lambda _: multiply(name, grad, a, b), dy, b)
    if out is None:
        return da, db
    with np.errstate(all="ignore"):
        return tuple(
            d if o is None else np.positive(d, out=o, casting="same_kind") for d, o in zip((da, db), out)
        )


def multiply(name: str, grad: Any, dy: Any, x: Any, *params: Any, **kwargs: Any) -> Any:
    """dy*f'(x), with f' rounded first: the same bits as ``dy * f.grad(x)``."""
    with np.errstate(all="ignore"):
        dy = dy if hasattr(dy, "__array_ufunc__") or isinstance(dy, (int, float)) else np.asanyarray(dy)
        loop = {k: kwargs[k] for k in ("dtype", "casting") if k in kwargs}
        try:
            return np.multiply(dy, grad(x, *params, **loop), **kwargs)
        except TypeError as error:
            raise TypeError(str(error).replace("'multiply'", repr(name))) from None


class Operations(dict[str, Any]):
    """The operations of a record on one backend, each made when it is first asked for; None: not there."""

    def __init__(self, record: Record, backend: str) -> None:
        self._record = record
        self.in_c = backend == "c" and compiled is not None and record.name in compiled.inventory()

    def __missing__(self, operation: str) -> Any:
        with _lock:
            if operation not in self:  # another thread may have made it meanwhile
                self[operation] = self._make(operation)
            return self[operation]

    def _make(self, operation: str) -> Any:
        if not self.in_c:
            return numpy_function(self._record, operation)
        function = compiled.ufunc(self._record.name, operation)
        if function is not None:
            _made.append((function, self._record.name, operation))
            if _bfloat16 is not None:
                compiled.add_bfloat16(*_made[-1], _bfloat16)
        return function


#: Guards what is made once: the ufuncs, and their loops for bfloat16.
_lock = threading.RLock()
_made: list[tuple[Any, str, str]] = []
_bfloat16: np.dtype | None = None


def know_bfloat16(dtype: np.dtype) -> None:
    """Let the compiled ufuncs take this dtype, ml_dtypes' bfloat16, from now on."""
    global _bfloat16
    if _bfloat16 is not None:
        return
    with _lock:
        if _bfloat16 is None:
            for entry in _made:
                compiled.add_bfloat16(*entry, dtype)
            _bfloat16 = dtype  # last: who sees it may use the loops


def functions(record: Record) -> dict[str, Operations]:
    """``{backend: {operation: ufunc}}`` of a record."""
    return {backend: Operations(record, backend) for backend in ("numpy", "c")}


def active() -> str:
    """The backend in use: "c" or "numpy"."""
    return _active


class use_backend:
    """Choose what computes: ``"c"`` (the compiled kernels) or ``"numpy"``.

    Takes effect at once, for the whole process; as a context manager it puts the former
    choice back at the end.

    Parameters
    ----------
    backend : {"c", "numpy"}

    Raises
    ------
    ValueError
        If there is no such backend.
    RuntimeError
        If the compiled kernels cannot be used here; the message says why.
    """

    def __init__(self, backend: str) -> None:
        global _active
        if backend not in ("c", "numpy"):
            raise ValueError(f"backend must be 'c' or 'numpy', got {backend!r}")
        if backend == "c" and compiled is None:
            raise RuntimeError(f"the C backend cannot be used: {why_not}")
        self._former = _active
        _set(backend)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _set(self._former)


def _set(backend: str) -> None:
    global _active
    _active = backend
    if compiled is not None:
        compiled.enable(backend == "c")


def info() -> dict[str, Any]:
    """What runs here.

    Returns
    -------
    dict
        ``backend`` ("c" or "numpy"), ``why_not_c`` (the reason where the kernels cannot be
        used, else None), ``isa`` (the instruction set in use, or None), ``isas`` (those this
        machine can run), ``threads``, ``versions`` of cact, Python, NumPy and, where the
        extension is loaded, the compiler and Cython that built it, and ``blas``: the libraries
        behind NumPy's matrix products, each with its ``kernels``, ``threads`` and, where those
        kernels are below what the processor has, what is ``below`` (None without threadpoolctl).
    """
    from . import __version__
    from ._blas import describe

    versions = {"cact": __version__, "python": platform.python_version(), "numpy": np.__version__}
    if compiled is not None:
        versions |= compiled.build_info()
    isas = list(compiled.isas()) if compiled is not None else []
    return {
        "backend": _active,
        "why_not_c": why_not or None,
        "isa": compiled.isa() if compiled is not None and _active == "c" else None,
        "isas": isas,
        "threads": compiled.get_threads() if compiled is not None and _active == "c" else 1,
        "blas": describe(isas),
        "versions": versions,
        "platform": f"{platform.system()} {platform.machine()}, {sys.implementation.name}",
    }


_load()
