"""Geometry operators against plain numpy, against each other and by hand."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from bench3d.render import operators
from bench3d.render.operators import (
    farthest_points,
    nearest_by_cdist,
    nearest_points,
    nearest_points_batch,
    unique_edges,
    vertex_normals,
)


def clouds(n, m, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, generator=g), torch.randn(m, 3, generator=g)


@pytest.mark.parametrize("limit", [0, operators.BRUTE_FORCE_PAIRS], ids=["tree", "brute force"])
def test_nearest_points_are_the_nearest(monkeypatch, limit):
    monkeypatch.setattr(operators, "BRUTE_FORCE_PAIRS", limit)
    a, b = clouds(203, 310)
    dist, index = nearest_points(a, b)
    table = np.linalg.norm(a.numpy()[:, None] - b.numpy()[None], axis=-1)
    assert (index.numpy() == table.argmin(axis=1)).all()
    assert dist.numpy() == pytest.approx(table.min(axis=1), rel=1e-5)
    assert index.dtype == torch.int64


def test_the_plain_torch_path_agrees(monkeypatch):
    monkeypatch.setattr(operators, "CHUNK_PAIRS", 1000)  # several chunks
    a, b = clouds(203, 310)
    assert (nearest_by_cdist(a, b) == nearest_points(a, b)[1]).all()


def test_nearest_points_near_each_other_are_told_apart():
    """The matrix-product form of cdist fails here."""
    b = torch.tensor([[100.0, 100.0, 100.0], [100.01, 100.0, 100.0]])
    a = torch.tensor([[100.009, 100.0, 100.0]])
    assert nearest_points(a, b)[1].tolist() == [1]
    assert nearest_by_cdist(a, b).tolist() == [1]


def test_nearest_points_gradient():
    a, b = (p.double().requires_grad_() for p in clouds(40, 30))
    weights = torch.linspace(-1, 2, 40, dtype=torch.float64)
    ours = torch.autograd.grad((nearest_points(a, b)[0] * weights).sum(), (a, b))
    full = torch.linalg.vector_norm(a[:, None] - b[None], dim=-1).amin(dim=1)
    for mine, other in zip(ours, torch.autograd.grad((full * weights).sum(), (a, b)), strict=True):
        assert torch.allclose(mine, other, atol=1e-9)


def test_gradient_at_distance_zero_is_zero():
    a = torch.zeros(1, 3, requires_grad=True)
    nearest_points(a, torch.zeros(1, 3))[0].sum().backward()
    assert (a.grad == 0).all()


def test_batched_clouds_are_the_single_ones():
    pairs = [clouds(n, m, seed=n) for n, m in ((5, 9), (60, 1), (0, 4), (33, 70))]
    ours = [[p.clone().requires_grad_() for p in pair] for pair in pairs]
    theirs = [[p.clone().requires_grad_() for p in pair] for pair in pairs]
    out = nearest_points_batch([a for a, _ in ours], [b for _, b in ours])
    single = [nearest_points(a, b) for a, b in theirs]
    for (dist, index), (dist1, index1) in zip(out, single, strict=True):
        assert torch.equal(dist, dist1)
        assert torch.equal(index, index1)
    sum((d**2).sum() for d, _ in out).backward()
    sum((d**2).sum() for d, _ in single).backward()
    for pair, other in zip(ours, theirs, strict=True):
        for p, q in zip(pair, other, strict=True):
            assert torch.allclose(p.grad, q.grad, atol=1e-6)


def test_nearest_points_refuses_what_has_no_answer():
    a, b = clouds(4, 4)
    with pytest.raises(ValueError, match="b is empty"):
        nearest_points(a, b[:0])
    with pytest.raises(ValueError, match="must be"):
        nearest_points(a[:, :2], b)
    with pytest.raises(ValueError, match="paired"):
        nearest_points_batch([a], [])
    assert nearest_points_batch([], []) == []


def test_farthest_points_on_a_line_by_hand():
    points = torch.zeros(9, 3)
    points[:, 0] = torch.tensor([0.0, 1, 2, 3, 4.1, 5, 6, 7, 8])
    # 8 is farthest from 0, then the middle one, then 6 (1.9 from 4.1, 2 from 8) against 2 (2 from 0, 2.1 from 4.1).
    assert farthest_points(points, 4, start=0).tolist() == [0, 8, 4, 2]


def test_farthest_points_are_distinct_spread_and_seeded():
    points = clouds(600, 1)[0]
    index = farthest_points(points, 150, generator=torch.Generator().manual_seed(3))
    assert len(set(index.tolist())) == 150
    assert torch.equal(index, farthest_points(points, 150, generator=torch.Generator().manual_seed(3)))
    chosen = points[index]
    cover = torch.cdist(points, chosen).amin(dim=1).max()
    spacing = (torch.cdist(chosen, chosen) + 99 * torch.eye(150)).min()
    assert cover <= spacing + 1e-5  # the greedy choice's invariant
    assert sorted(farthest_points(torch.zeros(5, 3), 5).tolist()) == [0, 1, 2, 3, 4]


def test_farthest_points_refuses_too_many():
    with pytest.raises(ValueError, match="cannot choose"):
        farthest_points(torch.zeros(3, 3), 4)
    with pytest.raises(ValueError, match="start"):
        farthest_points(torch.zeros(3, 3), 1, start=3)


def test_edges_of_two_triangles():
    faces = torch.tensor([[0, 1, 2], [3, 2, 1]], dtype=torch.int32)
    assert unique_edges(faces).tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    assert unique_edges(faces[:0]).shape == (0, 2)


def test_vertex_normals_of_a_tetrahedron():
    corners = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1], [9, 9, 9]])
    faces = torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    normals = vertex_normals(corners, faces)
    assert torch.allclose(normals[:4], corners[:4] / 3**0.5, atol=1e-6)  # outward
    assert (normals[4] == 0).all()
    both = vertex_normals(torch.stack([corners, 2 * corners]), faces)
    assert torch.allclose(both[1], normals, atol=1e-6)
    moving = corners[:4].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: vertex_normals(v, faces), (moving,))


@pytest.mark.skipif(
    not torch.cuda.is_available() or importlib.util.find_spec("kaolin") is None, reason="needs CUDA and kaolin"
)
def test_kaolin_agrees():
    a, b = clouds(203, 310)
    assert torch.equal(nearest_points(a.cuda(), b.cuda())[1].cpu(), nearest_points(a, b)[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_agrees():
    a, b = clouds(203, 310)
    assert torch.equal(nearest_by_cdist(a.cuda(), b.cuda()).cpu(), nearest_points(a, b)[1])
    assert torch.equal(farthest_points(a.cuda(), 20).cpu(), farthest_points(a, 20))
