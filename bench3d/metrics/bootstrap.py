"""Percentile bootstrap over clusters: what hangs together (images of one object) is drawn together.

Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13 (percentile interval) and 8.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

Statistic = Literal["mean", "median"]


class Rows(NamedTuple):
    """What a statistic is taken of: values (N,), the clusters they are drawn in, and weights (N,) or None."""

    values: np.ndarray
    clusters: Sequence[str]
    weights: np.ndarray | None = None


_CHUNK = 4_000_000  # weights held at once while medians are taken


def bootstrap_draws(
    values: np.ndarray,
    clusters: Sequence[str],
    statistic: Statistic,
    rng: np.random.Generator,
    draws: int,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """The statistic of `draws` resamples of whole clusters, with replacement. (N,), N names -> (draws,).

    A draw has as many clusters as the data. A fraction is the mean of 0/1 values. `weights` (N,) makes the mean a
    weighted one.

    Raises:
        ValueError: for no values, as many values as cluster names do not exist, or a weighted median.
    """
    if statistic == "mean":
        numerator, denominator = ratio_draws(values, clusters, rng, draws, weights)
        return numerator / denominator
    if weights is not None:
        raise ValueError("a weighted median is not defined here")
    values, times = _cluster_counts(values, clusters, rng, draws)
    _, member = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    order = np.argsort(values, kind="stable")
    rows = max(1, _CHUNK // len(values))
    parts = [_weighted_median(values[order], times[at : at + rows][:, member[order]]) for at in range(0, draws, rows)]
    return np.concatenate(parts)


def ratio_draws(
    values: np.ndarray, clusters: Sequence[str], rng: np.random.Generator, draws: int, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Numerators and denominators (draws,) of the weighted mean of resampled clusters; see `bootstrap_draws`."""
    values, times = _cluster_counts(values, clusters, rng, draws)
    _, member = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    sums = np.bincount(member, weights=values * weight, minlength=times.shape[1])
    sizes = np.bincount(member, weights=weight, minlength=times.shape[1])
    return times @ sums, times @ sizes


def _cluster_counts(
    values: np.ndarray, clusters: Sequence[str], rng: np.random.Generator, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """The values as float64 and how often each cluster is drawn, (draws, C)."""
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0 or len(values) != len(clusters):
        raise ValueError(f"{values.size} values and {len(clusters)} clusters cannot be bootstrapped")
    count = len(np.unique(np.asarray(clusters, dtype=str)))
    return values, rng.multinomial(count, np.full(count, 1.0 / count), size=draws)


def percentile_interval(draws: np.ndarray, level: float) -> tuple[float, float]:
    """The central `level` part of the draws: (low, high)."""
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    return float(low), float(high)


def cluster_bootstrap(
    values: np.ndarray,
    clusters: Sequence[str],
    statistic: Statistic,
    seed: int,
    draws: int = 2000,
    level: float = 0.95,
    weights: np.ndarray | None = None,
) -> tuple[float, float] | None:
    """Percentile interval of a statistic, resampling clusters. None where there are fewer than two clusters.

    Where every value is the same (all correct), the interval has no width: the percentile method cannot say more.
    """
    if len(set(clusters)) < 2:
        return None
    rng = np.random.default_rng(seed)
    return percentile_interval(bootstrap_draws(values, clusters, statistic, rng, draws, weights), level)


def across_bootstrap(
    groups: Mapping[str, Rows],
    statistic: Statistic,
    seed: int,
    draws: int = 2000,
    level: float = 0.95,
    across: Literal["macro", "samples", "pooled"] = "macro",
    samples: Mapping[str, int] | None = None,
) -> tuple[float, float] | None:
    """Interval of the score over all categories (name -> rows), drawn inside each category.

    `macro` is the unweighted mean over categories, `samples` their mean weighted by the fixed numbers `samples`,
    `pooled` the mean of all rows together. None where a category has fewer than two clusters.
    """
    if not groups or any(len(set(rows.clusters)) < 2 for rows in groups.values()):
        return None
    names = sorted(groups)
    if across == "pooled":
        parts = [
            ratio_draws(groups[n].values, groups[n].clusters, category_rng(seed, n), draws, groups[n].weights)
            for n in names
        ]
        drawn = np.sum([p[0] for p in parts], axis=0) / np.sum([p[1] for p in parts], axis=0)
    else:
        per_category = [
            bootstrap_draws(
                groups[n].values, groups[n].clusters, statistic, category_rng(seed, n), draws, groups[n].weights
            )
            for n in names
        ]
        share = None if across == "macro" or samples is None else [samples[n] for n in names]
        drawn = np.average(per_category, axis=0, weights=share)
    return percentile_interval(drawn, level)


def category_rng(seed: int, category: str) -> np.random.Generator:
    """The stream of a category's resamples."""
    return np.random.default_rng([seed, zlib.crc32(category.encode())])


def _weighted_median(ordered: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Medians of ascending values (N,) repeated by integer weights (D, N) -> (D,); even counts average two."""
    cumulative = np.cumsum(weights, axis=1)
    total = cumulative[:, -1:]
    low = (cumulative > (total - 1) // 2).argmax(axis=1)
    high = (cumulative > total // 2).argmax(axis=1)
    return (ordered[low] + ordered[high]) / 2.0
