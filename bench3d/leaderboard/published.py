"""Tables of what papers report on tasks that nobody has measured here on real data yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from bench3d.contracts import TaskRegistration
from bench3d.leaderboard.board import MEAN, Metric, Table
from bench3d.leaderboard.reported import ReportedValue, load_reported, reported_rows
from bench3d.plugins import load_registry

PROTOCOL = "as published"
_LESS_IS_BETTER = frozenset({"APE", "median error"})


def published_tables(measured: Collection[str]) -> list[Table]:
    """A table without measured rows for every task that papers report and that is not in `measured`."""
    tasks: dict[str, list[ReportedValue]] = {}
    for value in load_reported().values:
        if value.task not in measured:
            tasks.setdefault(value.task, []).append(value)
    return [_table(task, values) for task, values in sorted(tasks.items())]


def _table(task: str, values: list[ReportedValue]) -> Table:
    registry = load_registry()
    found = registry.get("task", task) if task in registry.names("task") else None
    registration = found if isinstance(found, TaskRegistration) else None
    headline = registration.headline if registration is not None else ""
    metrics = {
        v.metric: Metric(name=v.metric, unit=v.unit, higher_is_better=v.metric not in _LESS_IS_BETTER) for v in values
    }
    ordered = sorted(metrics.values(), key=lambda m: m.name != headline)
    categories = tuple(dict.fromkeys(v.category for v in values if v.category != MEAN))
    return Table(
        id=f"{task}-published",
        task=task,
        protocol=PROTOCOL,
        summary=registration.summary if registration is not None else "",
        dataset=registration.dataset if registration is not None else "",
        synthetic=False,
        headline=ordered[0].name,
        metrics=ordered,
        categories=categories,
        reported=reported_rows(task, _protocol(task, values), [m.name for m in ordered], categories),
    )


def _protocol(task: str, values: list[ReportedValue]) -> str:
    """The protocol of ours that most of the values follow; "" where none does."""
    reported = load_reported()
    followed = Counter(
        like.partition("/")[2] for v in values for like in reported.place(v).like if like.partition("/")[0] == task
    )
    return followed.most_common(1)[0][0] if followed else ""
