"""Mean colour per cell."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from bench3d.features.backbone import DenseBackbone
from bench3d.features.settings import InputSettings
from bench3d.features.weights import no_weights

CELL = 8


def mean_colour(images: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) in [0, 1] -> (B, 3, H/8, W/8)."""
    return F.avg_pool2d(images, CELL)


def create(weights: str, settings: InputSettings, device: str) -> DenseBackbone:
    """The backbone; it has no weights, WeightsError where a file is given."""
    no_weights(weights, "rgb")
    return DenseBackbone(mean_colour, patch=CELL, settings=settings, device=device, facts={"params": 0, "dim": 3})
