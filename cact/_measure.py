"""What `cact bench` measures, and the file it keeps: cells, their times, the environment.

A *cell* is one function, operation, dtype and number of elements (of functions along an axis:
also the length of the rows).  Its contenders (cact, every statement of the peers, and the copy
of the same bytes as the limit) are interleaved: in each round each of them runs once, a batch
of calls of about 2 ms, in an order that rotates and turns round; the minimum over the rounds
counts.  So a slow spell of the machine meets all of them, and ratios hold where absolute times
drift.  The quartiles of the rounds say how far to trust the minimum.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from timeit import Timer
from typing import Any

import numpy as np

from ._backend import info
from ._idioms import COMMON, LIMIT, ROWS, SOFTMAX_KIN, cact_statement, namespace
from ._peers import APART, contenders, versions

__all__ = [
    "BEST",
    "COLUMNS",
    "DTYPES",
    "OPERATIONS",
    "SIZES",
    "Cell",
    "Plan",
    "Result",
    "environment",
    "measure",
    "read",
    "row_names",
    "size_name",
    "summary",
]

OPERATIONS = ("forward", "backward")
DTYPES = ("float32", "float64")
SIZES = (64, 4096, 65536, 1 << 20, 1 << 24)
COLUMNS = 128
#: In place of a peer's name: the best of each cell.
BEST = "best"
FORMAT = 2  # of the file


@dataclass(frozen=True)
class Plan:
    """What to measure, and for how long."""

    functions: Sequence[str] = COMMON
    operations: Sequence[str] = OPERATIONS
    dtypes: Sequence[str] = DTYPES
    sizes: Sequence[int] = SIZES
    columns: Sequence[int] = (COLUMNS,)
    """Of the rows of softmax and its kin; the gated functions, maxout and crelu have 128."""
    peers: Sequence[str] = ("numpy",)
    threads: int = 1
    """Of the peers; cact has what `set_num_threads` says."""
    rounds: int | None = None
    """Rounds of each cell; None: at least `min_rounds`, and up to 40 in `seconds`."""
    min_rounds: int = 5
    seconds: float = 0.5
    allocate: bool = False
    """Let cact and the single ufuncs allocate their results, instead of ``out=``."""
    spread: float = 2.0
    """The standard deviation of the inputs."""

    def rows(self, function: str, n: int) -> tuple[int | None, ...]:
        """The lengths of rows to measure at n elements; None: that does not matter.

        A row longer than n is not made, but one there is: of n, named by the shortest asked for.
        """
        if function not in SOFTMAX_KIN:
            return (None,)
        return tuple(c for c in self.columns if c <= n) or (min(self.columns),)

    def __len__(self) -> int:
        cells = sum(len(self.rows(f, n)) for f in self.functions for n in self.sizes)
        return cells * len(self.operations) * len(self.dtypes)


@dataclass(frozen=True)
class Cell:
    """The times of one function, operation, dtype and size.

    Attributes
    ----------
    n : int
        Elements asked for; `shape` is what was measured (`ROWS`: rows).
    times : dict
        ``{contender: {statement: ns per element}}``, the minima over the rounds; contenders
        are "cact", "limit" and the peers.
    failed : dict
        ``{statement: error}`` of the optional peers' statements that could not run.
    columns : int or None
        The length of the rows of softmax and its kin.
    quartiles : dict
        As `times`, but ``[lower quartile, median, upper quartile]`` of the rounds.
    """

    function: str
    operation: str
    dtype: str
    n: int
    shape: Sequence[int]
    rounds: int
    times: dict[str, dict[str, float]]
    failed: dict[str, str] = field(default_factory=dict)
    columns: int | None = None
    quartiles: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    @property
    def table(self) -> tuple[str, str]:
        return self.operation, self.dtype

    @property
    def name(self) -> str:
        """The function, with the length of the rows if it has some."""
        return self.function if self.columns is None else f"{self.function}[{self.columns}]"

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.name, self.operation, self.dtype, self.n

    def __str__(self) -> str:
        return f"{self.name} {self.operation} {self.dtype} n={size_name(self.n)}"

    def best(self, contender: str) -> float | None:
        """Its fastest statement, in ns per element; None if it has none here."""
        return min(self.times.get(self.rival(contender) or "", {}).values(), default=None)

    def rival(self, peer: str) -> str | None:
        """The peer itself, or for `BEST` the fastest of those whose accuracy compares; None without any."""
        if peer != BEST:
            return peer
        peers = [p for p in self.times if p not in ("cact", "limit", *APART)]
        return min(peers, key=lambda p: min(self.times[p].values()), default=None)

    def ratio(self, peer: str) -> float | None:
        """How many times faster than `peer` (or `BEST`) cact is."""
        theirs, ours = self.best(peer), self.best("cact")
        return None if theirs is None or ours is None else theirs / ours

    def scatter(self, contender: str) -> float:
        """How far the lower quartile of the rounds lies above the minimum, as a part of it."""
        times = self.times[contender]
        fastest = min(times, key=lambda s: times[s])
        return self.quartiles[contender][fastest][0] / times[fastest] - 1


# ---------------------------------------------------------------------- measuring
def measure(plan: Plan) -> Iterator[Cell]:
    """Measure cell by cell; each is yielded as soon as it is done."""
    # Once glibc has freed a block as large as this it keeps them: no page faults for NumPy's temporaries
    np.empty(31 << 20, np.uint8)
    random = np.random.default_rng(0)
    for dtype in plan.dtypes:
        for n in plan.sizes:
            x, dy = (_normal(random, max(n, 2), dtype, spread) for spread in (plan.spread, 2.0))
            out = np.zeros_like(x)
            flat: dict[str, Any] = {}
            for function in plan.functions:
                for columns in plan.rows(function, n):
                    # Those of one function of rows at a time, for they are many and large
                    if function in ROWS:
                        rows = [_rows(a, columns) for a in (x, dy, out)]
                        names = namespace(rows[0], rows[1], rows[2], plan.peers, function, plan.threads)
                    else:
                        flat = flat or namespace(x[:n], dy[:n], out[:n], plan.peers, None, plan.threads)
                        names = flat
                    for operation in plan.operations:
                        times, quartiles, failed, rounds = measure_cell(plan, function, operation, names)
                        shape = names["x"].shape
                        yield Cell(
                            function, operation, dtype, n, shape, rounds, times, failed, columns, quartiles
                        )


def _rows(a: np.ndarray[Any, Any], columns: int | None) -> np.ndarray[Any, Any]:
    """Of `columns`, or without that of an even length, for the halves of the gated functions."""
    length = min(a.size & ~1, COLUMNS) if columns is None else min(a.size, columns)
    return a[: a.size - a.size % length].reshape(-1, length)


def _normal(random: np.random.Generator, n: int, dtype: str, spread: float) -> np.ndarray[Any, Any]:
    """normal(0, spread); blocks keep the float64 draws of a float32 array small."""
    a = np.empty(n, dtype)
    for start in range(0, n, 1 << 20):
        part = a[start : start + (1 << 20)]
        part[...] = random.normal(0, spread, part.size)
    return a


_Key = tuple[str, str]  # contender, statement


def measure_cell(
    plan: Plan, function: str, operation: str, names: dict[str, Any]
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, list[float]]], dict[str, str], int]:
    """The times, quartiles, failures and rounds of a cell, as in `Cell`."""
    statements = [("cact", cact_statement(function, operation), names), ("limit", LIMIT[operation], names)]
    failed = {}
    timers: dict[_Key, tuple[Timer, int]] = {}
    with np.errstate(all="ignore"):
        for peer in plan.peers:
            try:
                found = contenders(peer, function, operation, names, plan.threads)
            except Exception as error:  # a library of another version
                failed[f"{peer}: {operation} of {function}"] = _line(error)
                continue
            statements += [(peer, *c) for c in found]
        for contender, statement, scope in statements:
            if plan.allocate and contender != "limit":
                statement = re.sub(r", out=(half_|double_)?out\b", "", statement)
                if re.search(r"\bout\b", statement):
                    continue  # it has no allocating form
            timer = Timer(statement, globals=scope)
            try:
                timer.timeit(1)
            except Exception as error:
                if contender in ("cact", "limit", "numpy", "scipy"):
                    raise
                failed[statement] = _line(error)  # the others' functions come and go between versions
                continue
            timers[contender, statement] = timer, _batch(timer)
        taken, rounds = _interleave(timers, plan)
    times: dict[str, dict[str, float]] = {}
    quartiles: dict[str, dict[str, list[float]]] = {}
    for (contender, statement), seconds in taken.items():
        ns = [t / names["x"].size * 1e9 for t in seconds]
        times.setdefault(contender, {})[statement] = min(ns)
        quartiles.setdefault(contender, {})[statement] = np.quantile(ns, (0.25, 0.5, 0.75)).tolist()
    return times, quartiles, failed, rounds


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _batch(timer: Timer, seconds: float = 2e-3) -> int:
    """How many calls take about `seconds`."""
    number = 1
    while (taken := timer.timeit(number)) < seconds / 4 and number < 1 << 16:
        number *= 4
    return max(1, min(round(number * seconds / taken), 1 << 16))


def _interleave(timers: dict[_Key, tuple[Timer, int]], plan: Plan) -> tuple[dict[_Key, list[float]], int]:
    """The times of each contender in interleaved rounds, in seconds per call, and how many rounds."""
    taken: dict[_Key, list[float]] = {key: [] for key in timers}
    best = dict.fromkeys(timers, math.inf)
    running = list(timers)
    start = time.perf_counter()
    done = 0
    while not _enough(plan, done, time.perf_counter() - start, best):
        order = running[done % len(running) :] + running[: done % len(running)]
        for key in reversed(order) if done % 2 else order:  # whom one runs after changes
            timer, number = timers[key]
            taken[key].append(timer.timeit(number) / number)
            best[key] = min(best[key], taken[key][-1])
        done += 1
        running = [key for key in running if _may_win(key, best, done >= plan.min_rounds)]
    return taken, done


def _may_win(key: _Key, best: dict[_Key, float], among_all: bool) -> bool:
    """Whether a statement is not far behind another of its library, later: of any library."""
    rivals = [t for k, t in best.items() if k[0] == key[0]]
    if among_all and key[0] not in ("cact", "limit"):
        rivals += [t for k, t in best.items() if k[0] not in ("cact", "limit", *APART)]
    return best[key] < 3 * min(rivals)


def _enough(plan: Plan, done: int, taken: float, best: dict[_Key, float]) -> bool:
    if plan.rounds is not None:
        return done >= plan.rounds
    if done < plan.min_rounds:
        return False
    ours = min(t for (contender, _), t in best.items() if contender == "cact")
    theirs = min((t for (c, _), t in best.items() if c not in ("cact", "limit", *APART)), default=math.inf)
    patience = 4 if 0.8 < theirs / ours < 1.15 else 1  # near parity, noise decides: look longer
    return done >= 40 * patience or taken >= plan.seconds * patience


# ---------------------------------------------------------------------- results
@dataclass(frozen=True)
class Result:
    """Measured cells, and what they belong to."""

    cells: Sequence[Cell]
    about: dict[str, Any]
    """See `environment`."""
    plan: dict[str, Any]
    """A `Plan` as a dictionary."""

    @property
    def peers(self) -> list[str]:
        return list(self.plan["peers"])

    def to_json(self) -> str:
        """``{"format", "environment", "plan", "summary", "cells"}``, a cell a line."""
        head = {
            "format": FORMAT,
            "environment": self.about,
            "plan": self.plan,
            "summary": {p: summary(self.cells, p) for p in (*self.peers, BEST)},
        }
        ratios = ({p: c.ratio(p) for p in (*self.peers, BEST)} for c in self.cells)
        cells = [
            json.dumps({**asdict(c), "best_peer": c.rival(BEST), "ratios": r}, allow_nan=False)
            for c, r in zip(self.cells, ratios)
        ]
        text = json.dumps(head, indent=1, default=str, allow_nan=False)
        return text.removesuffix("\n}") + ',\n "cells": [\n' + ",\n".join(cells) + "\n ]\n}\n"


def read(path: str | os.PathLike[str]) -> Result:
    """The result in a file of ``cact bench --json``.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is not such a file, or one of another version of the format.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        found = content.get("format", 1 if "cells" in content else None)
        if found == FORMAT:
            cells = [
                Cell(**{k: v for k, v in c.items() if k not in ("ratios", "best_peer")})
                for c in content["cells"]
            ]
            about, plan = content["environment"], content["plan"]
            if not (about.keys() >= {"cact", "versions", "cpu", "machine"} and plan.keys() >= {"peers"}):
                raise KeyError("environment")
            return Result(cells, about, plan)
    except (ValueError, TypeError, KeyError, AttributeError):
        found = None
    if found is None:
        raise ValueError(f"{os.fspath(path)} is no result of cact bench --json")
    raise ValueError(
        f"{os.fspath(path)} has the format {found} of another version of cact; this one reads {FORMAT}"
    )


def geometric_mean(values: Iterable[float]) -> float | None:
    """exp(mean(log v)); None of nothing."""
    logs = [math.log(v) for v in values]
    return math.exp(math.fsum(logs) / len(logs)) if logs else None


def summary(cells: Sequence[Cell], peer: str) -> dict[str, Any]:
    """Geometric mean of the ratios to `peer` (or `BEST`), and the cells in which cact is slower."""
    ratios = [(c, r) for c in cells if (r := c.ratio(peer)) is not None]
    by_table: dict[str, list[float]] = {}
    for c, r in ratios:
        by_table.setdefault(" ".join(c.table), []).append(r)
    slower = sorted(((c, r) for c, r in ratios if r < 1), key=lambda pair: pair[1])
    return {
        "cells": len(ratios),
        "geometric_mean": geometric_mean(r for _, r in ratios),
        "by_table": {table: geometric_mean(values) for table, values in by_table.items()},
        "below_1": [{"cell": str(c), "ratio": r, "peer": c.rival(peer)} for c, r in slower],
    }


def row_names(cells: Sequence[Cell]) -> list[str]:
    """The names of the cells in the order of their functions, by the length of the rows."""
    functions = list(dict.fromkeys(c.function for c in cells))
    places = {c.name: (functions.index(c.function), c.columns or 0) for c in cells}
    return sorted(places, key=lambda name: places[name])


def size_name(n: int) -> str:
    for unit, letter in ((1 << 20, "M"), (1 << 10, "K")):
        if n % unit == 0:
            return f"{n // unit}{letter}"
    return str(n)


def environment(
    peers: Sequence[str] = (), cleared: Sequence[str] = (), threads: int | None = None
) -> dict[str, Any]:
    """What the figures belong to: versions, processor, backend, threads."""
    return {
        "cact": info(),
        "versions": {
            "cact": info()["versions"]["cact"],
            "python": platform.python_version(),
            **versions(dict.fromkeys(("numpy", *peers))),
        },
        "cpu": _cpu(),
        "machine": platform.machine(),
        "threads": threads or info()["threads"],
        "environment_cleared": list(cleared),
    }


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()
