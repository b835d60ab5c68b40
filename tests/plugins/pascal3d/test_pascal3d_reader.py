"""The PASCAL3D+ reader on files in the official format, made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from pascal3d_folder import SIZE, objects, thing, viewpoint

from bench3d.errors import DataError, UsageError
from bench3d_plugins.pascal3d.annotation import (
    COARSE,
    INCOMPLETE,
    NO_FOCAL,
    NO_KEYPOINTS,
    NO_VIEWPOINT,
    OTHER_CLASS,
    PRINCIPAL_POINT,
)
from bench3d_plugins.pascal3d.dataset import Pascal3D

SCALE = 2 / 0.85


def only(folder, **changes):
    folder.add("a", objects(thing(**changes)))
    (sample,) = Pascal3D(folder.root).samples("car", "val")
    return sample


def test_camera_worked_by_hand_azimuth_90(folder):
    # Azimuth 90: camera at C = 5 * (1, 0, 0), on the object's left (+x), looking along -x, z up. Image right is then
    # the object's back (+y), image down is -z. The lens: f = 3000 * 1, centre (20, 12).
    sample = only(folder)
    assert np.allclose(sample.cam_T_obj[:3, :3], [[0, 1, 0], [0, 0, -1], [-1, 0, 0]])
    assert np.allclose(sample.cam_T_obj[:3, 3], [0, 0, 5 * SCALE])
    assert np.allclose(sample.intrinsics, [[3000, 0, 20], [0, 3000, 12], [0, 0, 1]])
    assert sample.size == SIZE and sample.box.tolist() == [5, 4, 35, 25]


def test_camera_worked_by_hand_elevation_and_theta(folder):
    # From the front (a=0), 30 degrees up: C = d (0, -cos 30, sin 30). With theta = 90 the new x axis is the old image
    # down: rows [down; -right; forward] with right = (1,0,0), forward = (0, cos30, -sin30), down = (0, -sin30, -cos30).
    s, c = 0.5, np.sqrt(3) / 2
    sample = only(folder, viewpoint=viewpoint(azimuth=0.0, elevation=30.0, theta=90.0))
    assert np.allclose(sample.cam_T_obj[:3, :3], [[0, -s, -c], [-1, 0, 0], [0, c, -s]])


def test_all_zero_is_the_protocols_matrix(folder):
    sample = only(folder, viewpoint=viewpoint(azimuth=0.0))
    assert np.allclose(sample.cam_T_obj[:3, :3], [[1, 0, 0], [0, 0, -1], [0, 1, 0]])


def test_fine_angles_are_used_and_focal_is_multiplied(folder):
    sample = only(folder, viewpoint=viewpoint(azimuth_coarse=180.0, azimuth=0.0, focal=2.0, viewport=100.0))
    assert np.allclose(sample.cam_T_obj[0], [1, 0, 0, 0])
    assert sample.intrinsics[0, 0] == sample.intrinsics[1, 1] == 200


def test_cad_mesh_is_scaled_like_the_translation_and_counted_from_one(folder):
    sample = only(folder, cad_index=2.0)
    vertices, faces = sample.mesh()
    assert np.allclose(vertices[1], np.array([0.8, -0.4, -0.2]) * SCALE)
    assert faces.tolist() == [[0, 1, 2]]
    assert sample.attributes["cad_index"] == 2 and sample.attributes["truncated"] is True


def test_first_object_with_a_viewpoint_counts(folder):
    empty = np.empty((0, 0))
    folder.add("a", objects(thing("person", viewpoint=empty), thing(viewpoint=viewpoint(distance=7.0)), thing()))
    (sample,) = Pascal3D(folder.root).samples("car", "plain")
    assert sample.cam_T_obj[2, 3] == pytest.approx(7 * SCALE)
    assert sample.id == "car_a" == sample.cluster


def test_frames_the_protocol_leaves_out_are_counted(folder):
    empty = np.empty((0, 0))
    cases = {
        NO_VIEWPOINT: [objects(thing(viewpoint=empty)), np.empty((1, 0)), empty],
        OTHER_CLASS: [objects(thing("bus"), thing("car"))],
        PRINCIPAL_POINT: [objects(thing(viewpoint=viewpoint(**{k: -1.0}))) for k in ("px", "py")],
        COARSE: [objects(thing(viewpoint=viewpoint(distance=d))) for d in (0.0, 0.009, empty)],
        NO_KEYPOINTS: [objects(thing(anchors=empty))],
        NO_FOCAL: [objects(thing(viewpoint=viewpoint(**{k: 0.0}))) for k in ("focal", "viewport")],
        INCOMPLETE: [objects(thing(viewpoint=viewpoint(azimuth=empty)))],
    }
    for number, found in enumerate(found for several in cases.values() for found in several):
        folder.add(f"bad{number}", found)
    folder.add("good", objects(thing()))
    dataset = Pascal3D(folder.root)
    assert [sample.id for sample in dataset.samples("car", "val")] == ["car_good"]
    assert dataset.skipped("car", "val") == {reason: len(several) for reason, several in cases.items()}


def test_occluded_truncated_and_difficult_are_kept(folder):
    sample = only(folder, occluded=1.0, difficult=1.0)
    assert sample.attributes["occluded"] and sample.attributes["difficult"]


def test_size_falls_back_to_imgsize_width_first_and_then_to_the_image(folder):
    folder.add("a", objects(thing()), size=np.empty((0, 0)), imgsize=np.array([[33, 22, 3]]))
    folder.add("b", objects(thing()), size=np.empty((0, 0)), imgsize=np.empty((0, 0)))
    assert [s.size for s in Pascal3D(folder.root).samples("car", "val")] == [(33, 22), SIZE]


def test_truncated_mat_names_the_file(folder):
    folder.add("a", objects(thing()))
    path = folder.annotation("a")
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DataError, match=r"a\.mat"):
        Pascal3D(folder.root).samples("car", "val")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"bbox": np.zeros((1, 3))}, "bbox"),
        ({"cad_index": 3.0}, "cad_index"),
        ({"cad_index": 0.0}, "cad_index"),
        ({"cad_index": np.empty((0, 0))}, "cad_index"),
        ({"class": np.empty((0, 0))}, "class"),
        ({"viewpoint": viewpoint(azimuth="west")}, "viewpoint.azimuth"),
        ({"viewpoint": viewpoint(px=np.nan)}, "viewpoint.px"),
    ],
)
def test_wrong_fields_are_named(folder, changes, field):
    with pytest.raises(DataError, match=rf"a\.mat: field {field}"):
        only(folder, **changes)
    problems = list(Pascal3D(folder.root).check(["car"]))
    assert any(problem.field == field and problem.file.endswith("a.mat") for problem in problems)


def test_missing_things_are_named(folder):
    with pytest.raises(DataError, match=r"car_imagenet_val\.txt is missing"):
        Pascal3D(folder.root).samples("car", "val")
    folder.add("a", objects(thing()))
    folder.annotation("a").unlink()
    with pytest.raises(DataError, match=r"a\.mat is missing"):
        Pascal3D(folder.root).samples("car", "val")
    with pytest.raises(UsageError, match="zebra"):
        Pascal3D(folder.root).samples("zebra", "val")
    with pytest.raises(UsageError, match="split"):
        Pascal3D(folder.root).samples("car", "test")


def test_names_cannot_leave_the_folder(folder):
    folder.add("../../a", objects(thing()))
    with pytest.raises(DataError, match="no image name"):
        Pascal3D(folder.root).samples("car", "val")


def test_check_goes_on_after_each_problem(folder):
    for name in "abcdef":
        folder.add(name, objects(thing()))
    folder.image("a").unlink()
    folder.image("b").write_bytes(folder.image("b").read_bytes()[:200])
    folder.annotation("c").write_bytes(b"MATLAB 5.0 MAT-file")
    folder.annotation("d").unlink()
    folder.add("g", objects(thing(bbox=np.array([[5.0, 4.0, 95.0, 25.0]]))))
    folder.add("h", objects(thing()), pixels=(30, 40))
    (folder.root / "CAD/car/01.off").unlink()
    problems = list(Pascal3D(folder.root).check(["car"]))
    found = {(problem.file.rsplit("/", 1)[1], problem.field) for problem in problems if problem.severity == "error"}
    assert found == {("01.off", None), ("a.JPEG", None), ("b.JPEG", None), ("c.mat", None), ("d.mat", None),
                     ("h.mat", "size")}  # fmt: skip
    warnings = {(p.file.rsplit("/", 1)[1], p.field) for p in problems if p.severity == "warning"}
    assert warnings == {("g.mat", "bbox"), ("car_imagenet_train.txt", None)}


def test_a_sound_folder_has_no_problems_and_none_means_all(folder):
    folder.add("a", objects(thing()))
    folder.root.joinpath("Image_sets/car_imagenet_train.txt").write_text("a\n")
    assert list(Pascal3D(folder.root).check()) == []
    assert [p.message for p in Pascal3D(folder.root / "none").check()] == ["The folder is missing."]


def test_fingerprint_follows_annotations_lists_and_meshes_only(folder):
    folder.add("a", objects(thing()))

    def now():
        return Pascal3D(folder.root).fingerprint("car")

    first = now()
    folder.image("a").write_bytes(b"other")
    assert now() == first
    folder.add("b", objects(thing()))
    second = now()
    folder.root.joinpath("CAD/car/02.off").write_text("OFF\n1 0 0\n0 0 0\n")
    assert len({first, second, now()}) == 3
