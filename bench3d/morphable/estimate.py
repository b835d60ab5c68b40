"""What the fit of heads on cached or live training views costs, roughly; no torch.

With the `quick` presets (HOG, 32x32 cells, an adapter 192 wide, batches of 12) an appearance step of Common3D takes
250 ms of one core, 71 ms without its adapter; the rest is each plugin's own. On a GPU it is the authors' own bound for
`paper` (protocol page common3d.md, 4): 10 hours of one RTX 2080, in half of whose 270,000 views the adapter learns.
"""

from __future__ import annotations

from typing import Any

from bench3d.contracts import BackboneRegistration
from bench3d.features.estimate import image_cost
from bench3d.machine import likely_device
from bench3d.morphable.settings import HeadSettings, ViewSettings

ADAPTER_SECONDS = 0.015  # of one core, a training view through an adapter 192 wide on 32x32 cells
GPU_SPEED = 135_000 * ADAPTER_SECONDS * (64 / 32) ** 2 * (512 / 192) ** 2 / 36_000  # in cores; what `paper` needs
SEQUENCE_FRAMES = 150  # of a real CO3D sequence: 100 to 200
SEQUENCES = 45
CPU_MEMORY = 1.2e9


def training_frames(plan: Any) -> float:
    """Training frames of a category: of the twin's spec, else those of a real category."""
    source = next(iter(plan.resolved.train.values()), None)
    twin = None if source is None else source.twin
    return float(SEQUENCES * SEQUENCE_FRAMES if twin is None else twin.train_instances * twin.views)


def epoch_views(plan: Any, view: ViewSettings) -> float:
    """Training views of an epoch."""
    return training_frames(plan) * (view.views_per_frame if view.views == "cached" else 1)


def feature_cells(plan: Any) -> int:
    """Cells on a side of the backbone's maps."""
    backbone = plan.resolved.backbone
    long_cells = getattr(backbone.settings, "long_cells", None)
    return (long_cells(backbone.registration.patch or 14) if long_cells else None) or 32


def heads_cost(
    plan: Any,
    view: ViewSettings,
    head: HeadSettings | None,
    views: float,
    view_seconds: float,
    name: str,
    artifact_bytes: float,
    other_seconds: float = 0.0,
) -> dict[str, float]:
    """Time, memory and disk of one category's fit that looks at the features of `views` views.

    Args:
        view: canvas, batch and whether features are kept; head: how wide the adapter is, None without one.
        view_seconds: of one core, what a view costs beside backbone and adapter, on 32x32 cells.
        name: of the shape model, for the keys.
        other_seconds: of one core, of the whole fit, whatever the cells.
    """
    backbone = plan.resolved.backbone
    assert isinstance(backbone.registration, BackboneRegistration)
    device = likely_device(plan.spec.device)
    image = image_cost(backbone.registration, backbone.settings, device, view.batch)
    cells = feature_cells(plan) * (2 if head is not None and head.adapter_upsample else 1)
    adapter = 0.0 if head is None else ADAPTER_SECONDS * (head.adapter_widths[0] / 192) ** 2
    seconds = views * (adapter + view_seconds) * (cells / 32) ** 2 + other_seconds
    encoded = views if view.views == "live" else epoch_views(plan, view)
    batch_bytes = 0 if head is None else view.batch * cells * cells * sum(head.adapter_widths) * 4 * 6
    return {
        f"fit_seconds/{name}": seconds / (GPU_SPEED if device == "cuda" else 1) + encoded * image.seconds,
        f"fit_memory_bytes/{name}": CPU_MEMORY + image.memory_bytes + batch_bytes,
        f"fit_disk_bytes/{name}": artifact_bytes,
    }
