"""What a call of cact costs beside a NumPy ufunc: ns per call on 1 and on 64 elements.

    python benchmarks/call_overhead.py [--dtype float32|float64] [--rounds N]

Interleaved: in each round every statement runs a batch of about 2 ms; the minimum counts.
"""

from __future__ import annotations

import argparse
import math
from timeit import Timer

import numpy as np

import cact

STATEMENTS = (
    "np.positive(x)",
    "np.positive(x, out)",
    "np.tanh(x)",
    "np.tanh(x, out)",
    "np.multiply(dy, x, out)",
    "cact.tanh(x)",
    "cact.tanh(x, out)",
    "cact.tanh(x, out=out)",
    "cact.tanh.grad(x)",
    "cact.tanh.grad(x, out)",
    "cact.tanh.backward(dy, x)",
    "cact.tanh.backward(dy, x, out)",
    "cact.tanh.value_and_grad(x)",
    "cact.relu(x)",
    "cact.relu(x, out)",
    "cact.leaky_relu(x)",
    "cact.leaky_relu(x, negative_slope=0.2)",
    "bound(x)",
    "bound(x, out)",
    "bound.backward(dy, x, out)",
    "cact.prelu.backward(dy, x)",
    "cact.softmax(x)",
    "cact.softmax(x, out=out)",
    "cact.softmax.backward(dy, y)",
)


def measure(n: int, dtype: str, rounds: int) -> list[float]:
    random = np.random.default_rng(0)
    x, dy = (random.normal(0, 2, n).astype(dtype) for _ in range(2))
    bound = cact.get("leaky_relu", negative_slope=0.2)
    names = {"np": np, "cact": cact, "bound": bound, "x": x, "dy": dy, "y": cact.softmax(x)}
    names["out"] = np.empty_like(x)
    timers = [Timer(s, globals=names) for s in STATEMENTS]
    batches = [max(1, round(2e-3 / (t.timeit(50) / 50))) for t in timers]
    best = [math.inf] * len(timers)
    for _ in range(rounds):
        for i, (timer, number) in enumerate(zip(timers, batches)):
            best[i] = min(best[i], timer.timeit(number) / number)
    return [b * 1e9 for b in best]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--rounds", type=int, default=20, help="default: 20")
    options = parser.parse_args()
    info = cact.info()
    print(f"backend {info['backend']}, {info['isa'] or 'no ISA'}; {options.dtype}; ns per call\n")
    print(f"{'bound: negative_slope=0.2':42}{'n = 1':>10}{'n = 64':>10}")
    columns = [measure(n, options.dtype, max(1, options.rounds)) for n in (1, 64)]
    for statement, *values in zip(STATEMENTS, *columns):
        print(f"{statement:42}" + "".join(f"{v:10.0f}" for v in values))


if __name__ == "__main__":
    main()
