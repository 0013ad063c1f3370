"""Coefficients of the scaled normal tail M(t) = Phi(-t) exp(t^2/2), t >= 0.

    python src_c/tools/mills.py

M falls like 1/t and has no short polynomial.  W. J. Cody's device, in the form of
Shepherd and Laframboise (Math. Comp. 36, 1981), makes it one:

    q = (t - 4)/(t + 4) in [-1, 1],    G(q) = M(t) (1 + c t),    c = sqrt(pi/2)

where G stays between 0.36 and 0.5 and is smooth on the whole half line.  G is expanded in
Chebyshev polynomials at 400 bits and cut where the rest is below 2^-60 (float64) ; the
script prints the coefficients and the largest relative error found on 2,001 points.
Used by src_c/real.h (mills) and, cut at the same degree, by cact/_formulas/.
"""

import sys

import mpmath as mp

mp.mp.prec = 400
K, C = 4, mp.sqrt(mp.pi / 2)
T_MAX = mp.mpf(40)  # exp(-t^2/2) is 0 in float64 from t = 38.7


def mills(t):
    if t < 30:
        return mp.exp(t * t / 2) * mp.erfc(t / mp.sqrt(2)) / 2
    ratio = mp.mpf(0)  # continued fraction of Mills' ratio
    for k in range(300, 0, -1):
        ratio = k / (t + ratio)
    return 1 / (t + ratio) / mp.sqrt(2 * mp.pi)


def g(q):
    t = K * (1 + q) / (1 - q)
    return mills(t) * (1 + C * t)


def chebyshev_coefficients(f, lo, hi, degree, extra=30):
    n = degree + 1 + extra
    angle = [mp.pi * (k + mp.mpf(1) / 2) / n for k in range(n)]
    value = [f((lo + hi) / 2 + (hi - lo) / 2 * mp.cos(a)) for a in angle]
    return [
        (2 - (j == 0)) * sum(v * mp.cos(j * a) for v, a in zip(value, angle)) / n for j in range(degree + 1)
    ]


def monomials(cheb, lo, hi):
    """Coefficients in q, lowest first, of the Chebyshev sum on [lo, hi]."""
    u = [-(lo + hi) / (hi - lo), 2 / (hi - lo)]  # u(q), in [-1, 1]
    t0, t1 = [mp.mpf(1)], u
    out = [mp.mpf(0)] * len(cheb)
    for c in cheb:
        for i, a in enumerate(t0):
            out[i] += c * a
        t2 = [mp.mpf(0)] * (len(t1) + 1)
        for i, a in enumerate(t1):
            t2[i] += 2 * u[0] * a
            t2[i + 1] += 2 * u[1] * a
        for i, a in enumerate(t0):
            t2[i] -= a
        t0, t1 = t1, t2
    return out


def fit(degree):
    lo, hi = mp.mpf(-1), (T_MAX - K) / (T_MAX + K)
    c = monomials(chebyshev_coefficients(g, lo, hi, degree), lo, hi)
    worst = max(
        abs(mp.polyval(c[::-1], q) / g(q) - 1) for q in (lo + (hi - lo) * i / 2000 for i in range(2001))
    )
    return c, worst


if __name__ == "__main__":
    degree = int(sys.argv[1]) if len(sys.argv) > 1 else 27
    c, worst = fit(degree)
    print(f"degree {degree}, relative error 2^{float(mp.log(worst, 2)):.2f}")
    for i, a in enumerate(c):
        lo = a - mp.mpf(float(a))
        print(f"{float(a).hex():>26}  {float(a)!r:>26}" + (f"  low {float(lo).hex()}" if i < 3 else ""))
