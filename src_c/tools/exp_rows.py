"""The numbers of src_c/rows_vector.h, rows_float.h and exp_two_words() in vector.h:
   python exp_rows.py   (needs numpy and mpmath)

e^r - 1 = r + r^2 Q(r) with the least error relative to e^r, by Lawson's iteration for the coefficients not
yet given, of which the first is rounded, and so on.  Printed: the error as a power of 2, Q from the lowest.
"""

import mpmath as mp
import numpy as np

mp.mp.prec = 200


def in_float(a):
    return mp.mpf(float(np.float32(float(a))))


def in_double(a):
    return mp.mpf(float(a))


def lawson(f, weight, end, degree, points, steps=50):
    """The polynomial c nearest to f on [-end, end]."""
    xs = [end * mp.cos((2 * i + 1) * mp.pi / (2 * points)) for i in range(points)]
    share, best = [mp.mpf(1) / points] * points, (mp.inf, [])
    for _ in range(steps):
        scale = [mp.sqrt(s) * weight(x) for s, x in zip(share, xs)]
        a = mp.matrix([[s * (x / end) ** k for k in range(degree + 1)] for s, x in zip(scale, xs)])
        b = mp.matrix([s * f(x) for s, x in zip(scale, xs)])
        c = [v / end**k for k, v in enumerate(mp.lu_solve(a.T * a, a.T * b))]
        errors = [abs(weight(x) * (mp.polyval(c[::-1], x) - f(x))) for x in xs]
        best = min(best, (max(errors), c), key=lambda found: found[0])
        total = mp.fsum(s * e for s, e in zip(share, errors))
        share = [s * e / total for s, e in zip(share, errors)]
    return best[1]


def fit(end, degree, rounded, given, at_once, points):
    """Q whose first coefficients are `given`; the others rounded in turn, or at once."""
    c = list(given)
    while len(c) <= degree:
        k = len(c)
        rest = lawson(
            lambda x, c=c, k=k: ((mp.expm1(x) - x) / x**2 - mp.polyval(c[::-1], x)) / x**k,
            lambda x, k=k: abs(x) ** (2 + k) * mp.exp(-x),
            end,
            degree - k,
            points,
        )
        c += [rounded(a) for a in (rest if at_once else rest[:1])]
    grid = [end * k / 997 for k in range(-997, 998) if k]
    error = max(abs(x + x**2 * mp.polyval(c[::-1], x) - mp.expm1(x)) / mp.exp(x) for x in grid)
    return f"2^{float(mp.log(error, 2)):.1f}: {' '.join(float(a).hex() for a in c)}"


slack = 1 + mp.mpf(2) ** -20
half = mp.mpf(1) / 2
print("e^r in doubles,", fit(mp.log(2) / 2 * slack, 9, in_double, [half + 9 * mp.mpf(2) ** -53], True, 120))
for parts, degree, raised in ((4, 3, 64), (8, 3, 0)):
    end = mp.log(2) / (2 * parts) * (1 + mp.mpf(2) ** -6)
    print(f"e^r in floats, log(2)/{2 * parts},", fit(end, degree, in_float, [half], False, 80))
    shift = 23 - parts.bit_length() + 1
    print(f"2^(j/{parts}) = T (1 + L), T with its exponent raised by {raised} and less j 2^{shift}, L:")
    for j in range(parts):
        power = mp.mpf(2) ** (mp.mpf(j) / parts)
        bits = np.float32(float(in_float(power)) * 2.0**raised).view(np.int32) - (j << shift)
        low = in_float(power / in_float(power) - 1)
        print(f"    {float(np.int32(bits).view(np.float32)).hex()} {float(low).hex()}")
