"""Pictures of a comparison, with matplotlib (imported at first use; needs no display)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ._comparison import Comparison, counted
from ._files import write_file
from ._need import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figure", "save"]

Array: TypeAlias = npt.NDArray[Any]

#: Okabe & Ito's colours, told apart with any colour vision, without their yellow.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#777777")
STYLES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))

_FONT = 8.0  # points
_LINE = 1.3 * _FONT / 72  # inches
_PANEL = 4.0  # inches, without labels


def save(comparison: Comparison, path: str | Path, dpi: int = 150) -> None:
    """Write `figure` to a file, replaced in one step if it exists.

    Parameters
    ----------
    comparison : Comparison
    path : str or Path
        The suffix says the format: .png, .svg, .pdf.
    dpi : int, default 150
        Dots per inch of a PNG.

    Raises
    ------
    ValueError
        For a format that matplotlib does not have.
    OSError
        If it cannot be written.
    ModuleNotFoundError
        Without matplotlib.
    """
    drawn = figure(comparison)
    kind = Path(path).suffix.lstrip(".").lower() or "png"
    known = drawn.canvas.get_supported_filetypes()
    if kind not in known:
        raise ValueError(f"{path}: no such format of pictures; there are {', '.join(sorted(known))}")
    write_file(path, lambda file: drawn.savefig(file, format=kind, dpi=dpi))


def figure(comparison: Comparison) -> Figure:
    """Learning curves above, gradient flow by layer below, a column per depth.

    Lines are means over the repeats (of gradients: geometric means), and each is named at its
    end.  Test errors are on a logarithmic axis, where 2 % and 4 % are as far apart as 20 %
    and 40 %.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ModuleNotFoundError
        Without matplotlib.
    """
    need("matplotlib")
    from matplotlib.figure import Figure

    columns = len(comparison.depths)
    labels = _FONT / 72 * 0.62 * max(map(len, comparison.labels)) + 0.2 * _PANEL  # inches
    height = max(3.2, _LINE * len(comparison.labels) + 0.3)
    size = (columns * (_PANEL + labels + 0.7) + 0.2, 2 * (height + 0.95) + 0.5)
    drawn = Figure(figsize=size)
    grid = drawn.add_gridspec(
        2,
        columns,
        left=0.75 / size[0],
        right=1 - labels / size[0],
        bottom=0.55 / size[1],
        top=1 - 0.95 / size[1],
        wspace=(labels + 0.7) / _PANEL,
        hspace=0.95 / height,
    )
    for column, depth in enumerate(comparison.depths):
        _learning_curves(drawn.add_subplot(grid[0, column]), comparison, depth, height)
        _gradient_flow(drawn.add_subplot(grid[1, column]), comparison, depth, height)
    s = comparison.settings
    words = f"hidden layers of {s['width']}, {s['optimizer']} with lr {s['lr']:g}, mean of "
    words += counted(s["repeats"], "repeat")
    left, top = 0.75 / size[0], size[1]
    drawn.text(left, 1 - 0.2 / top, comparison.description, va="top", fontsize=_FONT + 3, fontweight="bold")
    drawn.text(left, 1 - 0.42 / top, words, va="top", fontsize=_FONT, color="#555555")
    return drawn


def _learning_curves(axes: Axes, comparison: Comparison, depth: int, height: float) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs, rows = comparison.settings["epochs"], comparison.settings["test_rows"]
    curves = {}
    for label in comparison.labels:
        runs = comparison.runs(depth, label)
        # a run that diverged stays at the accuracy that it is counted with
        accuracies = [r.test_curve + [r.test_accuracy] * (epochs - len(r.test_curve)) for r in runs]
        curves[label] = np.maximum(1 - np.mean(accuracies, axis=0), 0.5 / rows)
    _lines(axes, curves)
    axes.set_title(f"Learning curves, depth {depth}", loc="left", fontsize=_FONT + 1)
    axes.set_xlabel("epoch", fontsize=_FONT)
    axes.set_ylabel("test error", fontsize=_FONT)
    axes.set_xlim(1, max(epochs, 2))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _finish(axes, curves, height, lambda error: f"{100 * error:.3g} %")


def _gradient_flow(axes: Axes, comparison: Comparison, depth: int, height: float) -> None:
    curves = {}
    for label in comparison.labels:
        flows = np.array([run.gradient_flow for run in comparison.runs(depth, label)])
        with np.errstate(divide="ignore"):
            flow = np.exp(np.log(flows).mean(axis=0))
        curves[label] = np.where(np.isfinite(flow) & (flow > 0), flow, np.nan)[::-1]
    _lines(axes, curves)
    axes.set_title(f"Gradient flow at init, depth {depth}", loc="left", fontsize=_FONT + 1)
    axes.set_xlabel("hidden layer, on the way back from the last to the first", fontsize=_FONT)
    axes.set_ylabel("RMS of dL/dz, last layer = 1", fontsize=_FONT)
    axes.set_xlim(1, max(depth, 2))
    steps = max(1, -(-depth // 12))
    ticks = list(range(1, depth + 1, steps))
    axes.set_xticks(ticks, [str(depth + 1 - t) for t in ticks])
    _finish(axes, curves, height, lambda ratio: f"{ratio:.3g}")


def _lines(axes: Axes, curves: dict[str, Array]) -> None:
    axes.set_yscale("log")
    looks = zip(cycle(COLOURS), (style for style in cycle(STYLES) for _ in COLOURS))
    for (label, curve), (colour, style) in zip(curves.items(), looks):
        axes.plot(
            np.arange(1, len(curve) + 1), curve, color=colour, linestyle=style, linewidth=1.4, label=label
        )


def _finish(axes: Axes, curves: dict[str, Array], height: float, words: Callable[[float], str]) -> None:
    """Scales, and each line's name beside its end, moved apart where they would overlap."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, NullLocator

    values = np.concatenate([curve[np.isfinite(curve)] for curve in curves.values()])
    low, high = (float(values.min()), float(values.max())) if len(values) else (1.0, 1.0)
    low, high = min(low, high / 3) / 1.25, high * 1.25
    axes.set_ylim(low, high)
    if high / low < 1000:
        axes.yaxis.set_major_formatter(lambda value, _: words(value))
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.tick_params(labelsize=_FONT - 0.5)
    axes.grid(True, axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)

    lines = [line for line in axes.get_lines() if np.isfinite(line.get_ydata()).any()]
    ends = [np.asarray(line.get_xydata())[np.isfinite(line.get_ydata())][-1] for line in lines]
    left, right = axes.get_xlim()
    x = [float((end[0] - left) / (right - left)) for end in ends]
    y = [float(np.log(end[1] / low) / np.log(high / low)) for end in ends]
    for line, x0, y0, y1 in zip(lines, x, y, spread(y, _LINE / height)):
        look: dict[str, Any] = {"color": line.get_color(), "transform": axes.transAxes, "clip_on": False}
        axes.add_line(Line2D([x0, 1.07], [y0, y1], linewidth=0.5, **look))
        axes.add_line(Line2D([1.07, 1.15], [y1, y1], linewidth=1.4, linestyle=line.get_linestyle(), **look))
        axes.text(1.17, y1, str(line.get_label()), va="center", fontsize=_FONT, **look)


def spread(where: list[float], gap: float) -> list[float]:
    """Positions from 0 to 1, `gap` apart, in the same order and as near to `where` as can be.

    Parameters
    ----------
    where : list of float
        Wanted positions, 0 to 1.
    gap : float
        At most ``1 / (len(where) - 1)``.

    Returns
    -------
    list of float

    Notes
    -----
    With ``gap * rank`` taken off, it is the isotonic least-squares fit (pool adjacent
    violators).
    """
    order = sorted(range(len(where)), key=where.__getitem__)
    pools: list[tuple[float, int]] = []  # mean, members
    for rank, i in enumerate(order):
        mean, n = where[i] - gap * rank, 1
        while pools and pools[-1][0] > mean:
            before, m = pools.pop()
            mean, n = (mean * n + before * m) / (n + m), n + m
        pools.append((mean, n))
    flat = [mean for mean, n in pools for _ in range(n)]
    places = [0.0] * len(where)
    for rank, i in enumerate(order):
        places[i] = min(max(flat[rank], 0.0), 1 - gap * (len(where) - 1)) + gap * rank
    return places
