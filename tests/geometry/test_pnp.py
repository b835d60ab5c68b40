"""Pose from matches: exact cases worked by hand, pixel conventions, outliers, failure, distortion."""

import dataclasses
import importlib.util

import numpy as np
import pytest

from bench3d.contracts import PosedView
from bench3d.errors import UsageError
from bench3d.geometry.pnp import PoseOptions, pose_from_matches, reprojection_error
from bench3d.geometry.rotations import so3_exp
from bench3d.geometry.unproject import project

CAMERA = np.array([[800.0, 0, 256], [0, 820.0, 250], [0, 0, 1]])
ESTIMATORS = ["epnp", "magsac", pytest.param("poselib", marks=pytest.mark.skipif(
    importlib.util.find_spec("poselib") is None, reason="PoseLib is not installed"))]  # fmt: skip


def view(pose, distortion=None, size=(512, 512)):
    return PosedView("v", None, size, CAMERA, pose, distortion=distortion)


def pose_of(vector, translation):
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = so3_exp(np.array(vector)), translation
    return pose


def scene(count=60, outliers=0, seed=0, distortion=None, extent=0.1, origin=(0, 0, 0)):
    """Points of ten centimetres in metres, at half a metre, and where they are seen; the first are outliers."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-extent, extent, (count, 3)) + origin
    pose = pose_of([0.4, -0.7, 0.2], [0.02, -0.01, 5 * extent])
    pose[:3, 3] -= pose[:3, :3] @ np.array(origin, dtype=float)
    xy, _ = project(view(pose, distortion), points)
    xy[:outliers] = rng.uniform(0, 512, (outliers, 2))
    return points, xy, pose


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("extent", "origin"), [(0.1, (0, 0, 0)), (1e-3, (0, 0, 0)), (5.0, (1000.0, -300.0, 20.0))])
def test_exact_matches_give_the_pose_at_any_scale_and_place(estimator, extent, origin):
    points, xy, pose = scene(extent=extent, origin=origin)
    found = pose_from_matches(points, xy, CAMERA, PoseOptions(estimator=estimator))
    assert found.cam_T_world is not None
    assert np.allclose(found.cam_T_world[:3, :3], pose[:3, :3], atol=1e-6)
    centre, true = (-p[:3, :3].T @ p[:3, 3] for p in (found.cam_T_world, pose))
    assert np.abs(centre - true).max() < 1e-5 * extent * 5
    assert sorted(found.inliers) == list(range(len(points)))


def test_the_pose_does_not_depend_on_where_a_pixel_s_centre_lies_as_long_as_camera_and_pixels_agree():
    points, xy, pose = scene()
    moved = CAMERA.copy()
    moved[:2, 2] -= 0.5
    ours = pose_from_matches(points, xy, CAMERA, PoseOptions())
    theirs = pose_from_matches(points, xy - 0.5, moved, PoseOptions())
    assert np.allclose(ours.cam_T_world, theirs.cam_T_world, atol=1e-9)
    mixed = pose_from_matches(points, xy, moved, PoseOptions())
    # Half a pixel at a focal length of 800 and half a metre is 0.3 mm sideways.
    off = np.linalg.norm(mixed.cam_T_world[:2, 3] - pose[:2, 3])
    assert 2e-4 < off < 5e-4


@pytest.mark.parametrize("estimator", ["magsac"])
def test_nine_in_ten_matches_may_be_wrong(estimator):
    points, xy, pose = scene(count=1000, outliers=900)
    found = pose_from_matches(points, xy, CAMERA, PoseOptions(estimator=estimator, pixels=4.0))
    assert np.allclose(found.cam_T_world, pose, atol=2e-3)
    assert set(range(900, 1000)) <= set(found.inliers.tolist())


def test_epnp_is_opencv_s_own_call():
    """The published settings are one call of OpenCV on millimetres, and nothing is refined."""
    import cv2

    points, xy, _ = scene(count=300, outliers=120)
    options = PoseOptions("epnp", 8.0, 10_000, 0.99, 5, refine=False, scale=1000.0)
    found = pose_from_matches(points, xy, CAMERA, options)
    _, vector, translation, inliers = cv2.solvePnPRansac(
        points * 1000, xy, CAMERA, None, reprojectionError=8.0, iterationsCount=10_000, flags=cv2.SOLVEPNP_EPNP
    )
    assert np.array_equal(found.cam_T_world[:3, :3], cv2.Rodrigues(vector)[0])
    assert np.allclose(found.cam_T_world[:3, 3], translation.ravel() / 1000, atol=1e-15)
    assert np.array_equal(found.inliers, inliers.ravel())


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_same_matches_give_the_same_pose_whatever_ran_before(estimator):
    import cv2

    points, xy, _ = scene(count=200, outliers=150)
    options = PoseOptions(estimator=estimator, iterations=2000)
    first = pose_from_matches(points, xy, CAMERA, options)
    cv2.setRNGSeed(7)
    np.random.default_rng(3).random(10)
    again = pose_from_matches(points, xy, CAMERA, options)
    assert np.array_equal(first.inliers, again.inliers)
    if first.cam_T_world is not None:
        assert np.array_equal(first.cam_T_world, again.cam_T_world)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_too_few_inliers_are_no_pose(estimator):
    points, xy, _ = scene(count=40)
    options = PoseOptions(estimator=estimator, min_inliers=40)
    assert pose_from_matches(points, xy, CAMERA, options).cam_T_world is None
    assert pose_from_matches(points, xy, CAMERA, dataclasses.replace(options, min_inliers=39)).cam_T_world is not None
    for few in (0, 3):
        assert pose_from_matches(points[:few], xy[:few], CAMERA, options).cam_T_world is None


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_degenerate_matches_end_in_no_pose_or_a_finite_one_never_in_an_error(estimator):
    rng = np.random.default_rng(1)
    same = np.zeros((30, 3)), np.full((30, 2), 100.0)
    line = np.linspace(0, 1, 30)[:, None] * np.ones(3), rng.uniform(0, 512, (30, 2))
    broken = np.full((30, 3), np.nan), np.full((30, 2), np.nan)
    for points, xy in (same, line, broken):
        found = pose_from_matches(points, xy, CAMERA, PoseOptions(estimator=estimator, iterations=500))
        assert found.cam_T_world is None or np.isfinite(found.cam_T_world).all()


def test_a_lens_that_distorts_is_taken_into_account():
    distortion = (-0.2, 0.05, 0.001, -0.002)
    points, xy, pose = scene(distortion=distortion)
    found = pose_from_matches(points, xy, CAMERA, PoseOptions(), distortion)
    assert np.allclose(found.cam_T_world, pose, atol=1e-6)
    without = pose_from_matches(points, xy, CAMERA, PoseOptions())
    assert not np.allclose(without.cam_T_world, pose, atol=1e-4)


def test_reprojection_error_by_hand():
    camera = np.array([[100.0, 0, 50], [0, 100.0, 50], [0, 0, 1]])
    points = np.array([[0.0, 0, 2], [1.0, 0, 2], [0, 0, -2]])
    xy = np.array([[50.0, 50], [103.0, 54.0], [50, 50]])  # the second projects to (100, 50): off by (3, 4)
    assert reprojection_error(points, xy, camera, np.eye(4)).tolist() == [0.0, 5.0, np.inf]


@pytest.mark.skipif(importlib.util.find_spec("poselib") is not None, reason="PoseLib is installed")
def test_an_estimator_that_is_not_installed_says_how_to_get_it():
    points, xy, _ = scene()
    with pytest.raises(UsageError, match="pip install poselib"):
        pose_from_matches(points, xy, CAMERA, PoseOptions(estimator="poselib"))
