"""Layers: forward and backward stand next to each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._lookup import get
from .._shaped import RowActivation, ShapedActivation
from ._validate import FRACTION, POSITIVE, SHARE, Array, count, float_dtype, matrix, real
from .init import scheme

__all__ = ["Activation", "BatchNorm", "Dense", "Dropout", "Layer"]


class Layer:
    """Base of the layers.

    A layer takes and gives 2-D arrays (samples, features) of float32 or float64, and keeps
    their dtype.  `forward` stores what `backward` needs; arrays are kept by reference, so
    they must not be changed in between.

    Attributes
    ----------
    params : dict of str to ndarray
        What is learned; optimisers change these arrays in place.
    grads : dict of str to ndarray
        dL/dparams: the same keys, shapes and dtypes; overwritten by `backward`.
    n_in, n_out : int or None
        Features before and after; None where any number is taken and kept.
    dtype : numpy.dtype or None
        The dtype of x, y and the parameters; None where the input decides.
    """

    n_in: int | None = None
    n_out: int | None = None
    dtype: np.dtype[Any] | None = None

    def __init__(self) -> None:
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}
        self._expected: tuple[tuple[int, int], np.dtype[Any]] | None = None

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
        raise NotImplementedError

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
        raise NotImplementedError

    def width(self, n: int | None) -> int | None:
        """The number of features after the layer for n before it; None where it is not known."""
        return self.n_out or n

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
        self._expected = (len(x), x.shape[1] if self.n_out is None else self.n_out), x.dtype

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
    """y = x @ weight + bias.

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

    def forward(self, x: Array, training: bool = False) -> Array:
        self._accept(x)
        self._x = x
        y: Array = x @ self.params["weight"]
        if "bias" in self.params:
            y += self.params["bias"]
        return y

    def backward(self, dy: Array) -> Array:
        self._accept_grad(dy)
        np.matmul(self._x.T, dy, out=self.grads["weight"])
        if "bias" in self.grads:
            np.add.reduce(dy, axis=0, out=self.grads["bias"])
        return dy @ self.params["weight"].T  # type: ignore[no-any-return]


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

    def __init__(self, activation: Any, *, features: int | None = None, dtype: Any = np.float32) -> None:
        super().__init__()
        self.activation = get(activation)
        self.z: Array | None = None
        self.dz: Array | None = None
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

    def forward(self, x: Array, training: bool = False) -> Array:
        self._accept(x)
        for key, value in self.params.items():
            if not np.isfinite(value).all():
                raise FloatingPointError(f"{self}: {key} is not finite")
        self.z, self.dz = x, None
        y: Array = self.activation(x, **self.params)
        self._y = y if isinstance(self.activation, RowActivation) else None
        self._expected = y.shape, x.dtype
        return y

    def width(self, n: int | None) -> int | None:
        if n is None or not isinstance(self.activation, ShapedActivation):
            return super().width(n)
        return self.activation.width(n)

    def backward(self, dy: Array) -> Array:
        self._accept_grad(dy)
        # functions of rows have their backward from the output
        result = self.activation.backward(dy, self.z if self._y is None else self._y, *self.params.values())
        dz: Array
        dz, *dparams = result if self.params else (result,)
        for grad, value in zip(self.grads.values(), dparams):
            grad[...] = value
        self.dz = dz
        return dz


class Dropout(Layer):
    """Sets a share of the elements to 0 in training and scales the others by 1/(1 - rate).

    Inverted dropout: the expected output is x, and inference is the identity.

    Parameters
    ----------
    rate : float
        The probability of an element to be dropped, in [0, 1).
    rng : numpy.random.Generator, int or None

    Raises
    ------
    ValueError, TypeError
        If `rate` is no number in [0, 1).

    Source: Srivastava et al. 2014, JMLR 15.
    """

    def __init__(self, rate: float, rng: Any = None) -> None:
        super().__init__()
        self.rate = real("Dropout", "rate", rate, FRACTION)
        self.rng = np.random.default_rng(rng)
        self._mask: Array | None = None

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"

    def forward(self, x: Array, training: bool = False) -> Array:
        self._accept(x)
        if not training or self.rate == 0:
            self._mask = None
            return x
        mask = self.rng.random(x.shape, dtype=x.dtype)
        np.greater_equal(mask, self.rate, out=mask)
        mask *= 1 / (1 - self.rate)
        self._mask = mask
        return x * mask

    def backward(self, dy: Array) -> Array:
        self._accept_grad(dy)
        return dy if self._mask is None else dy * self._mask


class BatchNorm(Layer):
    """y = gamma * (x - mean) / sqrt(var + eps) + beta, per feature.

    In training the mean and the (biased) variance are the batch's; in inference they are
    running averages, ``running = (1 - momentum) * running + momentum * batch``, that training
    keeps, of the mean and of the unbiased variance.

    Parameters
    ----------
    features : int
    momentum : float, default 0.1
        The weight of a new batch, in (0, 1].
    eps : float, default 1e-5
    dtype : float32 or float64, default float32

    Attributes
    ----------
    running_mean, running_var : ndarray of shape (features,)

    Raises
    ------
    ValueError, TypeError
        For `features` below 1, `momentum` outside (0, 1], `eps` not positive, another dtype;
        in `forward` also for a training batch of fewer than 2 samples.

    Source: Ioffe & Szegedy 2015, arXiv:1502.03167.
    """

    n_in: int
    dtype: np.dtype[Any]

    def __init__(
        self, features: int, momentum: float = 0.1, eps: float = 1e-5, dtype: Any = np.float32
    ) -> None:
        super().__init__()
        self.n_in = self.n_out = count("BatchNorm", "features", features)
        self.momentum = real(str(self), "momentum", momentum, SHARE)
        self.eps = real(str(self), "eps", eps, POSITIVE)
        self.dtype = float_dtype(str(self), dtype)
        self._add("gamma", np.ones(self.n_in, self.dtype))
        self._add("beta", np.zeros(self.n_in, self.dtype))
        self.running_mean: Array = np.zeros(self.n_in, self.dtype)
        self.running_var: Array = np.ones(self.n_in, self.dtype)

    def __repr__(self) -> str:
        return f"BatchNorm({self.n_in})"

    def forward(self, x: Array, training: bool = False) -> Array:
        self._accept(x)
        n = len(x)
        if training and n < 2:
            raise ValueError(f"{self}: training needs at least 2 samples in a batch, got {n}")
        mean = x.mean(axis=0) if training else self.running_mean
        self._xhat = xhat = x - mean
        if training:
            var = np.mean(xhat * xhat, axis=0)
            for running, batch in ((self.running_mean, mean), (self.running_var, var * (n / (n - 1)))):
                running += self.momentum * (batch - running)
        else:
            var = self.running_var
        self._inv_std = 1 / np.sqrt(var + self.eps)
        self._training = training
        xhat *= self._inv_std
        y: Array = xhat * self.params["gamma"]
        y += self.params["beta"]
        return y

    def backward(self, dy: Array) -> Array:
        self._accept_grad(dy)
        dgamma, dbeta = self.grads["gamma"], self.grads["beta"]
        np.add.reduce(dy * self._xhat, axis=0, out=dgamma)
        np.add.reduce(dy, axis=0, out=dbeta)
        scale = self.params["gamma"] * self._inv_std
        if not self._training:
            dx: Array = dy * scale
            return dx
        # mean and variance depend on x too: their part is what dy has along 1 and along xhat
        dx = self._xhat * (dgamma / -len(dy))
        dx += dy
        dx -= dbeta / len(dy)
        dx *= scale
        return dx
