"""Intervals of a score over clusters, that hold the truth as often as they say; measured by benchmarks/calibration.py.

What decides is the effective number of clusters (Kish): (sum of sizes)^2 / sum of squared sizes, across categories one
more than Satterthwaite's degrees of freedom. A hundred clusters of which three hold half of the samples are few.

- A mean or ratio, from 30 effective clusters on: studentised bootstrap over clusters, drawn inside each category (Efron
  and Tibshirani, chapter 12). The percentile interval is too short, and blind to skewed errors.
- A median: percentile bootstrap, its quantiles widened for the number of clusters (Hesterberg, What Teachers Should
  Know about the Bootstrap, 2015, section 4.1).
- Fewer: Student's t on the jackknife over clusters (CR3; Cameron and Miller, 2015, section VI), the degrees of freedom
  those of the effective clusters. A median of one category: Woodruff's interval (1952), across categories its width.
- A fraction, at any number: Wilson's score interval, as many observations as give the jackknife's standard error, and
  Student's quantile (Dean and Pagano, Evaluating Confidence Interval Methods for Binomial Proportions in Clustered
  Surveys, 2015). It stays in [0, 1] and has a width where all are correct: then each effective cluster counts as one
  observation. The bootstrap covers 77 % at p = 0.95 and 30 clusters. Other values that are all the same give no width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from bench3d.metrics.bootstrap import (
    Rows,
    Statistic,
    bootstrap_draws,
    category_rng,
    cluster_sums,
    resampled_sums,
)

Method = Literal["bootstrap", "student-t", "wilson"]
Across = Literal["macro", "samples", "pooled"]
ENOUGH = 30  # effective clusters
_LEAST_SPREAD = 0.2  # of the standard error: draws of nearly equal clusters do not blow up the studentised ratio


@dataclass(frozen=True)
class Interval:
    """Ends of an interval, how it was made, and the number of clusters behind it.

    `method` is "student-t" with fewer than 30 effective clusters, whatever the statistic.
    """

    low: float
    high: float
    method: Method
    clusters: int


class _Part(NamedTuple):
    """Clusters of one category: sums (C,) of weight times value, sums of weights (C,)."""

    sums: np.ndarray
    sizes: np.ndarray


class _Estimate(NamedTuple):
    score: float
    error: float
    freedom: float
    shares: np.ndarray | None  # of categories; None where they are pooled
    effective: float  # clusters


def interval(
    rows: Rows, statistic: Statistic, seed: int, *, draws: int = 2000, level: float = 0.95, fraction: bool = False
) -> Interval | None:
    """The interval of one category's score; None where there are fewer than two clusters.

    `fraction`: the values are 0 or 1, or means of such (in [0, 1]). Deterministic in `seed`.

    Raises:
        ValueError: no values, lengths that differ, or a weighted median.
    """
    return interval_across({"": rows}, statistic, seed, draws=draws, level=level, fraction=fraction)


def interval_across(
    groups: Mapping[str, Rows],
    statistic: Statistic,
    seed: int,
    *,
    across: Across = "macro",
    samples: Mapping[str, int] | None = None,
    draws: int = 2000,
    level: float = 0.95,
    fraction: bool = False,
) -> Interval | None:
    """The interval of the score over categories (name -> rows).

    `macro` is the unweighted mean over categories, `samples` their mean weighted by the fixed numbers `samples`,
    `pooled` the mean of all rows together. None where a category has fewer than two clusters.

    Raises:
        ValueError: as `interval`; a pooled median.
    """
    names = sorted(groups)
    if not names or any(len(set(groups[n].clusters)) < 2 for n in names):
        return None
    if statistic == "median" and (across == "pooled" or any(groups[n].weights is not None for n in names)):
        raise ValueError("a weighted or pooled median is not defined here")
    fixed = [float(samples[n]) for n in names] if across == "samples" and samples is not None else [1.0] * len(names)
    shares = None if across == "pooled" else np.array(fixed) / sum(fixed)
    chosen = {n: groups[n] for n in names}
    if statistic == "median":
        low, high, method = _median_interval(chosen, np.asarray(shares), seed, draws, level)
    else:
        low, high, method = _mean_interval(chosen, shares, seed, draws, level, fraction)
    return Interval(low, high, method, sum(len(set(rows.clusters)) for rows in chosen.values()))


def _mean_interval(
    groups: Mapping[str, Rows], shares: np.ndarray | None, seed: int, draws: int, level: float, fraction: bool
) -> tuple[float, float, Method]:
    parts = [_part(rows) for rows in groups.values()]
    found = _estimate(parts, shares)
    few = found.freedom + 1 < ENOUGH - 1e-6
    quantile = float(stats.t.ppf(0.5 + level / 2, found.freedom))
    if fraction:
        return *_wilson(found, quantile), "student-t" if few else "wilson"
    if few or found.error == 0:
        return found.score - quantile * found.error, found.score + quantile * found.error, _named(few)
    low, high = _studentised(parts, shares, [category_rng(seed, name) for name in groups], draws, level)
    return low, high, "bootstrap"


def _named(few: bool) -> Method:
    return "student-t" if few else "bootstrap"


def _part(rows: Rows) -> _Part:
    values = np.asarray(rows.values, dtype=np.float64)
    if values.size == 0 or len(values) != len(rows.clusters):
        raise ValueError(f"{values.size} values and {len(rows.clusters)} clusters have no interval")
    weights = np.ones(len(values)) if rows.weights is None else np.asarray(rows.weights, dtype=np.float64)
    names, member = np.unique(np.asarray(rows.clusters, dtype=str), return_inverse=True)
    sums = cluster_sums(np.column_stack([values * weights, weights]), member, len(names))
    return _Part(sums[:, 0], sums[:, 1])


def _effective(sizes: np.ndarray) -> float:
    """Kish's effective number of clusters, at least a little above one."""
    return max(float(sizes.sum() ** 2 / (sizes**2).sum()), 1.05)


def _satterthwaite(variances: Sequence[float], freedoms: Sequence[float]) -> float:
    total = sum(variances)
    if total <= 0:
        return float(sum(freedoms))
    return float(total**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True)))


def _estimate(parts: Sequence[_Part], shares: np.ndarray | None) -> _Estimate:
    """The score with the jackknife's standard error over clusters."""
    mass = sum(float(p.sizes.sum()) for p in parts)
    scores = [float(p.sums.sum() / p.sizes.sum()) for p in parts]
    pooled = sum(float(p.sums.sum()) for p in parts) / mass
    score = pooled if shares is None else float(shares @ np.array(scores))
    variances = []
    for at, part in enumerate(parts):
        own = pooled if shares is None else scores[at]
        whole = part.sizes.sum()
        # A category that loses a cluster is weighed up to its size, so that pooled ones keep their proportions.
        moved = (part.sums - own * part.sizes) / (whole - part.sizes) * (whole / mass if shares is None else 1.0)
        count = len(moved)
        factor = 1.0 if shares is None else shares[at] ** 2
        centred = moved - moved.mean() if shares is None else moved
        variances.append(float(factor * (count - 1) / count * (centred**2).sum()))
    effective = [_effective(p.sizes) for p in parts]
    weight = np.array([p.sizes.sum() / mass for p in parts]) if shares is None else shares
    error = float(np.sqrt(sum(variances)))
    error = 0.0 if error < 1e-12 * max(abs(score), 1e-300) else error
    freedom = _satterthwaite(variances if error else [0.0], [e - 1 for e in effective])
    return _Estimate(score, error, freedom, shares, float(1 / (weight**2 / np.array(effective)).sum()))


def _wilson(found: _Estimate, quantile: float) -> tuple[float, float]:
    p = min(max(found.score, 0.0), 1.0)
    n = p * (1 - p) / found.error**2 if found.error > 0 and 0 < p < 1 else found.effective
    scale = 1 + quantile**2 / n
    centre = (p + quantile**2 / (2 * n)) / scale
    half = quantile * np.sqrt(p * (1 - p) / n + quantile**2 / (4 * n**2)) / scale
    return max(float(centre - half), 0.0) if p > 0 else 0.0, min(float(centre + half), 1.0) if p < 1 else 1.0


def _studentised(
    parts: Sequence[_Part], shares: np.ndarray | None, streams: Sequence[np.random.Generator], draws: int, level: float
) -> tuple[float, float]:
    columns = [np.column_stack([p.sums, p.sizes, p.sums**2, p.sums * p.sizes, p.sizes**2]) for p in parts]
    counts = [len(p.sums) for p in parts]
    score, error = (float(v[0]) for v in _score_and_error([c.sum(axis=0)[None] for c in columns], counts, shares))
    drawn = [resampled_sums(c, rng, draws) for c, rng in zip(columns, streams, strict=True)]
    scores, errors = _score_and_error(drawn, counts, shares)
    ratios = (scores - score) / np.maximum(errors, _LEAST_SPREAD * error)
    tail = (1.0 - level) / 2.0
    below, above = np.quantile(ratios, [tail, 1.0 - tail])
    return float(score - above * error), float(score - below * error)


def _score_and_error(
    totals: Sequence[np.ndarray], counts: Sequence[int], shares: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (D,) and linearised standard errors (D,) of the totals (D, 5) of each category: S, W, S^2, SW, W^2."""
    pooled = sum(t[:, 0] for t in totals) / sum(t[:, 1] for t in totals)
    mass = sum(t[:, 1] for t in totals)
    score, variance = np.zeros(len(totals[0])), np.zeros(len(totals[0]))
    for at, (total, count) in enumerate(zip(totals, counts, strict=True)):
        s, w, ss, sw, ww = total.T
        own = pooled if shares is None else s / w
        spread = ss - 2 * own * sw + own**2 * ww - (s - own * w) ** 2 / count
        share = 1.0 if shares is None else shares[at]
        score = score + share * own
        variance = (
            variance + share**2 * count / (count - 1) * np.maximum(spread, 0) / (mass if shares is None else w) ** 2
        )
    return np.asarray(pooled if shares is None else score), np.sqrt(variance)


def _median_interval(
    groups: Mapping[str, Rows], shares: np.ndarray, seed: int, draws: int, level: float
) -> tuple[float, float, Method]:
    medians, widths, freedoms, ends = [], [], [], []
    for rows, share in zip(groups.values(), shares, strict=True):
        low, high, freedom = _woodruff(rows, level)
        quantile = stats.t.ppf(0.5 + level / 2, freedom)
        medians.append(share * float(np.median(rows.values)))
        widths.append(float(share * (high - low) / (2 * quantile)) ** 2)
        freedoms.append(freedom)
        ends.append((low, high))
    freedom = _satterthwaite(widths, freedoms)
    quantile = float(stats.t.ppf(0.5 + level / 2, freedom))
    if freedom + 1 < ENOUGH - 1e-6:
        half = quantile * float(np.sqrt(sum(widths)))
        if len(ends) == 1:
            return *ends[0], "student-t"
        return sum(medians) - half, sum(medians) + half, "student-t"
    drawn = sum(
        share * bootstrap_draws(rows.values, rows.clusters, "median", category_rng(seed, name), draws)
        for share, (name, rows) in zip(shares, groups.items(), strict=True)
    )
    tail = float(stats.norm.cdf(-quantile * np.sqrt((freedom + 1) / freedom)))
    low, high = np.quantile(np.asarray(drawn), [tail, 1 - tail])
    return float(low), float(high), "bootstrap"


def _woodruff(rows: Rows, level: float) -> tuple[float, float, float]:
    """Ends of the interval of a median, and its degrees of freedom: the quantiles between which one half lies."""
    values = np.asarray(rows.values, dtype=np.float64)
    signs = np.sign(values - np.median(values)) / 2 + 0.5
    found = _estimate([_part(Rows(signs, rows.clusters))], np.ones(1))
    half = min(float(stats.t.ppf(0.5 + level / 2, found.freedom)) * found.error, 0.5)
    low, high = np.quantile(values, [0.5 - half, 0.5 + half])
    return float(low), float(high), found.freedom
