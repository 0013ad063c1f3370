"""A Dense layer and the activation after it as one layer of a training loop.

Bias and activation are one pass over the product, while it is in the cache, and so are f' and the
bias's gradient on the way back.  The bits are those of the two layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import _backend
from ._validate import Array
from .layers import Activation, Dense, Layer

__all__ = ["DenseActivation", "fused"]

matmul = np.matmul


def fused(layers: Sequence[Layer]) -> Iterator[Layer | DenseActivation]:
    """The layers, with each pair that can be one as one."""
    i = 0
    while i < len(layers):
        passes = _passes(*layers[i : i + 2])
        if passes is not None:
            yield DenseActivation(layers[i], layers[i + 1], passes)  # type: ignore[arg-type]
            i += 1
        else:
            yield layers[i]
        i += 1


def _passes(first: Layer, second: Layer | None = None) -> Any:
    """The compiled passes of a Dense and an activation of the C table; None for any other pair."""
    if type(first) is not Dense or type(second) is not Activation or second.params:
        return None
    f, compiled = second.activation, _backend.compiled
    record = f._record
    values = tuple(f.params.values())
    if (
        compiled is None
        or _backend.active() != "c"
        or not record.elementwise
        or record.randomized
        or compiled.inventory().get(record.name) != len(values)
        or not all(isinstance(value, (int, float)) for value in values)
    ):
        return None
    return compiled.LayerPass(record.name, tuple(map(float, values)))


class DenseActivation:
    """y = f(x @ weight + bias); keeps in the two layers what they would keep.

    Its results are written into arrays of its own, the same in every step.
    """

    def __init__(self, dense: Dense, activation: Activation, passes: Any) -> None:
        self.dense, self.activation, self._passes = dense, activation, passes
        self.params = dense.params
        self._accept = dense._accept
        self._arrays: dict[int, tuple[Array, ...]] = {}

    def _forward(self, x: Any, training: bool) -> Array:
        dense, activation = self.dense, self.activation
        arrays = self._arrays.get(x.shape[0]) or self._allot(x.shape[0])
        z, y = arrays[:2]
        dense._x = x
        if type(x) is np.ndarray:
            matmul(x, self.params["weight"], z)
        else:
            z[...] = x @ self.params["weight"]
        self._passes.forward(z, self.params.get("bias"), y)
        activation.z, activation.dz, activation._y = z, None, None
        return y

    def _backward(self, dy: Array, wanted: bool) -> Array | None:
        dense = self.dense
        z, _, dz, dx = self._arrays[len(dy)]
        grads = dense.grads
        self._passes.backward(dy, z, dz, grads.get("bias"))
        self.activation.dz = dz
        if type(dense._x) is np.ndarray:
            matmul(dense._x.T, dz, grads["weight"])
        else:
            grads["weight"][...] = dense._x.T @ dz
        return matmul(dz, self.params["weight"].T, dx) if wanted else None

    def _allot(self, rows: int) -> tuple[Array, ...]:
        """z, y, dz and dx for so many rows: the first ones of the largest."""
        most = max(self._arrays, default=0)
        if rows > most:
            n_in, n_out, dtype = self.dense.n_in, self.dense.n_out, self.dense.dtype
            shapes = [(rows, n_out)] * 3 + [(rows, n_in)]
            self._arrays = {}
            arrays = tuple(np.empty(shape, dtype) for shape in shapes)
        else:
            arrays = tuple(array[:rows] for array in self._arrays[most])
        self._arrays[rows] = arrays
        return self._arrays[rows]
