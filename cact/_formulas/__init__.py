"""The activations in NumPy alone: the fallback, and the Python half of the inventory.

Each function takes float64 and returns ``(f, f')``; learnable parameters add their own
derivatives.  The forms are stable (no overflow, no cancellation far from the roots of f')
and independent of the C kernels, so that each can be tested against the other and both
against the formula string.  NaN and rounding to the caller's dtype are the caller's.
"""

from .._registry import RECORDS
from . import algebraic, exponential, gated, pieces, piecewise, rows, smooth  # noqa: F401

#: The order of the catalogue, which goes through the families.
ORDER = """
identity sigmoid tanh relu relu6 leaky_relu prelu rrelu thresholded_relu elu celu selu softplus
log_sigmoid softsign hardtanh hardsigmoid hardswish hardshrink softshrink tanhshrink silu gelu gelu_tanh
mish exponential squareplus sparse_plus sparse_sigmoid swish quick_gelu relu2 star_relu telu golu serf
snake xielu acon_c softmax log_softmax softmin sparsemax entmax15 glu reglu geglu swiglu maxout crelu
"""

_known = ORDER.split()
for _name in sorted(RECORDS, key=lambda name: _known.index(name) if name in _known else len(_known)):
    RECORDS[_name] = RECORDS.pop(_name)
