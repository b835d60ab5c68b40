"""Cleaning a sequence's cloud with its masks, and the similarity into the canonical frame (protocol page 1.1)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np

from bench3d.geometry.camera import project

FEWEST = 10


def sequence_rng(seed: int, name: str) -> np.random.Generator:
    """A generator for one sequence, independent of which others are read."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def mask_share(
    points: np.ndarray,
    masks: Iterable[np.ndarray],
    cam_T_raw: Iterable[np.ndarray],
    intrinsics: Iterable[np.ndarray],
) -> np.ndarray:
    """(N,) mean mask value at the projections of points (N, 3) over all frames; 0 outside the image and behind it.

    masks: float (H, W) in [0, 1], one per frame; the value of the pixel that holds the projection counts. They may
    come from a generator: only one is held at a time.
    """
    total, count = np.zeros(len(points)), 0
    for mask, pose, camera in zip(masks, cam_T_raw, intrinsics, strict=True):
        pixels, depth = project(points, pose, camera)
        height, width = mask.shape
        inside = (depth > 0) & (pixels >= 0).all(axis=1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
        column, row = pixels[inside].astype(np.int64).T
        total[inside] += mask[row, column]
        count += 1
    return total / max(count, 1)


def keep_points(share: np.ndarray, threshold: float, rng: np.random.Generator) -> np.ndarray:
    """Indices of the points to keep: share above the threshold; ten random ones where fewer than ten are."""
    kept = np.flatnonzero(share > threshold)
    if len(kept) < FEWEST:
        kept = np.sort(rng.choice(len(share), size=min(FEWEST, len(share)), replace=False))
    return kept


def subsample(points: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most `most` random points, in their order."""
    if len(points) <= most:
        return points
    return points[np.sort(rng.choice(len(points), size=most, replace=False))]


def canonical_transform(points: np.ndarray, aligned_T_raw: np.ndarray, percentile: float) -> np.ndarray:
    """canonical_T_raw (4, 4): the alignment, then AABB centre to the origin and largest half extent to 1.

    points (N, 3), raw, are what is measured: as published the vertices of the proxy mesh, or the cleaned cloud with
    `percentile` cut off at both ends of each axis.
    """
    aligned = points @ aligned_T_raw[:3, :3].T + aligned_T_raw[:3, 3]
    low, high = np.percentile(aligned, [percentile, 100.0 - percentile], axis=0)
    half = max(float((high - low).max()) / 2, 1e-9)
    transform = np.eye(4)
    transform[:3, :3] /= half
    transform[:3, 3] = -(low + high) / 2 / half
    return transform @ aligned_T_raw
