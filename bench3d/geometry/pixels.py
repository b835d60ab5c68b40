"""The one map between original image, network input and feature cells (design section 6).

Pixel (i, j) covers [i, i+1): coordinates are continuous, centres of integer pixels lie at +0.5. Cells likewise: cell
(i, j) covers [i, i+1) in cell coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

Points = TypeVar("Points")


@dataclass(frozen=True)
class PixelGeometry:
    """original --(scale, offset)--> input --(stride, origin)--> cells.

    Attributes:
        original_size: (W, H) of the image on disk.
        input_size: (W, H) of the network input.
        scale, offset: input = scale * original + offset, per axis.
        stride: input pixels per cell, per axis; None before features exist.
        origin: input coordinate of the left/top edge of cell (0, 0).
        grid_size: (w, h) of the feature grid.
    """

    original_size: tuple[int, int]
    input_size: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    stride: tuple[float, float] | None = None
    origin: tuple[float, float] = (0.0, 0.0)
    grid_size: tuple[int, int] | None = None

    @staticmethod
    def identity(size: tuple[int, int]) -> PixelGeometry:
        """The image itself is the input."""
        return PixelGeometry(original_size=size, input_size=size)

    def resized(self, size: tuple[int, int]) -> PixelGeometry:
        """The input stretched to `size` (W, H); drops the grid."""
        rx, ry = size[0] / self.input_size[0], size[1] / self.input_size[1]
        return replace(
            self,
            input_size=size,
            scale=(self.scale[0] * rx, self.scale[1] * ry),
            offset=(self.offset[0] * rx, self.offset[1] * ry),
            stride=None,
            grid_size=None,
        )

    def padded(self, left: int, top: int, size: tuple[int, int]) -> PixelGeometry:
        """The input with padding on the left and top, `size` (W, H) afterwards; drops the grid."""
        return replace(
            self,
            input_size=size,
            offset=(self.offset[0] + left, self.offset[1] + top),
            stride=None,
            grid_size=None,
        )

    def with_grid(
        self, grid_size: tuple[int, int], stride: tuple[float, float], origin: tuple[float, float] = (0.0, 0.0)
    ) -> PixelGeometry:
        """The same map with a feature grid of (w, h) cells."""
        return replace(self, grid_size=grid_size, stride=stride, origin=origin)

    def original_to_input(self, xy: Points) -> Points:
        """(..., 2) original pixels to input pixels."""
        return xy * _like(self.scale, xy) + _like(self.offset, xy)  # type: ignore[operator]

    def input_to_original(self, xy: Points) -> Points:
        """(..., 2) input pixels to original pixels."""
        return (xy - _like(self.offset, xy)) / _like(self.scale, xy)  # type: ignore[operator]

    def input_to_cell(self, xy: Points) -> Points:
        """(..., 2) input pixels to continuous cell coordinates."""
        return (xy - _like(self.origin, xy)) / _like(self._stride(), xy)  # type: ignore[operator]

    def cell_to_input(self, xy: Points) -> Points:
        """(..., 2) continuous cell coordinates to input pixels."""
        return xy * _like(self._stride(), xy) + _like(self.origin, xy)  # type: ignore[operator]

    def original_to_cell(self, xy: Points) -> Points:
        """(..., 2) original pixels to continuous cell coordinates."""
        return self.input_to_cell(self.original_to_input(xy))

    def cell_to_original(self, xy: Points) -> Points:
        """(..., 2) continuous cell coordinates to original pixels."""
        return self.input_to_original(self.cell_to_input(xy))

    def input_intrinsics(self, intrinsics: np.ndarray) -> np.ndarray:
        """(3, 3) intrinsics of the original image to those of the input."""
        matrix = np.array(
            [[self.scale[0], 0, self.offset[0]], [0, self.scale[1], self.offset[1]], [0, 0, 1]], dtype=np.float64
        )
        return matrix @ np.asarray(intrinsics, dtype=np.float64)

    def _stride(self) -> tuple[float, float]:
        if self.stride is None:
            raise ValueError("This pixel geometry has no feature grid yet: call with_grid first.")
        return self.stride


def _like(pair: tuple[float, float], xy: Any) -> Any:
    """`pair` as an array of the same kind (numpy or torch), dtype and device as `xy`."""
    return np.asarray(pair) if isinstance(xy, np.ndarray) else xy.new_tensor(pair)
