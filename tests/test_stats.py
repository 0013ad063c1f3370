"""The statistics against SciPy, textbook values and simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cact._stats import friedman, mean_ranks, nemenyi, verdicts


def test_mean_ranks() -> None:
    assert mean_ranks([[0.9, 0.8, 0.9], [0.7, 0.6, 0.5]]).tolist() == [1.25, 2.5, 2.25]


@pytest.mark.parametrize("shape", [(5, 14), (2, 3), (14, 4)])
@pytest.mark.parametrize("decimals", [1, 8])
def test_friedman_is_scipys(shape: tuple[int, int], decimals: int) -> None:
    scores = np.random.default_rng(0).random(shape).round(decimals)  # one decimal: many ties
    theirs = stats.friedmanchisquare(*scores.T)
    assert friedman(scores) == pytest.approx((theirs.statistic, theirs.pvalue))


def test_friedman_of_two_is_the_sign_test() -> None:
    """5 wins of 5: chi-squared = (5 - 0)^2 / 5."""
    statistic, p = friedman(np.array([[0.1, 0.2]] * 5))
    assert statistic == pytest.approx(5)
    assert p == pytest.approx(stats.chi2.sf(5, 1))


def test_friedman_of_ties() -> None:
    assert friedman(np.ones((5, 3))) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (8, 3.031), (10, 3.164)]
)
def test_nemenyi_of_the_textbook(k: int, q: float) -> None:
    """Demsar 2006, table 5."""
    assert nemenyi(k, 14) == pytest.approx(q * math.sqrt(k * (k + 1) / 84), rel=3e-4)


def test_verdicts_are_paired_t_tests_where_rows_are_plenty() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal([0.9, 0.88, 0.85], 0.02, (6, 3))
    found = verdicts(scores, n_train=10**15, n_test=10**9)
    assert found.best == 0
    for i in (1, 2):
        p = stats.ttest_rel(scores[:, 0], scores[:, i], alternative="greater").pvalue
        assert found.p[i] == pytest.approx(min(1, 2 * p), rel=1e-3)


def test_verdicts_correct_for_shared_rows() -> None:
    """t is smaller by sqrt(1 + n n_test/n_train): Nadeau & Bengio."""
    scores = np.random.default_rng(2).normal([0.9, 0.7], 0.03, (5, 2))
    plain = stats.ttest_rel(scores[:, 0], scores[:, 1]).statistic
    p = verdicts(scores, n_train=3 * 10**9, n_test=10**9).p[1]
    assert p == pytest.approx(stats.t.sf(plain / math.sqrt(1 + 5 / 3), 4), rel=1e-3)


def test_agreement_of_few_repeats_is_not_certainty() -> None:
    """One error of 38 more, the same in both repeats: no scatter at all, but no difference either."""
    scores = np.array([[1.0, 1 - 1 / 38]] * 2)
    found = verdicts(scores, n_train=112, n_test=38)
    assert found.groups == ["within", "within"]
    assert found.p[1] > 0.1


def test_all_equal() -> None:
    found = verdicts(np.full((5, 4), 0.9), 300, 100)
    assert found.groups == ["within"] * 4
    assert found.p == [1.0] * 4


def test_groups() -> None:
    noise = np.random.default_rng(3).normal(0, 0.005, (5, 4))
    scores = np.array([0.97, 0.965, 0.7, 0.1]) + noise
    scores[:, 2] = [0.96, 0.95, 0.1, 0.94, 0.6]
    assert verdicts(scores, 1347, 450).groups == ["within", "within", "unsettled", "worse"]


def test_the_true_best_is_rarely_called_worse() -> None:
    """14 equal configurations, where calling the first one worse is an error: at most 5 %."""
    rng = np.random.default_rng(4)
    trials, errors = 300, 0
    for _ in range(trials):
        scores = rng.normal(0.95, 0.01, (5, 14))
        errors += verdicts(scores, n_train=10**15, n_test=10**9).groups[0] == "worse"
    assert errors / trials <= 0.05


def test_errors() -> None:
    with pytest.raises(ValueError, match="one repeat has no spread"):
        verdicts([[0.5, 0.6]], 10, 5)
    with pytest.raises(ValueError, match=r"shape \(repeats, configurations\), got \(3,\)"):
        friedman([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="finite"):
        friedman([[1.0, math.nan]])
    with pytest.raises(ValueError, match="at least 2 configurations"):
        friedman([[1.0], [2.0]])
