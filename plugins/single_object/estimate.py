"""How many images a run has, and what one costs beside its features; no torch."""

from __future__ import annotations

from typing import Any

CROP_SECONDS = 0.025  # of one core
POSE_SECONDS = 0.030  # 144 starts and the refinement of eight, on 32x32 cells of 96 channels
SYMMETRY_SECONDS = 0.010  # of a CAD model, which in a twin every image has for itself
MASK_SECONDS = 0.030  # truth and chance on 64x64 cells
SURFACE_SECONDS = 0.400  # seven clouds of 10,000 points against the truth's
IMAGES = {"pascal3d": 200, "objectnet3d": 600}  # of a category of the official lists, roughly
SECONDS = {
    "pascal3d-pose": CROP_SECONDS + POSE_SECONDS + SYMMETRY_SECONDS,
    "objectnet3d-pose": CROP_SECONDS + POSE_SECONDS + SYMMETRY_SECONDS,
    "pascal3d-seg": CROP_SECONDS + POSE_SECONDS + MASK_SECONDS,
    "objectnet3d-seg": CROP_SECONDS + POSE_SECONDS + MASK_SECONDS,
    "pascal3d-shape": CROP_SECONDS + SURFACE_SECONDS,
}


def estimate(plan: Any) -> dict[str, float] | None:
    """The counts of a twin are exact."""
    task, test = plan.resolved.task, plan.resolved.test
    if task is None or task.name not in SECONDS or test is None:
        return None
    if test.twin is None:
        images = IMAGES["objectnet3d" if task.name.startswith("objectnet3d") else "pascal3d"]
    else:
        images = test.twin.images(str(task.settings.split))
    samples = float(images * max(1, len(plan.categories)))
    return {"samples": samples, "seconds_per_sample": SECONDS[task.name]}
