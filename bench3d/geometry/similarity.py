"""Similarity transforms (scale, rotation, translation) from point pairs; batched, numpy float64.

Source: Umeyama, Least-squares estimation of transformation parameters between two point patterns, PAMI 1991.
"""

from __future__ import annotations

import numpy as np


def umeyama(source: np.ndarray, target: np.ndarray, with_scale: bool = True) -> np.ndarray:
    """Least-squares similarities target = s R source + t, (..., N, 3), (..., N, 3) -> (..., 4, 4).

    R is a proper rotation whatever the points; s is 1 without `with_scale`. Where the source points coincide, the
    result is not finite.
    """
    source, target = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    mean_s, mean_t = source.mean(axis=-2, keepdims=True), target.mean(axis=-2, keepdims=True)
    centred_s, centred_t = source - mean_s, target - mean_t
    covariance = np.swapaxes(centred_t, -1, -2) @ centred_s / source.shape[-2]
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.ones_like(singular)
    sign[..., 2] = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
    rotation = (u * sign[..., None, :]) @ vt
    scale = np.ones(source.shape[:-2])
    if with_scale:
        variance = np.square(centred_s).sum(axis=-1).mean(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = (singular * sign).sum(axis=-1) / variance
    out = np.zeros((*source.shape[:-2], 4, 4))
    out[..., :3, :3] = scale[..., None, None] * rotation
    out[..., :3, 3] = mean_t[..., 0, :] - (out[..., :3, :3] @ mean_s[..., 0, :, None])[..., 0]
    out[..., 3, 3] = 1.0
    return out


def apply_similarity(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(..., 4, 4) on (..., N, 3) -> (..., N, 3)."""
    return points @ np.swapaxes(transform[..., :3, :3], -1, -2) + transform[..., None, :3, 3]


def split_similarity(transform: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scale (...), rotation (..., 3, 3) and translation (..., 3) of similarities (..., 4, 4)."""
    linear = transform[..., :3, :3]
    scale = np.cbrt(np.linalg.det(linear))
    return scale, linear / scale[..., None, None], transform[..., :3, 3]
