"""What a fit costs, roughly; no torch."""

from __future__ import annotations

from typing import Any

from bench3d.morphable.estimate import heads_cost, training_frames
from bench3d_plugins.uop3d.settings import UOP3DSettings

ARTIFACT_BYTES = 5e6


def estimate(plan: Any) -> dict[str, float] | None:
    """Time, memory and disk of one category's fit where the plan has this shape model."""
    shape = plan.resolved.shape
    if shape is None or not isinstance(shape.settings, UOP3DSettings):
        return None
    settings = shape.settings
    if settings.iterations is not None:
        views = float(settings.iterations * settings.accumulate * settings.batch)
    else:
        per_frame = settings.views_per_frame if settings.views == "cached" else 1
        views = settings.epochs * training_frames(plan) * per_frame
    return heads_cost(plan, settings, settings, views, "uop3d", ARTIFACT_BYTES)
