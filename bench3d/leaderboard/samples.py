"""Sidecars as columns, and the rows that two runs are compared on: the fast twin of `bench3d.runner.rows`.

A board reads thousands of sidecars, so every step here works on whole columns. What it gives is tested to be what
`rows.score_rows` gives.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench3d.contracts import MetricSpec
from bench3d.runner.rows import COMPARISONS


@dataclass(frozen=True)
class Column:
    """Numbers of all samples one after another: `values` (K,), NaN where there is none, and their `sample` (K,)."""

    values: np.ndarray
    sample: np.ndarray


@dataclass
class Columns:
    """The samples of one run, (S,) each; `part_clusters` as `Column` where parts have clusters of their own."""

    ids: list[str]
    categories: list[str]
    clusters: list[str]
    parts: list[Mapping[str, Any] | None]
    samples: Sequence[Mapping[str, Any]]
    _known: dict[str, Column] = field(default_factory=dict)
    _groupings: dict[tuple[str, bool, int], _Grouping] = field(default_factory=dict)

    @classmethod
    def of(cls, samples: Iterable[Mapping[str, Any]]) -> Columns:
        """From the lines of a sidecar. KeyError where a line lacks id, category or cluster."""
        kept = list(samples)
        return cls(
            ids=[str(s["id"]) for s in kept],
            categories=[str(s["category"]) for s in kept],
            clusters=[str(s["cluster"]) for s in kept],
            parts=[s.get("parts") or None for s in kept],
            samples=kept,
        )

    def column(self, key: str) -> Column:
        """The numbers of a key: a column of the parts, else the sample's own number."""
        if key not in self._known:
            self._known[key] = self._read(key)
        return self._known[key]

    def grouping(self, metric: MetricSpec, sample: np.ndarray) -> _Grouping:
        """The rows of a metric all of whose numbers (of these samples) count; metrics alike in that share them."""
        key = (metric.over, metric.reduce == "median", hash(sample.tobytes()))
        if key not in self._groupings:
            self._groupings[key] = _grouping(metric, self, sample, None)
        return self._groupings[key]

    def _read(self, key: str) -> Column:
        if not any(part is not None and part.get(key) is not None for part in self.parts):
            own = [s.get(key) for s in self.samples]
            return Column(np.array([np.nan if v is None else v for v in own], dtype=np.float64), np.arange(len(own)))
        flat: list[Any] = []
        counts = []
        for sample, part in zip(self.samples, self.parts, strict=True):
            column = None if part is None else part.get(key)
            if column is None:
                number = sample.get(key)
                column = () if number is None else (number,)
            flat += column
            counts.append(len(column))
        values = np.array([np.nan if v is None else v for v in flat], dtype=np.float64)
        return Column(values, np.repeat(np.arange(len(counts)), counts))

    def part_clusters(self) -> list[str] | None:
        """The cluster of every part where parts name their own, else None. ValueError where only some samples do."""
        named = [part is not None and part.get("cluster") is not None for part in self.parts]
        if not any(named):
            return None
        if not all(named):
            raise ValueError("some samples name clusters of their parts and others do not")
        return [str(name) for part in self.parts if part is not None for name in part["cluster"]]


@dataclass(frozen=True)
class MetricRows:
    """Rows of one run and metric. `keys` name a row so that another run's row of the same name can be found.

    `values` (N,) are what the statistic is taken of, in the unit of the value (0 or 1 for a fraction); `weights` (N,)
    is the mass of a row. Parts of one sample and cluster are one row: their weighted mean, with their mass (but for a
    median, where every part is a row).
    """

    keys: list[str]
    categories: np.ndarray
    clusters: np.ndarray
    values: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class _Grouping:
    """Which of K numbers make a row: `member` (K,) of N rows, and what the rows are called."""

    member: np.ndarray
    keys: list[str]
    categories: np.ndarray
    clusters: np.ndarray


def metric_rows(metric: MetricSpec, columns: Columns) -> MetricRows:
    """The rows of a metric. ValueError where the weights do not fit the values."""
    measured = columns.column(metric.value)
    values = measured.values
    if metric.reduce in COMPARISONS:
        if metric.threshold is None:
            raise ValueError(f"the metric {metric.name} has no threshold")
        values = np.where(np.isnan(values), np.nan, COMPARISONS[metric.reduce](values, metric.threshold))
    weights = np.ones(len(values))
    if metric.weight is not None:
        weighing = columns.column(metric.weight)
        if not np.array_equal(weighing.sample, measured.sample):
            raise ValueError(f"the metric {metric.name} finds no weights {metric.weight!r}")
        weights = np.nan_to_num(weighing.values)
    kept = ~np.isnan(values) & (weights > 0)
    if kept.all():
        rows = columns.grouping(metric, measured.sample)
    else:
        rows = _grouping(metric, columns, measured.sample, kept)
        values, weights = values[kept], weights[kept]
    count = len(rows.keys)
    mass = np.bincount(rows.member, weights=weights, minlength=count)
    mean = np.bincount(rows.member, weights=weights * values, minlength=count) / np.maximum(mass, 1e-300)
    shown = mass if metric.over == "parts" else np.ones(count)
    return MetricRows(rows.keys, rows.categories, rows.clusters, mean, shown)


def _grouping(metric: MetricSpec, columns: Columns, sample: np.ndarray, kept: np.ndarray | None) -> _Grouping:
    """One row per sample, per sample and cluster, per part or per cluster, as the metric counts them."""
    own = columns.part_clusters()
    named = own is not None and len(own) == len(sample)
    clusters = np.array(own, dtype=object) if named else np.array(columns.clusters, dtype=object)[sample]
    if kept is not None:
        sample, clusters = sample[kept], clusters[kept]
    categories = np.array(columns.categories, dtype=object)[sample]
    ids = np.array(columns.ids, dtype=object)[sample]
    parts = metric.over == "parts"
    if parts and metric.reduce == "median":  # which no mean of parts can stand for
        member = np.arange(len(sample))
    elif metric.over == "clusters":
        member = _numbers(zip(categories, clusters, strict=True))
    elif parts and named:
        member = _numbers(zip(sample.tolist(), clusters, strict=True))
    else:
        member = _groups(sample)[1]
    count = int(member.max()) + 1 if len(member) else 0
    first = np.full(count, len(member))
    np.minimum.at(first, member, np.arange(len(member)))
    shown = clusters if metric.over == "clusters" else ids
    names = [categories[first], shown[first], *([clusters[first]] if parts else [])]
    keys = ["\t".join(name) for name in zip(*names, strict=True)]
    keys = _numbered(keys) if parts and metric.reduce == "median" else keys
    return _Grouping(member, keys, categories[first], clusters[first])


def _numbers(names: Iterable[Hashable]) -> np.ndarray:
    """A number for every name, the same for the same ones, in the order of their first use."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)


def _numbered(keys: list[str]) -> list[str]:
    """Parts of one name told apart by their order."""
    seen: dict[str, int] = {}
    numbered = []
    for key in keys:
        seen[key] = seen.get(key, 0) + 1
        numbered.append(f"{key}\t{seen[key]}")
    return numbered


def _groups(names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found, member = np.unique(names, return_inverse=True)
    return found, np.asarray(member).reshape(-1)
