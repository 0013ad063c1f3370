"""What a call of cact costs beside NumPy's np.tanh on the same array: ns per call, and the ratio.

    python benchmarks/call_overhead.py [--rounds N] [--all]

On contiguous float32 and float64 arrays of 1 and of 64 elements, then on other arrays of the same
lengths.  A statement with an `out` is compared with ``np.tanh(x, out)``, any other with ``np.tanh(x)``;
--all has every elementwise function and prints the dearest.  Interleaved: in each round every
statement runs a batch of about 1 ms; the minimum counts.
"""

from __future__ import annotations

import argparse
import math
from timeit import Timer
from typing import Any

import numpy as np

import cact

LENGTHS = (1, 64)

#: Statements on contiguous arrays, by what they show.
STATEMENTS = {
    "NumPy itself": ["np.tanh(x)", "np.tanh(x, out)", "np.add(dy, x)", "np.modf(x)"],
    "no parameters": [
        "cact.tanh(x)",
        "cact.tanh(x, out)",
        "cact.tanh(x, out=out)",
        "cact.tanh.grad(x)",
        "cact.tanh.grad(x, out)",
        "cact.tanh.backward(dy, x)",
        "cact.tanh.backward(dy, x, out)",
        "cact.tanh.value_and_grad(x)",
        "cact.tanh.backward_from_output(dy, y)",
        "cact.gelu(x)",
        "cact.gelu.backward(dy, x)",
        "cact.gelu.value_and_grad(x)",
        'cact.gelu(x, approximate="tanh")',
    ],
    "default parameters": [
        "cact.leaky_relu(x)",
        "cact.leaky_relu(x, out)",
        "cact.leaky_relu.grad(x)",
        "cact.leaky_relu.backward(dy, x)",
        "cact.leaky_relu.value_and_grad(x)",
        "cact.prelu(x)",
        "cact.prelu.backward(dy, x)",
    ],
    'f = cact.get("leaky_relu", negative_slope=0.2)': [
        "f(x)",
        "f(x, out)",
        "f(x, out=out)",
        "f.grad(x)",
        "f.grad(x, out)",
        "f.backward(dy, x)",
        "f.backward(dy, x, out)",
        "f.value_and_grad(x)",
    ],
    "parameters as keywords": [
        "cact.leaky_relu(x, negative_slope=0.2)",
        "cact.leaky_relu(x, negative_slope=0.2, out=out)",
        "cact.leaky_relu.grad(x, negative_slope=0.2)",
        "cact.leaky_relu.backward(dy, x, negative_slope=0.2)",
        "cact.leaky_relu.value_and_grad(x, negative_slope=0.2)",
        "cact.elu(x, alpha=2)",
        "cact.prelu(x, 0.2)",
    ],
    "rows, of (1, n)": [
        "cact.softmax(r)",
        "cact.softmax(r, out=rout)",
        "cact.softmax(r, axis=-1)",
        "cact.softmax.backward(r, r)",
    ],
    "gated and of pieces, w of (1, 2n)": [
        "cact.glu(w)",
        "cact.swiglu(w)",
        "cact.swiglu(w, out=rout)",
        "cact.swiglu(w, axis=-1)",
        "cact.swiglu.backward(r, w)",
        "cact.swiglu(r, r)",
        "cact.swiglu.backward(r, r, r)",
        "cact.maxout(w)",
        "cact.maxout(w, k=2, axis=-1)",
        "cact.maxout.backward(r, w)",
        "cact.crelu(r)",
        "cact.crelu(r, out=w)",
        "cact.crelu.backward(w, r)",
    ],
    "kernels": [
        "cact.kernels.tanh_forward(x, out)",
        "cact.kernels.tanh_backward(dy, x, out)",
        "cact.kernels.tanh_value_and_grad(x, out, out2)",
        "cact.kernels.tanh_forward(memoryview(x), out)",
        "cact.kernels.leaky_relu_forward(x, out, negative_slope=0.2)",
    ],
}

#: Other arrays that stand for x; dy and out are plain ones of the result's dtype.
OTHERS = {
    "float16": lambda x: x.astype(np.float16),
    "int64": lambda x: (x * 8).astype(np.int64),
    "x[::2]": lambda x: np.repeat(x, 2)[::2],
    "x[:, ::2]": lambda x: np.repeat(x[None], 2, 1)[:, ::2],
    "0-d": lambda x: np.array(x[0]),
    "np.float32": lambda x: x[0],
    "float": lambda x: float(x[0]),
    "list": lambda x: x.tolist(),
}
ON_OTHERS = [
    "np.tanh(x)",
    "cact.tanh(x)",
    "cact.tanh.grad(x)",
    "cact.tanh.backward(dy, x)",
    "cact.tanh.value_and_grad(x)",
    "f(x)",
    "cact.softmax(x)",
]

Times = list[float]


def measure(statements: list[str], names: dict[str, Any], rounds: int) -> tuple[Times, Times]:
    """ns per call of each statement, and the ratio to np.tanh."""
    statements = [*statements, "np.tanh(x)"] + ["np.tanh(x, out)"] * ("out" in names)
    timers = [Timer(s, globals=names) for s in statements]
    batches = [max(1, round(1e-3 / (t.timeit(50) / 50))) for t in timers]
    best = [math.inf] * len(timers)
    for _ in range(rounds):
        for i, (timer, number) in enumerate(zip(timers, batches)):
            best[i] = min(best[i], timer.timeit(number) / number * 1e9)
    beside = dict(zip(statements, best))
    references = ["np.tanh(x, out)" if "out)" in s else "np.tanh(x)" for s in statements]
    return best, [t / beside[r] for t, r in zip(best, references)]


def arrays(n: int, dtype: str) -> dict[str, Any]:
    random = np.random.default_rng(0)
    x, dy = (random.normal(0, 2, n).astype(dtype) for _ in range(2))
    names = {"x": x, "dy": dy, "y": cact.tanh(x), "out": np.empty_like(x), "out2": np.empty_like(x)}
    names |= {"r": x[None], "w": np.concatenate([x, dy])[None], "rout": np.empty_like(x[None])}
    return names | {"np": np, "cact": cact, "f": cact.get("leaky_relu", negative_slope=0.2)}


def table(title: str, heads: list[str], statements: list[str], columns: list[tuple[Times, Times]]) -> None:
    print(f"\n{title:58}" + "".join(f"{h:>15}" for h in heads))
    for i, statement in enumerate(statements):
        print(f"{statement:58}" + "".join(f"{ns[i]:9.0f}{ratio[i]:6.2f}" for ns, ratio in columns))


def every_function(rounds: int) -> None:
    """The dearest calls of all elementwise functions."""
    calls = ("{}(x)", "{}(x, out)", "{}.grad(x)", "{}.backward(dy, x)", "{}.value_and_grad(x)")
    elementwise = [n for n in cact.names() if f"{n}_forward" in cact.kernels.__all__]
    for dtype in ("float32", "float64"):
        for n in LENGTHS:
            statements = [c.format(f"cact.{name}") for name in elementwise for c in calls]
            learnable = tuple(f"cact.{n}(x, out" for n in elementwise if cact.get(n).learnable)
            statements = [s.replace("out", "out=out") if s.startswith(learnable) else s for s in statements]
            ns, ratio = measure(statements, arrays(n, dtype), rounds)
            ranked = sorted(zip(ratio, ns, statements), reverse=True)
            above = sum(r > 1 for r in ratio)
            print(f"\n{dtype}, n = {n}: {above} of {len(statements)} dearer than np.tanh; the dearest")
            for r, t, s in ranked[:12]:
                print(f"{s:58}{t:9.0f}{r:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="default: 10")
    parser.add_argument(
        "--all", action="store_true", help="every elementwise function, in place of the tables"
    )
    options = parser.parse_args()
    rounds = max(1, options.rounds)
    info = cact.info()
    print(f"backend {info['backend']}, {info['isa'] or 'no ISA'}; ns per call and ratio to np.tanh")
    if options.all:
        every_function(rounds)
        return
    cases = [(dtype, n) for dtype in ("float32", "float64") for n in LENGTHS]
    heads = [f"{dtype} {n}" for dtype, n in cases]
    statements = [s for group in STATEMENTS.values() for s in group]
    columns = [measure(statements, arrays(n, dtype), rounds) for dtype, n in cases]
    done = 0
    for title, group in STATEMENTS.items():
        parts = [tuple(c[done : done + len(group)] for c in column) for column in columns]
        table(title, heads, group, parts)
        done += len(group)
    for kind, make in OTHERS.items():
        columns = []
        for n in LENGTHS:
            names = arrays(n, "float32")
            x = make(names["x"])
            names |= {"x": x, "dy": np.asarray(cact.tanh(x))}
            del names["out"]
            columns.append(measure([s for s in ON_OTHERS if "softmax" not in s or np.ndim(x)], names, rounds))
        rows = [s for s in ON_OTHERS if "softmax" not in s or np.ndim(x)]
        table(f"x: {kind}", [f"n = {n}" for n in LENGTHS], rows, columns)


if __name__ == "__main__":
    main()
