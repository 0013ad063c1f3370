"""A network's parameters as one array, and their gradients as another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ._arrays import empty, zeros
from ._validate import Array
from .layers import Layer

__all__ = ["FlatParameters"]


class FlatParameters:
    """One array for all parameters, one for their gradients; the layers' own become views of them.

    An optimiser's step is then one pass, the norm of the gradient one product, a copy of the weights
    one copy.  Weight matrices, which alone are penalised, come first.

    Attributes
    ----------
    values, grads : ndarray of shape (parameters,)
    weights : int
        How many of them are elements of weight matrices.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        places = [(layer, key) for layer in layers for key in layer.params]
        places.sort(key=lambda place: place[0].params[place[1]].ndim != 2)  # stable: in order otherwise
        params = [layer.params[key] for layer, key in places]
        for i, (layer, key) in enumerate(places):
            if any(params[i] is other for other in params[:i]):
                raise ValueError(f"{layer}: {key} is another layer's array; what is learned cannot be shared")
        self.weights = sum(param.size for param in params if param.ndim == 2)
        dtype = params[0].dtype if params else np.float32
        self.values = empty((sum(param.size for param in params),), dtype)
        self.grads = zeros(self.values.shape, dtype)
        self._views = []
        start = 0
        for (layer, key), param in zip(places, params):
            part = slice(start, start + param.size)
            value, grad = self.values[part].reshape(param.shape), self.grads[part].reshape(param.shape)
            self._views.append((layer, key, value, grad))
            start = part.stop
            _adopt(layer.params, key, value)
            _adopt(layer.grads, key, grad)

    def sync(self) -> None:
        """Take over what has been put in place of a view since; ValueError for another shape or dtype."""
        for layer, key, value, grad in self._views:
            if layer.params[key] is not value:
                _replace(layer, layer.params, key, value)
            if layer.grads[key] is not grad:
                _replace(layer, layer.grads, key, grad)

    def where(self, index: int) -> str:
        """What the element at `index` belongs to, for messages: ``"weight of layer Dense(2, 3)"``."""
        for layer, key, value, _ in self._views:
            if index < value.size:
                return f"{key} of {layer}"
            index -= value.size
        raise IndexError(index)

    def __iter__(self) -> Iterator[tuple[Layer, str, Array, Array]]:
        return iter(self._views)


def _replace(layer: Layer, views: dict[str, Array], key: str, view: Array) -> None:
    given = views[key]
    if getattr(given, "shape", None) != view.shape or given.dtype != view.dtype:
        raise ValueError(
            f"{layer}: {key} must be an array of shape {view.shape} and {view.dtype}, "
            f"got {getattr(given, 'shape', type(given).__name__)} and {getattr(given, 'dtype', 'no dtype')}"
        )
    _adopt(views, key, view)


def _adopt(arrays: dict[str, Array], key: str, view: Array) -> None:
    view[...] = arrays[key]
    arrays[key] = view
