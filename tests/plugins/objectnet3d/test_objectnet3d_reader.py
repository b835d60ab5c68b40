"""The ObjectNet3D reader on files in the official format, made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from objectnet3d_folder import EMPTY, SIZE, thing

from bench3d.errors import DataError, UsageError
from bench3d.plugins import load_registry
from bench3d_plugins.objectnet3d.annotation import HDF5, LACKS, NO_DISTANCE, NO_FOCAL, NO_OBJECT, NO_VIEWPORT
from bench3d_plugins.objectnet3d.dataset import ObjectNet3D
from bench3d_plugins.objectnet3d.names import CLASSES, canonical_category, official_class

SCALE = 2 / 0.85


def only(folder, *things):
    folder.add("a", *things)
    (sample,) = ObjectNet3D(folder.root).samples("couch", "test")
    return sample


def test_camera_and_mesh_worked_by_hand(folder):
    # Azimuth 90: the camera is at 5 * (1, 0, 0), on the object's left, and looks along -x, z up. Image right is then
    # the object's back (+y), image down is -z. The lens: f = 2000 * 1.5, centre (20, 12).
    sample = only(folder, thing(view=dict(focal=1.5), cad_index=2.0))
    assert np.allclose(sample.cam_T_obj[:3], [[0, 1, 0, 0], [0, 0, -1, 0], [-1, 0, 0, 5 * SCALE]])
    assert np.allclose(sample.intrinsics, [[3000, 0, 20], [0, 3000, 12], [0, 0, 1]])
    assert (sample.id, sample.cluster, sample.category, sample.size) == ("couch_a", "couch_a", "couch", SIZE)
    assert sample.box.tolist() == [5, 4, 35, 25]
    assert np.allclose(sample.mesh()[0][1], np.array([0.8, -0.4, -0.2]) * SCALE)


@pytest.mark.parametrize("lacking", [("azimuth",), ("elevation",), ("azimuth", "elevation")])
def test_one_empty_fine_angle_turns_to_both_coarse_ones(folder, lacking):
    coarse = dict(azimuth_coarse=180.0, elevation_coarse=90.0, azimuth=5.0, elevation=6.0)
    sample = only(folder, thing(view=coarse | dict.fromkeys(lacking, EMPTY)))
    # From above, C = (0, 0, 5), the limit of coming from behind: right is the object's right (-x), down its back (+y).
    assert np.allclose(sample.cam_T_obj[:3, :3], [[-1, 0, 0], [0, 1, 0], [0, 0, -1]], atol=1e-12)
    assert sample.attributes["coarse_angles"] is True


def test_fine_angles_win_over_coarse_ones(folder):
    sample = only(folder, thing(view=dict(azimuth_coarse=180.0, azimuth=0.0)))
    assert np.allclose(sample.cam_T_obj[0], [1, 0, 0, 0])
    assert sample.attributes["coarse_angles"] is False


def test_the_first_object_with_a_focal_length_gives_category_and_pose(folder):
    folder.add("a", thing("car", view=dict(focal=0.0)), thing(view=dict(distance=7.0)), thing("car"))
    folder.add("b", thing("car"), thing())
    folder.add("c", thing("bed"), thing())
    dataset = ObjectNet3D(folder.root)
    (couch,), (car,) = dataset.samples("couch", "test"), dataset.samples("car", "plain")
    assert (couch.id, couch.cam_T_obj[2, 3], couch.attributes["objects"]) == ("couch_a", pytest.approx(7 * SCALE), 3)
    assert car.id == "car_b"


def test_flags_only_where_they_are_given(folder):
    sample = only(folder, thing(difficult=EMPTY, occluded=1.0))
    assert (sample.attributes["truncated"], sample.attributes["occluded"]) == (True, True)
    assert "difficult" not in sample.attributes


def test_frames_that_the_protocol_leaves_out_are_counted_by_reason(folder):
    empty = {name: thing(view={name: EMPTY}) for name in ("theta", "distance", "focal", "viewport", "px", "py")}
    cases = {LACKS.format(f"viewpoint.{name}"): [one] for name, one in empty.items()} | {
        LACKS.format("viewpoint"): [thing(), thing("car", viewpoint=EMPTY)],
        LACKS.format("viewpoint.azimuth_coarse"): [thing(view=dict(azimuth=EMPTY, azimuth_coarse=EMPTY))],
        LACKS.format("cad_index"): [thing(cad_index=EMPTY)],
        LACKS.format("bbox"): [thing(bbox=EMPTY)],
        NO_FOCAL: [thing(view=dict(focal=0.0)), thing("car", view=dict(focal=0.0))],
        NO_VIEWPORT: [thing("car", view=dict(focal=0.0)), thing(view=dict(viewport=0.0)), thing("car")],
        NO_DISTANCE: [thing(view=dict(distance=0.0))],
        NO_OBJECT: [],
    }
    for number, things in enumerate(cases.values()):
        folder.add(f"bad{number}", *things)
    folder.add("good", thing())
    dataset = ObjectNet3D(folder.root)
    assert [sample.id for sample in dataset.samples("couch", "test")] == ["couch_good"]
    assert dataset.skipped("couch", "test") == dict.fromkeys(cases, 1)
    # Of no class, so of every category; the others are the couch's.
    assert dataset.skipped("car", "test") == {NO_OBJECT: 1}


def test_matlab_73_files_are_left_out_as_published_and_warned_of(folder):
    folder.add("a", thing())
    folder.annotation("b").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n" + bytes(100))
    folder.list("b")
    dataset = ObjectNet3D(folder.root)
    assert len(dataset.samples("couch", "test")) == 1 and dataset.skipped("couch", "test") == {HDF5: 1}
    found = [(p.file.rsplit("/", 1)[1], p.severity) for p in dataset.check() if "Image_sets" not in p.file]
    assert found == [("b.mat", "warning")]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"bbox": np.zeros((1, 3))}, "bbox"),
        ({"cad_index": 3.0}, "cad_index"),
        ({"cad_index": 0.5}, "cad_index"),
        ({"view": {"azimuth": "west"}}, "viewpoint.azimuth"),
        ({"view": {"px": np.nan}}, "viewpoint.px"),
        ({"truncated": "no"}, "truncated"),
    ],
)
def test_wrong_fields_are_named_and_concern_their_category_only(folder, changes, field):
    folder.add("a", thing(**changes))
    folder.add("b", thing("car"))
    with pytest.raises(DataError, match=rf"a\.mat: field {field}"):
        ObjectNet3D(folder.root).samples("couch", "test")
    assert len(ObjectNet3D(folder.root).samples("car", "test")) == 1
    problems = list(ObjectNet3D(folder.root).check(["couch"]))
    assert any(problem.field == field and problem.file.endswith("a.mat") for problem in problems)


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file", None])
def test_broken_files_concern_every_category_for_nobody_knows_theirs(folder, content):
    folder.add("a", thing("car"))
    folder.add("b", thing())
    whole = folder.annotation("a").read_bytes()
    folder.annotation("a").write_bytes(whole[:700] if content is None else content)
    dataset = ObjectNet3D(folder.root)
    for category in ("couch", "car"):
        with pytest.raises(DataError, match=r"a\.mat"):
            dataset.samples(category, "test")
    assert [p.file.rsplit("/", 1)[1] for p in dataset.check(["couch"]) if p.severity == "error"] == ["a.mat"]


def test_missing_things_and_wrong_names_are_named(folder):
    with pytest.raises(DataError, match=r"test\.txt is missing"):
        ObjectNet3D(folder.root).samples("car", "test")
    folder.add("a", thing())
    folder.annotation("a").unlink()
    with pytest.raises(DataError, match=r"a\.mat is missing"):
        ObjectNet3D(folder.root).samples("couch", "test")
    with pytest.raises(UsageError, match="bed"):
        ObjectNet3D(folder.root).samples("bed", "test")
    with pytest.raises(UsageError, match="split"):
        ObjectNet3D(folder.root).samples("car", "minival")
    folder.list("../../a")
    with pytest.raises(DataError, match="no image name"):
        ObjectNet3D(folder.root).samples("couch", "test")


def test_check_goes_on_after_each_problem(folder):
    for name in "abcde":
        folder.add(name, thing())
    folder.image("a").unlink()
    folder.image("b").write_bytes(folder.image("b").read_bytes()[:200])
    folder.annotation("c").write_bytes(b"MATLAB 5.0 MAT-file")
    folder.add("f", thing(bbox=np.array([[5.0, 4.0, 95.0, 25.0]])), thing("car", view=dict(focal=2.0)))
    folder.add("g", thing("car"), pixels=(30, 40))
    folder.add("h", thing("bed", bbox=np.zeros((1, 2))))
    (folder.root / "CAD/off/sofa/01.off").unlink()
    problems = list(ObjectNet3D(folder.root).check())
    found = {(p.file.rsplit("/", 1)[1], p.field) for p in problems if p.severity == "error"}
    assert found == {("01.off", None), ("a.JPEG", None), ("b.JPEG", None), ("c.mat", None), ("g.mat", "size"),
                     ("h.mat", "bbox")}  # fmt: skip
    warnings = {(p.file.rsplit("/", 1)[1], p.field) for p in problems if p.severity == "warning"}
    assert warnings == {("f.mat", "bbox"), ("test.txt", "viewpoint.focal"), ("train.txt", None), ("val.txt", None)}


def test_names_are_known_both_ways():
    (registration,) = [r for r in load_registry().registrations("dataset") if r.name == "objectnet3d"]
    assert registration.categories == tuple(CLASSES) and len(set(CLASSES.values())) == 20
    for ours, theirs in CLASSES.items():
        assert official_class(ours) == official_class(theirs) == theirs and canonical_category(theirs) == ours


def test_fingerprint_follows_what_decides_a_category(folder):
    folder.add("a", thing())
    folder.add("b", thing("car"))

    def now(category):
        return ObjectNet3D(folder.root).fingerprint(category)

    couch, car = now("couch"), now("car")
    folder.image("a").write_bytes(b"other")
    assert (now("couch"), now("car")) == (couch, car)
    folder.add("c", thing(), listed="val")
    folder.add("c", thing(), listed="val")
    assert now("couch") != couch and now("car") == car
    folder.root.joinpath("CAD/off/car/02.off").write_text("OFF\n1 0 0\n0 0 0\n")
    assert now("car") != car
