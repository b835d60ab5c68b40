"""What a fit costs, roughly; no torch. Measured with the preset `quick`, see `bench3d.morphable.estimate`."""

from __future__ import annotations

from typing import Any

from bench3d.morphable.estimate import epoch_views, heads_cost
from bench3d_plugins.uop3d.settings import UOP3DSettings

VIEW_SECONDS = 0.0017  # of one core, a view beside the adapter: a step of 12 takes 200 ms
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
        views = settings.epochs * epoch_views(plan, settings)
    return heads_cost(plan, settings, settings, views, VIEW_SECONDS, "uop3d", ARTIFACT_BYTES)
