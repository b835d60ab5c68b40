"""Rough time and memory of a backbone's forward pass from what its registration says; no torch.

Constants were measured with timm's vision transformers at 224 to 1120 pixels in fp32 (2 * parameters * tokens plus
4 * depth * tokens^2 * width operations); those of a GPU are an assumption.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench3d.contracts import BackboneRegistration

CORE_OPERATIONS = 80e9
"""Operations per second of one CPU core."""
GPU_OPERATIONS = 8e12
"""Operations per second of a GPU without TF32: 40 % of the 20e12 that a data sheet promises; not measured."""
FLOOR_SECONDS = 5e-6
"""Of a cell with a backbone without parameters: gradient histograms of 32x32 to 60x60 cells."""
LOADING_SECONDS = 0.005
_UNKNOWN = {"params": 86_000_000, "patch": 14, "dim": 768}  # of a family's member: as a ViT-B
_FLOAT = 4


@dataclass(frozen=True)
class ImageCost:
    """Of one image: seconds of one core or of a GPU, bytes of its map in fp32; memory of the model and a batch."""

    seconds: float
    map_bytes: float
    memory_bytes: float


def image_cost(
    registration: BackboneRegistration, settings: Any, device: str = "cpu", batch: int = 8, cells: int | None = None
) -> ImageCost:
    """What one square image costs.

    Args:
        settings: of the backbone; `bench3d.features.settings.InputSettings` say how many cells a side has.
        device: "cpu" or "cuda".
        batch: images that go through together.
        cells: on a side, where a fit has an input of its own.
    """
    long_cells = getattr(settings, "long_cells", None)
    patch = registration.patch or _UNKNOWN["patch"]
    side = cells or (long_cells(patch) if long_cells else None) or 32
    tokens = side * side + 1
    if registration.weights is None and not registration.params:
        return ImageCost(LOADING_SECONDS + FLOOR_SECONDS * tokens, 128.0 * _FLOAT * tokens, 64e6)
    params, width = registration.params or _UNKNOWN["params"], registration.dim or _UNKNOWN["dim"]
    depth = params / (12 * width * width)
    operations = 2.0 * params * tokens + 4.0 * depth * tokens * tokens * width
    rate = GPU_OPERATIONS if device == "cuda" else CORE_OPERATIONS
    memory = _FLOAT * (params + 12.0 * batch * tokens * width)
    return ImageCost(LOADING_SECONDS + operations / rate, float(_FLOAT) * tokens * width, memory)
