"""x times a smooth gate of x, and other smooth functions that are not monotonic."""

from __future__ import annotations

import functools
import math

import numpy as np

from .._registry import activation
from ._stable import _halves, _product, _silu_slope, _sum, _times, _times_sigmoid

INF = float("inf")


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


_MOST = np.finfo(float).max


def _silu(x, v, rest):
    """x*sigma(v + rest), |v| <= 1500; x may be infinite."""
    h, k = _halves(v, rest)
    y = np.clip(x, -_MOST, _MOST)  # inf * 0
    return np.where(np.isinf(x) & (v >= 0), x, y * k / (1 + h * h) * k)


@activation(
    "x/(1+exp(-beta*x))",
    domains={"beta": "finite"},
    learnable=("beta",),
    reference="Ramachandran, Zoph & Le 2017, arXiv:1710.05941",
    range=(-0.27846454276107379511, INF),
    monotonic=False,
    saturates="left",
)
def swish(x, beta=1.0):
    v, rest = _times(beta, x)
    h, _ = _halves(v, rest)
    y = np.clip(x, -1e150, 1e150)
    slope = (y * h / (1 + h * h)) ** 2
    return _silu(x, v, rest), _silu_slope(v, rest), slope


@activation(
    "x/(1+exp(-1.702*x))",
    aliases=("gelu_sigmoid",),
    reference="Hendrycks & Gimpel 2016, arXiv:1606.08415",
    range=(-0.16361018963635358115, INF),
    monotonic=False,
    saturates="left",
)
def quick_gelu(x):
    v, rest = _times(1.702, x)
    rest = rest + 4.2579828e-17 * np.clip(x, -1e3, 1e3)  # of the decimal
    return _silu(x, v, rest), _silu_slope(v, rest)


@activation(
    "alpha_p*x**2+beta*x if x > 0 else (expm1(min(x,-1e-6))-x)*alpha_n+beta*x",
    domains={"alpha_p": "finite", "alpha_n": "finite", "beta": "finite"},
    learnable=("alpha_p", "alpha_n", "beta"),
    reference="Huang & Schlag 2024, arXiv:2411.13010",
    range=(-0.20575122409648211311, INF),
    monotonic=False,
    smoothness=0,
    kinks=(-1e-6, 0.0),
)
def xielu(x, alpha_p=0.8, alpha_n=0.8, beta=0.5):
    infinite = np.isinf(x)
    y = np.where(infinite, 0.0, x)
    flat = y >= -1e-6
    z = np.where(flat, -1e-6, np.minimum(y, 0.0))
    m = np.expm1(z)
    # right of 0: x (alpha_p x + beta), whose bracket may vanish
    p, lost = _product(alpha_p, y)
    s, rest = _sum(p, beta)
    s2, rest2 = _sum(2 * p, beta)
    rest, rest2 = (np.where(np.isfinite(r + lost), r + i * lost, 0.0) for i, r in ((1, rest), (2, rest2)))
    slope, low = _sum(beta, -alpha_n)
    tail = np.where(flat, 0.0, alpha_n * np.exp(z))
    near_0 = np.where(flat | (slope == 0) | (np.abs(z) > 0.5), slope + (tail + low), beta + alpha_n * m)
    f = np.where(y > 0, y * (s + rest), alpha_n * m + slope * y)
    df = np.where(y > 0, s2 + rest2, near_0)
    end = np.where(x > 0, np.where(alpha_p != 0, alpha_p, beta), slope)
    limit = np.where(end == 0, np.where(x > 0, 0.0, -alpha_n), np.copysign(INF, end * np.sign(x)))
    limit_df = np.where((x > 0) & (alpha_p != 0), np.copysign(INF, alpha_p), end)
    excess = np.ones_like(z)
    for n in range(14, 2, -1):
        excess = 1 + z / n * excess
    excess = z * z / 2 * excess
    m_low = np.where(flat, 3.393275265395948e-23, 0.0)  # the literal -1e-6 is no double
    excess = np.where(flat | (z < -0.1), (m - x) + m_low, excess)
    return (
        np.where(infinite, limit, f),
        np.where(infinite, limit_df, df),
        np.where(x > 0, x * x, 0.0),
        np.where(x > 0, 0.0, excess),
        x + 0.0,
    )


@activation(
    "(p1-p2)*x/(1+exp(-beta*(p1-p2)*x))+p2*x",
    aliases=("acon",),
    domains={"p1": "finite", "p2": "finite", "beta": "finite"},
    learnable=("p1", "p2", "beta"),
    reference="Ma et al. 2021, arXiv:2009.04759",
    range=(-0.27846454276107379511, INF),
    monotonic=False,
    saturates="left",
)
def acon_c(x, p1=1.0, p2=0.0, beta=1.0):
    d, low = _sum(p1, -p2)
    b, b_low = _product(beta, d)
    b_low = b_low + beta * low
    v, rest = _times(b, x)
    rest = rest + np.where(np.abs(v) < 1500, np.nan_to_num(b_low * x), 0.0)
    h, _ = _halves(v, rest)
    e = h * h
    y = np.clip(x, -_MOST, _MOST)
    up, down = _silu_slope(v, rest), _silu_slope(-v, -rest)
    # p1 s(v) + p2 s(-v), and where the two may cancel, |v| < 1: (p1+p2)/2 + (p1-p2) tanh(v/2)/2
    total, lost = _sum(p1, p2)
    t = np.tanh((v + rest) / 2)
    mean = (total + (lost + d * t)) / 2
    one_sided = (p1 == 0) | (p2 == 0)
    split = one_sided | (np.abs(v) >= 1)
    q = np.where(split, (np.where(v < 0, p2, p1) + np.where(v < 0, p1, p2) * e) / (1 + e), mean)
    f = np.where(
        one_sided, (p1 + p2) * _silu(x, np.where(p2 == 0, v, -v), np.where(p2 == 0, rest, -rest)), y * q
    )
    f = np.where(np.isinf(x) & ~one_sided, np.where(q == 0, 0.0, np.copysign(INF, q * np.sign(x))), f)
    near = (total + (lost + d * (t + v * (1 - t * t) / 2))) / 2
    df = np.where(split, p1 * up + p2 * down, near)
    w = np.clip(d * x, -1e150, 1e150)
    return f, df, _silu_slope(v, rest, y), _silu_slope(-v, -rest, y), (w * h / (1 + e)) ** 2


def _exp_precise(z):
    """e^z = hi + lo to 2^-60, |z| < 700: for e^-v, which loses as many bits as v has."""
    k = np.round(z / np.log(2))
    r, rest = z - k * 6.93147180369123816490e-01, -k * 1.90821492927058770002e-10
    square, low = _product(r, r)
    tail = np.full_like(r, 1 / math.factorial(15))
    for n in range(14, 2, -1):
        tail = tail * r + 1 / math.factorial(n)
    hi, lo = _sum(1.0, r)
    hi, more = _sum(hi, square / 2)
    hi, last = _sum(hi, tail * r * square)
    hi, lo = _sum(hi, lo + more + last + (low / 2 + rest * hi))
    return np.ldexp(hi, k.astype(int)), np.ldexp(lo, k.astype(int))


@activation(
    "x*tanh(exp(x))",
    aliases=("tanhexp",),
    reference="Liu & Di 2020, arXiv:2003.09855; Fernandez & Mali 2024, arXiv:2412.20269",
    range=(-0.35328577784821120710, INF),
    monotonic=False,
    saturates="left",
)
def telu(x):
    # tanh(u) = k*t*k: t is 1 in the tail, where u = e^x underflows
    _, k = _halves(x)
    y = np.clip(x, -1e3, 4.0)  # inf * 0; f(4) is 4
    above = np.exp(np.maximum(y, 0.0))
    u = above * k * k
    t = np.where(y < -30, 1.0, np.tanh(u) / np.maximum(k * k, 1e-30))
    return np.maximum(x, -1e3) * k * t * k, k * (t + y * above / np.cosh(u) ** 2) * k


@activation(
    "x*exp(-exp(-x))",
    aliases=("gompertz",),
    reference="Das et al. 2025, arXiv:2502.03654",
    range=(-0.097260131227632604438, INF),
    monotonic=False,
    saturates="left",
    can_die=True,  # f' underflows from x = -6.6 on, where inputs still come
)
def golu(x):
    y = np.clip(x, -7.0, 50.0)  # f(-7) is 0, f(50) is 50
    v, rest = _exp_precise(-y)
    h = np.exp(-v / 2) * (1 - rest / 2)  # h*h = e^-v
    return np.maximum(x, -7.0) * h * h, h * (1 + y * v) * h


_ERF = [2 / math.sqrt(math.pi) * (-1) ** n / (math.factorial(n) * (2 * n + 1)) for n in range(16)]


@activation(
    "x*erf(log(1+exp(x)))",
    reference="Nag & Bhattacharyya 2021, arXiv:2108.09598",
    range=(-0.34843745875960642022, INF),
    monotonic=False,
    saturates="left",
)
def serf(x):
    # z = log(1+e^x), erf(z) = k*r*k: from its series below 1/2, and as 1-erfc(z) above
    h, k = _halves(x)
    y = np.clip(x, -1e3, 7.0)  # inf * 0; f(7) is 7
    e = h * h
    ratio = np.where(e < 1e-20, 1.0, np.log1p(e) / np.maximum(e, 1e-20))
    z = np.maximum(y, 0.0) + e * ratio
    series = np.full_like(z, _ERF[-1])
    for c in _ERF[-2::-1]:
        series = series * z * z + c
    g, m = _normal_tail(np.sqrt(2) * z)
    r = np.where(z < 0.5, ratio * series, (1 - 2 * g * m * g) / np.maximum(k * k, 0.1))
    slope = 2 / np.sqrt(np.pi) * np.exp(-z * z) / (1 + e)
    return np.maximum(x, -1e3) * k * r * k, k * (r + y * slope) * k


@functools.cache
def _inverse_pi(bits):
    """1/pi times 2^bits, by Machin's formula."""
    one = 1 << 2 * bits

    def arctan_of_inverse(n):
        power, total, k = one // n, one // n, 1
        while power:
            power //= -n * n
            k += 2
            total += power // k
        return total

    return (one << bits) // (16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239))


def _modulo_pi(a, x):
    """a*x modulo pi in two words, where no float has the digits for it: with whole numbers."""
    numerator, denominator = (n * m for n, m in zip(a.as_integer_ratio(), x.as_integer_ratio()))
    bits = 2300  # a*x < 2^2048
    whole = denominator << bits
    turns = numerator * _inverse_pi(bits) % whole
    turns -= whole * (2 * turns > whole)
    hi = turns / whole
    n, m = hi.as_integer_ratio()
    lo = (turns * m - n * whole) / (m * whole)
    return hi, lo


def _sin(w, rest):
    return np.sin(w) * np.cos(rest) + np.cos(w) * np.sin(rest)


@activation(
    "x+sin(alpha*x)**2/alpha",
    learnable=("alpha",),
    domains={"alpha": "finite"},
    reference="Ziyin, Hartwig & Ueda 2020, arXiv:2006.08195",
)
def snake(x, alpha=1.0):
    alpha, x = np.broadcast_arrays(alpha, x)
    w, rest = map(np.array, _product(alpha, x))
    far = np.isfinite(x) & np.isfinite(alpha) & ~(abs(w) < 2.0**20)
    if far.any():
        hi, lo = np.array([_modulo_pi(a, b) for a, b in zip(alpha[far].tolist(), x[far].tolist())]).T
        w[far], rest[far] = _product(hi, np.pi)
        rest[far] += lo * np.pi + hi * 1.2246467991473532e-16
    rest = np.where(abs(w) < 1e-3, 0.0, rest)  # of no effect, and perhaps not finite
    sine, cosine = _sin(w, rest), np.cos(w) * np.cos(rest) - np.sin(w) * np.sin(rest)
    near = (abs(w) < 0.5) & ~far
    ratio = np.where(w == 0, 1.0, sine / np.where(w == 0, 1.0, w))
    q = np.where(near, x * ratio, sine / np.where(near, 1.0, alpha))
    # f' = 2 sin^2(w + pi/4): nothing cancels at its double roots
    v, low = _sum(w, np.pi / 4)
    y = _sin(v, low + rest + 3.061616997868383e-17)
    down = np.where(abs(x) > 1, 2.0**-8, 1.0)  # 2x may be no number
    f = np.where(np.isinf(x), x, np.copysign(x + q * sine, x))
    q, half = q * down, x * down
    twice, lost = _product(2 * half, cosine)
    lost = np.where(abs(half) < 1e-100, 0.0, lost)
    return f, 2 * y * y, q * (twice - q + lost) / down / down
