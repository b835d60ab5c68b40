"""Which pixel of another view shows the same surface point: from depth maps, or from tracks.

Pixels are continuous, pixel (i, j) covers [i, i+1). Cameras are OpenCV, with its distortion where a view has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench3d.contracts import Observations, PosedView
from bench3d.geometry import unproject as geometry


@dataclass(frozen=True)
class Correspondences:
    """`source` and `target` (N, 2) float64 pixels of the same N surface points in two views."""

    source: np.ndarray
    target: np.ndarray

    def __len__(self) -> int:
        return len(self.source)

    def kept(self, which: np.ndarray) -> Correspondences:
        """The rows that `which` (mask or indices) names."""
        return Correspondences(self.source[which], self.target[which])


@dataclass(frozen=True)
class Lifted:
    """Query pixels `xy` (N, 2) of a view and the surface points `world` (N, 3) that they show."""

    xy: np.ndarray
    world: np.ndarray


def lift(view: PosedView, depth: np.ndarray, mask: np.ndarray | None, stride: int) -> Lifted:
    """The queries of a view: centres of every `stride`-th pixel and row that has a depth and, where given, a mask."""
    first = stride // 2
    rows, columns = np.mgrid[first : view.size[1] : stride, first : view.size[0] : stride]
    rows, columns = rows.ravel(), columns.ravel()
    z = depth[rows, columns].astype(np.float64)
    known = np.isfinite(z) & (z > 0)
    if mask is not None:
        known &= mask[rows, columns]
    xy = np.stack([columns[known] + 0.5, rows[known] + 0.5], axis=1)
    world = geometry.unproject(view, xy, z[known])
    seen = np.isfinite(world).all(axis=1)
    return Lifted(xy[seen], world[seen])


def visible(
    lifted: Lifted, target: PosedView, depth: np.ndarray, tolerance: float, relative_tolerance: float
) -> Correspondences:
    """The lifted points that another view shows, by its depth map (H, W): see `bench3d.geometry.unproject.visible`."""
    xy, shown = geometry.visible(target, lifted.world, depth, tolerance, relative_tolerance)
    return Correspondences(lifted.xy[shown], xy[shown])


def tracked(
    source: Observations, target: Observations, source_view: PosedView, target_view: PosedView
) -> Correspondences:
    """The points that both views observe, at the pixels where they were observed (no re-projection)."""
    _, a, b = np.intersect1d(source.points, target.points, assume_unique=True, return_indices=True)
    found = Correspondences(np.asarray(source.xy, dtype=np.float64)[a], np.asarray(target.xy, dtype=np.float64)[b])
    return found.kept(within(found.source, source_view.size) & within(found.target, target_view.size))


def within(xy: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N,) bool: which pixels (N, 2) lie inside an image of size (W, H); NaN does not."""
    with np.errstate(invalid="ignore"):
        inside: np.ndarray = (xy[:, 0] >= 0) & (xy[:, 1] >= 0) & (xy[:, 0] < size[0]) & (xy[:, 1] < size[1])
    return inside


def on_mask(xy: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(N,) bool: whether the pixel that each point (N, 2) inside the image falls in is on a mask (H, W)."""
    column, row = np.floor(xy).astype(np.int64).T
    inside: np.ndarray = mask[row, column]
    return inside
