"""Distances between surfaces, from points drawn on them: chamfer distance and F-score. Any unit, non-squared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree


def sample_surface(vertices: np.ndarray, faces: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 3) points of a mesh, uniform over its area. vertices (V, 3), faces (F, 3).

    One point is drawn in each of `count` equal shares of the area, so that they spread more evenly than independent
    ones.

    Raises:
        ValueError: the mesh has no area, or is not finite.
    """
    corners = np.asarray(vertices, dtype=np.float64)[np.asarray(faces, dtype=np.int64)]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    total = float(areas.sum())
    if not np.isfinite(total) or total <= 0:
        raise ValueError("the mesh has no area, or is not finite")
    at = (np.arange(count) + rng.random(count)) / count * total
    chosen = np.minimum(np.searchsorted(np.cumsum(areas), at, side="right"), len(areas) - 1)
    u, v = rng.random(count), rng.random(count)
    root = np.sqrt(u)
    weights = np.stack([1 - root, root * (1 - v), root * v], axis=1)
    points: np.ndarray = np.einsum("nk,nkc->nc", weights, corners[chosen])
    return points


@dataclass(frozen=True)
class SurfaceDistances:
    """From every point drawn on one surface to the nearest point drawn on the other.

    Attributes:
        to_truth: (N,) from the predicted points; to_predicted: (M,) from the true points.
    """

    to_truth: np.ndarray
    to_predicted: np.ndarray

    @staticmethod
    def of(predicted: np.ndarray, truth: np.ndarray) -> SurfaceDistances:
        """Of two point sets (N, 3) and (M, 3); infinite where `predicted` is not finite.

        Raises:
            ValueError: a set is empty.
        """
        if len(predicted) == 0 or len(truth) == 0:
            raise ValueError("distances need points on both surfaces")
        if not np.isfinite(predicted).all():
            return SurfaceDistances(np.full(len(predicted), np.inf), np.full(len(truth), np.inf))
        return SurfaceDistances(
            cKDTree(truth).query(predicted, workers=1)[0], cKDTree(predicted).query(truth, workers=1)[0]
        )

    def chamfer(self) -> float:
        """Mean of the two one-sided mean distances (L2, not squared)."""
        return float((self.to_truth.mean() + self.to_predicted.mean()) / 2)

    def f_score(self, threshold: float) -> float:
        """Harmonic mean of precision and recall: the shares of points closer than `threshold` (strictly), in [0, 1]."""
        precision, recall = float((self.to_truth < threshold).mean()), float((self.to_predicted < threshold).mean())
        return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def canonical_box(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (3,) and half of the longest side of the axis-aligned box around points (N, 3).

    (points - centre) / half has its box centred and max |coordinate| 1.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, float((high - low).max() / 2)
