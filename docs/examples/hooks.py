"""A plugin that registers nothing: it refuses a combination, estimates, and keeps a list of finished runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench3d.contracts import AdapterRegistration, BackboneRegistration, ShapeModelRegistration, TaskRegistration
from bench3d.plugins import hookimpl

finished: list[str] = []


@hookimpl
def bench3d_compatible(
    backbone: BackboneRegistration,
    adapter: AdapterRegistration | None,
    shape_model: ShapeModelRegistration | None,
    task: TaskRegistration | None,
) -> str | None:
    """One sentence where a combination cannot run, else None."""
    if adapter is not None and backbone.name == "noise":
        return f"{adapter.name} has nothing to learn from noise."
    return None


@hookimpl
def bench3d_estimate(plan: Any) -> Mapping[str, float] | None:
    """Seconds for each sample beside the backbone's; None for tasks that it does not know."""
    return {"seconds_per_sample": 0.02} if plan.spec.task == "my-task" else None


@hookimpl
def bench3d_run_finished(record: Any) -> None:
    """Called when a record was written."""
    finished.append(record.label)
