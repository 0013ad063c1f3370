"""The tables of src_c/tables:   python pieces.py NAME ...   (a few seconds each; needs numpy and mpmath;
without a NAME all of them; exp and sin are single polynomials, printed)

g(c + d) = v + d P(d) in 32 pieces of the half-line t >= 0, or of a range of both signs.  The pieces are the
values of an index, index(t) = t (a + b t) + first rounded: equally wide (b = 0), or the narrower (b < 0: the
wider) the further out.  The center c is a float whose v = g(c) is nearly one, there where the roundings do
least; in the piece of a root of g it is the float nearest to that, and there v is not `value`, but
`beside_root`, which is added to the rest rather than the rest to it.  P is fitted by Lawson's iteration to
least error relative to g and rounded a coefficient at a time, the first to hi + lo where the formula has use
for lo.  On stderr, for each piece: how far v is from a float, and the error of the fit, as powers of 2.
"""

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mpmath as mp
import numpy as np

mp.mp.prec = 120
PIECES = 32
REACH = 400  # how many floats to either side are tried for a center


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def slope_of_gelu(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2 + x * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def slope_of_silu(x):
    return sigmoid(x) * (1 + x * sigmoid(-x))


def slope_of_mish(x):
    u = mp.exp(x)
    w = u * (u + 2)
    return w / (w + 2) + 4 * x * u * (1 + u) / (w + 2) ** 2


def slope_of_telu(x):
    u = mp.exp(x)
    return mp.tanh(u) + x * u * mp.sech(u) ** 2


def slope_of_serf(x):
    y = mp.log1p(mp.exp(x))
    return mp.erf(y) + x * sigmoid(x) * 2 / mp.sqrt(mp.pi) * mp.exp(-y * y)


def inner(x):
    return mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)


def slope_of_gelu_tanh(x):
    s = sigmoid(2 * inner(x))
    return s + 2 * x * mp.sqrt(2 / mp.pi) * (1 + mp.mpf("0.134145") * x**2) * s * (1 - s)


XIELU = mp.mpf("0.8")
T1702 = mp.mpf("1.702")
SELU = mp.mpf("1.0507009873554804934193349852946") * mp.mpf("1.6732632423543772848170429916717")


@dataclass
class Table:
    g: Callable
    a: float  # of the index
    b: float = 0
    first: int = 0  # 0: t >= 0
    degree: int = 6  # of P
    low: bool = True  # the first coefficient as hi + lo
    right: bool = False  # c + v nearly a float, too, for t + g(t)


TABLES = {
    "sigmoid": Table(lambda t: sigmoid(-t), 1.77, degree=5),
    "sigmoid_grad": Table(lambda t: sigmoid(-t) * sigmoid(t), 2, low=False),
    "tanh_grad": Table(lambda t: mp.sech(t) ** 2, 3.9, low=False),
    "silu_grad": Table(lambda t: slope_of_silu(-t), 2.389, -0.0336),
    "gelu": Table(lambda t: mp.erfc(t / mp.sqrt(2)) / 2, 1.1, 0.55, degree=5),
    "gelu_grad": Table(lambda t: slope_of_gelu(-t), 2.36, 0.4),
    "quick_gelu": Table(lambda t: sigmoid(-T1702 * t), 3.01, degree=5),
    "quick_gelu_grad": Table(lambda t: slope_of_silu(-T1702 * t), 4.066, -0.0973),
    "elu": Table(lambda t: -mp.expm1(-t), 3.4, -0.0914),
    "selu": Table(lambda t: -SELU * mp.expm1(-t), 3.4, -0.0914),
    "selu_grad": Table(lambda t: SELU * mp.exp(-t), 1.6, low=False),
    "softplus": Table(lambda t: mp.log1p(mp.exp(-t)), 1.8, right=True),
    "mish": Table(lambda x: mp.tanh(mp.log1p(mp.exp(x))), 1.133, -0.021, 23),
    "mish_grad": Table(slope_of_mish, 1.594, -0.07, 22),
    "telu": Table(lambda x: mp.tanh(mp.exp(x)), 1.65, 0, 26),
    "telu_grad": Table(slope_of_telu, 2.727, -0.05, 23, degree=7),
    "serf": Table(lambda x: mp.erf(mp.log1p(mp.exp(x))), 1.57, 0, 24),
    "serf_grad": Table(slope_of_serf, 2.395, -0.1, 22, degree=7),
    "tanhshrink": Table(lambda t: (t - mp.tanh(t)) / t**3 if t else mp.mpf(1) / 3, 3.35, degree=5),
    "tanhshrink_grad": Table(lambda t: (mp.tanh(t) / t) ** 2 if t else mp.mpf(1), 3.35, degree=5),
    "xielu": Table(lambda t: XIELU * (mp.expm1(-t) + t) - t / 2, 2.07, -0.012),
    "xielu_grad": Table(lambda t: XIELU * mp.expm1(-t) + mp.mpf(1) / 2, 3.2, -0.08),
    "xielu_rest": Table(
        lambda t: (mp.expm1(-t) + t) / t**2 if t else mp.mpf(1) / 2, 1.8, degree=5, low=False
    ),
    "gelu_tanh": Table(lambda t: sigmoid(-2 * inner(t)), 1.6, 0.65),
    "gelu_tanh_grad": Table(lambda t: slope_of_gelu_tanh(-t), 2.2, 0.55),
}


def edges(table):
    """Of the pieces: where the index is half an integer."""
    a, b = table.a, table.b
    u = [mp.mpf(i) - 0.5 - table.first for i in range(PIECES + 1)]
    t = [(mp.sqrt(max(a * a + 4 * b * v, 0)) - a) / (2 * b) if b else v / a for v in u]
    return t if table.first else [mp.mpf(0), *t[1:]]


def with_root(g, left, right):
    return mp.sign(g(left)) * mp.sign(g(right)) < 0


def center_of(table, left, right):
    g = table.g
    if g(left) == 0:
        return np.float32(0)
    if with_root(g, left, right):
        return np.float32(float(mp.findroot(g, (left, right), solver="anderson")))
    x = [left + (right - left) * mp.mpf(k) / 40 for k in range(41)]
    y = np.array([float(g(v)) for v in x])
    x = np.array([float(v) for v in x])
    middle = min(x[0 if left == 0 else 4 : -4], key=lambda c: roundings(g, c, x, y))
    if middle == 0 and not table.right and miss(g(mp.mpf(0))) < 2e-9:
        return np.float32(0)
    middle = np.float32(middle).view(np.int32)
    near = (middle + np.arange(-REACH, REACH + 1, dtype=np.int32)).view(np.float32)

    def distance(c):
        return miss(g(c)) + (miss(g(c) + c) / 8 if table.right else 0)

    return min((mp.mpf(float(c)) for c in near), key=distance)


def roundings(g, c, x, y):
    """How much all roundings but the last may do to v + (p0 d + d q), in ULP of the result."""
    v, p0, d = float(g(mp.mpf(c))), float(mp.diff(g, c)), x - c
    w = y - v
    r = w - p0 * d
    inexact = np.where(np.abs(x) < abs(c) / 2, ulp(d), 0) * abs(p0)
    return ((inexact + ulp(w) + ulp(r) + ulp(r / np.where(d == 0, 1, d)) * np.abs(d)) / ulp(y) / 2).max()


def ulp(x):
    return np.spacing(np.abs(x).astype(np.float32)).astype(float)


def miss(v):
    """By how much, relative to it, v is no float."""
    return abs(mp.mpf(float(np.float32(float(v)))) / v - 1)


def fit(g, left, right, center, value, degree, two):
    n = 300
    x = float(left + right) / 2 + float(right - left) / 2 * np.cos(np.pi * (np.arange(n) + 0.5) / n)
    d = x - float(center)
    exact = [g(mp.mpf(v)) for v in x]
    y = np.array([float(v - mp.mpf(float(value))) for v in exact])
    scale = 1 / np.abs(np.array([float(v) for v in exact]))
    fixed, low = [], 0.0
    while len(fixed) <= degree:
        weight = np.ones(n)
        rest = (y - low * d - sum(c * d ** (k + 1) for k, c in enumerate(fixed))) * scale
        basis = np.array([d ** (k + 1) * scale for k in range(len(fixed), degree + 1)]).T
        for _ in range(60):
            root = np.sqrt(weight)
            solution = np.linalg.lstsq(basis * root[:, None], rest * root, rcond=None)[0]
            weight *= np.abs(rest - basis @ solution) + 1e-30
            weight /= weight.sum()
        fixed.append(float(np.float32(solution[0])))
        if two and len(fixed) == 1:
            low = float(np.float32(solution[0] - fixed[0]))
    error = np.abs((low * d + sum(c * d ** (k + 1) for k, c in enumerate(fixed)) - y) * scale).max()
    return [*fixed, low], np.log2(error)


def hexadecimal(v):
    if not v:
        return "0"
    mantissa, exponent = float(v).hex().split("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}p{int(exponent)}f"


def block(values):
    lines, text = [], "        {"
    for v in values:
        word = hexadecimal(v) + ", "
        if len(text) + len(word) > 108:
            lines.append(text.rstrip())
            text = "            "
        text += word
    return [*lines, text.rstrip(", ") + "},"]


def write(name):
    table = TABLES[name]
    g, two = table.g, table.low
    bounds = edges(table)
    rows = []
    for left, right_ in itertools.pairwise(bounds):
        center = np.float32(float(center_of(table, left, right_)))
        value = np.float32(float(g(mp.mpf(float(center)))))
        p, error = fit(g, left, right_, center, value, table.degree, two)
        exact = g(mp.mpf(float(center))) or mp.mpf(1)
        off = float(mp.log(miss(exact) + mp.mpf(2) ** -90, 2))
        print(f"{name} {float(left):.4f} to {float(right_):.4f}: 2^{off:.1f}, 2^{error:.1f}", file=sys.stderr)
        right = np.float32(float(g(mp.mpf(float(center))) + mp.mpf(float(center))))
        root = with_root(g, left, right_)
        aside = right if table.right else value if root else 0
        rows.append([center, 0 if root else value, *p, aside])
    while not any(row[-1] for row in rows):
        rows = [row[:-1] for row in rows]
    lines = [
        f"/* Written by tools/pieces.py {name}: from {float(bounds[0]):.6g} to {float(bounds[-1]):.6g}. */",
        f"static const pieces {name}_pieces = {{",
        f"    .a = {hexadecimal(table.a)}, .b = {hexadecimal(table.b)}, .first = {table.first},",
        "    .row = {",
        *(line for row in rows for line in block(row)),
        "    },",
        "};",
    ]
    path = Path(__file__).resolve().parent.parent / "tables" / f"{name}.h"
    path.write_text("\n".join(lines) + "\n")


#: Single polynomials about 0: g(u) = value + u P(u) up to |u| = end, P of the degree.
POLYNOMIALS = {
    "exp": (mp.exp, 1, mp.log(2) / 2, True, 5),
    # sin(z)^2 = u + u^2 P(u), u = z^2
    "sin": (lambda u: mp.sin(mp.sqrt(u)) ** 2 / u, 1, mp.pi**2 / 16, False, 4),
}


def show(name):
    g, value, end, both, degree = POLYNOMIALS[name]
    p, error = fit(g, -end if both else mp.mpf(0), end, 0, value, degree, False)
    print(f"{name}: {', '.join(map(hexadecimal, p))}; 2^{error:.1f}")


if __name__ == "__main__":
    for argument in sys.argv[1:] or TABLES:
        (show if argument in POLYNOMIALS else write)(argument)
