"""A Dense layer, the activation and the dropout after it as one layer of a training loop.

Bias, activation and dropout are one pass over the product, while it is in the cache, and so are
the dropout's factors, f' and the bias's gradient on the way back.  The bits are those of the layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import _backend
from ._arrays import empty
from ._validate import Array
from .dropout import Dropout
from .layers import Activation, Dense, Layer

__all__ = ["FusedDense", "fused"]

matmul = np.matmul


def fused(layers: Sequence[Layer]) -> Iterator[Layer | FusedDense]:
    """The layers, with those that can be one as one."""
    i = 0
    while i < len(layers):
        one = _one(*layers[i : i + 3])
        yield one or layers[i]
        i += len(one.layers) if one else 1


def _one(dense: Layer, second: Layer | None = None, third: Layer | None = None) -> FusedDense | None:
    """The layers as one: a Dense, an activation of the C table and perhaps a Dropout; None for any other."""
    if type(dense) is not Dense or type(second) is not Activation or dense.n_out == 1:
        return None  # of one column NumPy's sum, the bias's gradient, is in another order
    if any(value.ndim for value in second.params.values()):
        return None
    f, compiled = second.activation, _backend.compiled
    record = f._record
    values = tuple({**f.params, **dict.fromkeys(second.params, 1.0)}.values())
    if (
        compiled is None
        or _backend.active() != "c"
        or not record.elementwise
        or record.randomized
        or compiled.inventory().get(record.name) != len(values)
        or not all(isinstance(value, (int, float)) for value in values)
    ):
        return None
    dropout = third if type(third) is Dropout else None
    return FusedDense(dense, second, dropout, compiled.LayerPass(record.name, tuple(map(float, values))))


class FusedDense:
    """y = f(x @ weight + bias), or dropout of it; keeps in the layers what they would keep.

    Its results are written into arrays of its own, the same in every step.
    """

    def __init__(self, dense: Dense, activation: Activation, dropout: Dropout | None, passes: Any) -> None:
        self.dense, self.activation, self.dropout, self._passes = dense, activation, dropout, passes
        self.layers = (dense, activation, dropout) if dropout else (dense, activation)
        self.params = dense.params
        self._accept = dense._accept
        self._arrays: dict[int, tuple[Array, ...]] = {}

    def _forward(self, x: Any, training: bool) -> Array:
        """In training: inference takes the layers."""
        dense, activation, dropout = self.dense, self.activation, self.dropout
        if activation.params:
            f = activation.activation
            values = tuple({**f.params, **activation._finite()}.values())
            f._check(list(values))
            self._passes.bind(values)
        arrays = self._arrays.get(x.shape[0]) or self._allot(x.shape[0])
        z, y = arrays[:2]
        dense._x = x
        if type(x) is np.ndarray:
            matmul(x, self.params["weight"], z)
        else:
            z[...] = x @ self.params["weight"]
        activation.z, activation.dz, activation._y = z, None, None
        if dropout is None or dropout.rate == 0:
            if dropout is not None:
                dropout._mask = None
            self._passes.forward(z, self.params.get("bias"), y)
            return y
        dropped = arrays[4]
        self._passes.forward(z, self.params.get("bias"), y, dropout._uniform(y), dropped, dropout.rate)
        return dropped

    def outputs(self) -> list[Array]:
        """Of each layer, as it was last computed."""
        z = self.activation.z
        arrays = None if z is None else self._arrays.get(len(z))
        if arrays is None:
            return []
        z, y, _, _, *dropped = arrays
        if self.dropout is not None and self.dropout._mask is None:
            dropped = [y]
        return [z, y, *dropped]

    def _backward(self, dy: Array, wanted: bool) -> Array | None:
        dense = self.dense
        z, _, dz, dx = self._arrays[len(dy)][:4]
        grads = dense.grads
        mask = None if self.dropout is None else self.dropout._mask
        activation = self.activation
        if activation.params:
            activation._learned(self._passes.backward(dy, z, dz, grads.get("bias"), mask, True))
        else:
            self._passes.backward(dy, z, dz, grads.get("bias"), mask)
        activation.dz = dz
        if type(dense._x) is np.ndarray:
            matmul(dense._x.T, dz, grads["weight"])
        else:
            grads["weight"][...] = dense._x.T @ dz
        return matmul(dz, self.params["weight"].T, dx) if wanted else None

    def _allot(self, rows: int) -> tuple[Array, ...]:
        """z, y, dz, dx and what is left of y for so many rows: the first ones of the largest."""
        most = max(self._arrays, default=0)
        if rows > most:
            n_in, n_out, dtype = self.dense.n_in, self.dense.n_out, self.dense.dtype
            shapes = [(rows, n_out)] * 3 + [(rows, n_in)] + [(rows, n_out)] * (self.dropout is not None)
            self._arrays = {}
            arrays = tuple(empty(shape, dtype) for shape in shapes)
        else:
            arrays = tuple(array[:rows] for array in self._arrays[most])
        self._arrays[rows] = arrays
        return self._arrays[rows]
