"""Other libraries' arrays where their own ``__array_ufunc__`` is not enough.

Along an axis (glu, maxout) the result has another length there, and the gradient of a parameter
is a sum: here each library cuts, computes and joins by its own means.  None is imported unless an
array of its kind is at hand.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._ufunc import is_foreign, result_dtype

__all__ = ["across", "arranged", "check_known", "kind", "labelled", "plain"]

#: ``(*arrays, axis) -> array``
Function = Callable[..., Any]

_KINDS = {
    ("xarray", "DataArray"): "xarray",
    ("pandas", "DataFrame"): "pandas",
    ("pandas", "Series"): "pandas",
    ("dask", "Array"): "dask",
}


def kind(x: Any) -> str:
    """ "xarray", "pandas", "dask" or "masked", "" for other arrays of NumPy, "?" for all else."""
    if type(x) is np.ndarray:
        return ""
    if isinstance(x, np.ma.MaskedArray):
        return "masked"
    if not is_foreign(x):
        return ""
    return next(
        (_KINDS[k] for c in type(x).__mro__ if (k := (c.__module__.split(".")[0], c.__name__)) in _KINDS), "?"
    )


def labelled(x: Any) -> bool:
    """Whether x is aligned by labels, not by position."""
    return kind(x) in ("xarray", "pandas")


def check_known(label: str, arrays: Sequence[Any]) -> None:
    """TypeError for an array that `across` has no means for."""
    for a in arrays:
        if kind(a) == "?":
            raise TypeError(f"{label}: a {type(a).__name__} is not supported along an axis; give an ndarray")


def across(label: str, function: Function, arrays: Sequence[Any], axis: int, length: int) -> Any:
    """A function along an axis, of arrays that are not all plain; `length` is that of the result there."""
    kinds = set(map(kind, arrays))
    adapter = next(a for name, a in _ADAPTERS.items() if name in kinds)
    try:
        return adapter(function, arrays, axis % np.ndim(arrays[-1]), length)
    except ValueError as error:
        if label in str(error):
            raise
        raise ValueError(f"{label}: {error}") from error


def _xarray(function: Function, arrays: Sequence[Any], axis: int, length: int) -> Any:
    """By the names of dimensions; along the axis labels stay only where its length does."""
    like = next(a for a in reversed(arrays) if kind(a) == "xarray")
    dim = like.dims[axis]
    named = [a if kind(a) == "xarray" else type(like)(a, dims=like.dims) for a in arrays]
    lengths = {length, *(a.sizes.get(dim) for a in named)}
    result = importlib.import_module("xarray").apply_ufunc(
        functools.partial(function, axis=-1),
        *named,
        input_core_dims=[[dim]] * len(named),
        output_core_dims=[[dim]],
        exclude_dims={dim} if len(lengths) > 1 else set(),
        dask="allowed",
        keep_attrs=True,
    )
    result = result.transpose(*like.dims)
    return like.copy(data=result.data) if result.shape == like.shape else result


def _pandas(function: Function, arrays: Sequence[Any], axis: int, length: int) -> Any:
    """Labels of the other axis must be the same; along the axis they stay only where its length does."""
    like = next(a for a in reversed(arrays) if kind(a) == "pandas")
    for a in arrays:
        if kind(a) == "pandas" and not all(
            i == axis or one.equals(other) for i, (one, other) in enumerate(zip(a.axes, like.axes))
        ):
            raise ValueError("the operands differ in their labels")
    values = function(*map(np.asarray, arrays), axis=axis)
    axes = [labels if len(labels) == n else None for labels, n in zip(like.axes, values.shape)]
    result = type(like)(values, *axes)
    if result.ndim == 1:
        result.name = like.name
    return result


def _dask(function: Function, arrays: Sequence[Any], axis: int, length: int) -> Any:
    """Lazily; the axis becomes one chunk."""
    da = importlib.import_module("dask.array")
    like = next(a for a in reversed(arrays) if kind(a) == "dask")
    dtype = result_dtype("", list(arrays))

    def chunks(n: int) -> tuple[tuple[int, ...], ...]:
        return (*like.chunks[:axis], (n,), *like.chunks[axis + 1 :])

    return da.map_blocks(
        functools.partial(function, axis=axis),
        *(da.asarray(a).rechunk(chunks(a.shape[axis])) for a in arrays),
        chunks=chunks(length),
        dtype=dtype,
        meta=np.empty((0,) * like.ndim, dtype),
    )


def _masked(function: Function, arrays: Sequence[Any], axis: int, length: int) -> Any:
    """The mask goes where NaN would, without those that the data has of itself."""
    result = function(*map(np.ma.getdata, arrays), axis=axis)
    *upstream, x = arrays
    clean = [*(np.ones(np.shape(a)) for a in upstream), np.nan_to_num(np.ma.getdata(x).astype(np.float64))]
    holes = [np.where(np.ma.getmaskarray(a), np.nan, c) for a, c in zip(arrays, clean)]
    return np.ma.masked_array(result, np.isnan(function(*holes, axis=axis)))


#: The first that fits; labels win over laziness, since a labelled array may hold a lazy one.
_ADAPTERS = {"xarray": _xarray, "pandas": _pandas, "dask": _dask, "masked": _masked}


def arranged(a: Any, like: Any) -> Any:
    """`a` with its axes in the order of those of `like`, where both have names for them."""
    return a.transpose(..., *like.dims, missing_dims="ignore") if kind(a) == kind(like) == "xarray" else a


def plain(label: str, a: Any, like: Any) -> Any:
    """`a` without labels, arranged like `like`, 0 where masked; dask's arrays stay lazy."""
    found = kind(a)
    if found == "xarray":
        return plain(label, arranged(a, like).data, like)
    if found == "pandas":
        return (a.reindex_like(like) if kind(like) == "pandas" else a).to_numpy()
    if found == "?":
        raise TypeError(
            f"{label}: there are no gradients of parameters for {type(a).__name__}; give an ndarray"
        )
    return np.ma.filled(a, 0) if found == "masked" else a
