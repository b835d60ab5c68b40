"""How many query views a run on a twin has, and what one costs beside its features; no torch."""

from __future__ import annotations

from typing import Any

TASKS = ("onepose-lowtexture", "oneshot-pose")
QUERY_SECONDS = 1.0  # of one core: matching and RANSAC on a twin, 64x64 cells, published and merged banks
VIEWS = 42  # of an object's renderings


def estimate(plan: Any) -> dict[str, float] | None:
    """A twin's counts are exact; those of real data are in their folder alone."""
    task, test = plan.resolved.task, plan.resolved.test
    if task is None or task.name not in TASKS or test is None:
        return None
    answer: dict[str, float] = {"seconds_per_sample": QUERY_SECONDS}
    if test.twin is None:
        return answer
    objects = test.twin.objects * len(test.twin.categories)
    if task.name == "oneshot-pose":
        queries, references = VIEWS // 2, VIEWS // 2
    else:
        references, frames = min(4 * test.twin.views, 60), min(20 * test.twin.views, 200)
        queries = -(-frames // task.settings.query_step)
    asked = objects * queries if plan.spec.limit is None else min(objects * queries, plan.spec.limit)
    seen = min(objects, asked)
    return {**answer, "samples": float(objects * queries), "images": float(asked + seen * references)}
