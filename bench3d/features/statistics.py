"""A few numbers that say what a feature map is like, before any task looks at it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ROUNDING = 1e-20
"""Variance below this share of the mean square is rounding; float32 resolves 4e-15."""


@dataclass(frozen=True)
class MapStatistics:
    """What one feature map is like; nan where it has too few cells.

    Attributes:
        norm_mean, norm_std: of the cells' vectors.
        cosine_neighbours: mean cosine between cells that share an edge: how smooth the map is.
        cosine_all: mean cosine between any two cells: near 1 the vectors share one direction and tell little apart.
        dimensions: participation ratio (sum of the covariance's eigenvalues)^2 / (sum of their squares): over how many
            directions the variance is spread, 1 to the number of channels.
    """

    norm_mean: float
    norm_std: float
    cosine_neighbours: float
    cosine_all: float
    dimensions: float


def map_statistics(values: np.ndarray) -> MapStatistics:
    """Statistics of one map (C, h, w). Cells whose vector is zero have no direction and are in no cosine."""
    grid = np.moveaxis(values, 0, -1).astype(np.float64)
    norms = np.linalg.norm(grid, axis=-1)
    whole = norms > 0
    unit = grid / np.where(whole, norms, 1.0)[..., None]
    across = np.einsum("ijc,ijc->ij", unit[:, 1:], unit[:, :-1])[whole[:, 1:] & whole[:, :-1]]
    down = np.einsum("ijc,ijc->ij", unit[1:], unit[:-1])[whole[1:] & whole[:-1]]
    pairs = np.concatenate([across, down])
    count = int(whole.sum())
    # The sum over all pairs is the squared length of the sum, less each vector with itself.
    together = float((unit.sum(axis=(0, 1)) ** 2).sum()) - count
    return MapStatistics(
        norm_mean=float(norms.mean()),
        norm_std=float(norms.std()),
        cosine_neighbours=float(pairs.mean()) if len(pairs) else float("nan"),
        cosine_all=together / (count * (count - 1)) if count > 1 else float("nan"),
        dimensions=participation(grid.reshape(-1, grid.shape[-1])),
    )


def participation(rows: np.ndarray) -> float:
    """Participation ratio of the covariance of rows (N, C); nan where they do not vary.

    Needs no eigenvalues: their sum is the trace, the sum of their squares the squared Frobenius norm.
    """
    centred = rows - rows.mean(axis=0)
    products = centred.T @ centred if centred.shape[1] <= len(centred) else centred @ centred.T
    total = float(np.trace(products))
    return total**2 / float((products**2).sum()) if total > ROUNDING * float((rows**2).sum()) else float("nan")
