"""``cact bench``: each function and derivative against idiomatic NumPy, SciPy, torch and JAX.

What is timed are whole calls through the public Python API, inputs drawn from
normal(0, 2).  A *cell* is one function, operation, dtype and number of elements.  Its
contenders (cact, every idiom of `_idioms`, and the copy of the same bytes as the limit) are
interleaved: in each round each of them runs once, a batch of calls of about 2 ms, in an
order that rotates; the minimum over the rounds counts.  So a slow spell of the machine
meets all of them, and ratios hold where absolute times drift.

``OPENBLAS_*`` variables are taken out of the environment at the start.  NumPy is loaded by
then, which does no harm: no contender calls BLAS.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from timeit import Timer
from typing import Any, NoReturn, TextIO, TypeVar

import numpy as np

from ._backend import info
from ._files import write_file
from ._idioms import COMMON, IDIOMS, LIMIT, PEERS, ROWS, cact_statement, functions, installed, namespace
from ._lookup import get

__all__ = ["Cell", "Plan", "environment", "geometric_mean", "main", "measure", "plot", "report", "to_json"]

OPERATIONS = ("forward", "backward")
DTYPES = ("float32", "float64")
SIZES = (64, 4096, 65536, 1 << 20, 1 << 24)
COLUMNS = 128  # of the rows of softmax and its kin
_T = TypeVar("_T")
_TITLES = {"numpy": "NumPy", "scipy": "SciPy", "torch": "torch", "jax": "JAX"}


@dataclass(frozen=True)
class Plan:
    """What to measure, and for how long."""

    functions: Sequence[str] = COMMON
    operations: Sequence[str] = OPERATIONS
    dtypes: Sequence[str] = DTYPES
    sizes: Sequence[int] = SIZES
    peers: Sequence[str] = ("numpy",)
    rounds: int | None = None
    """Rounds of each cell; None: at least `min_rounds`, and up to 40 in `seconds`."""
    min_rounds: int = 5
    seconds: float = 0.5
    allocate: bool = False
    """Let cact and the single ufuncs allocate their results, instead of ``out=``."""

    def __len__(self) -> int:
        return len(self.functions) * len(self.operations) * len(self.dtypes) * len(self.sizes)


@dataclass(frozen=True)
class Cell:
    """The times of one function, operation, dtype and size.

    Attributes
    ----------
    n : int
        Elements asked for; `shape` is what was measured (`ROWS`: rows).
    times : dict
        ``{contender: {statement: ns per element}}``; contenders are "cact", "limit" and
        the peers.
    failed : dict
        ``{statement: error}`` of the optional peers' statements that could not run.
    """

    function: str
    operation: str
    dtype: str
    n: int
    shape: tuple[int, ...]
    rounds: int
    times: dict[str, dict[str, float]]
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def table(self) -> tuple[str, str]:
        return self.operation, self.dtype

    def __str__(self) -> str:
        return f"{self.function} {self.operation} {self.dtype} n={_size(self.n)}"

    def best(self, contender: str) -> float | None:
        """Its fastest statement, in ns per element; None if it has none here."""
        return min(self.times.get(contender, {}).values(), default=None)

    def ratio(self, peer: str) -> float | None:
        """How many times faster than `peer` cact is."""
        theirs, ours = self.best(peer), self.best("cact")
        return None if theirs is None or ours is None else theirs / ours


# ---------------------------------------------------------------------- measuring
def measure(plan: Plan) -> Iterator[Cell]:
    """Measure cell by cell; each is yielded as soon as it is done."""
    # Once glibc has freed a block as large as this it keeps them: no page faults for NumPy's temporaries
    np.empty(31 << 20, np.uint8)
    random = np.random.default_rng(0)
    for dtype in plan.dtypes:
        for n in plan.sizes:
            x, dy = (_normal(random, max(n, 2), dtype) for _ in range(2))
            out = np.zeros_like(x)
            columns = min(x.size & ~1, COLUMNS)  # even, for the halves of the gated functions
            rows = [a[: x.size - x.size % columns].reshape(-1, columns) for a in (x, dy, out)]
            flat_names = namespace(x[:n], dy[:n], out[:n], plan.peers)
            row_names = namespace(rows[0], rows[1], rows[2], plan.peers)
            for function in plan.functions:
                names = row_names if function in ROWS else flat_names
                for operation in plan.operations:
                    times, failed, rounds = _measure_cell(plan, function, operation, names)
                    shape = names["x"].shape
                    yield Cell(function, operation, dtype, n, shape, rounds, times, failed)


def _normal(random: np.random.Generator, n: int, dtype: str) -> np.ndarray[Any, Any]:
    """normal(0, 2); blocks keep the float64 draws of a float32 array small."""
    a = np.empty(n, dtype)
    for start in range(0, n, 1 << 20):
        part = a[start : start + (1 << 20)]
        part[...] = random.normal(0, 2, part.size)
    return a


def _measure_cell(
    plan: Plan, function: str, operation: str, names: dict[str, Any]
) -> tuple[dict[str, dict[str, float]], dict[str, str], int]:
    """The times, failures and rounds of a cell, as in `Cell`."""
    statements = [("cact", cact_statement(function, operation)), ("limit", LIMIT[operation])]
    for peer in plan.peers:
        statements += [(peer, s) for s in IDIOMS[peer][operation].get(function, ())]
    timers: dict[tuple[str, str], tuple[Timer, int]] = {}
    failed = {}
    with np.errstate(all="ignore"):
        for contender, statement in statements:
            if plan.allocate and contender != "limit":
                statement = re.sub(r", out=(half_)?out\b", "", statement)
                if re.search(r"\bout\b", statement):
                    continue  # it has no allocating form
            timer = Timer(statement, globals=names)
            try:
                timer.timeit(1)
            except (RuntimeError, TypeError, AttributeError, NotImplementedError) as error:
                if contender not in ("torch", "jax"):  # their functions come and go between versions
                    raise
                failed[statement] = " ".join(str(error).split())[:200]
                continue
            timers[contender, statement] = timer, _batch(timer)
        best, rounds = _interleave(timers, plan)
    times: dict[str, dict[str, float]] = {}
    for (contender, statement), seconds in best.items():
        times.setdefault(contender, {})[statement] = seconds / names["x"].size * 1e9
    return times, failed, rounds


def _batch(timer: Timer, seconds: float = 2e-3) -> int:
    """How many calls take about `seconds`."""
    number = 1
    while (taken := timer.timeit(number)) < seconds / 4 and number < 1 << 16:
        number *= 4
    return max(1, min(round(number * seconds / taken), 1 << 16))


def _interleave(
    timers: dict[tuple[str, str], tuple[Timer, int]], plan: Plan
) -> tuple[dict[tuple[str, str], float], int]:
    """The minimum over interleaved rounds of each contender, in seconds per call."""
    best = dict.fromkeys(timers, math.inf)
    running = list(timers)
    start = time.perf_counter()
    done = 0
    while not _enough(plan, done, time.perf_counter() - start, best):
        for key in running[done % len(running) :] + running[: done % len(running)]:
            timer, number = timers[key]
            best[key] = min(best[key], timer.timeit(number) / number)
        done += 1
        # A statement far behind another of the same library cannot become its best
        running = [k for k in running if best[k] < 3 * min(best[j] for j in best if j[0] == k[0])]
    return best, done


def _enough(plan: Plan, done: int, taken: float, best: dict[tuple[str, str], float]) -> bool:
    if plan.rounds is not None:
        return done >= plan.rounds
    if done < plan.min_rounds:
        return False
    ours = min(t for (contender, _), t in best.items() if contender == "cact")
    theirs = min((t for (c, _), t in best.items() if c == "numpy"), default=math.inf)
    patience = 4 if 0.8 < theirs / ours < 1.15 else 1  # near parity, noise decides: look longer
    return done >= 40 * patience or taken >= plan.seconds * patience


# ---------------------------------------------------------------------- reporting
def geometric_mean(values: Iterable[float]) -> float | None:
    """exp(mean(log v)); None of nothing."""
    logs = [math.log(v) for v in values]
    return math.exp(math.fsum(logs) / len(logs)) if logs else None


def summary(cells: Sequence[Cell], peer: str) -> dict[str, Any]:
    """Geometric mean of the ratios to `peer`, and the cells in which cact is slower."""
    ratios = [(c, r) for c in cells if (r := c.ratio(peer)) is not None]
    by_table: dict[str, list[float]] = {}
    for c, r in ratios:
        by_table.setdefault(" ".join(c.table), []).append(r)
    slower = sorted(((c, r) for c, r in ratios if r < 1), key=lambda pair: pair[1])
    return {
        "cells": len(ratios),
        "geometric_mean": geometric_mean(r for _, r in ratios),
        "by_table": {table: geometric_mean(values) for table, values in by_table.items()},
        "below_1": [{"cell": str(c), "ratio": r} for c, r in slower],
    }


def report(cells: Sequence[Cell], about: dict[str, Any], peers: Sequence[str]) -> str:
    """The tables and the summary as text, from measured cells and `environment`."""
    lines = _heading(about)
    for peer in peers:
        for operation, dtype in dict.fromkeys(c.table for c in cells):
            chosen = [c for c in cells if c.table == (operation, dtype)]
            if any(c.best(peer) is not None for c in chosen):
                lines += ["", *_table(chosen, peer, f"{operation} {dtype}, {_TITLES[peer]} / cact")]
    failed = {s: error for c in cells for s, error in c.failed.items()}
    if failed:
        lines += ["", *(f"not measured: {s}: {error}" for s, error in failed.items())]
    lines.append("")
    for peer in peers:
        lines += _conclusion(summary(cells, peer), _TITLES[peer])
    return "\n".join(lines)


def _heading(about: dict[str, Any]) -> list[str]:
    cact = about["cact"]
    versions = about["versions"]
    running = f"C kernels, {cact['isa']}" if cact["backend"] == "c" else "NumPy backend"
    others = (f"{_TITLES.get(k, k.capitalize())} {v}" for k, v in versions.items() if k != "cact")
    lines = [
        f"cact {versions['cact']}: {running}, threads: {cact['threads']}",
        f"{', '.join(others)}; {about['cpu']}",
    ]
    if cact["backend"] != "c":
        why = cact["why_not_c"] or "chosen with use_backend"
        lines.append(f"THE NUMPY BACKEND RUNS ({why}): these are not the figures of the C kernels.")
    if about["environment_cleared"]:
        lines.append(
            f"Taken out of the environment: {', '.join(about['environment_cleared'])}"
            " (NumPy was loaded before; nothing here calls its BLAS)."
        )
    return [
        *lines,
        "Ratios of times: above 1 cact is faster.  In brackets cact's ns per element; in the last line",
        "those of the limit, the copy of the same bytes (backward: the sum of two arrays).",
    ]


def _table(cells: Sequence[Cell], peer: str, title: str) -> list[str]:
    by_place = {(c.function, c.n): c for c in cells}
    sizes = list(dict.fromkeys(c.n for c in cells))
    rows = {title: [_size(n) for n in sizes]}
    for function in dict.fromkeys(c.function for c in cells if c.best(peer) is not None):
        row = rows[f"  {function}"] = []
        for n in sizes:
            cell = by_place.get((function, n))
            ratio = cell.ratio(peer) if cell is not None else None
            ours = cell.best("cact") if cell is not None else None
            row.append("-" if ratio is None else f"{_ratio(ratio)} {'(' + _number(ours) + ')':>7}")
    limits = (min(c.times["limit"][LIMIT[c.operation]] for c in cells if c.n == n) for n in sizes)
    rows["  limit"] = [f"({_number(v)})" for v in limits]
    return [name.ljust(31) + "".join(v.rjust(15) for v in row) for name, row in rows.items()]


def _conclusion(figures: dict[str, Any], title: str) -> list[str]:
    if not figures["cells"]:
        return [f"{title}: nothing measured."]
    below = figures["below_1"]
    parts = "; ".join(f"{k} {_number(v)}" for k, v in figures["by_table"].items())
    return [
        f"{title} / cact: geometric mean {_number(figures['geometric_mean'])} ({parts});"
        f" {len(below)} of {figures['cells']} cells below 1.0" + (":" if below else "."),
        *(f"  {math.floor(b['ratio'] * 1000) / 1000:.3f}  {b['cell']}" for b in below),
    ]


def _number(v: float | None) -> str:
    """Three significant digits, never an exponent."""
    if v is None:
        return "-"
    return f"{v:.{min(max(2 - math.floor(math.log10(v)), 0), 4)}f}"


def _ratio(v: float) -> str:
    """As narrow as a heat map's square; 0.996 is 0.99, not 1.00: it is below 1."""
    return f"{math.floor(v * 100) / 100:.2f}" if v < 10 else f"{v:.0f}"


def _size(n: int) -> str:
    for unit, letter in ((1 << 20, "M"), (1 << 10, "K")):
        if n % unit == 0:
            return f"{n // unit}{letter}"
    return str(n)


def environment(peers: Sequence[str] = (), cleared: Sequence[str] = ()) -> dict[str, Any]:
    """What the figures belong to: versions, processor, backend."""
    versions = {"cact": info()["versions"]["cact"], "python": platform.python_version()}
    for peer in dict.fromkeys(("numpy", *peers)):
        versions[peer] = importlib.import_module(peer).__version__
    return {
        "cact": info(),
        "versions": versions,
        "cpu": _cpu(),
        "environment_cleared": list(cleared),
    }


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def to_json(cells: Sequence[Cell], about: dict[str, Any], plan: Plan) -> str:
    """Everything measured: ``{"environment", "plan", "cells", "summary"}``."""
    content = {
        "environment": about,
        "plan": asdict(plan),
        "cells": [{**asdict(c), "ratios": {p: c.ratio(p) for p in plan.peers}} for c in cells],
        "summary": {p: summary(cells, p) for p in plan.peers},
    }
    return json.dumps(content, indent=1, default=str, allow_nan=False) + "\n"


def plot(cells: Sequence[Cell], about: dict[str, Any], peer: str = "numpy") -> Any:
    """A heat map of the ratios to `peer`, functions by sizes, one panel a table.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    tables = list(dict.fromkeys(c.table for c in cells))
    names = list(dict.fromkeys(c.function for c in cells))
    sizes = list(dict.fromkeys(c.n for c in cells))
    ncols = min(2, len(tables))
    nrows = math.ceil(len(tables) / ncols)
    figure = Figure(
        figsize=(max(8.5, 2 + ncols * 0.8 * len(sizes)), 1.6 + nrows * (0.6 + 0.27 * len(names))),
        layout="constrained",
    )
    axes = figure.subplots(nrows, ncols, sharex=True, sharey=True, squeeze=False)
    for panel in axes.flat[len(tables) :]:
        panel.set_axis_off()
    for panel, table in zip(axes.flat, tables):
        ratios = np.full((len(names), len(sizes)), np.nan)
        for c in cells:
            if c.table == table and c.ratio(peer) is not None:
                ratios[names.index(c.function), sizes.index(c.n)] = c.ratio(peer)
        # log2, so that 2 and 1/2 are equally far from white; colours end at a factor of 32
        colours = panel.pcolormesh(np.log2(ratios), cmap="RdBu", vmin=-5, vmax=5, edgecolors="w", lw=1.5)
        for (i, j), ratio in np.ndenumerate(ratios):
            if not np.isnan(ratio):
                panel.text(
                    j + 0.5,
                    i + 0.5,
                    _ratio(ratio),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if abs(math.log2(ratio)) > 3.2 else "black",
                    fontweight="bold" if ratio < 1 else "normal",
                )
        mean = geometric_mean(ratios[~np.isnan(ratios)])
        panel.set_title(f"{' '.join(table)}: geometric mean {_number(mean)}", fontsize=10)
        panel.set_xticks(np.arange(len(sizes)) + 0.5, map(_size, sizes))
        panel.set_yticks(np.arange(len(names)) + 0.5, names)
        panel.set_ylim(len(names), 0)
        panel.tick_params(length=0, labelsize=9)
        panel.spines[:].set_visible(False)
    figure.supxlabel("number of elements", fontsize=9)
    powers = range(-5, 6)
    scale = figure.colorbar(colours, ax=axes, aspect=40, pad=0.015, ticks=powers, extend="both")
    scale.ax.set_yticklabels([f"1/{2**-k}" if k < 0 else f"{2**k}" for k in powers], fontsize=8)
    cact = about["cact"]
    running = f"C kernels, {cact['isa']}" if cact["backend"] == "c" else "NumPy backend, not the C kernels"
    figure.suptitle(
        f"How many times faster than {_TITLES[peer]} {about['versions'][peer]}\n"
        f"cact {about['versions']['cact']} ({running}), {about['cpu']}",
        fontsize=11,
    )
    return figure


# ---------------------------------------------------------------------- the command
class _UsageError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


def _list_of(one: Callable[[str], _T]) -> Callable[[str], list[_T]]:
    """The parser of a comma-separated list, from that of one entry."""
    return lambda text: list(dict.fromkeys(one(part.strip()) for part in text.split(",")))


def _one_of(allowed: Sequence[str], what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise argparse.ArgumentTypeError(f"no {what} {text!r}; there are {', '.join(allowed)}")
        return text

    return parse


def _functions(text: str) -> list[str]:
    return functions() if text == "all" else _list_of(_function)(text)


def _function(text: str) -> str:
    try:
        return _one_of(functions(), "NumPy idiom of")(get(text).name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _elements(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,11})([kKmM]?)", text)
    n = int(found[1]) << {"": 0, "k": 10, "m": 20}[found[2].lower()] if found else 0
    if not 1 <= n <= 1 << 36:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of elements (examples: 64, 4K, 16M)")
    return n


def _rounds(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise argparse.ArgumentTypeError(f"must be an integer from 1 to 999999, got {text!r}")
    return int(text)


def _file(text: str) -> Path:
    """A path that can be written: found out before the measurement, not after it."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"cannot write {text!r}: a directory, or not in a writable one")
    return path


def _picture(text: str) -> Path:
    if not installed("matplotlib"):
        raise argparse.ArgumentTypeError("matplotlib is not installed")
    if Path(text).suffix not in (".png", ".svg", ".pdf"):
        raise argparse.ArgumentTypeError(f"{text!r} must end in .png, .svg or .pdf")
    return _file(text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="cact bench",
        description="Time each activation and derivative against idiomatic NumPy (SciPy, torch, JAX): "
        "interleaved, as ratios; above 1 cact is faster.",
    )
    add = parser.add_argument
    operations = _list_of(_one_of(OPERATIONS, "operation"))
    dtypes, peers = _list_of(_one_of(DTYPES, "dtype")), _list_of(_one_of(PEERS, "peer"))
    add(
        "--functions",
        type=_functions,
        default=COMMON,
        metavar="NAMES",
        help=f"all: every one with a NumPy idiom; default: the {len(COMMON)} in most use",
    )
    add("--ops", type=operations, default=OPERATIONS, metavar=",".join(OPERATIONS), help="default: both")
    add("--dtypes", type=dtypes, default=DTYPES, metavar=",".join(DTYPES), help="default: both")
    add("--sizes", type=_list_of(_elements), metavar="64,4K,16M", help="elements; K = 1024, M = 1024K")
    add("--peers", type=peers, metavar=",".join(PEERS), help="default: those installed")
    add("--rounds", type=_rounds, metavar="N", help="rounds of each cell; default: by time, at least 5")
    add("--quick", action="store_true", help="n = 64, 64K, 1M and few rounds: under 40 s, noisier")
    add("--alloc", action="store_true", help="no out=: cact and single ufuncs allocate their results")
    add("--json", type=_file, metavar="FILE", help="write everything measured")
    add("--plot", type=_picture, metavar="FILE", help="draw a heat map of the ratios")
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    for peer in options.peers or ():
        if not installed(peer):
            raise _UsageError(f"argument --peers: {peer} is not installed")
    return Plan(
        functions=options.functions,
        operations=options.ops,
        dtypes=options.dtypes,
        sizes=options.sizes or ((64, 65536, 1 << 20) if options.quick else SIZES),
        peers=options.peers or [p for p in PEERS if installed(p)],
        rounds=options.rounds,
        min_rounds=3 if options.quick else 5,
        seconds=0.08 if options.quick else 0.5,
        allocate=options.alloc,
    )


def _progress(cells: Iterator[Cell], total: int, stream: TextIO) -> Iterator[Cell]:
    """A tqdm bar where tqdm is installed, else a line now and then."""
    if installed("tqdm"):
        from tqdm import tqdm

        with tqdm(total=total, unit="cell", file=stream, leave=False) as bar:
            for cell in cells:
                bar.set_postfix_str(str(cell), refresh=False)
                bar.update()
                yield cell
        return
    for done, cell in enumerate(cells, 1):
        if done % 20 == 0 or done == total:
            print(f"cact bench: {done} of {total} cells, {cell}", file=stream, flush=True)
        yield cell


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The options, without the command's name; default ``sys.argv[1:]``.

    Returns
    -------
    int
        Exit status: 0; 1 if a file cannot be written or memory is short; 2 for a bad
        option; 130 if interrupted (what was measured until then is reported).
    """
    try:
        options = _parser().parse_args(argv)
        plan = _plan(options)
    except _UsageError as error:
        print(f"cact bench: {error}", file=sys.stderr)
        return 2
    # Before SciPy, torch or JAX load: a pinned BLAS kernel must not decide a comparison
    cleared = sorted(v for v in os.environ if v.startswith("OPENBLAS_"))
    for variable in cleared:
        del os.environ[variable]
    about = environment(plan.peers, cleared)
    cells: list[Cell] = []
    status = 0
    try:
        for cell in _progress(measure(plan), len(plan), sys.stderr):
            cells.append(cell)  # one by one, for an interrupt
    except KeyboardInterrupt:
        print("cact bench: interrupted; what was measured until here:", file=sys.stderr)
        status = 130
    except MemoryError:
        print(f"cact bench: not enough memory for {_size(max(plan.sizes))} elements", file=sys.stderr)
        return 1
    if not cells:
        return status
    print(report(cells, about, plan.peers))
    try:
        if options.json:
            document = to_json(cells, about, plan).encode()
            write_file(options.json, lambda file: file.write(document))
        if options.plot:
            figure = plot(cells, about, plan.peers[0])
            kind = options.plot.suffix[1:]
            write_file(options.plot, lambda file: figure.savefig(file, format=kind, dpi=150))
    except OSError as error:
        print(f"cact bench: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
