"""Networks as ONNX models: `cact.to_onnx`."""

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

__all__ = ["to_onnx"]

#: The first opset whose reductions and Split are those used here; the first that has Gelu.
LOWEST, DEFAULT = 18, 20


def to_onnx(
    model: Sequential, path: str | os.PathLike[str] | None = None, *, opset: int | None = None
) -> onnx.ModelProto:
    """A network as an ONNX model, in inference mode.

    The input is named ``x`` and has shape (batch, n_in), the output ``y``; both are of the network's
    dtype, float32 where no layer sets one.  The same network gives the same bytes.

    Layers become the operators that ONNX has: Gemm, BatchNormalization, LayerNormalization, and
    for activations Elu, Gelu, HardSwish, Mish and so on where the operator means exactly the
    activation; other activations are composed of operators, in forms that keep their digits.

    Parameters
    ----------
    model : cact.nn.Sequential
    path : path-like, optional
        Where to write the model, too: a complete file, or none.
    opset : int, default 20
        The version of ONNX's operators, from 18 up to the newest that the installed onnx knows.
        Below 20 Gelu is composed; from 24 on silu, swish and quick_gelu are the operator Swish.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    TypeError
        If `model` is no Sequential, `opset` no integer.
    ValueError
        For an `opset` outside that range, and for what has no ONNX form, naming the layer: own
        functions (`cact.register`, pairs of callables), own layers, rrelu in training, functions
        along another axis than the features, parameters per sample or beyond the dtype.
    ModuleNotFoundError
        Without the package onnx.
    OSError
        Where the file cannot be written.

    Notes
    -----
    A native operator is as exact as the runtime has it.  In onnxruntime 1.32 Gelu, Sigmoid and Swish
    lose their left tail, and Elu, Celu and Selu their digits near 0: the error is a few 1e-7 of the larger
    of 1 and the output (Swish: 3e-6; gated functions: times the value), but not small beside the output
    there.  Composed activations are within some ULP where they do not cross 0; where an exponential
    multiplies the rounding of its argument (golu's tail), as many more as the argument has.  sparsemax
    and entmax15 of thousands of near-equal features are as exact as the runtime's sums.  At infinite x
    a model may give NaN where cact gives the limit.

    In float64 all are composed but relu, tanh, exponential, softmax, log_softmax and what Clip is:
    onnxruntime has no other operators in float64, and ONNX has no attributes of it.

    Examples
    --------
    >>> import cact
    >>> from cact import nn
    >>> model = cact.to_onnx(nn.mlp((4, 8, 3), "gelu", rng=0))
    >>> [node.op_type for node in model.graph.node]
    ['Gemm', 'Gelu', 'Gemm']
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"to_onnx: model must be a cact.nn.Sequential, got {model!r:.60}")
    g = Graph(model.dtype or np.float32, _opset(opset))
    g.output("y", _network(g, g.input("x", model.n_in), model), model.n_out)
    result = g.model(
        "network", producer_name="cact", producer_version=__version__, doc_string=f"cact.nn.{model}"
    )
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
