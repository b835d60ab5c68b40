"""From the records that count to one measured number, aggregated as the papers do.

image > category > mean over the models of a target (references) > unweighted mean over categories.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from bench3d.leaderboard.board import MEAN
from bench3d.leaderboard.wanted import Counted
from bench3d.records import Score

LEVEL = 0.95
Models = Mapping[str, Sequence[Score]]
"""Model -> its scores of one cell, one for every record (seed)."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One measured number.

    Attributes:
        value: in the unit of its metric.
        interval: 95 %; `method` says of what: "student-t over models" (2 and more), else that of the record, or those
            of its categories combined.
        spread: standard deviation over models, None for one.
        models: how many stand behind it (of the category that has fewest); `runs` the identities of the records.
        n: samples behind one model's value.
        unnamed: some record does not say which model it is.
    """

    value: float
    interval: tuple[float, float] | None
    method: str
    spread: float | None
    models: int
    runs: tuple[str, ...]
    n: int
    unnamed: bool


def measure(
    counted: Sequence[Counted], metric: str, category: str, categories: Sequence[str], from_record: bool
) -> Measured | None:
    """The measured number of a cell, None where a record for it is missing.

    Args:
        counted: records of one task.
        categories: what a mean is taken over.
        from_record: a mean is the one that the records hold.
    """
    if category != MEAN or from_record:
        return _over_models(_scores(counted, metric, category), counted)
    return _mean(counted, metric, categories)


def _mean(counted: Sequence[Counted], metric: str, categories: Sequence[str]) -> Measured | None:
    """The unweighted mean over categories, of the means over models."""
    per = [_scores(counted, metric, category) for category in categories]
    parts = [_over_models(scores, counted) for scores in per]
    known = [p for p in parts if p is not None]
    if len(known) < len(categories):
        return None
    shared = sorted(set.intersection(*(set(scores) for scores in per)))
    whole = [statistics.fmean(_value(scores[model]) for scores in per) for model in shared]
    interval, method = _interval(whole) if len(whole) > 1 else _combined(known, counted, metric, categories)
    return Measured(
        value=statistics.fmean(p.value for p in known),
        interval=interval,
        method=method,
        spread=statistics.stdev(whole) if len(whole) > 1 else None,
        models=min(p.models for p in known),
        runs=tuple(dict.fromkeys(run for p in known for run in p.runs)),
        n=sum(p.n for p in known),
        unnamed=any(p.unnamed for p in known),
    )


def _over_models(models: Models, counted: Sequence[Counted]) -> Measured | None:
    if not models:
        return None
    values = [_value(scores) for scores in models.values()]
    single = [score for scores in models.values() for score in scores]
    interval, method = _interval(values)
    if len(single) == 1:
        interval, method = single[0].interval, single[0].interval_method or "bootstrap"
    held = {id(score) for score in single}
    behind = [c for c in counted if any(id(s) in held for s in c.record.scores)]
    return Measured(
        value=statistics.fmean(values),
        interval=interval,
        method=method if interval else "",
        spread=statistics.stdev(values) if len(values) > 1 else None,
        models=len(values),
        runs=tuple(c.record.identity.hash[:12] for c in behind),
        n=max(score.n for score in single),
        unnamed=any(not c.named for c in behind),
    )


def _scores(counted: Sequence[Counted], metric: str, category: str) -> dict[str, list[Score]]:
    found: dict[str, list[Score]] = {}
    for one in counted:
        score = one.record.score(metric, category)
        if score is not None:
            found.setdefault(one.model, []).append(score)
    return found


def _value(scores: Sequence[Score]) -> float:
    return statistics.fmean(score.value for score in scores)


def _has(one: Counted) -> set[str]:
    return {score.category for score in one.record.scores} - {MEAN}


def _interval(values: Sequence[float]) -> tuple[tuple[float, float] | None, str]:
    """Student's t over models: it says how far another set of models might lie, the images being the same."""
    if len(values) < 2:
        return None, ""
    half = float(stdtrit(len(values) - 1, 0.5 + LEVEL / 2)) * statistics.stdev(values) / math.sqrt(len(values))
    middle = statistics.fmean(values)
    return (middle - half, middle + half), "student-t over models"


def _combined(
    parts: Sequence[Measured], counted: Sequence[Counted], metric: str, categories: Sequence[str]
) -> tuple[tuple[float, float] | None, str]:
    """The interval of a mean over one model's categories: of the record that holds them all, else put together."""
    runs = {run for p in parts for run in p.runs}
    if len(runs) == 1:
        for one in counted:
            score = one.record.score(metric, MEAN)
            if one.record.identity.hash[:12] in runs and _has(one) == set(categories) and score is not None:
                return score.interval, score.interval_method or "bootstrap"
    if any(p.interval is None for p in parts):
        return None, ""
    lows = [p.value - p.interval[0] for p in parts if p.interval is not None]
    highs = [p.interval[1] - p.value for p in parts if p.interval is not None]
    middle = statistics.fmean(p.value for p in parts)
    low, high = (math.sqrt(sum(h * h for h in side)) / len(parts) for side in (lows, highs))
    return (middle - low, middle + high), "intervals of the categories combined"
