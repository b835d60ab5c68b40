"""Turns about the up axis that map an annotated CAD model onto itself, measured on its surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from bench3d.metrics import about_up, sample_surface

TOLERANCE = 0.015
"""How far the surface may move, in units of the diagonal of its box: the 95 % quantile of the distances of points of
the turned surface to the unturned one, less that of the unturned points (which is the spacing of the samples). Of
the twins' cars, motorcycles and televisions turned by 180 degrees none is below 0.0198; a bus that is all box has
0.0085 and counts as symmetric."""

QUANTILE = 0.95
STEP = 15
ANGLES = np.array([*range(STEP, 360, STEP), 72, 144, 216, 288])
POINTS, FIRST, DENSE = 1000, 100, 10_000


@dataclass(frozen=True)
class Symmetry:
    """`turns`: (K,) degrees, 0 among them, ascending; None for an object of revolution."""

    turns: np.ndarray | None

    @property
    def order(self) -> float:
        """How many poses look the same, infinite for an object of revolution."""
        return float("inf") if self.turns is None else float(len(self.turns))


NONE = Symmetry(np.zeros(1))


def symmetry_of(vertices: np.ndarray, faces: np.ndarray) -> Symmetry:
    """Of a mesh (V, 3), (F, 3), about the vertical axis through the object's origin; the same every time.

    Every 15 degrees and the fifths of a turn are tried; a turn counts if it and its inverse are within `TOLERANCE`, of
    several that lie close together the best. If all are within it, the object is one of revolution.
    """
    try:
        rng = np.random.default_rng(0)
        dense = sample_surface(vertices, faces, DENSE, rng)
        points = rng.permutation(sample_surface(vertices, faces, POINTS, rng))
    except ValueError:  # no area: nothing to measure
        return NONE
    diagonal = float(np.linalg.norm(np.ptp(dense, axis=0)))
    tree = cKDTree(dense)
    floor = float(np.quantile(tree.query(points)[0], QUANTILE))

    def moved(degrees: int, count: int) -> float:
        """How far the surface moves, in units of the diagonal."""
        turned = points[:count] @ about_up(np.array(float(degrees))).T
        return (float(np.quantile(tree.query(turned)[0], QUANTILE)) - floor) / diagonal

    # Most turns are far off: a few points tell.
    likely = {int(a): moved(int(a), POINTS) for a in ANGLES if moved(int(a), FIRST) < 2 * TOLERANCE}
    both = {a: max(m, likely.get(360 - a, np.inf)) for a, m in likely.items()}
    kept = {0: -np.inf} | {a: m for a, m in both.items() if m < TOLERANCE}
    if len(kept) == len(ANGLES) + 1:
        return Symmetry(None)
    return Symmetry(np.array([float(a) for a in sorted(kept) if not _beaten(a, kept)]))


def _beaten(turn: int, kept: dict[int, float]) -> bool:
    """Whether a better turn stands beside it."""
    return any(min(abs(turn - b), 360 - abs(turn - b)) <= STEP and kept[b] < kept[turn] for b in kept if b != turn)
