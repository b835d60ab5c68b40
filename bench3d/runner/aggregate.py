"""From per-sample values to scores, groups and chance levels, as the task's MetricSpecs say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench3d.contracts import MetricSpec
from bench3d.errors import PluginError
from bench3d.metrics import Statistic, cluster_bootstrap, macro_average, macro_bootstrap
from bench3d.records import BootstrapNote, ChanceLevel, GroupScore, Score

MEAN = "mean"
DRAWS = 2000
LEVEL = 0.95
Values = Sequence[Mapping[str, Any]]


def bootstrap_note(seed: int) -> BootstrapNote:
    """How the intervals of `scores` and `groups` are made."""
    return BootstrapNote(draws=DRAWS, level=LEVEL, seed=seed)


def by_category(values: Values) -> dict[str, list[Mapping[str, Any]]]:
    """Values by category, categories sorted."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for value in values:
        found.setdefault(str(value["category"]), []).append(value)
    return dict(sorted(found.items()))


def scores(metrics: Sequence[MetricSpec], values: Values, seed: int) -> list[Score]:
    """One score per metric and category, and the unweighted mean over categories. A metric without values is absent."""
    found = []
    for metric in metrics:
        per_category: dict[str, float] = {}
        kept: dict[str, tuple[np.ndarray, list[str]]] = {}
        for category, mine in by_category(values).items():
            numbers, clusters = _numbers(metric, mine)
            if len(numbers) == 0:
                continue
            kept[category] = (numbers, clusters)
            per_category[category] = _reduce(metric, numbers)
            interval = cluster_bootstrap(numbers, clusters, _statistic(metric), seed, DRAWS, LEVEL)
            found.append(_score(metric, category, per_category[category], interval, len(numbers)))
        if per_category:
            interval = macro_bootstrap(kept, _statistic(metric), seed, DRAWS, LEVEL)
            total = sum(len(numbers) for numbers, _ in kept.values())
            found.append(_score(metric, MEAN, macro_average(per_category), interval, total))
    return found


def groups(metrics: Sequence[MetricSpec], values: Values, seed: int) -> list[GroupScore]:
    """One score per metric, category and bin of the values' `groups`."""
    found = []
    for category, mine in by_category(values).items():
        bins: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for value in mine:
            for by, name in (value.get("groups") or {}).items():
                bins.setdefault((by, str(name)), []).append(value)
        for (by, name), members in sorted(bins.items()):
            for metric in metrics:
                numbers, clusters = _numbers(metric, members)
                if len(numbers) == 0:
                    continue
                interval = cluster_bootstrap(numbers, clusters, _statistic(metric), seed, DRAWS, LEVEL)
                score = _score(metric, category, _reduce(metric, numbers), interval, len(numbers))
                found.append(
                    GroupScore(
                        metric=metric.name,
                        category=category,
                        by=by,
                        bin=name,
                        value=score.value,
                        unit=score.unit,
                        n=score.n,
                        interval=score.interval,
                    )
                )
    return found


def chance_levels(metrics: Sequence[MetricSpec], values: Values) -> list[ChanceLevel]:
    """Chance per metric, name and category, and the unweighted mean over categories."""
    found = []
    for metric in metrics:
        for name, key in (metric.chance or {}).items():
            per_category: dict[str, float] = {}
            counts: dict[str, int] = {}
            for category, mine in by_category(values).items():
                numbers = np.array([v[key] for v in mine if v.get(key) is not None], dtype=np.float64)
                if len(numbers) == 0:
                    continue
                value = float(np.median(numbers)) if metric.reduce == "median" else float(numbers.mean())
                per_category[category], counts[category] = value * _factor(metric), len(numbers)
            if per_category:
                rows = {**per_category, MEAN: macro_average(per_category)}
                counts[MEAN] = sum(counts.values())
                found += [
                    ChanceLevel(metric=metric.name, name=name, category=c, value=v, unit=metric.unit, n=counts[c])
                    for c, v in rows.items()
                ]
    return found


def mean_seconds(values: Values) -> dict[str, float]:
    """Mean seconds per image of every part that the values time (keys in `_ms`)."""
    parts: dict[str, list[float]] = {}
    for value in values:
        for key, number in value.items():
            if key.endswith("_ms") and isinstance(number, (int, float)):
                parts.setdefault(key.removesuffix("_ms"), []).append(number / 1000.0)
    return {name: float(np.mean(numbers)) for name, numbers in sorted(parts.items())}


def _numbers(metric: MetricSpec, values: Values) -> tuple[np.ndarray, list[str]]:
    """What the statistic is taken of (0/1 for a fraction), and the clusters; samples without a value are left out."""
    kept = [v for v in values if v.get(metric.value) is not None]
    numbers = np.array([v[metric.value] for v in kept], dtype=np.float64)
    if metric.reduce == "fraction_below":
        if metric.threshold is None:
            raise PluginError(f"The metric {metric.name} has no threshold.")
        numbers = (numbers < metric.threshold).astype(np.float64)
    return numbers, [str(v["cluster"]) for v in kept]


def _statistic(metric: MetricSpec) -> Statistic:
    if metric.reduce not in ("mean", "median", "fraction_below"):
        raise PluginError(f"The metric {metric.name} is reduced by {metric.reduce!r}: mean, median or fraction_below.")
    return "median" if metric.reduce == "median" else "mean"


def _reduce(metric: MetricSpec, numbers: np.ndarray) -> float:
    value = np.median(numbers) if _statistic(metric) == "median" else numbers.mean()
    return float(value) * _factor(metric)


def _factor(metric: MetricSpec) -> float:
    return 100.0 if metric.unit == "%" else 1.0


def _score(metric: MetricSpec, category: str, value: float, interval: tuple[float, float] | None, n: int) -> Score:
    scaled = None
    if interval is not None:
        scaled = (interval[0] * _factor(metric), interval[1] * _factor(metric))
    return Score(
        metric=metric.name,
        category=category,
        value=value,
        unit=metric.unit,
        n=n,
        interval=scaled,
        higher_is_better=metric.higher_is_better,
        version=metric.version,
        order=metric.order,
        threshold=metric.threshold if metric.reduce == "fraction_below" else None,
        inequality="<" if metric.reduce == "fraction_below" else None,
    )
