"""The bits of 1/pi for src_c/trigonometry.h, after 256 zeros, as words of 64 bits.

    python src_c/tools/inverse_pi.py

2^2047 is the largest product of two doubles' powers of two; its window begins 52 bits
before and is four words long.
"""

import mpmath as mp

WORDS = 4 + 36

mp.mp.prec = 64 * WORDS + 64
bits = int(mp.floor(mp.ldexp(1 / mp.pi, 64 * (WORDS - 4))))
for i in range(0, WORDS, 4):
    print(", ".join(f"0x{bits >> 64 * (WORDS - 1 - j) & 2**64 - 1:016x}" for j in range(i, i + 4)) + ",")
