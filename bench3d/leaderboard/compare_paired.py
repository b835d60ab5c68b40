"""Two runs on the samples that both have: paired differences, and the samples on which they disagree most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.contracts import MetricSpec
from bench3d.errors import DataError
from bench3d.leaderboard.board import MEAN
from bench3d.leaderboard.compare import (
    Change,
    common_metrics,
    measurement_changes,
    metrics_of,
    obstacles,
    provenance_changes,
    task_name,
)
from bench3d.leaderboard.judge import aligned
from bench3d.leaderboard.safety import plain_text
from bench3d.leaderboard.samples import Columns, MetricRows, metric_rows
from bench3d.metrics import Group, Statistic, pairwise
from bench3d.records import Record
from bench3d.records.sidecar import iter_samples, sidecar_of

Samples = dict[tuple[str, str], Mapping[str, Any]]


@dataclass(frozen=True)
class Difference:
    """B minus A in one category (or `MEAN`), on the samples that both have; in the unit of the metric.

    `n` are the rows behind it: samples, parts or clusters, as the metric counts. `interval` (95 %) and `p_value` are
    those of Student's t over the clusters, None with fewer than two.
    """

    category: str
    a: float
    b: float
    n: int
    clusters: int
    interval: tuple[float, float] | None = None
    p_value: float | None = None

    @property
    def difference(self) -> float:
        """B minus A."""
        return self.b - self.a


@dataclass(frozen=True)
class Disagreement:
    """A sample and what both runs have for it: `a`, `b` as the metric's value is written in the sidecar."""

    id: str
    category: str
    a: float
    b: float


@dataclass(frozen=True)
class Comparison:
    """All there is to say about two records.

    Attributes:
        obstacles: why the numbers may not be compared; empty where they may.
        shared, only_a, only_b: samples.
        metrics: with the differences per category, `MEAN` last where there are several.
        left_out: sentences about what could not be compared.
        judged: the metric of `disagreements`, which are the largest first.
    """

    a: Record
    b: Record
    obstacles: Sequence[str]
    measurement: Sequence[Change]
    provenance: Sequence[Change]
    shared: int = 0
    only_a: int = 0
    only_b: int = 0
    metrics: Sequence[tuple[MetricSpec, Sequence[Difference]]] = ()
    left_out: Sequence[str] = ()
    judged: MetricSpec | None = None
    disagreements: Sequence[Disagreement] = field(default=())


def compare_records(a: tuple[Record, Path], b: tuple[Record, Path], *, samples: int = 10) -> Comparison:
    """Compares two records (each with the path of its record.json, beside which the sidecar lies).

    Args:
        samples: how many disagreements are kept.

    Raises:
        DataError: a sidecar is broken; names file and line.
    """
    both = Comparison(
        a[0], b[0], obstacles(a[0], b[0]), measurement_changes(a[0], b[0]), provenance_changes(a[0], b[0])
    )
    if task_name(a[0]) != task_name(b[0]):
        return replace(both, left_out=["Nothing is compared sample by sample: the tasks are different ones."])
    try:
        metrics, reasons = common_metrics(metrics_of(a[0]), metrics_of(b[0]))
        mine, other = _samples(a[1]), _samples(b[1])
    except _NothingToPair as error:
        return replace(both, left_out=[str(error)])
    except DataError as error:
        if "does not say how" not in error.message:
            raise
        return replace(both, left_out=[error.message])
    shared = sorted(mine.keys() & other.keys())
    both = replace(both, shared=len(shared), only_a=len(mine) - len(shared), only_b=len(other) - len(shared))
    if not shared:
        return replace(both, left_out=[*reasons, "They have no sample in common."])
    left = Columns.of(mine[key] for key in shared)
    right = Columns.of({**other[key], "cluster": mine[key]["cluster"]} for key in shared)
    found, failed = _differences(metrics, left, right)
    judged = _judged(a[0], [m for m, _ in found])
    return replace(
        both,
        metrics=found,
        left_out=[*reasons, *failed],
        judged=judged,
        disagreements=_disagreements(judged, left, right)[:samples] if judged is not None else (),
    )


class _NothingToPair(Exception):
    """A run without samples: the records alone can be compared."""


def _samples(path: Path) -> Samples:
    """The samples beside a record by (category, id). DataError where a line is broken."""
    sidecar = sidecar_of(path.parent)
    if sidecar is None:
        raise _NothingToPair(f"{path.parent} has no samples.jsonl: nothing can be paired.")
    found: Samples = {}
    lines = iter_samples(sidecar, max_bytes=None)
    for value in lines:
        parts = value.get("parts")
        if not isinstance(value.get("category"), str) or "cluster" not in value or not isinstance(parts or {}, dict):
            raise DataError(f"{sidecar}, line {lines.lines}: category, cluster or parts are missing or malformed.")
        found[value["category"], value["id"]] = value
    return found


def _differences(
    metrics: Sequence[MetricSpec], left: Columns, right: Columns
) -> tuple[list[tuple[MetricSpec, Sequence[Difference]]], list[str]]:
    found: list[tuple[MetricSpec, Sequence[Difference]]] = []
    failed = []
    for metric in metrics:
        try:
            groups = _paired(metric_rows(metric, left), metric_rows(metric, right))
        except (TypeError, ValueError, AttributeError) as error:
            failed.append(f"{metric.name}: it cannot be computed from the samples ({plain_text(str(error), 200)}).")
            continue
        if groups:
            found.append((metric, _of_metric(metric, groups, left)))
        else:
            failed.append(f"{metric.name}: no shared sample has a value.")
    return found, failed


def _paired(a: MetricRows, b: MetricRows) -> dict[str, Group]:
    """The rows that both have, by category: values (N, 2), the first column A's."""
    found = {}
    for category, group in aligned([a, b]).items():
        both = ~np.isnan(group.values).any(axis=1)
        if both.any():
            clusters = [name for name, kept in zip(group.clusters, both, strict=True) if kept]
            weights = None if group.weights is None else group.weights[both]
            found[category] = Group(group.values[both], clusters, weights)
    return found


def _of_metric(metric: MetricSpec, groups: Mapping[str, Group], columns: Columns) -> list[Difference]:
    """The difference in every category, and over all where there are several."""
    counts = {category: columns.categories.count(category) for category in groups}
    found = [_difference(metric, category, {category: group}, counts) for category, group in groups.items()]
    return [*found, _difference(metric, MEAN, groups, counts)] if len(found) > 1 else found


def _difference(metric: MetricSpec, name: str, groups: Mapping[str, Group], counts: Mapping[str, int]) -> Difference:
    statistic: Statistic = "median" if metric.reduce == "median" else "mean"
    factor = 100.0 if metric.unit == "%" else 1.0
    tested = pairwise(groups, statistic, metric.across, counts)
    a, b = (_score(metric, groups, counts, side) * factor for side in (0, 1))
    low, high, p = (float(m[1, 0]) for m in (tested.low, tested.high, tested.p))
    known = not any(np.isnan(v) for v in (low, high, p))
    return Difference(
        category=name,
        a=a,
        b=b,
        n=sum(len(g.clusters) for g in groups.values()),
        clusters=int(tested.clusters[1, 0]),
        interval=(low * factor, high * factor) if known else None,
        p_value=p if known else None,
    )


def _score(metric: MetricSpec, groups: Mapping[str, Group], counts: Mapping[str, int], side: int) -> float:
    """The score of one run (0: A, 1: B) on the shared rows, as `bench3d.runner.aggregate` computes it."""
    scores, masses = [], []
    for group in groups.values():
        values = group.values[:, side]
        weights = np.ones(len(values)) if group.weights is None else group.weights[:, side]
        scores.append(np.median(values) if metric.reduce == "median" else np.average(values, weights=weights))
        masses.append(weights.sum())
    shares = {"macro": None, "samples": [counts[name] for name in groups], "pooled": masses}[metric.across]
    return float(np.average(scores, weights=shares))


def _judged(record: Record, metrics: Sequence[MetricSpec]) -> MetricSpec | None:
    """The headline, where it could be compared; else the first metric."""
    return next((m for m in metrics if m.name == record.headline), metrics[0] if metrics else None)


def _disagreements(metric: MetricSpec, left: Columns, right: Columns) -> list[Disagreement]:
    """The samples that differ, most first: by the score that they get, then by the value behind it."""
    per_sample = replace(metric, over="samples")
    plain = replace(per_sample, reduce="mean", threshold=None)
    scores = _by_sample(per_sample, left, right)
    found = []
    for key, (a, b) in _by_sample(plain, left, right).items():
        category, _, name = key.partition("\t")
        if a != b:
            gap = abs(np.subtract(*scores[key]))
            found.append((-gap, -abs(a - b), Disagreement(plain_text(name), plain_text(category), a, b)))
    return [d for _, _, d in sorted(found, key=lambda item: (item[0], item[1], item[2].category, item[2].id))]


def _by_sample(metric: MetricSpec, left: Columns, right: Columns) -> dict[str, tuple[float, float]]:
    """Values of A and B of every sample that has one in both, by category and id."""
    mine, other = metric_rows(metric, left), metric_rows(metric, right)
    values = dict(zip(other.keys, other.values.tolist(), strict=True))
    return {k: (v, values[k]) for k, v in zip(mine.keys, mine.values.tolist(), strict=True) if k in values}
