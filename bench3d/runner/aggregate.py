"""From per-sample values to scores, groups and chance levels, as the task's MetricSpecs say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench3d.contracts import MetricSpec
from bench3d.errors import PluginError
from bench3d.metrics import Interval, Rows, Statistic, interval, interval_across
from bench3d.records import BootstrapNote, ChanceLevel, GroupScore, Record, Score
from bench3d.runner.rows import SIGNS, Values, bins, chance_rows, margin_rows, score_rows

MEAN = "mean"
DRAWS = 2000
LEVEL = 0.95
REDUCTIONS = ("mean", "median", *SIGNS)


def bootstrap_note(seed: int) -> BootstrapNote:
    """How the intervals of `scores` and `groups` are made."""
    return BootstrapNote(draws=DRAWS, level=LEVEL, seed=seed)


def specs_of(record: Record) -> list[MetricSpec]:
    """The metrics of a record, for `scores` and the others; empty for a record of an older schema."""
    return [MetricSpec(**measure.model_dump()) for measure in record.metrics]


def by_category(values: Values) -> dict[str, list[Mapping[str, Any]]]:
    """Values by category, categories sorted."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for value in values:
        found.setdefault(str(value["category"]), []).append(value)
    return dict(sorted(found.items()))


def scores(metrics: Sequence[MetricSpec], values: Values, seed: int) -> list[Score]:
    """One score per metric and category, and the one over all categories. A metric without values is absent."""
    found = []
    categories = by_category(values)
    for metric in metrics:
        kept, counts = _per_category(categories, partial(score_rows, metric))
        for category, rows in kept.items():
            found.append(
                _score(metric, category, _reduce(metric, rows), _interval(metric, rows, seed), len(rows.values))
            )
        if kept:
            over_all = _interval_across(metric, kept, counts, seed)
            total = sum(len(rows.values) for rows in kept.values())
            found.append(_score(metric, MEAN, _reduce_across(metric, kept, counts), over_all, total))
    return found


def groups(metrics: Sequence[MetricSpec], values: Values, seed: int) -> list[GroupScore]:
    """One score per metric, category and bin of the values' `groups`."""
    found = []
    judged = [metric for metric in metrics if metric.grouped]
    for category, mine in by_category(values).items():
        for (by, name), members in bins(mine):
            for metric in judged:
                rows = score_rows(metric, members)
                if len(rows.values) == 0:
                    continue
                score = _score(metric, category, _reduce(metric, rows), _interval(metric, rows, seed), len(rows.values))
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
                        interval_method=score.interval_method,
                    )
                )
    return found


def chance_levels(metrics: Sequence[MetricSpec], values: Values, seed: int) -> list[ChanceLevel]:
    """Chance per metric, name and category, and over all categories; how far the score is from it, paired."""
    found = []
    categories = by_category(values)
    for metric in metrics:
        for name, key in (metric.chance or {}).items():
            kept, counts = _per_category(categories, partial(chance_rows, metric, key=key))
            if not kept:
                continue
            over: dict[str, Rows] = {}
            if _statistic(metric) == "mean":
                over, _ = _per_category(categories, partial(margin_rows, metric, key=key))
            for category, rows in kept.items():
                margin = _interval(metric, over[category], seed, False) if category in over else None
                level = _reduce(metric, rows)
                found.append(_chance(metric, name, category, level, margin, len(rows.values)))
            margin = _interval_across(metric, over, counts, seed, False)
            total = sum(len(rows.values) for rows in kept.values())
            found.append(_chance(metric, name, MEAN, _reduce_across(metric, kept, counts), margin, total))
    return found


def mean_seconds(values: Values) -> dict[str, float]:
    """Mean seconds per image of every part that the values time (keys in `_ms`)."""
    parts: dict[str, list[float]] = {}
    for value in values:
        for key, number in value.items():
            if key.endswith("_ms") and isinstance(number, (int, float)):
                parts.setdefault(key.removesuffix("_ms"), []).append(number / 1000.0)
    return {name: float(np.mean(numbers)) for name, numbers in sorted(parts.items())}


def _per_category(
    categories: Mapping[str, Values], read: Callable[[Values], Rows]
) -> tuple[dict[str, Rows], dict[str, int]]:
    """Rows of every category that has some, and its number of samples."""
    found = {category: read(mine) for category, mine in categories.items()}
    kept = {category: rows for category, rows in found.items() if len(rows.values)}
    return kept, {category: len(categories[category]) for category in kept}


def _interval(metric: MetricSpec, rows: Rows, seed: int, measured: bool = True) -> Interval | None:
    """Of one category; `measured`: of the score itself, not of its margin over chance."""
    return interval(
        rows, _statistic(metric), seed, draws=DRAWS, level=LEVEL, fraction=measured and _fraction(metric, [rows])
    )


def _interval_across(
    metric: MetricSpec, kept: Mapping[str, Rows], counts: Mapping[str, int], seed: int, measured: bool = True
) -> Interval | None:
    return interval_across(
        kept, _statistic(metric), seed, across=metric.across, samples=counts, draws=DRAWS, level=LEVEL,
        fraction=measured and _fraction(metric, list(kept.values())),
    )  # fmt: skip


def _fraction(metric: MetricSpec, rows: Sequence[Rows]) -> bool:
    """Whether the score is a fraction of hits, which lies in 0 to 100 %.

    It counts what is below a threshold, or is a mean of hits that a task counted: all 0 or 1, or more is better and
    none above 1. An error in % has no upper end, even where no sample shows it.
    """
    if metric.reduce in SIGNS:
        return True
    values = np.concatenate([r.values for r in rows]) if rows else np.empty(0)
    within = bool(((values >= 0) & (values <= 1)).all())
    return metric.unit == "%" and within and (metric.higher_is_better or bool(np.isin(values, (0.0, 1.0)).all()))


def _statistic(metric: MetricSpec) -> Statistic:
    if metric.reduce not in REDUCTIONS:
        raise PluginError(f"The metric {metric.name} is reduced by {metric.reduce!r}: {', '.join(REDUCTIONS)}.")
    if metric.reduce != "median":
        return "mean"
    if metric.weight is not None or metric.across == "pooled":
        raise PluginError(f"The metric {metric.name} is a median: it takes no weights and is not pooled.")
    return "median"


def _reduce(metric: MetricSpec, rows: Rows) -> float:
    """The statistic of one category, in the metric's unit."""
    if _statistic(metric) == "median":
        return float(np.median(rows.values)) * _factor(metric)
    return float(np.average(rows.values, weights=rows.weights)) * _factor(metric)


def _reduce_across(metric: MetricSpec, kept: Mapping[str, Rows], counts: Mapping[str, int]) -> float:
    names = sorted(kept)
    shares = None
    if metric.across == "samples":
        shares = [float(counts[n]) for n in names]
    elif metric.across == "pooled":
        shares = [float(_mass(kept[n])) for n in names]
    return float(np.average([_reduce(metric, kept[n]) for n in names], weights=shares))


def _mass(rows: Rows) -> float:
    return float(len(rows.values) if rows.weights is None else rows.weights.sum())


def _factor(metric: MetricSpec) -> float:
    return 100.0 if metric.unit == "%" else 1.0


def _scaled(metric: MetricSpec, ends: Interval | None) -> tuple[float, float] | None:
    return None if ends is None else (ends.low * _factor(metric), ends.high * _factor(metric))


def _chance(metric: MetricSpec, name: str, category: str, value: float, margin: Interval | None, n: int) -> ChanceLevel:
    return ChanceLevel(
        metric=metric.name,
        name=name,
        category=category,
        value=value,
        unit=metric.unit,
        n=n,
        margin=_scaled(metric, margin),
    )


def _score(metric: MetricSpec, category: str, value: float, ends: Interval | None, n: int) -> Score:
    return Score(
        metric=metric.name,
        category=category,
        value=value,
        unit=metric.unit,
        n=n,
        interval=_scaled(metric, ends),
        clusters=None if ends is None else ends.clusters,
        interval_method=None if ends is None else ends.method,
        higher_is_better=metric.higher_is_better,
        version=metric.version,
        order=metric.order,
        threshold=metric.threshold if metric.reduce in SIGNS else None,
        inequality=SIGNS.get(metric.reduce),
    )
