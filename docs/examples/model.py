"""A model that gives the mean brightness and contrast of cells of 8 x 8 pixels."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F

from bench3d.contracts import FeatureMap, ImageBatch, Model, WeightedMap

CELL = 8


class Brightness(Model):
    """Two channels a cell; the image's own size, rows and columns that fill no cell left out."""

    def features(self, batch: ImageBatch) -> list[WeightedMap]:
        """(B, 2, H/8, W/8)."""
        import torch

        grey = batch.images.float().mean(1, keepdim=True)
        mean = F.avg_pool2d(grey, CELL)
        spread = (F.avg_pool2d(grey**2, CELL) - mean**2).clamp(min=0).sqrt()
        values = torch.cat([mean, spread], dim=1)
        grid = (values.shape[3], values.shape[2])
        geometry = tuple(g.with_grid(grid, (float(CELL),) * 2, (0.0, 0.0)) for g in batch.geometry)
        return [WeightedMap(FeatureMap(values, geometry))]

    def describe(self) -> dict[str, Any]:
        """Facts for the record."""
        return {"patch": CELL, "params": 0}
