"""The inventory in Python: one record per activation, and how names resolve.

An activation is declared once, in the package `_formulas`, by decorating the NumPy function that
gives ``(f, f')``.  Its name is the function's name, its parameters and their defaults are
the function's own; everything else that tests, docs and advice need is in the decorator.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._ufunc import Check, is_foreign

__all__ = ["RECORDS", "Pieces", "Record", "activation", "canonical", "find"]

#: What a parameter may be, by name of the domain: (test of an array, words for the error).
DOMAINS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "finite": (np.isfinite, "finite"),
    # not smaller, so that the kernels' 1500/v is finite
    "positive": (lambda v: (v >= 1e-300) & (v <= 1e300), "at least 1e-300 and at most 1e300"),
    "not negative": (lambda v: np.isfinite(v) & (v >= 0), "finite and not negative"),
}


@dataclass(frozen=True)
class Pieces:
    """A function along the last axis whose result has another length there, exact in any dtype."""

    length: Callable[..., int]
    """``(n, **params) -> length of the result``; ValueError where n does not fit."""
    forward: Callable[..., None]
    """``(x, out, **params)``"""
    backward: Callable[..., None]
    """``(dy, x, out, **params)``"""


@dataclass(frozen=True)
class Record:
    """What cact knows of one activation, apart from its C kernels."""

    name: str
    formula: str
    """The definition, as an expression in Python's syntax.  The tests evaluate this very
    string with mpmath, decimal literals taken as exact: it is the reference."""
    pair: Callable[..., Any]
    """NumPy, float64: ``(x, *params) -> (f, f', *df/dparam)``; rows: ``x -> f`` along axis -1."""
    row_backward: Callable[..., Any] | None = None
    """Only for functions of whole rows (softmax): ``(dy, y) -> dx`` along axis -1."""
    from_output: Callable[..., Any] | None = None
    """``(y, *params) -> f'`` where f(x) = y, for functions whose output tells it."""
    output_domain: str = ""
    """The parameter that must be positive for `from_output`."""
    gate: str = ""
    """Only for gated functions, a*gate(b) of the two halves of x: the name of the gate."""
    pieces: Pieces | None = None
    """Only for functions of pieces of x that are neither (maxout, crelu)."""
    randomized: bool = False
    """In training the parameters are drawn between the first and the second of them."""
    defaults: Mapping[str, float] = field(default_factory=dict)
    domains: Mapping[str, str] = field(default_factory=dict)
    ordered: tuple[str, str] | None = None
    """Two parameters of which the first must not exceed the second."""
    learnable: tuple[str, ...] = ()
    variants: Mapping[str, tuple[Any, Mapping[Any, str]]] = field(default_factory=dict)
    """Parameters that choose among functions: ``{param: (default, {value: name})}``."""
    aliases: tuple[str, ...] = ()
    reference: str = ""
    range: tuple[float, float] = (-math.inf, math.inf)
    monotonic: bool = True
    zero_centered: bool = False
    smoothness: float = math.inf
    """How many derivatives are continuous (0: kinks, -1: f itself jumps)."""
    saturates: str | None = None
    """Where f' tends to 0: "left", "right", "both" or None."""
    can_die: bool = False
    """Whether f' is exactly 0 on a half line."""
    kinks: tuple[float, ...] | Callable[..., tuple[float, ...]] = ()
    """Where the formula changes; ``(*params) -> kinks`` where that depends on them."""
    registered: bool = False
    """Entered by the user, with `cact.register`."""

    def kinks_at(self, *params: Any) -> tuple[Any, ...]:
        """The kinks with these parameters, without any at the defaults."""
        if not callable(self.kinks):
            return self.kinks
        return self.kinks(*(params or self.defaults.values()))

    @property
    def elementwise(self) -> bool:
        """Whether f works on each element alone."""
        return self.row_backward is None and not self.gate and self.pieces is None


#: Canonical name -> record, in the order of the catalogue.
RECORDS: dict[str, Record] = {}
_keys: dict[str, str] = {}


def _key(name: str) -> str:
    return name.lower().translate(str.maketrans("", "", "_- "))


def add(record: Record, *, replace: bool = False) -> None:
    """Enter a record; ValueError if its name or an alias is taken or no identifier."""
    if not record.name.isidentifier():
        raise ValueError(f"an activation's name must be an identifier, got {record.name!r}")
    old = RECORDS.get(record.name)
    mine = set()
    if replace and old is not None and old.registered:
        mine = {_key(n) for n in (old.name, *old.aliases)}
    keys = {_key(n) for n in (record.name, *record.aliases)}
    for key in keys - mine:
        if key in _keys:
            taken = RECORDS[_keys[key]]
            hint = "; replace=True puts another in its place" if taken.registered and not replace else ""
            raise ValueError(f"{record.name}: the name {key!r} already means {taken.name!r}{hint}")
    for key in mine:
        del _keys[key]
    _keys.update(dict.fromkeys(keys, record.name))
    RECORDS[record.name] = record


def gated(name: str, gate: str, **traits: Any) -> None:
    """Declare a*gate(b), a and b the halves of x along an axis, value first."""
    add(Record(name=name, formula=f"a*{gate}(b)", pair=_no_pair, gate=gate, **traits))


def pieces(name: str, formula: str, functions: Pieces, defaults: Mapping[str, Any], **traits: Any) -> None:
    """Declare a function of pieces of x along an axis."""
    add(Record(name=name, formula=formula, pair=_no_pair, pieces=functions, defaults=defaults, **traits))


def _no_pair(*args: Any) -> Any:
    raise TypeError("not a function of each element alone")


def activation(formula: str, **traits: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the decorated NumPy pair as an activation (see `Record` for the keywords)."""

    def enter(pair: Callable[..., Any]) -> Callable[..., Any]:
        parameters = list(inspect.signature(pair).parameters.values())[1:]
        defaults = {p.name: p.default for p in parameters}
        add(Record(name=pair.__name__, formula=formula, pair=pair, defaults=defaults, **traits))
        return pair

    return enter


def check_parameter(record: Record, key: str, value: Any) -> Any:
    """A parameter as a float or a float64 array inside its domain; TypeError, ValueError.

    Another library's array stays one; a lazy one is checked when it is computed.
    """
    if not is_foreign(value):
        return _inside(record, key, value)
    name = f"{record.name}_{key}"
    try:
        dtype = getattr(value, "dtype", None)
        if isinstance(dtype, np.dtype) and dtype.kind not in "buifO":
            raise TypeError
        return Check(name, functools.partial(_inside, record, key))(value)
    except TypeError:
        raise TypeError(
            f"{record.name}: {key} must be a real number or an array of them, got a {type(value).__name__}"
        ) from None


def inspected(record: Record, key: str, value: Any) -> Any:
    """As `check_parameter`, but an array of floats or doubles is not copied."""
    if type(value) is np.ndarray and value.dtype.char in "fd":
        return _tested(record, key, value)
    return check_parameter(record, key, value)


def _inside(record: Record, key: str, value: Any) -> Any:
    test, _ = DOMAINS[record.domains.get(key, "finite")]
    if type(value) is float and test(value):  # the common case, quickly
        return value
    try:
        number = _floats(value)
    except OverflowError:
        raise ValueError(f"{record.name}: {key} must be finite, got an integer beyond float64") from None
    except (TypeError, ValueError):
        raise TypeError(
            f"{record.name}: {key} must be a real number or an array of them, got {value!r:.60}"
        ) from None
    _tested(record, key, number)
    return number if number.ndim else float(number)


def _tested(record: Record, key: str, number: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    test, words = DOMAINS[record.domains.get(key, "finite")]
    good = test(number)
    if not np.all(good):
        raise ValueError(f"{record.name}: {key} must be {words}, got {number[~good].flat[0]}")
    return number


def _floats(value: Any) -> np.ndarray[Any, Any]:
    """As float64; integers beyond 64 bits, objects to NumPy, are numbers too."""
    if isinstance(value, (str, bytes)):
        raise TypeError
    number = np.asarray(value)
    integers = (
        number.dtype == object and number.size and all(isinstance(v, (int, float)) for v in number.flat)
    )
    if number.dtype.kind not in "buif" and not integers:
        raise TypeError
    with np.errstate(all="ignore"):  # a longdouble may become infinite
        return number.astype(np.float64)


def check_order(record: Record, params: Mapping[str, Any]) -> None:
    """ValueError where two parameters that bound an interval are in the wrong order."""
    if record.ordered:
        low, high = record.ordered
        if type(params[low]) is type(params[high]) is float and params[low] <= params[high]:
            return  # the common case, quickly
        try:
            ends = np.broadcast_arrays(np.asarray(params[low]), np.asarray(params[high]))
        except ValueError as error:
            raise ValueError(f"{record.name}: {low} and {high}: {error}") from None
        wrong = ends[0] > ends[1]
        if wrong.any():
            first, second = (end[wrong][0] for end in ends)
            raise ValueError(f"{record.name}: {low} must not exceed {high}, got {first} and {second}")


def canonical(name: str) -> str:
    """The canonical name of `name` or of an alias; ValueError names the nearest known ones."""
    try:
        return _keys[_key(name)]
    except KeyError:
        near = difflib.get_close_matches(_key(name), _keys, n=3, cutoff=0.6)
        near = list(dict.fromkeys(_keys[k] for k in near))
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        hint += "; see cact.names(); functions of one's own are to be registered in each process"
        raise ValueError(f"unknown activation {name!r}{hint}") from None


def find(name: str) -> Record:
    """The record of a name or alias."""
    return RECORDS[canonical(name)]
