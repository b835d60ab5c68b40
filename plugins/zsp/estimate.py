"""What collecting references costs, roughly; no torch."""

from __future__ import annotations

from typing import Any

from bench3d.contracts import BackboneRegistration
from bench3d.features.estimate import image_cost
from bench3d.machine import likely_device
from bench3d.morphable.estimate import training_frames
from bench3d_plugins.zsp.settings import ZSPSettings

MASK_SECONDS = 0.01
"""Of a training frame: CO3D's reader cleans the clouds by all masks of a category. A guess; a third at 256 pixels."""
FOREGROUND = 0.5
MEMORY = 0.9e9


def estimate(plan: Any) -> dict[str, float] | None:
    """Time, memory and disk of one category's references where the plan has this shape model."""
    shape = plan.resolved.shape
    if shape is None or not isinstance(shape.settings, ZSPSettings):
        return None
    settings, backbone = shape.settings, plan.resolved.backbone
    assert isinstance(backbone.registration, BackboneRegistration)
    image = image_cost(backbone.registration, backbone.settings, likely_device(plan.spec.device))
    frames = settings.frames * (len(settings.reference_sequences) or settings.references)
    return {
        "fit_seconds/zsp": training_frames(plan) * MASK_SECONDS + frames * image.seconds,
        "fit_memory_bytes/zsp": MEMORY + image.memory_bytes,
        "fit_disk_bytes/zsp": FOREGROUND * frames * image.map_bytes,
    }
