"""The hog backbone. It computes on the CPU, one thread, and moves the features to the device that was asked for."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from bench3d.features.backbone import DenseBackbone
from bench3d.features.weights import no_weights
from bench3d_plugins.hog.histograms import CHANNELS, LEVELS, describe
from bench3d_plugins.hog.settings import HogSettings

CELL = 8
OPPONENT = torch.tensor([[2**-0.5, -(2**-0.5), 0.0], [6**-0.5, 6**-0.5, -2 * 6**-0.5], [3**-0.5, 3**-0.5, 3**-0.5]])


class Hog:
    """(B, 3, H, W) float32 in [0, 1] -> (B, 93 or 96, H/8, W/8); image by image, so a batch changes no bit."""

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Features of a batch, on its device."""
        arrays = images.detach().cpu().contiguous().numpy()
        stacked = torch.from_numpy(np.stack([describe(a, CELL, LEVELS) for a in arrays]))
        values = stacked.permute(0, 3, 1, 2).contiguous().to(images.device)
        if not self.colour:
            return values
        opponent = torch.einsum("oc,bchw->bohw", OPPONENT.to(images), F.avg_pool2d(images, CELL))
        return torch.cat([values, opponent], dim=1)


def create(weights: str, settings: HogSettings, device: str) -> DenseBackbone:
    """The backbone; it has no weights, WeightsError where a file is given."""
    no_weights(weights, "hog")
    dim = LEVELS * CHANNELS + (3 if settings.colour else 0)
    return DenseBackbone(
        Hog(settings.colour), patch=CELL, settings=settings, device=device, facts={"params": 0, "dim": dim}
    )
