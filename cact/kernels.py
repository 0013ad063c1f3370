"""The kernels on contiguous buffers: no allocation, no conversion, the GIL released.

For every elementwise activation there are ``<name>_forward(x, y)``, ``<name>_grad(x, g)``,
``<name>_backward(dy, x, dx)`` and ``<name>_value_and_grad(x, y, g)``.  Arguments are C-contiguous
one-dimensional buffers of float32 or float64 (arrays, memoryviews, ``array.array``), all of one type and
length; an output may be the same buffer as an input.  Parameters are keywords.

From Cython, without the GIL::

    from cact.kernels cimport find, forward_float

    cdef int gelu = find("gelu")
    forward_float(gelu, x, y)          # const float[::1], float[::1], default parameters

Raises
------
TypeError
    For None, or a wrong number of buffers.
ValueError
    For unequal lengths, other types, buffers that are not contiguous or not aligned, a read-only output,
    buffers that overlap without being the same.  Nothing has been written then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _backend
from ._registry import RECORDS, Record, check_parameter

__all__ = ["OPERATIONS"]

#: Operation -> its buffers, inputs before the semicolon.
OPERATIONS = {"forward": "x;y", "grad": "x;g", "backward": "dy,x;dx", "value_and_grad": "x;y,g"}


class _NumpyKernel:
    """The same call on the NumPy backend."""

    def __init__(self, record: Record, operation: str) -> None:
        self.__name__ = f"{record.name}_{operation}"
        self._record = record
        self._function = _backend.numpy_function(record, operation)
        self._inputs, self._outputs = (s.count(",") + 1 for s in OPERATIONS[operation].split(";"))

    def __repr__(self) -> str:
        return f"<cact kernel {self.__name__} on NumPy>"

    def checked(self, params: dict[str, Any]) -> dict[str, float]:
        """All parameters, those given checked as in a call of the activation."""
        unknown = params.keys() - self._record.defaults.keys()
        if unknown:
            raise TypeError(f"{self.__name__}: unknown parameter {sorted(unknown)[0]!r}")
        values = {**self._record.defaults}
        for key, value in params.items():
            values[key] = check_parameter(self._record, key, value)
            if np.ndim(values[key]):
                raise TypeError(f"{self.__name__}: {key} must be one number")
        return values

    def __call__(self, *buffers: Any, **params: float) -> None:
        if len(buffers) != self._inputs + self._outputs:
            raise TypeError(
                f"{self.__name__} takes {self._inputs + self._outputs} buffers, got {len(buffers)}"
            )
        if any(b is None for b in buffers):
            raise TypeError(f"{self.__name__}: a buffer is None")
        values = self.checked(params).values()
        try:
            arrays = [np.asarray(memoryview(b)) for b in buffers]
        except TypeError as error:
            raise TypeError(f"{self.__name__}: {error}") from None
        outputs = arrays[self._inputs :]
        for a in arrays:
            if a.dtype not in (np.float32, np.float64) or a.dtype != arrays[0].dtype:
                raise ValueError(
                    f"{self.__name__}: buffers must all be float32 or all float64, got {a.dtype}"
                )
            if a.ndim != 1 or not a.flags.c_contiguous or not a.flags.aligned:
                raise ValueError(f"{self.__name__}: buffers must be contiguous, aligned and one-dimensional")
            if a.size != arrays[0].size:
                raise ValueError(
                    f"{self.__name__}: buffers must have the same length, got {arrays[0].size} and {a.size}"
                )
        for i, out in enumerate(outputs):
            if not out.flags.writeable:
                raise ValueError(f"{self.__name__}: buffer source array is read-only")
            for a in arrays[: self._inputs] + outputs[:i]:
                if np.may_share_memory(a, out) and (a.ctypes.data != out.ctypes.data or a is outputs[0]):
                    raise ValueError(f"{self.__name__}: buffers overlap without being the same")
        result = self._function(*arrays[: self._inputs], *values)
        for out, value in zip(outputs, result if isinstance(result, tuple) else (result,)):
            out[...] = value


def _make(record: Record, operation: str) -> Callable[..., None]:
    on_numpy = _NumpyKernel(record, operation)
    if _backend.compiled is None:
        return on_numpy
    kernel: Callable[..., None] = _backend.compiled.Kernel(
        record.name, operation, dict(record.defaults), on_numpy
    )
    return kernel


for _record in list(RECORDS.values()):
    if _record.elementwise and not _record.registered:
        for _operation in OPERATIONS:
            globals()[f"{_record.name}_{_operation}"] = _make(_record, _operation)
            __all__.append(f"{_record.name}_{_operation}")
        if _backend.compiled is not None:
            _backend.compiled.set_defaults(_record.name, tuple(_record.defaults.values()))

if _backend.compiled is not None:
    # where Cython looks for what `from cact.kernels cimport ...` names
    __pyx_capi__ = _backend.compiled.__pyx_capi__


def __getattr__(name: str) -> Any:
    raise AttributeError(f"no kernel {name!r}; there are <name>_{', <name>_'.join(OPERATIONS)}")
