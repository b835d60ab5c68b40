"""Spearman's rho against scipy and hand-worked permutations; how often its interval holds the truth."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from bench3d.metrics import spearman


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=40))
@settings(max_examples=50, deadline=None)
def test_rho_and_p_are_scipys_with_ties(points):
    x, y = np.array(points, dtype=float).T
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    found, expected = spearman(x, y), stats.spearmanr(x, y)
    assert found.rho == pytest.approx(expected.statistic)
    assert found.n == len(points)
    if len(points) > 8 and abs(found.rho) < 0.99:
        assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    assert found.interval[0] <= found.rho <= found.interval[1]
    assert -1 <= found.interval[0] < found.interval[1] <= 1
    turned = spearman(x, -y)
    assert (turned.rho, turned.p) == pytest.approx((-found.rho, found.p))
    assert turned.interval == pytest.approx((-found.interval[1], -found.interval[0]))


def test_small_p_values_count_orders():
    """Of 24 orders of four, two are as extreme as the perfect one; of 120 of five, ten as 1 - 6 * 2 / 120 = 0.9."""
    assert spearman([1, 2, 3, 4], [10, 20, 30, 40]).p == pytest.approx(2 / 24)
    nearly = spearman([1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
    assert (nearly.rho, nearly.p) == pytest.approx((0.9, 10 / 120))
    assert spearman(np.arange(10), np.arange(10) ** 3).p > 0


def test_what_has_no_correlation():
    assert spearman([1, 1, 1, 1], [1, 2, 3, 4]) == (None, None, None, 4)
    assert spearman([1, 2, 3], [3, 1, 2]) == (pytest.approx(-0.5), None, None, 3)
    assert spearman([], []) == (None, None, None, 0)
    assert spearman([1, np.nan, 2, 3, 4], [1, 9, 2, 3, 4]).n == 4
    with pytest.raises(ValueError, match="correlated"):
        spearman([1, 2], [1])


@pytest.mark.parametrize(("rho", "n"), [(0.0, 6), (0.5, 10), (0.9, 20)])
def test_the_interval_holds_the_truth(rho, n):
    rng = np.random.default_rng(n)
    pearson = 2 * np.sin(np.pi * rho / 6)
    hit = 0
    for _ in range(600):
        x = rng.standard_normal(n)
        low, high = spearman(x, pearson * x + np.sqrt(1 - pearson**2) * rng.standard_normal(n)).interval
        hit += low <= rho <= high
    assert hit / 600 > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 600)
