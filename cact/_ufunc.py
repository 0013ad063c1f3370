"""NumPy functions that behave as ufuncs: what the NumPy backend and `register` run on.

`UFunc` gives a plain NumPy function the call of a ufunc (``out``, ``where``, ``dtype``,
``casting``, ``order``, broadcasting, overlap, subclasses, ``__array_ufunc__``) by letting
a real ufunc, `np.positive`, cast what goes in and store what comes out.  Between, it
computes in float64, without warnings, and rounds once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Check", "Output", "RowUFunc", "UFunc", "is_foreign", "is_real", "result_dtype"]

#: Input types that give float64, as in the compiled loops.
_EXACT = "?bBhHiIlLqQ"

#: NumPy's own types that functions take.
NUMPY_TYPES = _EXACT + "efd"


def result_dtype(name: str, arrays: list[Any]) -> np.dtype:
    """The dtype that float arrays, integers and booleans give together, or TypeError."""
    kinds = []
    for a in arrays:
        dtype = a if isinstance(a, np.dtype) else a.dtype
        if dtype.char in _EXACT:
            kinds.append(np.dtype(np.float64))
        elif is_real(dtype):
            kinds.append(dtype.newbyteorder("="))
        else:
            raise TypeError(
                f"{name}: dtype {dtype} is not supported; use float16, bfloat16, float32 or float64"
            )
    if len(set(kinds)) > 1 and all(k.itemsize == 2 for k in kinds):
        return np.dtype(np.float32)  # of float16 and bfloat16 neither holds the other
    return np.result_type(*kinds)


def is_foreign(x: Any) -> bool:
    """Whether x is an array of another library, which computes with it by ``__array_ufunc__``."""
    return hasattr(x, "__array_ufunc__") and not isinstance(x, (np.ndarray, np.generic))


def is_real(dtype: np.dtype) -> bool:
    """Whether results may be of this dtype; bfloat16 is ml_dtypes', known by its name."""
    return dtype.char in "efd" or dtype.name == "bfloat16"


def rounded(values: np.ndarray[Any, Any], kind: np.dtype, order: Any = "K") -> Any:
    """float64 in another dtype, rounded once."""
    if kind.name == "bfloat16":  # by way of float32, rounded to odd
        single = values.astype(np.float32)
        bits = single.view(np.uint32)
        inexact = (single.astype(np.float64) != values) & ~np.isnan(values)
        bits -= inexact & (np.abs(single.astype(np.float64)) > np.abs(values))
        bits |= inexact
        values = single
    return values.astype(kind, order=order, copy=False)


class _Duck:
    """The part of a ufunc that other array libraries ask for."""

    signature: str | None = None

    def __init__(self, name: str, nin: int, nout: int, function: Callable[..., Any]) -> None:
        self.__name__ = name
        self.nin, self.nout, self.nargs = nin, nout, nin + nout
        self._function = function

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.__name__!r}>"

    def _split(self, args: tuple[Any, ...], out: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Inputs and outputs, as a ufunc sorts its arguments."""
        if not self.nin <= len(args) <= self.nargs:
            raise TypeError(
                f"{self.__name__}() takes from {self.nin} to {self.nargs} positional arguments"
                f" but {len(args)} were given"
            )
        inputs, outputs = args[: self.nin], args[self.nin :]
        if out is not None:
            if outputs:
                raise TypeError("cannot specify 'out' as both a positional and keyword argument")
            outputs = out if isinstance(out, tuple) else (out,)
            if len(outputs) != self.nout:
                raise ValueError(f"{self.__name__}: the 'out' tuple must have {self.nout} entries")
        outputs += (None,) * (self.nout - len(outputs))
        for o in outputs:
            if o is not None and not hasattr(o, "__array_ufunc__"):
                raise TypeError(f"{self.__name__}: return arrays must be of ArrayType")
        return inputs, outputs

    def _override(self, inputs: tuple[Any, ...], outputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Ask the arguments' own ``__array_ufunc__`` (NEP 13); NotImplemented if none has one."""
        asked: list[type] = []
        for a in (*inputs, *outputs):
            kind = type(a)
            if kind is np.ndarray or kind in asked:
                continue
            method = getattr(kind, "__array_ufunc__", np.ndarray.__array_ufunc__)
            if method is np.ndarray.__array_ufunc__:
                continue
            if method is None:
                raise TypeError(f"operand {kind.__name__!r} does not support ufuncs (__array_ufunc__=None)")
            asked.append(kind)
            given = dict(kwargs)
            if any(o is not None for o in outputs):
                given["out"] = outputs
            result = a.__array_ufunc__(self, "__call__", *inputs, **given)
            if result is not NotImplemented:
                return result
        if asked:
            raise TypeError(
                f"operand type(s) all returned NotImplemented from __array_ufunc__ of {self.__name__}: "
                + ", ".join(k.__name__ for k in asked)
            )
        return NotImplemented

    def _positive(self, value: Any, **kwargs: Any) -> Any:
        """A copy by a real ufunc, which checks `out`, `where`, `casting`, and what it casts to."""
        try:
            return np.positive(value, **kwargs)
        except TypeError as error:
            raise TypeError(str(error).replace("positive", self.__name__)) from None

    def _loop(self, arrays: list[Any], dtype: Any, casting: Any) -> tuple[np.dtype, list[Any]]:
        """The dtype that a ufunc would compute in, and the arrays cast to it, as float64."""
        kind = result_dtype(self.__name__, arrays)
        if dtype is not None:
            kind = np.dtype(dtype)
            if not is_real(kind) or not kind.isnative:
                raise TypeError(
                    f"{self.__name__}: dtype {kind} is not supported;"
                    " use float16, bfloat16, float32 or float64"
                )
        loop = []
        for a in arrays:
            exact = a.dtype.char in _EXACT and kind == np.float64  # a loop of its own, so nothing is cast
            if a.dtype != kind and not exact:
                a = self._positive(a, dtype=kind, casting=casting)
            loop.append(np.asarray(a if a.dtype == np.float64 else np.positive(a, dtype=np.float64)))
        return kind, loop

    def _finish(
        self, values: list[Any], inputs: tuple[Any, ...], outputs: tuple[Any, ...], subok: bool, kwargs: Any
    ) -> Any:
        """The values in `outputs`, in new arrays, or as the inputs' subclass has them."""
        if len(values) > 1:
            for v, o in zip(values, outputs):  # all are checked before any is written
                if o is not None:
                    self._positive(v, out=np.empty_like(o) if o.flags.writeable else o, **kwargs)
        wrapper = max(
            (a for a in map(np.asanyarray, inputs) if type(a) is not np.ndarray),
            key=lambda a: a.__array_priority__,
            default=None,
        )
        results: list[Any] = []
        for v, o in zip(values, outputs):
            result = self._positive(v, out=o, **kwargs)
            if o is None and wrapper is not None and subok:
                result = wrapper.__array_wrap__(np.asarray(result), (self, inputs, len(results)))
            results.append(result)
        return results[0] if self.nout == 1 else tuple(results)


class Check(_Duck):
    """A check of one array as a ufunc, which returns it as float64 or raises.

    So another library's array is checked by its own means: a lazy one when it is computed.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        super().__init__(name, 1, 1, function)

    def __call__(self, value: Any, dtype: Any = np.float64) -> Any:
        # with a dtype dask does not try the function on numbers of its own to find one
        result = self._override((value,), (), {"dtype": dtype})
        return self._function(value) if result is NotImplemented else result


class Output(_Duck):
    """One output of a ufunc that has several, for libraries that take functions of one only (dask)."""

    def __init__(self, function: Any, index: int) -> None:
        super().__init__(function.__name__, function.nin, 1, function)
        self._index = index

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self._override(args, (), kwargs)
        return self._function(*args, **kwargs)[self._index] if result is NotImplemented else result


class UFunc(_Duck):
    """An elementwise `function` as a ufunc: of float64 arrays, to `nout` arrays of their common shape.

    The first input decides the result's dtype; the others are parameters, which do not.
    """

    def __call__(
        self,
        *args: Any,
        out: Any = None,
        where: Any = True,
        dtype: Any = None,
        casting: Any = "same_kind",
        order: Any = "K",
        subok: bool = True,
    ) -> Any:
        inputs, outputs = self._split(args, out)
        given = {
            k: v
            for k, v in dict(where=where, dtype=dtype, casting=casting, order=order, subok=subok).items()
            if v is not {"where": True, "casting": "same_kind", "order": "K", "subok": True}.get(k)
        }
        result = self._override(inputs, outputs, given)
        if result is not NotImplemented:
            return result
        with np.errstate(all="ignore"):
            kind, arrays = self._loop([np.asarray(inputs[0])], dtype, casting)
            arrays += [np.asarray(p, np.float64) for p in inputs[1:]]
            values = self._function(*arrays)
            values = values if isinstance(values, tuple) else (values,)
            values = [rounded(np.asarray(v, np.float64), kind, order) for v in values]
            return self._finish(
                values, inputs, outputs, subok, {"where": where, "casting": casting, "order": order}
            )


class RowUFunc(_Duck):
    """A `function` of rows along the last axis as a generalised ufunc with ``axis=``."""

    def __init__(self, name: str, nin: int, function: Callable[..., Any]) -> None:
        super().__init__(name, nin, 1, function)
        self.signature = ",".join(["(n)"] * nin) + "->(n)"

    def __call__(
        self,
        *args: Any,
        out: Any = None,
        axis: int = -1,
        dtype: Any = None,
        casting: Any = "same_kind",
        order: Any = "K",
    ) -> Any:
        inputs, outputs = self._split(args, out)
        given = {"axis": axis} | ({} if dtype is None else {"dtype": dtype})
        result = self._override(inputs, outputs, given)
        if result is not NotImplemented:
            return result
        with np.errstate(all="ignore"):
            kind, arrays = self._loop([np.asarray(a) for a in inputs], dtype, casting)
            rows = [np.moveaxis(a, axis, -1) for a in arrays]
            if len({r.shape[-1] for r in rows}) > 1:
                raise ValueError(
                    f"{self.__name__}: operands of shapes {', '.join(str(a.shape) for a in arrays)}"
                    f" differ along axis {axis}"
                )
            value = rounded(np.moveaxis(self._function(*rows), -1, axis), kind, order)
            return self._finish([value], inputs, outputs, True, {"casting": casting, "order": order})
