"""Rational approximation of M(t) = Phi(-t) exp(t^2/2) for float32 results.

    python src_c/tools/mills_rational.py [P degree] [Q degree]

M(t) ~ P(t)/Q(t) on 0 <= t <= 14.6, where t Phi(-t) has left the subnormals of float32.
Iterated least squares with Lawson's weights, at 200 bits; prints the coefficients, lowest
first, Q's highest being free, and the largest relative error on a fine grid.
"""

import sys

import mpmath as mp
from mills import mills

mp.mp.prec = 200
T_MAX = mp.mpf("14.6")


def fit(np_, nq, points=160, rounds=40):
    ts = [T_MAX * (1 - mp.cos(mp.pi * (i + 0.5) / points)) / 2 for i in range(points)]
    m = [mills(t) for t in ts]
    weight = [mp.mpf(1)] * points
    q = [mp.mpf(1)] * points
    best = None
    for _ in range(rounds):
        n = np_ + 1 + nq
        a, b = mp.matrix(n, n), mp.matrix(n, 1)
        for t, mt, w, qt in zip(ts, m, weight, q):
            s = w / (mt * qt) ** 2
            row = [t**i for i in range(np_ + 1)] + [-mt * t**i for i in range(1, nq + 1)]
            for i in range(n):
                b[i] += s * row[i] * mt
                for j in range(n):
                    a[i, j] += s * row[i] * row[j]
        c = mp.lu_solve(a, b)
        p, qc = list(c[: np_ + 1]), [mp.mpf(1), *c[np_ + 1 :]]
        q = [mp.polyval(qc[::-1], t) for t in ts]
        error = [abs(mp.polyval(p[::-1], t) / qt / mt - 1) for t, qt, mt in zip(ts, q, m)]
        worst = max(error)
        if best is None or worst < best[0]:
            best = (worst, p, qc)
        total = sum(w * e for w, e in zip(weight, error))
        weight = [w * e / total * points for w, e in zip(weight, error)]
    return best


if __name__ == "__main__":
    np_, nq = (int(v) for v in sys.argv[1:3]) if len(sys.argv) > 2 else (5, 6)
    _, p, q = fit(np_, nq)
    worst = max(
        abs(mp.polyval(p[::-1], t) / mp.polyval(q[::-1], t) / mills(t) - 1)
        for t in (T_MAX * i / 5000 for i in range(5001))
    )
    print(f"{np_}/{nq}, relative error 2^{float(mp.log(worst, 2)):.2f}")
    for name, c in (("P", p), ("Q", q)):
        print(name, ", ".join(float(v).hex() for v in c))
