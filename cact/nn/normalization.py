"""Normalisation: of each feature over a batch, of each sample over its features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ._arrays import add_row, sum_rows
from ._validate import POSITIVE, SHARE, Array, count, float_dtype, real
from .layers import Layer

__all__ = ["BatchNorm", "LayerNorm"]


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
        self.buffers["running_mean"] = np.zeros(self.n_in, self.dtype)
        self.buffers["running_var"] = np.ones(self.n_in, self.dtype)

    def __repr__(self) -> str:
        return f"BatchNorm({self.n_in})"

    @property
    def running_mean(self) -> Array:
        """The average of the batches' means."""
        return self.buffers["running_mean"]

    @property
    def running_var(self) -> Array:
        """The average of the batches' unbiased variances."""
        return self.buffers["running_var"]

    _arguments: ClassVar = {"features": (int,), "momentum": (float,), "eps": (float,), "dtype": (str,)}

    def _config(self) -> dict[str, Any]:
        return {
            "features": self.n_in,
            "momentum": self.momentum,
            "eps": self.eps,
            "dtype": self.dtype.name,
        }

    @classmethod
    def _shapes(cls, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(("gamma", "beta", "running_mean", "running_var"), (config["features"],))

    def _check_state(self) -> None:
        super()._check_state()
        if (self.running_var < 0).any():
            raise ValueError("running_var is negative")

    def _forward(self, x: Array, training: bool) -> Array:
        n = len(x)
        if training and n < 2:
            raise ValueError(f"{self}: training needs at least 2 samples in a batch, got {n}")
        mean = x.mean(axis=0) if training else self.running_mean
        xhat = self._xhat = np.subtract(x, mean, out=self._take("xhat", x.shape, x.dtype))
        y = self._take("y", x.shape, x.dtype)
        if training:
            var = np.mean(np.multiply(xhat, xhat, out=y), axis=0)
            for running, batch in ((self.running_mean, mean), (self.running_var, var * (n / (n - 1)))):
                running += self.momentum * (batch - running)
        else:
            var = self.running_var
        self._inv_std = 1 / np.sqrt(var + self.eps)
        self._training = training
        xhat *= self._inv_std
        np.multiply(xhat, self.params["gamma"], out=y)
        add_row(y, self.params["beta"])
        return y

    def _backward(self, dy: Array, wanted: bool) -> Array | None:
        dgamma, dbeta = self.grads["gamma"], self.grads["beta"]
        dx = self._take("dx", dy.shape, dy.dtype)
        np.add.reduce(np.multiply(dy, self._xhat, out=dx), axis=0, out=dgamma)
        sum_rows(dy, dbeta)
        if not wanted:
            return None
        scale = self.params["gamma"] * self._inv_std
        if not self._training:
            np.multiply(dy, scale, out=dx)
            return dx
        # mean and variance depend on x too: their part is what dy has along 1 and along xhat
        np.multiply(self._xhat, dgamma / -len(dy), out=dx)
        dx += dy
        dx -= dbeta / len(dy)
        dx *= scale
        return dx


class LayerNorm(Layer):
    """y = gamma * (x - mean) / sqrt(var + eps) + beta, with mean and (biased) variance of each row.

    The same in training and in inference; no sample depends on the others.

    Parameters
    ----------
    features : int
        At least 1; with 1 the output is beta.
    eps : float, default 1e-5
    dtype : float32 or float64, default float32

    Raises
    ------
    ValueError, TypeError
        For `features` below 1, `eps` not positive, another dtype.

    Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450.
    """

    n_in: int
    dtype: np.dtype[Any]

    def __init__(self, features: int, eps: float = 1e-5, dtype: Any = np.float32) -> None:
        super().__init__()
        self.n_in = self.n_out = count("LayerNorm", "features", features)
        self.eps = real(str(self), "eps", eps, POSITIVE)
        self.dtype = float_dtype(str(self), dtype)
        self._add("gamma", np.ones(self.n_in, self.dtype))
        self._add("beta", np.zeros(self.n_in, self.dtype))

    def __repr__(self) -> str:
        return f"LayerNorm({self.n_in})"

    _arguments: ClassVar = {"features": (int,), "eps": (float,), "dtype": (str,)}

    def _config(self) -> dict[str, Any]:
        return {"features": self.n_in, "eps": self.eps, "dtype": self.dtype.name}

    @classmethod
    def _shapes(cls, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(("gamma", "beta"), (config["features"],))

    def _means(self, x: Array, key: str) -> Array:
        """The mean of each row, as a column."""
        return np.mean(x, axis=1, keepdims=True, out=self._take(key, (len(x), 1), x.dtype))

    def _forward(self, x: Array, training: bool) -> Array:
        xhat = self._xhat = self._take("xhat", x.shape, x.dtype)
        y = self._take("y", x.shape, x.dtype)
        np.subtract(x, self._means(x, "mean"), out=xhat)
        # the mean is rounded: in a row far from 0 what is left of it would count as variance
        xhat -= self._means(xhat, "mean")
        inv_std = self._inv_std = self._means(np.multiply(xhat, xhat, out=y), "inv_std")
        inv_std += self.eps
        np.sqrt(inv_std, out=inv_std)
        np.divide(1, inv_std, out=inv_std)
        xhat *= inv_std
        np.multiply(xhat, self.params["gamma"], out=y)
        add_row(y, self.params["beta"])
        return y

    def _backward(self, dy: Array, wanted: bool) -> Array | None:
        dx = self._take("dx", dy.shape, dy.dtype)
        np.add.reduce(np.multiply(dy, self._xhat, out=dx), axis=0, out=self.grads["gamma"])
        sum_rows(dy, self.grads["beta"])
        if not wanted:
            return None
        # a row's mean and variance depend on x too: their part is what gamma*dy has along 1 and along xhat
        np.multiply(dy, self.params["gamma"], out=dx)
        part = self._take("part", dy.shape, dy.dtype)
        along = self._means(np.multiply(dx, self._xhat, out=part), "along")
        np.multiply(self._xhat, along, out=part)
        dx -= self._means(dx, "mean")
        dx -= part
        dx *= self._inv_std
        return dx
