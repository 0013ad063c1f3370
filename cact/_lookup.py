"""Activations by name: `get`, `names`, `register`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _activation, _backend
from ._activation import Activation, OutputActivation, RandomizedActivation, _listed
from ._registry import RECORDS, Record, add, find
from ._shaped import GatedActivation, PiecesActivation, RowActivation

__all__ = ["get", "names", "register"]

_activations: dict[str, Activation] = {}


def _make(record: Record) -> Activation:
    kind: type[Activation] = Activation
    if record.row_backward is not None:
        kind = RowActivation
    elif record.gate:
        kind = GatedActivation
    elif record.pieces:
        kind = PiecesActivation
    elif record.randomized:
        kind = RandomizedActivation
    elif record.from_output is not None:
        kind = OutputActivation
    return kind(record, {}, _backend.functions(record))


def names() -> list[str]:
    """The canonical names, in the order of the catalogue, then registered ones."""
    return list(RECORDS)


def get(activation: Any, *, like: str | None = None, **params: Any) -> Activation:
    """An activation by name, with parameters bound.

    Parameters
    ----------
    activation : str, Activation or pair of callables
        A name or alias in any spelling (``"LeakyReLU"``, ``"leaky-relu"``); an Activation;
        or ``(f, grad)``, two NumPy functions of float64 arrays.
    like : {"torch", "keras", "jax", "onnx", "sklearn"}, optional
        Whose the name, the parameters' names and their defaults are; ``docs/names.md`` lists
        them.  The spelling there always serves; another serves where it is unambiguous.
    **params
        Parameters to bind, such as ``negative_slope=0.2``.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        For an unknown name (the nearest known ones are named) or a bad parameter; with `like`, for
        an unknown library, and for a name or a value there that no function here has.
    TypeError
        For anything else, and for a parameter that the function does not have or, with `like`,
        needs and did not get.

    Examples
    --------
    >>> import cact
    >>> cact.get("LeakyReLU", negative_slope=0.2)
    <cact activation leaky_relu, negative_slope=0.2>
    >>> cact.get("LeakyReLU", like="keras")  # the layer of Keras; its function has 0.2
    <cact activation leaky_relu, negative_slope=0.3>
    >>> cact.get("gelu", like="jax")  # the tanh form by default
    <cact activation gelu_tanh>
    """
    if like is not None:
        if not isinstance(activation, str):
            raise TypeError(f"like={like!r:.60} goes with a name, got {activation!r:.60}")
        from ._like import resolve  # here, since most never ask for it

        activation, params = resolve(activation, like, params)
    if isinstance(activation, str):
        record = find(activation)
        found = _activations.get(record.name)
        if found is None:
            found = _activations.setdefault(record.name, _make(record))
    elif isinstance(activation, Activation):
        found = activation
    elif isinstance(activation, tuple) and len(activation) == 2 and all(map(callable, activation)):
        found = _from_pair(activation)
    else:
        raise TypeError(f"an activation is a name, an Activation or a pair (f, grad), got {activation!r:.60}")
    return found.bind(**params)


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
        ``smoothness``, ``saturates``, ``can_die``, ``kinks``, ``domains``: see `Activation`;
        ``kinks`` may be a function of the parameters.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If the name is taken, or no identifier.
    TypeError
        If `name` is no string, `aliases` no sequence of them, `forward` or `grad` not callable, or
        their parameters differ.

    Examples
    --------
    >>> import numpy as np, cact
    >>> f = cact.register("square", lambda x: x * x, lambda x: 2 * x, formula="x**2")
    >>> cact.get("square").backward(1.0, np.float32([1, 2]))
    array([2., 4.], dtype=float32)
    """
    if not isinstance(name, str):
        raise TypeError(f"register: name must be a string, got {name!r:.60}")
    aliases = traits.get("aliases", ())
    if isinstance(aliases, str) or not all(isinstance(alias, str) for alias in aliases):
        raise TypeError(f"register({name!r}): aliases must be a sequence of strings, got {aliases!r:.60}")
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


_activation.by_name[:] = [get]
