"""The activations in NumPy alone: the fallback, and the Python half of the inventory.

Each function takes float64 and returns ``(f, f')``; learnable parameters add their own
derivatives.  The forms are stable (no overflow, no cancellation far from the roots of f')
and independent of the C kernels, so that each can be tested against the other and both
against the formula string.  NaN and rounding to the caller's dtype are the caller's.
"""

from . import piecewise, algebraic, exponential, smooth, rows, gated, pieces  # noqa: F401, I001  (in this order)
