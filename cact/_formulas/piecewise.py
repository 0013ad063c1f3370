"""Piecewise polynomials: the rectifiers and what is cut from lines."""

from __future__ import annotations

import numpy as np

from .._registry import activation
from ._stable import _product

INF = float("inf")


def _proportional(x, slope):
    """slope*x, for x below 0; a slope of 0 gives 0 at -inf too."""
    return np.where(slope == 0, np.copysign(0.0, x), slope * x)


@activation("x", aliases=("linear", "none"), zero_centered=True, from_output=np.ones_like)
def identity(x):
    return x, np.ones_like(x)


@activation(
    "x if x > 0 else 0",
    aliases=("rectifier",),
    reference="Nair & Hinton 2010, ICML",
    range=(0, INF),
    smoothness=0,
    saturates="left",
    can_die=True,
    kinks=(0.0,),
    from_output=lambda y: (y > 0) * 1.0,
)
def relu(x):
    return np.where(x > 0, x, 0.0), (x > 0) * 1.0


@activation(
    "min(max(x, 0), 6)",
    reference="Krizhevsky 2010, Convolutional deep belief networks on CIFAR-10",
    range=(0, 6),
    smoothness=0,
    saturates="both",
    can_die=True,
    kinks=(0.0, 6.0),
    from_output=lambda y: ((y > 0) & (y < 6)) * 1.0,
)
def relu6(x):
    return np.where(x > 0, np.minimum(x, 6.0), 0.0), ((x > 0) & (x < 6)) * 1.0


@activation(
    "x if x > 0 else negative_slope*x",
    aliases=("lrelu",),
    domains={"negative_slope": "finite"},
    reference="Maas, Hannun & Ng 2013, ICML workshop",
    smoothness=0,
    kinks=(0.0,),
    from_output=lambda y, negative_slope: np.where(y > 0, 1.0, negative_slope),
    output_domain="negative_slope",
)
def leaky_relu(x, negative_slope=0.01):
    return np.where(x > 0, x, _proportional(x, negative_slope)), np.where(x > 0, 1.0, negative_slope)


@activation(
    "x if x > 0 else weight*x",
    learnable=("weight",),
    domains={"weight": "finite"},
    reference="He et al. 2015, arXiv:1502.01852",
    smoothness=0,
    kinks=(0.0,),
    from_output=lambda y, weight: np.where(y > 0, 1.0, weight),
    output_domain="weight",
)
def prelu(x, weight=0.25):
    positive = x > 0
    return (
        np.where(positive, x, _proportional(x, weight)),
        np.where(positive, 1.0, weight),
        np.minimum(x, 0.0),
    )


@activation(
    "x if x > 0 else (lower+upper)/2*x",
    randomized=True,
    domains={"lower": "finite", "upper": "finite"},
    ordered=("lower", "upper"),
    reference="Xu et al. 2015, arXiv:1505.00853",
    smoothness=0,
    kinks=(0.0,),
)
def rrelu(x, lower=1 / 8, upper=1 / 3):
    slope = 0.5 * lower + 0.5 * upper
    return np.where(x > 0, x, _proportional(x, slope)), np.where(x > 0, 1.0, slope)


@activation(
    "x if x > threshold else value",
    aliases=("threshold", "trelu"),
    domains={"threshold": "finite", "value": "finite"},
    reference="Konda, Memisevic & Krueger 2014, arXiv:1402.3337",
    range=(0, INF),
    smoothness=-1,
    saturates="left",
    can_die=True,
    kinks=lambda threshold, value: (threshold,),
)
def thresholded_relu(x, threshold=1.0, value=0.0):
    return np.where(x > threshold, x, value), (x > threshold) * 1.0


@activation(
    "max(x, 0)**2",
    aliases=("squared_relu",),
    reference="So et al. 2021, arXiv:2109.08668",
    range=(0, INF),
    smoothness=1,
    saturates="left",
    can_die=True,
    kinks=(0.0,),
    from_output=lambda y: 2 * np.sqrt(y),
)
def relu2(x):
    t = np.maximum(x, 0.0)
    return t * t, 2 * t


@activation(
    "scale*max(x, 0)**2+bias",
    learnable=("scale", "bias"),
    domains={"scale": "finite", "bias": "finite"},
    reference="Yu et al. 2022, arXiv:2210.13452",
    range=(-0.4472, INF),
    zero_centered=True,
    smoothness=1,
    saturates="left",
    can_die=True,
    kinks=(0.0,),
)
def star_relu(x, scale=0.8944, bias=-0.4472):
    t = np.maximum(x, 0.0)
    f, df = scale * t * t + bias, 2 * (scale * t)
    return np.where(scale == 0, bias, f), np.where(scale == 0, 0.0, df), t * t, np.ones_like(x)


@activation(
    "clip(x, min_val, max_val)",
    aliases=("clip", "clamp"),
    domains={"min_val": "finite", "max_val": "finite"},
    ordered=("min_val", "max_val"),
    reference="Collobert 2004, Large scale machine learning",
    range=(-1, 1),
    zero_centered=True,
    smoothness=0,
    saturates="both",
    can_die=True,
    kinks=lambda min_val, max_val: (min_val, max_val),
    from_output=lambda y, min_val, max_val: ((y > min_val) & (y < max_val)) * 1.0,
)
def hardtanh(x, min_val=-1.0, max_val=1.0):
    return np.clip(x, min_val, max_val), ((x > min_val) & (x < max_val)) * 1.0


@activation(
    "clip(slope*x+offset, 0, 1)",
    domains={"slope": "positive", "offset": "finite"},
    reference="Courbariaux, Bengio & David 2015, arXiv:1511.00363",
    range=(0, 1),
    smoothness=0,
    saturates="both",
    can_die=True,
    kinks=lambda slope, offset: (-offset / slope, (1 - offset) / slope),
    from_output=lambda y, slope, offset: np.where((y > 0) & (y < 1), slope, 0.0),
)
def hardsigmoid(x, slope=1 / 6, offset=0.5):
    low, high = -offset / slope, (1 - offset) / slope
    y = np.clip(x, low, high)
    p, rest = _product(slope, y)
    sixth = np.where(slope == 1 / 6, 2.0**-54 / 6, 0.0)  # the double nearest to 1/6 stands for 1/6
    v = np.clip(p + offset + (rest + sixth * y), 0.0, 1.0)
    return np.where(x < low, 0.0, np.where(x > high, 1.0, v)), np.where((x > low) & (x < high), slope, 0.0)


@activation(
    "x*clip(x/6+1/2, 0, 1)",
    aliases=("hard_silu",),
    reference="Howard et al. 2019, arXiv:1905.02244",
    range=(-0.375, INF),
    monotonic=False,
    smoothness=0,
    saturates="left",
    can_die=True,
    kinks=(-3.0, 3.0),
)
def hardswish(x):
    y = np.clip(x, -3.0, 3.0)
    return np.where(x < 3, y * (y + 3) / 6, x), np.where(x < 3, np.where(x > -3, (2 * y + 3) / 6, 0.0), 1.0)


@activation(
    "x if abs(x) > lambd else 0",
    domains={"lambd": "not negative"},
    reference="Donoho & Johnstone 1994, Biometrika 81",
    zero_centered=True,
    smoothness=-1,
    kinks=lambda lambd: (-lambd, lambd),
    from_output=lambda y, lambd: (y != 0) * 1.0,
)
def hardshrink(x, lambd=0.5):
    return np.where(np.abs(x) > lambd, x, np.copysign(0.0, x)), (np.abs(x) > lambd) * 1.0


@activation(
    "sign(x)*max(abs(x)-lambd, 0)",
    domains={"lambd": "not negative"},
    reference="Donoho 1995, IEEE Transactions on Information Theory 41",
    zero_centered=True,
    smoothness=0,
    kinks=lambda lambd: (-lambd, lambd),
    from_output=lambda y, lambd: (y != 0) * 1.0,
)
def softshrink(x, lambd=0.5):
    t = np.abs(x)
    return np.copysign(np.maximum(t - lambd, 0.0), x), (t > lambd) * 1.0


@activation(
    "0 if x < -1 else (x+1)**2/4 if x < 1 else x",
    range=(0, INF),
    reference="jax.nn.sparse_plus",
    smoothness=1,
    saturates="left",
    can_die=True,
    kinks=(-1.0, 1.0),
)
def sparse_plus(x):
    t = np.clip(x, -1.0, 1.0) + 1
    return np.where(x < 1, t * t / 4, x), t / 2


@activation(
    "clip((x+1)/2, 0, 1)",
    range=(0, 1),
    reference="jax.nn.sparse_sigmoid",
    smoothness=0,
    saturates="both",
    can_die=True,
    kinks=(-1.0, 1.0),
    from_output=lambda y: ((y > 0) & (y < 1)) * 0.5,
)
def sparse_sigmoid(x):
    return (np.clip(x, -1.0, 1.0) + 1) / 2, (np.abs(x) < 1) * 0.5
