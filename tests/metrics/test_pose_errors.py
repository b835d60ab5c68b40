"""Pose errors and the accuracies made of them, by hand."""

import numpy as np

from bench3d.geometry.rotations import so3_exp
from bench3d.metrics.pose import both_below, camera_centre_error, pose_errors


def pose(degrees=0.0, translation=(0, 0, 0)):
    out = np.eye(4)
    out[:3, :3] = so3_exp(np.deg2rad([0.0, 0.0, degrees]))
    out[:3, 3] = translation
    return out


def test_angle_and_distance_in_the_unit_of_the_poses():
    rotation, translation = pose_errors(pose(33.0, (0.03, 0, 0.5)), pose(3.0, (0, 0.04, 0.5)))
    assert np.isclose(rotation, 30.0)
    assert np.isclose(translation, 0.05)


def test_another_origin_counts_how_far_that_point_is_displaced():
    # A point one unit along x, turned by 60 degrees: its two places and the centre make an equilateral triangle.
    _, translation = pose_errors(pose(60.0), pose(0.0), np.array([1.0, 0, 0]))
    assert np.isclose(translation, 1.0)


def test_the_camera_s_place_is_that_of_the_inverse():
    # Turned by 180 degrees about z, the translation (1, 0, 0) puts the camera at (1, 0, 0), else at (-1, 0, 0).
    assert np.isclose(camera_centre_error(pose(180.0, (1, 0, 0)), pose(0.0, (1, 0, 0))), 2.0)


def test_accuracy_is_strict_and_wants_both():
    rotation = np.array([0.99, 1.0, 0.99, np.nan])
    translation = np.array([0.99, 0.5, 1.0, 0.1])
    assert both_below(rotation, translation, 1.0, 1.0).tolist() == [True, False, False, False]
