"""Taylor coefficients of f' at its root, for the functions whose f' crosses zero.

    python src_c/tools/roots.py

Beside the root x0 no formula keeps its relative accuracy, so src_c/real.h (beside_root) uses
f'(x) = d (c1 + c2 d + ...), d = x - x0, with x0 and c1 as sums of doubles.  Printed are x0,
the coefficients of degree 1 to 15, and the relative error of cutting after n terms at the
ends of |d| <= 2^-k.  Where 13 terms of the series do not reach 2^-54 (telu, golu), the coefficients
from c2 on are those of the polynomial through 12 Chebyshev nodes of |d| <= 2^-3, printed last.
"""

import mpmath as mp

mp.mp.prec = 500

A, B = mp.mpf(0.8), mp.mpf(0.5)  # xielu's default parameters, the doubles

FUNCTIONS = {
    "silu": (lambda x: x / (1 + mp.exp(-x)), -1.278),
    "gelu": (lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2, -0.7518),
    "gelu_tanh": (
        lambda x: x * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3))) / 2,
        -0.7525,
    ),
    "mish": (lambda x: x * mp.tanh(mp.log(1 + mp.exp(x))), -1.1924),
    "telu": (lambda x: x * mp.tanh(mp.exp(x)), -1.0789),
    "golu": (lambda x: x * mp.exp(-mp.exp(-x)), -0.5671),
    "serf": (lambda x: x * mp.erf(mp.log(1 + mp.exp(x))), -1.1931),
    "xielu": (lambda x: (mp.expm1(x) - x) * A + B * x, -0.98),
    "xielu, root of f itself": (lambda x: (mp.exp(x) - x - x * x / 2) * A + B * x * x / 2, -2.43),
}


def words(v, n):
    parts = []
    for _ in range(n):
        parts.append(float(v).hex())
        v -= mp.mpf(float(v))
    return ", ".join(parts)


for name, (f, start) in FUNCTIONS.items():
    root = mp.findroot(lambda x, f=f: mp.diff(f, x), mp.mpf(start), tol=mp.mpf(2) ** -300)
    coefficient = [(n + 1) * c for n, c in enumerate(mp.taylor(f, root, 26)[1:])]
    print(f"{name}: root {mp.nstr(root, 40)}")
    print(f"    x0   {words(root, 3)}")
    print(f"    c1   {words(coefficient[1], 2)}")
    print("    c2.. " + ", ".join(float(c).hex() for c in coefficient[2:16]))
    for terms, k in ((5, 6), (12, 3), (13, 3)):
        d = mp.mpf(2) ** -k
        cut = max(
            abs(sum(coefficient[n] * s**n for n in range(terms + 1, 26)) / (coefficient[1] * s))
            for s in (d, -d)
        )
        print(f"    {terms} terms, |d| <= 2^-{k}: 2^{float(mp.log(cut, 2)):.1f}")

    width, terms = mp.mpf(2) ** -3, 12
    rest = lambda d, f=f, x0=root, c=coefficient: (mp.diff(f, x0 + d) / d - c[1]) / d  # noqa: E731
    nodes = [width * mp.cos(mp.pi * (k + mp.mpf(1) / 2) / terms) for k in range(terms)]
    powers = mp.matrix([[d**n for n in range(terms)] for d in nodes])
    c = mp.lu_solve(powers, mp.matrix([rest(d) for d in nodes]))
    cut = max(
        abs((mp.polyval(list(c)[::-1], d) - rest(d)) * d * d / mp.diff(f, root + d))
        for d in (width * (mp.mpf(i) + mp.mpf(1) / 2) / 100 for i in range(-100, 100))
    )
    print("    through nodes: " + ", ".join(float(v).hex() for v in c))
    print(f"    relative error 2^{float(mp.log(cut, 2)):.1f}")
