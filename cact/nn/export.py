"""Networks as ONNX graphs, for `cact.to_onnx`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

try:
    import onnx
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'onnx is not installed; pip install "cact[onnx]" brings it', name=error.name
    ) from None

from .. import __version__
from .._files import write_file
from .._registry import RECORDS
from ._graph import Graph, Tensor
from ._onnx_forms import FORMS
from .dropout import AlphaDropout, Dropout
from .layers import Activation, Dense, Layer
from .network import Sequential
from .normalization import BatchNorm, LayerNorm

__all__ = ["begin", "finish"]

#: The first opset whose reductions and Split are those used here; the first that has Gelu.
LOWEST, DEFAULT = 18, 20


def begin(network: Sequential, opset: int | None) -> tuple[Graph, Tensor]:
    """A graph with a network in inference mode, from the input ``x``; and the network's output.

    Raises
    ------
    TypeError, ValueError
        As `cact.to_onnx`.
    """
    g = Graph(network.dtype or np.float32, _opset(opset))
    return g, _network(g, g.input("x", network.n_in), network)


def finish(g: Graph, name: str, about: str, path: str | os.PathLike[str] | None) -> onnx.ModelProto:
    """The model of a graph, written to `path`, too, if there is one."""
    result = g.model(name, producer_name="cact", producer_version=__version__, doc_string=about)
    if path is not None:
        content = result.SerializeToString(deterministic=True)
        write_file(path, lambda file: file.write(content))
    return result


def _opset(value: Any) -> int:
    newest = onnx.defs.onnx_opset_version()
    if value is None:
        return DEFAULT
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"to_onnx: opset must be an integer, got {value!r:.60}")
    if not LOWEST <= value <= newest:
        raise ValueError(f"to_onnx: opset must be from {LOWEST} to {newest}, got {value}")
    return int(value)


def _network(g: Graph, x: Tensor, network: Sequential) -> Tensor:
    """Add a network to a graph; its output for x."""
    for i, layer in enumerate(network.layers):
        g.scope = str(i)
        kind = type(layer)
        if kind not in _LAYERS:  # a subclass may compute anything
            raise ValueError(f"to_onnx: layer {i}, {layer}: the class {kind.__name__} has no ONNX form")
        try:
            x = _LAYERS[kind](g, x, layer)
        except ValueError as error:
            raise ValueError(f"to_onnx: layer {i}, {layer}: {error}") from None
    g.scope = ""
    return x


# ---------------------------------------------------------------------- layers
def _dense(g: Graph, x: Tensor, layer: Dense) -> Tensor:
    return g("Gemm", x, *(g.initializer(name, value) for name, value in layer.params.items()))


def _dropout(g: Graph, x: Tensor, layer: Dropout) -> Tensor:
    return x


def _batch_norm(g: Graph, x: Tensor, layer: BatchNorm) -> Tensor:
    gamma, beta = (g.initializer(name, layer.params[name]) for name in ("gamma", "beta"))
    mean = g.initializer("running_mean", layer.running_mean)
    # the attribute is a float32: what that has lost of eps stands in the variance
    variance = g.initializer("running_var", layer.running_var + (layer.eps - float(np.float32(layer.eps))))
    return g("BatchNormalization", x, gamma, beta, mean, variance, epsilon=layer.eps)


def _layer_norm(g: Graph, x: Tensor, layer: LayerNorm) -> Tensor:
    gamma, beta = (g.initializer(name, layer.params[name]) for name in ("gamma", "beta"))
    if not g.double:
        return g("LayerNormalization", x, gamma, beta, epsilon=layer.eps)
    d = x - g("ReduceMean", x, [1])  # the operator would do this much in float32
    return d / g("Sqrt", g("ReduceMean", d * d, [1]) + layer.eps) * gamma + beta


def _activation(g: Graph, x: Tensor, layer: Activation) -> Tensor:
    function = layer.activation
    if RECORDS.get(function.name) is not function._record or function.name not in FORMS:
        raise ValueError("an own function has no ONNX form")
    params = {**function.params, **layer.params}
    if params.pop("axis", -1) not in (-1, 1):
        raise ValueError("only along the features it has an ONNX form")
    for key in function._record.defaults:
        params[key] = _per_feature(key, params[key])
    return FORMS[function.name](g, x, **params)


def _per_feature(key: str, value: Any) -> Any:
    """A parameter as a number, or as a float64 array of shape (features,)."""
    value = np.asarray(value)
    if value.ndim == 0:
        return value.item()
    if value.ndim > 1 and set(value.shape[:-1]) != {1}:
        raise ValueError(f"{key} must be a number or one per feature, it has shape {value.shape}")
    return value.reshape(-1).astype(np.float64)


_LAYERS: dict[type[Layer], Callable[[Graph, Tensor, Any], Tensor]] = {
    Activation: _activation,
    AlphaDropout: _dropout,
    BatchNorm: _batch_norm,
    Dense: _dense,
    Dropout: _dropout,
    LayerNorm: _layer_norm,
}
