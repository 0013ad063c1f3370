"""Functions along an axis: of whole rows (softmax), gated (glu), of pieces (maxout)."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import _backend
from ._activation import Activation, _as_array, _check_apart, _filled, _listed
from ._foreign import across, check_known, kind
from ._registry import Record, find
from ._ufunc import is_foreign, result_dtype

__all__ = ["GatedActivation", "PiecesActivation", "RowActivation", "ShapedActivation"]


def _axis(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: axis must be an integer, got {value!r:.60}") from None


def _check_axis(label: str, axis: int, ndim: int) -> None:
    if not -ndim <= axis < ndim:
        raise ValueError(f"{label}: axis {axis} is out of bounds for an array of dimension {ndim}")


def _single(label: str, out: Any) -> Any:
    """`out`, which may be a tuple of one, as for a ufunc."""
    if not isinstance(out, tuple):
        return out
    if len(out) != 1:
        raise ValueError(f"{label}: out must be one array or a tuple of one, got a tuple of {len(out)}")
    return out[0]


class RowActivation(Activation):
    """A function of whole rows, such as softmax: ``f(x, axis=-1)``, ``backward(dy, y, axis=-1)``."""

    def __init__(
        self, record: Record, bound: Mapping[str, Any], functions: dict[str, _backend.Operations]
    ) -> None:
        super().__init__(record, {"axis": -1, **bound}, functions)

    def _checked(self, key: str, value: Any) -> int:
        return _axis(self.name, value)

    def _apply(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        label = self.name if operation == "forward" else f"{self.name}.{operation}"
        if operation not in ("forward", "backward"):
            raise TypeError(f"{label}: the derivative of a function of rows is a matrix; use backward(dy, y)")
        axis = self._checked("axis", kwargs.pop("axis", self.params["axis"]))
        names = ("x",) if operation == "forward" else ("dy", "y")
        args = _filled(label, names, args, kwargs)
        unknown = kwargs.keys() - {"out", "dtype", "casting", "order"}
        if unknown:
            raise TypeError(f"{label}: unknown keyword {_listed(unknown)}; it has axis")
        inputs, rest = [_as_array(label, a) for a in args[: len(names)]], args[len(names) :]
        if rest and isinstance(rest[0], int):
            raise TypeError(f"{label}: axis is a keyword, write axis={rest[0]!r}")
        for a in inputs:
            _check_axis(label, axis, self._named(label, np.ndim, a))
        out = _single(label, rest[0] if rest else kwargs.get("out"))
        function = self._functions[_backend.active()][operation]
        if any(kind(a) == "xarray" for a in inputs):  # which takes no generalised ufuncs
            if out is not None:
                raise TypeError(f"{label}: out does not go with a DataArray")
            function = functools.partial(self._named, label, function, **kwargs)
            return across(label, function, inputs, axis, np.shape(inputs[-1])[axis])
        shape = self._named(label, np.broadcast_shapes, *map(np.shape, inputs))
        if isinstance(out, np.ndarray) and out.shape != shape:
            raise ValueError(f"{label}: out has shape {out.shape}, the result has {shape}")
        return self._named(label, function, *inputs, *rest, axis=axis, **kwargs)


class ShapedActivation(Activation):
    """What gated functions and those of pieces share: ``f(x, axis=-1)``, ``backward(dy, x, axis=-1)``.

    The result has another length along the axis than x.  `out` may overlap the inputs.  What depends
    on a masked element is masked; dask's arrays become one chunk along the axis; the labels of pandas
    and xarray stay, along the axis only in the derivative.
    """

    def __init__(
        self, record: Record, bound: Mapping[str, Any], functions: dict[str, _backend.Operations]
    ) -> None:
        super().__init__(record, {**bound, "axis": bound.get("axis", -1)}, functions)

    def _checked(self, key: str, value: Any) -> Any:
        return _axis(self.name, value) if key == "axis" else super()._checked(key, value)

    def _apply(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._record.variants:
            chosen, kwargs = self._choose(kwargs)
            if chosen is not self:
                return chosen._apply(operation, args, kwargs)
        label = self.name if operation == "forward" else f"{self.name}.{operation}"
        if operation not in ("forward", "backward"):
            raise TypeError(f"{label}: it works on more than one element; use backward(dy, x)")
        names = ("x",) if operation == "forward" else ("dy", "x")
        params = dict(self.params)
        for key in params.keys() & kwargs.keys():
            params[key] = self._checked(key, kwargs.pop(key))
        args = _filled(label, names, args, kwargs)
        inputs, rest = args[: len(names)], args[len(names) :]
        unknown = kwargs.keys() - {"out"}
        if unknown:
            raise TypeError(f"{label}: unknown keyword {_listed(unknown)}; {self._has()}")
        if len(rest) + len(kwargs) > 1:
            raise TypeError(f"{label}: too many positional arguments; parameters are keywords")
        out = _single(label, rest[0] if rest else kwargs.get("out"))
        arrays = [_as_array(label, a) for a in inputs]
        check_known(label, arrays)
        axis = params.pop("axis")
        _check_axis(label, axis, np.ndim(arrays[-1]))
        return self._along(operation, label, params, *arrays, axis=axis, out=out)

    def _along(
        self,
        operation: str,
        label: str,
        params: Mapping[str, Any],
        *arrays: Any,
        axis: int = -1,
        out: Any = None,
    ) -> Any:
        """One operation along an axis, of arrays of any library that `across` knows."""
        shape = list(np.shape(arrays[-1]))
        n = shape[axis]
        shape[axis] = self._length(label, n, params)
        if operation == "backward":
            if list(np.shape(arrays[0])) != shape:
                raise ValueError(
                    f"{label}: dy has shape {np.shape(arrays[0])}, the output has {tuple(shape)}"
                )
            shape[axis] = n
        if out is not None:
            self._check_out(label, out, tuple(shape), arrays)
        if any(map(kind, arrays)):
            function = functools.partial(self._along, operation, label, params)
            result = across(label, function, arrays, axis, shape[axis])
        else:
            result = self._plain(operation, label, params, arrays, axis, shape, out)
        if out is None:
            return result
        if result is not out:
            with np.errstate(all="ignore"):
                out[...] = result
        return out

    def _plain(
        self,
        operation: str,
        label: str,
        params: Mapping[str, Any],
        arrays: tuple[Any, ...],
        axis: int,
        shape: list[int],
        out: Any,
    ) -> Any:
        """The result, in `out` where that can be written as it is."""
        plain = [np.asarray(a) for a in arrays]
        dtype = result_dtype(label, plain)
        plain = [a.astype(dtype, copy=False) for a in plain]
        direct = (
            out is not None
            and not kind(out)
            and out.dtype == dtype
            and not any(np.may_share_memory(out, a) for a in plain)
        )
        result = np.asarray(out) if direct else np.empty(shape, dtype)
        last = [*plain, result]
        if axis not in (-1, result.ndim - 1):
            last = [np.moveaxis(a, axis, -1) for a in last]
        with np.errstate(all="ignore"):
            self._compute(operation, *last, **params)
        return out if direct else result

    def _check_out(self, label: str, out: Any, shape: tuple[int, ...], arrays: Sequence[Any]) -> None:
        for a in arrays:
            if is_foreign(a):
                raise TypeError(f"{label}: out does not go with a {type(a).__name__}")
        dtype = result_dtype(label, [np.asarray(a) for a in arrays])
        if not isinstance(out, np.ndarray):
            raise TypeError(f"{label}: out must be an ndarray, got {type(out).__name__}")
        if out.shape != shape:
            raise ValueError(f"{label}: out has shape {out.shape}, the result has {shape}")
        if not out.flags.writeable:
            raise ValueError(f"{label}: out is read-only")
        if not np.can_cast(dtype, out.dtype, "same_kind"):
            raise TypeError(f"{label}: out of dtype {out.dtype} cannot hold a result of {dtype}")

    def width(self, n: int) -> int:
        """How many elements the result has along the axis, for n of x; ValueError if n does not fit."""
        return self._length(self.name, n, {k: v for k, v in self.params.items() if k != "axis"})

    def _length(self, label: str, n: int, params: Mapping[str, Any]) -> int:
        """Of the result along the axis, for n elements of x; ValueError if n does not fit."""
        raise NotImplementedError

    def _compute(self, operation: str, *arrays: Any, **params: Any) -> None:
        """From the inputs into the last of the arrays, all along their last axis."""
        raise NotImplementedError


class GatedActivation(ShapedActivation):
    """a*gate(b), a and b the halves of x along an axis, value first: ``f(x, axis=-1)``.

    `out` is a keyword here: two arrays of one shape are taken as ``f(gate, value)``, gate first as
    ONNX has it; then ``backward(dy, gate, value)`` gives ``(dgate, dvalue)``.  The bits are those
    of ``value * g(gate)`` and of its derivatives ``dy * g(gate)`` and ``dy * (value * g.grad(gate))``.
    """

    def __init__(
        self, record: Record, bound: Mapping[str, Any], functions: dict[str, _backend.Operations]
    ) -> None:
        self._choices = find(record.gate).variants
        super().__init__(record, {**{k: v[0] for k, v in self._choices.items()}, **bound}, functions)
        if _backend.compiled is not None:
            chooser = next(iter(self._choices), None)
            self._prepare(self._gate_of(self.params), dict(self.params), 0, chooser, True)

    def _variant(self, key: str, value: Any) -> Activation:
        return self.bind(**{key: value})

    def _checked(self, key: str, value: Any) -> Any:
        if key not in self._choices:
            return super()._checked(key, value)
        choices = self._choices[key][1]
        value = bool(value) if isinstance(value, np.bool_) else value
        if not isinstance(value, (str, bool)) or value not in choices:
            raise ValueError(
                f"{self.name}: {key} must be one of {', '.join(map(repr, choices))}, got {value!r:.60}"
            )
        return value

    def _apply(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        count = 1 if operation == "forward" else 2
        if len(args) == count + 1:
            return self._apart(operation, args, kwargs)
        return super()._apply(operation, args, kwargs)

    def _apart(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Gate and value in two arrays."""
        label = self.name if operation == "forward" else f"{self.name}.{operation}"
        params = dict(self.params)
        if "axis" in kwargs:
            _check_axis(label, self._checked("axis", kwargs["axis"]), np.ndim(args[-1]))
        for key in params.keys() & kwargs.keys():
            params[key] = self._checked(key, kwargs.pop(key))
        unknown = kwargs.keys() - {"out"}
        if unknown:
            raise TypeError(f"{label}: unknown keyword {_listed(unknown)}; {self._has()}")
        out = kwargs.get("out")
        arrays = [_as_array(label, a) for a in args]
        foreign = any(map(is_foreign, arrays))
        if not foreign:
            arrays = [np.asanyarray(a) for a in arrays]
            dtype = result_dtype(label, arrays)
            arrays = [a.astype(dtype, copy=False) for a in arrays]
        *upstream, gate, value = arrays
        shape = np.shape(gate)
        if np.shape(value) != shape:
            raise ValueError(f"{label}: gate and value differ in shape, {shape} and {np.shape(value)}")
        if upstream and np.shape(upstream[0]) != shape:
            raise ValueError(f"{label}: dy has shape {np.shape(upstream[0])}, the output has {shape}")
        functions = self._functions_of(params)
        if operation == "forward":
            out = _single(label, out)
            if out is not None:
                self._check_out(label, out, shape, arrays)
            return self._named(label, functions["gate"], value, gate, **({} if out is None else {"out": out}))
        if foreign and out is None:  # lazy arrays take functions of one result only
            product = self._named(label, functions["backward"], value, gate)
            return np.multiply(upstream[0], product), self._named(label, functions["gate"], upstream[0], gate)
        if out is None:
            out = (None, None)
        elif not isinstance(out, tuple) or len(out) != 2:
            raise TypeError(f"{label}: out must be a tuple of two, for dgate and dvalue")
        for o in out:
            if o is not None:
                self._check_out(label, o, shape, arrays)
        _check_apart(label, out)
        dvalue, dgate = self._named(
            label, functions["gate_backward"], upstream[0], value, gate, out=(out[1], out[0])
        )
        return dgate, dvalue

    def _gate_of(self, params: Mapping[str, Any]) -> str:
        gate = self._record.gate
        for key, (_, choices) in self._choices.items():
            gate = choices[params[key]]
        return gate

    def _functions_of(self, params: Mapping[str, Any]) -> _backend.Operations:
        return _operations(self._gate_of(params))[_backend.active()]

    def _length(self, label: str, n: int, params: Mapping[str, Any]) -> int:
        if n % 2:
            raise ValueError(f"{label}: the axis must have an even length, to be halved, got {n}")
        return n // 2

    def _compute(self, operation: str, *arrays: Any, **params: Any) -> None:
        *upstream, x, out = arrays
        half = x.shape[-1] // 2
        a, b = x[..., :half], x[..., half:]
        functions = self._functions_of(params)
        if operation == "forward":
            functions["gate"](a, b, out=out)
        else:
            functions["gate_backward"](upstream[0], a, b, out=(out[..., :half], out[..., half:]))


@functools.cache
def _operations(gate: str) -> dict[str, _backend.Operations]:
    return _backend.functions(find(gate))


class PiecesActivation(ShapedActivation):
    """maxout, crelu: exact in any dtype, ``f(x, axis=-1)``, ``backward(dy, x, axis=-1)``."""

    def _checked(self, key: str, value: Any) -> Any:
        if key == "axis":
            return super()._checked(key, value)
        try:
            return operator.index(value)
        except TypeError:
            raise TypeError(f"{self.name}: {key} must be an integer, got {value!r:.60}") from None

    def _length(self, label: str, n: int, params: Mapping[str, Any]) -> int:
        assert self._record.pieces is not None
        try:
            return self._record.pieces.length(n, **params)
        except ValueError as error:
            raise ValueError(f"{label}: {error}") from None

    def _compute(self, operation: str, *arrays: Any, **params: Any) -> None:
        assert self._record.pieces is not None
        function: Callable[..., None] = getattr(self._record.pieces, operation)
        function(*arrays, **params)
