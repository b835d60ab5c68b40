"""Triangulation of many tracks at once, against points that are known."""

import numpy as np
import pytest

from bench3d.contracts import PosedView
from bench3d.geometry.camera import viewpoint_pose
from bench3d.geometry.triangulate import Sightings, nearest_to_rays, triangulate
from bench3d.geometry.unproject import project

CAMERA = np.array([[500.0, 0, 256], [0, 500.0, 256], [0, 0, 1]])


def ring(count, step=12.0, distortion=None):
    return [
        PosedView(str(i), None, (512, 512), CAMERA, viewpoint_pose(i * step, 20.0, 0.0, 4.0), distortion=distortion)
        for i in range(count)
    ]


def sightings(views, points):
    track, view, xy = [], [], []
    for i, own in enumerate(views):
        track.append(np.arange(len(points)))
        view.append(np.full(len(points), i))
        xy.append(project(own, points)[0])
    order = np.argsort(np.concatenate(track), kind="stable")
    return Sightings(*(np.concatenate(parts)[order] for parts in (track, view, xy)))


def test_two_rays_meet_in_the_middle_of_their_shortest_link():
    centres = np.array([[0.0, 0, 0], [0, 1, 2]])
    rays = np.array([[1.0, 0, 0], [0, 1.0, 0]])  # along x at z = 0, along y at z = 2
    found = nearest_to_rays(np.zeros(2, dtype=np.int64), 1, centres, rays, np.ones(2))
    assert np.allclose(found, [[0, 0, 1]])
    parallel = nearest_to_rays(np.zeros(2, dtype=np.int64), 1, centres, rays[[0, 0]], np.ones(2))
    assert np.isnan(parallel).all()


@pytest.mark.parametrize("distortion", [None, (-0.1, 0.02, 0.001, 0.0)])
def test_exact_sightings_give_the_points(distortion):
    views = ring(5, distortion=distortion)
    points = np.random.default_rng(0).uniform(-0.8, 0.8, (200, 3))
    found = triangulate(sightings(views, points), views, pixels=1.0)
    assert np.abs(found.points - points).max() < 1e-6
    assert found.inlier.all()
    assert (found.angle > 30).all()


def test_wrong_sightings_are_left_out_and_the_others_decide():
    views = ring(6)
    points = np.random.default_rng(0).uniform(-0.8, 0.8, (300, 3))
    seen = sightings(views, points)
    rng = np.random.default_rng(1)
    wrong = np.zeros(len(seen.track), dtype=bool)
    wrong[np.concatenate([np.arange(0, len(wrong), 6), np.arange(3, len(wrong), 6)])] = True  # two of six in each track
    xy = np.where(wrong[:, None], rng.uniform(0, 512, seen.xy.shape), seen.xy + rng.normal(0, 0.3, seen.xy.shape))
    found = triangulate(Sightings(seen.track, seen.view, xy), views, pixels=3.0, min_views=3)
    held = np.isfinite(found.points).all(axis=1)
    assert held.mean() > 0.97
    assert np.median(np.linalg.norm(found.points - points, axis=1)[held]) < 0.01
    assert found.inlier[~wrong].mean() > 0.95
    assert found.inlier[wrong].mean() < 0.05


def test_a_track_needs_views_and_an_angle():
    views = ring(3, step=1.0)
    points = np.array([[0.1, 0.2, 0.3]])
    seen = sightings(views, points)
    assert np.isnan(triangulate(seen, views, pixels=1.0, min_angle=5.0).points).all()
    assert np.isfinite(triangulate(seen, views, pixels=1.0, min_angle=1.0).points).all()
    assert np.isnan(triangulate(seen, views, pixels=1.0, min_angle=1.0, min_views=4).points).all()
    twice = Sightings(np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64), np.array([[100.0, 100], [300, 300]]))
    assert np.isnan(triangulate(twice, views, pixels=1.0).points).all(), "one view is no second opinion"


def test_the_order_of_sightings_does_not_matter_and_nothing_is_nothing():
    views = ring(4)
    points = np.random.default_rng(0).uniform(-0.8, 0.8, (20, 3))
    seen = sightings(views, points)
    mixed = np.random.default_rng(1).permutation(len(seen.track))
    found = triangulate(Sightings(seen.track[mixed], seen.view[mixed], seen.xy[mixed]), views, pixels=1.0)
    assert np.allclose(found.points, points, atol=1e-6)
    empty = Sightings(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros((0, 2)))
    assert triangulate(empty, views, pixels=1.0).points.shape == (0, 3)
