"""How exact the functions of rows, the gated ones, maxout and crelu are: f and backward, against mpmath.

    python benchmarks/rows.py                     # all eleven: minutes
    python benchmarks/rows.py softmax glu         # two of them
    python benchmarks/rows.py --table             # all; write docs/accuracy.* and the comments of src_c/act

The inputs are fixed: rows of 1 to 100,000 columns, of which some elements are compared, and pairs of
elements of all exponents and beside the roots of the gate.  The reference is exact_row and its
neighbours in tests/oracle.py; backward is that of the y which it is given.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "tests"))

import oracle
import sweep  # whose cact is that of this tree
from mpmath import mp, mpf

import cact

#: What is compared: f or grad (backward), the result, the exact one, where, and whether it is within reach:
#: of rows dx is not below REACH of its first term, of gated functions each factor is a normal number or 0
#: (a subnormal one has fewer digits, which a large number beside it shows).
Case = tuple[str, Any, mpf, str, bool]

LENGTHS = (1, 2, 3, 5, 8, 17, 33, 128, 1000, 10_000, 100_000)
#: Every other one of the longest rows.
KINDS = ("scale 0.01", "scale 30", "scale 2", "scale 300", "near-equal", "masks", "subnormal", "exponents")
PLACES = 24
REACH = 2.0**-100
PAIRS = 20_000
#: ULP of f and of backward; of gated functions what was measured, rounded up.
BOUNDS = {"rows": (4.0, 4.0), "gated": (2.0, 3.0), "pieces": (0.0, 0.0)}


def names() -> list[str]:
    return [n for n in cact.names() if not cact.get(n)._record.elementwise]


def kind(name: str) -> str:
    record = cact.get(name)._record
    return "rows" if record.row_backward else "gated" if record.gate else "pieces"


def exponents(r: np.random.Generator, n: int, dtype: Any) -> np.ndarray:
    """Numbers of both signs and all exponents."""
    info = np.finfo(dtype)
    return (r.choice([-1, 1], n) * np.exp2(r.uniform(info.minexp - info.nmant, info.maxexp, n))).astype(dtype)


# ---------------------------------------------------------------------- rows
def row(kind: str, n: int, r: np.random.Generator, dtype: Any) -> np.ndarray:
    x = r.normal(0, float(kind[6:]) if kind.startswith("scale") else 2, n)
    if kind == "masks":
        x[r.random(n) < 0.6] = -np.inf
        x[n // 3] = 0.3
    elif kind == "near-equal":
        x = 3.7 * (1 + np.finfo(dtype).eps * r.integers(-9, 9, n))
    elif kind == "subnormal":
        x *= float(np.finfo(dtype).tiny) / 8
    elif kind == "exponents":
        return exponents(r, n, dtype)
    return x.astype(dtype)


def weights(name: str, y: np.ndarray) -> np.ndarray:
    """Of the dy in the sum that backward subtracts; log_softmax: of dx in that of dy."""
    weight = {"log_softmax": np.exp, "sparsemax": np.sign, "entmax15": np.sqrt}.get(name, np.abs)
    return weight(y.astype(float))


def upstream(name: str, y: np.ndarray, share: np.ndarray, at: int, r: np.random.Generator) -> dict[str, Any]:
    """dy: any; such that nothing is left, or next to nothing; such that an element all but cancels."""
    near, j = r.normal(0, 1, y.size), int(r.integers(1, 2 * np.finfo(y.dtype).nmant))
    w, others = weights(name, y), np.arange(y.size) != at
    if total := w[others].sum():
        dot = w[at] * near[others].sum() if name == "log_softmax" else w[others] @ near[others]
        near[at] = np.clip(dot / total * (1 + 2.0**-j), -1e30, 1e30)
    found = {f"leaves 2^-{j} of one": near}
    if y.size <= 1000:
        found |= {"random": r.normal(0, 1, y.size), "constant": np.full(y.size, 1 / 3), "-softmax(x)": -share}
    return {k: v.astype(y.dtype) for k, v in found.items()}


def row_cases(name: str, dtype: Any) -> Iterator[Case]:
    f = cact.get(name)
    for n, (number, kind) in itertools.product(LENGTHS, enumerate(KINDS)):
        bits = 1300 if n > 1000 or name == "log_softmax" else 2600  # of which sums may cancel all but a few
        for k in range(max(8, 100 // n) if n < 1000 else 1 if n < 100_000 else 1 - number % 2):
            r = np.random.default_rng([n, number, k])
            x = row(kind, n, r, dtype)
            share, where = cact.softmax(x), f"{kind}, {n} columns"
            places = np.unique([*r.permutation(n)[:PLACES], np.argmax(x), np.argmin(x)]).tolist()
            x = -x if name == "softmin" else x
            y = f(x)
            wanted = oracle.exact_row(name, x, places, bits if name in oracle.POWER else 300)
            yield from (("f", y[i], w, where, True) for i, w in zip(places, wanted))
            for what, dy in upstream(name, y, share, places[0], r).items():
                dx, at = f.backward(dy, y), f"{where}, dy: {what}"
                least = REACH * abs(dy) * (1 if name == "log_softmax" else weights(name, y))
                wanted = oracle.exact_row_backward(name, dy, y, bits, places)
                yield from (("grad", dx[i], w, at, abs(w) >= least[i]) for i, w in zip(places, wanted))


# ---------------------------------------------------------------------- pairs of elements
def pairs(gate: str, dtype: Any) -> tuple[np.ndarray, ...]:
    """Gate, value, dy: of all exponents, usual, and beside what is hard of the gate, each gate five times."""
    r, n = np.random.default_rng(7), PAIRS // 20
    hard = sweep.interesting(gate)
    near = np.concatenate([sweep.steps(h, dtype, 3) for h in hard])
    distance = np.exp2(r.uniform(-np.finfo(dtype).nmant, -2, n)) * r.choice([-1, 1], n)
    b = [exponents(r, n, dtype), r.normal(0, 3, n), r.choice(near, n), r.choice(hard, n) * (1 + distance)]
    b = np.repeat(np.concatenate(b).astype(dtype), 5)
    others = exponents(r, 2 * b.size, dtype)
    usual = r.random(others.size) < 0.6
    others[usual] = r.normal(0, 2, usual.sum())
    return b, *np.split(others, 2)


def gated_cases(name: str, dtype: Any) -> Iterator[Case]:
    f, gate, info = cact.get(name), cact.get(name)._record.gate, np.finfo(dtype)
    b, a, dy = pairs(gate, dtype)
    kinks = [float(k) for k in oracle.kinks(gate, {})]
    exact = functools.cache(lambda of, at: of(gate, at, {}, dtype=dtype))
    times = functools.partial(mp.fmul, exact=True)

    def normal(*factors: mpf) -> bool:
        return all(not v or info.tiny <= abs(v) <= info.max for v in factors)

    with np.errstate(all="ignore"):
        y, (db, da) = f(b, a), f.backward(dy, b, a)
    for i, (at, v, u) in enumerate(zip(b.tolist(), a.tolist(), dy.tolist())):
        g, where = exact(oracle.value, at), f"value {v:.9g}, gate {at:.9g}"
        yield "f", y[i], times(g, v), where, normal(g)
        where += f", dy {u:.9g}"
        yield "grad", da[i], times(g, u), f"dvalue, {where}", normal(g)
        if at not in kinks:
            d = exact(oracle.derivative, at)
            yield "grad", db[i], times(times(d, v), u), f"dgate, {where}", normal(d, times(d, v))


def pieces_cases(name: str, dtype: Any) -> Iterator[Case]:
    """maxout of two and crelu select: what NumPy does here is exact."""
    b, a, dy = pairs("relu", dtype)
    if name == "maxout":
        x, up = np.stack([b, a], axis=-1), dy[:, None]
        wanted = x.max(axis=-1, keepdims=True), up * (np.arange(2) == x.argmax(axis=-1)[:, None])
    else:
        x, up = b[:, None], np.stack([dy, a], axis=-1)
        wanted = np.maximum(np.array([1, -1], dtype) * x, 0), (x > 0) * up[:, :1] - (x < 0) * up[:, 1:]
    for part, got, exact in zip(("f", "grad"), (cact.get(name)(x), cact.get(name).backward(up, x)), wanted):
        for (i, _), v, w in zip(np.ndindex(got.shape), got.flat, exact.flat):
            yield part, v, mpf(float(w)), f"x = {x[i]}, dy = {up[i]}", True


CASES = {"rows": row_cases, "gated": gated_cases, "pieces": pieces_cases}


# ---------------------------------------------------------------------- the measurement
def measure(name: str, dtype: Any, progress: Any = None) -> dict[str, dict[str, Any]]:
    """f and backward, as sweep.entry has them; "beyond": what is not within reach."""
    found: dict[tuple[str, bool], list[tuple[float, str]]] = {}
    for number, (part, got, exact, where, within_reach) in enumerate(CASES[kind(name)](name, dtype)):
        found.setdefault((part, within_reach), []).append((oracle.ulp_error(got, exact, dtype), where))
        if progress is not None and number % 1000 == 0:
            progress.update()
    result = {part: summary(found[part, True]) for part in ("f", "grad")}
    for part, entry in result.items():
        if beyond := found.get((part, False)):
            entry["beyond"] = summary(beyond)
    return result


def summary(errors: list[tuple[float, str]]) -> dict[str, Any]:
    """NaN in place of a number is an infinite error."""
    largest, where = max((e for e in errors if e[0] < np.inf), key=lambda e: e[0])
    rounded = sum(e <= 0.5 for e, _ in errors)
    return {
        "inputs": len(errors),
        "max_ulp": round(largest, 5),
        "worst": where if largest else "-",
        "correctly_rounded_percent": round(100 * rounded / len(errors), 4),
        "above_1_ulp": sum(1 < e < np.inf for e, _ in errors),
        "nan_wrong": sum(e == np.inf for e, _ in errors),
    }


def within(e: dict[str, Any]) -> bool:
    """Whether an entry keeps its bounds."""
    parts = zip((e["f"], e["grad"]), BOUNDS[kind(e["function"])])
    return all(p["max_ulp"] <= bound and not p["nan_wrong"] for p, bound in parts)


def describe(e: dict[str, Any]) -> str:
    lines = [f"{e['function']} {e['dtype']}, {e['seconds']} s" + ("" if within(e) else "   ABOVE THE BOUND")]
    for what, p in (("f", e["f"]), ("backward", e["grad"])):
        for which, q in (("", p), (", beyond reach", p.get("beyond"))):
            if q:
                lines.append(f"  {what}{which}: {q['max_ulp']:.5g} ULP of {q['inputs']:,}, at {q['worst']}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("functions", nargs="*", metavar="function", help=f"of {', '.join(names())}")
    parser.add_argument("--table", action="store_true", help="keep the results, write what is made of them")
    args = parser.parse_args()
    if strange := set(args.functions) - set(names()):
        parser.error(f"{', '.join(sorted(strange))}: not one of {', '.join(names())}")
    if cact.info()["backend"] != "c":
        sys.exit(f"rows: the C kernels are not in use ({cact.info()['why_not_c']})")
    about = sweep.about(" ".join(["python benchmarks/rows.py", *sys.argv[1:]]))
    good = True
    for name, dtype in itertools.product(args.functions or names(), (np.float32, np.float64)):
        start, key = time.perf_counter(), {"function": name, "dtype": np.dtype(dtype).name, "params": {}}
        with sweep.bar(" ".join([name, key["dtype"]]), None) as progress:
            found = measure(name, dtype, progress)
        e = {**key, **about, "seconds": round(time.perf_counter() - start, 1), **found}
        print(describe(e), flush=True)
        good &= within(e)
        if args.table:
            sweep.save(e)
    if args.table:
        sweep.tables()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
