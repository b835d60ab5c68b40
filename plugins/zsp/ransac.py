"""RANSAC of the similarity between matched points, seeded; all hypotheses at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench3d.geometry.similarity import apply_similarity, split_similarity, umeyama

SAMPLES = 4
"""Pairs of a hypothesis (published)."""
SMALLEST, LARGEST = 1e-3, 1e3
"""Scales beyond are of points that fall together on one side."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A similarity (4, 4) and which pairs (K,) bool support it."""

    transform: np.ndarray
    inliers: np.ndarray


def similarity_ransac(
    source: np.ndarray,
    target: np.ndarray,
    trials: int,
    distance: float,
    rng: np.random.Generator,
    scale_range: tuple[float, float] | None = None,
) -> Fit | None:
    """The similarity target = s R source + t that most pairs support, refitted to these; None where none has four.

    Args:
        source, target: (K, 3) matched points.
        trials: hypotheses, each from `SAMPLES` pairs.
        distance: a pair whose residual |s R source + t - target| is below it supports a hypothesis; of equally
            supported ones the one with the smaller residuals wins.
        rng: all draws.
        scale_range: hypotheses of other scales are dropped. Without it a small scale, which gathers all points in a
            spot, often finds more support than the true one.
    """
    count = len(source)
    smallest, largest = scale_range or (SMALLEST, LARGEST)
    if count < SAMPLES:
        return None
    drawn = rng.random((trials, count)).argpartition(SAMPLES - 1, axis=1)[:, :SAMPLES]
    hypotheses = umeyama(source[drawn], target[drawn])
    with np.errstate(invalid="ignore"):
        scales, _, _ = split_similarity(hypotheses)
        sound = np.isfinite(hypotheses).all(axis=(1, 2)) & (scales >= smallest) & (scales <= largest)
    hypotheses = hypotheses[sound]
    if not len(hypotheses):
        return None
    residuals = np.linalg.norm(apply_similarity(hypotheses, source) - target, axis=2)
    inliers = residuals < distance
    supporters = inliers.sum(axis=1)
    error = np.where(inliers, residuals, 0).sum(axis=1)
    best = int(np.lexsort((error, -supporters))[0])
    if supporters[best] < SAMPLES:
        return None
    support = inliers[best]
    refitted = umeyama(source[support], target[support])
    return Fit(refitted if np.isfinite(refitted).all() else hypotheses[best], support)
