"""ONNX graphs, built node by node from formulas: ``x / (1 + g("Exp", -x))``."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ._validate import Array

__all__ = ["Graph", "Tensor"]


class Tensor:
    """A value of the graph; arithmetic and comparisons add their nodes."""

    __array_ufunc__ = None  # array * tensor is the tensor's business
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.name = name

    def __add__(self, other: Any) -> Tensor:
        return self.graph("Add", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return self.graph("Add", other, self)

    def __sub__(self, other: Any) -> Tensor:
        return self.graph("Sub", self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return self.graph("Sub", other, self)

    def __mul__(self, other: Any) -> Tensor:
        return self.graph("Mul", self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return self.graph("Mul", other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return self.graph("Div", self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return self.graph("Div", other, self)

    def __neg__(self) -> Tensor:
        return self.graph("Neg", self)

    def __lt__(self, other: Any) -> Tensor:
        return self.graph("Less", self, other)

    def __le__(self, other: Any) -> Tensor:
        return self.graph("LessOrEqual", self, other)

    def __gt__(self, other: Any) -> Tensor:
        return self.graph("Greater", self, other)


class Graph:
    """A graph under construction: ``g("Gemm", x, weight)`` adds a node and gives its result.

    Numbers and arrays among the inputs become initializers of the graph's dtype, lists of numbers
    and np.int64 those of int64.

    Parameters
    ----------
    dtype : float32 or float64
    opset : int

    Attributes
    ----------
    scope : str
        What the names of new nodes begin with.
    """

    def __init__(self, dtype: Any, opset: int) -> None:
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.opset = opset
        self.scope = ""
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._constants: dict[tuple[Any, ...], Tensor] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._used: collections.Counter[str] = collections.Counter()

    @property
    def double(self) -> bool:
        """Whether the numbers are float64, for which runtimes lack many operators."""
        return self.dtype == np.float64

    def native(self, *params: Any, since: int = 1) -> bool:
        """Whether an operator of float32 serves: from opset `since` on, its attributes being numbers."""
        return not self.double and self.opset >= since and not any(map(np.ndim, params))

    def __call__(self, operator: str, *inputs: Any, **attributes: Any) -> Tensor:
        return self.several(1, operator, *inputs, **attributes)[0]

    def several(self, count: int, operator: str, *inputs: Any, **attributes: Any) -> list[Tensor]:
        """A node with more than one result."""
        names = [self._value(i).name for i in inputs]
        for key, value in attributes.items():
            if isinstance(value, float):  # which ONNX keeps as float32
                attributes[key] = float(_exactly(value, np.float32))
        name = self._name(operator)
        results = [name if i == 0 else f"{name}:{i}" for i in range(count)]
        self._nodes.append(helper.make_node(operator, names, results, name, **attributes))
        return [Tensor(self, result) for result in results]

    def initializer(self, name: str, value: Array) -> Tensor:
        """An array under a name of its own: of the graph's dtype; or int64, or strings as objects."""
        name = f"{self.scope}.{name}" if self.scope else name
        if value.dtype not in (np.int64, object):
            value = _exactly(value, self.dtype)
        self._initializers[name] = numpy_helper.from_array(value, name)
        return Tensor(self, name)

    def input(self, name: str, features: int | None) -> Tensor:
        """An input of shape (batch, features)."""
        self._inputs.append(self._info(name, features or "features"))
        return Tensor(self, name)

    def output(self, name: str, value: Tensor, *shape: int | None, kind: int | None = None) -> None:
        """Make `value` an output under another name: (batch, *shape), of the dtype or ONNX's `kind`."""
        self._outputs.append(self._info(name, *shape, kind=kind))
        if not any(list(node.output) == [value.name] for node in self._nodes):
            self._nodes.append(helper.make_node("Identity", [value.name], [name], name))
            return
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [name if other == value.name else other for other in names]
        value.name = name

    def model(self, name: str, **fields: Any) -> onnx.ModelProto:
        """The whole, with further fields of the ModelProto."""
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, initializer=[*self._initializers.values()]
        )
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),  # not the newest, which only few can read
            **fields,
        )

    def _info(self, name: str, *shape: int | str | None, kind: int | None = None) -> onnx.ValueInfoProto:
        if kind is None:
            kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        return helper.make_tensor_value_info(name, kind, ["batch", *shape])

    def _name(self, name: str) -> str:
        name = f"{self.scope}.{name}" if self.scope else name
        self._used[name] += 1
        return name if self._used[name] == 1 else f"{name}_{self._used[name]}"

    def _value(self, value: Any) -> Tensor:
        """A tensor as it is; a constant, one initializer for all equal ones."""
        if isinstance(value, Tensor):
            return value
        array = (
            np.array(value, np.int64) if isinstance(value, (list, np.int64)) else _exactly(value, self.dtype)
        )
        key = array.dtype, array.shape, array.tobytes()
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._initializers[name] = numpy_helper.from_array(array, name)
            self._constants[key] = Tensor(self, name)
        return self._constants[key]


def _exactly(value: Any, dtype: Any) -> Array:
    """`value` rounded; ValueError where nothing of it is left, or more than the dtype holds."""
    value = np.asarray(value)
    with np.errstate(all="ignore"):
        result: Array = value.astype(dtype)
    lost = (np.isinf(result) & np.isfinite(value)) | ((result == 0) & (value != 0))
    if np.any(lost):
        raise ValueError(f"{value[lost].flat[0]} is beyond {np.dtype(dtype)}")
    return result
