"""The tables of src_c/tables:   python pieces.py NAME ...   (a few seconds each; needs numpy and mpmath)

g(c + d) = v + d P(d) in 32 pieces of the half-line t >= 0, or of a range of both signs.  The pieces are the values
of an index, index(t) = t (a + b t) + first rounded: equally wide (b = 0), or the narrower the further out.  The center
c is the float near the middle of a piece whose v = g(c) is nearest to a float, and in the piece of a root of g the float nearest to that.
There v is not
`value`, but `beside_root`, which is added to the rest rather than the rest to it.  P is fitted by Lawson's iteration to least error relative to g and rounded a coefficient at a time, the first to
hi + lo where the formula has a use for lo.  On stderr: log2 of the error in each piece.
"""

import sys
from pathlib import Path

import mpmath as mp
import numpy as np

mp.mp.prec = 120
PIECES = 32


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def derivative_of_gelu(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2 + x * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def derivative_of_silu(x):
    return sigmoid(x) * (1 + x * sigmoid(-x))


# name: g, least t, a, b of the index, degree of P, whether hi + lo
TABLES = {
    "sigmoid": (lambda t: sigmoid(-t), 0, 1.77, 0, 5, True),
    "sigmoid_grad": (lambda t: sigmoid(-t) * sigmoid(t), 0, 2, 0, 6, False),
    "tanh_grad": (lambda t: mp.sech(t) ** 2, 0, 3.9, 0, 6, False),
    "silu_grad": (lambda t: derivative_of_silu(-t), 0, 2.389, -0.0336, 6, True),
    "gelu": (lambda t: mp.erfc(t / mp.sqrt(2)) / 2, 0, 1.1, 0.55, 5, True),
    "gelu_grad": (lambda t: derivative_of_gelu(-t), 0, 2.36, 0.4, 6, True),
}


def edges(least, a, b):
    """Of the pieces: where the index is half an integer."""
    u = [mp.mpf(i) - 0.5 for i in range(PIECES + 1)]
    t = [(mp.sqrt(a * a + 4 * b * v) - a) / (2 * b) if b else v / a for v in u]
    return [mp.mpf(0), *t[1:]] if least == 0 else [v + least for v in t]


def with_root(g, left, right):
    return mp.sign(g(left)) * mp.sign(g(right)) < 0


def center_of(g, left, right):
    if with_root(g, left, right):
        return np.float32(float(mp.findroot(g, (left, right), solver="anderson")))
    x = [left + (right - left) * mp.mpf(k) / 40 for k in range(41)]
    y = np.array([float(g(v)) for v in x])
    x = np.array([float(v) for v in x])
    middle = min(x[0 if left == 0 else 4 : -4], key=lambda c: roundings(g, c, x, y))
    if middle == 0 and miss(g(mp.mpf(0))) < 2e-9:
        return np.float32(0)
    middle = np.float32(middle).view(np.int32)
    near = (middle + np.arange(-400, 401, dtype=np.int32)).view(np.float32)
    return min(near, key=lambda c: miss(g(mp.mpf(float(c)))))


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
    return [low, *fixed] if two else fixed, np.log2(error)


def hexadecimal(v):
    mantissa, exponent = float(v).hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}p{int(exponent)}f" if v else "0"


def block(start, values, end):
    lines, text = [], "    " + start
    for v in values:
        word = hexadecimal(v) + ", "
        if len(text) + len(word) > 108:
            lines.append(text.rstrip())
            text = "        "
        text += word
    return [*lines, text.rstrip(", ") + end]


def write(name):
    g, least, a, b, degree, two = TABLES[name]
    bounds = edges(least, a, b)
    rows = []
    for left, right in zip(bounds, bounds[1:]):
        center = center_of(g, left, right)
        value = np.float32(float(g(mp.mpf(float(center)))))
        p, error = fit(g, left, right, center, value, degree, two)
        print(f"{name} {float(left):.4f} to {float(right):.4f}: v 2^{float(mp.log(miss(g(mp.mpf(float(center))))+mp.mpf(2)**-90, 2)):.1f}, 2^{error:.1f}", file=sys.stderr)
        rows.append([center, *((0, value) if with_root(g, left, right) else (value, 0)), *p])
    columns = list(zip(*rows))
    low, p = (columns[3], columns[4:]) if two else (None, columns[3:])
    lines = [
        f"/* Written by tools/pieces.py {name}: from {float(bounds[0]):.6g} to {float(bounds[-1]):.6g}. */",
        f"static const pieces {name}_pieces = {{",
        f"    .a = {hexadecimal(a)}, .b = {hexadecimal(b)}, .first = {hexadecimal(-a * least)},",
        *block(".center = {", columns[0], "},"),
        *block(".value = {", columns[1], "},"),
        *(block(".beside_root = {", columns[2], "},") if any(columns[2]) else []),
        "    .p = {",
        *(line for column in p for line in block("{", column, "},")),
        "    },",
        *(block(".low = {", low, "},") if two else []),
        "};",
    ]
    path = Path(__file__).resolve().parent.parent / "tables" / f"{name}.h"
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    for argument in sys.argv[1:] or TABLES:
        write(argument)
