"""Polynomials of the double lanes (src_c/vector_double.h, src_c/act):   python remez.py   (needs mpmath)

Each minimises the largest weighted error; printed are its coefficients, lowest first, and that error
before and after they are rounded to doubles.
"""

from collections.abc import Callable

import mpmath as mp

mp.mp.prec = 250
TINY = mp.mpf(2) ** -30
Function = Callable[[mp.mpf], mp.mpf]


def value(c: list[mp.mpf], x: mp.mpf) -> mp.mpf:
    return mp.polyval(c[::-1], x)


def extrema(points: list[mp.mpf], errors: list[mp.mpf]) -> list[tuple[mp.mpf, mp.mpf]]:
    """Of each stretch of one sign the largest error and its place."""
    found: list[tuple[bool, mp.mpf, mp.mpf]] = []
    for x, e in zip(points, errors):
        if not found or found[-1][0] != (e > 0):
            found.append((e > 0, abs(e), x))
        elif abs(e) > found[-1][1]:
            found[-1] = (e > 0, abs(e), x)
    return [(e, x) for _, e, x in found]


def remez(f: Function, weight: Function, a: mp.mpf, b: mp.mpf, degree: int) -> list[mp.mpf]:
    n = degree + 2
    middle, half = (a + b) / 2, (b - a) / 2
    nodes = [middle - half * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    points = [middle - half * mp.cos(mp.pi * i / (60 * n)) for i in range(60 * n + 1)]
    for _ in range(12):
        rows = [[x**k for k in range(degree + 1)] + [(-1) ** i / weight(x)] for i, x in enumerate(nodes)]
        c = list(mp.lu_solve(mp.matrix(rows), mp.matrix([f(x) for x in nodes])))[:-1]
        found = extrema(points, [weight(x) * (f(x) - value(c, x)) for x in points])
        while len(found) > n:
            found.pop(0 if found[0][0] < found[-1][0] else -1)
        if len(found) < n:
            break
        nodes = [x for _, x in found]
        if max(found)[0] < 1.01 * min(found)[0]:
            break
    return c


def show(what: str, f: Function, weight: Function, a: float, b: float, degree: int) -> None:
    c = remez(f, weight, mp.mpf(a), mp.mpf(b), degree)
    bits = []
    for coefficients in (c, [mp.mpf(float(v)) for v in c]):
        grid = [a + (b - a) * mp.mpf(i) / 2000 for i in range(2001)]
        bits.append(float(mp.log(max(abs(weight(x) * (f(x) - value(coefficients, x))) for x in grid), 2)))
    print(f"{what}: 2^{bits[0]:.1f}, rounded 2^{bits[1]:.1f}", *(float(v).hex() for v in c))
    print("    lower words:", *(float(v - mp.mpf(float(v))).hex() for v in c[:3]))


def mills(t: mp.mpf) -> mp.mpf:
    return mp.exp(t * t / 2) * mp.erfc(t / mp.sqrt(2)) / 2


def of_square(f: Function) -> Function:
    return lambda u: f(mp.sqrt(u))


def lane(v: mp.mpf) -> mp.mpf:
    """M(t) (t + 5), v = 1/(t + 5) - 1/8"""
    y = v + mp.mpf(1) / 8
    return mills(1 / y - 5) / y


if __name__ == "__main__":
    half = mp.log(2) / 2 * (1 + mp.mpf(2) ** -20)
    for degree in (9, 10):
        f = lambda r: (mp.expm1(r) - r) / r**2 if abs(r) > TINY else 0.5 + r / 6  # noqa: E731
        show("(e^r - 1 - r)/r^2", f, lambda r: abs(r) + TINY, -half, half, degree)
    f = of_square(lambda x: ((x - mp.tanh(x)) / x**3 - mp.mpf(1) / 3) / x**2)
    show("tanhshrink: R(u)", f, lambda u: 3 * (u + TINY), TINY, mp.mpf(0.6) ** 2, 10)
    quarter = (mp.pi / 4) ** 2 * (1 + mp.mpf(2) ** -20)
    f = of_square(lambda z: (mp.sin(z) ** 2 - z**2) / z**4)
    show("snake: (sin^2(z) - u)/u^2", f, lambda u: u, TINY, quarter, 7)
    f = of_square(lambda z: (mp.sin(z) / z - 1) / z**2)
    show("snake: (sin(z)/z - 1)/u", f, lambda u: u, TINY, quarter, 5)
    f = of_square(lambda z: (mp.cos(z) - 1 + z**2 / 2) / z**4)
    show("snake: (cos(z) - 1 + u/2)/u^2", f, lambda u: u * u, TINY, quarter, 5)
    show("gelu: G(v)", lane, lambda v: 1 / lane(v), mp.mpf(1) / 13 - 0.125, mp.mpf(1) / 5 - 0.125, 18)
