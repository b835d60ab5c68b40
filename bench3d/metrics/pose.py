"""Errors of object poses: rotation in degrees and translation in the unit of the data, with identity for no pose.

As OnePose and 3DCorrEnhance measure (protocol page tasks.md, section b): the rotation's error is the angle of
R_pred R_gt^T, the translation's the distance of the two translations, which is how far the object's origin is off in
the camera; an accuracy wants both strictly below its thresholds.
"""

from __future__ import annotations

import numpy as np

from bench3d.metrics.rotation import rotation_error_deg


def pose_errors(pred: np.ndarray, gt: np.ndarray, origin: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Rotation errors in degrees (...) and translation errors (...) in world units of poses cam_T_obj (..., 4, 4).

    Args:
        pred, gt: poses.
        origin: (3,) the point of the object whose displacement counts; None for its origin, as published.
    """
    pred, gt = np.asarray(pred, dtype=np.float64), np.asarray(gt, dtype=np.float64)
    at = np.zeros(3) if origin is None else np.asarray(origin, dtype=np.float64)
    moved = (pred[..., :3, :3] - gt[..., :3, :3]) @ at + pred[..., :3, 3] - gt[..., :3, 3]
    return rotation_error_deg(pred[..., :3, :3], gt[..., :3, :3]), np.linalg.norm(moved, axis=-1)


def camera_centre_error(pred: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Distance (...) of the camera's two positions in the world, world units, of poses cam_T_world (..., 4, 4)."""
    return np.linalg.norm(camera_centre(pred) - camera_centre(gt), axis=-1)


def camera_centre(pose: np.ndarray) -> np.ndarray:
    """Camera positions (..., 3) in the world of poses cam_T_world (..., 4, 4)."""
    pose = np.asarray(pose, dtype=np.float64)
    return -np.einsum("...ji,...j->...i", pose[..., :3, :3], pose[..., :3, 3])


def both_below(rotation: np.ndarray, translation: np.ndarray, degrees: float, distance: float) -> np.ndarray:
    """(...) bool: both errors strictly below their thresholds; NaN is not."""
    return (np.asarray(rotation) < degrees) & (np.asarray(translation) < distance)
