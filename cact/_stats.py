"""How far repeated scores can tell configurations apart.

Scores are an array of shape (repeats, configurations), higher is better.  A repeat has one
train-test split and one seed, the same for all configurations, so scores are compared within
repeats.

Two questions, two tools:

*Is there any difference at all?*  Friedman's test on the ranks within each repeat (with
Nemenyi's critical difference, for reports).  It cannot say which ones differ: with 5 repeats
of 14 configurations the critical difference is 8.9 of 13 possible ranks, and no signed-rank
test of one pair can fall below p = 1/32.  Ranks throw away what a few repeats do have, the
size of the differences.  Nor does it know that the repeats share their rows (below), so a p
just under 0.05 is a hint, no finding.

*Which ones can still be the best?*  `verdicts`: paired t-tests against the highest mean,

- with the variance of Nadeau & Bengio (2003), ``s**2 (1/n + n_test/n_train)``: the repeats
  share their rows, so the plain ``s**2/n`` is too small and finds differences that are none;
- with ``s**2`` at least ``d (1 - d) / n_test``, the least that counting errors on a test set
  can scatter when the means differ by d: a few repeats that happen to agree are not certainty;
- one-sided, times the number of the others (Bonferroni).  The true best is called worse only
  if at least one of these tests of it against another errs, so it stays among the rest with
  95 % probability, although the one it is compared with was picked by looking at the scores
  (an argument that Holm's step-down, whose levels grow, would break).

Sources: Friedman 1937; Demsar 2006, JMLR 7 (Friedman and Nemenyi for classifiers); Nadeau &
Bengio 2003, Machine Learning 52; Hsu 1984, Annals of Statistics 12 (comparison with the best).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["ALPHA", "GROUPS", "Verdicts", "friedman", "mean_ranks", "nemenyi", "verdicts"]

Array: TypeAlias = npt.NDArray[Any]

ALPHA = 0.05

#: What a configuration may be called, in the order of a report.
GROUPS = ("within", "unsettled", "worse")


@dataclass(frozen=True)
class Verdicts:
    """What `verdicts` finds.

    Attributes
    ----------
    best : int
        The index of the highest mean: what the others were compared with, not a winner.
    p : list of float
        Per configuration, the adjusted p of "no worse than the best"; 1 for the best itself.
    groups : list of str
        Per configuration: "within" (within noise of the best), "unsettled" (it scatters so
        much that its lower mean may be chance; scattered as little as the best it would count
        as worse) or "worse".
    """

    best: int
    p: list[float]
    groups: list[str]


def mean_ranks(scores: Any) -> Array:
    """The mean rank of each configuration, 1 for the highest score; ties share their ranks.

    Parameters
    ----------
    scores : array_like of shape (repeats, configurations)

    Returns
    -------
    ndarray of float64, shape (configurations,)
    """
    from scipy.stats import rankdata

    ranks: Array = rankdata(-_matrix(scores), axis=1).mean(axis=0)
    return ranks


def friedman(scores: Any) -> tuple[float, float]:
    """Friedman's test that all configurations are the same, corrected for ties.

    Parameters
    ----------
    scores : array_like of shape (repeats, configurations)
        At least 2 configurations.

    Returns
    -------
    statistic : float
        Chi-squared with configurations - 1 degrees of freedom, an approximation that errs on
        the cautious side where there are few repeats.
    p : float
        1 if every repeat is one big tie.

    Raises
    ------
    ValueError
        For another shape, or scores that are not finite.

    Source: Friedman 1937, JASA 32; ties as in Conover, Practical Nonparametric Statistics.
    """
    from scipy.stats import chi2, rankdata

    scores = _matrix(scores)
    k = int(scores.shape[1])
    if k < 2:
        raise ValueError("friedman: at least 2 configurations are needed")
    ranks = rankdata(scores, axis=1)
    middle = (k + 1) / 2
    scatter = float(np.sum((ranks - middle) ** 2))
    if scatter == 0:
        return 0.0, 1.0
    statistic = (k - 1) * float(np.sum(np.sum(ranks - middle, axis=0) ** 2)) / scatter
    return statistic, float(chi2.sf(statistic, k - 1))


def nemenyi(configurations: int, repeats: int, alpha: float = ALPHA) -> float:
    """Nemenyi's critical difference: mean ranks closer than this are not told apart.

    Parameters
    ----------
    configurations, repeats : int
        At least 2 configurations, at least 1 repeat.
    alpha : float, default 0.05

    Returns
    -------
    float
        In ranks.

    Source: Demsar 2006, JMLR 7, section 3.2.2.
    """
    from scipy.stats import studentized_range

    k = configurations
    q = float(studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * repeats))


def verdicts(scores: Any, n_train: int, n_test: int, alpha: float = ALPHA) -> Verdicts:
    """Which configurations can still be the best (see the module for the reasoning).

    Parameters
    ----------
    scores : array_like of shape (repeats, configurations)
        Accuracies, 0 to 1; at least 2 repeats.
    n_train, n_test : int
        Rows in each repeat's training and test part.
    alpha : float, default 0.05
        The probability, at most, that the true best is called worse.

    Returns
    -------
    Verdicts

    Raises
    ------
    ValueError
        For another shape, scores that are not finite, a single repeat.
    """
    from scipy.stats import t as student

    scores = _matrix(scores)
    n, k = map(int, scores.shape)
    if n < 2:
        raise ValueError("verdicts: one repeat has no spread; at least 2 are needed")
    means = scores.mean(axis=0).tolist()
    best = means.index(max(means))
    share = 1 / n + n_test / n_train
    others = max(k - 1, 1)

    def adjusted(deficit: float, variance: float) -> float:
        if deficit <= 0:
            return 1.0
        return min(1.0, others * float(student.sf(deficit / math.sqrt(variance * share), n - 1)))

    # two independent runs of the best, at least as noisy as its own errors are countable
    steady = 2 * max(float(scores[:, best].var(ddof=1)), _counting(means[best], n_test))
    p, groups = [], []
    for i in range(k):
        deficit = float(means[best] - means[i])
        least = _counting(deficit, n_test)
        own = max(float(np.var(scores[:, best] - scores[:, i], ddof=1)), least)
        p.append(adjusted(deficit, own))
        if p[-1] < alpha:
            groups.append("worse")
        elif adjusted(deficit, max(steady, least)) < alpha:
            groups.append("unsettled")
        else:
            groups.append("within")
    return Verdicts(best, p, groups)


def _counting(share: float, n: int) -> float:
    """The variance of a share counted on n rows, and at least that of one row."""
    return max(share * (1 - share), 1 / n) / n


def _matrix(scores: Any) -> Array:
    matrix: Array = np.asarray(scores, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"scores must have shape (repeats, configurations), got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("scores must be finite")
    return matrix
