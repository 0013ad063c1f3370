"""What the stable forms share."""

from __future__ import annotations

import numpy as np


def _product(a, b):
    """a*b and what its rounding lost: the upper halves of two numbers multiply exactly."""
    a_hi, b_hi = ((np.asarray(t, float).view(np.int64) & -(1 << 27)).view(float) for t in (a, b))
    a_lo, b_lo, p = a - a_hi, b - b_hi, a * b
    return p, (a_hi * b_hi - p) + a_hi * b_lo + a_lo * b_hi + a_lo * b_lo


def _sum(a, b):
    """a+b and what its rounding lost (Knuth)."""
    s = a + b
    c = s - a
    return s, (a - (s - c)) + (b - c)


def _times(b, x):
    """b*x, no further than 1500 from 0, and what its rounding lost; for any finite b."""
    far = ~(np.abs(b * x) < 1500) & (b != 0)
    v, rest = _product(b, np.where(far | (b == 0), 0.0, x))
    return np.where(far, np.copysign(1500.0, b) * np.sign(x), v), rest


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


_ROOT, _ROOT_REST = -1.2784645427610737, -1.0946994183093437e-16  # 1 + r + exp(r) = 0


def _silu_slope(v, rest=0.0, x=1.0):
    """x times the derivative of z*sigma(z) at z = v + rest.

    For z < 0 the derivative is e^z (1 + z + e^z)/(1 + e^z)^2, whose bracket vanishes at the root r;
    as (z - r) + e^r (e^(z-r) - 1) it has no cancellation.  At -z it is 1 less that at z.
    """
    h, _ = _halves(v, rest)
    e = h * h
    z, low = -np.abs(v), np.where(v < 0, rest, -rest)
    d = (z - _ROOT) + (low - _ROOT_REST)
    left = np.where(np.abs(d) < 1, d - (1 + _ROOT + _ROOT_REST) * np.expm1(np.clip(d, -1, 1)), 1 + z + e)
    left = left / (1 + e) ** 2
    return np.where(v < 0, (h * x) * left * h, x * (1 - h * left * h))
