"""Normalisation of the features over a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ._validate import POSITIVE, SHARE, Array, count, float_dtype, real
from .layers import Layer

__all__ = ["BatchNorm"]


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

    @property
    def buffers(self) -> dict[str, Array]:
        return {"running_mean": self.running_mean, "running_var": self.running_var}

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
        y += self.params["beta"]
        return y

    def _backward(self, dy: Array, wanted: bool) -> Array | None:
        dgamma, dbeta = self.grads["gamma"], self.grads["beta"]
        dx = self._take("dx", dy.shape, dy.dtype)
        np.add.reduce(np.multiply(dy, self._xhat, out=dx), axis=0, out=dgamma)
        np.add.reduce(dy, axis=0, out=dbeta)
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
