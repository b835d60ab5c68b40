"""The proxy mesh: closed, tight, in place, the same by seed; clouds that enclose nothing are refused."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3d.errors import DataError
from bench3d.morphable.proxy_mesh import farthest_first, is_closed, proxy_mesh, start_alpha


def box_surface(count, size, seed=0):
    """Points on the surface of a box of half extents `size`."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (count, 3))
    axis = rng.integers(0, 3, count)
    points[np.arange(count), axis] = rng.choice([-1.0, 1.0], count)
    return points * size


def as_trimesh(vertices, faces):
    return trimesh.Trimesh(vertices, faces, process=False)


@pytest.fixture(scope="module")
def box():
    points = box_surface(2500, (1.0, 0.5, 0.25)) + 100.0
    return points, proxy_mesh(points, seed=3)


def test_box_is_closed_small_outward_and_tight(box):
    points, (vertices, faces) = box
    mesh = as_trimesh(vertices, faces)
    assert vertices.dtype == np.float64 and faces.dtype == np.int32
    assert 100 < len(vertices) <= 500 and set(faces.ravel()) == set(range(len(vertices)))
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.body_count == 1
    assert mesh.volume == pytest.approx(2 * 1 * 0.5, rel=0.03)  # positive: outward; no cavity is left inside
    assert np.allclose(
        [vertices.min(axis=0), vertices.max(axis=0)], [points.min(axis=0), points.max(axis=0)], atol=0.02
    )


def test_same_by_seed_and_free_of_order(box):
    points, (vertices, faces) = box
    again = proxy_mesh(points, seed=3)
    assert np.array_equal(again[0], vertices) and np.array_equal(again[1], faces)
    shuffled = proxy_mesh(np.random.default_rng(1).permutation(points), seed=3)
    assert np.array_equal(shuffled[0], vertices)
    assert len(proxy_mesh(points, seed=3, most_vertices=60)[0]) <= 60


def test_hole_of_a_torus_stays_open():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 2 * np.pi, (2, 2500))
    ring = 1 + 0.3 * np.cos(b)
    mesh = as_trimesh(*proxy_mesh(np.stack([ring * np.cos(a), ring * np.sin(a), 0.3 * np.sin(b)], axis=1), seed=0))
    assert mesh.is_watertight and mesh.euler_number == 0
    assert mesh.volume == pytest.approx(2 * np.pi**2 * 0.3**2, rel=0.1)


def test_what_floats_far_away_is_dropped():
    points = np.concatenate([box_surface(1500, (1, 1, 1)), box_surface(50, (0.1, 0.1, 0.1)) + 5.0])
    vertices, faces = proxy_mesh(points, seed=0)
    assert np.abs(vertices).max() < 1.05 and as_trimesh(vertices, faces).is_watertight


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.integers(-12, 12), st.integers(40, 400))
def test_any_solid_cloud_gets_a_closed_mesh_that_scales_with_it(seed, power, count):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3)) * rng.uniform(0.2, 1.0, 3)
    vertices, faces = proxy_mesh(points, seed=0)
    assert is_closed(faces) and as_trimesh(vertices, faces).volume > 0 and len(vertices) <= 500
    scaled, same = proxy_mesh(points * 2.0**power, seed=0)  # a power of two rounds nothing
    assert np.array_equal(scaled, vertices * 2.0**power) and np.array_equal(same, faces)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (np.random.default_rng(0).normal(size=(10, 3)), "10 different points"),
        (np.repeat(np.random.default_rng(0).normal(size=(10, 3)), 50, axis=0), "10 different points"),
        (np.zeros((500, 3)), "1 different points|one place"),
        (box_surface(500, (1, 1, 0)), "in a plane"),
        (np.outer(np.linspace(0, 1, 500), [1, 2, 3]), "in a plane"),
        (np.where(np.arange(300).reshape(100, 3) == 7, np.nan, 1.0), "no number"),
        (np.zeros((0, 3)), "too small"),
        (np.zeros((5, 2)), "none of"),
    ],
)
def test_clouds_that_enclose_nothing(points, says):
    with pytest.raises(DataError, match=says):
        proxy_mesh(points, seed=0)


def test_alpha_is_the_mean_quantile_of_pairwise_distances():
    for count in (50, 700):
        points = np.random.default_rng(count).normal(size=(count, 3))
        distances = np.linalg.norm(points[:, None] - points, axis=2)
        expected = np.quantile(distances, max(0.01, 3 / count), axis=1).mean()
        assert start_alpha(points) == pytest.approx(expected, rel=1e-9)


def test_farthest_first_by_hand():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [10, 0, 0], [6, 0, 0]])
    assert farthest_first(points, 0).tolist() == [0, 2, 3, 1]


def test_closed_means_one_fan_and_two_faces():
    tetrahedron = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    assert is_closed(tetrahedron)
    assert not is_closed(tetrahedron[:3])  # a hole
    assert not is_closed(np.concatenate([tetrahedron[:3], tetrahedron[3:, ::-1]]))  # one face the wrong way round
    other = np.array([0, 4, 5, 6])[tetrahedron]
    assert not is_closed(np.concatenate([tetrahedron, other]))  # two solids that touch in a vertex
    other = np.array([0, 1, 5, 6])[tetrahedron]
    assert not is_closed(np.concatenate([tetrahedron, other]))  # and in an edge
    assert is_closed(np.concatenate([tetrahedron, tetrahedron + 4]))
