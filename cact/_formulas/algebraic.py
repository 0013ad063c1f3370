"""Smooth functions made of quotients and roots."""

from __future__ import annotations

import numpy as np

from .._registry import activation

INF = float("inf")


@activation(
    "x/(1+abs(x))",
    reference="Turian, Bergstra & Bengio 2009, NAACL-HLT",
    range=(-1, 1),
    zero_centered=True,
    smoothness=1,
    saturates="both",
    kinks=(0.0,),
    from_output=lambda y: (1 - np.abs(y)) ** 2,
)
def softsign(x):
    y = np.clip(x, -1e300, 1e300)  # inf / inf
    d = 1 + np.abs(y)
    return y / d, 1 / d / d


@activation(
    "(x+sqrt(x**2+b))/2",
    domains={"b": "positive"},
    reference="Barron 2021, arXiv:2112.11687",
    range=(0, INF),
    saturates="left",
    from_output=lambda y, b: 1 / (1 + b / 4 / y / y),
)
def squareplus(x, b=4.0):
    s = np.hypot(x, np.sqrt(b))
    d = np.abs(x) / 2 + s / 2
    tail = b / 4 / d  # f(-|x|)
    q = tail / s  # f'(-|x|)
    return np.where(x < 0, tail, d), np.where(x < 0, q, 1 - q)
