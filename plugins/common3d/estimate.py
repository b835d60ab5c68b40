"""What a fit costs, roughly; no torch. The figures are of the preset `quick`, see `bench3d.morphable.estimate`."""

from __future__ import annotations

from typing import Any

from bench3d.morphable.estimate import epoch_views, heads_cost
from bench3d_plugins.common3d.settings import Common3DSettings

TEMPLATE_SECONDS = 0.0045  # of one core, a view of stage 1: 27 ms for a batch of 6
APPEARANCE_SECONDS = {"dense": 0.006, "reconstruction": 0.006, "sparse": 0.0084}
"""Of one core, a view of stage 2 beside the adapter. Of 250 ms for a batch of 12 a rigid template saves one."""
ARTIFACT_BYTES = 30e6


def estimate(plan: Any) -> dict[str, float] | None:
    """Time, memory and disk of one category's fit where the plan has this shape model."""
    shape = plan.resolved.shape
    if shape is None or not isinstance(shape.settings, Common3DSettings):
        return None
    settings = shape.settings
    template, appearance = _views(settings, epoch_views(plan, settings))
    return heads_cost(
        plan,
        settings,
        settings if settings.adapter else None,
        appearance,
        APPEARANCE_SECONDS[settings.appearance_loss],
        "common3d",
        ARTIFACT_BYTES,
        other_seconds=template * TEMPLATE_SECONDS,
    )


def _views(settings: Common3DSettings, epoch: float) -> list[float]:
    """Views of either stage; an epoch has as many batches as its views fill."""
    stages = (
        (settings.template_iterations, settings.template_epochs, settings.template_batch or settings.batch),
        (settings.appearance_iterations, settings.appearance_epochs, settings.batch),
    )
    return [
        epochs * epoch if iterations is None else float(iterations * settings.accumulate * batch)
        for iterations, epochs, batch in stages
    ]
