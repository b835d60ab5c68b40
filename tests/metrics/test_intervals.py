"""Intervals over clusters: hand-worked ones, their properties, and how often they hold the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench3d.metrics import Rows, bootstrap_draws, interval, interval_across


def names(count, size=1):
    return [f"{i:04d}" for i in range(count) for _ in range(size)]


def test_few_clusters_of_one_size_give_the_textbook_t_interval():
    means = np.array([3.0, 5.0, 4.0, 8.0])
    found = interval(Rows(np.repeat(means, 3), names(4, 3)), "mean", 0)
    low, high = stats.t.interval(0.95, 3, loc=5.0, scale=stats.sem(means))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.method, found.clusters) == ("student-t", 4)


def test_unequal_clusters_by_hand():
    """Sizes 1 and 3 of values 0 and 2: mean 1.5; leaving one out gives 2 and 0; 16/10 effective clusters."""
    found = interval(Rows(np.array([0.0, 2.0, 2.0, 2.0]), ["a", "b", "b", "b"]), "mean", 0)
    half = stats.t.ppf(0.975, 0.6) * np.sqrt(0.5 * (0.5**2 + 1.5**2))
    assert (found.low, found.high) == pytest.approx((1.5 - half, 1.5 + half))


def test_a_hundred_clusters_of_which_one_holds_nearly_all_are_few():
    values = np.random.default_rng(0).standard_normal(1099)
    assert interval(Rows(values, names(99) + ["big"] * 1000), "mean", 0).method == "student-t"
    assert interval(Rows(values[:100], names(100)), "mean", 0).method == "bootstrap"
    assert interval(Rows(values[:29], names(29)), "mean", 0).method == "student-t"
    assert interval(Rows(values[:30], names(30)), "mean", 0).method == "bootstrap"


def test_wilson_by_hand_and_where_all_are_equal():
    """27 of 30: score interval with the t quantile of 29 degrees and 29 observations (30 - 1 of the standard error)."""
    hits = np.r_[np.ones(27), np.zeros(3)]
    found = interval(Rows(hits, names(30)), "mean", 0, fraction=True)
    for end in (found.low, found.high):
        assert abs(0.9 - end) / np.sqrt(end * (1 - end) / 29) == pytest.approx(stats.t.ppf(0.975, 29))
    assert found.method == "wilson"
    none = interval(Rows(np.zeros(30), names(30)), "mean", 0, fraction=True)
    assert none.low == 0.0 and 0.1 < none.high < 0.13  # the rule of three says 0.1 one-sided
    same = interval(Rows(np.full(40, 7.0), names(40)), "mean", 0)
    assert (same.low, same.high) == (7.0, 7.0)


def test_the_median_of_few_has_woodruffs_interval():
    """Nine values: the fraction below the median has standard error 1/6 (four 0, four 1, one a half, over 9 - 1)."""
    values = np.arange(9.0) ** 2
    found = interval(Rows(values, names(9)), "median", 0)
    half = stats.t.ppf(0.975, 8) / 6
    low, high = np.quantile(values, [0.5 - half, 0.5 + half])
    assert (found.low, found.high, found.method) == pytest.approx((low, high, "student-t"))


def test_ways_across_categories_by_hand():
    """Means 1 and 4 with standard errors 1 and 0.5 of two clusters each."""
    groups = {"bus": Rows(np.array([0.0, 2.0]), ["a", "b"]), "car": Rows(np.array([3.5, 4.5]), ["a", "b"])}
    for across, share in (("macro", 0.5), ("samples", 0.75)):
        found = interval_across(groups, "mean", 0, across=across, samples={"bus": 3, "car": 1})
        parts = np.array([share * 1.0, (1 - share) * 0.5]) ** 2
        freedom = parts.sum() ** 2 / (parts**2).sum()
        middle = share * 1 + (1 - share) * 4
        half = stats.t.ppf(0.975, freedom) * np.sqrt(parts.sum())
        assert (found.low, found.high) == pytest.approx((middle - half, middle + half))
        assert found.clusters == 4
    pooled = interval_across(groups, "mean", 0, across="pooled")
    # Pooled mean 2.5: around their own means the clusters lie 1 and 0.5 away, each twice, over a mass of 4.
    parts = np.array([2.0**2, 1.0**2]) / 16
    half = stats.t.ppf(0.975, parts.sum() ** 2 / (parts**2).sum()) * np.sqrt(parts.sum())
    assert (pooled.low, pooled.high) == pytest.approx((2.5 - half, 2.5 + half))
    assert interval_across({**groups, "tv": Rows(np.ones(2), ["a", "a"])}, "mean", 0) is None


@given(st.integers(0, 2**32 - 1), st.sampled_from(["macro", "samples", "pooled"]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_units_order_and_seed(seed: int, across: str, fraction: bool):
    rng = np.random.default_rng(seed)

    def rows(scale=1.0, shift=0.0, order=None):
        source = np.random.default_rng(seed)
        made = {}
        for name in ("bus", "car"):
            values = source.random(80) < 0.7 if fraction else source.random(80)
            clusters, weights = np.array(names(40, 2)), source.integers(1, 5, 80).astype(float)
            pick = np.arange(80) if order is None else order
            made[name] = Rows((values * scale + shift)[pick], clusters[pick].tolist(), weights[pick])
        return made

    options = {"across": across, "samples": {"bus": 3, "car": 1}, "draws": 300, "fraction": fraction}
    found = interval_across(rows(), "mean", 5, **options)
    moved = interval_across(rows(order=rng.permutation(80)), "mean", 5, **options)
    turned = interval_across(dict(reversed(rows().items())), "mean", 5, **options)
    assert (moved.low, moved.high) == pytest.approx((found.low, found.high), rel=1e-9)
    assert turned == found
    if fraction:
        mirrored = interval_across(rows(-1.0, 1.0), "mean", 5, **options)
        assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((found.low, found.high))
    else:
        scaled = interval_across(rows(3.0, 2.0), "mean", 5, **options)
        assert (scaled.low, scaled.high) == pytest.approx((3 * found.low + 2, 3 * found.high + 2))


def test_what_has_no_interval():
    for statistic, across, weights in (("median", "pooled", None), ("median", "macro", np.ones(4))):
        with pytest.raises(ValueError, match="median"):
            interval_across({"c": Rows(np.arange(4.0), names(4), weights)}, statistic, 0, across=across)
    assert interval(Rows(np.arange(4.0), ["one"] * 4), "mean", 0) is None
    assert interval_across({}, "mean", 0) is None


def covering(draw, truth, statistic="mean", fraction=False, repeats=600):
    rng = np.random.default_rng(11)
    hit = 0
    for trial in range(repeats):
        values, clusters = draw(rng)
        found = interval(Rows(values, clusters), statistic, trial, draws=600, fraction=fraction)
        hit += found.low <= truth <= found.high
    return hit / repeats


def shared(count, size, rng):
    return np.repeat(rng.standard_normal(count), size) * 0.55 + rng.standard_normal(count * size) * 0.835


@pytest.mark.parametrize(
    ("draw", "truth", "statistic", "fraction"),
    [
        (lambda rng: (shared(30, 5, rng), names(30, 5)), 0.0, "mean", False),
        (lambda rng: (np.exp(0.5 * shared(30, 5, rng)), names(30, 5)), float(np.exp(0.125)), "mean", False),
        (lambda rng: (np.exp(shared(40, 2, rng)), names(40, 2)), 1.0, "median", False),
        (lambda rng: ((rng.random(40) < 0.8).astype(float), names(40)), 0.8, "mean", True),
        (lambda rng: (shared(8, 5, rng), names(8, 5)), 0.0, "mean", False),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(draw, truth, statistic, fraction):
    """93 to 97 % give or take three standard errors of 600 repeats; plain percentile intervals of eight hold 86 %."""
    assert 0.93 - 0.027 < covering(draw, truth, statistic, fraction) < 0.97 + 0.02


def test_the_percentile_interval_would_fail_that_test():
    rng = np.random.default_rng(11)
    hit = 0
    for _ in range(600):
        drawn = bootstrap_draws(rng.standard_normal(8), names(8), "mean", rng, 600)
        low, high = np.quantile(drawn, [0.025, 0.975])
        hit += low <= 0 <= high
    assert hit / 600 < 0.90
