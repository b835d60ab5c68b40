"""Depth maps carried over to a colour camera that stands where the depth camera stands."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench3d.data.depth import load_depth


def registered_depth(
    path: Path, unit: float, size: tuple[int, int], depth_camera: np.ndarray, color_camera: np.ndarray
) -> np.ndarray:
    """(H, W) float32 depth at the colour image's pixel centres; 0 where no depth pixel falls.

    Every depth pixel goes to the colour pixel that its ray passes; of several the nearest surface stays.

    Args:
        path, unit, size: as `bench3d.data.depth.load_depth`.
        depth_camera, color_camera: (3, 3) intrinsics of two cameras with one centre and the same axes.
    """
    depth = load_depth(path, unit, size)
    width, height = size
    rows, columns = np.nonzero(depth)
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    moved = color_camera @ np.linalg.inv(depth_camera) @ pixels
    x, y = np.floor(moved[0]).astype(np.int64), np.floor(moved[1]).astype(np.int64)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    out = np.full((height, width), np.inf, dtype=np.float32)
    np.minimum.at(out, (y[inside], x[inside]), depth[rows, columns][inside])
    out[np.isinf(out)] = 0.0
    return out
