"""Write a page of docs and its pictures from results of `cact bench --all --json FILE`.

    python -m cact bench --all --threads 1 --sizes 64,4K,64K,1M,16M --json FILE    # an hour
    python benchmarks/speed_page.py FILE [FILE of two threads] [--page speed_avx2]

docs/speed.md is of a processor with AVX-512, docs/speed_avx2.md of one without.

Every cell below 1 is listed with the peer that is faster, why, and the largest error of both sides where
docs/accuracy.json has it (float32: of the peer every 4,099th float).
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cact import _bench_plots, _measure, _tables

DOCS = Path(__file__).resolve().parents[1] / "docs"
LIGHT = frozenset({
    *("identity", "relu", "relu2", "relu6", "leaky_relu", "prelu", "rrelu", "thresholded_relu", "star_relu"),
    *("hardtanh", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "sparse_plus", "sparse_sigmoid"),
    *("softsign", "squareplus", "maxout", "crelu", "reglu"),
})  # fmt: skip
#: Why a cell is below 1, of its kind.
REASONS = {
    "calls": "n = 64: what a call costs, not the arithmetic",
    "copies": "memory sets the pace: at most 1.3 times the time of the limit",
    "light": "cheap, in cache: some instructions more, for NaN, for -0, for products in two words",
    "rows": "sums in one or two words more than the peer's, so that nothing is lost where terms cancel",
    "float64": "e^x and sums in two words, for 1 ULP; the peer's are plain",
    "float32": "a polynomial from a table of 32, for 1 ULP (without AVX-512 three shuffles a coefficient)",
    "parameters": "the gradients of the parameters, too, each term rounded as f' is",
}


def kind(cell: _measure.Cell) -> str:
    if cell.n <= 64:
        return "calls"
    if cell.columns is not None:
        return "rows"
    if (cell.best("cact") or 0) <= 1.3 * (cell.best("limit") or 0):
        return "copies"
    if cell.function in LIGHT:
        return "light"
    if cell.operation == "backward" and cell.function in ("swish", "snake", "xielu", "acon_c"):
        return "parameters"
    return cell.dtype


def errors(entries: Sequence[dict[str, Any]], cell: _measure.Cell, peer: str) -> str:
    """``cact's ULP / the peer's`` of f or f'; - where it was not measured."""
    part, found = "f" if cell.operation == "forward" else "grad", {"cact": "-", peer: "-"}
    for e in entries:
        if e["function"] != cell.function or e["dtype"] != cell.dtype or e["params"]:
            continue
        who = e["isa"].split()[0]
        who = "cact" if who.startswith(("x86-64", "aarch64")) else who
        if who in found and e.get(part):
            found[who] = f"{e[part]['max_ulp']:.3g}"
    return f"{found['cact']} / {found[peer]}"


def section(result: _measure.Result, entries: Sequence[dict[str, Any]]) -> list[str]:
    best = _measure.BEST
    figures = _measure.summary(result.cells, best)
    means = ", ".join(f"{k} {_tables.number(v)}" for k, v in figures["by_table"].items())
    below = [c for c in result.cells if (r := c.ratio(best)) is not None and r < 1]
    report = _tables.report(result.cells, result.about, [best])
    plan = result.plan
    sizes = ",".join(map(_measure.size_name, plan["sizes"]))
    lines = [
        f"`--threads {plan['threads']} --sizes {sizes} --peers {','.join(plan['peers'])}`, at least"
        f" {plan['min_rounds']} rounds of each cell.",
        "",
        "```",
        report.split(f"\n{_tables.TITLES[best]} / cact: ")[0].rstrip(),
        "```",
        "",
        f"Geometric mean {_tables.number(figures['geometric_mean'])} ({means}); {len(below)} of"
        f" {figures['cells']} cells below 1.",
        "",
        "| cell | ratio | best peer | ns: cact, peer, copy | largest ULP: cact / peer |",
        "|---|---|---|---|---|",
    ]
    for name, why in REASONS.items():
        cells = sorted((c for c in below if kind(c) == name), key=lambda c: c.ratio(best) or 0)
        if cells:
            lines.append(f"| **{why}** ({len(cells)}) | | | | |")
        for c in cells:
            peer = c.rival(best)
            assert peer is not None
            times = ", ".join(_tables.number(c.best(k)) for k in ("cact", peer, "limit"))
            ratio, title = _tables.ratio_text(c.ratio(best) or 0), _tables.TITLES.get(peer, peer)
            lines.append(f"| {c} | {ratio} | {title} | {times} | {errors(entries, c, peer)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--page", default="speed", choices=["speed", "speed_avx2"])
    options = parser.parse_args()
    page, title, option = options.page, "Speed", ""
    if page == "speed_avx2":
        title, option = "Speed with AVX2", f" --page {page}"
    results = [_measure.read(file) for file in options.files]
    entries = json.loads((DOCS / "accuracy.json").read_text())
    about = results[0].about
    lines = [
        f"# {title}",
        "",
        f"Measured until {datetime.date.today()} by `python -m cact bench --all --json FILE`; written by"
        f" `python benchmarks/speed_page.py FILE{option}`. In each cell cact and every peer that has the"
        " function are interleaved; the minimum counts; the ratio is the time of the fastest peer over"
        " cact's: above 1 cact is faster. LiteRT (XNNPACK), whose errors are of another order, never is that"
        " peer; its figures are in the command's own tables.",
        "",
        f"![Ratio to the best peer of each cell]({page}.png)",
        "",
        f"![ns per element by size, beside the copy]({page}_sizes.png)",
    ]
    for result in results:
        threads = result.about["threads"]
        sizes = ", ".join(map(_measure.size_name, result.plan["sizes"]))
        lines += ["", f"## {threads} thread{'s' if threads > 1 else ''}: {sizes} elements", ""]
        lines += section(result, entries)
    (DOCS / f"{page}.md").write_text("\n".join(lines) + "\n")
    cells = results[0].cells
    _bench_plots.heat_map(cells, about, _measure.BEST).savefig(DOCS / f"{page}.png", dpi=70)
    _bench_plots.roofline(cells, about).savefig(DOCS / f"{page}_sizes.png", dpi=80)


if __name__ == "__main__":
    main()
