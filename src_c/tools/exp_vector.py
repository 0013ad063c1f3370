"""The numbers of src_c/vector_double.h:   python exp_vector.py   (needs mpmath)"""

import mpmath as mp

mp.mp.prec = 300
HALF = mp.log(2) / 16 * (1 + mp.mpf(2) ** -20)  # of the interval of r
DEGREE = 5

print("2^(j/8) = T (1 + L):")
for j in range(8):
    t = float(mp.mpf(2) ** (mp.mpf(j) / 8))
    print(f"    {t.hex()}  {float(mp.mpf(2) ** (mp.mpf(j) / 8) / t - 1).hex()}")

nodes = [HALF * mp.cos((2 * i + 1) * mp.pi / (2 * DEGREE + 2)) for i in range(DEGREE + 1)]
powers = mp.matrix([[x**k for k in range(DEGREE + 1)] for x in nodes])
c = [float(a) for a in mp.lu_solve(powers, mp.matrix([(mp.expm1(x) - x) / x**2 for x in nodes]))]
grid = [HALF * k / 1000 for k in range(-1000, 1001)]
error = max(abs(x + x**2 * sum(a * x**k for k, a in enumerate(c)) - mp.expm1(x)) for x in grid)
print(f"e^r - 1 = r + r^2 Q(r), 2^{float(mp.log(error, 2)):.1f}:", *(a.hex() for a in c))

root = mp.findroot(lambda t: (t - 1) * mp.exp(t) - 1, 1.278)
print("root of silu'(-t):", float(root).hex(), float(root - float(root)).hex())
series = [-(1 / mp.factorial(k) + 1 / (root - 1) / mp.factorial(k - 1)) for k in range(1, 9)]
print(
    "its series:", *(float(a).hex() for a in series), "first low", float(series[0] - float(series[0])).hex()
)
