"""Initial translations of render-and-compare where the protocol gives none: those that fit a 2D box."""

from __future__ import annotations

import numpy as np


def box_translations(
    vertices: np.ndarray, rotations: np.ndarray, intrinsics: np.ndarray, box: np.ndarray, iterations: int = 8
) -> np.ndarray:
    """Translations at which the projected vertices fill a 2D box as well as a rigid shape can.

    Fixed-point iteration on the projected bounding box: its centre is moved onto the box's, its depth is scaled by the
    ratio of the diagonals (a template differs from the instance in aspect, so neither side is matched alone).

    Args:
        vertices: (V, 3) canonical units.
        rotations: (S, 3, 3).
        intrinsics: (3, 3) pixels.
        box: (4,) x0, y0, x1, y1 pixels.

    Returns:
        (S, 3) translations in canonical units, depth > 0.
    """
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    points = np.einsum("sij,vj->svi", rotations, vertices)
    wanted_centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    wanted_size = np.hypot(box[2] - box[0], box[3] - box[1])
    extent = np.ptp(points[..., :2], axis=1)
    radius = float(np.linalg.norm(vertices, axis=1).max())
    nearest = 1.05 * radius
    depth = np.maximum(np.hypot(fx * extent[:, 0], fy * extent[:, 1]) / wanted_size, nearest)
    ray = np.array([(wanted_centre[0] - cx) / fx, (wanted_centre[1] - cy) / fy])
    translation = np.stack([ray[0] * depth, ray[1] * depth, depth], axis=1)
    for _ in range(iterations):
        moved = points + translation[:, None]
        pixels = moved[..., :2] / moved[..., 2:] * np.array([fx, fy]) + np.array([cx, cy])
        low, high = pixels.min(axis=1), pixels.max(axis=1)
        size = np.hypot(high[:, 0] - low[:, 0], high[:, 1] - low[:, 1])
        shift = wanted_centre - (low + high) / 2
        depth = np.maximum(translation[:, 2] * size / wanted_size, nearest)
        bearing = translation[:, :2] / translation[:, 2:] + shift / np.array([fx, fy])
        translation = np.concatenate([bearing * depth[:, None], depth[:, None]], axis=1)
    return translation
