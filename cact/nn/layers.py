"""Layers: forward and backward stand next to each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from .._lookup import get
from .._registry import RECORDS
from .._shaped import RowActivation, ShapedActivation
from ._arrays import Workspace, add_row, all_finite, sum_rows
from ._validate import Array, NonFiniteError, count, float_dtype, matrix
from .init import scheme

__all__ = ["Activation", "Dense", "Layer"]


class Layer(Workspace):
    """Base of the layers.

    A layer takes and gives 2-D arrays (samples, features) of float32 or float64, and keeps
    their dtype.  `forward` stores what `backward` needs; arrays are kept by reference, so
    they must not be changed in between.  A layer of one's own overrides `_forward` and
    `_backward`, which compute; `forward` and `backward` check what they get and call them.

    Attributes
    ----------
    params : dict of str to ndarray
        What is learned; optimisers change these arrays in place.
    grads : dict of str to ndarray
        dL/dparams: the same keys, shapes and dtypes; overwritten by `backward`.
    buffers : dict of str to ndarray
        What training changes besides, in place: running averages.
    n_in, n_out : int or None
        Features before and after; None where any number is taken and kept.
    dtype : numpy.dtype or None
        The dtype of x, y and the parameters; None where the input decides.
    """

    n_in: int | None = None
    n_out: int | None = None
    dtype: np.dtype[Any] | None = None
    _expected: tuple[tuple[int, ...], np.dtype[Any]] | None = None  # the last output's shape and dtype
    _transient = frozenset(
        ("_kept", "_expected", "_x", "_y", "z", "dz", "_mask", "_xhat", "_inv_std", "_training")
    )

    def __init__(self) -> None:
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}

    def forward(self, x: Array, training: bool = False) -> Array:
        """The layer's output.

        Parameters
        ----------
        x : ndarray of shape (samples, n_in)
        training : bool, default False
            Whether layers that differ in training (Dropout, BatchNorm) do so.

        Returns
        -------
        ndarray of shape (samples, n_out), dtype of x

        Raises
        ------
        ValueError
            For a wrong number of dimensions or features.
        TypeError
            If x is no array, or of another dtype than the layer.
        """
        self._accept(x)
        y = self._forward(x, training)
        self._expected = y.shape, y.dtype
        return y

    def backward(self, dy: Array) -> Array:
        """dL/dx from dL/dy, for the last `forward`; fills `grads`.

        Parameters
        ----------
        dy : ndarray of shape (samples, n_out), dtype of the output

        Returns
        -------
        ndarray of shape (samples, n_in), dtype of dy

        Raises
        ------
        ValueError
            Before any `forward`, or for a shape other than the output's.
        TypeError
            For a dtype other than the output's.
        """
        self._accept_grad(dy)
        dx = self._backward(dy, True)
        assert dx is not None
        return dx

    # What a layer computes.  Nothing is checked here: `forward` has done that, and a training
    # loop, whose batches differ in length alone, does it once.

    def _forward(self, x: Array, training: bool) -> Array:
        raise NotImplementedError

    def _backward(self, dy: Array, wanted: bool) -> Array | None:
        """dL/dx, which may be None where it is not `wanted`; fills `grads`."""
        raise NotImplementedError

    def width(self, n: int | None) -> int | None:
        """The number of features after the layer for n before it; None where it is not known."""
        return self.n_out or n

    # What `cact.nn.files` keeps of a layer, apart from its arrays.

    #: The constructor's arguments, without those that say how it starts; their types in JSON.
    _arguments: ClassVar[dict[str, tuple[type, ...]]] = {}

    def _config(self) -> dict[str, Any]:
        """Those arguments, as JSON has them; TypeError or ValueError where it cannot."""
        raise NotImplementedError

    @classmethod
    def _from_config(cls, config: Mapping[str, Any]) -> Layer:
        """The layer that `config` describes; its arrays are yet to be filled."""
        return cls(**config)

    @classmethod
    def _shapes(cls, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        """Those of the parameters and buffers of that layer; nothing is allocated."""
        return {}

    def _check_state(self) -> None:
        """ValueError unless parameters and buffers are what they can be."""
        for name, array in (*self.params.items(), *self.buffers.items()):
            if not np.isfinite(array).all():
                raise ValueError(f"{name} is not finite")

    def _add(self, name: str, value: Array) -> None:
        self.params[name] = value
        self.grads[name] = np.zeros_like(value)

    def _accept(self, x: Array) -> None:
        """Check the input of forward."""
        matrix(str(self), "x", x)
        if self.dtype is not None and x.dtype != self.dtype:
            raise TypeError(f"{self}: x must be {self.dtype}, got {x.dtype}")
        if self.n_in is not None and x.shape[1] != self.n_in:
            raise ValueError(f"{self}: x must have {self.n_in} features, got {x.shape[1]}")

    def _accept_grad(self, dy: Array) -> None:
        """Check the input of backward against the last output."""
        if self._expected is None:
            raise ValueError(f"{self}: backward called before forward")
        shape, dtype = self._expected
        matrix(str(self), "dy", dy)
        if dy.shape != shape:
            raise ValueError(f"{self}: dy must have the output's shape {shape}, got {dy.shape}")
        if dy.dtype != dtype:
            raise TypeError(f"{self}: dy must be {dtype}, got {dy.dtype}")


class Dense(Layer):
    """y = x @ weight + bias.  A first layer takes SciPy's sparse x too.

    Parameters
    ----------
    n_in, n_out : int
        Features before and after.
    init : str or callable, default "he_normal"
        A scheme of `cact.nn.init`, or a function with their signature
        ``init(n_in, n_out, *, [gain,] rng, dtype)``.  The bias starts at 0.
    gain : float, optional
        Given to `init`; by default the scheme's own.
    bias : bool, default True
    rng : numpy.random.Generator, int or None
    dtype : float32 or float64, default float32

    Raises
    ------
    ValueError, TypeError
        For sizes below 1, an unknown scheme, another dtype, or an `init` whose result has
        another shape or dtype.
    """

    n_in: int
    n_out: int
    dtype: np.dtype[Any]

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        init: Any = "he_normal",
        gain: float | None = None,
        bias: bool = True,
        rng: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.n_in, self.n_out = count("Dense", "n_in", n_in), count("Dense", "n_out", n_out)
        self.dtype = float_dtype(str(self), dtype)
        given = {} if gain is None else {"gain": gain}
        weight = scheme(init)(self.n_in, self.n_out, **given, rng=rng, dtype=self.dtype)
        if getattr(weight, "shape", None) != (n_in, n_out) or weight.dtype != self.dtype:
            raise ValueError(f"{self}: init must return an array of shape ({n_in}, {n_out}) and {self.dtype}")
        self._add("weight", weight)
        if bias:
            self._add("bias", np.zeros(self.n_out, self.dtype))

    def __repr__(self) -> str:
        return f"Dense({self.n_in}, {self.n_out})"

    _arguments: ClassVar = {"n_in": (int,), "n_out": (int,), "bias": (bool,), "dtype": (str,)}

    def _config(self) -> dict[str, Any]:
        bias = "bias" in self.params
        return {"n_in": self.n_in, "n_out": self.n_out, "bias": bias, "dtype": self.dtype.name}

    @classmethod
    def _from_config(cls, config: Mapping[str, Any]) -> Dense:
        return cls(**config, init=lambda n_in, n_out, rng, dtype: np.empty((n_in, n_out), dtype))

    @classmethod
    def _shapes(cls, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        bias = {"bias": (config["n_out"],)} if config["bias"] else {}
        return {"weight": (config["n_in"], config["n_out"]), **bias}

    def _accept(self, x: Any) -> None:
        if not hasattr(x, "tocsr"):
            super()._accept(x)
            return
        # SciPy's sparse matrices and arrays, which only a first layer meets
        if x.dtype != self.dtype:
            raise TypeError(f"{self}: x must be {self.dtype}, got {x.dtype}")
        if x.ndim != 2 or x.shape[1] != self.n_in:
            raise ValueError(f"{self}: x must have shape (samples, {self.n_in}), got {x.shape}")

    def _forward(self, x: Any, training: bool) -> Array:
        self._x = x
        weight = self.params["weight"]
        if isinstance(x, np.ndarray):
            y = np.matmul(x, weight, self._take("y", (len(x), self.n_out), self.dtype))
        else:
            y = x @ weight
        if "bias" in self.params:
            add_row(y, self.params["bias"])
        return y

    def _backward(self, dy: Array, wanted: bool) -> Array | None:
        if isinstance(self._x, np.ndarray):
            np.matmul(self._x.T, dy, self.grads["weight"])
        else:
            self.grads["weight"][...] = self._x.T @ dy
        if "bias" in self.grads:
            sum_rows(dy, self.grads["bias"])
        if not wanted:
            return None
        return np.matmul(dy, self.params["weight"].T, self._take("dx", (len(dy), self.n_in), self.dtype))


class Activation(Layer):
    """y = f(x), elementwise, or along the rows for functions such as softmax and glu.

    A learnable function (prelu) owns its parameters here and trains with the network; they
    start at the values bound to the activation.

    Parameters
    ----------
    activation : str, Activation or pair of callables
        Anything that `cact.get` takes.
    features : int, optional
        Gives a learnable function one parameter per feature instead of a shared one.
    dtype : float32 or float64, default float32
        Of the learnable parameters; unused by functions that have none.

    Attributes
    ----------
    activation : cact.Activation
    z : ndarray or None
        The last input.
    dz : ndarray or None
        The last dL/dz, after `backward`.

    Raises
    ------
    ValueError, TypeError
        As `cact.get`; ValueError for `features` with a function that is not learnable, or
        with bound values of another shape.
    """

    z: Array | None = None
    dz: Array | None = None

    def __init__(self, activation: Any, *, features: int | None = None, dtype: Any = np.float32) -> None:
        super().__init__()
        self.activation = get(activation)
        self._features = features
        learnable = self.activation.learnable
        if features is not None:
            if not learnable:
                raise ValueError(f"{self}: features is for learnable functions only")
            self.n_in = self.n_out = count(str(self), "features", features)
        if not learnable:
            return
        self.dtype = float_dtype(str(self), dtype)
        for key in learnable:
            value = np.array(self.activation.params[key], self.dtype)
            if features is not None and value.shape in ((), (1,)):
                value = np.full(features, value, self.dtype)
            if value.ndim > 1 or (value.ndim == 1 and self.n_in not in (None, len(value))):
                shape = f"({self.n_in or 'features'},)"
                raise ValueError(f"{self}: {key} must have shape () or {shape}, got {value.shape}")
            if value.ndim == 1:
                self.n_in = self.n_out = len(value)
            self._add(key, value)

    def __repr__(self) -> str:
        return f"Activation({self.activation.name})"

    _arguments: ClassVar = {
        "activation": (str,),
        "params": (dict,),
        "features": (int, type(None)),
        "dtype": (str, type(None)),
    }

    def _config(self) -> dict[str, Any]:
        f = self.activation
        if RECORDS.get(f.name) is not f._record:
            raise TypeError("functions are kept by name alone: register them first, with cact.register")
        params = f.bind(**f.params).params  # as checked; a registered function's defaults are not yet
        return {
            "activation": f.name,
            "params": {key: _listed(key, value) for key, value in params.items()},
            "features": None if self._features is None else self.n_in,
            "dtype": None if self.dtype is None else self.dtype.name,
        }

    @classmethod
    def _from_config(cls, config: Mapping[str, Any]) -> Activation:
        return cls(_bound(config), features=config["features"], dtype=config["dtype"] or np.float32)

    @classmethod
    def _shapes(cls, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        f, features = _bound(config), config["features"]
        shapes = {key: np.shape(f.params[key]) for key in f.learnable}
        if features is not None:  # as in the constructor
            shapes = {key: (features,) if shape in ((), (1,)) else shape for key, shape in shapes.items()}
        return shapes

    @property
    def function(self) -> Any:
        """The activation with what has been learned bound to it."""
        return self.activation.bind(**self.params)

    def _finite(self) -> dict[str, Any]:
        """The parameters, of which those that are one for all are numbers, the quickest to call with."""
        params = {key: value if value.ndim else float(value) for key, value in self.params.items()}
        for key, value in params.items():
            if not (math.isfinite(value) if isinstance(value, float) else all_finite(value)):
                raise NonFiniteError(f"{self}: {key} is not finite")
        return params

    def _forward(self, x: Array, training: bool) -> Array:
        params = self._finite()
        self.z, self.dz = x, None
        width = self.width(x.shape[1])
        assert width is not None
        y: Array = self.activation(x, out=self._take("y", (len(x), width), x.dtype), **params)
        self._y = y if isinstance(self.activation, RowActivation) else None
        return y

    def width(self, n: int | None) -> int | None:
        if n is None or not isinstance(self.activation, ShapedActivation):
            return super().width(n)
        return self.activation.width(n)

    def _backward(self, dy: Array, wanted: bool) -> Array:
        assert self.z is not None
        # functions of rows have their backward from the output
        source = self.z if self._y is None else self._y
        dz = self._take("dz", self.z.shape, dy.dtype)
        if self.params:
            _, *dparams = self.activation.backward(dy, source, *self._finite().values(), out=dz)
            self._learned(dparams)
        else:
            self.activation.backward(dy, source, out=dz)
        self.dz = dz
        return dz

    def _learned(self, dparams: Iterable[Any]) -> None:
        for grad, value in zip(self.grads.values(), dparams):
            grad[...] = value


def _listed(key: str, value: Any) -> Any:
    """A bound parameter as JSON has it, to the same bits."""
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) is np.ndarray:
        numbers = value.tolist()
        if np.shape(numbers) == value.shape:  # lists do not tell all shapes without elements
            return numbers
    elif value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{key} is {value!r:.60}, which a file does not keep; bind a number or an array")


def _numbers(value: Any) -> bool:
    """Whether it is a list, nested or not, of floats alone."""
    return isinstance(value, list) and all(type(v) is float or _numbers(v) for v in value)


def _bound(config: Mapping[str, Any]) -> Any:
    """The cact activation that the description of a layer tells."""
    name, params = config["activation"], config["params"]
    if name not in RECORDS:
        raise ValueError(
            f"no activation is named {name!r:.60}; if it is an own function, register it first, "
            "with cact.register"
        )
    f = get(name)
    if params.keys() != f.params.keys():
        raise ValueError(f"{name} has the parameters {list(f.params)}, got {list(params)!r:.200}")
    for key, value in params.items():
        if isinstance(value, dict) or (isinstance(value, list) and not _numbers(value)):
            raise ValueError(f"{name}: {key} must be a number or a list of floats, got {value!r:.60}")
    return f.bind(**params)
