"""The numbers of src_c/vector_double.h:   python exp_vector.py   (needs mpmath)"""

import mpmath as mp

mp.mp.prec = 300
HALF = mp.log(2) / 16 * (1 + mp.mpf(2) ** -20)  # of the interval of r

print("2^(j/8) = T (1 + L):")
for j in range(8):
    t = float(mp.mpf(2) ** (mp.mpf(j) / 8))
    print(f"    {t.hex()}  {float(mp.mpf(2) ** (mp.mpf(j) / 8) / t - 1).hex()}")


def q(x):
    """(e^x - 1 - x)/x^2"""
    return (mp.expm1(x) - x) / x**2 if abs(x) > mp.mpf(2) ** -90 else mp.mpf(1) / 2


for degree in (5, 6):
    nodes = [HALF * mp.cos((2 * i + 1) * mp.pi / (2 * degree + 2)) for i in range(degree + 1)]
    powers = mp.matrix([[x**k for k in range(degree + 1)] for x in nodes])
    c = [float(a) for a in mp.lu_solve(powers, mp.matrix([q(x) for x in nodes]))]
    grid = [HALF * k / 1000 for k in range(-1000, 1001) if k]
    errors = [abs(x + x**2 * sum(a * x**k for k, a in enumerate(c)) - mp.expm1(x)) for x in grid]
    to_one = float(mp.log(max(errors), 2))
    to_itself = float(mp.log(max(e / abs(x) for e, x in zip(errors, grid)), 2))
    print(f"e^r - 1 = r + r^2 Q(r), 2^{to_one:.1f}, of itself 2^{to_itself:.1f}:", *(a.hex() for a in c))
