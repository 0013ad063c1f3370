"""What a comparison found: records of the runs, their summary, and how it is told."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _backend, _stats
from ._files import write_file

__all__ = ["Comparison", "Run", "Summary"]

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Run:
    """One training: a configuration at one depth, with one split and seed.

    Attributes
    ----------
    configuration, activation : str
        The label, and the activation's name.
    normalization : str or None
    depth, repeat : int
        Hidden layers; the number of the split and seed, from 0.
    test_accuracy, train_accuracy : float
        After the last epoch, in inference mode.  For a run that diverged: the share of the
        class that is most frequent in training, which is what no network at all reaches.
    epochs_to_converge : int or None
        The first epoch, from 1, whose test accuracy has come 95 % of the way from that share
        to the best final accuracy of any run on the same split; None if there is none.
    gradient_flow : list of float
        Per hidden layer: RMS of dL/dz at init over that of the last hidden layer.
    dead, saturated : float or None
        Percentages after training, over all hidden layers, on up to 1000 rows of the training
        part: units that are dead and elements that are saturated (see `cact.diagnose`).
        None for a run that diverged.
    seconds : float
        Training alone, on one BLAS thread.
    train_loss, test_curve : list of float
        Per epoch: training loss, test accuracy.  Nothing is selected by the latter.
    diverged : str or None
        Where the loss became non-finite.
    """

    configuration: str
    activation: str
    normalization: str | None
    depth: int
    repeat: int
    test_accuracy: float
    train_accuracy: float
    epochs_to_converge: int | None
    gradient_flow: list[float]
    dead: float | None
    saturated: float | None
    seconds: float
    train_loss: list[float] = field(repr=False)
    test_curve: list[float] = field(repr=False)
    diverged: str | None = None


@dataclass(frozen=True)
class Summary:
    """The repeats of one configuration at one depth: means, unless it says otherwise.

    Attributes
    ----------
    configuration : str
    depth : int
    test_accuracy, spread : float
        Mean and standard deviation (NaN for a single repeat).
    epochs_to_converge : float or None
        Over the repeats that converged.
    converged, diverged : int
        How many repeats did.
    gradient_ratio : float
        First hidden layer over last, at init; the geometric mean.
    dead, saturated : float or None
        In percent.
    seconds : float
    group : str or None
        "within", "unsettled" or "worse" (see `cact._stats.verdicts`); None for one repeat.
    p : float or None
        The adjusted p behind the group.
    """

    configuration: str
    depth: int
    test_accuracy: float
    spread: float
    epochs_to_converge: float | None
    converged: int
    diverged: int
    gradient_ratio: float
    dead: float | None
    saturated: float | None
    seconds: float
    group: str | None
    p: float | None


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    description : str
        The data.
    labels : list of str
        The configurations, in the order of the catalogue.
    depths : list of int
    settings : dict
        What was equal for all: width, epochs, optimizer, ...
    results : list of Run
        By depth, configuration and repeat.
    """

    description: str
    labels: list[str]
    depths: list[int]
    settings: dict[str, Any]
    results: list[Run] = field(repr=False)

    def runs(self, depth: int, configuration: str) -> list[Run]:
        """The repeats of a configuration at a depth."""
        return [r for r in self.results if r.depth == depth and r.configuration == configuration]

    def scores(self, depth: int, labels: Sequence[str] | None = None) -> Array:
        """Test accuracies, shape (repeats, configurations)."""
        chosen = self.labels if labels is None else labels
        scores: Array = np.array([[r.test_accuracy for r in self.runs(depth, label)] for label in chosen]).T
        return scores

    def summary(self, depth: int) -> list[Summary]:
        """One record per configuration, in the order of the catalogue."""
        n_train, n_test = self.settings["train_rows"], self.settings["test_rows"]
        verdicts = None
        if self.settings["repeats"] > 1:
            verdicts = _stats.verdicts(self.scores(depth), n_train, n_test)
        found = []
        for i, label in enumerate(self.labels):
            runs = self.runs(depth, label)
            scores = [r.test_accuracy for r in runs]
            epochs = [r.epochs_to_converge for r in runs if r.epochs_to_converge is not None]
            with np.errstate(divide="ignore"):
                ratio = float(np.exp(np.mean(np.log([r.gradient_flow[0] for r in runs]))))
            found.append(
                Summary(
                    label,
                    depth,
                    test_accuracy=float(np.mean(scores)),
                    spread=float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan,
                    epochs_to_converge=float(np.mean(epochs)) if epochs else None,
                    converged=len(epochs),
                    diverged=sum(r.diverged is not None for r in runs),
                    gradient_ratio=ratio,
                    dead=_mean([r.dead for r in runs]),
                    saturated=_mean([r.saturated for r in runs]),
                    seconds=float(np.mean([r.seconds for r in runs])),
                    group=verdicts.groups[i] if verdicts else None,
                    p=verdicts.p[i] if verdicts else None,
                )
            )
        return found

    def table(self) -> str:
        """The result as text: a block per depth, and in words what can be told apart."""
        return _table(self)

    def plot(self, path: str | Path) -> None:
        """Save a picture of the learning curves and of the gradient flow by layer.

        Parameters
        ----------
        path : str or Path
            A .png, .svg or .pdf file; replaced in one step if it exists.

        Raises
        ------
        OSError
            If it cannot be written.
        ModuleNotFoundError
            Without matplotlib.
        """
        # by name: plots stands above this module, and brings matplotlib
        importlib.import_module(".plots", __package__).save(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Everything, in types that JSON has (NaN becomes None)."""
        repeats = self.settings["repeats"]
        tests: dict[str, Any] = {}
        if len(self.labels) > 1 and repeats > 1:
            for depth in self.depths:
                scores = self.scores(depth)
                statistic, p = _stats.friedman(scores)
                tests[str(depth)] = {
                    "friedman_statistic": statistic,
                    "friedman_p": p,
                    "mean_ranks": dict(zip(self.labels, _stats.mean_ranks(scores).tolist())),
                    "nemenyi_critical_difference": _stats.nemenyi(len(self.labels), repeats),
                    "alpha": _stats.ALPHA,
                }
        plain: dict[str, Any] = _plain(
            {
                "format": "cact comparison 1",
                "description": self.description,
                "settings": self.settings,
                "configurations": self.labels,
                "depths": self.depths,
                "tests": tests,
                "summary": [asdict(s) for depth in self.depths for s in self.summary(depth)],
                "results": [asdict(r) for r in self.results],
                "software": _backend.info(),
            }
        )
        return plain

    def to_json(self, path: str | Path) -> None:
        """Write `to_dict` to a file, replaced in one step if it exists.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        write_file(path, lambda file: file.write(text.encode()))


def _mean(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ---------------------------------------------------------------------- the table
_COLUMNS = [
    ("test accuracy", "mean ± sd", 15),
    ("epochs to", "converge", 9),
    ("gradient", "first/last", 10),
    ("dead", "units %", 7),
    ("saturated", "%", 9),
    ("", "seconds", 7),
]


def _table(c: Comparison) -> str:
    s = c.settings
    repeats = s["repeats"]
    momentum = f" momentum {s['momentum']:g}," if s["momentum"] is not None else ""
    lines = [
        c.description,
        f"{counted(len(c.labels), 'configuration')}, {counted(repeats, 'repeat')} with a split"
        f" ({s['train_rows']} rows to train, {s['test_rows']} to test) and a seed of its own",
        f"hidden layers of {s['width']}, {counted(s['epochs'], 'epoch')}, batches of {s['batch_size']},"
        f" {s['optimizer']},{momentum} lr {s['lr']:g}: the same for all",
    ]
    width = max(map(len, c.labels)) + 2
    # one repeat has no spread
    below = [("" if repeats == 1 and "sd" in words else words, n) for _, words, n in _COLUMNS]
    for depth in c.depths:
        title = f"Depth {depth}"
        lines += [
            "",
            (title.ljust(width) + "".join(f"  {top:>{n}}" for top, _, n in _COLUMNS)).rstrip(),
            " " * width + "".join(f"  {words:>{n}}" for words, n in below),
        ]
        summary = c.summary(depth)
        for words, members in _groups(summary, repeats):
            lines.append(words)
            lines += ["  " + m.configuration.ljust(width - 2) + _cells(m, repeats) for m in members]
        lines += _friedman(c, depth, [m.configuration for m in summary if m.group == "within"])
    return "\n".join([*lines, "", *_LEGEND])


_LEGEND = [
    "sd: standard deviation over the repeats.  Seed noise: paired t-tests against the highest mean, with",
    "  Nadeau & Bengio's and Bonferroni's corrections: the true best is called worse at most 1 time in 20.",
    "epochs to converge: until 95 % of the way from chance to the best accuracy on the same split; -: never;",
    "  (3/5): in 3 of 5 repeats.",
    "gradient first/last: RMS of dL/dz of the first hidden layer over that of the last, at init.",
    "after training: dead, f' = 0 for every row (smooth f: < 1e-6); saturated, |f'| < 1 % of its maximum",
]


def counted(n: int, thing: str) -> str:
    return f"{n} {thing}" + "s" * (n != 1)


def _groups(summary: list[Summary], repeats: int) -> list[tuple[str, list[Summary]]]:
    """The rows of a block under what is said of them, each group in the order of the catalogue."""
    if len(summary) == 1:
        return [("A single configuration: nothing to compare", summary)]
    if repeats == 1:
        return [
            (
                "One repeat has no spread, so nothing can be told apart (catalogue order)",
                summary,
            )
        ]
    lost = [m for m in summary if m.diverged == repeats]
    members = {g: [m for m in summary if m.group == g and m not in lost] for g in _stats.GROUPS}
    n = len(members["within"])
    if n > 1:
        within = (
            f"Within seed noise of the best: {repeats} repeats cannot tell these {n} from it"
            " (catalogue order, no ranking)"
        )
    elif lost and not members["unsettled"] and not members["worse"]:
        within = "The only one that did not diverge"
    elif members["unsettled"]:
        within = "Highest mean"
    else:
        within = "Best, and by more than seed noise"
    words = {
        "within": within,
        "unsettled": f"Unsettled: a lower mean, but too erratic for {repeats} repeats to tell",
        "worse": "Worse than the best by more than seed noise",
    }
    told = [(words[g], members[g]) for g in _stats.GROUPS if members[g]]
    return told + ([("Diverged in every repeat: counted as chance", lost)] if lost else [])


def _cells(m: Summary, repeats: int) -> str:
    accuracy = f"{m.test_accuracy:.3f}" + ("" if math.isnan(m.spread) else f" ± {m.spread:.3f}")
    epochs = "-" if m.epochs_to_converge is None else f"{m.epochs_to_converge:.0f}"
    if 0 < m.converged < repeats:
        epochs += f" ({m.converged}/{repeats})"
    cells = [
        accuracy,
        epochs,
        f"{m.gradient_ratio:.2g}",
        "-" if m.dead is None else f"{m.dead:.1f}",
        "-" if m.saturated is None else f"{m.saturated:.1f}",
        f"{m.seconds:.2f}",
    ]
    row = "".join(f"  {cell:>{n}}" for cell, (_, _, n) in zip(cells, _COLUMNS))
    return row + (f"  diverged {m.diverged}/{repeats}" if m.diverged else "")


def _friedman(c: Comparison, depth: int, within: list[str]) -> list[str]:
    """Friedman's test over all, and over those that the table does not tell apart."""
    if c.settings["repeats"] < 2 or len(c.labels) < 2:
        return []
    p = _stats.friedman(c.scores(depth))[1]
    words = f"Friedman test: p = {p:.2g} for all {len(c.labels)}"
    if 1 < len(within) < len(c.labels):
        p = _stats.friedman(c.scores(depth, within))[1]
        words += f"; p = {p:.2g} for the {len(within)} within seed noise"
    if len(within) > 1:
        words += (
            ": no sign of a difference among them"
            if p >= _stats.ALPHA
            else ": some may differ, unclear which"
        )
    return [words]
