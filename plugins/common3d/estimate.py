"""What a fit costs, roughly; no torch.

The `quick` preset was measured: 11,100 training views of 32x32 cells through heads 192 wide take 85 to 100 s on two
cores that share them. `paper` on a GPU is the authors' own bound (protocol page common3d.md, 4): 10 hours of one
RTX 2080 for some 270,000 views.
"""

from __future__ import annotations

from typing import Any

from bench3d.contracts import BackboneRegistration
from bench3d.features.estimate import image_cost
from bench3d.machine import likely_device
from bench3d_plugins.common3d.settings import Common3DSettings

VIEW_SECONDS = 0.015  # of one core, a training view of 32x32 cells and heads 192 wide
GPU_VIEW_SECONDS = 36_000 / 270_000  # the same of `paper`: 64x64 cells, heads 512 wide, its backbone included
SEQUENCE_FRAMES = 150  # of a real CO3D sequence: 100 to 200
SEQUENCES = 45
ARTIFACT_BYTES = 30e6


def estimate(plan: Any) -> dict[str, float] | None:
    """Time, memory and disk of one category's fit where the plan has this shape model."""
    shape = plan.resolved.shape
    if shape is None or not isinstance(shape.settings, Common3DSettings):
        return None
    settings, backbone = shape.settings, plan.resolved.backbone
    assert isinstance(backbone.registration, BackboneRegistration)
    device = likely_device(plan.spec.device)
    image = image_cost(backbone.registration, backbone.settings, device, settings.batch)
    long_cells = getattr(backbone.settings, "long_cells", None)
    cells = (long_cells(backbone.registration.patch or 14) if long_cells else None) or 32
    cells *= 2 if settings.adapter_upsample else 1
    frames = _frames(plan)
    views = _views(settings, frames)
    size = (cells / 32) ** 2 * (settings.adapter_widths[0] / 192) ** 2
    if device == "cuda":
        seconds = views * GPU_VIEW_SECONDS * size / ((64 / 32) ** 2 * (512 / 192) ** 2)
    else:
        encoded = views if settings.views == "live" else frames * settings.views_per_frame
        seconds = views * VIEW_SECONDS * size + encoded * image.seconds
    batch_bytes = settings.batch * cells * cells * sum(settings.adapter_widths) * 4 * 6
    return {
        "fit_seconds/common3d": seconds,
        "fit_memory_bytes/common3d": 1.2e9 + image.memory_bytes + batch_bytes,
        "fit_disk_bytes/common3d": ARTIFACT_BYTES,
    }


def _frames(plan: Any) -> float:
    """Training frames of a category."""
    source = next(iter(plan.resolved.train.values()), None)
    twin = None if source is None else source.twin
    return float(SEQUENCES * SEQUENCE_FRAMES if twin is None else twin.train_instances * twin.views)


def _views(settings: Common3DSettings, frames: float) -> float:
    """Views that go through the heads in both stages; an epoch has as many batches as the frames fill."""
    stages = (
        (settings.template_iterations, settings.template_epochs, settings.template_batch or settings.batch),
        (settings.appearance_iterations, settings.appearance_epochs, settings.batch),
    )
    total = 0.0
    for iterations, epochs, batch in stages:
        steps = iterations * settings.accumulate if iterations is not None else epochs * frames / batch
        total += steps * batch
    return total
