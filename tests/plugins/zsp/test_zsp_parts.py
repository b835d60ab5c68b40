from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3d.contracts import FeatureMap
from bench3d.geometry.crops import centre_zoom
from bench3d.geometry.rotations import geodesic_angle, random_rotations
from bench3d.geometry.similarity import apply_similarity, split_similarity
from bench3d_plugins.zsp.cells import foreground
from bench3d_plugins.zsp.matching import clusters, correspond, cycles
from bench3d_plugins.zsp.ransac import similarity_ransac


def directions(*degrees: float) -> torch.Tensor:
    angles = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_cyclical_distance_by_hand() -> None:
    # View cells at 0, 20, 50, 90 degrees; query cells at 5, 85. 0 and 20 both go to 5, which goes back to 0.
    # 50 goes to 85, as 90 does, which goes back to 90.
    view, query = directions(0, 20, 50, 90), directions(5, 85)
    places = torch.tensor([[0.0, 0], [3, 4], [1, 1], [1, 0]])
    partner, similarity, distance = cycles(view, query, places)
    assert partner.tolist() == [0, 0, 1, 1]
    assert torch.allclose(distance, torch.tensor([0.0, 5, 1, 0]))
    assert torch.allclose(similarity, torch.deg2rad(torch.tensor([5.0, 15, 35, 5])).cos())


def test_of_each_cluster_the_pair_whose_cycle_closes_best() -> None:
    # Clusters of the view's features: {0, 3} degrees and {90, 84}. Closed cycles: 0 with 1, 90 with 89.
    view, query = directions(3, 0, 84, 90), directions(1, 89)
    places = torch.tensor([[5.0, 0], [0, 0], [0, 7], [9, 9]])
    found = correspond(view, query, places, pairs=2)
    assert sorted(zip(found.view.tolist(), found.query.tolist(), strict=True)) == [(1, 0), (3, 1)]
    assert len(correspond(view, query, places, pairs=9).view) == 4


def test_clusters_are_those_of_well_separated_groups() -> None:
    rng = np.random.default_rng(0)
    middles = np.array([[10, 0, 0], [0, 10, 0], [0, 0, 10.0]])
    truth = rng.permutation(np.repeat(np.arange(3), 20))
    points = torch.from_numpy(middles[truth] + rng.normal(size=(60, 3))).float()
    labels = clusters(points, 3).numpy()
    assert all(len(set(labels[truth == k])) == 1 for k in range(3))
    assert len(set(labels)) == 3
    assert clusters(points[:1].repeat(7, 1), 3).tolist() == [0] * 7


@given(st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_ransac_finds_a_planted_similarity_among_outliers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rotation, scale = random_rotations(1, rng)[0], rng.uniform(0.7, 1.4)
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = scale * rotation, [0.1, -0.2, 4]
    source = rng.uniform(-1, 1, (50, 3))
    target = apply_similarity(transform, source) + rng.normal(scale=0.01, size=(50, 3))
    target[:25] = rng.uniform(-1, 1, (25, 3)) + [0, 0, 4]
    fit = similarity_ransac(source, target, 500, 0.1, np.random.default_rng(1))
    assert fit is not None
    found_scale, found, moved = split_similarity(fit.transform)
    assert np.rad2deg(geodesic_angle(found, rotation)) < 2
    assert found_scale == pytest.approx(scale, rel=0.03)
    assert np.allclose(moved, [0.1, -0.2, 4], atol=0.03)
    assert fit.inliers[25:].all()
    narrow = (0.5 * scale, 0.9 * scale)
    within = similarity_ransac(source, target, 500, 0.1, np.random.default_rng(1), narrow)
    assert within is None or within.inliers.sum() < fit.inliers.sum()
    again = similarity_ransac(source, target, 500, 0.1, np.random.default_rng(1))
    assert again is not None
    assert np.array_equal(fit.transform, again.transform)


def test_ransac_gives_nothing_where_there_is_nothing() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 3))
    assert similarity_ransac(points[:3], points[:3], 10, 0.1, rng) is None
    assert similarity_ransac(np.ones((20, 3)), points, 10, 0.1, rng) is None  # no scale
    assert similarity_ransac(points, np.ones((20, 3)), 10, 0.1, rng) is None  # a scale of 0
    assert similarity_ransac(points, 1e3 * rng.normal(size=(20, 3)), 10, 1e-3, rng) is None


def test_foreground_cells_are_lifted_along_their_rays() -> None:
    # A crop of 8 x 8 pixels, 2 x 2 cells of 4: centres at pixel (2, 2), (6, 2), ...; nothing at the lower right.
    geometry = centre_zoom((8, 8), np.array([4.0, 4.0]), 1.0, 8).with_grid((2, 2), (4.0, 4.0))
    values = torch.arange(1.0, 9).reshape(1, 2, 2, 2)
    depth = torch.full((8, 8), 2.0)
    depth[4:, 4:] = 0
    depth[6, 2] = float("nan")
    intrinsics = torch.tensor([[4.0, 0, 4], [0, 4, 4], [0, 0, 1]])
    cells = foreground(FeatureMap(values, (geometry,)), 0, depth, intrinsics)
    assert cells.places.tolist() == [[0, 0], [1, 0]]
    # The pixel under (2, 2) has its centre at (2.5, 2.5): x = (2.5 - 4) / 4 * 2.
    assert torch.allclose(cells.points, torch.tensor([[-0.75, -0.75, 2], [1.25, -0.75, 2]]).double())
    assert torch.allclose(cells.features[1], torch.nn.functional.normalize(torch.tensor([2.0, 6]), dim=0))
