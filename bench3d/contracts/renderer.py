"""The rasteriser contract: what nvdiffrast defines, with row 0 at the top of the image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Renderer(ABC):
    """Triangle rasteriser with differentiable interpolation and silhouette antialiasing.

    Clip space: x_ndc = x/w in [-1, 1] left to right, y_ndc = -1 is the top edge of row 0 (so image y runs down),
    z/w in [-1, 1], the smaller the nearer. Nothing is culled by orientation. Triangles that cross w <= 0 are dropped.
    """

    name: str

    @abstractmethod
    def rasterize(self, clip: torch.Tensor, faces: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Clip (B, V, 4) float32, faces (F, 3) int32, size (H, W) -> (B, H, W, 4) float32: u, v, z/w, triangle id + 1.

        Sampled at pixel centres; an attribute is u*a0 + v*a1 + (1-u-v)*a2, perspective-correct; empty pixels are 0.
        u and v are differentiable with respect to `clip` (z/w and the id are not).
        """

    @abstractmethod
    def interpolate(self, attributes: torch.Tensor, raster: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        """Attributes (B or 1, V, C), raster (B, H, W, 4), faces (F, 3) -> (B, H, W, C); 0 in empty pixels.

        Differentiable with respect to `attributes` and, through u and v, to the vertices.
        """

    @abstractmethod
    def antialias(
        self, colour: torch.Tensor, raster: torch.Tensor, clip: torch.Tensor, faces: torch.Tensor
    ) -> torch.Tensor:
        """Blends pixels across silhouette edges (Laine et al. 2020, section 3.5). colour (B, H, W, C) -> same shape.

        A backend may look for the silhouette edge beyond the pixel's own triangle, as the CPU one does: on meshes of
        triangles smaller than a pixel the published search misses most of them, and with them the gradient.

        Differentiable with respect to `colour` and, at silhouettes, to `clip`.
        """
