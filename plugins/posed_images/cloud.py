"""Which points of a cloud a view sees: projection with lens distortion, occlusion by a z-buffer of the cloud itself.

Approximate: a cloud has holes, through which points behind it count as seen, and a splat is coarser than the surface.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import minimum_filter

from bench3d.contracts import Observations, PosedView

MOST_POINTS = 100_000
"""A larger cloud is thinned evenly: that many correspondences are plenty."""
BEHIND = 0.05  # share of the depth by which a point may lie behind the nearest splat and still be seen
POINTS_PER_CELL = 1.0
COARSEST = 16  # cells of the z-buffer along the shorter side, at least
NOTE = "points of the cloud; what hides them is decided by a z-buffer of the cloud, so visibility is approximate"


def thinned(points: np.ndarray) -> np.ndarray:
    """At most MOST_POINTS of the points (N, 3), evenly spaced in their order."""
    return points[:: -(-len(points) // MOST_POINTS)] if len(points) > MOST_POINTS else points


def observe(points: np.ndarray, view: PosedView) -> Observations:
    """The points (N, 3) world that a view sees; ids are their rows."""
    camera = points @ view.cam_T_world[:3, :3].T + view.cam_T_world[:3, 3]
    depth = camera[:, 2]
    ahead = np.flatnonzero(depth > 1e-6 * max(float(np.abs(depth).max(initial=0.0)), 1e-12))
    plane = camera[ahead, :2] / depth[ahead, None]
    if view.distortion is not None:
        held = (plane**2).sum(axis=1) < fold(view.distortion)
        ahead, plane = ahead[held], distort(plane[held], view.distortion)
    xy = plane @ view.intrinsics[:2, :2].T + view.intrinsics[:2, 2]
    inside = (xy >= 0).all(axis=1) & (xy < view.size).all(axis=1)
    ahead, xy = ahead[inside], xy[inside]
    seen = in_front(xy, depth[ahead], view.size)
    return Observations(points=ahead[seen].astype(np.int64), xy=xy[seen])


def in_front(xy: np.ndarray, depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N,) bool: the points at pixels (N, 2) that no splat of the others hides.

    A splat covers three by three cells; a cell holds about one point, so that a surface has no holes on average.
    """
    if not len(xy):
        return np.zeros(0, dtype=bool)
    cell = np.sqrt(size[0] * size[1] * POINTS_PER_CELL / len(xy))
    cell = float(np.clip(cell, 1.0, min(size) / COARSEST)) if min(size) > COARSEST else 1.0
    column, row = (xy / cell).astype(np.int64).T
    nearest = np.full((int(size[1] / cell) + 1, int(size[0] / cell) + 1), np.inf)
    np.minimum.at(nearest, (row, column), depth)
    nearest = minimum_filter(nearest, size=3, mode="nearest")
    return depth <= nearest[row, column] * (1.0 + BEHIND)


def distort(plane: np.ndarray, distortion: tuple[float, float, float, float]) -> np.ndarray:
    """OpenCV's lens model (k1, k2, p1, p2) on points (N, 2) of the plane z = 1."""
    k1, k2, p1, p2 = distortion
    x, y = plane.T
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * k2)
    return np.stack(
        [x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y],
        axis=1,
    )


def fold(distortion: tuple[float, float, float, float]) -> float:
    """Squared radius from which the radial model folds back, so that far points would fall into the image again.

    The smallest positive root s of d/dr r(1 + k1 r^2 + k2 r^4) = 1 + 3 k1 s + 5 k2 s^2; infinity where there is none.
    """
    roots = np.roots([5 * distortion[1], 3 * distortion[0], 1.0])
    real = roots[np.abs(np.imag(roots)) < 1e-12].real
    return float(min(real[real > 0], default=np.inf))
