"""float16 and bfloat16 against the best of NumPy, torch and JAX: the ratio to the best peer of each cell.

    python benchmarks/half.py [--peers numpy,torch,jax] [--functions relu,...] [--sizes 64,4096,...] [--ns]

As `cact bench`, whose statements and interleaved rounds these are; above 1 cact is faster.  bfloat16 is
ml_dtypes'.  --ns prints cact's time per element (below 4096 elements: per call) beside the ratio.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np

from cact import _idioms
from cact._measure import BEST, Cell, Plan, geometric_mean, measure_cell

FUNCTIONS = "relu,leaky_relu,hardswish,sigmoid,tanh,silu,gelu,gelu_tanh,mish,softplus,softmax,swiglu"
DTYPES = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}


def names_of(x: Any, dy: Any, plan: Plan) -> dict[str, Any]:
    """`_idioms.namespace`, with torch's views of arrays that it cannot take from NumPy."""
    others = [p for p in plan.peers if p != "torch"]
    names = _idioms.namespace(x, dy, np.zeros_like(x), others, None, plan.threads)
    if "torch" in plan.peers:
        import torch

        torch.set_num_threads(plan.threads)
        names |= {"torch": torch, "aten": torch.ops.aten, "F": torch.nn.functional}
        kind = torch.float16 if x.dtype == np.float16 else torch.bfloat16
        for key, a in list(names.items()):
            if isinstance(a, np.ndarray) and a.dtype == x.dtype:
                names[f"t{key}"] = torch.from_numpy(a.view(np.int16)).view(kind)
        names["tw"] = torch.tensor([0.25], dtype=kind)
        names["tv"] = names["tx"].detach().requires_grad_()
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peers", default="numpy,torch,jax")
    parser.add_argument("--functions", default=FUNCTIONS)
    parser.add_argument("--sizes", default="64,4096,65536,1048576,16777216")
    parser.add_argument("--dtypes", default="float16,bfloat16")
    parser.add_argument(
        "--threads", type=int, default=_idioms.info()["threads"], help="of all; default: cact's"
    )
    parser.add_argument("--seconds", type=float, default=0.3, help="a cell; default: 0.3")
    parser.add_argument("--ns", action="store_true", help="cact's own time, too")
    options = parser.parse_args()
    functions, sizes = options.functions.split(","), [int(n) for n in options.sizes.split(",")]
    plan = Plan(peers=options.peers.split(","), threads=options.threads, seconds=options.seconds)
    random = np.random.default_rng(0)
    for dtype in options.dtypes.split(","):
        ratios: dict[tuple[str, str], list[str]] = {}
        all_ratios = []
        for n in sizes:
            x, dy = (random.normal(0, 2, n).astype(np.float32).astype(DTYPES[dtype]) for _ in range(2))
            flat = names_of(x, dy, plan)
            rows = [a[: n - n % min(n, 128)].reshape(-1, min(n, 128)) for a in (x, dy)]
            shaped = names_of(*rows, plan) if n > 1 else None
            for function in functions:
                names = shaped if function in _idioms.ROWS else flat
                for operation in ("forward", "backward"):
                    if names is None:
                        continue
                    try:
                        times, _, failed, rounds = measure_cell(plan, function, operation, names)
                    except TypeError:  # NumPy's einsum does not take bfloat16
                        rest = replace(plan, peers=[p for p in plan.peers if p != "numpy"])
                        times, _, failed, rounds = measure_cell(rest, function, operation, names)
                    cell = Cell(function, operation, dtype, n, names["x"].shape, rounds, times, failed)
                    ratio, ns = cell.ratio(BEST), cell.best("cact")
                    assert ratio is not None
                    assert ns is not None
                    all_ratios.append(ratio)
                    text = f"{ratio:6.2f} {cell.rival(BEST) or '':5}"
                    if options.ns:
                        text = f"{ns * (n if n < 4096 else 1):8.2f} {text}"
                    ratios.setdefault((function, operation), []).append(text)
        print(f"\n{dtype:22}" + "".join(f"{n:>{len(text)}}" for n in sizes))
        for (function, operation), found in ratios.items():
            print(f"{function + ' ' + operation:22}" + "".join(found), flush=True)
        print(f"geometric mean {geometric_mean(all_ratios):.2f}")


if __name__ == "__main__":
    main()
