"""The inventory in Python: one record per activation, and how names resolve.

An activation is declared once, in `_formulas.py`, by decorating the NumPy function that
gives ``(f, f')``.  Its name is the function's name, its parameters and their defaults are
the function's own; everything else that tests, docs and advice need is in the decorator.
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["RECORDS", "Record", "activation", "canonical", "find"]

#: What a parameter may be, by name of the domain: (test of an array, words for the error).
DOMAINS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "finite": (np.isfinite, "finite"),
    # not smaller, so that the kernels' 1500/v is finite
    "positive": (lambda v: np.isfinite(v) & (v >= 1e-300), "finite and at least 1e-300"),
}


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
    defaults: Mapping[str, float] = field(default_factory=dict)
    domains: Mapping[str, str] = field(default_factory=dict)
    learnable: tuple[str, ...] = ()
    variants: Mapping[str, tuple[Any, Mapping[Any, str]]] = field(default_factory=dict)
    """Parameters that choose among functions: ``{param: (default, {value: name})}``."""
    aliases: tuple[str, ...] = ()
    reference: str = ""
    range: tuple[float, float] = (-math.inf, math.inf)
    monotonic: bool = True
    zero_centered: bool = False
    smoothness: float = math.inf
    """How many derivatives are continuous (0: kinks)."""
    saturates: str | None = None
    """Where f' tends to 0: "left", "both" or None."""
    can_die: bool = False
    """Whether f' is exactly 0 on a half line."""
    kinks: tuple[float, ...] = ()
    registered: bool = False
    """Entered by the user, with `cact.register`."""


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
            raise ValueError(f"{record.name}: the name {key!r} already means {_keys[key]!r}")
    for key in mine:
        del _keys[key]
    _keys.update(dict.fromkeys(keys, record.name))
    RECORDS[record.name] = record


def activation(formula: str, **traits: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the decorated NumPy pair as an activation (see `Record` for the keywords)."""

    def enter(pair: Callable[..., Any]) -> Callable[..., Any]:
        parameters = list(inspect.signature(pair).parameters.values())[1:]
        defaults = {p.name: p.default for p in parameters}
        add(Record(name=pair.__name__, formula=formula, pair=pair, defaults=defaults, **traits))
        return pair

    return enter


def check_parameter(record: Record, key: str, value: Any) -> Any:
    """A parameter as a float or a float64 array inside its domain; TypeError, ValueError."""
    if hasattr(value, "__array_ufunc__") and not isinstance(value, (np.ndarray, np.generic)):
        return value  # a lazy or labelled array: its own library computes
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        number = np.asarray(value)
        if number.dtype.kind not in "buif":
            raise TypeError
        number = number.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"{record.name}: {key} must be a real number or an array of them, got {value!r:.60}"
        ) from None
    test, words = DOMAINS[record.domains.get(key, "finite")]
    good = test(number)
    if not np.all(good):
        raise ValueError(f"{record.name}: {key} must be {words}, got {number[~good].flat[0]}")
    return number if number.ndim else float(number)


def canonical(name: str) -> str:
    """The canonical name of `name` or of an alias; ValueError names the nearest known ones."""
    try:
        return _keys[_key(name)]
    except KeyError:
        near = difflib.get_close_matches(_key(name), _keys, n=3, cutoff=0.5)
        near = list(dict.fromkeys(_keys[k] for k in near))
        hint = f"; did you mean {' or '.join(near)}?" if near else "; see cact.names()"
        raise ValueError(f"unknown activation {name!r}{hint}") from None


def find(name: str) -> Record:
    """The record of a name or alias."""
    return RECORDS[canonical(name)]
