"""Resampling of clusters: what hangs together (images of one object) is drawn together.

Efron and Tibshirani, An Introduction to the Bootstrap, chapters 8 and 13. `bench3d.metrics.intervals` makes intervals
of the draws, and says when none are needed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

Statistic = Literal["mean", "median"]


class Rows(NamedTuple):
    """What a statistic is taken of: values (N,), the clusters they are drawn in, and weights (N,) or None."""

    values: np.ndarray
    clusters: Sequence[str]
    weights: np.ndarray | None = None


_CHUNK = 4_000_000  # numbers held at once
_WINDOW = 8.0  # standard errors around the median in which resampled medians are looked for first


def bootstrap_draws(
    values: np.ndarray,
    clusters: Sequence[str],
    statistic: Statistic,
    rng: np.random.Generator,
    draws: int,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """The statistic of `draws` resamples of whole clusters, with replacement. (N,) -> (draws,), (N, M) -> (draws, M).

    A draw has as many clusters as the data; M models are drawn together. A fraction is the mean of 0/1 values.
    `weights` (N,) makes the mean a weighted one.

    Raises:
        ValueError: for no values, as many values as cluster names do not exist, or a weighted median.
    """
    values, member, count = _checked(values, clusters)
    if statistic == "median":
        if weights is not None:
            raise ValueError("a weighted median is not defined here")
        return _drawn_medians(values, member, count, rng, draws)
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    columns = np.column_stack([values.reshape(len(values), -1) * weight[:, None], weight])
    drawn = resampled_sums(cluster_sums(columns, member, count), rng, draws)
    means = drawn[:, :-1] / drawn[:, -1:]
    return means[:, 0] if values.ndim == 1 else means


def cluster_sums(columns: np.ndarray, member: np.ndarray, count: int) -> np.ndarray:
    """Sums (C, K) over the rows of each cluster, of (N, K) and the cluster's number (N,)."""
    return np.stack([np.bincount(member, weights=column, minlength=count) for column in columns.T], axis=1)


def resampled_sums(sums: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Sums (draws, K) over resampled clusters, of their own sums (C, K)."""
    return np.concatenate([times @ sums for times in resample_counts(len(sums), rng, draws)])


def resample_counts(count: int, rng: np.random.Generator, draws: int) -> Iterator[np.ndarray]:
    """How often each of `count` clusters is drawn: (draws, count) in blocks of rows, float64 for the product.

    Drawing indices and counting them is some times faster than multinomial numbers, which cost a binomial each.
    """
    rows = max(1, _CHUNK // count)
    for start in range(0, draws, rows):
        size = min(rows, draws - start)
        drawn = rng.integers(0, count, (size, count), dtype=np.uint32).astype(np.int64)
        drawn += np.arange(size)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count).astype(np.float64)


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
    """Plain percentile interval of a statistic, resampling clusters. None where there are fewer than two clusters.

    It is too narrow with few clusters: scores take `bench3d.metrics.intervals`.
    """
    if len(set(clusters)) < 2:
        return None
    rng = np.random.default_rng(seed)
    return percentile_interval(bootstrap_draws(values, clusters, statistic, rng, draws, weights), level)


def category_rng(seed: int, category: str) -> np.random.Generator:
    """The stream of a category's resamples."""
    return np.random.default_rng([seed, zlib.crc32(category.encode())])


def _checked(values: np.ndarray, clusters: Sequence[str]) -> tuple[np.ndarray, np.ndarray, int]:
    """The values as float64, the number of each one's cluster (N,), and how many clusters there are."""
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0 or len(values) != len(clusters):
        raise ValueError(f"{len(values)} values and {len(clusters)} clusters cannot be bootstrapped")
    names, member = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    return values, member, len(names)


def _drawn_medians(
    values: np.ndarray, member: np.ndarray, count: int, rng: np.random.Generator, draws: int
) -> np.ndarray:
    columns = values.reshape(len(values), -1)
    order = np.argsort(columns, axis=0, kind="stable")
    found = [
        np.stack([_medians(columns[o, m], member[o], times) for m, o in enumerate(order.T)], axis=1)
        for times in resample_counts(count, rng, draws)
    ]
    medians = np.concatenate(found)
    return medians[:, 0] if values.ndim == 1 else medians


def _medians(ordered: np.ndarray, member: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Medians (D,) of ascending values (N,) whose clusters are repeated `times` (D, C).

    They lie in a window around the median of all but for one draw in 10^15; that one looks at all values.
    """
    size, count = len(ordered), times.shape[1]
    above = np.where(np.arange(size) < size / 2, -0.5, 0.5)
    spread = np.sqrt((np.bincount(member, weights=above, minlength=count) ** 2).sum())
    half = int(_WINDOW * spread) + 8
    start, stop = max(0, size // 2 - half), min(size, size // 2 + half)
    below = times @ np.bincount(member[:start], minlength=count)
    total = times @ np.bincount(member, minlength=count)
    medians = np.empty(len(times))
    rows = max(1, _CHUNK // (stop - start))
    for at in range(0, len(times), rows):
        part = slice(at, at + rows)
        cumulative = np.cumsum(times[part][:, member[start:stop]], axis=1) + below[part, None]
        low = (cumulative > (total[part, None] - 1) // 2).argmax(axis=1)
        high = (cumulative > total[part, None] // 2).argmax(axis=1)
        medians[part] = (ordered[start + low] + ordered[start + high]) / 2.0
        outside = (below[part] > (total[part] - 1) // 2) | (cumulative[:, -1] <= total[part] // 2)
        for row in np.flatnonzero(outside):
            medians[at + row] = np.median(np.repeat(ordered, times[at + row][member].astype(np.int64)))
    return medians
