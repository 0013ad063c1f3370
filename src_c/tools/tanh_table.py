"""The rows of src_c/tables/tanh.h:   python tanh_table.py   (two minutes; needs numpy and mpmath)

tanh(c + d) = T + d P(d), P of degree 5, in 16 intervals of t = |x|: four an octave of 1.6 t + 1.  The
center c is the float near the middle whose T = tanh(c) is nearest to a float.  P is fitted by Lawson's
iteration to least relative error and rounded a coefficient at a time.  In the first interval, where T = 0
and P(0) = 1, P is rounded to a float before it is multiplied, which may cost half an ULP: a search beside
the fit (seeded) keeps it below 1.  Printed: for each interval its bounds and log2 of the relative error;
then the rows, in the order of the index.
"""

import itertools

import mpmath as mp
import numpy as np

DEGREE = 5
FIRST_SLOT = 12  # of the bits of 1.6 t + 1 in [1, 2), from the third of the fraction on, modulo 16
mp.mp.prec = 120


def exact_tanh(x):
    return mp.tanh(mp.mpf(float(x)))


def center_of(left, right):
    middle = np.float32((left + right) / 2).view(np.int32)
    near = (middle + np.arange(-3000, 3001, dtype=np.int32)).view(np.float32)
    return min(
        near, key=lambda c: abs(float(np.float32(float(exact_tanh(c)))) - exact_tanh(c)) / exact_tanh(c)
    )


def fit(left, right, center, value, first):
    n = 400
    x = (left + right) / 2 + (right - left) / 2 * np.cos(np.pi * (np.arange(n) + 0.5) / n)
    d = x - float(center)
    y = np.array([float(exact_tanh(v) - mp.mpf(float(value))) for v in x])
    scale = 1 / np.tanh(x)
    fixed = [1.0] if first else []
    while len(fixed) <= DEGREE:
        free = range(len(fixed), DEGREE + 1)
        weight = np.ones(n)
        rest = (y - sum(c * d ** (k + 1) for k, c in enumerate(fixed))) * scale
        basis = np.array([d ** (k + 1) * scale for k in free]).T
        for _ in range(40):
            root = np.sqrt(weight)
            solution = np.linalg.lstsq(basis * root[:, None], rest * root, rcond=None)[0]
            weight *= np.abs(rest - basis @ solution) + 1e-30
            weight /= weight.sum()
        fixed.append(float(np.float32(solution[0])))
    error = np.abs((sum(c * d ** (k + 1) for k, c in enumerate(fixed)) - y) * scale).max()
    return fixed, np.log2(error)


def worst(p, x, exact):
    """In ULP, of x P(x) as the kernel rounds it."""
    r = np.float32(p[DEGREE])
    for c in p[DEGREE - 1 :: -1]:
        r = (np.longdouble(r) * x + np.longdouble(c)).astype(np.float32)  # fma, but for a double rounding
    y = (np.longdouble(r) * x).astype(np.float32)
    return (np.abs(y.astype(float) - exact) / np.spacing(exact.astype(np.float32))).max()


def search(p, right):
    rng = np.random.default_rng(1)
    bits = [int(np.float32(v).view(np.int32)) for v in (0.0575, right)]
    x = np.arange(*bits, dtype=np.int32).view(np.float32)
    exact = np.tanh(x.astype(float))
    least = worst(p, x, exact)
    while least > 0.999:
        at = np.array(p[1:], np.float32).view(np.int32)
        step = (rng.integers(-(2**15), 2**15, DEGREE) * 2.0 ** -rng.integers(0, 15, DEGREE)).astype(np.int32)
        candidate = [1.0, *(at + step * rng.integers(0, 2, DEGREE, dtype=np.int32)).view(np.float32).tolist()]
        few = slice(int(rng.integers(997)), None, 97)
        if worst(candidate, x[few], exact[few]) < least and (found := worst(candidate, x, exact)) < least:
            p, least = candidate, found
    return p, least


def main():
    octaves = [2.0**k * (1 + j / 4) for k in range(4) for j in range(4)]
    edges = [(v - 1) / 1.6 for v in (*octaves, 16)]
    rows = []
    for j, (left, right) in enumerate(itertools.pairwise(edges)):
        center = np.float32(0) if j == 0 else center_of(left, right)
        value = np.float32(float(exact_tanh(center)))
        p, error = fit(left, right, center, value, j == 0)
        print(f"{left:.5f} to {right:.5f}: 2^{error:.1f}", flush=True)
        if j == 0:
            p, ulp = search(p, right)
            print(f"   after the search {ulp:.5f} ULP", flush=True)
        rows.append([center, value, *p])
    for row in [*rows[16 - FIRST_SLOT :], *rows[: 16 - FIRST_SLOT]]:
        print(f"    {{{', '.join(float(v).hex() for v in row)}}},")


if __name__ == "__main__":
    main()
