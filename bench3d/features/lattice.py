"""Where a feature map is looked at: a lattice of columns x rows of points in continuous cell coordinates.

Cell (i, j) covers [i, i+1), its centre lies at +0.5. Between cell centres a map is bilinear; a point outside the
outermost cell centres sees the border cell. No lattice changes a feature: it only says where the map is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bench3d.geometry.pixels import PixelGeometry


@dataclass(frozen=True)
class AxisCells:
    """The points of one axis between the cells of a map.

    Attributes:
        low, high: (P,) int64 neighbouring cells; equal on a map of one cell.
        weight: (P,) float64 in [0, 1], share of `high`.
        start: (Q + 1,) int64, Q = max(cells - 1, 1): points start[q] to start[q + 1] lie between cells q and q + 1.
    """

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    start: np.ndarray

    @cached_property
    def last(self) -> np.ndarray:
        """(Q,) int64: the last point of every interval, of repeated points the first; start[q] where there is none."""
        position = self.low + self.weight
        final = np.maximum(self.start[1:] - 1, 0)
        return np.maximum(np.searchsorted(position, position[final]), self.start[:-1]).astype(np.int64)

    @cached_property
    def ends(self) -> np.ndarray:
        """(E,) int64: the first and the last point of every interval that has points, ascending and unique."""
        filled = np.diff(self.start) > 0
        return np.unique(np.concatenate([self.start[:-1][filled], self.last[filled]]))


@dataclass(frozen=True, eq=False)
class Lattice:
    """Columns `x` (W,) and rows `y` (H,) of points, float64 continuous cell coordinates, ascending (repeats allowed).

    Raises:
        ValueError: an axis is empty, not finite, or descends.
    """

    x: np.ndarray
    y: np.ndarray

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            axis = np.array(getattr(self, name), dtype=np.float64)
            if axis.ndim != 1 or not len(axis) or not np.isfinite(axis).all() or (np.diff(axis) < 0).any():
                raise ValueError(f"Lattice.{name} must be finite, ascending coordinates of at least one point")
            axis.setflags(write=False)
            object.__setattr__(self, name, axis)

    @property
    def size(self) -> tuple[int, int]:
        """(W, H): columns, rows."""
        return len(self.x), len(self.y)

    @cached_property
    def key(self) -> bytes:
        """Equal for lattices of equal points."""
        return len(self.x).to_bytes(8, "little") + self.x.tobytes() + self.y.tobytes()

    @staticmethod
    def cells(grid_size: tuple[int, int]) -> Lattice:
        """The centres of the cells of a (w, h) grid."""
        return Lattice(np.arange(grid_size[0]) + 0.5, np.arange(grid_size[1]) + 0.5)

    @staticmethod
    def pixels(geometry: PixelGeometry, size: tuple[int, int] | None = None, stride: int = 1) -> Lattice:
        """Centres of the original image's pixels: column i is pixel i * stride.

        Args:
            geometry: from original pixels to cells.
            size: the original image seen as `size` (W, H) pixels of equal extent; None is its own size.
            stride: every stride-th column and row.
        """
        whole = geometry.original_size
        counts = size or whole
        x, y = ((np.arange(0, n, stride) + 0.5) * (side / n) for n, side in zip(counts, whole, strict=True))
        # The geometry is separable: both axes ride through it together, the shorter one filled up.
        points = np.zeros((max(len(x), len(y)), 2))
        points[: len(x), 0], points[: len(y), 1] = x, y
        mapped = geometry.original_to_cell(points)
        return Lattice(mapped[: len(x), 0], mapped[: len(y), 1])

    @staticmethod
    def corner_aligned(grid: tuple[int, int], size: tuple[int, int]) -> Lattice:
        """A (w, h) grid resized to `size` (W, H) as `interpolate(mode="bilinear", align_corners=True)` does."""
        x, y = (np.arange(n) * ((g - 1) / (n - 1) if n > 1 else 0.0) + 0.5 for g, n in zip(grid, size, strict=True))
        return Lattice(x, y)

    @staticmethod
    def stretched(grid: tuple[int, int], size: tuple[int, int]) -> Lattice:
        """A (w, h) grid resized to `size` (W, H) as `interpolate(mode="bilinear", align_corners=False)` does."""
        x, y = ((np.arange(n) + 0.5) * (g / n) for g, n in zip(grid, size, strict=True))
        return Lattice(x, y)

    def edge_padded(self, left: int, top: int, size: tuple[int, int]) -> Lattice:
        """The outermost points repeated: `left` columns and `top` rows before, up to `size` (W, H) after."""
        x, y = (
            axis[np.clip(np.arange(n) - before, 0, len(axis) - 1)]
            for axis, before, n in zip((self.x, self.y), (left, top), size, strict=True)
        )
        return Lattice(x, y)

    def on(self, grid_size: tuple[int, int]) -> tuple[AxisCells, AxisCells]:
        """The columns and rows between the cells of a (w, h) grid."""
        return _between(self.x, grid_size[0]), _between(self.y, grid_size[1])


def _between(axis: np.ndarray, cells: int) -> AxisCells:
    position = np.clip(axis - 0.5, 0.0, cells - 1.0)
    low = np.minimum(np.floor(position), max(cells - 2, 0)).astype(np.int64)
    start = np.searchsorted(low, np.arange(max(cells - 1, 1) + 1)).astype(np.int64)
    return AxisCells(low, np.minimum(low + 1, cells - 1), position - low, start)
