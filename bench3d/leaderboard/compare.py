"""Two records: what differs in what was measured and where it came from, and whether the numbers may be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench3d.contracts import MetricSpec
from bench3d.errors import DataError
from bench3d.records import Record

ABSENT = "-"
"""Stands for a field that one of the two does not have."""

_SEPARATE = ("task", "protocol", "dataset")  # parts of a measurement that decide what is asked, not who answers


@dataclass(frozen=True)
class Change:
    """A field that differs: its dotted path, and its value in A and in B (`ABSENT` where it is missing)."""

    field: str
    a: Any
    b: Any


def differences(a: Any, b: Any, where: str = "") -> list[Change]:
    """The fields in which two JSON values differ, mappings field by field, lists as a whole."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        found = []
        for key in [*a, *(k for k in b if k not in a)]:
            path = f"{where}.{key}" if where else str(key)
            found += differences(a.get(key, ABSENT), b.get(key, ABSENT), path)
        return found
    return [] if _same(a, b) else [Change(where, a, b)]


def _same(a: Any, b: Any) -> bool:
    """Equal as JSON: 1 is no true, and 1.0 is 1."""
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def measurement_changes(a: Record, b: Record) -> list[Change]:
    """What differs in what the identities are made of."""
    return differences(a.identity.measurement, b.identity.measurement)


def provenance_changes(a: Record, b: Record) -> list[Change]:
    """What differs in versions, device, commit, oracles, marks and digests of the fits."""
    return differences(_origin(a), _origin(b))


def _origin(record: Record) -> dict[str, Any]:
    fits = {f"{fit.component}/{fit.category or 'all'}": fit.digest for fit in record.fits}
    own = record.provenance.model_dump(mode="json")
    data = own.pop("data")  # the fingerprints, which the measurement holds as well
    marks = record.marks.model_dump(mode="json")
    held = {"data": data} if not _part(record, "dataset").get("fingerprints") else {}
    return {**own, **held, "oracles": record.oracles, "marks": marks, "fit digests": fits}


def obstacles(a: Record, b: Record) -> list[str]:
    """Why the numbers of two records may not be compared, in sentences; empty where they may."""
    found = [f"{side} did not finish ({r.status})." for side, r in (("A", a), ("B", b)) if r.status != "finished"]
    names = [_name(_part(r, "task")) for r in (a, b)]
    if names[0] != names[1]:
        return [*found, f"They are of different tasks: {names[0]} and {names[1]}."]
    for key in _SEPARATE:
        mine, other = (dict(_part(r, key)) for r in (a, b))
        if bool(mine) != bool(other):
            found.append(f"{'A' if mine else 'B'} names a {key}, {'B' if mine else 'A'} does not.")
            continue
        for part in (mine, other):
            part.pop("fingerprints", None)
        found += [_sentence(key, change) for change in differences(mine, other)]
    return found + _data_obstacles(a, b)


def _data_obstacles(a: Record, b: Record) -> list[str]:
    mine, other = (_mapping(_part(r, "dataset").get("fingerprints")) for r in (a, b))
    both = [c for c in mine if c in other]
    if (mine or other) and not both:
        return ["They have no category in common."]
    changed = [str(c) for c in both if mine[c] != other[c]]
    if changed:
        return [f"The data of {', '.join(changed)} are not the same (different fingerprints)."]
    return []


def _sentence(key: str, change: Change) -> str:
    if change.field == "synthetic":
        return f"{'A' if change.a else 'B'} is on synthetic data, {'B' if change.a else 'A'} is not."
    field = f"{key}.{change.field}" if change.field else key
    return f"{field} differs: {change.a} and {change.b}."


def task_name(record: Record) -> str:
    """The name of the task that a record is of, "" where its measurement names none."""
    return _name(_part(record, "task"))


def protocol_name(record: Record) -> str:
    """The name of the protocol, "" where there is none."""
    return _name(_part(record, "protocol"))


def _part(record: Record, key: str) -> Mapping[str, Any]:
    return _mapping(record.identity.measurement.get(key))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _name(part: Mapping[str, Any]) -> str:
    name = part.get("name")
    return name if isinstance(name, str) else ""


def metrics_of(record: Record) -> list[MetricSpec]:
    """How the metrics of a record come from its samples: as it says itself, else as its task does, where installed.

    Loads the task's code (which may load torch) only for a record of an older schema.

    Raises:
        DataError: the record does not say, and no task of its version and settings is installed.
    """
    if record.metrics:
        return [MetricSpec(**measure.model_dump()) for measure in record.metrics]
    from bench3d.leaderboard.runs import installed_metrics  # heavy, and nothing that merges folders needs it

    found = installed_metrics(record) if task_name(record) else {}
    if not found:
        raise DataError(
            f"The record {record.label} (of an older schema) does not say how its metrics are computed, and no task"
            f" {task_name(record)} of its version is installed that could.",
            "Run it again with this version of bench3d.",
        )
    return list(found.values())


def common_metrics(a: Sequence[MetricSpec], b: Sequence[MetricSpec]) -> tuple[list[MetricSpec], list[str]]:
    """The metrics that both define alike, in the order of A, and a sentence about each of the others."""
    other = {metric.name: metric for metric in b}
    same, reasons = [], []
    for metric in a:
        twin = other.pop(metric.name, None)
        if twin is None:
            reasons.append(f"{metric.name}: only A has it.")
            continue
        changed = differences(_definition(metric), _definition(twin))
        if changed:
            how = ", ".join(f"{c.field} {c.a} and {c.b}" for c in changed)
            reasons.append(f"{metric.name}: defined differently ({how}).")
        else:
            same.append(metric)
    return same, [*reasons, *(f"{name}: only B has it." for name in other)]


def _definition(metric: MetricSpec) -> dict[str, Any]:
    """What makes two metrics of a name the same one. Its tolerance and words change no number."""
    keys = ("value", "reduce", "threshold", "unit", "higher_is_better", "version", "over", "weight", "across")
    return {key: getattr(metric, key) for key in keys}
