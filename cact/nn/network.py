"""`Sequential`, a chain of layers, and `mlp`, which builds one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .._lookup import get
from ._flat import FlatParameters
from ._validate import FRACTION, Array, count, float_dtype, real
from .dropout import AlphaDropout, Dropout
from .init import for_activation
from .layers import Activation, Dense, Layer
from .normalization import BatchNorm, LayerNorm

__all__ = ["Sequential", "mlp"]


class Sequential:
    """Layers one after the other.

    Parameters
    ----------
    *layers : Layer
        At least one; each only once.

    Attributes
    ----------
    layers : tuple of Layer
    outputs : list of ndarray
        Each layer's output in the last `forward`.
    n_in, n_out : int or None
        Features of the input and the output; None where no layer sets them.
    dtype : numpy.dtype or None
        The dtype of the input and of all parameters; None where no layer sets it.

    Raises
    ------
    ValueError
        Without layers, with a layer twice, or where one layer's features are not the next one's.
    TypeError
        For anything that is no Layer, and for layers of different dtypes.
    """

    def __init__(self, *layers: Layer) -> None:
        if not layers:
            raise ValueError("Sequential: there must be at least one layer")
        self.layers = layers
        self._flat: FlatParameters | None = None
        self.outputs: list[Array] = []
        self.n_in: int | None = None
        self.n_out: int | None = None
        self.dtype: np.dtype[Any] | None = None
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential: layer {i} must be a Layer, got {layer!r:.60}")
            if any(layer is other for other in layers[:i]):
                raise ValueError(f"Sequential: layer {i}, {layer}, occurs twice")
            if layer.dtype is not None and self.dtype not in (None, layer.dtype):
                raise TypeError(f"Sequential: layer {i}, {layer}, is {layer.dtype} after {self.dtype}")
            if layer.n_in is not None and self.n_out not in (None, layer.n_in):
                raise ValueError(
                    f"Sequential: layer {i}, {layer}, takes {layer.n_in} features, but gets {self.n_out}"
                )
            self.dtype = self.dtype or layer.dtype
            self.n_in = self.n_in or layer.n_in
            try:
                self.n_out = layer.width(self.n_out)
            except ValueError as error:
                raise ValueError(f"Sequential: layer {i}: {error}") from None

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"

    def forward(self, x: Array, training: bool = False) -> Array:
        """The last layer's output, shape (samples, n_out); parameters and errors as in `Layer`."""
        self.outputs = outputs = []
        for layer in self.layers:
            x = layer.forward(x, training)
            outputs.append(x)
        return x

    def flat(self) -> FlatParameters:
        """All parameters as one array, all gradients as another.

        Optimisers work on them.  The layers' own arrays are views of them from the first call
        on, also where one was replaced since.

        Returns
        -------
        FlatParameters
            `values` and `grads`, of shape (parameters,).

        Raises
        ------
        ValueError
            Where a layer's array was replaced by one of another shape or dtype.
        """
        if self._flat is None:
            self._flat = FlatParameters(self.layers)
        else:
            self._flat.sync()
        return self._flat

    def learned(self) -> Iterator[Array]:
        """The arrays that training changes: all parameters as one, and each layer's buffers."""
        yield self.flat().values
        for layer in self.layers:
            yield from layer.buffers.values()

    def __getstate__(self) -> dict[str, Any]:
        # a copy has arrays of its own; the batches of the last pass are nobody's
        return {**self.__dict__, "_flat": None, "outputs": []}

    def backward(self, dy: Array) -> Array:
        """dL/dx of the last `forward` from dL/dy; fills every layer's gradients."""
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    def parameters(self) -> Iterator[tuple[str, Array, Array]]:
        """``(key, param, grad)`` of each parameter, in order; keys such as ``"0.weight"``."""
        for i, layer in enumerate(self.layers):
            for name, param in layer.params.items():
                yield f"{i}.{name}", param, layer.grads[name]

    @property
    def activations(self) -> list[Activation]:
        """The activation layers, in order."""
        return [layer for layer in self.layers if isinstance(layer, Activation)]

    def predict(self, x: Array, batch_size: int = 1024) -> Array:
        """The output in inference mode (for a classifier: logits), computed in batches.

        Parameters
        ----------
        x : ndarray of shape (samples, n_in)
        batch_size : int, default 1024
            Bounds the memory; what the layers keep afterwards is the last batch's.

        Returns
        -------
        ndarray of shape (samples, n_out), dtype of x

        Raises
        ------
        ValueError, TypeError
            As `Layer.forward`; for a `batch_size` below 1.
        """
        batch_size = count("predict", "batch_size", batch_size)
        if hasattr(x, "tocsr"):
            x = x.tocsr()  # the sparse form that has rows
        y = self.forward(x[:batch_size])
        n = x.shape[0]
        if n <= batch_size:
            return y
        result = np.empty((n, y.shape[1]), y.dtype)
        result[:batch_size] = y
        for start in range(batch_size, n, batch_size):
            rows = slice(start, start + batch_size)
            result[rows] = self.forward(x[rows])
        return result


def hidden_activations(where: str, activation: Any, hidden: int) -> list[Any]:
    """The activation of each hidden layer, from one for all or a list; errors name the place in it."""

    def named(name: str, one: Any) -> Any:
        try:
            return get(one)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{where}: {name}: {error}") from None

    if not isinstance(activation, list):
        return [named("activation", activation)] * hidden
    if len(activation) != hidden:
        raise ValueError(
            f"{where}: activation must be one or a list of {hidden}, one for each hidden layer, "
            f"got {len(activation)}"
        )
    return [named(f"activation[{i}]", one) for i, one in enumerate(activation)]


def mlp(
    sizes: Sequence[int],
    activation: Any,
    *,
    normalization: str | None = None,
    dropout: float | Sequence[float] = 0.0,
    init: Any = "auto",
    rng: Any = None,
    dtype: Any = np.float32,
) -> Sequential:
    """A multilayer perceptron: per hidden layer Dense, normalisation, Activation, dropout; then Dense.

    Parameters
    ----------
    sizes : sequence of int
        Features of the input, of each hidden layer and of the output: ``(64, 32, 32, 10)``.  Those
        of a hidden layer stand before its activation: glu hands on half of them, crelu twice as many.
    activation : str, Activation, pair of callables, or list of these
        For all hidden layers, or a list with one for each.
    normalization : {None, "batch", "layer"}
        A BatchNorm or LayerNorm before each hidden activation; the hidden Dense layers then
        have no bias: beta takes its part.
    dropout : float or list of float, default 0.0
        The rate of the dropout after each hidden activation, or a list with one for each; 0
        for none.  It is AlphaDropout after selu, which depends on mean 0 and variance 1
        (Klambauer et al. 2017), and Dropout after all others.
    init : str or callable, default "auto"
        "auto" takes `cact.nn.init.for_activation` for each layer; He's gain is that of the
        activation that feeds the layer, and 1 for the first, which data of unit variance
        should feed (He et al. 2015, section 2.2).  "orthogonal" has these gains in every
        layer.  Else as in `Dense`, for all layers.
    rng : numpy.random.Generator, int or None
        Draws the weights, then the dropout masks.
    dtype : float32 or float64, default float32

    Returns
    -------
    Sequential

    Raises
    ------
    ValueError, TypeError
        For fewer than 2 sizes or one below 1, a list of activations or rates of another length
        than the hidden layers, another normalisation, a rate outside [0, 1), a size that an
        activation cannot cut (an odd one for glu), and as the layers themselves.
    """
    if isinstance(sizes, (str, bytes)) or not isinstance(sizes, (Sequence, np.ndarray)) or len(sizes) < 2:
        raise ValueError(f"mlp: sizes must be at least two numbers of features, got {sizes!r:.60}")
    sizes = [count("mlp", f"sizes[{i}]", n) for i, n in enumerate(sizes)]
    hidden = len(sizes) - 2
    functions = hidden_activations("mlp", activation, hidden)
    if normalization not in (None, "batch", "layer"):
        raise ValueError(f"mlp: normalization must be None, 'batch' or 'layer', got {normalization!r:.60}")
    if isinstance(dropout, (list, tuple)):
        if len(dropout) != hidden:
            raise ValueError(
                f"mlp: dropout must be one rate or a list of {hidden}, one for each hidden layer, "
                f"got {len(dropout)}"
            )
        rates = [real("mlp", f"dropout[{i}]", rate, FRACTION) for i, rate in enumerate(dropout)]
    else:
        rates = [real("mlp", "dropout", dropout, FRACTION)] * hidden
    dtype = float_dtype("mlp", dtype)
    rng = np.random.default_rng(rng)

    activations = [Activation(function, dtype=dtype) for function in functions]
    # what each Dense takes: gated functions hand on other numbers of features than they get
    taken: list[Any] = [sizes[0]]
    for i, layer in enumerate(activations, 1):
        try:
            taken.append(layer.width(sizes[i]))
        except ValueError as error:
            raise ValueError(f"mlp: sizes[{i}]: {error}") from None

    def dense(i: int, follower: Any, bias: bool = True) -> Dense:
        name, gain = init, None
        if isinstance(init, str) and init in ("auto", "orthogonal"):
            if init == "auto":
                name, gain = for_activation(follower)
            if name in (
                "he_normal",
                "orthogonal",
            ):  # the factor makes up for what the function before took away
                gain = functions[i - 1].gain if i else 1.0
        return Dense(taken[i], sizes[i + 1], init=name, gain=gain, bias=bias, rng=rng, dtype=dtype)

    layers: list[Layer] = []
    for i, function in enumerate(functions):
        layers.append(dense(i, function, bias=normalization is None))
        if normalization is not None:
            norm = BatchNorm if normalization == "batch" else LayerNorm
            layers.append(norm(sizes[i + 1], dtype=dtype))
        layers.append(activations[i])
        if rates[i]:
            kind = AlphaDropout if function.name == "selu" else Dropout
            layers.append(kind(rates[i], rng))
    layers.append(dense(hidden, "identity"))
    return Sequential(*layers)
