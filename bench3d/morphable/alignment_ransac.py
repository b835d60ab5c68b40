"""RANSAC of similarities between two meshes whose vertices have appearances.

Source: Sommer et al., Unsupervised Learning of Category-Level 3D Pose from Object-Centric Videos, CVPR 2024 (protocol
page common3d.md 7.2a). Deviations: a hypothesis whose points fall together, or which mirrors, is dropped; refinement of
the best hypotheses is ours and off by default.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from scipy.spatial.distance import cdist

from bench3d.errors import DataError
from bench3d.geometry.rotations import geodesic_angle
from bench3d.geometry.similarity import apply_similarity, split_similarity, umeyama
from bench3d.morphable.alignment_settings import AlignmentSettings

APART = 30.0
"""Two rotations farther apart than so many degrees count as two answers."""
CHOSEN = 10
"""So many of the best hypotheses say how sharp the answer is."""
SMALLEST, LARGEST = 1e-2, 1e2
"""Scales of a hypothesis, in ratios of the two diameters, that are no degenerate ones."""


@dataclass(frozen=True, eq=False)
class Pairing:
    """Two meshes and what their appearances say about each other; a is moved, b stays.

    Attributes:
        a: (N, 3) and b: (M, 3) vertices.
        to_b: (N,) index of the vertex of b that looks most alike; to_a: (M,) the other way.
        cycle_a: (N,) distance from a vertex to where a -> b -> a leads, in diameters of a; inf where it was never seen
            or nothing it could be compared with was. cycle_b: (M,) likewise.
        diameter: of b.
        ratio: diameter of b over diameter of a.
    """

    a: np.ndarray
    b: np.ndarray
    to_b: np.ndarray
    to_a: np.ndarray
    cycle_a: np.ndarray
    cycle_b: np.ndarray
    diameter: float
    ratio: float

    @classmethod
    def of(cls, a: np.ndarray, b: np.ndarray, distance: np.ndarray) -> Pairing:
        """From vertices (N, 3), (M, 3) and the distance of their appearances (N, M), inf where there is none."""
        to_b, to_a = distance.argmin(axis=1), distance.argmin(axis=0)
        diameter_a, diameter_b = float(cdist(a, a).max()), float(cdist(b, b).max())
        cycle_a = np.linalg.norm(a - a[to_a[to_b]], axis=1) / diameter_a
        cycle_b = np.linalg.norm(b - b[to_b[to_a]], axis=1) / diameter_b
        cycle_a[np.isinf(distance.min(axis=1))] = np.inf
        cycle_b[np.isinf(distance.min(axis=0))] = np.inf
        return cls(a, b, to_b, to_a, cycle_a, cycle_b, diameter_b, diameter_b / diameter_a)

    def weights(self, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        """(N,) and (M,) weights exp(-cycle / temperature), of mean 1 over both; all 1 where nothing is paired."""
        both = np.exp(-np.concatenate([self.cycle_a, self.cycle_b]) / temperature)
        mean = both.mean()
        both = both / mean if mean > 0 else np.ones_like(both)
        return both[: len(self.a)], both[len(self.a) :]


@dataclass(frozen=True, eq=False)
class Fit:
    """The best similarity of one pair of meshes.

    Attributes:
        transform: (4, 4) from a to b.
        score: at most 0, higher is better; geometry, appearance: its two weighted mean distances, in diameters of b.
        spread: median angle in degrees between the rotation and those of the ten best hypotheses: how sharp it is.
        rival_score, rival_angle: of the best hypothesis whose rotation is more than 30 degrees away, and the angle;
            None where there is none. A rival nearly as good with an angle near 180 is a symmetry.
    """

    transform: np.ndarray
    score: float
    geometry: float
    appearance: float
    spread: float
    rival_score: float | None
    rival_angle: float | None


def hypotheses(pairing: Pairing, settings: AlignmentSettings, rng: np.random.Generator) -> np.ndarray:
    """(H, 4, 4) similarities a -> b, each from random vertices of a and the vertices of b that look most alike.

    A vertex of a that nothing can be compared with gets a random vertex of b, as published. At most
    `settings.hypotheses`: degenerate ones are left out.
    """
    count, size = settings.hypotheses, settings.sample
    chosen = np.argsort(rng.random((count, len(pairing.a))), axis=1)[:, :size]
    partner = pairing.to_b[chosen]
    blind = np.isinf(pairing.cycle_a)[chosen]
    partner[blind] = rng.integers(len(pairing.b), size=int(blind.sum()))
    transforms = umeyama(pairing.a[chosen], pairing.b[partner])
    scale = np.cbrt(np.linalg.det(transforms[:, :3, :3])) / pairing.ratio
    with np.errstate(invalid="ignore"):
        sound = np.isfinite(transforms).all(axis=(1, 2)) & (scale > SMALLEST) & (scale < LARGEST)
    return transforms[sound]


def score(
    pairing: Pairing, transforms: np.ndarray, settings: AlignmentSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (H,) of similarities (H, 4, 4), and the geometric and the appearance distance (H,) each is made of.

    Score = -mean over the vertices of both meshes of (1 - q) D_geo w + q D_app w: D_geo to the nearest vertex of the
    other mesh, D_app to the one that looks most alike, both as distances in space in diameters of b.
    """
    moved = apply_similarity(transforms, pairing.a)
    total = len(pairing.a) + len(pairing.b)
    wa, wb = pairing.weights(settings.geometry_temperature)
    a32, b32 = np.ascontiguousarray(moved.astype(np.float32)), np.ascontiguousarray(pairing.b.astype(np.float32))
    near = _nearest_sums(a32, b32, wa, wb)
    wa, wb = pairing.weights(settings.appearance_temperature)
    alike = np.linalg.norm(moved - pairing.b[pairing.to_b], axis=2) @ wa
    alike += np.linalg.norm(moved[:, pairing.to_a] - pairing.b, axis=2) @ wb
    geometry, appearance = near / total / pairing.diameter, alike / total / pairing.diameter
    q = settings.appearance_weight
    return -((1 - q) * geometry + q * appearance), geometry, appearance


def ransac(a: np.ndarray, b: np.ndarray, distance: np.ndarray, settings: AlignmentSettings, seed: list[int]) -> Fit:
    """The best similarity from mesh a to mesh b.

    Args:
        a, b: vertices (N, 3) and (M, 3) in any frames and units.
        distance: of their appearances, (N, M), inf where a vertex was never seen.
        seed: of the hypotheses; the same seed gives the same answer.

    Raises:
        DataError: too few vertices, no vertex seen in one of the two, or no hypothesis that is a similarity.
    """
    if min(len(a), len(b)) < settings.sample:
        raise DataError("A mesh has too few vertices to be aligned.", "Choose another sequence.")
    if np.isinf(distance).all():
        raise DataError("No vertex has an appearance to compare.", "Check masks and cameras of the two sequences.")
    pairing = Pairing.of(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64), distance)
    tried = hypotheses(pairing, settings, np.random.default_rng(seed))
    if len(tried) == 0:
        raise DataError("No hypothesis is a similarity: the appearances tell nothing apart.", "Use other features.")
    scores, geometry, appearance = score(pairing, tried, settings)
    if settings.refine_best:
        best = np.argsort(-scores, kind="stable")[: settings.refine_best]
        finer = np.stack([refine(pairing, tried[i], settings) for i in best])
        tried = np.concatenate([tried, finer])
        more = score(pairing, finer, settings)
        scores, geometry, appearance = (
            np.concatenate(two) for two in zip((scores, geometry, appearance), more, strict=True)
        )
    return _chosen(tried, scores, geometry, appearance)


def refine(pairing: Pairing, transform: np.ndarray, settings: AlignmentSettings) -> np.ndarray:
    """A better-scored similarity (4, 4) near one: neighbours in space and in appearance, then the weighted fit to them.

    Stops where the score gets no better; never worse than what it was given.
    """
    q = settings.appearance_weight
    ga, gb = pairing.weights(settings.geometry_temperature)
    pa, pb = pairing.weights(settings.appearance_temperature)
    weights = np.concatenate([(1 - q) * ga, (1 - q) * gb, q * pa, q * pb])
    best, reached = transform, score(pairing, transform[None], settings)[0][0]
    for _ in range(settings.refine_rounds):
        moved = apply_similarity(best, pairing.a)
        apart = cdist(moved, pairing.b)
        near_b, near_a = apart.argmin(axis=1), apart.argmin(axis=0)
        source = np.concatenate([pairing.a, pairing.a[near_a], pairing.a, pairing.a[pairing.to_a]])
        target = np.concatenate([pairing.b[near_b], pairing.b, pairing.b[pairing.to_b], pairing.b])
        # The score is a mean of distances, not of their squares: far pairs count less (Weiszfeld's weights).
        robust = weights / (np.linalg.norm(apply_similarity(best, source) - target, axis=1) + 0.02 * pairing.diameter)
        finer = weighted_similarity(source, target, robust)
        value = score(pairing, finer[None], settings)[0][0]
        if not value > reached:
            break
        best, reached = finer, value
    return best


def weighted_similarity(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The similarity (4, 4) of least weighted squares from points (N, 3) to points (N, 3); weights (N,), not negative.

    Source: Umeyama, PAMI 1991, with weights in the means and sums.
    """
    share = weights / weights.sum()
    mean_s, mean_t = share @ source, share @ target
    covariance = (target - mean_t).T @ ((source - mean_s) * share[:, None])
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = (singular * sign).sum() / (share @ np.square(source - mean_s).sum(axis=1))
    out = np.eye(4)
    out[:3, :3] = scale * (u * sign) @ vt
    out[:3, 3] = mean_t - out[:3, :3] @ mean_s
    return out


def angles(rotations: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Angles in degrees between rotations (..., 3, 3) and one (3, 3)."""
    return np.rad2deg(geodesic_angle(rotations, to))


def _chosen(tried: np.ndarray, scores: np.ndarray, geometry: np.ndarray, appearance: np.ndarray) -> Fit:
    order = np.argsort(-scores, kind="stable")
    best = order[0]
    rotations = split_similarity(tried)[1]
    apart = angles(rotations, rotations[best])
    rivals = order[apart[order] > APART]
    return Fit(
        transform=tried[best],
        score=float(scores[best]),
        geometry=float(geometry[best]),
        appearance=float(appearance[best]),
        spread=float(np.median(apart[order[1 : CHOSEN + 1]])) if len(order) > 1 else 0.0,
        rival_score=float(scores[rivals[0]]) if len(rivals) else None,
        rival_angle=float(apart[rivals[0]]) if len(rivals) else None,
    )


@njit(cache=True, parallel=True)
def _nearest_sums(moved: np.ndarray, fixed: np.ndarray, wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
    """Weighted sums (H,) of the distances of points (H, N, 3) to the nearest of (M, 3), and of those back."""
    out = np.zeros(moved.shape[0])
    count = moved.shape[1]
    for h in prange(moved.shape[0]):
        x, y, z = moved[h, :, 0].copy(), moved[h, :, 1].copy(), moved[h, :, 2].copy()
        best = np.full(count, np.float32(np.inf), dtype=np.float32)
        square = np.empty(count, dtype=np.float32)
        total = 0.0
        for j in range(fixed.shape[0]):
            bx, by, bz = fixed[j, 0], fixed[j, 1], fixed[j, 2]
            # One loop that branches nowhere, so that the compiler makes vector instructions of it.
            for i in range(count):
                dx, dy, dz = x[i] - bx, y[i] - by, z[i] - bz
                d = dx * dx + dy * dy + dz * dz
                square[i] = d
                best[i] = d if d < best[i] else best[i]
            total += np.sqrt(np.float64(_least(square))) * wb[j]
        for i in range(count):
            total += np.sqrt(np.float64(best[i])) * wa[i]
        out[h] = total
    return out


@njit(cache=True, fastmath={"nnan", "nsz"})
def _least(values: np.ndarray) -> float:
    least = np.float32(np.inf)
    for i in range(values.shape[0]):
        least = values[i] if values[i] < least else least
    return least
