"""The activations in NumPy alone: the fallback, and the Python half of the inventory.

Each function takes float64 and returns ``(f, f')``; a learnable parameter adds its own
derivative.  The forms are stable (no overflow, no cancellation far from the roots of f')
and independent of the C kernels, so that each can be tested against the other and both
against the formula string.  NaN and rounding to the caller's dtype are the caller's.
"""

from __future__ import annotations

import numpy as np

from ._registry import activation

INF = float("inf")


def _product(a, b):
    """a*b and what its rounding lost: the upper halves of two numbers multiply exactly."""
    a_hi, b_hi = ((np.asarray(t, float).view(np.int64) & -(1 << 27)).view(float) for t in (a, b))
    p = a * b
    return p, (a_hi * b_hi - p) + a_hi * (b - b_hi) + (a - a_hi) * b


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


@activation("x", aliases=("linear", "none"), zero_centered=True)
def identity(x):
    return x, np.ones_like(x)


@activation(
    "1/(1+exp(-x))",
    aliases=("logistic", "expit"),
    reference="Verhulst 1838; scipy.special.expit",
    range=(0, 1),
    saturates="both",
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
)
def tanh(x):
    e = np.exp(-2 * np.abs(x))
    return np.tanh(x), 4 * e / (1 + e) ** 2


@activation(
    "x if x > 0 else 0",
    aliases=("rectifier",),
    reference="Nair & Hinton 2010, ICML",
    range=(0, INF),
    smoothness=0,
    saturates="left",
    can_die=True,
    kinks=(0.0,),
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
)
def prelu(x, weight=0.25):
    positive = x > 0
    return np.where(positive, x, weight * x), np.where(positive, 1.0, weight), np.minimum(x, 0.0)


@activation(
    "x if x > 0 else alpha*(exp(x)-1)",
    domains={"alpha": "finite"},
    reference="Clevert, Unterthiner & Hochreiter 2016, arXiv:1511.07289",
    range=(-1, INF),
    smoothness=1,
    saturates="left",
    kinks=(0.0,),
)
def elu(x, alpha=1.0):
    _, k = _halves(x)
    return np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0.0))), np.where(x > 0, 1.0, alpha * k * k)


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
)
def softplus(x, beta=1.0):
    v, rest = _product(beta, x)
    h, k = _halves(v, rest)
    e = h * h
    tail = np.where(e < 1e-20, h / beta * h, np.log1p(e) / beta)
    return np.maximum(x, 0.0) + tail, k * k / (1 + e)


@activation(
    "x/(1+exp(-x))",
    aliases=("swish1", "sil"),
    reference="Hendrycks & Gimpel 2016, arXiv:1606.08415; Elfwing et al. 2018",
    range=(-0.27846454276107379511, INF),
    monotonic=False,
    saturates="left",
)
def silu(x):
    return _times_sigmoid(np.maximum(x, -1e3), np.clip(x, -1e3, 1e3), x)  # inf * 0


# M(t)(1 + sqrt(pi/2) t) in powers of (t-4)/(t+4): src_c/tools/mills.py 25
_MILLS = [
    0.5677154071290903,
    -0.07803568342632985,
    -0.013961083648835498,
    0.054009740629567655,
    -0.04817249606515125,
    0.024630732380860273,
    -0.006398124458860073,
    -0.0005197960506871541,
    0.0009183408021495766,
    -0.00010681103368530432,
    -0.00011736476956046876,
    2.545951823080767e-05,
    1.816931954996316e-05,
    -4.090649886243767e-06,
    -3.44346771356889e-06,
    4.525442262468889e-07,
    7.175372463448305e-07,
    1.8987737195434744e-08,
    -1.4337127539505615e-07,
    -3.2133099614047266e-08,
    2.306051621389169e-08,
    1.112842553987796e-08,
    -1.9990599657790396e-09,
    -2.0100197130487526e-09,
    -6.874919334152751e-11,
    1.1400713230203054e-10,
]


def _normal_tail(t):
    """h with h*h = exp(-t^2/2), and Phi(-t) exp(t^2/2), for t >= 0."""
    square, rest = _product(t, t)
    q = (t - 4) / (t + 4)
    g = np.full_like(q, _MILLS[-1])
    for c in _MILLS[-2::-1]:
        g = g * q + c
    return _halves(square / 2, rest / 2)[0], g / (1 + np.sqrt(np.pi / 2) * t)


@activation(
    "x*erfc(-x/sqrt(2))/2",
    aliases=("gelu_erf",),
    variants={
        "approximate": ("none", {"none": "gelu", "tanh": "gelu_tanh", False: "gelu", True: "gelu_tanh"})
    },
    reference="Hendrycks & Gimpel 2016, arXiv:1606.08415",
    range=(-0.16997120747990366169, INF),
    monotonic=False,
    saturates="left",
)
def gelu(x):
    t = np.minimum(np.abs(x), 40.0)
    h, m = _normal_tail(t)
    left = h * (m - t / np.sqrt(2 * np.pi)) * h
    f = np.copysign(np.maximum(x, 0.0) - h * (t * m) * h, x)
    return f, np.where(x < 0, left, 1 - left)


@activation(
    "x*(1+tanh(sqrt(2/pi)*(x+0.044715*x**3)))/2",
    aliases=("gelu_new", "gelu_fast"),
    reference="Hendrycks & Gimpel 2016, arXiv:1606.08415",
    range=(-0.17004075057125405064, INF),
    monotonic=False,
    saturates="left",
)
def gelu_tanh(x):
    # sigma(z), z = ax + bx^3, would lose as many bits as z has.  So z = z(c) + rest, where c
    # has so few, as have the first parts of a and b, that v = z(c) is exact.
    a, a1, a2 = 1.5957691216057308, 13073 / 2**13, -5.607370676928824e-05
    b, b1, b2 = 0.07135481627260025, 9353 / 2**17, -2.9107781810012236e-06
    y = np.clip(x, -30.0, 30.0)  # inf * 0; sigma(z(30)) is 1, sigma(z(-30)) is 0
    c = np.round(256 * y) / 256
    ccc = c * c * c
    rest = a2 * c + b2 * ccc + (y - c) * (a + b * (y * y + y * c + c * c))
    return _times_sigmoid(np.maximum(x, -30.0), y * (a + 3 * b * y * y), a1 * c + b1 * ccc, rest)


@activation(
    "x*tanh(log(1+exp(x)))",
    reference="Misra 2019, arXiv:1908.08681",
    range=(-0.30884341301725040663, INF),
    monotonic=False,
    saturates="left",
)
def mish(x):
    # With u = e^x, tanh(log(1+u)) = u(u+2)/(u(u+2)+2); above 0 both are divided by u^2.
    h, k = _halves(x)
    e = h * h
    n = np.where(x < 0, e + 2, 1 + 2 * e)
    d = np.where(x < 0, e * (e + 2) + 2, 1 + 2 * e * (1 + e))
    tail = np.where(x < 0, 1.0, e * e) * 4 * np.clip(x, -1e3, 1e3) * (1 + e)  # inf * 0
    return np.maximum(x, -1e3) * k * (n / d) * k, k * ((n * d + tail) / (d * d)) * k


def _softmax_backward(dy, y):
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


@activation(
    "exp(x)/fsum(exp(t) for t in row)",
    row_backward=_softmax_backward,
    reference="Bridle 1990, NIPS 2",
    range=(0, 1),
)
def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True, initial=-INF))
    return e / e.sum(axis=-1, keepdims=True)
