"""The public face of an elementwise function: `Activation`."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _backend
from ._foreign import arranged, labelled, plain
from ._registry import RECORDS, Record, check_order, check_parameter, inspected
from ._ufunc import NUMPY_TYPES, Output, is_foreign, result_dtype

__all__ = ["Activation", "OutputActivation", "RandomizedActivation"]


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

    def _prepare(self, *args: Any) -> None:
        """Nothing to prepare here."""

    def _strided(self, operation: str, inputs: tuple[Any, ...], params: tuple[Any, ...], out: Any) -> Any:
        """None: not without NumPy."""

    def _grad_from_output(self, *args: Any, **kwargs: Any) -> Any:
        return self._apply("grad_from_output", args, kwargs)

    def _backward_from_output(self, *args: Any, **kwargs: Any) -> Any:
        return self._apply("backward_from_output", args, kwargs)

    def _apply(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError


#: `cact.get`, which stands above this module and enters itself here.
by_name: list[Callable[..., Activation]] = []


def _rebuild(name: str, params: dict[str, Any]) -> Activation:
    return by_name[0](name, **params)


def _remake(kind: type[Activation], record: Record, params: dict[str, Any]) -> Activation:
    return kind(record, params, _backend.functions(record))


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
        f(x).  Learnable functions take their parameters after x, before `out`, in every call.
    grad(x, out=None, **kwargs)
        f'(x), from x.
    backward(dy, x, out=None, **kwargs)
        dy*f'(x) in one pass.  Learnable functions return ``(dx, *dparams)``, each summed to the
        shape of x or of its parameter, over the elements in `where`.
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
    saturates : {None, "left", "right", "both"}
        On which side f' tends to 0.
    gain : float
        1/sqrt(E f(z)^2) for z ~ N(0, 1): the factor that keeps a layer's second moment.

    Raises
    ------
    TypeError
        For complex, longdouble, object, string and datetime input, an `out` that cannot
        hold the result, an unknown keyword.
    ValueError
        For a shape that does not fit, an `out` that is read-only or two that overlap, a parameter
        that is NaN or outside the function's domain (a lazy one: when it is computed).  Nothing
        has been written then.
    """

    params: Mapping[str, Any]

    def __init__(
        self, record: Record, bound: Mapping[str, Any], functions: dict[str, _backend.Operations]
    ) -> None:
        self._record = record
        self._functions = functions
        self.params = MappingProxyType({**record.defaults, **bound})
        self.__doc__ = _docstring(record, self.params)
        check_order(record, self.params)
        name = record.name if functions["c"].in_c else None
        self._prepare(name, dict(self.params), len(record.learnable), next(iter(record.variants), None))

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
        if not self._record.elementwise:
            return 1.0
        z = np.arange(-12.0, 12.0, 2.0**-11) + 2.0**-12  # f may jump at an end of a step, not in its middle
        density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        with np.errstate(all="ignore"):
            f = self._record.pair(z, *(np.mean(self.params[k]) for k in self._record.defaults))[0]
            second_moment = float(np.sum(f * f * density) * (z[1] - z[0]))
        return 1.0 / math.sqrt(second_moment) if second_moment else math.inf

    @property
    def __signature__(self) -> inspect.Signature:
        kinds = inspect.Parameter
        either, keyword = kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY
        bound = {k: either if k in self.learnable else keyword for k in self.params}
        choices = {k: v[0] for k, v in self._record.variants.items()}
        return inspect.Signature(
            [
                kinds("x", either),
                *(kinds(k, kind, default=self.params[k]) for k, kind in bound.items() if kind is either),
                kinds("out", either, default=None),
                *(kinds(k, kind, default=self.params[k]) for k, kind in bound.items() if kind is keyword),
                *(kinds(k, keyword, default=v) for k, v in choices.items()),
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
            _same(v, other.params[k]) for k, v in self.params.items()
        )

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        if RECORDS.get(self.name) is self._record:
            return _rebuild, (self.name, dict(self.params))
        return _remake, (type(self), self._record, dict(self.params))

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
        names = _INPUTS[operation]
        needed = len(names)
        label = self.name if operation == "forward" else f"{self.name}.{operation}"
        args = _filled(label, names, args, kwargs)
        inputs, rest = args[:needed], args[needed:]
        params = dict(self.params)
        for key in self.learnable:
            if rest:
                params[key], rest = self._checked(key, rest[0]), rest[1:]
        for key in params.keys() & kwargs.keys():
            params[key] = self._checked(key, kwargs.pop(key))
        check_order(self._record, params)
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
            if isinstance(rest[0], (int, float, str)):
                raise TypeError(f"{label}: out must be an array, got {rest[0]!r}; {self._has()}")
            if kwargs.get("out") is not None:
                raise TypeError(f"{label}: 'out' given twice")
            kwargs["out"] = rest[0]
        inputs = tuple(_as_array(label, a) for a in inputs)
        values = self._numbers(params, inputs[-1], operation)
        if operation == "value_and_grad":
            _check_apart(label, kwargs.get("out"))
        if self.learnable and operation == "backward":
            return self._learn(label, inputs, values, kwargs)
        return self._run(label, operation, inputs, values, kwargs)

    def _run(
        self,
        label: str,
        operation: str,
        inputs: tuple[Any, ...],
        values: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """One operation, with arguments that are checked."""
        if len(inputs) == 2 and _differ(*inputs):
            # f' is rounded to x's dtype, then the product to that of both: dy * f.grad(x)
            def factor(x: Any, **loop: Any) -> Any:
                return self._run(label, operation.replace("backward", "grad"), (x,), values, loop)

            return self._named(label, _backend.multiply, label, factor, *inputs, **kwargs)
        if not kwargs.keys() - {"out"}:
            result = self._strided(operation, inputs, values, kwargs.get("out"))
            if result is not None:
                return result
        function = self._functions[_backend.active()][operation]
        dtype = kwargs.get("dtype")
        half = getattr(dtype, "__name__", str(dtype)) == "bfloat16"
        if half:
            _backend.know_bfloat16(np.dtype(dtype))
        if dtype is not None and (values or half) and isinstance(function, np.ufunc):
            # NumPy would look for a loop with parameters of that dtype, which stay float64,
            # and finds none for a dtype that it does not know itself
            kwargs = {k: v for k, v in kwargs.items() if k != "dtype"}
            kwargs["signature"] = (
                (dtype,) * len(inputs) + (np.float64,) * len(values) + (dtype,) * function.nout
            )
        return self._named(label, _outputs, function, *inputs, *values, **kwargs)

    def _learn(
        self, label: str, inputs: tuple[Any, ...], values: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, ...]:
        """``(dx, *dparams)``, each summed to the shape of its own."""
        dy, x = inputs = arranged(*inputs), inputs[1]
        for key, value in zip(self.params, values):
            if labelled(value):
                raise TypeError(
                    f"{label}: {key} has no gradient as a {type(value).__name__}; give an ndarray"
                )
        where = kwargs.get("where", True)
        loop: dict[str, Any] = {k: kwargs[k] for k in ("dtype", "casting") if k in kwargs}

        def total(a: Any, like: Any) -> Any:
            a = plain(label, a, x)
            return _sum_to(a if where is True else np.where(where, a, 0), np.shape(like))

        if where is True and not loop:
            learned = self._strided("learn", inputs, values, kwargs.get("out"))
            if learned is not None:
                return self._summed(learned, values)
        # before `out`, which may be x or dy, is written
        parts = self._run(label, "param_grad", (x,), values, loop)
        parts = parts if isinstance(parts, tuple) else (parts,)
        terms = [self._named(label, np.multiply, part, dy, **loop) for part in parts]
        dparams = [total(t, value) for t, value in zip(terms, values)]
        if labelled(x) or terms[0].shape == np.shape(x):
            return self._run(label, "backward", inputs, values, kwargs), *dparams
        out = kwargs.pop("out", None)
        dx = total(self._run(label, "backward", inputs, values, loop), x)
        if out is not None:
            dx = self._named(label, np.positive, dx, out=out, casting=kwargs.get("casting", "same_kind"))
        return dx, *dparams

    def _summed(self, learned: tuple[Any, ...], values: Sequence[Any]) -> tuple[Any, ...]:
        """``(dx, *dparams)`` of dx and the terms of the latter."""
        return learned[0], *(_sum_to(t, np.shape(value)) for t, value in zip(learned[1:], values))

    def _numbers(self, params: dict[str, Any], x: Any, operation: str) -> tuple[Any, ...]:
        """The parameters as the ufuncs take them."""
        return tuple(params.values())

    def _named(self, label: str, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call without warnings; NumPy's errors about operands do not say whose they are, so say it."""
        try:
            with np.errstate(all="ignore"):  # the kernels raise no flag, casts to a narrower out do
                return function(*args, **kwargs)
        except (TypeError, ValueError, NotImplementedError, OverflowError) as error:  # the third: pandas
            if self.name in str(error) and not isinstance(error, NotImplementedError):
                raise
            kind = ValueError if isinstance(error, ValueError) else TypeError
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
                    return by_name[0](target), kwargs
        return self, kwargs

    def _variant(self, key: str, value: Any) -> Activation:
        return self._choose({key: value})[0]

    def _check(self, values: list[Any]) -> None:
        """Raise where a parameter is outside its domain."""
        names = self._record.defaults
        check_order(self._record, {k: inspected(self._record, k, v) for k, v in zip(names, values)})

    def _checked(self, key: str, value: Any) -> Any:
        """A parameter as a float or a float64 array inside its domain."""
        return check_parameter(self._record, key, value)

    def _has(self) -> str:
        keys = [*self.params, *self._record.variants]
        return f"it has {', '.join(keys)}" if keys else "it has no parameters"


class OutputActivation(Activation):
    """An activation whose derivative can be told from its output y = f(x), at a loss of precision.

    y is rounded, so where f saturates f'(x) has lost digits that it has when computed from x: in
    float32 sigmoid' from y is 0.1 % off at x = 9.7 and 0 from 16.6, tanh' is 0.1 % off at 5.3 and
    0 from 9.01.  For functions that need it the parameter must be positive (a slope, an alpha).

    Methods
    -------
    grad_from_output(y, out=None, **kwargs)
        f'(x) from y = f(x).
    backward_from_output(dy, y, out=None, **kwargs)
        dy*f'(x) in one pass: the same bits as ``dy * f.grad_from_output(y)``.
    """

    grad_from_output = _Caller._grad_from_output
    backward_from_output = _Caller._backward_from_output

    def __init__(
        self, record: Record, bound: Mapping[str, Any], functions: dict[str, _backend.Operations]
    ) -> None:
        super().__init__(record, bound, functions)
        bound_to = self.params.get(record.output_domain)  # arrays, which may be lazy, are looked at in a call
        self._tells = not record.output_domain or (isinstance(bound_to, float) and bound_to > 0)

    def _numbers(self, params: dict[str, Any], x: Any, operation: str) -> tuple[Any, ...]:
        key = self._record.output_domain
        if key and operation.endswith("_from_output"):
            value = np.asarray(params[key])
            if not np.all(value > 0):
                raise ValueError(
                    f"{self.name}.{operation}: the output tells f' only where {key} is positive,"
                    f" got {value[~(value > 0)].flat[0]}"
                )
        return super()._numbers(params, x, operation)


class RandomizedActivation(Activation):
    """An activation whose slope is drawn anew for each element in training (rrelu).

    Further parameters
    ------------------
    training : bool, default False
        Draw uniformly between the two bounds; otherwise their mean serves for all elements.
    random_state : None, int, SeedSequence or Generator, default None
        Where the draws come from: the argument of `numpy.random.default_rng`.  The derivative in
        training needs the int or SeedSequence that the forward call had, so that the draws are the
        same; `value_and_grad` draws once for both.
    """

    def __init__(
        self, record: Record, bound: Mapping[str, Any], functions: dict[str, _backend.Operations]
    ) -> None:
        super().__init__(record, bound, functions)
        options = {"training": False, "random_state": None}
        self.params = MappingProxyType({**record.defaults, **options, **bound})
        if functions["c"].in_c and not self.params["training"]:
            self._prepare(record.name, {k: self.params[k] for k in record.defaults}, 0, None)

    def _checked(self, key: str, value: Any) -> Any:
        if key == "training":
            if not isinstance(value, (bool, np.bool_)):
                raise TypeError(f"{self.name}: training must be True or False, got {value!r:.60}")
            return bool(value)
        if key == "random_state":
            try:
                np.random.default_rng(value)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{self.name}: random_state: {error}") from None
            return value
        return super()._checked(key, value)

    def _numbers(self, params: dict[str, Any], x: Any, operation: str) -> tuple[Any, ...]:
        low, high = (params[k] for k in self._record.defaults)
        if not params["training"]:
            return low, high
        seed = params["random_state"]
        stateful = (np.random.Generator, np.random.BitGenerator, np.random.RandomState)
        if operation in ("grad", "backward") and (seed is None or isinstance(seed, stateful)):
            raise ValueError(
                f"{self.name}.{operation}: in training the derivative needs the random_state (an int or a"
                " SeedSequence) of the forward call"
            )
        shape = np.broadcast_shapes(np.shape(x), np.shape(low), np.shape(high))
        with np.errstate(all="ignore"):
            part = np.where(np.isfinite(np.subtract(high, low)), 1.0, 0.5)  # the bounds may be far apart
        slopes = np.random.default_rng(seed).uniform(part * low, part * high, shape) / part
        return slopes, slopes


#: The inputs of each operation by name.
_INPUTS = {
    "forward": ("x",),
    "grad": ("x",),
    "backward": ("dy", "x"),
    "value_and_grad": ("x",),
    "grad_from_output": ("y",),
    "backward_from_output": ("dy", "y"),
}

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
        elif hasattr(x, "tocsr"):  # SciPy's, of which NumPy would make an object
            raise TypeError(f"{label}: sparse arrays are not supported; make them dense with .toarray()")
        else:
            x = np.asanyarray(x)
    if x.dtype.char not in NUMPY_TYPES and result_dtype(label, [x]).name == "bfloat16":
        _backend.know_bfloat16(x.dtype)
    return x


def _differ(dy: Any, x: Any) -> bool:
    """Whether both are NumPy's and of different dtypes."""
    return (
        isinstance(dy, (np.ndarray, np.generic))
        and isinstance(x, (np.ndarray, np.generic))
        and dy.dtype != x.dtype
    )


def _outputs(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call; each output for itself where a library takes functions of one only."""
    try:
        return function(*args, **kwargs)
    except TypeError:
        several = getattr(function, "nout", 1)
        if several == 1 or kwargs.get("out") is not None or not any(map(is_foreign, args)):
            raise
        return tuple(Output(function, i)(*args, **kwargs) for i in range(several))


def _check_apart(label: str, out: Any) -> None:
    """ValueError where outputs have memory in common."""
    pair = isinstance(out, tuple) and len(out) == 2 and all(isinstance(o, np.ndarray) for o in out)
    if pair and np.shares_memory(*out):
        raise ValueError(f"{label}: the two arrays of out overlap")


def _same(a: Any, b: Any) -> bool:
    """Whether two parameters are equal, as a whole."""
    if hasattr(a, "__array__") or hasattr(b, "__array__"):
        return np.array_equal(np.asarray(a), np.asarray(b))
    return bool(a == b)


def _sum_to(a: Any, shape: tuple[int, ...]) -> Any:
    """`a` summed over the axes along which an array of `shape` was broadcast to it."""
    lead = a.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(
        lead + i for i, n in enumerate(shape) if n == 1 and a.shape[lead + i] != 1
    )
    with np.errstate(all="ignore"):
        if not axes:
            return a
        sums = _backend.compiled.double_sums(a) if axes == (0,) and _backend.active() == "c" else None
        sums = a.sum(axis=axes, dtype=np.float64) if sums is None else sums
        return sums.astype(a.dtype).reshape(shape)


def _docstring(record: Record, params: Mapping[str, Any]) -> str:
    """Of a function with these parameters, which are its defaults."""
    parameters = "".join(
        f"\n{key} : float or array_like, default {params[key]!r:.40}"
        + (" (learnable)" if key in record.learnable else "")
        for key in record.defaults
    )
    keywords = {key: value for key, value in params.items() if key not in record.learnable}
    for key, (usual, choices) in record.variants.items():
        keywords[key] = usual
        words = (repr(choice) for choice in choices if isinstance(choice, str))
        parameters += f"\n{key} : {' or '.join(words)}, default {usual!r}"
    if record.randomized:
        parameters += "\ntraining : bool, default False\nrandom_state : None, int, SeedSequence or Generator"
        keywords |= {"training": False, "random_state": None}
    notes = ""
    if not record.elementwise:
        parameters += f"\naxis : int, default {params.get('axis', -1)}"
    if record.row_backward is not None:
        notes = "Along `axis`; backward(dy, y) takes the output.\n\n"
    elif record.gate:
        notes = (
            "a is the first half of x along `axis`, b the second. Two arrays of one shape are f(gate, value):"
            f"\nvalue*{record.gate}(gate), gate first.\n\n"
        )
    learnable = "".join(f", {key}={params[key]!r:.40}" for key in record.learnable)
    others = ", *" * bool(keywords) + "".join(f", {key}={value!r:.40}" for key, value in keywords.items())
    return (
        f"{record.name}(x{learnable}, out=None{others}, **kwargs)\n\n    {record.formula}\n\n"
        + (f"Parameters\n----------\nx : array_like{parameters}\n\n" if parameters else "")
        + notes
        + (f"Source: {record.reference}.\n\n" if record.reference else "")
        + "See `cact.Activation` for grad, backward, value_and_grad and the keywords."
    )
