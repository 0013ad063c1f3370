"""The public face: `Activation`, and how to get one by name."""

from __future__ import annotations

import functools
import inspect
import math
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _backend
from ._registry import RECORDS, Record, add, check_parameter, find
from ._ufunc import result_dtype

__all__ = ["Activation", "get", "names", "register"]


class _Slow:
    """The calls without the compiled fast path (see `Caller` in `_kernels.pyx`)."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._apply("forward", args, kwargs)

    def grad(self, *args: Any, **kwargs: Any) -> Any:
        return self._apply("grad", args, kwargs)

    def backward(self, *args: Any, **kwargs: Any) -> Any:
        return self._apply("backward", args, kwargs)

    def value_and_grad(self, *args: Any, **kwargs: Any) -> Any:
        return self._apply("value_and_grad", args, kwargs)

    def _prepare(self, name: str | None, values: tuple[Any, ...], learnable: bool) -> None:
        """Nothing to prepare here."""

    def _apply(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError


if TYPE_CHECKING:
    _Caller = _Slow
else:
    _Caller = _Slow if _backend.compiled is None else _backend.compiled.Caller


class Activation(_Caller):
    """An activation function, with its parameters bound.

    Obtained as ``cact.<name>`` or from `cact.get`, not constructed.  Calling it is calling a
    NumPy ufunc: array-likes of any shape and layout, ``out``, ``where``, ``dtype``,
    ``casting`` and ``order`` as there; float16, float32 and float64 keep their dtype,
    integers and booleans give float64.  Parameters are keywords, and may be arrays that
    broadcast against x; they are taken as float64 and never change the result's dtype.

    Methods
    -------
    __call__(x, out=None, **kwargs)
        f(x).
    grad(x, out=None, **kwargs)
        f'(x), from x.
    backward(dy, x, out=None, **kwargs)
        dy*f'(x) in one pass.  Learnable functions take their parameters after x and return
        ``(dx, *dparams)``, each summed to its parameter's shape.
        Functions of rows: ``backward(dy, y, axis=-1)``, from the output y.
    value_and_grad(x, out=None, **kwargs)
        ``(f(x), f'(x))`` in one pass.

    Attributes
    ----------
    name, formula, reference : str
        The canonical name, the definition (which is what the tests evaluate), its source.
    params : mapping of str to float or ndarray
        The parameters bound here.
    aliases, learnable : tuple of str
    range : tuple of float
        Infimum and supremum of f, at the default parameters.
    monotonic, zero_centered, can_die : bool
        f never decreases; abs(E f(z)) < 0.1 for z ~ N(0, 1); f' is 0 on a half line.
    smoothness : float
        How many derivatives are continuous.
    saturates : {None, "left", "both"}
        On which side f' tends to 0.
    gain : float
        1/sqrt(E f(z)^2) for z ~ N(0, 1): the factor that keeps a layer's second moment.

    Raises
    ------
    TypeError
        For complex, longdouble, object, string and datetime input, an `out` that cannot
        hold the result, an unknown keyword.
    ValueError
        For a shape that does not fit, a read-only `out`, a parameter that is NaN or outside
        the function's domain.  Nothing has been written then.
    """

    params: Mapping[str, Any]

    def __init__(
        self, record: Record, bound: Mapping[str, Any], functions: dict[str, dict[str, Any]]
    ) -> None:
        self._record = record
        self._functions = functions
        self.params = MappingProxyType({**record.defaults, **bound})
        self.__doc__ = _docstring(record)
        in_c = functions["c"] is not functions["numpy"]
        self._prepare(record.name if in_c else None, tuple(self.params.values()), bool(record.learnable))

    # ------------------------------------------------------------------ what it is
    @property
    def name(self) -> str:
        return self._record.name

    __name__ = name

    @property
    def formula(self) -> str:
        return self._record.formula

    @property
    def reference(self) -> str:
        return self._record.reference

    @property
    def aliases(self) -> tuple[str, ...]:
        return self._record.aliases

    @property
    def learnable(self) -> tuple[str, ...]:
        return self._record.learnable

    @property
    def range(self) -> tuple[float, float]:
        return self._record.range

    @property
    def monotonic(self) -> bool:
        return self._record.monotonic

    @property
    def zero_centered(self) -> bool:
        return self._record.zero_centered

    @property
    def smoothness(self) -> float:
        return self._record.smoothness

    @property
    def saturates(self) -> str | None:
        return self._record.saturates

    @property
    def can_die(self) -> bool:
        return self._record.can_die

    @functools.cached_property
    def gain(self) -> float:
        if self._record.row_backward is not None:
            return 1.0
        z = np.linspace(-12.0, 12.0, 48001)
        density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        f = self._record.pair(z, *(np.mean(p) for p in self.params.values()))[0]
        second_moment = float(np.sum(f * f * density) * (z[1] - z[0]))
        return 1.0 / math.sqrt(second_moment) if second_moment else math.inf

    @property
    def __signature__(self) -> inspect.Signature:
        kinds = inspect.Parameter
        return inspect.Signature(
            [
                kinds("x", kinds.POSITIONAL_OR_KEYWORD),
                kinds("out", kinds.POSITIONAL_OR_KEYWORD, default=None),
                *(kinds(k, kinds.KEYWORD_ONLY, default=v) for k, v in self.params.items()),
                *(kinds(k, kinds.KEYWORD_ONLY, default=v[0]) for k, v in self._record.variants.items()),
                kinds("kwargs", kinds.VAR_KEYWORD),
            ]
        )

    def __repr__(self) -> str:
        bound = "".join(f", {k}={v!r}" for k, v in self.params.items())
        return f"<cact activation {self.name}{bound}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Activation):
            return NotImplemented
        return self._record is other._record and all(
            np.array_equal(v, other.params[k]) for k, v in self.params.items()
        )

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        if RECORDS.get(self.name) is self._record:
            return _rebuild, (self.name, dict(self.params))
        pair: Any = self._record.pair
        return _from_pair, (pair.pair,)

    def __copy__(self) -> Activation:
        return self

    def __deepcopy__(self, memo: Any) -> Activation:
        return self

    def bind(self, **params: Any) -> Activation:
        """The same function with other parameters bound; errors as in a call."""
        if not params:
            return self
        chosen, params = self._choose(params)
        unknown = params.keys() - chosen.params.keys()
        if unknown:
            raise TypeError(f"{chosen.name}: unknown parameter {_listed(unknown)}; {chosen._has()}")
        values = {k: chosen._checked(k, v) for k, v in params.items()}
        return type(chosen)(chosen._record, {**chosen.params, **values}, chosen._functions)

    # ------------------------------------------------------------------ calls
    def _apply(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._record.variants:
            chosen, kwargs = self._choose(kwargs)
            if chosen is not self:
                return chosen._apply(operation, args, kwargs)
        needed = 2 if operation == "backward" else 1
        label = self.name if operation == "forward" else f"{self.name}.{operation}"
        args = _filled(label, ("dy", "x")[2 - needed :], args, kwargs)
        inputs, rest = args[:needed], args[needed:]
        params = dict(self.params)
        for key in self.learnable:
            if rest:
                params[key], rest = self._checked(key, rest[0]), rest[1:]
        for key in params.keys() & kwargs.keys():
            params[key] = self._checked(key, kwargs.pop(key))
        unknown = kwargs.keys() - _UFUNC_KEYWORDS
        if unknown:
            raise TypeError(f"{label}: unknown keyword {_listed(unknown)}; {self._has()}")
        if len(rest) > 1:
            raise TypeError(
                f"{label}: {len(args)} positional arguments given, at most {len(args) - len(rest) + 1} taken"
            )
        if rest:
            if params and isinstance(rest[0], (int, float)):
                key = next(iter(params))
                raise TypeError(f"{label}: parameters are keywords, write {key}={rest[0]!r}")
            if kwargs.get("out") is not None:
                raise TypeError(f"{label}: 'out' given twice")
            kwargs["out"] = rest[0]
        functions = self._functions[_backend.active()]
        inputs = tuple(_as_array(label, a) for a in inputs)
        values = tuple(params.values())
        dparams: tuple[Any, ...] = ()
        if self.learnable and operation == "backward":  # before `out`, which may be x or dy, is written
            parts = functions["param_grad"](inputs[1], *values)
            with np.errstate(all="ignore"):
                dparams = tuple(
                    _sum_to(np.multiply(inputs[0], part), np.shape(p))
                    for part, p in zip(parts if isinstance(parts, tuple) else (parts,), values)
                )
        if operation == "backward" and _differ(*inputs):
            # f' is rounded to x's dtype, then the product to that of both: dy * f.grad(x)
            function = functools.partial(_backend.multiply, label, functions["grad"])
        else:
            function = functions[operation]
            dtype = kwargs.get("dtype")
            if dtype is not None and values and isinstance(function, np.ufunc):
                # NumPy would look for a loop with parameters of that dtype; they stay float64
                del kwargs["dtype"]
                kwargs["signature"] = (
                    (dtype,) * needed + (np.float64,) * len(values) + (dtype,) * function.nout
                )
        result = self._named(label, function, *inputs, *values, **kwargs)
        return (result, *dparams) if dparams else result

    def _named(self, label: str, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call without warnings; NumPy's errors about operands do not say whose they are, so say it."""
        try:
            with np.errstate(all="ignore"):  # the kernels raise no flag, casts to a narrower out do
                return function(*args, **kwargs)
        except (TypeError, ValueError) as error:
            if self.name in str(error):
                raise
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{label}: {error}") from error

    def _choose(self, kwargs: dict[str, Any]) -> tuple[Activation, dict[str, Any]]:
        """The function that a parameter such as ``approximate`` selects, and the other keywords."""
        for key, (_, choices) in self._record.variants.items():
            if key in kwargs:
                kwargs = dict(kwargs)
                value = kwargs.pop(key)
                try:
                    target = choices[value]
                except (KeyError, TypeError):
                    raise ValueError(
                        f"{self.name}: {key} must be one of {', '.join(map(repr, choices))}, got {value!r}"
                    ) from None
                if target != self.name:
                    return get(target), kwargs
        return self, kwargs

    def _checked(self, key: str, value: Any) -> Any:
        """A parameter as a float or a float64 array inside its domain."""
        return check_parameter(self._record, key, value)

    def _has(self) -> str:
        keys = [*self.params, *self._record.variants]
        return f"it has {', '.join(keys)}" if keys else "it has no parameters"


class RowActivation(Activation):
    """A function of whole rows, such as softmax: ``f(x, axis=-1)``, ``backward(dy, y, axis=-1)``."""

    def __init__(
        self, record: Record, bound: Mapping[str, Any], functions: dict[str, dict[str, Any]]
    ) -> None:
        super().__init__(record, {"axis": -1, **bound}, functions)

    def _checked(self, key: str, value: Any) -> int:
        try:
            return operator.index(value)
        except TypeError:
            raise TypeError(f"{self.name}: axis must be an integer, got {value!r:.60}") from None

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
        inputs = [_as_array(label, a) for a in args[: len(names)]]
        for a in inputs:
            ndim = np.ndim(a)
            if not -ndim <= axis < ndim:
                raise ValueError(f"{label}: axis {axis} is out of bounds for an array of dimension {ndim}")
        given = args[len(names)] if len(args) > len(names) else kwargs.get("out")
        shape = np.shape(inputs[0]) if len(inputs) == 1 else np.broadcast_shapes(*map(np.shape, inputs))
        if isinstance(given, np.ndarray) and given.shape != shape:
            raise ValueError(f"{label}: out has shape {given.shape}, the result has {shape}")
        function = self._functions[_backend.active()][operation]
        return self._named(label, function, *inputs, *args[len(names) :], axis=axis, **kwargs)


_UFUNC_KEYWORDS = {"out", "where", "dtype", "casting", "order", "subok"}


def _listed(names: Any) -> str:
    return ", ".join(repr(n) for n in sorted(names))


def _filled(
    label: str, names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, ...]:
    """`args` with the inputs given as keywords; takes those, and ``out=None``, out of `kwargs`."""
    for keyword in names[len(args) :]:
        if keyword not in kwargs:
            raise TypeError(f"{label}: missing argument {keyword!r}")
        args += (kwargs.pop(keyword),)
    if kwargs.get("out", 0) is None:
        del kwargs["out"]
    return args


def _as_array(label: str, x: Any) -> Any:
    """x as something a ufunc takes, its dtype checked where it is NumPy's."""
    if type(x) is not np.ndarray:
        if hasattr(x, "__array_ufunc__"):
            if not isinstance(getattr(x, "dtype", None), np.dtype):
                return x
        elif isinstance(x, (int, float)):
            return x
        elif hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
            x = np.from_dlpack(x)
        else:
            x = np.asanyarray(x)
    result_dtype(label, [x])
    return x


def _differ(dy: Any, x: Any) -> bool:
    """Whether both are NumPy's and of different dtypes."""
    return (
        isinstance(dy, (np.ndarray, np.generic))
        and isinstance(x, (np.ndarray, np.generic))
        and dy.dtype != x.dtype
    )


def _sum_to(a: Any, shape: tuple[int, ...]) -> Any:
    """`a` summed over the axes along which an array of `shape` was broadcast to it."""
    lead = a.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(
        lead + i for i, n in enumerate(shape) if n == 1 and a.shape[lead + i] != 1
    )
    return np.add.reduce(a, axis=axes, dtype=np.float64).astype(a.dtype).reshape(shape) if axes else a


def _docstring(record: Record) -> str:
    parameters = "".join(
        f"\n{key} : float or array_like, default {value}"
        + (" (learnable)" if key in record.learnable else "")
        for key, value in record.defaults.items()
    )
    return (
        f"{record.name}(x, out=None, **kwargs)\n\n    {record.formula}\n\n"
        + (f"Parameters\n----------\nx : array_like{parameters}\n\n" if parameters else "")
        + (f"Source: {record.reference}.\n\n" if record.reference else "")
        + "See `cact.Activation` for grad, backward, value_and_grad and the keywords."
    )


# ---------------------------------------------------------------------- by name
_activations: dict[str, Activation] = {}


def _make(record: Record) -> Activation:
    kind = RowActivation if record.row_backward is not None else Activation
    return kind(record, {}, _backend.functions(record))


def names() -> list[str]:
    """The canonical names, in the order of the catalogue, then registered ones."""
    return list(RECORDS)


def get(activation: Any, **params: Any) -> Activation:
    """An activation by name, with parameters bound.

    Parameters
    ----------
    activation : str, Activation or pair of callables
        A name or alias in any spelling (``"LeakyReLU"``, ``"leaky-relu"``); an Activation;
        or ``(f, grad)``, two NumPy functions of float64 arrays.
    **params
        Parameters to bind, such as ``negative_slope=0.2``.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        For an unknown name (the nearest known ones are named) or a bad parameter.
    TypeError
        For anything else, and for a parameter that the function does not have.
    """
    if isinstance(activation, str):
        record = find(activation)
        found = _activations.get(record.name)
        if found is None:
            found = _activations[record.name] = _make(record)
    elif isinstance(activation, Activation):
        found = activation
    elif isinstance(activation, tuple) and len(activation) == 2 and all(map(callable, activation)):
        found = _from_pair(activation)
    else:
        raise TypeError(f"an activation is a name, an Activation or a pair (f, grad), got {activation!r:.60}")
    return found.bind(**params)


def _rebuild(name: str, params: dict[str, Any]) -> Activation:
    return get(name, **params)


class _Pair:
    """Two callables as one ``x -> (f, f')``, kept together so that they can be pickled."""

    def __init__(self, pair: tuple[Callable[..., Any], Callable[..., Any]]) -> None:
        self.pair = pair

    def __call__(self, x: Any, *params: Any) -> tuple[Any, Any]:
        f, grad = self.pair
        x = np.asarray(x).view()
        x.flags.writeable = False  # an own function that works in place must not reach the caller's array
        return f(x, *params), grad(x, *params)


def _from_pair(pair: tuple[Callable[..., Any], Callable[..., Any]]) -> Activation:
    name = getattr(pair[0], "__name__", "custom")
    return _make(Record(name=name, formula="", pair=_Pair(pair)))


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """What a function takes after x; a NumPy ufunc takes x alone."""
    if isinstance(function, np.ufunc):
        return []
    own = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p for p in inspect.signature(function).parameters.values() if p.kind in own][1:]


def register(
    name: str,
    forward: Callable[..., Any],
    grad: Callable[..., Any],
    *,
    formula: str = "",
    replace: bool = False,
    **traits: Any,
) -> Activation:
    """Enter an own activation, usable by name everywhere from then on.

    Parameters
    ----------
    name : str
        An identifier that no activation or alias has yet.
    forward, grad : callable
        f(x) and f'(x): NumPy functions of a float64 array that return one of its shape.
        Further parameters need a default; they become the activation's parameters.
    formula : str, optional
        The definition as an expression, for people and for checks.
    replace : bool, default False
        Put this in the place of a function that was registered under the same name.
    **traits
        ``aliases``, ``reference``, ``range``, ``monotonic``, ``zero_centered``,
        ``smoothness``, ``saturates``, ``can_die``, ``kinks``, ``domains``: see `Activation`.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If the name is taken, or no identifier.
    TypeError
        If `forward` or `grad` is not callable or their parameters differ.

    Examples
    --------
    >>> import numpy as np, cact
    >>> f = cact.register("square", lambda x: x * x, lambda x: 2 * x, formula="x**2")
    >>> cact.get("square").backward(1.0, np.float32([1, 2]))
    array([2., 4.], dtype=float32)
    """
    if not (callable(forward) and callable(grad)):
        raise TypeError(f"register({name!r}): forward and grad must be callable")
    first, second = map(_parameters, (forward, grad))
    defaults = {p.name: p.default for p in first}
    if [p.name for p in second] != list(defaults):
        raise TypeError(f"register({name!r}): forward and grad must take the same parameters")
    without = [k for k, v in defaults.items() if v is inspect.Parameter.empty]
    if without:
        raise TypeError(f"register({name!r}): parameter {_listed(without)} needs a default")
    record = Record(
        name=name,
        formula=formula,
        pair=_Pair((forward, grad)),
        defaults=defaults,
        registered=True,
        **traits,
    )
    add(record, replace=replace)
    _activations.pop(name, None)
    return get(name)
