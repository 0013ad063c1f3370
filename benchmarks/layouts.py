"""Arrays that do not lie in one piece, and parameters of each channel: the ratio to the best peer.

    python benchmarks/layouts.py [--peers numpy,torch,numba] [--functions relu,...] [--n 65536]

As `cact bench`, whose statements and interleaved rounds these are; above 1 cact is faster.  The arrays,
inputs and output alike unless said otherwise:

    every other   a[::2]
    columns       half of the columns of a matrix in C order
    transposed    matrices in Fortran order
    turned        inputs in Fortran order, the output in C order; of statements that write into it
    in place      the output is x (forward, of functions that leave numbers in range)

then prelu with a weight for each feature of (batch, features), and for each channel of
(batch, channels, h, w): forward, and backward with the gradients of x and of the weights.  JAX has no
arrays but whole ones: it takes part there.  Rows of other lengths are in `cact bench`: ``--functions
softmax,log_softmax --columns 10,128,1000,50000``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from timeit import Timer
from typing import Any

import numpy as np

from cact import _idioms
from cact._measure import BEST, Cell, Plan, _batch, _interleave, geometric_mean, measure_cell
from cact._peers import limit_threads

FUNCTIONS = "relu,leaky_relu,hardswish,sigmoid,tanh,silu,gelu,softplus"
IN_PLACE = {"relu", "hardswish", "sigmoid", "tanh", "softplus"}

Array = np.ndarray[Any, Any]

#: How an array of n elements lies in one of 2 n.
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "every other": lambda a: a[::2],
    "columns": lambda a: a.reshape(-1, 256)[:, :128],
    "transposed": lambda a: a[: a.size // 2].reshape(-1, 128).T,
    "turned": lambda a: a[: a.size // 2].reshape(-1, 128).T,
    "in place": lambda a: a[: a.size // 2],
}

#: prelu, by peer: forward, backward; w is as broadcast, v of one dimension.
PRELU = {
    "cact": ("cact.prelu(x, w, out=out)", "cact.prelu.backward(dy, x, w, out=out)"),
    "numpy": (
        "np.where(x > 0, x, w * x)",
        "np.where(x > 0, dy, w * dy), np.sum(dy * np.minimum(x, 0), axis=others)",
    ),
    "torch": (
        "torch.prelu(tx, tv)",
        "g = aten._prelu_kernel_backward(tdy, tx, tw); g[0], g[1].sum(others)",
    ),
    "jax": ("forward(jx, jw).block_until_ready()", "jax.block_until_ready(backward(jdy, jx, jw))"),
}


def ratio_of(cell: Cell) -> tuple[float, str]:
    ratio = cell.ratio(BEST)
    assert ratio is not None
    return ratio, f"{ratio:7.2f} {cell.rival(BEST) or '':6}"


def into_out(times: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Without statements that make a new array, which has the order of x: they turn nothing."""
    kept = {
        contender: {statement: t for statement, t in of.items() if re.search(r"\bt?out\b", statement)}
        for contender, of in times.items()
    }
    return {contender: of for contender, of in kept.items() if of}


def layouts(plan: Plan, functions: list[str], n: int, dtype: str) -> list[float]:
    """Print the table of a dtype; all its ratios."""
    random = np.random.default_rng(0)
    ratios: dict[tuple[str, str], list[str]] = {}
    found = []
    for layout, view in LAYOUTS.items():
        x, dy, out = (view(random.normal(0, 2, 2 * n).astype(dtype)) for _ in range(3))
        if layout == "turned":
            out = np.zeros_like(x, order="C")
        elif layout == "in place":
            out = x
        names = _idioms.namespace(x, dy, out, plan.peers, None, plan.threads)
        for function in functions:
            for operation in ("forward", "backward"):
                text = ""
                if layout != "in place" or (operation == "forward" and function in IN_PLACE):
                    times, _, failed, rounds = measure_cell(plan, function, operation, names)
                    if layout == "turned":
                        times = into_out(times)
                    cell = Cell(function, operation, dtype, n, x.shape, rounds, times, failed)
                    if cell.ratio(BEST) is not None:
                        ratio, text = ratio_of(cell)
                        found.append(ratio)
                ratios.setdefault((function, operation), []).append(text)
    print(f"\n{dtype + f', {n:,} elements':30}" + "".join(f"{name:14}" for name in LAYOUTS))
    for (function, operation), texts in ratios.items():
        print(f"{function + ' ' + operation:30}" + "".join(f"{t:14}" for t in texts), flush=True)
    return found


def prelu(plan: Plan, n: int, dtype: str) -> list[float]:
    """Print prelu's lines with weights of features and of channels; their ratios."""
    random = np.random.default_rng(0)
    found = []
    for shape in ((n // 128, 128), (n // 4096, 16, 16, 16)):
        x, dy = (random.normal(0, 2, shape).astype(dtype) for _ in range(2))
        v = random.uniform(0.1, 0.3, shape[1]).astype(dtype)
        w = v.reshape(-1, *(1,) * (len(shape) - 2))
        peers = [
            p for p in ("numpy", "torch", "jax") if p in plan.peers or (p == "jax" and _idioms.installed(p))
        ]
        names = _idioms.namespace(x, dy, np.zeros_like(x), peers, None, plan.threads)
        names |= {"w": w, "others": tuple(i for i in range(x.ndim) if i != 1)}
        if "torch" in peers:
            names |= {"tv": names["torch"].from_numpy(v)}
            names |= {"tw": names["tv"].reshape(w.shape)}
        if "jax" in peers:
            import jax

            forward, backward = _jitted()
            names |= {"jax": jax, "jw": jax.numpy.asarray(w), "forward": forward, "backward": backward}
        for i, operation in enumerate(("forward", "backward")):
            timers = {}
            for contender in ("cact", *peers):
                timer = _timer(PRELU[contender][i], names)
                timers[contender, PRELU[contender][i]] = timer, _batch(timer)
            taken, rounds = _interleave(timers, plan)
            times: dict[str, dict[str, float]] = {}
            for (contender, statement), seconds in taken.items():
                times.setdefault(contender, {})[statement] = min(seconds) / x.size * 1e9
            ratio, text = ratio_of(Cell("prelu", operation, dtype, n, shape, rounds, times))
            found.append(ratio)
            print(f"prelu {operation} {'x'.join(map(str, shape)):18}{text}", flush=True)
    return found


def _jitted() -> tuple[Any, Any]:
    import jax

    def forward(x: Any, w: Any) -> Any:
        return jax.numpy.where(x > 0, x, w * x)

    return jax.jit(forward), jax.jit(lambda dy, x, w: jax.vjp(forward, x, w)[1](dy))


def _timer(statement: str, names: dict[str, Any]) -> Timer:
    timer = Timer(statement, globals=names)
    timer.timeit(1)
    return timer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peers", default="numpy,torch,numba")
    parser.add_argument("--functions", default=FUNCTIONS)
    parser.add_argument("--n", type=int, default=65536, help="elements, a multiple of 4096")
    parser.add_argument("--dtypes", default="float32,float64")
    parser.add_argument(
        "--threads", type=int, default=_idioms.info()["threads"], help="of all; default: cact's"
    )
    parser.add_argument("--seconds", type=float, default=0.3, help="a cell; default: 0.3")
    options = parser.parse_args()
    limit_threads(options.threads)
    plan = Plan(peers=options.peers.split(","), threads=options.threads, seconds=options.seconds)
    ratios = []
    for dtype in options.dtypes.split(","):
        ratios += layouts(plan, options.functions.split(","), options.n, dtype)
        ratios += prelu(plan, options.n, dtype)
    below = sum(r < 1 for r in ratios)
    print(f"\ngeometric mean {geometric_mean(ratios):.2f}, {below} of {len(ratios)} below 1")


if __name__ == "__main__":
    main()
