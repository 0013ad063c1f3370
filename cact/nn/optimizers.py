"""Optimisers: `step` changes all parameters in place, from the gradients of the last backward."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _backend
from ._arrays import all_finite, zeros
from ._validate import FRACTION, NON_NEGATIVE, POSITIVE, SHARE_OR_NONE, Array, NonFiniteError, real
from .network import Sequential
from .schedules import Schedule, get_schedule

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSProp"]

BLOCK = 1 << 14  # elements at a time: what a step reads and writes of them stays in the cache


class Optimizer:
    """Base of the optimisers.

    Parameters
    ----------
    network : Sequential
    lr : float, Schedule or callable
        Learning rate, positive; may be changed between steps.  A schedule (`cact.nn.schedules`),
        or a function of the step, sets it before each step.
    weight_decay : float, default 0.0
        L2 penalty: ``weight_decay * param`` is added to the gradient of weight matrices.
        Biases, normalisation and the activations' own parameters (He et al. 2015) have none.
    clip_norm : float, optional
        A gradient, of all parameters together, whose Euclidean norm is larger is scaled to this
        norm (Pascanu, Mikolov & Bengio 2013, ICML).

    Attributes
    ----------
    schedule : Schedule or None
    steps : int
        Steps done.
    state : dict of str to ndarray
        What the optimiser remembers, of shape (parameters,) each; empty where it has no memory.

    Raises
    ------
    TypeError, ValueError
        For anything but a network, `lr` or `clip_norm` not positive, `weight_decay` negative.
    """

    def __init__(
        self, network: Sequential, lr: Any, weight_decay: float = 0.0, clip_norm: float | None = None
    ) -> None:
        name = type(self).__name__
        if not isinstance(network, Sequential):
            raise TypeError(f"{name}: network must be a Sequential, got {type(network).__name__}")
        self.network = network
        try:
            self.schedule = get_schedule(lr) if isinstance(lr, Schedule) or callable(lr) else None
        except TypeError as error:
            raise TypeError(f"{name}: lr: {error}") from None
        self.lr = real(name, "lr", lr, POSITIVE) if self.schedule is None else self.schedule.lr(0)
        self.weight_decay = real(name, "weight_decay", weight_decay, NON_NEGATIVE)
        self.clip_norm = None if clip_norm is None else real(name, "clip_norm", clip_norm, POSITIVE)
        network.flat()  # from here on the layers' arrays stay where they are
        self.steps = 0
        self.state: dict[str, Array] = {}
        self._scratch: list[Array] = []

    def step(self) -> None:
        """Update every parameter once.

        Raises
        ------
        NonFiniteError
            If a gradient is not finite; nothing is changed then.
        """
        flat = self.network.flat()
        self._limit(flat.grads)
        if self.schedule is not None:
            self.lr = self.schedule.lr(self.steps)
        self.steps += 1
        self._prepare()
        state = tuple(self.state.values())
        if not self.weight_decay:
            self._update(flat.values, flat.grads, state, 0.0)
            return
        for part, decay in (slice(flat.weights), self.weight_decay), (slice(flat.weights, None), 0.0):
            self._update(flat.values[part], flat.grads[part], tuple(a[part] for a in state), decay)

    def _limit(self, grads: Array) -> None:
        """Refuse a gradient that is not finite; clip its norm."""
        if self.clip_norm is None and all_finite(grads):
            return
        if _backend.active() == "c":
            square = _backend.compiled.square_sum(grads)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                square = float(np.einsum("i,i", grads, grads, dtype=np.float64, casting="unsafe"))
        if not math.isfinite(square):
            finite = np.isfinite(grads)
            if not finite.all():
                place = int(finite.argmin())
                what = self.network.flat().where(place)
                raise NonFiniteError(f"the gradient is not finite: {grads[place]} for {what}")
        if self.clip_norm is not None and square > self.clip_norm**2:
            if math.isinf(square):  # the squares of numbers that are finite
                grads /= np.abs(grads).max()
                square = float(grads.dot(grads))
            grads *= self.clip_norm / math.sqrt(square)

    def _positive(self, name: str, value: Any) -> float:
        """A number that is positive in the parameters' dtype, too: others divide by 0."""
        number = real(type(self).__name__, name, value, POSITIVE)
        dtype = self.network.flat().values.dtype
        least = np.finfo(dtype).tiny
        if number < least:
            raise ValueError(
                f"{type(self).__name__}: {name} must be at least {least} in {dtype}, got {number}"
            )
        return number

    def _prepare(self) -> None:
        """What is the same for all parameters of a step."""

    def _update(self, values: Array, grads: Array, state: tuple[Array, ...], decay: float) -> None:
        kernel = self._kernel()
        if kernel is not None and _backend.active() == "c":
            name, *scalars = kernel
            _backend.compiled.update(name, values, grads, state, (decay, *scalars))
            return
        for rows in _blocks(len(values)):
            p, g = values[rows], grads[rows]
            a, b = self._spare(p)
            if decay:
                g = np.add(np.multiply(p, decay, out=a), g, out=a)
            self._change(p, g, b, *(array[rows] for array in state))

    def _change(self, p: Array, g: Array, t: Array, *state: Array) -> None:
        """Change the parameters p by their gradient g; t is to write into."""
        raise NotImplementedError

    def _kernel(self) -> tuple[Any, ...] | None:
        """`_change` in C, if it is there: its name in training.h, and its scalars after the decay."""
        return None

    def _spare(self, like: Array) -> list[Array]:
        if not self._scratch or self._scratch[0].dtype != like.dtype:
            self._scratch = [np.empty(BLOCK, like.dtype) for _ in range(2)]
        return [spare[: len(like)] for spare in self._scratch]

    def _remember(self, *names: str) -> None:
        values = self.network.flat().values
        self.state = {name: zeros(values.shape, values.dtype) for name in names}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scratch": []}


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, n, BLOCK))


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    ``v = momentum*v - lr*grad; param += v``, and with Nesterov's momentum
    ``param += momentum*v - lr*grad``.

    Parameters
    ----------
    network, lr, weight_decay, clip_norm
        As in `Optimizer`.
    momentum : float, default 0.0
        In [0, 1].
    nesterov : bool, default False

    Raises
    ------
    TypeError, ValueError
        As `Optimizer`; for `momentum` outside [0, 1], or `nesterov` without momentum.

    Source: Sutskever, Martens, Dahl & Hinton 2013, ICML.
    """

    def __init__(
        self,
        network: Sequential,
        lr: Any,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(network, lr, weight_decay, clip_norm)
        self.momentum = real("SGD", "momentum", momentum, SHARE_OR_NONE)
        if nesterov and self.momentum == 0:
            raise ValueError("SGD: nesterov needs a momentum greater than 0")
        self.nesterov = nesterov
        if self.momentum:
            self._remember("velocity")

    def _prepare(self) -> None:
        if self.momentum and not self.state:  # given since
            self._remember("velocity")

    def _change(self, p: Array, g: Array, t: Array, *state: Array) -> None:
        if not state:
            p -= np.multiply(g, self.lr, out=t)
            return
        (v,) = state
        v *= self.momentum
        v -= np.multiply(g, self.lr, out=t)
        if self.nesterov:
            p -= t
            p += np.multiply(v, self.momentum, out=t)
        else:
            p += v

    def _kernel(self) -> tuple[Any, ...]:
        if not self.momentum:
            return "sgd", self.lr
        return "nesterov" if self.nesterov else "momentum", self.lr, self.momentum


class RMSProp(Optimizer):
    """Steps by the gradient over the root of its mean square.

    ``s = decay*s + (1 - decay)*grad^2; u = momentum*u + grad/(sqrt(s) + eps); param -= lr*u``.

    Parameters
    ----------
    network, lr, weight_decay, clip_norm
        As in `Optimizer`.
    decay : float, default 0.9
        Of the mean square, in [0, 1).
    momentum : float, default 0.0
        In [0, 1].
    eps : float, default 1e-8

    Raises
    ------
    TypeError, ValueError
        As `Optimizer`; for `decay` or `momentum` out of range, `eps` not positive.

    Source: Tieleman & Hinton 2012, Neural Networks for Machine Learning, lecture 6.5.
    """

    def __init__(
        self,
        network: Sequential,
        lr: Any = 1e-3,
        decay: float = 0.9,
        momentum: float = 0.0,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(network, lr, weight_decay, clip_norm)
        self.decay = real("RMSProp", "decay", decay, FRACTION)
        self.momentum = real("RMSProp", "momentum", momentum, SHARE_OR_NONE)
        self.eps = self._positive("eps", eps)
        self._remember("square", *(["update"] if self.momentum else []))

    def _prepare(self) -> None:
        if self.momentum and "update" not in self.state:  # given since
            self.state["update"] = zeros(self.state["square"].shape, self.state["square"].dtype)

    def _change(self, p: Array, g: Array, t: Array, *state: Array) -> None:
        s = state[0]
        np.multiply(g, g, out=t)
        t *= 1 - self.decay
        s *= self.decay
        s += t
        np.sqrt(s, out=t)
        t += self.eps
        np.divide(g, t, out=t)
        if len(state) > 1:
            u = state[1]
            u *= self.momentum
            u += t
            np.copyto(t, u)
        t *= self.lr
        p -= t

    def _kernel(self) -> tuple[Any, ...]:
        return "rmsprop", self.lr, self.momentum, self.decay, 1 - self.decay, self.eps


class Adam(Optimizer):
    """Adam: steps by the first moment of the gradient over the root of the second.

    ``m = b1*m + (1 - b1)*grad; v = b2*v + (1 - b2)*grad^2``;
    ``param -= lr/(1 - b1^t) * m / (sqrt(v/(1 - b2^t)) + eps)``.

    Parameters
    ----------
    network, lr, weight_decay, clip_norm
        As in `Optimizer`.
    betas : pair of float, default (0.9, 0.999)
        Decay of the two moments, each in [0, 1).
    eps : float, default 1e-8
        Added to the root.
    eps_hat : bool, default False
        Whether `eps` is added before the root's correction instead of after it, as in the paper's
        efficient order and in scikit-learn: ``lr*sqrt(1 - b2^t)/(1 - b1^t) * m/(sqrt(v) + eps)``.

    Raises
    ------
    TypeError, ValueError
        As `Optimizer`; for `betas` outside [0, 1) or not two, `eps` not positive.

    Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1 and the end of section 2.
    """

    _decoupled = False

    def __init__(
        self,
        network: Sequential,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        eps_hat: bool = False,
    ) -> None:
        super().__init__(network, lr, weight_decay, clip_norm)
        name = type(self).__name__
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"{name}: betas must be two numbers, got {betas!r:.60}")
        self.betas = tuple(real(name, f"betas[{i}]", b, FRACTION) for i, b in enumerate(betas))
        self.eps = self._positive("eps", eps)
        self.eps_hat = eps_hat
        self._remember("first", "second")

    def _prepare(self) -> None:
        b1, b2 = self.betas
        root = math.sqrt(1 - b2**self.steps)
        # the correction of the root is taken out of the quotient
        self._rate = self.lr * root / (1 - b1**self.steps)
        self._eps = self.eps if self.eps_hat else self.eps * root

    def _update(self, values: Array, grads: Array, state: tuple[Array, ...], decay: float) -> None:
        if self._decoupled and decay:
            values *= 1 - self.lr * decay
            decay = 0.0
        super()._update(values, grads, state, decay)

    def _change(self, p: Array, g: Array, t: Array, *state: Array) -> None:
        m, v = state
        b1, b2 = self.betas
        m *= b1
        m += np.multiply(g, 1 - b1, out=t)
        np.multiply(g, g, out=t)
        t *= 1 - b2
        v *= b2
        v += t
        np.sqrt(v, out=t)
        t += self._eps
        np.divide(m, t, out=t)
        t *= self._rate
        p -= t

    def _kernel(self) -> tuple[Any, ...]:
        b1, b2 = self.betas
        return "adam", self._rate, b1, 1 - b1, b2, 1 - b2, self._eps


class AdamW(Adam):
    """Adam with decoupled weight decay: before each step weight matrices shrink by ``lr*weight_decay``.

    Parameters
    ----------
    network, lr, betas, eps, clip_norm, eps_hat
        As in `Adam`.
    weight_decay : float, default 0.01

    Raises
    ------
    TypeError, ValueError
        As `Adam`.

    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2.
    """

    _decoupled = True

    def __init__(
        self,
        network: Sequential,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        clip_norm: float | None = None,
        eps_hat: bool = False,
    ) -> None:
        super().__init__(network, lr, betas, eps, weight_decay, clip_norm, eps_hat)
