"""Percentile bootstrap over clusters: what hangs together (images of one object) is drawn together.

Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13 (percentile interval) and 8.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

Statistic = Literal["mean", "median"]
_CHUNK = 4_000_000  # weights held at once while medians are taken


def bootstrap_draws(
    values: np.ndarray, clusters: Sequence[str], statistic: Statistic, rng: np.random.Generator, draws: int
) -> np.ndarray:
    """The statistic of `draws` resamples of whole clusters, with replacement. (N,), N names -> (draws,).

    A draw has as many clusters as the data. A fraction is the mean of 0/1 values.

    Raises:
        ValueError: for no values, or as many values as cluster names do not exist.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0 or len(values) != len(clusters):
        raise ValueError(f"{values.size} values and {len(clusters)} clusters cannot be bootstrapped")
    _, member = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    count = int(member.max()) + 1
    weights = rng.multinomial(count, np.full(count, 1.0 / count), size=draws)
    if statistic == "mean":
        sums = np.bincount(member, weights=values, minlength=count)
        sizes = np.bincount(member, minlength=count)
        return (weights @ sums) / (weights @ sizes)
    order = np.argsort(values, kind="stable")
    rows = max(1, _CHUNK // len(values))
    parts = [_weighted_median(values[order], weights[at : at + rows][:, member[order]]) for at in range(0, draws, rows)]
    return np.concatenate(parts)


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
) -> tuple[float, float] | None:
    """Percentile interval of a statistic, resampling clusters. None where there are fewer than two clusters.

    Where every value is the same (all correct), the interval has no width: the percentile method cannot say more.
    """
    if len(set(clusters)) < 2:
        return None
    return percentile_interval(bootstrap_draws(values, clusters, statistic, np.random.default_rng(seed), draws), level)


def macro_bootstrap(
    groups: Mapping[str, tuple[np.ndarray, Sequence[str]]],
    statistic: Statistic,
    seed: int,
    draws: int = 2000,
    level: float = 0.95,
) -> tuple[float, float] | None:
    """Interval of the unweighted mean over categories (name -> values (N,), N clusters), drawn inside each category.

    The stream of a category depends on the seed and its name only. None where a category has fewer than two clusters.
    """
    if not groups or any(len(set(clusters)) < 2 for _, clusters in groups.values()):
        return None
    per_category = [
        bootstrap_draws(values, clusters, statistic, np.random.default_rng([seed, zlib.crc32(name.encode())]), draws)
        for name, (values, clusters) in sorted(groups.items())
    ]
    return percentile_interval(np.mean(per_category, axis=0), level)


def _weighted_median(ordered: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Medians of ascending values (N,) repeated by integer weights (D, N) -> (D,); even counts average two."""
    cumulative = np.cumsum(weights, axis=1)
    total = cumulative[:, -1:]
    low = (cumulative > (total - 1) // 2).argmax(axis=1)
    high = (cumulative > total // 2).argmax(axis=1)
    return (ordered[low] + ordered[high]) / 2.0
