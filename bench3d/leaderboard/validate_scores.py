"""Validation of every score, group, chance level and interval: recomputed from the samples as the task defines."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from bench3d.contracts import MetricSpec, TaskRegistration
from bench3d.errors import Bench3DError, DataError
from bench3d.leaderboard.validate_case import Case, Measurement, different, registered, shown
from bench3d.plugins import load_registry
from bench3d.plugins.settings import settings_model
from bench3d.records import ChanceLevel, GroupScore, Measure, Score, canonical_json
from bench3d.runner import aggregate

VALUE_TOLERANCE = 1e-6
"""Of a value: sums in another order."""
INTERVAL_TOLERANCE = 0.1
"""Of an end of an interval, as a share of its width: five times the Monte Carlo error of 2,000 draws."""
MAX_BINS = 20_000
_VALUES = ("value",)
_INTERVALS = ("interval", "margin")
_OF_SCHEMA_2 = ("clusters", "interval_method", *_INTERVALS)
_TIMES = 1e-3
"""Relative tolerance of mean times, which are measured and only summed here."""
_STEP = "Submit the record as bench3d run wrote it, with its own samples."


def check_scores(case: Case, strict: bool) -> None:
    """Recomputes everything. `strict` makes it an error where the task is not installed."""
    record, measured = case.record, case.measurement
    if record is None or measured is None or case.samples is None:
        return
    strange = sorted({str(s["category"]) for s in case.samples} - set(measured.categories))
    if strange:
        case.say(
            "error", "samples", f"Samples of {shown(strange)}, which was not measured.", file=case.sidecar, step=_STEP
        )
    try:
        metrics = installed_metrics(measured)
    except DataError as error:
        case.say("error", "metrics", error.message, field="identity.measurement.task.settings", step=_STEP)
        return
    if isinstance(metrics, str):
        case.unchecked(strict, f"{metrics}: the scores are checked by the record's own definitions alone.")
        metrics = [MetricSpec(**m.model_dump()) for m in record.metrics]
        if not metrics:
            return
    else:
        _definitions(case, record.metrics, metrics)
    bins = {(s["category"], by, str(b)) for s in case.samples for by, b in (s.get("groups") or {}).items()}
    if len(bins) > MAX_BINS:
        case.say("error", "scores", f"The samples fall into {len(bins)} bins; {MAX_BINS} are taken.", file=case.sidecar)
        return
    _compare_all(case, metrics, measured.seed)


def installed_metrics(m: Measurement) -> Sequence[MetricSpec] | str:
    """The metrics of the installed task under these settings and protocol, or why there are none.

    Raises:
        DataError: the task is installed in the same version and takes no such settings.
    """
    task = registered("task", m.task.name)
    if not isinstance(task, TaskRegistration):
        return f"The task {m.task.name} is not installed here"
    if task.result_version != m.task.result_version:
        return f"{task.name} stands here in result version {task.result_version}, not {m.task.result_version}"
    protocol = None if m.protocol is None else (m.protocol.name, m.protocol.version)
    return _metrics(m.task.name, canonical_json(m.task.settings), protocol)


@functools.lru_cache(maxsize=256)
def _metrics(name: str, settings: str, protocol: tuple[str, int] | None) -> Sequence[MetricSpec] | str:
    """Constructs the task, as that is what knows: many define their metrics by their settings. Loads torch, once."""
    task = registered("task", name)
    assert isinstance(task, TaskRegistration)
    found = next((p for p in task.protocols if (p.name, p.version) == protocol), None)
    if protocol is not None and found is None:
        return f"{name} has no protocol {protocol[0]} in version {protocol[1]} here"
    try:
        resolved = settings_model(task).model_validate(json.loads(settings))
        made = load_registry().create("task", name, settings=resolved, protocol=found)
        return tuple(made.metrics)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{name} has no such settings: {where}: {first['msg']}.") from error
    except (Bench3DError, ImportError) as error:
        return f"The task {name} cannot be made here ({error})"


def _definitions(case: Case, told: Sequence[Measure], metrics: Sequence[MetricSpec]) -> None:
    """The record's own account of its metrics is the task's. Tolerances are promises, not definitions."""
    if not told:
        if case.record is not None and case.schema == case.record.schema_ and case.record.scores:
            case.say(
                "error", "metrics", "The record does not say how its metrics are computed.", field="metrics", step=_STEP
            )
        return
    mine = {m.name: m.model_dump(exclude={"tolerance"}) for m in told}
    theirs = {m.name: {k: v for k, v in dataclasses.asdict(m).items() if k != "tolerance"} for m in metrics}
    for name in sorted({*mine, *theirs}):
        if different(mine.get(name), theirs.get(name)):
            case.say("error", "metrics", f"{name} is not defined as the task defines it.", field="metrics", step=_STEP)


def _compare_all(case: Case, metrics: Sequence[MetricSpec], seed: int) -> None:
    record = case.record
    assert record is not None and case.samples is not None
    try:
        _compare(case, "scores", record.scores, aggregate.scores(metrics, case.samples, seed), _score_key)
        _compare(case, "groups", record.groups, aggregate.groups(metrics, case.samples, seed), _group_key)
        _compare(case, "chance", record.chance, aggregate.chance_levels(metrics, case.samples, seed), _chance_key)
        seconds = aggregate.mean_seconds(case.samples)
    except Exception as error:  # samples of strangers through any plugin's definitions: whatever it is, it is said
        sentence = f"The scores cannot be computed from the samples: {type(error).__name__}: {error}."
        case.say("error", "scores", sentence, file=case.sidecar, step=_STEP)
        return
    told = record.cost.seconds_per_image
    if told.keys() != seconds.keys() or any(abs(told[k] - s) > _TIMES * abs(s) for k, s in seconds.items()):
        case.say(
            "warning",
            "cost",
            "The times are not the means of the samples' times.",
            field="cost.seconds_per_image",
            step=_STEP,
        )


def _score_key(score: Any) -> tuple[str, ...]:
    return (score.metric, score.category)


def _group_key(group: Any) -> tuple[str, ...]:
    return (group.metric, group.category, group.by, group.bin)


def _chance_key(level: Any) -> tuple[str, ...]:
    return (level.metric, level.name, level.category)


def _compare(
    case: Case,
    field: str,
    told: Sequence[Score] | Sequence[GroupScore] | Sequence[ChanceLevel],
    computed: Sequence[Score] | Sequence[GroupScore] | Sequence[ChanceLevel],
    key: Callable[[Any], tuple[str, ...]],
) -> None:
    mine, theirs = {key(t): t for t in told}, {key(c): c for c in computed}
    if len(mine) < len(told):
        case.say("error", field, "One of them stands there twice.", field=field, step=_STEP)
    for name in sorted({*mine, *theirs}):
        where = f"{field}: {' / '.join(name)}"
        if name not in mine:
            case.say("error", field, "The samples give it and the record leaves it out.", field=where, step=_STEP)
        elif name not in theirs:
            case.say("error", field, "The record has it and the samples do not give it.", field=where, step=_STEP)
        else:
            for sentence in _differences(mine[name], theirs[name], case):
                case.say("error", field, sentence, field=where, step=_STEP)


def _differences(told: Any, computed: Any, case: Case) -> list[str]:
    record = case.record
    assert record is not None
    old = case.schema != record.schema_
    draws = record.bootstrap is not None and record.bootstrap.draws == aggregate.DRAWS
    found = []
    for field in type(told).model_fields:
        mine, theirs = getattr(told, field), getattr(computed, field)
        if field in _VALUES:
            if abs(mine - theirs) > VALUE_TOLERANCE * max(1.0, abs(theirs)):
                found.append(f"The record says {mine:.6g}, the samples give {theirs:.6g}.")
        elif old and field in _OF_SCHEMA_2:
            continue
        elif field in _INTERVALS:
            if draws and not _close(mine, theirs):
                found.append(f"The {field} is {_span(mine)} in the record, {_span(theirs)} by the samples.")
        elif mine != theirs:
            found.append(f"The record says {field} {mine}, the samples give {theirs}.")
    return found


def _close(told: tuple[float, float] | None, computed: tuple[float, float] | None) -> bool:
    if told is None or computed is None:
        return told is None and computed is None
    room = INTERVAL_TOLERANCE * (computed[1] - computed[0]) + VALUE_TOLERANCE * max(1.0, *map(abs, computed))
    return all(abs(a - b) <= room for a, b in zip(told, computed, strict=True))


def _span(interval: tuple[float, float] | None) -> str:
    return "none" if interval is None else f"{interval[0]:.4g} to {interval[1]:.4g}"
