"""Feature maps that carry the pixel geometry of their input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from bench3d.geometry.pixels import PixelGeometry


@dataclass(frozen=True)
class FeatureMap:
    """Dense features of a batch.

    Attributes:
        values: (B, C, h, w) float32.
        geometry: B maps from original pixels to cells (`geometry[i].grid_size == (w, h)`).
    """

    values: torch.Tensor
    geometry: tuple[PixelGeometry, ...]

    def sample(self, xy: torch.Tensor) -> torch.Tensor:
        """Bilinear features at original-image pixels. xy (B, N, 2) -> (B, N, C); border cells are extended."""
        import torch.nn.functional as F

        grid = torch_grid([g.original_to_cell(p) for g, p in zip(self.geometry, xy, strict=True)], self.values)
        out = F.grid_sample(self.values, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return out[:, :, 0].transpose(1, 2)

    def locate(self, cells: torch.Tensor) -> torch.Tensor:
        """Original-image pixels of continuous cell coordinates (cell centres at +0.5). (B, N, 2) -> (B, N, 2)."""
        import torch

        return torch.stack([g.cell_to_original(c) for g, c in zip(self.geometry, cells, strict=True)])


def torch_grid(cells: list[torch.Tensor], values: torch.Tensor) -> torch.Tensor:
    """Normalised sampling grid (B, 1, N, 2) for grid_sample(align_corners=False) from continuous cell coordinates."""
    import torch

    size = torch.tensor([values.shape[3], values.shape[2]], dtype=values.dtype, device=values.device)
    stacked = torch.stack(cells).to(values.dtype).to(values.device)
    return (2 * stacked / size - 1)[:, None]


@dataclass(frozen=True)
class WeightedMap:
    """One map of a model and its weight in a blended similarity (Common3D blends two: 0.8 and 0.2)."""

    map: FeatureMap
    weight: float = 1.0
