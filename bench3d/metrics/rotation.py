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


def about_up(degrees: np.ndarray) -> np.ndarray:
    """Rotations about an object's up axis (z), (...) degrees -> (..., 3, 3)."""
    angle = np.deg2rad(np.asarray(degrees, dtype=np.float64))
    c, s, zero = np.cos(angle), np.sin(angle), np.zeros_like(angle)
    rows = [c, -s, zero, s, c, zero, zero, zero, zero + 1.0]
    return np.stack(rows, axis=-1).reshape(*angle.shape, 3, 3)


def symmetric_rotation_error_deg(pred: np.ndarray, gt: np.ndarray, symmetry_deg: np.ndarray | None) -> np.ndarray:
    """The least error over the poses that look like the truth, in degrees. (..., 3, 3), (..., 3, 3) -> (...).

    Args:
        pred, gt: object to camera.
        symmetry_deg: (K,) turns about the object's up axis that map it onto itself, 0 among them; None for an object of
            revolution, which every turn does (then the minimum over all of them, in closed form).
    """
    if symmetry_deg is not None:
        turned = np.asarray(gt, dtype=np.float64)[..., None, :, :] @ about_up(symmetry_deg)
        return rotation_error_deg(np.asarray(pred)[..., None, :, :], turned).min(axis=-1)
    between = np.swapaxes(_unit_rows(gt), -1, -2) @ _unit_rows(pred)
    # trace(turn(a)^T between) = (b00 + b11) cos a + (b10 - b01) sin a + b22
    across = np.hypot(between[..., 0, 0] + between[..., 1, 1], between[..., 1, 0] - between[..., 0, 1])
    error = np.rad2deg(np.arccos(np.clip((across + between[..., 2, 2] - 1.0) / 2.0, -1.0, 1.0)))
    return np.where(np.isfinite(error), error, 180.0)


def half_turn_flip(pred: np.ndarray, gt: np.ndarray, threshold_deg: float = 30.0) -> np.ndarray:
    """Whether the estimate takes front for back: it is off, but close to the truth turned by 180 degrees about up.

    (..., 3, 3), (..., 3, 3) -> (...) bool: the error is at least `threshold_deg`, that to the turned truth is below.
    """
    turned = np.asarray(gt, dtype=np.float64) @ about_up(np.array(180.0))
    return (rotation_error_deg(pred, gt) >= threshold_deg) & (rotation_error_deg(pred, turned) < threshold_deg)


def _unit_rows(rotation: np.ndarray) -> np.ndarray:
    rotation = np.asarray(rotation, dtype=np.float64)
    length = np.linalg.norm(rotation, axis=-1, keepdims=True)
    usable = np.isfinite(length) & (length > 0)
    return np.where(usable, rotation / np.where(usable, length, 1.0), np.nan)
