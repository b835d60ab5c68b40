"""Rotation errors in degrees (Common3D's pose metric: protocol page, section 6)."""

from __future__ import annotations

import numpy as np

from bench3d.geometry.rotations import geodesic_angle


def rotation_error_deg(pred: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Geodesic angle between rotations in degrees, in [0, 180]. (..., 3, 3), (..., 3, 3) -> (...).

    Equals ||log(gt^T pred)||. Rows are normalised first, as in Common3D's metric; where a row is zero or anything is
    not finite the error is 180.
    """
    return np.rad2deg(geodesic_angle(_unit_rows(gt), _unit_rows(pred)))


def pairwise_rotation_error_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Every error between two sets of proper, finite rotations in degrees. (N, 3, 3), (M, 3, 3) -> (N, M).

    From the trace, which is one matrix product: exact to about 1e-6 degrees, less near 0 and 180.
    """
    trace = a.reshape(len(a), 9).astype(np.float64) @ b.reshape(len(b), 9).astype(np.float64).T
    return np.rad2deg(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0)))


def _unit_rows(rotation: np.ndarray) -> np.ndarray:
    rotation = np.asarray(rotation, dtype=np.float64)
    length = np.linalg.norm(rotation, axis=-1, keepdims=True)
    usable = np.isfinite(length) & (length > 0)
    return np.where(usable, rotation / np.where(usable, length, 1.0), np.nan)
