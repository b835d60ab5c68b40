"""One run as a row: names, cells, curve against the view angle, cost, and what a reader should be warned of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from bench3d.leaderboard.board import MEAN, Cell, Row
from bench3d.leaderboard.grouping import components, family_key, model_key, title
from bench3d.leaderboard.runs import Run
from bench3d.records import Record, short

ANGLES = ("angle", "azimuth")
"""Groupings that a curve is drawn over, the first that a run has."""


def row_of(run: Run, total: int, variant: str) -> Row:
    """A row that has no rank yet; `total` is the number of categories of its table."""
    record, entry = run.entry.record, run.entry
    backbone, adapter, shape = components(entry)
    cost = record.cost
    seconds = [s for part, s in cost.seconds_per_image.items()]
    fitted = list(cost.fitted_parameters.values())
    categories = {s.category for s in record.scores if s.metric == record.headline} - {MEAN}
    return Row(
        id=short(record.identity.hash),
        title=title(entry),
        backbone=backbone,
        adapter=adapter,
        shape_model=shape,
        model=model_key(entry),
        family=family_key(entry),
        variant=variant,
        ranked=not run.unranked,
        unranked_because=run.unranked,
        cells=_cells(record),
        coverage=(len(categories), total),
        curve=_curves(record),
        parameters=cost.parameters,
        fitted_parameters=round(sum(fitted) / len(fitted)) if fitted else None,
        seconds_per_image=sum(seconds) if seconds else None,
        memory_bytes=cost.peak_device_bytes or cost.peak_memory_bytes,
        badge=entry.badge,
        flags=_flags(record),
        entry=entry,
    )


def _flags(record: Record) -> tuple[str, ...]:
    found = []
    commit = record.provenance.commit
    if commit is None:
        found.append("no commit recorded")
    elif commit.endswith("-dirty"):
        found.append("changed source tree")
    if record.marks.limited is not None:
        found.append(f"at most {record.marks.limited} samples per category")
    return tuple(found)


def _cells(record: Record) -> dict[str, dict[str, Cell]]:
    found: dict[str, dict[str, Cell]] = {}
    chance: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for level in record.chance:
        chance.setdefault((level.metric, level.category), []).append((level.value, level.name))
    for score in record.scores:
        levels = chance.get((score.metric, score.category))
        pick: Callable[..., tuple[float, str]] = max if score.higher_is_better else min
        best = pick(levels) if levels else (None, "")
        found.setdefault(score.metric, {})[score.category] = Cell(
            value=score.value,
            n=score.n,
            interval=score.interval,
            method=score.interval_method,
            clusters=score.clusters,
            chance=best[0],
            chance_name=best[1].replace("_", " "),
        )
    return found


_Bin = tuple[str, float, float | None, float | None, int]


def _curves(record: Record) -> dict[str, list[_Bin]]:
    """Every metric against the view angle: the unweighted mean over the categories that have the bin.

    The interval joins those of the categories as independent ones, side by side: root of the sum of squares.
    """
    by = next((a for a in ANGLES if any(g.by == a for g in record.groups)), None)
    bins: dict[str, dict[str, list[Any]]] = {}
    for group in record.groups:
        if group.by == by:
            bins.setdefault(group.metric, {}).setdefault(group.bin, []).append(group)
    found = {}
    for metric, members in bins.items():
        found[metric] = [_bin(name, members[name]) for name in sorted(members, key=_bin_order)]
    return found


def _bin_order(name: str) -> tuple[float, str]:
    digits = name.split("-", maxsplit=1)[0].strip("[(<> ")
    try:
        return float(digits), name
    except ValueError:
        return math.inf, name


def _bin(name: str, groups: Sequence[Any]) -> _Bin:
    count = len(groups)
    value = sum(g.value for g in groups) / count
    n = sum(g.n for g in groups)
    if any(g.interval is None for g in groups):
        return name, value, None, None, n
    low = math.sqrt(sum((g.value - g.interval[0]) ** 2 for g in groups)) / count
    high = math.sqrt(sum((g.interval[1] - g.value) ** 2 for g in groups)) / count
    return name, value, value - low, value + high, n
