"""NumPy functions that behave as ufuncs: what the NumPy backend and `register` run on.

`UFunc` gives a plain NumPy function the call of a ufunc (``out``, ``where``, ``dtype``,
``casting``, ``order``, broadcasting, overlap, subclasses, ``__array_ufunc__``) by letting
the last step, the store, be done by a real ufunc.  Computes in float64, rounds once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["RowUFunc", "UFunc"]

#: Input types that give float64, as in the compiled loops.
_EXACT = "?bBhHiIlLqQ"


def result_dtype(name: str, arrays: list[Any]) -> np.dtype:
    """The dtype that float arrays, integers and booleans give together, or TypeError."""
    kinds = []
    for a in arrays:
        dtype = a if isinstance(a, np.dtype) else a.dtype
        if dtype.char in _EXACT:
            kinds.append(np.dtype(np.float64))
        elif dtype.char in "efd":
            kinds.append(dtype.newbyteorder("="))
        else:
            raise TypeError(f"{name}: dtype {dtype} is not supported; use float16, float32 or float64")
    return np.result_type(*kinds)


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
                raise ValueError(f"{self.__name__}: 'out' must have {self.nout} entries")
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

    def _store(self, value: Any, out: Any, kwargs: dict[str, Any]) -> Any:
        """Let a real ufunc check `out`, `where` and `casting` and write the result."""
        try:
            return np.positive(value, out=out, **kwargs)
        except TypeError as error:
            raise TypeError(str(error).replace("positive", self.__name__)) from None


class UFunc(_Duck):
    """An elementwise `function` of float64 arrays, returning `nout` arrays, as a ufunc.

    The first `nin` - `nparams` inputs decide the result's dtype; parameters do not.
    """

    def __init__(
        self, name: str, nin: int, nout: int, nparams: int, function: Callable[..., Any]
    ) -> None:
        super().__init__(name, nin, nout, function)
        self._nparams = nparams

    def __call__(
        self, *args: Any, out: Any = None, where: Any = True, dtype: Any = None,
        casting: Any = "same_kind", order: str = "K", subok: bool = True,
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
        originals = [np.asanyarray(a) for a in inputs]
        # Python numbers are weak (NEP 50): they do not decide the dtype beside an array
        strong = [
            a
            for a, i in zip(originals, inputs[: self.nin - self._nparams])
            if not isinstance(i, (bool, int, float))
        ]
        kind = result_dtype(self.__name__, strong or originals[:1])
        if dtype is not None:
            kind = result_dtype(self.__name__, [np.dtype(dtype)])
        arrays = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in originals))
        with np.errstate(all="ignore"):
            values = self._function(*arrays)
            values = values if isinstance(values, tuple) else (values,)
            values = [np.asarray(v).astype(kind, order=order, copy=False) for v in values]
        wrapper = max(
            (a for a in originals if type(a) is not np.ndarray),
            key=lambda a: a.__array_priority__,
            default=None,
        )
        kwargs = {"where": where, "casting": casting, "order": order}
        if len(values) > 1 and any(o is not None for o in outputs):
            for v, o in zip(values, outputs):  # all are checked before any is written
                if o is not None:
                    self._store(v, np.empty_like(o) if o.flags.writeable else o, kwargs)
        results = []
        for v, o in zip(values, outputs):
            if o is not None:
                results.append(self._store(v, o, kwargs))
            elif wrapper is not None and subok:
                plain = self._store(v, None, kwargs)
                results.append(wrapper.__array_wrap__(np.asarray(plain), (self, inputs, len(results))))
            else:
                results.append(self._store(v, None, kwargs))
        return results[0] if self.nout == 1 else tuple(results)


class RowUFunc(_Duck):
    """A `function` of rows along the last axis as a generalised ufunc with ``axis=``."""

    def __init__(self, name: str, nin: int, function: Callable[..., Any]) -> None:
        super().__init__(name, nin, 1, function)
        self.signature = ",".join(["(n)"] * nin) + "->(n)"

    def __call__(
        self, *args: Any, out: Any = None, axis: int = -1, dtype: Any = None,
        casting: Any = "same_kind", order: str = "K",
    ) -> Any:
        inputs, outputs = self._split(args, out)
        given = {"axis": axis} | ({} if dtype is None else {"dtype": dtype})
        result = self._override(inputs, outputs, given)
        if result is not NotImplemented:
            return result
        arrays = [np.asarray(a) for a in inputs]
        kind = result_dtype(self.__name__, [np.dtype(dtype)] if dtype is not None else arrays)
        if len({a.shape for a in arrays}) > 1:
            arrays = list(np.broadcast_arrays(*arrays))
        rows = [np.moveaxis(np.asarray(a, np.float64), axis, -1) for a in arrays]
        if rows[0].size == 0:
            value = np.empty(rows[0].shape)
        else:
            with np.errstate(all="ignore"):
                value = self._function(*rows)
        value = np.moveaxis(value, -1, axis).astype(kind, order=order, copy=False)
        return self._store(value, outputs[0], {"casting": casting, "order": order})
