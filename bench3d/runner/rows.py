"""From the values of samples to the rows that a metric's statistic is taken of (see MetricSpec)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from bench3d.contracts import MetricSpec
from bench3d.errors import PluginError
from bench3d.metrics import Rows

Values = Sequence[Mapping[str, Any]]
COMPARISONS = {"fraction_below": np.less, "fraction_at_most": np.less_equal}
SIGNS: dict[str, Literal["<", "<="]] = {"fraction_below": "<", "fraction_at_most": "<="}


def score_rows(metric: MetricSpec, values: Values) -> Rows:
    """The rows of the score: 0 or 1 for a fraction. What has no value is left out."""
    return _rows(metric, values, lambda value: _measured(metric, value))


def chance_rows(metric: MetricSpec, values: Values, key: str) -> Rows:
    """The rows of a chance level: exact expectations, for a fraction probabilities."""
    return _rows(metric, values, lambda value: _column(value, key))


def margin_rows(metric: MetricSpec, values: Values, key: str) -> Rows:
    """Score minus chance, row by row: what a paired interval is made of."""

    def difference(value: Mapping[str, Any]) -> np.ndarray | None:
        measured, chance = _measured(metric, value), _column(value, key)
        return None if measured is None or chance is None else measured - chance

    return _rows(metric, values, difference)


def bins(values: Values) -> Iterator[tuple[tuple[str, str], list[Mapping[str, Any]]]]:
    """((by, bin), the samples in it) for every grouping, sorted; of samples with grouped parts only those parts."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for value in values:
        for by, name in (value.get("groups") or {}).items():
            found.setdefault((by, str(name)), []).append(value)
        parts = value.get("parts") or {}
        for by, names in (parts.get("groups") or {}).items():
            column = np.array([str(n) for n in names])
            for name in dict.fromkeys(column.tolist()):
                own = ((value.get("binned") or {}).get(by) or {}).get(name) or {}
                found.setdefault((by, name), []).append({**value, **own, "parts": _chosen(parts, column == name)})
    yield from sorted(found.items(), key=lambda item: item[0])


def _chosen(parts: Mapping[str, Any], mask: np.ndarray) -> dict[str, Any]:
    keep = np.flatnonzero(mask)
    return {k: [column[i] for i in keep] for k, column in parts.items() if k != "groups"}


def _measured(metric: MetricSpec, value: Mapping[str, Any]) -> np.ndarray | None:
    numbers = _column(value, metric.value)
    compare = COMPARISONS.get(metric.reduce)
    if numbers is None or compare is None:
        return numbers
    if metric.threshold is None:
        raise PluginError(f"The metric {metric.name} has no threshold.")
    return np.where(np.isnan(numbers), np.nan, compare(numbers, metric.threshold))


def _column(value: Mapping[str, Any], key: str) -> np.ndarray | None:
    """A column of the parts, or the sample's own number as a column of one; NaN where there is none."""
    column = (value.get("parts") or {}).get(key)
    if column is None:
        number = value.get(key)
        return None if number is None else np.array([number], dtype=np.float64)
    return np.array([np.nan if v is None else v for v in column], dtype=np.float64)


def _rows(metric: MetricSpec, values: Values, read: Any) -> Rows:
    numbers: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    clusters: list[str] = []
    for value in values:
        column = read(value)
        if column is None:
            continue
        weight = _weights(metric, value, len(column))
        kept = ~np.isnan(column) & (weight > 0)
        if not kept.any():
            continue
        names = (value.get("parts") or {}).get("cluster")
        own = [str(value["cluster"])] * len(column) if names is None else [str(n) for n in names]
        column, weight, own = column[kept], weight[kept], [n for n, k in zip(own, kept, strict=True) if k]
        if metric.over == "samples":
            column, weight, own = np.array([np.average(column, weights=weight)]), np.ones(1), own[:1]
        numbers.append(column)
        weights.append(weight)
        clusters += own
    if not numbers:
        return Rows(np.empty(0), [])
    rows = Rows(np.concatenate(numbers), clusters, np.concatenate(weights))
    if metric.over == "clusters":
        rows = _by_cluster(rows)
    return rows if metric.weight is not None and metric.over == "parts" else Rows(rows.values, rows.clusters)


def _weights(metric: MetricSpec, value: Mapping[str, Any], count: int) -> np.ndarray:
    if metric.weight is None:
        return np.ones(count)
    weight = _column(value, metric.weight)
    if weight is None or len(weight) != count:
        raise PluginError(f"The metric {metric.name} finds no weights {metric.weight!r} in sample {value.get('id')}.")
    return np.nan_to_num(weight)


def _by_cluster(rows: Rows) -> Rows:
    assert rows.weights is not None
    names, member = np.unique(np.asarray(rows.clusters, dtype=str), return_inverse=True)
    sums = np.bincount(member, weights=rows.values * rows.weights)
    return Rows(sums / np.bincount(member, weights=rows.weights), names.tolist())
