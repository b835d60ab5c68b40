"""Ground truth of multiview equivariance: hand-worked cameras, occlusion, tolerance, distortion, tracks."""

import cv2
import numpy as np
import pytest
from equivariance_scenes import CAMERA, SIZE, looking, on_plane, plane_view, tracks_set
from hypothesis import given
from hypothesis import strategies as st

from bench3d.contracts import Observations, PosedView
from bench3d.geometry.unproject import depth_between, distort, project, undistort, unproject
from bench3d_plugins.multiview_equivariance.truth import (
    Correspondences,
    Lifted,
    lift,
    tracked,
    visible,
)

LENS = (-0.28, 0.07, 0.0009, -0.0013)


def camera(folder, name="v", shift=0.0, **changes):
    """A 10 x 8 pixel camera with f = 10 and the principal point (5, 4), `shift` units to the right of the origin."""
    pose = np.eye(4)
    pose[0, 3] = -shift
    values = {
        "id": name, "image": folder / f"{name}.png", "size": (10, 8), "cam_T_world": pose,
        "intrinsics": np.array([[10.0, 0, 5], [0, 10, 4], [0, 0, 1]]),
    }  # fmt: skip
    return PosedView(**(values | changes))


def test_two_cameras_before_a_wall_shift_every_pixel_by_focal_times_baseline_over_depth(tmp_path):
    """f = 10, baseline 0.4, depth 2: a shift of 2 pixels; columns 0 and 1 leave the other image."""
    left, right = camera(tmp_path), camera(tmp_path, shift=0.4)
    wall = np.full((8, 10), 2.0, np.float32)
    lifted = lift(left, wall, None, 1)
    assert len(lifted.xy) == 80 and lifted.xy[0].tolist() == [0.5, 0.5]
    np.testing.assert_allclose(lifted.world[0], [(0.5 - 5) / 10 * 2, (0.5 - 4) / 10 * 2, 2])
    found = visible(lifted, right, wall, 0.01, 0.0)
    assert len(found) == 64
    np.testing.assert_allclose(found.target, found.source - [2, 0])
    back = visible(lift(right, wall, None, 1), left, wall, 0.01, 0.0)
    np.testing.assert_allclose(back.target, back.source + [2, 0])


def test_what_stands_before_a_point_hides_it(tmp_path):
    """In the right image a box at depth 1 covers columns 0 to 3: points of the wall that fall there are not seen."""
    left, right = camera(tmp_path), camera(tmp_path, shift=0.4)
    wall = np.full((8, 10), 2.0, np.float32)
    boxed = wall.copy()
    boxed[:, :4] = 1.0
    found = visible(lift(left, wall, None, 1), right, boxed, 0.01, 0.0)
    assert len(found) == 8 * 4 and found.target[:, 0].min() == pytest.approx(4.5)
    seen_anyway = visible(lift(left, wall, None, 1), right, boxed, 0.5, 0.26)
    assert len(seen_anyway) == 64, "0.5 + 0.26 * 2 is more than the box stands before the wall"


def test_a_slanted_wall_and_an_edge_are_both_judged_rightly(tmp_path):
    """Depth 2 + 0.4 * column: between columns 3 and 4 the map says 3.2 and 3.6, the point between them is at 3.4."""
    slanted = np.tile(2 + 0.4 * np.arange(10, dtype=np.float32), (8, 1))
    view = camera(tmp_path)
    middle = Lifted(np.array([[4.0, 3.5]]), unproject(view, np.array([[4.0, 3.5]]), np.array([3.4])))
    assert len(visible(middle, view, slanted, 0.05, 0.0)) == 1
    edge = np.where(np.arange(10) < 4, 1.0, 2.0) * np.ones((8, 1))
    points = np.array([[3.9, 3.5], [4.2, 3.5]])
    behind = Lifted(points, unproject(view, points, np.array([2.0, 2.0])))
    assert visible(behind, view, edge, 0.05, 0.0).target[:, 0].tolist() == pytest.approx([4.2])
    cut = edge.copy()
    cut[:, 4] = 0.0
    assert depth_between(cut, points).tolist() == [0, 0], "one of the four is unknown"
    corner = np.array([[0.1, 0.1], [9.9, 7.9]])
    np.testing.assert_allclose(depth_between(slanted, corner), [2, 5.6], rtol=1e-6)


def test_unknown_depth_is_neither_a_query_nor_an_answer(tmp_path):
    left, right = camera(tmp_path), camera(tmp_path, shift=0.4)
    wall = np.full((8, 10), 2.0, np.float32)
    holes = wall.copy()
    holes[0], holes[1, 5] = 0.0, np.nan
    assert len(lift(left, holes, None, 1).xy) == 69
    assert len(visible(lift(left, wall, None, 1), right, holes, 10.0, 0.0)) == 64 - 8 - 1


def test_queries_are_centres_of_every_nth_pixel_on_the_mask(tmp_path):
    mask = np.zeros((8, 10), bool)
    mask[2:7, 2:] = True
    lifted = lift(camera(tmp_path), np.ones((8, 10), np.float32), mask, 4)
    assert lifted.xy.tolist() == [[2.5, 2.5], [6.5, 2.5], [2.5, 6.5], [6.5, 6.5]]


def test_points_behind_a_camera_are_nowhere(tmp_path):
    xy, depth = project(camera(tmp_path), np.array([[0.0, 0, -1], [0, 0, 2]]))
    assert np.isnan(xy[0]).all() and depth[0] == -1
    assert xy[1].tolist() == [5, 4]
    nothing = visible(Lifted(np.zeros((1, 2)), np.array([[0.0, 0, -1]])), camera(tmp_path), np.ones((8, 10)), 9.0, 0.0)
    assert len(nothing) == 0


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_correspondence_is_symmetric(tmp_path_factory, first, second):
    """From a to b and back is where one came from; both agree with the plane's own geometry."""
    folder = tmp_path_factory.mktemp("views")
    a, b = plane_view(folder, "a", first), plane_view(folder, "b", second)
    found = visible(lift(a, a.depth(), None, 16), b, b.depth(), 0.2, 0.0)
    world, _ = on_plane(a, found.source)
    np.testing.assert_allclose(on_plane(b, found.target)[0], world, atol=1e-5)
    back, _ = project(a, unproject(b, found.target, on_plane(b, found.target)[1]))
    np.testing.assert_allclose(back, found.source, atol=1e-3)


def test_distortion_is_that_of_opencv_and_has_an_inverse(tmp_path):
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (200, 2))
    theirs, _ = cv2.projectPoints(
        np.concatenate([points, np.ones((200, 1))], axis=1), np.zeros(3), np.zeros(3), np.eye(3), np.array(LENS)
    )
    np.testing.assert_allclose(distort(points, LENS), theirs[:, 0], atol=1e-12)
    np.testing.assert_allclose(undistort(distort(points, LENS), LENS), points, atol=1e-9)


def test_a_distorted_view_projects_and_lifts_to_the_same_pixel():
    view = PosedView("v", None, SIZE, CAMERA, looking(20.0), distortion=LENS)
    xy = np.random.default_rng(1).uniform(0, 1, (100, 2)) * SIZE
    depth = np.linspace(1.0, 4.0, 100)
    again, z = project(view, unproject(view, xy, depth))
    np.testing.assert_allclose(again, xy, atol=1e-6)
    np.testing.assert_allclose(z, depth)


def test_a_point_far_outside_is_not_folded_back_into_the_image():
    """With k1 = -0.28 alone a ray at 1.7 focal lengths lands at 1.7 * (1 - 0.28 * 2.89) = 0.32 of them: inside."""
    view = PosedView("v", None, SIZE, CAMERA, np.eye(4), distortion=(-0.28, 0.0, 0.0, 0.0))
    assert distort(np.array([[1.7, 0.0]]), view.distortion)[0, 0] == pytest.approx(0.324, abs=1e-3)
    xy, _ = project(view, np.array([[1.7, 0.0, 1.0], [0.3, 0.0, 1.0]]))
    assert np.isnan(xy[0]).all() and np.isfinite(xy[1]).all()


def test_tracks_join_by_id_at_the_observed_pixels(tmp_path):
    a, b = camera(tmp_path, "a"), camera(tmp_path, "b")
    left = Observations(np.array([2, 5, 9, 11]), np.array([[1.0, 1], [2, 2], [3, 3], [-1, 4]]))
    right = Observations(np.array([5, 7, 9, 11]), np.array([[4.0, 1], [9, 9], [10, 3], [5, 5]]))
    found = tracked(left, right, a, b)
    assert found.source.tolist() == [[2, 2]] and found.target.tolist() == [[4, 1]], "9 and 11 lie outside an image"


def test_tracked_points_of_the_plane_are_the_same_points(tmp_path):
    views = tracks_set(tmp_path)
    seen = views.observations()
    found = tracked(seen[0], seen[2], views.views[0], views.views[2])
    both = [k for k in range(60) if k % 3 and k % 5]
    assert len(found) == len(both)
    world = [on_plane(view, xy)[0] for view, xy in ((views.views[0], found.source), (views.views[2], found.target))]
    np.testing.assert_allclose(*world, atol=1e-9)
    assert isinstance(found, Correspondences)
