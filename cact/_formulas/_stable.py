"""What the stable forms share."""

from __future__ import annotations

import numpy as np


def _product(a, b):
    """a*b and what its rounding lost: the upper halves of two numbers multiply exactly."""
    a_hi, b_hi = ((np.asarray(t, float).view(np.int64) & -(1 << 27)).view(float) for t in (a, b))
    p = a * b
    return p, (a_hi * b_hi - p) + a_hi * (b - b_hi) + (a - a_hi) * b


def _sum(a, b):
    """a+b and what its rounding lost."""
    s = a + b
    c = s - a
    return s, (a - (s - c)) + (b - c)


def _halves(v, rest=0.0):
    """h and k with h*h = exp(-|z|) and k*k = exp(min(z, 0)), z = v + rest.

    What is multiplied by them twice underflows only at the end.
    """
    rest = np.where(np.abs(v) < 1e4, rest, 0.0)  # beyond, h is 0, and the rest perhaps NaN
    half = np.copysign(0.5, v + rest)
    h = np.exp(-half * v) * np.exp(-half * rest)
    return h, np.where(half < 0, h, 1.0)


def _times_sigmoid(x, w, v, rest=0.0):
    """x*sigma(z) and its derivative, z = v + rest, w = x*z'."""
    h, k = _halves(v, rest)
    s = 1 / (1 + h * h)  # sigma(z) = k*s*k, sigma(-z) = s*(h/k)^2
    return x * k * s * k, k * (1 + w * s * np.where(k < 1, 1.0, h * h)) * s * k
