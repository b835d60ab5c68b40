"""What the fit of heads on cached or live training views costs, roughly; no torch.

Common3D's `quick` preset was measured: 11,100 training views of 32x32 cells through heads 192 wide take 85 to 100 s on
two cores that share them. On a GPU it is the authors' own bound for `paper` (protocol page common3d.md, 4): 10 hours of
one RTX 2080 for some 270,000 views.
"""

from __future__ import annotations

from typing import Any

from bench3d.contracts import BackboneRegistration
from bench3d.features.estimate import image_cost
from bench3d.machine import likely_device
from bench3d.morphable.settings import HeadSettings, ViewSettings

VIEW_SECONDS = 0.015  # of one core, a training view of 32x32 cells and heads 192 wide
GPU_VIEW_SECONDS = 36_000 / 270_000  # the same of `paper`: 64x64 cells, heads 512 wide, its backbone included
SEQUENCE_FRAMES = 150  # of a real CO3D sequence: 100 to 200
SEQUENCES = 45
CPU_MEMORY = 1.2e9


def training_frames(plan: Any) -> float:
    """Training frames of a category: of the twin's spec, else those of a real category."""
    source = next(iter(plan.resolved.train.values()), None)
    twin = None if source is None else source.twin
    return float(SEQUENCES * SEQUENCE_FRAMES if twin is None else twin.train_instances * twin.views)


def heads_cost(
    plan: Any, view: ViewSettings, head: HeadSettings, views: float, name: str, artifact_bytes: float
) -> dict[str, float]:
    """Time, memory and disk of one category's fit that sends `views` views through the adapter.

    Args:
        view: canvas, batch and whether features are kept; head: how wide the adapter is.
        name: of the shape model, for the keys.
    """
    backbone = plan.resolved.backbone
    assert isinstance(backbone.registration, BackboneRegistration)
    device = likely_device(plan.spec.device)
    image = image_cost(backbone.registration, backbone.settings, device, view.batch)
    long_cells = getattr(backbone.settings, "long_cells", None)
    cells = (long_cells(backbone.registration.patch or 14) if long_cells else None) or 32
    cells *= 2 if head.adapter_upsample else 1
    size = (cells / 32) ** 2 * (head.adapter_widths[0] / 192) ** 2
    if device == "cuda":
        seconds = views * GPU_VIEW_SECONDS * size / ((64 / 32) ** 2 * (512 / 192) ** 2)
    else:
        encoded = views if view.views == "live" else training_frames(plan) * view.views_per_frame
        seconds = views * VIEW_SECONDS * size + encoded * image.seconds
    batch_bytes = view.batch * cells * cells * sum(head.adapter_widths) * 4 * 6
    return {
        f"fit_seconds/{name}": seconds,
        f"fit_memory_bytes/{name}": CPU_MEMORY + image.memory_bytes + batch_bytes,
        f"fit_disk_bytes/{name}": artifact_bytes,
    }
