"""Sigmoids and units with an exponential: saturating on one side or both."""

from __future__ import annotations

import numpy as np

from .._registry import activation
from ._stable import _halves, _product

INF = float("inf")


@activation(
    "1/(1+exp(-x))",
    aliases=("logistic", "expit"),
    reference="Verhulst 1838; scipy.special.expit",
    range=(0, 1),
    saturates="both",
    from_output=lambda y: y * (1 - y),
)
def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1 + e), e / (1 + e) ** 2


@activation(
    "tanh(x)",
    reference="LeCun et al. 1998, Efficient BackProp",
    range=(-1, 1),
    zero_centered=True,
    saturates="both",
    from_output=lambda y: (1 - y) * (1 + y),
)
def tanh(x):
    e = np.exp(-2 * np.abs(x))
    return np.tanh(x), 4 * e / (1 + e) ** 2


@activation(
    "x if x > 0 else alpha*(exp(x)-1)",
    domains={"alpha": "finite"},
    reference="Clevert, Unterthiner & Hochreiter 2016, arXiv:1511.07289",
    range=(-1, INF),
    smoothness=1,
    saturates="left",
    kinks=(0.0,),
    from_output=lambda y, alpha: np.where(y > 0, 1.0, y + alpha),
    output_domain="alpha",
)
def elu(x, alpha=1.0):
    _, k = _halves(x)
    return np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0.0))), np.where(x > 0, 1.0, alpha * k * k)


@activation(
    "max(x,0)+min(0,alpha*(exp(x/alpha)-1))",
    domains={"alpha": "positive"},
    reference="Barron 2017, arXiv:1704.07483",
    range=(-1, INF),
    smoothness=1,
    saturates="left",
    kinks=(0.0,),
    from_output=lambda y, alpha: np.where(y > 0, 1.0, (y + alpha) / alpha),
)
def celu(x, alpha=1.0):
    z = np.clip(x / alpha, -1e3, 0.0)
    p, lost = _product(z, alpha)
    _, k = _halves(z, np.where(z > -1e3, ((x - p) - lost) / alpha, 0.0))
    return np.where(z > -1e-20, x, alpha * np.expm1(z)), k * k


_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_SCALE_ALPHA = 1.7580993408473768599402175208123


@activation(
    "1.0507009873554804934193349852946*x if x > 0 else"
    " 1.0507009873554804934193349852946*1.6732632423543772848170429916717*(exp(x)-1)",
    reference="Klambauer et al. 2017, arXiv:1706.02515",
    range=(-_SELU_SCALE_ALPHA, INF),
    zero_centered=True,
    smoothness=0,
    saturates="left",
    kinks=(0.0,),
    from_output=lambda y: np.where(y > 0, _SELU_SCALE, y + _SELU_SCALE_ALPHA),
)
def selu(x):
    z = np.minimum(x, 0.0)
    return (
        np.where(x >= 0, _SELU_SCALE * x, _SELU_SCALE_ALPHA * np.expm1(z)),
        np.where(x > 0, _SELU_SCALE, _SELU_SCALE_ALPHA * np.exp(z)),
    )


@activation(
    "log(1+exp(beta*x))/beta",
    aliases=("log1pexp", "soft_relu"),
    domains={"beta": "positive"},
    reference="Dugas et al. 2001, NIPS 13",
    range=(0, INF),
    saturates="left",
    from_output=lambda y, beta: -np.expm1(-beta * y),
)
def softplus(x, beta=1.0):
    v, rest = _product(beta, x)
    h, k = _halves(v, rest)
    e = h * h
    tail = np.where(e < 1e-20, h / beta * h, np.log1p(e) / beta)
    return np.maximum(x, 0.0) + tail, k * k / (1 + e)


@activation(
    "-log(1+exp(-x))",
    aliases=("logsigmoid", "log_expit"),
    reference="scipy.special.log_expit",
    range=(-INF, 0),
    saturates="right",
    from_output=lambda y: -np.expm1(y),
)
def log_sigmoid(x):
    h, k = _halves(-x)
    e = h * h
    return np.minimum(x, 0.0) - np.log1p(e), k * k / (1 + e)


@activation(
    "exp(x)",
    aliases=("exp",),
    reference="Clevert, Unterthiner & Hochreiter 2016 (the left of elu); tf.keras.activations.exponential",
    range=(0, INF),
    saturates="left",
    from_output=lambda y: y,
)
def exponential(x):
    e = np.exp(x)
    return e, e


@activation("x-tanh(x)", reference="torch.nn.Tanhshrink", zero_centered=True)
def tanhshrink(x):
    # tanh x = x/(1 + x^2/t), Lambert's t = 3 + x^2/(5 + x^2/(7 + ...)):  x - tanh x = x^3/(t + x^2)
    y = np.clip(x, -2.0, 2.0)
    t = np.full_like(y, 27.0)
    for n in range(25, 2, -2):
        t = n + y * y / t
    f = np.where(np.abs(x) < 2, y * (y * (y / (t + y * y))), x - np.tanh(x))
    return np.copysign(f, x), np.tanh(x) ** 2
