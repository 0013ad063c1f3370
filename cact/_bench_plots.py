"""Pictures of `cact bench`, with matplotlib (imported at first use; needs no display)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._measure import BEST, COLUMNS, Cell, geometric_mean, row_names, size_name
from ._peers import APART, PEERS
from ._tables import SHORT, TITLES, number, ratio_text

__all__ = ["heat_map", "roofline"]

#: Okabe & Ito's colours, for the peers.
COLOURS = {
    **{"numpy": "#777777", "scipy": "#B0B0B0", "torch": "#D55E00", "torch_compile": "#E69F00"},
    **{"jax": "#CC79A7", "onnxruntime": "#009E73", "openvino": "#56B4E9", "litert": "#8C6BB1"},
    **{"numexpr": "#A6761D", "numba": "#117733"},
}
#: What a roofline shows unless told otherwise: cheap to dear.
ROOFLINE = ("relu", "tanh", "sigmoid", "gelu", "mish", "softmax")


def _subtitle(about: dict[str, Any]) -> str:
    cact, threads = about["cact"], about["threads"]
    running = f"C kernels, {cact['isa']}" if cact["backend"] == "c" else "NumPy backend, not the C kernels"
    how_many = f"{threads} thread{'s' if threads > 1 else ''}"
    return f"cact {about['versions']['cact']} ({running}), {how_many}, {about['cpu']}"


def heat_map(cells: Sequence[Cell], about: dict[str, Any], peer: str = "numpy") -> Any:
    """The ratios to `peer` (or `BEST`), functions by sizes, one panel a table.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    tables = list(dict.fromkeys(c.table for c in cells))
    names = row_names(cells)
    sizes = list(dict.fromkeys(c.n for c in cells))
    named = peer == BEST  # which peer it was stands in the square too
    ncols = len(tables) if len(names) > 25 else min(2, len(tables))  # a page is wider than high
    nrows = math.ceil(len(tables) / ncols)
    square = 0.62 if not named else 0.92
    height = 1.5 + nrows * (0.5 + 0.235 * len(names))
    figure = Figure(figsize=(max(8.5, 2.4 + ncols * square * len(sizes)), height), layout="constrained")
    axes = figure.subplots(nrows, ncols, sharex=True, sharey=True, squeeze=False)
    for panel in axes.flat[len(tables) :]:
        panel.set_axis_off()
    for panel, table in zip(axes.flat, tables):
        ratios = np.full((len(names), len(sizes)), np.nan)
        for c in cells:
            ratio = c.ratio(peer)
            if c.table != table or ratio is None:
                continue
            i, j = names.index(c.name), sizes.index(c.n)
            ratios[i, j] = ratio
            colour = "white" if abs(math.log2(ratio)) > 3.2 else "black"
            weight = "bold" if ratio < 1 else "normal"
            style = {"va": "center", "color": colour}
            place = 0.42 if named else 0.5
            align = "right" if named else "center"
            panel.text(
                j + place, i + 0.5, ratio_text(ratio), ha=align, fontsize=8, fontweight=weight, **style
            )
            rival = c.rival(peer)
            if named and rival is not None:
                panel.text(j + 0.47, i + 0.5, SHORT.get(rival, rival), ha="left", fontsize=6.5, **style)
        # log2, so that 2 and 1/2 are equally far from white; colours end at a factor of 32
        colours = panel.pcolormesh(np.log2(ratios), cmap="RdBu", vmin=-5, vmax=5, edgecolors="w", lw=1.2)
        mean = geometric_mean(ratios[~np.isnan(ratios)])
        panel.set_title(f"{' '.join(table)}: geometric mean {number(mean)}", fontsize=10)
        panel.set_xticks(np.arange(len(sizes)) + 0.5, map(size_name, sizes))
        panel.set_yticks(np.arange(len(names)) + 0.5, names)
        panel.set_ylim(len(names), 0)
        panel.tick_params(length=0, labelsize=9)
        panel.spines[:].set_visible(False)
    figure.supxlabel("number of elements", fontsize=9)
    powers = range(-5, 6)
    scale = figure.colorbar(colours, ax=axes, aspect=40, pad=0.01, ticks=powers, extend="both")
    scale.ax.set_yticklabels([f"1/{2**-k}" if k < 0 else f"{2**k}" for k in powers], fontsize=8)
    version = "" if peer == BEST else f" {about['versions'][peer]}"
    title = "the best peer of each cell, named beside the ratio" if peer == BEST else TITLES.get(peer, peer)
    figure.suptitle(
        f"How many times faster than {title}{version}\n{_subtitle(about)}",
        fontsize=11,
    )
    return figure


def roofline(
    cells: Sequence[Cell],
    about: dict[str, Any],
    functions: Sequence[str] = ROOFLINE,
    dtype: str | None = None,
) -> Any:
    """ns per element over the number of elements: cact, its best peers and the copy; a column a function.

    Parameters
    ----------
    cells : sequence of Cell
    about : dict
    functions : sequence of str
        Those of them that were measured are drawn; if there are none, the first six that were.
    dtype : str, optional
        Default: the first measured.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    dtype = dtype or cells[0].dtype
    cells = [c for c in cells if c.dtype == dtype]
    names = _chosen(cells, functions) or row_names(cells)[:6]
    operations = list(dict.fromkeys(c.operation for c in cells))
    figure = Figure(figsize=(1.2 + 2.7 * len(names), 1.5 + 2.9 * len(operations)), layout="constrained")
    axes = figure.subplots(len(operations), len(names), sharex=True, sharey=True, squeeze=False)
    drawn: dict[str, Any] = {}
    for i, operation in enumerate(operations):
        for j, name in enumerate(names):
            panel = axes[i, j]
            line = sorted((c for c in cells if c.table[0] == operation and c.name == name), key=lambda c: c.n)
            for contender in _contenders(line):
                points = [(c.n, t) for c in line if (t := c.best(contender)) is not None]
                style: dict[str, Any] = {"color": COLOURS.get(contender), "lw": 1.2, "marker": "o", "ms": 3}
                if contender == "cact":
                    style |= {"color": "#0072B2", "lw": 2.4, "ms": 4, "zorder": 3}
                elif contender == "limit":
                    style |= {"color": "black", "lw": 1.2, "ls": (0, (2, 1.5)), "marker": ""}
                elif contender in APART:
                    style |= {"ls": (0, (4, 1.5))}
                drawn[contender] = panel.plot(*zip(*points), **style)[0]
            panel.set_title(f"{name} {operation}", fontsize=10)
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
            panel.grid(alpha=0.3, lw=0.5)
            panel.tick_params(labelsize=8)
    sizes = sorted({c.n for c in cells})
    axes[0, 0].set_xticks(sizes, map(size_name, sizes))
    axes[0, 0].minorticks_off()
    for panel in axes[-1]:
        panel.set_xlabel("number of elements", fontsize=8)
    figure.supylabel(f"ns per element ({dtype})", fontsize=9)
    order = ["cact", "limit", *PEERS]
    order = [k for k in order if k in drawn]
    labels = [
        "the copy (backward: the sum) of the same bytes" if k == "limit" else TITLES.get(k, k) for k in order
    ]
    figure.legend(
        [drawn[k] for k in order], labels, loc="outside lower center", ncols=min(6, len(order)), fontsize=8,
        frameon=False,
    )  # fmt: skip
    figure.suptitle(
        f"Time per element: cact, the peers that are best somewhere, the limit\n{_subtitle(about)}",
        fontsize=11,
    )
    return figure


def _chosen(cells: Sequence[Cell], functions: Sequence[str]) -> list[str]:
    """A name for each of the functions measured: of rows, one of the usual length if there is one."""
    found = []
    for function in functions:
        names = row_names([c for c in cells if c.function == function])
        usual = f"{function}[{COLUMNS}]"
        found += [usual] if usual in names else names[:1]
    return found


def _contenders(line: Sequence[Cell]) -> list[str]:
    """The limit, the peers that are the best at some size, those apart, cact on top."""
    best = dict.fromkeys(r for c in line if (r := c.rival(BEST)) is not None)
    apart = [p for p in APART if any(p in c.times for c in line)]
    return ["limit", *best, *apart, "cact"]
