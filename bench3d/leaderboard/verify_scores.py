"""Scores of a record against those of the same samples computed again, paired by sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench3d.contracts import MetricSpec
from bench3d.leaderboard.board import MEAN
from bench3d.leaderboard.judge import aligned
from bench3d.leaderboard.samples import Columns, metric_rows
from bench3d.leaderboard.verify_samples import Values
from bench3d.metrics import Statistic, pairwise
from bench3d.records import Record
from bench3d.runner import aggregate

REFIT = {"%": 2.0}
REFIT_RELATIVE = 0.05
"""How far a score may lie off where a fit was made again, by unit or relative: training is not the same everywhere."""
LEVEL = 0.95


@dataclass(frozen=True)
class ScorePair:
    """One metric over all categories on the samples that were computed again, in the metric's unit.

    `recorded` is the record's score over all its samples. `interval` is that of `now - then`, paired by sample; None
    with fewer than two clusters. `half_width` is half the record's own interval.
    """

    metric: str
    unit: str
    then: float
    now: float
    n: int
    recorded: float | None = None
    interval: tuple[float, float] | None = None
    half_width: float | None = None

    @property
    def difference(self) -> float:
        """Now minus then."""
        return self.now - self.then


def wrong_scores(metrics: Sequence[MetricSpec], record: Record, then: Values) -> str:
    """Which of the record's scores is not that of its own samples, in a sentence; empty where all are."""
    for score in aggregate.scores(metrics, list(then.values()), record.provenance.seed):
        told = record.score(score.metric, score.category)
        if told is None or abs(told.value - score.value) > 1e-6 * max(1.0, abs(score.value)):
            where = f"{score.metric} of {score.category}"
            stated = "nothing" if told is None else f"{told.value:.4g}"
            return f"The record says {stated} for {where}, and its own samples give {score.value:.4g}."
    return ""


def score_pairs(metrics: Sequence[MetricSpec], record: Record, then: Values, now: Values) -> list[ScorePair]:
    """Every metric on the samples of `now`, then and now."""
    order = list(now)
    seed = record.provenance.seed
    before = {s.metric: s for s in aggregate.scores(metrics, [then[n] for n in order], seed) if s.category == MEAN}
    after = {s.metric: s for s in aggregate.scores(metrics, [now[n] for n in order], seed) if s.category == MEAN}
    # Clusters are those of here: how the record's samples hang together has been compared.
    left = Columns.of({**then[n], "cluster": now[n]["cluster"]} for n in order)
    right = Columns.of(now[n] for n in order)
    level = 1 - (1 - LEVEL) / max(len(metrics), 1)
    found = []
    for metric in metrics:
        a, b, told = before.get(metric.name), after.get(metric.name), record.score(metric.name)
        if a is None or b is None:
            continue
        width = None if told is None or told.interval is None else (told.interval[1] - told.interval[0]) / 2
        found.append(
            ScorePair(
                metric=metric.name,
                unit=metric.unit,
                then=a.value,
                now=b.value,
                n=b.n,
                recorded=None if told is None else told.value,
                interval=_paired(metric, left, right, level),
                half_width=width,
            )
        )
    return found


def _paired(metric: MetricSpec, then: Columns, now: Columns, level: float) -> tuple[float, float] | None:
    """The interval of now minus then in the metric's unit. None with fewer than two clusters."""
    groups = aligned([metric_rows(metric, then), metric_rows(metric, now)])
    if not groups:
        return None
    statistic: Statistic = "median" if metric.reduce == "median" else "mean"
    sizes = {name: len(group.clusters) for name, group in groups.items()}
    tested = pairwise(groups, statistic, metric.across, sizes, level=level)
    low, high = float(tested.low[1, 0]), float(tested.high[1, 0])
    factor = 100.0 if metric.unit == "%" else 1.0
    return None if math.isnan(low) or math.isnan(high) else (low * factor, high * factor)


def refit_disagrees(scores: Sequence[ScorePair]) -> str:
    """Why the scores do not agree; empty where they do. Fits were made again, so that no sample has to."""
    for pair in scores:
        allowed = REFIT.get(pair.unit, REFIT_RELATIVE * max(abs(pair.then), abs(pair.now)))
        inside = pair.interval is not None and pair.interval[0] <= 0 <= pair.interval[1]
        if not inside and abs(pair.difference) > allowed:
            return (
                f"{pair.metric} is {pair.then:.4g} in the record and {pair.now:.4g} with fits made again: "
                f"a difference beyond chance and beyond {allowed:.3g} {pair.unit}."
            )
    return ""
