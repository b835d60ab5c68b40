"""Matrices in text files, rigid poses, 16-bit depth maps, scaled images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bench3d.data.depth import load_depth
from bench3d.data.poses import inverse, pose_problem, read_matrix, rigid
from bench3d.data.resized import resize_factors, scale_intrinsics
from bench3d.errors import DataError
from bench3d.geometry.rotations import random_rotations


def test_a_matrix_is_read_whatever_its_lines(tmp_path):
    path = tmp_path / "pose.txt"
    path.write_text(" 1.0e+000\t2 3\r\n4\r\n\r\n 5 6, 7 8 9")
    assert read_matrix(path, ((4, 4), (3, 3))).tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    with pytest.raises(DataError, match=r"pose.txt holds 9 numbers, not 4x4"):
        read_matrix(path, ((4, 4),))
    path.write_text("-1.#IND0000e+000 1.#QNAN -inf nan")
    assert not np.isfinite(read_matrix(path, ((2, 2),))).any()
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match="no text file of numbers"):
        read_matrix(path, ((3, 3),))
    with pytest.raises(DataError, match="missing"):
        read_matrix(tmp_path / "other.txt", ((3, 3),))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda p: p, None),
        (lambda p: p * np.array([[1.004], [1], [1], [1]]), None),  # rounding of a file
        (lambda p: p * np.nan, "not finite"),
        (lambda p: p * 0, "all zero"),
        (lambda p: p @ np.diag([1.1, 1.1, 1.1, 1]), "no rotation"),
        (lambda p: p @ np.diag([-1.0, 1, 1, 1]), "reflection"),
        (lambda p: p[:3], "no 4x4"),
        (lambda p: p.T, "row 0 0 0 1"),
    ],
)
def test_what_is_no_pose(change, why):
    pose = np.eye(4)
    pose[:3, :3] = random_rotations(1, np.random.default_rng(0))[0]
    pose[:3, 3] = (1.0, 2.0, 3.0)
    problem = pose_problem(change(pose))
    assert problem is None if why is None else why in problem


def test_rigid_takes_the_nearest_rotation_and_inverse_inverts():
    pose = np.eye(4)
    pose[:3, :3] = random_rotations(1, np.random.default_rng(1))[0]
    pose[:3, 3] = (1.0, 2.0, 3.0)
    rounded = pose + np.random.default_rng(2).normal(0, 1e-4, (4, 4))
    found = rigid(rounded)
    assert np.abs(found[:3, :3] @ found[:3, :3].T - np.eye(3)).max() < 1e-14
    assert np.abs(found - pose).max() < 1e-3
    assert np.allclose(inverse(pose) @ pose, np.eye(4), atol=1e-12)


def depth_png(path, values):
    Image.fromarray(np.array(values, dtype=np.uint16)).save(path)
    return path


def test_depth_is_scaled_and_unknown_is_zero(tmp_path):
    path = depth_png(tmp_path / "d.png", [[0, 1500, 65535], [2, 65534, 7]])
    assert load_depth(path, 1e-3, (3, 2)).tolist() == pytest.approx(np.array([[0, 1.5, 0], [0.002, 65.534, 0.007]]))
    mask = tmp_path / "m.png"
    Image.fromarray(np.array([[255, 0, 255], [255, 255, 0]], dtype=np.uint8)).save(mask)
    assert (load_depth(path, 1.0, (3, 2), mask) > 0).tolist() == [[False, False, False], [True, True, False]]


def test_broken_depth_is_named(tmp_path):
    path = depth_png(tmp_path / "d.png", np.random.default_rng(0).integers(1, 5000, (20, 30)))
    with pytest.raises(DataError, match=r"d.png has 30x20 pixels, its image 20x30.*registered"):
        load_depth(path, 1.0, (20, 30))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"d.png is no readable image"):
        load_depth(path, 1.0, (30, 20))
    Image.fromarray(np.zeros((20, 30), dtype=np.uint8)).save(path)
    with pytest.raises(DataError, match="16-bit"):
        load_depth(path, 1.0, (30, 20))
    with pytest.raises(DataError, match="missing"):
        load_depth(tmp_path / "none.png", 1.0, (30, 20))


@pytest.mark.parametrize(
    ("size", "stated", "factors"),
    [
        ((640, 480), (640, 480), (1.0, 1.0)),
        ((320, 240), (640, 480), (0.5, 0.5)),
        ((333, 187), (1920, 1080), (333 / 1920, 187 / 1080)),  # 187.3 rounded
        ((480, 640), (640, 480), None),  # turned
        ((640, 360), (640, 480), None),  # cropped or stretched
    ],
)
def test_scaled_images(size, stated, factors):
    assert resize_factors(size, stated) == factors


def test_scaling_keeps_the_corner():
    intrinsics = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
    assert scale_intrinsics(intrinsics, (0.5, 0.25)).tolist() == [[250, 0, 160], [0, 127.5, 60], [0, 0, 1]]
