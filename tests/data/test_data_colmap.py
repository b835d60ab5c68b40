"""COLMAP binary models: read as written, and never trusted."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from colmap_files import Image, Model, scene, write_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench3d.data.colmap import read_cameras, read_images, read_points
from bench3d.errors import DataError
from bench3d.geometry.camera import project


def read(folder):
    return read_images(folder / "images.bin", read_cameras(folder / "cameras.bin"))


def test_a_model_is_read_as_written(tmp_path):
    model = scene()
    write_model(tmp_path, model)
    images = read(tmp_path)
    ids, points = read_points(tmp_path / "points3D.bin")
    assert [image.name for image in images] == ["001.jpg", "002.jpg", "003.jpg"]
    assert ids.tolist() == list(range(40)) and np.allclose(points, model.points)
    for image, written in zip(images, model.images, strict=True):
        assert image.camera.size == (64, 48) and image.camera.distortion is None
        assert np.allclose(image.cam_T_world, written.cam_T_world, atol=1e-12)
        # Ids ascend, keypoints of no point are left out, and every keypoint is where its point projects to.
        assert image.keypoints.points.tolist() == list(range(40))
        pixels, depth = project(points, image.cam_T_world, image.camera.intrinsics)
        assert (depth > 1).all() and np.allclose(pixels, image.keypoints.xy, atol=1e-9)


def test_without_keypoints_only_poses_are_read(tmp_path):
    write_model(tmp_path, scene())
    cameras = read_cameras(tmp_path / "cameras.bin")
    bare = read_images(tmp_path / "images.bin", cameras, keypoints=False)
    assert all(image.keypoints is None for image in bare)
    assert all(np.array_equal(a.cam_T_world, b.cam_T_world) for a, b in zip(bare, read(tmp_path), strict=True))


def test_a_quaternion_is_read_w_first(tmp_path):
    # (w, x, y, z) = (cos 45, 0, 0, sin 45): a quarter turn about z takes x to y.
    half = np.sqrt(0.5)
    (tmp_path / "cameras.bin").write_bytes(struct.pack("<QiiQQ3d", 1, 1, 0, 8, 6, 5.0, 4.0, 3.0))
    record = struct.pack("<Qi7di", 1, 1, half, 0, 0, half, 1, 2, 3, 1) + b"a.png\0" + struct.pack("<Q", 0)
    (tmp_path / "images.bin").write_bytes(record)
    (image,) = read(tmp_path)
    assert np.allclose(image.cam_T_world @ [1, 0, 0, 1], [1, 3, 3, 1])
    assert len(image.keypoints.points) == 0


@pytest.mark.parametrize(
    ("kind", "parameters", "intrinsics", "distortion"),
    [
        (0, [5, 4, 3], [5, 5, 4, 3], None),
        (1, [5, 6, 4, 3], [5, 6, 4, 3], None),
        (2, [5, 4, 3, 0.1], [5, 5, 4, 3], (0.1, 0, 0, 0)),
        (3, [5, 4, 3, 0.1, 0.2], [5, 5, 4, 3], (0.1, 0.2, 0, 0)),
        (4, [5, 6, 4, 3, 0.1, 0.2, 0.3, 0.4], [5, 6, 4, 3], (0.1, 0.2, 0.3, 0.4)),
    ],
)
def test_camera_models(tmp_path, kind, parameters, intrinsics, distortion):
    write_model(tmp_path, Model({3: (kind, 8, 6, [float(p) for p in parameters])}))
    camera = read_cameras(tmp_path / "cameras.bin")[3]
    fx, fy, cx, cy = intrinsics
    assert camera.intrinsics.tolist() == [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
    assert camera.distortion == distortion


def test_other_camera_models_are_refused_by_name(tmp_path):
    write_model(tmp_path, Model({1: (5, 8, 6, [1.0] * 8)}))
    with pytest.raises(DataError, match=r"OPENCV_FISHEYE is not read.*image_undistorter"):
        read_cameras(tmp_path / "cameras.bin")


def test_of_two_keypoints_on_one_point_the_first_counts_and_those_outside_do_not(tmp_path):
    xy = np.array([[4.0, 4.0], [1.0, 1.0], [2.0, 2.0], [8.0, 1.0], [-0.5, 1.0]])
    model = Model({1: (0, 8, 6, [5.0, 4.0, 3.0])}, [Image("a.png", 1, np.eye(4), xy, np.array([9, 3, 9, 5, 6]))])
    write_model(tmp_path, model)
    (image,) = read(tmp_path)
    assert image.keypoints.points.tolist() == [3, 9]
    assert image.keypoints.xy.tolist() == [[1.0, 1.0], [4.0, 4.0]]


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "a/../../b.jpg", "", "a" * 300])
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    model = scene(1)
    model.images[0].name = name
    write_model(tmp_path, model)
    with pytest.raises(DataError, match=r"images.bin, image 0: the name"):
        read(tmp_path)


def test_an_unknown_camera_and_a_missing_file_are_named(tmp_path):
    model = scene(2)
    model.images[1].camera = 8
    write_model(tmp_path, model)
    with pytest.raises(DataError, match=r"image 1: camera 8 is not in cameras.bin"):
        read(tmp_path)
    (tmp_path / "cameras.bin").unlink()
    with pytest.raises(DataError, match=r"cameras.bin is missing"):
        read(tmp_path)


def test_every_truncation_is_found(tmp_path):
    write_model(tmp_path, scene(2, points=3))
    readers = {"cameras.bin": read_cameras, "points3D.bin": read_points, "images.bin": lambda _: read(tmp_path)}
    for name, reader in readers.items():
        whole = (tmp_path / name).read_bytes()
        for length in range(len(whole)):
            (tmp_path / name).write_bytes(whole[:length])
            with pytest.raises(DataError, match=name):
                reader(tmp_path / name)
        (tmp_path / name).write_bytes(whole)


def test_a_count_in_the_billions_is_refused_without_allocating(tmp_path):
    write_model(tmp_path, scene(2, points=3))
    for name, reader in (("cameras.bin", read_cameras), ("points3D.bin", read_points)):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(b"\xff" * 8 + whole[8:])
        with pytest.raises(DataError, match="truncated"):
            reader(tmp_path / name)


def test_a_point_id_beyond_the_format_is_refused(tmp_path):
    write_model(tmp_path, scene(2, points=3))
    path = tmp_path / "points3D.bin"
    content = bytearray(path.read_bytes())
    content[15] = 0xFF  # the highest byte of the first point's id
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"points3D.bin, point 0: it is no point"):
        read_points(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), value=st.integers(0, 255), name=st.sampled_from(["cameras", "images", "points3D"]))
def test_a_flipped_byte_gives_a_model_or_a_data_error(tmp_path, at, value, name):
    write_model(tmp_path, scene(2, points=3))
    path = tmp_path / f"{name}.bin"
    content = bytearray(path.read_bytes())
    content[at % len(content)] = value
    path.write_bytes(content)
    try:
        for image in read(tmp_path):
            assert np.isfinite(image.cam_T_world).all()
        read_points(tmp_path / "points3D.bin")
    except DataError as error:
        assert ".bin" in error.message
