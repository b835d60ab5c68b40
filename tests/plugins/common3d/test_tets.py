from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3d_plugins.common3d.marching import MarchingTetrahedra
from bench3d_plugins.common3d.tetgrid import build_grid


@pytest.fixture(scope="module")
def marching() -> MarchingTetrahedra:
    return MarchingTetrahedra(build_grid(6, 1.1))


def volume(vertices: torch.Tensor, faces: torch.Tensor) -> float:
    return float(torch.linalg.det(vertices[faces.long()]).sum() / 6)


def assert_closed(faces: torch.Tensor) -> None:
    """Every directed edge once, and its reverse once: closed, manifold along edges, consistently oriented."""
    sides = np.concatenate([np.roll(faces.numpy(), k, axis=1)[:, :2] for k in range(3)])
    directed, counts = np.unique(sides, axis=0, return_counts=True)
    assert (counts == 1).all()
    assert np.array_equal(directed, np.unique(directed[:, ::-1], axis=0))


@pytest.mark.parametrize("cells", [2, 3, 6])
def test_grid_fills_the_cube_with_positive_conforming_tets(cells: int) -> None:
    grid = build_grid(cells, 1.1)
    corners = grid.vertices[grid.tets]
    volumes = np.linalg.det(corners[:, 1:] - corners[:, :1]) / 6
    assert volumes.min() > 0
    assert volumes.sum() == pytest.approx(2.2**3)
    triangles = Counter(tuple(sorted(t)) for tet in grid.tets for t in combinations(tet.tolist(), 3))
    assert set(triangles.values()) == {1, 2}
    outer = np.array([t for t, n in triangles.items() if n == 1])
    at_border = np.isclose(np.abs(grid.vertices[outer]), 1.1).all(axis=1).any(axis=1)
    assert at_border.all()  # unshared faces lie on the cube alone
    assert len(np.unique(grid.vertices.round(9), axis=0)) == len(grid.vertices)


def test_grid_has_the_resolution_of_the_paper() -> None:
    grid = build_grid(6, 1.1)
    assert (len(grid.vertices), len(grid.tets)) == (775, 3024)
    mirrored = grid.vertices * [-1, 1, 1]
    assert {tuple(v) for v in mirrored.round(9) + 0.0} == {tuple(v) for v in grid.vertices.round(9) + 0.0}


def test_sphere_is_closed_outward_and_has_its_volume(marching: MarchingTetrahedra) -> None:
    vertices, faces = marching(marching.vertices, marching.vertices.norm(dim=1) - 1)
    assert faces.dtype == torch.int32
    assert_closed(faces)
    assert volume(vertices, faces) == pytest.approx(4 / 3 * np.pi, rel=0.05)


def test_a_plane_is_met_exactly(marching: MarchingTetrahedra) -> None:
    normal, offset = torch.tensor([0.6, 0.0, 0.8]), 0.137
    vertices, faces = marching(marching.vertices, marching.vertices @ normal - offset)
    assert (vertices @ normal - offset).abs().max() < 1e-6
    a, b, c = (vertices[faces[:, k].long()] for k in range(3))
    cross = torch.linalg.cross(b - a, c - a)
    assert (cross @ normal >= -1e-9).all()  # from inside (< 0) to outside


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_any_inner_level_set_is_closed(marching: MarchingTetrahedra, seed: int) -> None:
    values = torch.randn(len(marching.vertices), generator=torch.Generator().manual_seed(seed))
    border = marching.vertices.abs().amax(dim=1) > 1.09
    vertices, faces = marching(marching.vertices, torch.where(border, values.abs() + 0.1, values))
    assert_closed(faces)
    assert volume(vertices, faces) > 0
    assert int(faces.max()) + 1 == len(vertices)


def test_one_sign_gives_an_empty_mesh(marching: MarchingTetrahedra) -> None:
    vertices, faces = marching(marching.vertices, torch.ones(len(marching.vertices)))
    assert vertices.shape == (0, 3)
    assert faces.shape == (0, 3)


def test_gradients_against_finite_differences() -> None:
    marching = MarchingTetrahedra(build_grid(2, 1.1)).double()
    positions = marching.vertices.clone().requires_grad_(True)
    distances = (marching.vertices.norm(dim=1) - 0.8).requires_grad_(True)

    def mesh_volume(p: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        vertices, faces = marching(p, d)
        return torch.linalg.det(vertices[faces.long()]).sum() / 6 + vertices.square().mean()

    steps = [
        torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(3)) for x in (positions, distances)
    ]
    slopes = torch.autograd.grad(mesh_volume(positions, distances), (positions, distances))
    for which in range(2):
        h = [1e-6 * step if n == which else 0 * step for n, step in enumerate(steps)]
        ahead = mesh_volume(positions + h[0], distances + h[1])
        behind = mesh_volume(positions - h[0], distances - h[1])
        assert (ahead - behind).item() / 2e-6 == pytest.approx(float((slopes[which] * steps[which]).sum()), rel=1e-5)
