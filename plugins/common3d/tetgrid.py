"""A body-centred cubic tetrahedral grid that fills a cube, built from its definition.

Every cell of a cubic lattice has its corners and its centre as vertices. Two face-sharing cells give four tetrahedra:
the edge between their centres with each of the four edges of the face. On the outside of the cube the neighbour's
centre is replaced by the centre of the face, so that the cube is filled exactly. With six cells a side there are
775 vertices and 3024 tetrahedra, the resolution of Common3D's template (742 and 3108; protocol page, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

# Edges of a tetrahedron by its local vertices; the order defines the columns of `TetGrid.tet_edges`.
LOCAL_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


@dataclass(frozen=True, eq=False)
class TetGrid:
    """A conforming tetrahedral grid.

    Attributes:
        vertices: (N, 3) float64.
        tets: (T, 4) int64, each with positive orientation det(v1-v0, v2-v0, v3-v0) > 0.
        edges: (E, 2) int64, unique, the smaller vertex first.
        tet_edges: (T, 6) int64, rows of `edges` in the order of LOCAL_EDGES.
    """

    vertices: np.ndarray
    tets: np.ndarray
    edges: np.ndarray
    tet_edges: np.ndarray


@lru_cache(maxsize=4)
def build_grid(cells: int, extent: float) -> TetGrid:
    """The grid over [-extent, extent]^3 with `cells` cubic cells a side."""
    points, tets = _lattice(cells)
    # Lattice points are integers in half cells, so that equal points are found exactly.
    unique, index = np.unique(points, axis=0, return_inverse=True)
    tets = index.reshape(-1)[tets]
    vertices = (unique / cells - 1.0) * extent
    corner = vertices[tets]
    volume = np.linalg.det(corner[:, 1:] - corner[:, :1])
    tets[volume < 0] = tets[volume < 0][:, [1, 0, 2, 3]]
    pairs = np.sort(tets[:, np.array(LOCAL_EDGES)], axis=2)
    edges, tet_edges = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)
    return TetGrid(vertices, tets, edges, tet_edges.reshape(-1, 6))


def _lattice(cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (4T, 3) in half cells, with repetitions, and tets (T, 4) into them."""
    axis = np.arange(cells)
    corner = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3) * 2
    quads = []
    for normal in range(3):
        u, v = np.eye(3, dtype=np.int64)[[(normal + 1) % 3, (normal + 2) % 3]] * 2
        step = np.eye(3, dtype=np.int64)[normal]
        for side in (0, 2):
            face = corner + side * step
            lowest, highest = face[:, normal] == 0, face[:, normal] == 2 * cells
            # An inner face belongs to the cell above it; its two centres lie on either side.
            keep = lowest if side == 0 else np.ones(len(face), dtype=bool)
            face, outside = face[keep], (lowest | highest)[keep]
            middle = face + (u + v) // 2
            inner = middle + step * np.where(face[:, normal] == 0, 1, -1)[:, None]
            outer = np.where(outside[:, None], middle, middle + step)
            ring = [face, face + u, face + u + v, face + v]
            for first, second in zip(ring, [*ring[1:], ring[0]], strict=True):
                quads.append(np.stack([inner, outer, first, second], axis=1))
    points = np.concatenate(quads).reshape(-1, 3)
    return points, np.arange(len(points)).reshape(-1, 4)
