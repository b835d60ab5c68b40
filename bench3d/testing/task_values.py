"""Per-sample values of a task, side by side: columns that metrics read, and what differs between two evaluations."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from bench3d.contracts import MetricSpec
from bench3d.contracts.task import Across, Over
from bench3d.testing.subjects import require

FRACTIONS = ("fraction_below", "fraction_at_most")
REDUCTIONS = ("mean", "median", *FRACTIONS)
TOLERANCE = 1e-4
"""How far values of a batch may be off single ones where the metric promises nothing, relative to the value."""


def check_metric(metric: MetricSpec) -> None:
    """One declaration; raises CheckFailed."""
    require(isinstance(metric, MetricSpec), f"{metric!r} is no MetricSpec.")
    where = f"The metric {metric.name}"
    require(metric.reduce in REDUCTIONS, f"{where} is reduced by {metric.reduce!r}: {', '.join(REDUCTIONS)}.")
    require(metric.over in get_args(Over), f"{where} is taken over {metric.over!r}: {', '.join(get_args(Over))}.")
    require(metric.across in get_args(Across), f"{where}: across={metric.across!r}: {', '.join(get_args(Across))}.")
    require(
        (metric.threshold is not None) == (metric.reduce in FRACTIONS),
        f"{where} has the threshold {metric.threshold!r} and is reduced by {metric.reduce}.",
        "Fractions have a threshold, the others none.",
    )
    require(
        isinstance(metric.version, int) and not isinstance(metric.version, bool) and metric.version >= 1,
        f"{where} has the version {metric.version!r}, not a whole number from 1.",
    )
    require(bool(metric.order.strip()), f"{where} does not say in which order it is averaged (`order`).")
    require(
        metric.tolerance is None or metric.tolerance >= 0,
        f"{where} has the tolerance {metric.tolerance!r}, not 0 or more.",
    )


def check_even(ids: Sequence[str], taken: Sequence[str], limit: int) -> None:
    """Whether `taken` of the ordered `ids` are spread over all of them."""
    require(
        0 < len(taken) <= limit and set(taken) <= set(ids),
        f"limit={limit} gives {len(taken)} samples, {len(set(taken) - set(ids))} of them not in the whole list.",
    )
    at = [ids.index(i) for i in taken]
    require(at == sorted(at), f"limit={limit} changes the order of the samples.")
    widest = max((b - a for a, b in zip([*at], [*at[1:], len(ids)], strict=True)), default=0)
    reaches = at[-1] >= len(ids) * (len(at) - 1) // len(at)
    require(
        reaches and widest <= 2 * math.ceil(len(ids) / len(taken)),
        f"limit={limit} of {len(ids)} samples leaves out {widest - 1} in a row.",
        "Take every (n / limit)-th sample: the first few are not what the whole set is.",
    )


def column_of(key: str, found: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What a metric reads of all samples: a column of their parts, else a key of their own."""
    column: list[Any] = []
    for value in found:
        parts = value.get("parts", {})
        if key in parts:
            column += list(parts[key])
        elif key in value:
            column.append(value[key])
    return column


def is_number(value: Any) -> bool:
    """A finite number, no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def no_number(column: Sequence[Any]) -> Any:
    """The first entry that is none."""
    return next((v for v in column if not is_number(v)), None)


def check_same(single: Sequence[Any], together: Sequence[Any], allowed: Mapping[str, float], where: str) -> None:
    """Whether values agree within the tolerances `allowed` by key; times (keys in `_ms`) may differ."""
    for one, two in zip(single, together, strict=True):
        for path, a, b in _pairs(one, two):
            key = path.split("/")[-1]
            if key.endswith("_ms") or a == b:
                continue
            if is_number(a) and is_number(b):
                slack = allowed.get(key, TOLERANCE * max(1.0, abs(a)))
                if abs(a - b) <= slack:
                    continue
            require(
                False,
                f"{one['id']}: {path} is {_short(a)} alone and {_short(b)} {where}.",
                "A sample's values depend on that sample alone; state MetricSpec.tolerance where rounding shows.",
            )


def _pairs(a: Any, b: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Leaves of two JSON values side by side; an index of a list is no part of the path."""
    if isinstance(a, Mapping) and isinstance(b, Mapping) and a.keys() == b.keys():
        for key in a:
            yield from _pairs(a[key], b[key], f"{path}/{key}".lstrip("/"))
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for x, y in zip(a, b, strict=True):
            yield from _pairs(x, y, path)
    else:
        yield path, a, b


def _short(value: Any) -> str:
    return json.dumps(value, default=str)[:60]
