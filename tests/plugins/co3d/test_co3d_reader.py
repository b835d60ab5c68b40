"""The CO3D reader on files in the official format, made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from co3d_folder import ALIGN, CORNERS, HEIGHT, WIDTH

from bench3d.errors import DataError
from bench3d.geometry.camera import project
from bench3d_plugins.co3d.canonical import keep_points, mask_share
from bench3d_plugins.co3d.dataset import CO3D
from bench3d_plugins.co3d.settings import CO3DSettings


def read(co3d, **settings):
    return CO3D(co3d.root, CO3DSettings(**settings))


def first_frame(co3d, **viewpoint):
    co3d.frames[0]["viewpoint"].update(viewpoint)
    co3d.save()
    return read(co3d).sequences("bus")[0].frames[0]


def test_camera_worked_by_hand(co3d):
    # PyTorch3D with R = 1: x left, y up, so in OpenCV x_cv = -(x - 10), y_cv = -y, z_cv = z + 20. f = 5 * 40 / 2.
    frame = first_frame(co3d)
    assert np.allclose(frame.intrinsics, [[100, 0, 30], [0, 100, 20], [0, 0, 1]])
    # ALIGN turns x to y and -y to x and scales by 3: the box becomes 6 x 12 x 6 around (5, 30, 0); 6 units are 1.
    # So canonical = (-y, x - 10, z) / 2, and x = 2 Y + 10, y = -2 X, z = 2 Z: cam = (-2 Y, 2 X, 2 Z + 20), over 2.
    assert np.allclose(frame.cam_T_obj, [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 10], [0, 0, 0, 1]])
    assert frame.size == (WIDTH, HEIGHT)


def test_rotation_is_stored_for_row_vectors(co3d):
    # x_cam = x R: R = [[0,1,0],[-1,0,0],[0,0,1]] sends world x to camera (0, 1, 0), that is up, in OpenCV (0, -1, 0).
    frame = first_frame(co3d, R=[[0, 1, 0], [-1, 0, 0], [0, 0, 1]], T=[0.0, -10.0, 20.0])
    canonical_y = frame.cam_T_obj[:3, :3] @ [0, 1, 0]  # canonical y is the raw x axis
    assert np.allclose(canonical_y, [0, -1, 0])


def test_ndc_norm_image_bounds(co3d):
    frame = first_frame(
        co3d, intrinsics_format="ndc_norm_image_bounds", focal_length=[2.0, 3.0], principal_point=[0.1, -0.2]
    )
    assert np.allclose(frame.intrinsics, [[60, 0, 27], [0, 60, 24], [0, 0, 1]])


def test_isotropic_principal_point(co3d):
    frame = first_frame(co3d, principal_point=[0.1, -0.2])
    assert np.allclose(frame.intrinsics[:2, 2], [28, 24])


def test_missing_format_is_the_dataclass_default(co3d):
    frame = first_frame(co3d, intrinsics_format=None)
    assert np.allclose(np.diag(frame.intrinsics), [150, 100, 1])


def test_cloud_is_cleaned_and_canonical(co3d):
    sequence = read(co3d).sequences("bus")[0]
    points = sequence.points()
    assert len(points) == 16  # the two points outside the mask are gone
    assert np.allclose(np.abs(points).max(axis=0), [0.5, 1, 0.5], atol=1e-6)
    assert np.allclose(points.min(axis=0) + points.max(axis=0), 0, atol=1e-6)
    frame = sequence.frames[0]
    raw_pixels = 100 * np.array([10 - CORNERS[:, 0], -CORNERS[:, 1]]).T / (CORNERS[:, 2:] + 20) + [30, 20]
    pixels, depth = project(points[:8], frame.cam_T_obj, frame.intrinsics)
    assert np.allclose(pixels, raw_pixels, atol=1e-4)
    assert np.allclose(depth, (CORNERS[:, 2] + 20) / 2, atol=1e-5)


def test_depth_is_canonical_and_masked(co3d):
    source = read(co3d)
    depth = source.depth(source.sequences("bus")[0].frames[0])
    assert depth[20, 30] == 7.0 * 2.0 / 2.0  # bits * scale_adjustment, then raw to canonical units
    assert depth[0, 0] == 0


def test_mask_share_and_fallback():
    mask = np.zeros((4, 4), np.float32)
    mask[1, 2] = 0.5
    camera = np.array([[2.0, 0, 2], [0, 2, 2], [0, 0, 1]])
    points = np.array([[0.2, -0.3, 1.0], [5, 0, 1], [0.2, -0.3, -1.0]])  # pixel (2, 1); outside; behind
    pose = np.eye(4)
    full = np.ones((4, 4), np.float32)
    share = mask_share(points, [mask, full], [pose, pose], [camera, camera])
    assert share.tolist() == [0.75, 0, 0]
    rng = np.random.default_rng(0)
    assert len(keep_points(np.zeros(50), 0.6, rng)) == 10
    assert keep_points(np.array([0.7] * 12 + [0.6]), 0.6, rng).tolist() == list(range(12))


def test_frames_sequences_and_ids(co3d):
    source = read(co3d, max_frames=2, max_sequences=1)
    (sequence,) = source.sequences("bus")
    assert [frame.id for frame in sequence.frames] == ["bus_1_2_3_000000", "bus_1_2_3_000002"]
    assert sequence.category == "bus" and sequence.name == "1_2_3"
    assert [s.name for s in source.sequences("toybus")] == ["1_2_3"]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"toybus": ["4_5_6"]}),
        json.dumps({"bus": {"4_5_6": None}}),
        "name: x\ncategories: [bus]\ndict_nested_frames:\n  toybus:\n    '4_5_6':\n",
        "['4_5_6']",
    ],
)
def test_sequence_list_forms(co3d, tmp_path, content):
    path = tmp_path / "list.yaml"
    path.write_text(content)
    assert [s.name for s in read(co3d, sequence_list=path).sequences("bus")] == ["4_5_6"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("toybus: [1_2_3]", "Quote the names"),
        ("car: ['a']", "no category bus"),
        ("toybus: ['none']", "Sequence none is listed"),
        ("toybus: []", "names no sequence"),
        ("toybus: ['1_2_3', '1_2_3']", "twice"),
        ("toybus: [", "cannot be read"),
    ],
)
def test_sequence_list_faults(co3d, tmp_path, content, says):
    path = tmp_path / "list.yaml"
    path.write_text(content)
    with pytest.raises(DataError, match=says):
        read(co3d, sequence_list=path).sequences("bus")


def write_alignment(kind, folder):
    """ALIGN with the scale doubled, for one sequence, in one of the accepted forms."""
    matrix = np.array(ALIGN)
    matrix[:3] *= 2
    if kind == "json":
        path = folder / "a.json"
        path.write_text(json.dumps({"r1": {"bus": {"1_2_3": matrix.tolist()}}}))
    elif kind == "npz":
        path = folder / "a.npz"
        np.savez(path, **{"r1/toybus/1_2_3": matrix})
    else:
        path = folder / "tables"
        place = path / ("r1/toybus/1_2_3" if kind == "folder" else "r1/meta_mask/meta/toybus/1_2_3")
        place.mkdir(parents=True)
        torch.save(torch.tensor(matrix, dtype=torch.float32), place / "tform_obj.pt")
    return path


@pytest.mark.parametrize("kind", ["json", "npz", "folder", "published folder"])
def test_alignment_forms_choose_sequences_and_scale_does_not_matter(co3d, tmp_path, kind):
    expected = read(co3d).sequences("bus")[0].frames[0].cam_T_obj
    source = read(co3d, alignment=write_alignment(kind, tmp_path), reference="r1")
    (sequence,) = source.sequences("bus")
    assert np.allclose(sequence.frames[0].cam_T_obj, expected, atol=1e-6)
    with pytest.raises(DataError, match="r2"):
        read(co3d, alignment=source.settings.alignment, reference="r2").sequences("bus")


def test_no_alignment_says_what_and_why(co3d):
    (co3d.root / "alignment.json").unlink()
    with pytest.raises(DataError) as error:
        read(co3d).sequences("bus")
    assert "4x4 similarity" in str(error.value) and "labelled rotation" in str(error.value)
    assert "alignment=FILE" in error.value.hint


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        (np.diag([1.0, 1, -1, 1]), "mirrors"),
        (np.diag([1.0, 2, 1, 1]), "shears"),
        (np.full((4, 4), np.inf), "no 4x4 similarity"),
        (np.eye(3), "no 4x4 similarity"),
    ],
)
def test_alignments_that_are_no_similarity(co3d, matrix, says):
    co3d.alignment({"bus": {"1_2_3": matrix.tolist()}})
    with pytest.raises(DataError, match=says):
        read(co3d).sequences("bus")


def test_listed_sequence_without_alignment(co3d, tmp_path):
    co3d.alignment({"bus": {"1_2_3": ALIGN}})
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"bus": ["1_2_3", "4_5_6"]}))
    with pytest.raises(DataError, match="4_5_6 of bus has no alignment"):
        read(co3d, sequence_list=path).sequences("bus")


def test_alignment_tensors_are_never_unpickled(co3d, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    path = write_alignment("folder", tmp_path)
    torch.save(Evil(), path / "r1/toybus/1_2_3/tform_obj.pt")
    np.savez(tmp_path / "b.npz", **{"toybus/1_2_3": np.array([Evil()], dtype=object)})
    for table in (path, tmp_path / "b.npz"):
        reference = "r1" if table.is_dir() else None
        with pytest.raises(DataError):
            read(co3d, alignment=table, reference=reference).sequences("bus")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("where", "value", "field"),
    [
        (("viewpoint", "T"), [0, 0], "viewpoint.T does not hold 3 numbers"),
        (("viewpoint", "intrinsics_format"), "pixels", "viewpoint.intrinsics_format is unknown"),
        (("image", "size"), ["a", 1], "image.size.0 is no finite number"),
        (("image", "path"), "../../etc/passwd", "image.path .* leads out"),
        (("mask", "path"), "/etc/passwd", "mask.path .* leads out"),
        (("mask",), None, "mask.path is missing"),
        (("frame_number",), None, "frame_number is missing"),
    ],
)
def test_wrong_fields_are_named_with_file_and_entry(co3d, where, value, field):
    entry = co3d.frames[1]
    for key in where[:-1]:
        entry = entry[key]
    entry[where[-1]] = value
    co3d.save()
    with pytest.raises(DataError, match=rf"frame_annotations\.jgz, entry 1: field {field}"):
        read(co3d).sequences("bus")
    problems = list(read(co3d).check(["bus"]))
    assert len(problems) == 1 and problems[0].field == field.split()[0]


@pytest.mark.parametrize("name", ["frame_annotations.jgz", "sequence_annotations.jgz"])
def test_corrupt_annotations(co3d, name):
    path = co3d.place / name
    whole = path.read_bytes()
    for content, says in ((whole[:-40], "gzip"), (b"no gzip", "gzip"), (b"", "JSON|gzip")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"{name}.*({says})"):
            read(co3d).sequences("bus")
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        read(co3d).sequences("bus")


def test_sequences_without_cloud_or_images_are_left_out_and_counted(co3d):
    co3d.sequences[0]["point_cloud"] = None
    co3d.save()
    source = read(co3d)
    assert [s.name for s in source.sequences("bus")] == ["4_5_6"]
    assert source.skipped("bus") == {"no point cloud": 1}
    for path in (co3d.place / "4_5_6/images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="1 with no point cloud, 1 with no images"):
        read(co3d).sequences("bus")


def test_broken_mask_names_the_file(co3d):
    (co3d.place / "1_2_3/masks/frame000002.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"frame000002\.png is no readable image"):
        read(co3d).sequences("bus")


def test_check_goes_on_after_each_problem(co3d):
    assert list(read(co3d).check()) == []
    (co3d.place / "1_2_3/masks/frame000002.png").unlink()
    image = co3d.place / "1_2_3/images/frame000001.jpg"
    image.write_bytes(image.read_bytes()[:100])
    (co3d.place / "4_5_6/pointcloud.ply").write_bytes(b"ply\n")
    depth = co3d.place / "4_5_6/depths/frame000003.jpg.geometric.png"
    depth.write_bytes((co3d.place / "4_5_6/masks/frame000003.png").read_bytes())
    names = sorted(problem.file.rsplit("/", 1)[1] for problem in read(co3d).check(["bus"]))
    assert names == ["frame000001.jpg", "frame000002.png", "frame000003.jpg.geometric.png", "pointcloud.ply"]


def test_fingerprint(co3d):
    first = read(co3d).fingerprint("bus")
    assert first == read(co3d).fingerprint("toybus")
    assert first != read(co3d, max_frames=2).fingerprint("bus")
    co3d.frames[0]["viewpoint"]["T"][2] += 0.5
    co3d.save()
    second = read(co3d).fingerprint("bus")
    moved = np.array(ALIGN)
    moved[0, 3] += 1
    co3d.alignment({"bus": {"1_2_3": ALIGN, "4_5_6": moved.tolist()}})
    assert len({first, second, read(co3d).fingerprint("bus")}) == 3
