"""Differentiable marching tetrahedra: the zero level set of signed distances on a tetrahedral grid."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import torch
from torch import nn

from bench3d_plugins.common3d.tetgrid import LOCAL_EDGES, TetGrid


class MarchingTetrahedra(nn.Module):
    """Extracts closed, outward-oriented meshes; negative distances are inside.

    Linear zero crossing on every grid edge whose ends differ in sign (DMTet, Shen et al. 2021; the case table is
    derived below). Where the level set stays off the border of the grid, the mesh is closed.
    """

    def __init__(self, grid: TetGrid) -> None:
        super().__init__()
        cases, counts = _case_table()
        self.vertices: torch.Tensor
        self.edges: torch.Tensor
        self.tets: torch.Tensor
        self.tet_edges: torch.Tensor
        self.cases: torch.Tensor
        self.counts: torch.Tensor
        self.register_buffer("vertices", torch.from_numpy(grid.vertices).float(), persistent=False)
        self.register_buffer("edges", torch.from_numpy(grid.edges), persistent=False)
        self.register_buffer("tets", torch.from_numpy(grid.tets), persistent=False)
        self.register_buffer("tet_edges", torch.from_numpy(grid.tet_edges), persistent=False)
        self.register_buffer("cases", torch.from_numpy(cases), persistent=False)
        self.register_buffer("counts", torch.from_numpy(counts), persistent=False)

    def forward(self, positions: torch.Tensor, distances: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Grid positions (N, 3) and their signed distances (N,) -> vertices (V, 3) and faces (F, 3) int32.

        Differentiable in both arguments. V = F = 0 where all distances have one sign.
        """
        inside = distances < 0
        ends = inside[self.edges]
        crossing = ends[:, 0] != ends[:, 1]
        number = torch.cumsum(crossing, dim=0) - 1
        first, second = self.edges[crossing].unbind(1)
        at_first, at_second = distances[first][:, None], distances[second][:, None]
        vertices = (positions[first] * at_second - positions[second] * at_first) / (at_second - at_first)
        code = (inside[self.tets].long() * torch.tensor([1, 2, 4, 8], device=inside.device)).sum(1)
        one, two = code[self.counts[code] == 1], code[self.counts[code] == 2]
        edges_one = self.tet_edges[self.counts[code] == 1]
        edges_two = self.tet_edges[self.counts[code] == 2]
        faces = torch.cat(
            [
                edges_one.gather(1, self.cases[one, 0]),
                edges_two.gather(1, self.cases[two, 0]),
                edges_two.gather(1, self.cases[two, 1]),
            ]
        )
        return vertices, number[faces].to(torch.int32)


def _case_table() -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the 16 sign cases: (16, 2, 3) local edges (LOCAL_EDGES) and (16,) triangle counts.

    Worked out for the positively oriented tetrahedron (i, a, b, c). With only i inside, the triangle on the edges
    ia, ib, ic has its normal along det(a-i, b-i, c-i) > 0, away from i: outward. With only i outside it is reversed.
    With i, j inside and k, l outside, (i, j, k, l) positive, the quadrilateral ik, il, jl, jk is outward.
    """
    edge = {frozenset(pair): number for number, pair in enumerate(LOCAL_EDGES)}
    even = [p for p in permutations(range(4)) if np.linalg.det(np.eye(4)[list(p)]) > 0]
    cases = np.zeros((16, 2, 3), dtype=np.int64)
    counts = np.zeros(16, dtype=np.int64)
    for code in range(1, 15):
        inside = {corner for corner in range(4) if code >> corner & 1}
        i, j, k, l = next(p for p in even if _leads(p, inside))  # noqa: E741
        if len(inside) == 2:
            quad = [edge[frozenset(pair)] for pair in ((i, k), (i, l), (j, l), (j, k))]
            cases[code] = [[quad[0], quad[1], quad[2]], [quad[0], quad[2], quad[3]]]
            counts[code] = 2
        else:
            triangle = [edge[frozenset((i, other))] for other in (j, k, l)]
            cases[code, 0] = triangle if len(inside) == 1 else triangle[::-1]
            counts[code] = 1
    return cases, counts


def _leads(order: tuple[int, ...], inside: set[int]) -> bool:
    """Whether the lone corner, or the inside pair, comes first in `order`."""
    lone = inside if len(inside) < 3 else set(range(4)) - inside
    return set(order[: len(lone)]) == lone
