"""Camera conversions against hand-worked cases of the protocol page."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench3d.geometry.camera import (
    clip_matrix,
    from_pytorch3d,
    ndc_intrinsics,
    project,
    remove_similarity_scale,
    to_pytorch3d,
    viewpoint_angles,
    viewpoint_pose,
    viewpoint_rotation,
)
from bench3d.geometry.rotations import random_rotations

FRONT, BACK, LEFT, TOP = np.array([0, -1.0, 0]), np.array([0, 1.0, 0]), np.array([1.0, 0, 0]), np.array([0, 0, 1.0])


def test_zero_viewpoint_sees_the_front() -> None:
    """a = e = t = 0: rows x right, y down, z forward are [1,0,0], [0,0,-1], [0,1,0]."""
    rotation = viewpoint_rotation(0, 0, 0)  # type: ignore[arg-type]
    np.testing.assert_allclose(rotation, [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-15)
    assert (rotation @ FRONT)[2] == -1  # the front is nearer to the camera than the origin
    np.testing.assert_allclose(rotation @ TOP, [0, -1, 0], atol=1e-15)  # up in the image
    np.testing.assert_allclose(rotation @ LEFT, [1, 0, 0], atol=1e-15)  # the object's left is on the right


def test_quarter_turn_sees_the_left_side() -> None:
    """Azimuth 90 puts the camera at +x, the object's left side; its front then points to the left of the image."""
    rotation = viewpoint_rotation(90, 0, 0)  # type: ignore[arg-type]
    np.testing.assert_allclose(rotation @ LEFT, [0, 0, -1], atol=1e-15)
    np.testing.assert_allclose(rotation @ FRONT, [-1, 0, 0], atol=1e-15)


def test_elevation_and_theta_by_hand() -> None:
    above = viewpoint_rotation(0, 90, 0)  # type: ignore[arg-type]
    np.testing.assert_allclose(above @ TOP, [0, 0, -1], atol=1e-15)
    rolled = viewpoint_rotation(0, 0, 90)  # type: ignore[arg-type]
    # [[cos, sin], [-sin, cos]] on rows: the object's up, (0, -1) in the image, moves to (-1, 0).
    np.testing.assert_allclose(rolled @ TOP, [-1, 0, 0], atol=1e-15)


@given(st.floats(0, 359.9), st.floats(-85, 85), st.floats(-179, 179))
def test_angles_invert_the_rotation(a: float, e: float, t: float) -> None:
    rotation = viewpoint_rotation(a, e, t)  # type: ignore[arg-type]
    np.testing.assert_allclose(np.linalg.det(rotation), 1)
    np.testing.assert_allclose(viewpoint_rotation(*viewpoint_angles(rotation)), rotation, atol=1e-9)  # type: ignore[arg-type]


def test_origin_projects_to_the_principal_point() -> None:
    k = np.array([[3000.0, 0, 250], [0, 3000.0, 166], [0, 0, 1]])
    pixels, depth = project(np.zeros((1, 3)), viewpoint_pose(33, 12, -4, 7.5), k)
    np.testing.assert_allclose(pixels, [[250, 166]])
    assert depth[0] == 7.5


def test_pytorch3d_by_hand() -> None:
    """x_cam = x R + T with x left, y up. World point (1, 2, 3), R = quarter turn about z, T = (0, 0, 5)."""
    rotation = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    pose = from_pytorch3d(rotation, np.array([0.0, 0, 5]))
    # row vector: (1,2,3) R = (-2, 1, 3); plus T = (-2, 1, 8); x right, y down: (2, -1, 8)
    np.testing.assert_allclose(pose @ [1, 2, 3, 1], [2, -1, 8, 1])
    back = to_pytorch3d(pose)
    np.testing.assert_allclose(back[0], rotation)
    np.testing.assert_allclose(back[1], [0, 0, 5])


def test_ndc_formats_by_hand() -> None:
    """W=400, H=200, f=(2,2), p=(.5,-.25): isotropic unit 100, per-axis units 200 and 100; c = size/2 - p*unit."""
    args = (np.array([2.0, 2.0]), np.array([0.5, -0.25]), (400, 200))
    np.testing.assert_allclose(ndc_intrinsics(*args, "ndc_isotropic"), [[200, 0, 150], [0, 200, 125], [0, 0, 1]])
    np.testing.assert_allclose(
        ndc_intrinsics(*args, "ndc_norm_image_bounds"), [[400, 0, 100], [0, 200, 125], [0, 0, 1]]
    )
    with pytest.raises(ValueError, match="screen"):
        ndc_intrinsics(*args, "screen")


def test_clip_space_agrees_with_projection() -> None:
    rng = np.random.default_rng(0)
    k = np.array([[120.0, 0, 70], [0, 110.0, 40], [0, 0, 1]])
    points = rng.uniform(-1, 1, (20, 3)) + [0, 0, 4]
    clip = np.concatenate([points, np.ones((20, 1))], 1) @ clip_matrix(k, (128, 96)).T
    ndc = clip[:, :3] / clip[:, 3:]
    pixels, depth = project(points, np.eye(4), k)
    np.testing.assert_allclose((ndc[:, :2] + 1) / 2 * [128, 96], pixels)
    assert (np.argsort(ndc[:, 2]) == np.argsort(depth)).all()
    assert (np.abs(ndc[:, 2]) < 1).all()


def test_similarity_scale_moves_into_the_translation() -> None:
    """Canonical = 2 * raw: a point 1 from the camera in raw units is 2 in canonical ones; pixels stay."""
    rng = np.random.default_rng(1)
    cam_T_raw = np.eye(4)
    cam_T_raw[:3, :3], cam_T_raw[:3, 3] = random_rotations(1, rng)[0], [0.1, -0.2, 3]
    similarity = np.eye(4)
    similarity[:3, :3], similarity[:3, 3] = 2 * random_rotations(1, rng)[0], [5, 6, 7]
    pose = remove_similarity_scale(cam_T_raw, similarity)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    raw = rng.standard_normal((10, 3)) * 0.3
    canonical = raw @ similarity[:3, :3].T + similarity[:3, 3]
    k = np.diag([100.0, 100, 1])
    seen_raw, depth_raw = project(raw, cam_T_raw, k)
    seen, depth = project(canonical, pose, k)
    np.testing.assert_allclose(seen, seen_raw)
    np.testing.assert_allclose(depth, 2 * depth_raw)
