from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3d.geometry.camera import clip_matrix, viewpoint_pose
from bench3d.morphable.stage import to_clip
from bench3d.plugins import renderer_for
from bench3d_plugins.uop3d.loss import clutter_cells, vertex_loss, visible_vertices

# A cube whose vertex k has x, y, z = -1 or 1 by the bits 4, 2, 1 of k.
CUBE = torch.tensor([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)]) * 0.5
CUBE_FACES = torch.tensor(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]],
    dtype=torch.int32,
)  # fmt: skip
FRONT = [0, 1, 4, 5]
"""The cube's vertices of y = -0.5, which face the camera at azimuth 0."""


def clip_of(vertices: torch.Tensor, distance: float = 4.0) -> torch.Tensor:
    intrinsics = np.array([[64.0, 0, 32], [0, 64, 32], [0, 0, 1]])
    matrix = clip_matrix(intrinsics, (64, 64)) @ viewpoint_pose(0, 0, 0, distance)
    return to_clip(vertices[None], torch.from_numpy(matrix)[None].float())


def test_loss_by_hand() -> None:
    # Cells (row by row): right, up, left, up. One vertex at the first cell's centre, one midway between the upper two.
    features = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, 1]]).T.reshape(1, 2, 2, 2)
    cells = torch.tensor([[[0.5, 0.5], [1.0, 0.5], [0.5, 1.5]]])
    seen = torch.tensor([[True, True, False]])
    bank = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])  # three vertices, then the clutter
    t = 0.5

    def entropy(feature: tuple[float, float], label: int) -> float:
        logits = [(feature[0] * x + feature[1] * y) / t for x, y in bank.tolist()]
        return math.log(sum(math.exp(v) for v in logits)) - logits[label]

    wanted = (entropy((1, 0), 0) + entropy((0.5, 0.5), 1) + entropy((0, 1), 3)) / 3
    assert vertex_loss(features, cells, seen, torch.tensor([[3]]), bank, t).item() == pytest.approx(wanted, abs=1e-6)


def test_only_the_near_side_is_seen_where_it_projects() -> None:
    # Larger faces behind a smaller front would show at the silhouette; a cube far away hides its back.
    inner = CUBE.clone()
    inner[[2, 3, 6, 7]] *= 0.5
    clip = clip_of(inner)
    cells, seen, covered = visible_vertices(renderer_for("cpu"), clip, CUBE_FACES, torch.ones(1, 16, 16), (64, 64))
    assert not seen[0, [2, 3, 6, 7]].any()
    # Its left (x) is on the right of who looks at its front; focal length 64 at depth 3.5.
    wanted = 32 + inner[FRONT][:, [0, 2]] * torch.tensor([1, -1]) * 64 / 3.5
    assert torch.allclose(cells[0, FRONT], wanted, atol=1e-3)
    assert covered.sum().item() == pytest.approx((64 / 3.5) ** 2, rel=0.1)


def test_a_vertex_in_padding_or_outside_is_not_seen() -> None:
    # A closed fan around a middle vertex: that one alone lies inside the silhouette.
    ring = torch.tensor([[math.cos(a), 0.0, math.sin(a)] for a in np.linspace(0, 2 * math.pi, 9)[:-1]]).float() * 0.8
    vertices = torch.cat([torch.tensor([[0.05, -0.3, 0.05]]), ring])
    faces = torch.tensor([[0, 1 + i, 1 + (i + 1) % 8] for i in range(8)], dtype=torch.int32)
    everywhere = torch.ones(1, 16, 16)
    renderer = renderer_for("cpu")
    assert visible_vertices(renderer, clip_of(vertices), faces, everywhere, (32, 32))[1][0, 0]
    assert not visible_vertices(renderer, clip_of(vertices), faces, 0 * everywhere, (32, 32))[1].any()
    moved = vertices + torch.tensor([2.4, 0, 0])
    assert not visible_vertices(renderer, clip_of(moved), faces, everywhere, (32, 32))[1][0, 0]
    behind = clip_of(vertices, distance=-4.0)
    assert not visible_vertices(renderer, behind, faces, everywhere, (32, 32))[1].any()


@given(st.integers(0, 2**31), st.integers(1, 15))
@settings(max_examples=20, deadline=None)
def test_clutter_lies_beside_the_object(seed: int, free: int) -> None:
    covered = torch.ones(2, 4, 4)
    covered[0].flatten()[:free] = 0
    drawn = clutter_cells(covered, 5, torch.Generator().manual_seed(seed))
    assert drawn.shape == (2, 5)
    assert drawn[0].max() < free
    assert ((drawn[1] >= 0) & (drawn[1] < 16)).all()
