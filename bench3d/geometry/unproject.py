"""Pixels with depth to points of the world, and back: pinhole cameras with OpenCV's distortion where a view has it.

Pixels are continuous, pixel (i, j) covers [i, i+1). Depths are along the optical axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bench3d.contracts import PosedView

_STEPS = 20
_ROUND_TRIP = 1e-6  # in normalised coordinates: a thousandth of a pixel at a focal length of 1000


def distort(xy: np.ndarray, distortion: tuple[float, float, float, float]) -> np.ndarray:
    """Normalised pinhole coordinates (N, 2) to distorted ones: OpenCV's model with k1, k2, p1, p2."""
    k1, k2, p1, p2 = distortion
    x, y = xy[:, 0], xy[:, 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * k2)
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=1,
    )


def undistort(xy: np.ndarray, distortion: tuple[float, float, float, float]) -> np.ndarray:
    """Inverse of `distort` by Newton's method from the distorted point; NaN where it does not come back to it."""
    k1, k2, p1, p2 = distortion
    guess = xy.copy()
    for _ in range(_STEPS):
        x, y = guess[:, 0], guess[:, 1]
        r2 = x * x + y * y
        radial, slope = 1 + r2 * (k1 + r2 * k2), 2 * (k1 + 2 * k2 * r2)
        xx = radial + slope * x * x + 2 * p1 * y + 6 * p2 * x
        yy = radial + slope * y * y + 6 * p1 * y + 2 * p2 * x
        mixed = slope * x * y + 2 * p1 * x + 2 * p2 * y
        miss = distort(guess, distortion) - xy
        determinant = xx * yy - mixed * mixed
        determinant = np.where(np.abs(determinant) < 1e-12, 1e-12, determinant)
        step_x = (yy * miss[:, 0] - mixed * miss[:, 1]) / determinant
        step_y = (xx * miss[:, 1] - mixed * miss[:, 0]) / determinant
        guess = guess - np.stack([step_x, step_y], axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        lost = ~(np.abs(distort(guess, distortion) - xy).max(axis=1, initial=0.0) < _ROUND_TRIP)
    guess[lost] = np.nan
    return guess


def unproject(view: PosedView, xy: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """World points (N, 3) of pixels (N, 2) at depths (N,); NaN where no ray meets the pixel."""
    rays = np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ np.linalg.inv(view.intrinsics).T
    plane = rays[:, :2] / rays[:, 2:]
    if view.distortion is not None:
        plane = undistort(plane, view.distortion)
    camera = np.concatenate([plane, np.ones((len(plane), 1))], axis=1) * np.asarray(depth, dtype=np.float64)[:, None]
    return (camera - view.cam_T_world[:3, 3]) @ view.cam_T_world[:3, :3]


def project(view: PosedView, world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 2) and depths (N,) of world points (N, 3).

    A pixel is NaN where the point is behind the camera, or so far outside that the distortion model folds it back.
    """
    camera = world @ view.cam_T_world[:3, :3].T + view.cam_T_world[:3, 3]
    depth = camera[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        plane = np.where(depth[:, None] > 0, camera[:, :2] / depth[:, None], np.nan)
    if view.distortion is not None:
        pinhole, plane = plane, distort(plane, view.distortion)
        with np.errstate(invalid="ignore", over="ignore"):
            same = np.abs(undistort(plane, view.distortion) - pinhole).max(axis=1, initial=0.0) < 1e-4
        plane[~same] = np.nan
    homogeneous = np.concatenate([plane, np.ones((len(plane), 1))], axis=1) @ view.intrinsics.T
    return homogeneous[:, :2] / homogeneous[:, 2:], depth


def visible(
    view: PosedView, world: np.ndarray, depth: np.ndarray, tolerance: float, relative_tolerance: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 2) of world points (N, 3) in a view, and which (N,) bool of them its depth map (H, W) shows.

    Shown is a point that falls inside the image and whose depth differs by less than `tolerance` +
    `relative_tolerance` * depth from the map: from the pixel that it falls in, or from the value interpolated between
    the four pixels around it. The first alone would drop slanted surfaces, the second alone edges.
    """
    xy, z = project(view, world)
    with np.errstate(invalid="ignore"):
        inside = (xy >= 0).all(axis=1) & (xy[:, 0] < view.size[0]) & (xy[:, 1] < view.size[1])
    seen = xy[inside]
    column, row = np.floor(seen).astype(np.int64).T
    slack = tolerance + relative_tolerance * z[inside]
    shown = np.zeros(len(seen), dtype=bool)
    for measured in (depth[row, column].astype(np.float64), depth_between(depth, seen)):
        with np.errstate(invalid="ignore"):
            shown |= (measured > 0) & (np.abs(z[inside] - measured) < slack)
    inside[inside] = shown
    return xy, inside


def depth_between(depth: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """(N,) depths of a map (H, W) between pixel centres, 0 where one of the four around a point (N, 2) is unknown."""
    height, width = depth.shape
    x, y = (np.clip(xy[:, n] - 0.5, 0.0, last) for n, last in enumerate((width - 1, height - 1)))
    left, top = (
        np.minimum(np.floor(v).astype(np.int64), max(last, 0)) for v, last in ((x, width - 2), (y, height - 2))
    )
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    fx, fy = x - left, y - top
    corners = np.stack([depth[top, left], depth[top, right], depth[bottom, left], depth[bottom, right]]).astype(float)
    shares = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy])
    with np.errstate(invalid="ignore"):
        known = (corners > 0).all(axis=0) & np.isfinite(corners).all(axis=0)
    return np.where(known, (np.where(known, corners, 0.0) * shares).sum(axis=0), 0.0)
