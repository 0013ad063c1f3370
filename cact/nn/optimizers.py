"""Optimisers: `step` changes the parameters in place, from the gradients of the last backward."""

from __future__ import annotations

import math

import numpy as np

from ._validate import FRACTION, NON_NEGATIVE, POSITIVE, Array, real
from .network import Sequential

__all__ = ["SGD", "Adam", "Optimizer"]


class Optimizer:
    """Base of the optimisers.

    Parameters
    ----------
    network : Sequential
    lr : float
        Learning rate, positive; may be changed between steps.
    weight_decay : float, default 0.0
        L2 penalty: ``weight_decay * param`` is added to the gradient of weight matrices.
        Biases, normalisation and the activations' own parameters (He et al. 2015) have none.

    Raises
    ------
    TypeError, ValueError
        For anything but a network, `lr` not positive, `weight_decay` negative.
    """

    def __init__(self, network: Sequential, lr: float, weight_decay: float = 0.0) -> None:
        name = type(self).__name__
        if not isinstance(network, Sequential):
            raise TypeError(f"{name}: network must be a Sequential, got {type(network).__name__}")
        self.network = network
        self.lr = real(name, "lr", lr, POSITIVE)
        self.weight_decay = real(name, "weight_decay", weight_decay, NON_NEGATIVE)

    def step(self) -> None:
        """Update every parameter once."""
        for key, param, grad in self.network.parameters():
            if self.weight_decay and param.ndim == 2:
                grad = grad + self.weight_decay * param
            self._update(key, param, grad)

    def _update(self, key: str, param: Array, grad: Array) -> None:
        raise NotImplementedError

    def _zeros(self) -> dict[str, Array]:
        return {key: np.zeros_like(param) for key, param, _ in self.network.parameters()}


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    ``v = momentum*v + grad; param -= lr*v``, and with Nesterov's momentum
    ``param -= lr*(grad + momentum*v)``.

    Parameters
    ----------
    network, lr, weight_decay
        As in `Optimizer`.
    momentum : float, default 0.0
        In [0, 1).
    nesterov : bool, default False

    Raises
    ------
    TypeError, ValueError
        As `Optimizer`; for `momentum` outside [0, 1), or `nesterov` without momentum.

    Source: Sutskever, Martens, Dahl & Hinton 2013, ICML.
    """

    def __init__(
        self,
        network: Sequential,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(network, lr, weight_decay)
        self.momentum = real("SGD", "momentum", momentum, FRACTION)
        if nesterov and self.momentum == 0:
            raise ValueError("SGD: nesterov needs a momentum greater than 0")
        self.nesterov = nesterov
        self._velocity = self._zeros() if self.momentum else {}

    def _update(self, key: str, param: Array, grad: Array) -> None:
        if not self.momentum:
            param -= self.lr * grad
            return
        v = self._velocity[key]
        v *= self.momentum
        v += grad
        param -= self.lr * (grad + self.momentum * v if self.nesterov else v)


class Adam(Optimizer):
    """Adam: steps by the first moment of the gradient over the root of the second.

    Parameters
    ----------
    network, lr, weight_decay
        As in `Optimizer`.
    betas : pair of float, default (0.9, 0.999)
        Decay of the two moments, each in [0, 1).
    eps : float, default 1e-8
        Added to the root, after the bias correction.

    Raises
    ------
    TypeError, ValueError
        As `Optimizer`; for `betas` outside [0, 1) or not two, `eps` not positive.

    Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1.
    """

    def __init__(
        self,
        network: Sequential,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(network, lr, weight_decay)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"Adam: betas must be two numbers, got {betas!r:.60}")
        self.betas = tuple(real("Adam", f"betas[{i}]", b, FRACTION) for i, b in enumerate(betas))
        self.eps = real("Adam", "eps", eps, POSITIVE)
        self._steps = 0
        self._first, self._second = self._zeros(), self._zeros()

    def step(self) -> None:
        self._steps += 1
        super().step()

    def _update(self, key: str, param: Array, grad: Array) -> None:
        m, v = self._first[key], self._second[key]
        b1, b2 = self.betas
        m += (1 - b1) * (grad - m)
        v += (1 - b2) * (grad * grad - v)
        root = np.sqrt(v) / math.sqrt(1 - b2**self._steps) + self.eps
        param -= self.lr / (1 - b1**self._steps) * m / root
