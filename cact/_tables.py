"""What `cact bench` prints: tables of ratios and their summary; two results compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from ._idioms import LIMIT
from ._measure import BEST, Cell, Result, row_names, size_name, summary
from ._peers import APART

__all__ = ["TITLES", "change", "comparison", "noise", "number", "ratio_text", "report"]

TITLES = {
    **{"numpy": "NumPy", "scipy": "SciPy", "jax": "JAX", "torch_compile": "torch.compile"},
    **{"openvino": "OpenVINO", "litert": "LiteRT (XNNPACK)", BEST: "the best peer"},
}
#: Narrow enough for a column.
SHORT = {**TITLES, "torch_compile": "compile", "onnxruntime": "ort", "openvino": "OV", "litert": "LiteRT"}

#: A cell has changed if it did by more than this, whatever the noise.
LEAST_CHANGE = 0.05


def number(v: float | None) -> str:
    """Three significant digits, never an exponent."""
    if v is None:
        return "-"
    return f"{v:.{min(max(2 - math.floor(math.log10(v)), 0), 4)}f}"


def ratio_text(v: float) -> str:
    """As narrow as a heat map's square; 0.996 is 0.99, not 1.00: it is below 1."""
    return f"{math.floor(v * 100) / 100:.2f}" if v < 10 else f"{v:.0f}"


# ---------------------------------------------------------------------- one result
def report(cells: Sequence[Cell], about: dict[str, Any], against: Sequence[str]) -> str:
    """The tables and the summary as text, from measured cells and `environment`.

    Parameters
    ----------
    cells : sequence of Cell
    about : dict
    against : sequence of str
        Peers, or `BEST`; each gets its tables.
    """
    lines = _heading(about)
    for peer in against:
        for operation, dtype in dict.fromkeys(c.table for c in cells):
            chosen = [c for c in cells if c.table == (operation, dtype)]
            if any(c.best(peer) is not None for c in chosen):
                lines += ["", *_table(chosen, peer, f"{operation} {dtype}, {_title(peer)} / cact")]
    failed = {s: error for c in cells for s, error in c.failed.items()}
    if failed:
        lines += ["", *(f"not measured: {s}: {error}" for s, error in failed.items())]
    lines.append("")
    if BEST in against:
        others = [p for p in dict.fromkeys(p for c in cells for p in c.times) if p not in ("cact", "limit")]
        lines += [_one_line(summary(cells, p), p) for p in others if p not in against]
    for peer in against:
        lines += _conclusion(summary(cells, peer), peer)
    return "\n".join(lines)


def _title(peer: str) -> str:
    return TITLES.get(peer, peer)


def _heading(about: dict[str, Any]) -> list[str]:
    cact = about["cact"]
    versions = about["versions"]
    running = f"C kernels, {cact['isa']}" if cact["backend"] == "c" else "NumPy backend"
    others = (f"{TITLES.get(k, k.capitalize() if k == 'python' else k)} {v}" for k, v in versions.items())
    threads = about["threads"]
    lines = [
        f"cact {versions['cact']}: {running}, threads: {cact['threads']}",
        f"{', '.join(list(others)[1:])}; {about['cpu']}",
    ]
    if set(versions) - {"cact", "python", "numpy", "scipy"}:
        lines.append(f"The peers have as many threads as cact ({threads}), NumPy and SciPy one.")
    if cact["backend"] != "c":
        why = cact["why_not_c"] or "chosen with use_backend"
        lines.append(f"THE NUMPY BACKEND RUNS ({why}): these are not the figures of the C kernels.")
    if about["environment_cleared"]:
        lines.append(
            f"Taken out of the environment: {', '.join(about['environment_cleared'])}"
            " (NumPy was loaded before; nothing here calls its BLAS)."
        )
    if about.get("spread", 2) != 2:
        lines.append(f"Inputs of standard deviation {about['spread']:g}.")
    if set(versions) & set(APART):
        lines.append("LiteRT's accuracy is another: it never counts as the best peer.")
    return [
        *lines,
        "Ratios of times: above 1 cact is faster.  In brackets cact's ns per element; in the last line",
        "those of the limit, the copy of the same bytes (backward: the sum of two arrays).",
    ]


def _table(cells: Sequence[Cell], peer: str, title: str) -> list[str]:
    by_place = {(c.name, c.n): c for c in cells}
    sizes = list(dict.fromkeys(c.n for c in cells))
    rows = {title: [size_name(n) for n in sizes]}
    for name in row_names([c for c in cells if c.best(peer) is not None]):
        rows[f"  {name}"] = [_entry(by_place.get((name, n)), peer) for n in sizes]
    limits = (min(c.times["limit"][LIMIT[c.operation]] for c in cells if c.n == n) for n in sizes)
    rows["  limit"] = [f"({number(v)})" for v in limits]
    width = 15 if peer != BEST else 23
    lines = [name.ljust(31) + "".join(v.rjust(width) for v in row) for name, row in rows.items()]
    return [lines[0], *(line.rstrip() for line in lines[1:])]


def _entry(cell: Cell | None, peer: str) -> str:
    if cell is None or (ratio := cell.ratio(peer)) is None:
        return "-"
    text = f"{ratio_text(ratio)} {'(' + number(cell.best('cact')) + ')':>7}"
    rival = cell.rival(peer)
    return text if peer != BEST or rival is None else f"{text} {SHORT.get(rival, rival):<7}"


def _one_line(figures: dict[str, Any], peer: str) -> str:
    mean, below = number(figures["geometric_mean"]), len(figures["below_1"])
    return f"{_title(peer)} / cact: geometric mean {mean}; {below} of {figures['cells']} cells below 1.0."


def _conclusion(figures: dict[str, Any], peer: str) -> list[str]:
    title = _title(peer)
    if not figures["cells"]:
        return [f"{title}: nothing measured."]
    below = figures["below_1"]
    parts = "; ".join(f"{k} {number(v)}" for k, v in figures["by_table"].items())
    return [
        f"{title} / cact: geometric mean {number(figures['geometric_mean'])} ({parts});"
        f" {len(below)} of {figures['cells']} cells below 1.0" + (":" if below else "."),
        *(
            f"  {math.floor(b['ratio'] * 1000) / 1000:.3f}  {b['cell']}"
            + (f", {_title(b['peer'])}" if peer == BEST else "")
            for b in below
        ),
    ]


# ---------------------------------------------------------------------- two results
def change(before: Cell, after: Cell, contender: str, references: Sequence[str]) -> float | None:
    """How many times faster a contender has become, relative to the drift of the machine.

    Both runs measured the `references`, which have not changed: the median of their time ratios
    is the drift (the contender itself is none of them).  None where one side lacks either.
    """
    ratios = {}
    for c in (contender, *references):
        old, new = before.best(c), after.best(c)
        if old is not None and new is not None:
            ratios[c] = new / old
    drifts = [ratios[r] for r in references if r in ratios and r != contender]
    return median(drifts) / ratios[contender] if drifts and contender in ratios else None


def noise(pairs: Sequence[tuple[Cell, Cell]], references: Sequence[str]) -> float:
    """What 19 in 20 apparent changes of the references stay below, in these pairs of cells."""
    found = [change(b, a, r, references) for b, a in pairs for r in references]
    sizes = sorted(abs(math.log(c)) for c in found if c is not None)
    return math.expm1(sizes[math.ceil(0.95 * len(sizes)) - 1]) if sizes else 0.0


def comparison(before: Result, after: Result) -> str:
    """Which cells have become faster or slower, as text.

    Raises
    ------
    ValueError
        If the results are of different kinds of machine.
    """
    old, new = before.about, after.about
    if old["machine"] != new["machine"]:
        raise ValueError(f"the results are of different machines: {old['machine']} and {new['machine']}")
    lines = _differences(before, after)
    versions = old["versions"], new["versions"]
    same = [p for p in before.peers if p in after.peers and versions[0].get(p) == versions[1].get(p)]
    references = ["limit", *same]
    lines += [
        "Faster by: cact's time before over its time after, relative to the drift of the machine, which is",
        f"the median of the same of what did not change: {', '.join(_title(r) for r in references)}.",
        "A cell has changed if this lies beyond 1 +- noise.  Noise is the largest of three: what 19 in 20 of",
        "the unchanged stay below, at this size, when they are taken for changed; how far the lower quartile",
        f"of cact's rounds lies above their minimum, before or after; {LEAST_CHANGE:.0%}.",
    ]
    left, right = ({c.key: c for c in r.cells} for r in (before, after))
    both = [(left[key], right[key]) for key in left if key in right]
    usual = {n: noise([p for p in both if p[0].n == n], references) for n in {b.n for b, _ in both}}
    sizes = ", ".join(f"{size_name(n)} {usual[n]:.1%}" for n in sorted(usual))
    lines += [f"What 19 in 20 of the unchanged stay below here: {sizes or '-'}."]
    changed: dict[str, list[tuple[float, str]]] = {"faster": [], "slower": []}
    ratios = []
    for b, a in both:
        ratio = change(b, a, "cact", references)
        if ratio is None:
            continue  # a cell has cact and the limit, unless someone edited the file
        ratios.append(ratio)
        limit = max(LEAST_CHANGE, usual[b.n], b.scatter("cact"), a.scatter("cact"))
        if not 1 / (1 + limit) <= ratio <= 1 + limit:
            times = f"{number(b.best('cact'))} -> {number(a.best('cact'))} ns"
            text = f"  {ratio:6.3f} (noise {limit:.3f})  {a}  {times}"
            changed["faster" if ratio > 1 else "slower"].append((ratio, text))
    for title, found in changed.items():
        lines += ["", f"{title}: {len(found)}", *(t for _, t in sorted(found, reverse=title == "faster"))]
    unchanged = len(ratios) - sum(map(len, changed.values()))
    mean = math.exp(math.fsum(map(math.log, ratios)) / len(ratios)) if ratios else None
    lines += ["", f"unchanged: {unchanged}", f"geometric mean of all {len(ratios)}: {number(mean)}"]
    for where, mine, other in (("before", left, right), ("after", right, left)):
        lines += ["", f"only {where}: {len(mine.keys() - other.keys())}"]
        lines += [f"  {c}" for key, c in mine.items() if key not in other]
    return "\n".join(lines)


def _differences(before: Result, after: Result) -> list[str]:
    """Warnings: what differs between the runs besides cact."""
    old, new = before.about, after.about
    pairs = {
        "processors": (old["cpu"], new["cpu"]),
        "threads": (old["threads"], new["threads"]),
        "backends": (old["cact"]["backend"], new["cact"]["backend"]),
        "instruction sets": (old["cact"]["isa"], new["cact"]["isa"]),
        "allocation of results": (before.plan["allocate"], after.plan["allocate"]),
        "standard deviations of the inputs": (old.get("spread", 2.0), new.get("spread", 2.0)),
    }
    found = [f"WARNING: different {what}: {a} and {b}" for what, (a, b) in pairs.items() if a != b]
    return [*found, ""] if found else []
