"""Piecewise polynomials: the rectifiers and what is cut from lines."""

from __future__ import annotations

import numpy as np

from .._registry import activation

INF = float("inf")


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
    return np.where(x > 0, x, negative_slope * x), np.where(x > 0, 1.0, negative_slope)


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
    return np.where(positive, x, weight * x), np.where(positive, 1.0, weight), np.minimum(x, 0.0)
