"""The worst error found, in ULP, of each function and derivative.

    python benchmarks/accuracy.py

The inputs are those of tests/accuracy: all exponents, kinks, thresholds and the neighbours of the roots of
f', about 2,200 a cell; the reference is mpmath on the documented formula.  A sample, not a proof.
"""

import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [
    str(Path(__file__).parent.parent / "tests"),
    str(Path(__file__).parent.parent / "tests/accuracy"),
]

import oracle  # noqa: E402
from conftest import ELEMENTWISE  # noqa: E402
from test_accuracy import cases  # noqa: E402

import cact  # noqa: E402


def worst(y, exact, dtype):
    return max(oracle.ulp_error(a, b, dtype) for a, b in zip(y, exact))


def main():
    print(f"cact {cact.__version__}, {cact.info()['isa'] or 'NumPy backend'}; largest error in ULP")
    print(f"{'':11} {'float32':>7} {'grad':>7} {'float64':>9} {'grad':>7}")
    for name in ELEMENTWISE:
        row = []
        for dtype in (np.float32, np.float64):
            for operation in ("forward", "grad"):
                x, exact, _ = cases(name, operation, dtype, 0)
                f = cact.get(name)
                row.append(worst((f if operation == "forward" else f.grad)(x), exact, dtype))
        print(f"{name:11} " + " ".join(f"{e:7.3f}" for e in row), flush=True)


if __name__ == "__main__":
    main()
