"""How many images a run has, and what one costs beside its features; no torch."""

from __future__ import annotations

from typing import Any

CROP_SECONDS = 0.025  # of one core
POSE_SECONDS = 0.030  # 144 starts and the refinement of eight, on 32x32 cells of 96 channels
IMAGES = 200  # of a category of the official validation lists, roughly


def estimate(plan: Any) -> dict[str, float] | None:
    """The counts of a twin are exact."""
    task, test = plan.resolved.task, plan.resolved.test
    if task is None or task.name != "pascal3d-pose" or test is None:
        return None
    images = IMAGES if test.twin is None else test.twin.images(str(task.settings.split))
    samples = float(images * max(1, len(plan.categories)))
    return {"samples": samples, "seconds_per_sample": CROP_SECONDS + POSE_SECONDS}
