"""Mesh, cloud, image and folder readers: hand-made files, and files that are broken."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench3d.contracts import DatasetRegistration
from bench3d.data.images import image_size, load_depth_co3d, load_mask, load_mask_values, load_rgb
from bench3d.data.off import read_off, write_off
from bench3d.data.ply import read_ply_points, write_ply_points
from bench3d.data.root import data_root, dataset_folder
from bench3d.errors import DataError

OFF_BODY = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n"


@pytest.mark.parametrize("header", ["OFF\n4 1 0\n", "OFF 4 1 0\n", "# made by hand\nOFF4 1 0\n\n"])
def test_off_headers_and_polygons(tmp_path, header):
    path = tmp_path / "a.off"
    path.write_text(header + "# a comment\n" + OFF_BODY + "4 0 1 2 3 255 0 0 # a square\n")
    vertices, faces = read_off(path)
    assert vertices[2].tolist() == [1, 1, 0]
    assert faces.tolist() == [[0, 1, 2], [0, 2, 3]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("PLY\n", "begin with OFF"),
        ("OFF\n", "counts"),
        ("OFF\n4 1 0\n" + OFF_BODY, "ends after"),
        ("OFF\n4 1 0\n" + OFF_BODY + "3 0 1 4\n", "vertex 4 of 4"),
        ("OFF\n4 1 0\n" + OFF_BODY + "3 0 1\n", "face 0"),
        ("OFF\n4 1 0\n0 0\n" + OFF_BODY + "3 0 1 2\n", "vertex 0"),
        ("OFF\n4 1 0\n0 0 nan\n" + OFF_BODY, "finite"),
        ("OFF\n4 1 0\n0 0 x\n" + OFF_BODY, "could not convert"),
    ],
)
def test_off_faults_name_the_file(tmp_path, text, says):
    path = tmp_path / "broken.off"
    path.write_text(text)
    with pytest.raises(DataError, match=says) as error:
        read_off(path)
    assert "broken.off" in error.value.message


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-1e3, 1e3, width=32)] * 3), min_size=3, max_size=8))
def test_off_round_trip_keeps_float32(tmp_path_factory, points):
    path = tmp_path_factory.mktemp("off") / "a.off"
    vertices = np.array(points, dtype=np.float32)
    write_off(path, vertices, np.array([[0, 1, 2]], dtype=np.int32))
    again, faces = read_off(path)
    assert np.array_equal(again.astype(np.float32), vertices)
    assert faces.dtype == np.int32


def ply_header(form: str) -> str:
    return (
        f"ply\nformat {form} 1.0\ncomment by hand\nelement camera 1\nproperty short id\nelement vertex 2\n"
        "property uchar red\nproperty double x\nproperty float y\nproperty float z\n"
        "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    )


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_ply_formats_with_extra_properties(tmp_path, form):
    path = tmp_path / "a.ply"
    order = ">" if form == "binary_big_endian" else "<"
    if form == "ascii":
        body = b"7\n255 1.5 2 3\n0 -1 -2 -3\n3 0 1 1\n"
    else:
        body = struct.pack(order + "h", 7) + b"".join(
            struct.pack(order + "Bdff", *row) for row in [(255, 1.5, 2, 3), (0, -1, -2, -3)]
        )
        body += struct.pack(order + "Biii", 3, 0, 1, 1)
    path.write_bytes(ply_header(form).encode() + body)
    assert read_ply_points(path).tolist() == [[1.5, 2, 3], [-1, -2, -3]]
    path.write_bytes((ply_header(form).encode() + body)[: -(14 if form != "ascii" else 20)][:-10])
    with pytest.raises(DataError, match=r"a\.ply"):
        read_ply_points(path)


def test_ply_round_trip_drops_what_is_not_finite(tmp_path):
    points = np.array([[0.25, 1, 2], [np.nan, 0, 0], [3, 4, 5]])
    write_ply_points(tmp_path / "a.ply", points, np.full((3, 3), 7, np.uint8))
    assert read_ply_points(tmp_path / "a.ply").tolist() == [[0.25, 1, 2], [3, 4, 5]]


def test_ply_faults(tmp_path):
    path = tmp_path / "a.ply"
    for text in ("", "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n", "ply\nend_header\n"):
        path.write_text(text)
        with pytest.raises(DataError, match=r"a\.ply"):
            read_ply_points(path)
    with pytest.raises(DataError, match="missing"):
        read_ply_points(tmp_path / "none.ply")


def test_images_are_checked_against_their_annotation(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.full((6, 8, 3), 200, np.uint8)).save(path)
    assert load_rgb(path, (8, 6)).shape == (6, 8, 3)
    assert image_size(path) == (8, 6)
    with pytest.raises(DataError, match="8x6 pixels, its annotation says 6x8"):
        load_rgb(path, (6, 8))


def test_exif_orientation_is_ignored_and_grey_becomes_rgb(tmp_path):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(np.full((6, 8), 200, np.uint8)).save(path, exif=exif)
    assert load_rgb(path).shape == (6, 8, 3)


def test_truncated_missing_and_foreign_images(tmp_path):
    path = tmp_path / "a.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:900])
    for content in (None, b"", b"no image"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.jpg is no readable image"):
            load_rgb(path)
    with pytest.raises(DataError, match="missing"):
        load_rgb(tmp_path / "none.jpg")


def test_mask_threshold_and_alpha(tmp_path):
    path = tmp_path / "m.png"
    Image.fromarray(np.array([[0, 127, 128, 255]], np.uint8)).save(path)
    assert load_mask(path).tolist() == [[False, False, True, True]]
    rgba = np.zeros((1, 2, 4), np.uint8)
    rgba[0, 1, 3] = 255
    Image.fromarray(rgba).save(path)
    assert load_mask_values(path).tolist() == [[0.0, 1.0]]


def test_depth_bits_are_float16(tmp_path):
    values = np.array([[1.5, 0.25], [np.inf, 100.0]], np.float16)
    Image.fromarray(values.view(np.uint16)).save(tmp_path / "d.png")
    Image.fromarray(np.array([[255, 255], [255, 0]], np.uint8)).save(tmp_path / "m.png")
    depth = load_depth_co3d(tmp_path / "d.png", 2.0, (2, 2), tmp_path / "m.png")
    assert depth.tolist() == [[3.0, 0.5], [0.0, 0.0]]
    with pytest.raises(DataError, match="16-bit"):
        load_depth_co3d(tmp_path / "m.png", 1.0)


REGISTRATION = DatasetRegistration(
    name="some", summary="", factory="a:b", folder="Some_1.0", bytes=7_500_000_000, licence="research", synth="a:b",
    how_to_get="Download it from there.",
)  # fmt: skip


def test_missing_folder_says_what_where_and_how(tmp_path):
    with pytest.raises(DataError) as error:
        dataset_folder(REGISTRATION, tmp_path)
    for words in (str(tmp_path / "Some_1.0"), "7.5 GB", "research", "Download it from there.", "--synthetic"):
        assert words in str(error.value)


def test_folder_is_found_under_the_root_or_given_itself(tmp_path):
    folder = tmp_path / "Some_1.0"
    folder.mkdir()
    assert dataset_folder(REGISTRATION, tmp_path) == folder == dataset_folder(REGISTRATION, folder)


def test_data_root_order(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("BENCH3D_DATA", raising=False)
    assert data_root() == tmp_path / "bench3d" / "data"
    monkeypatch.setenv("BENCH3D_DATA", str(tmp_path / "env"))
    assert data_root() == tmp_path / "env"
    assert data_root(tmp_path / "argument") == tmp_path / "argument"
