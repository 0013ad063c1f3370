"""Which code runs: the compiled kernels or NumPy, joined to the Python records by name."""

from __future__ import annotations

import functools
import importlib
import os
import platform
import sys
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
            join(RECORDS, _kernels.inventory())
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
            f"{name}: a Python record in cact/_formulas.py, but no C kernels;"
            f' add src_c/act/{name}.h and #include "act/{name}.h" to src_c/activations.h, then rebuild'
            for name in records.keys() - inventory.keys()
        ]
        + [
            f"{name}: C kernels in src_c/act/{name}.h, but no Python record; add one to cact/_formulas.py"
            for name in inventory.keys() - records.keys()
        ]
        + [
            f"{name}: {inventory[name]} parameter(s) in src_c/act/{name}.h,"
            f" {len(records[name].defaults)} in cact/_formulas.py"
            for name in records.keys() & inventory.keys()
            if len(records[name].defaults) != inventory[name]
        ]
    )
    if problems:
        raise ImportError("cact: C kernels and Python records differ\n  " + "\n  ".join(sorted(problems)))


def numpy_functions(record: Record) -> dict[str, Any]:
    """The ufunc-like functions of a record on NumPy alone, by operation."""
    pair, n, name = record.pair, len(record.defaults), record.name
    if record.row_backward is not None:
        return {
            "forward": RowUFunc(name, 1, pair),
            "backward": RowUFunc(f"{name}_backward", 2, record.row_backward),
        }

    def parts(x: Any, *params: Any) -> list[Any]:
        total = sum(params, x)  # NaN where one of them is, and of the shape of all
        return [np.where(np.isnan(total), total, part) for part in pair(x, *params)]

    functions: dict[str, Any] = {
        "forward": UFunc(name, 1 + n, 1, lambda *a: parts(*a)[0]),
        "grad": UFunc(f"{name}_grad", 1 + n, 1, lambda *a: parts(*a)[1]),
        "value_and_grad": UFunc(f"{name}_value_and_grad", 1 + n, 2, lambda *a: tuple(parts(*a)[:2])),
    }
    functions["backward"] = functools.partial(multiply, f"{name}_backward", functions["grad"])
    if record.learnable:
        functions["param_grad"] = UFunc(f"{name}_param_grad", 1 + n, n, lambda *a: tuple(parts(*a)[2:]))
    return functions


def multiply(name: str, grad: Any, dy: Any, x: Any, *params: Any, **kwargs: Any) -> Any:
    """dy*f'(x), with f' rounded first: the same bits as ``dy * f.grad(x)``."""
    with np.errstate(all="ignore"):
        dy = dy if hasattr(dy, "__array_ufunc__") or isinstance(dy, (int, float)) else np.asanyarray(dy)
        loop = {k: kwargs[k] for k in ("dtype", "casting") if k in kwargs}
        try:
            return np.multiply(dy, grad(x, *params, **loop), **kwargs)
        except TypeError as error:
            raise TypeError(str(error).replace("'multiply'", repr(name))) from None


def functions(record: Record) -> dict[str, dict[str, Any]]:
    """``{backend: {operation: ufunc}}`` of a record."""
    table = {"numpy": numpy_functions(record)}
    if compiled is not None and record.name in compiled.inventory():
        table["c"] = compiled.ufuncs(record.name)
    else:
        table["c"] = table["numpy"]
    return table


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
        machine can run), ``threads``, and ``versions`` of cact, Python, NumPy and, where the
        extension is loaded, the compiler and Cython that built it.
    """
    from . import __version__

    versions = {"cact": __version__, "python": platform.python_version(), "numpy": np.__version__}
    if compiled is not None:
        versions |= compiled.build_info()
    return {
        "backend": _active,
        "why_not_c": why_not or None,
        "isa": compiled.isa() if compiled is not None and _active == "c" else None,
        "isas": list(compiled.isas()) if compiled is not None else [],
        "threads": compiled.get_threads() if compiled is not None and _active == "c" else 1,
        "versions": versions,
        "platform": f"{platform.system()} {platform.machine()}, {sys.implementation.name}",
    }


_load()
