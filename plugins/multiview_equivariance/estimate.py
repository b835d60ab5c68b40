"""How many views a run on a twin has, and what the correspondences of one cost beside its features; no torch."""

from __future__ import annotations

from typing import Any

VIEWS = 42  # of an object's renderings
VIEW_SECONDS = 0.8  # of one core: a view with its targets, 1,000 queries a pair, 32x32 cells
MEASURED_GRID = 32


def estimate(plan: Any) -> dict[str, float] | None:
    """A twin's count of views is exact; how many views real data hold is in their folder alone."""
    task, test = plan.resolved.task, plan.resolved.test
    if task is None or not task.name.endswith("-equivariance") or test is None:
        return None
    grid = getattr(plan.resolved.backbone.settings, "grid", None) or MEASURED_GRID
    answer = {"seconds_per_sample": VIEW_SECONDS * (grid / MEASURED_GRID) ** 2}
    if test.twin is None:
        return answer
    objects = test.twin.objects * len(test.twin.categories)
    seen = objects if plan.spec.limit is None else min(objects, plan.spec.limit)  # with all views, as targets
    return {**answer, "samples": float(VIEWS * objects), "images": float(VIEWS * seen)}
