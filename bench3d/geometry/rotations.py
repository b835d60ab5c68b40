"""Rotation matrices: geodesic distance, exponential map, sampling. Arrays are numpy (..., 3, 3), radians."""

from __future__ import annotations

import numpy as np


def geodesic_angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle of a^T b in radians, in [0, pi]; (..., 3, 3), (..., 3, 3) -> (...). Non-finite input gives pi.

    Equals ||log(a^T b)|| of Common3D's metric; the arctangent form stays exact near 0 and pi.
    """
    relative = np.swapaxes(a, -1, -2) @ b
    finite = np.isfinite(relative).all(axis=(-1, -2))
    relative = np.where(finite[..., None, None], relative, 0.0)
    axis = np.stack(
        [
            relative[..., 2, 1] - relative[..., 1, 2],
            relative[..., 0, 2] - relative[..., 2, 0],
            relative[..., 1, 0] - relative[..., 0, 1],
        ],
        axis=-1,
    )
    angle = np.arctan2(np.linalg.norm(axis, axis=-1), np.trace(relative, axis1=-2, axis2=-1) - 1.0)
    return np.where(finite, angle, np.pi)


def so3_exp(vector: np.ndarray) -> np.ndarray:
    """Rodrigues' formula, (..., 3) rotation vectors -> (..., 3, 3)."""
    vector = np.asarray(vector, dtype=np.float64)
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    k = hat(vector)
    small = angle < 1e-8
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 1.0 - angle**2 / 6.0, np.sin(safe) / safe)
    second = np.where(small, 0.5 - angle**2 / 24.0, (1.0 - np.cos(safe)) / safe**2)
    return np.eye(3) + first * k + second * (k @ k)


def hat(vector: np.ndarray) -> np.ndarray:
    """Skew matrix of the cross product, (..., 3) -> (..., 3, 3)."""
    x, y, z = np.moveaxis(np.asarray(vector, dtype=np.float64), -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)


def random_rotations(count: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform rotations (count, 3, 3), from normalised quaternions wxyz."""
    q = rng.standard_normal((count, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """The closest rotation in the Frobenius norm (polar decomposition by SVD), (..., 3, 3) -> (..., 3, 3)."""
    u, _, vt = np.linalg.svd(matrix)
    sign = np.ones(matrix.shape[:-1])
    sign[..., 2] = np.sign(np.linalg.det(u @ vt))
    return (u * sign[..., None, :]) @ vt
