"""The reader on a folder in the official format, and what it says of broken ones."""

import json

import numpy as np
import pytest
from onepose_folder import NAME, annotation_path, points_path, write_folder

from bench3d.errors import DataError, UsageError
from bench3d_plugins.onepose.dataset import OnePoseLowTexture
from bench3d_plugins.onepose.layout import recognise
from bench3d_plugins.onepose.settings import OnePoseSettings


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path)


def one(folder, **settings):
    return OnePoseLowTexture(folder, OnePoseSettings(**settings)).objects()[0]


def test_views_cameras_and_poses_are_the_files_moved_by_half_a_pixel(folder):
    found = one(folder)
    assert found.id == NAME
    assert [v.id for v in found.references] == ["toyrobot-1/0", "toyrobot-1/5"]
    assert [v.id for v in found.queries] == [f"toyrobot-2/{i}" for i in (0, 1, 10, 2)], "Python's order of paths"
    view = found.references[1]
    assert view.size == (64, 48)
    assert view.intrinsics.tolist() == [[900.0, 0, 32.0], [0, 910.0, 24.0], [0, 0, 1]]
    assert view.cam_T_world[:3, 3].tolist() == [0.05, 0.0, 0.5], "metres, object to camera"
    assert np.abs(found.corners).max() == 0.05


def test_the_assignment_s_first_row_names_keypoints_and_its_second_points(folder):
    made = one(folder).reconstruction()
    seen = made.observations[0]
    assert made.points[4].tolist() == [0.12, 0.13, 0.14]
    assert seen.points.tolist() == [3, 1, 1]
    assert seen.xy.tolist() == [[40.5, 8.5], [8.5, 16.5], [24.75, 32.5]]


def test_as_a_view_set_every_point_is_seen_once(folder):
    views = OnePoseLowTexture(folder).view_sets()[0]
    seen = views.observations()
    assert seen[0].points.tolist() == [1, 3]
    assert seen[0].xy.tolist() == [[8.5, 16.5], [40.5, 8.5]]
    assert len(views.views) == len(seen) == 2


def test_either_folder_is_recognised(folder, tmp_path_factory):
    assert recognise(folder) and recognise(folder / "lowtexture_test_data")
    assert one(folder / "lowtexture_test_data").reconstruction().points.shape == (5, 3)
    assert not recognise(folder / "sfm_output")
    assert not recognise(tmp_path_factory.mktemp("else"))


def test_objects_can_be_chosen_by_folder_or_id(folder):
    write_folder(folder, "0701-tea-others")
    assert [o.id for o in OnePoseLowTexture(folder).objects()] == [NAME, "0701-tea-others"]
    assert [o.id for o in OnePoseLowTexture(folder, OnePoseSettings(objects=("0701",))).objects()] == [
        "0701-tea-others"
    ]
    with pytest.raises(UsageError, match="0999"):
        OnePoseLowTexture(folder, OnePoseSettings(objects=("0999",))).objects()


def spoil_annotation(folder, **fields):
    path = annotation_path(folder, 5)
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


BROKEN = {
    "assign_matrix names": lambda f: spoil_annotation(f, assign_matrix=[[0], [5]]),
    "assign_matrix has the shape": lambda f: spoil_annotation(f, assign_matrix=[[0, 1]]),
    "keypoints2d has the shape": lambda f: spoil_annotation(f, keypoints2d=[[1, 2, 3]]),
    "keypoints2d holds": lambda f: spoil_annotation(f, keypoints2d=[[1, float("nan")]]),
    "keypoints2d is no array": lambda f: spoil_annotation(f, keypoints2d=[[1, 2], [3]]),
    "no JSON": lambda f: annotation_path(f, 5).write_text("{"),
    "keypoints3d is missing": lambda f: np.savez(points_path(f), scores3d=np.ones(3)),
    "keypoints3d is float64": lambda f: np.savez(points_path(f), keypoints3d=np.ones((3, 2))),
    "no npz": lambda f: points_path(f).write_bytes(b"nothing"),
}


@pytest.mark.parametrize("said", BROKEN)
def test_broken_sfm_outputs_are_named_with_file_and_field(folder, said):
    BROKEN[said](folder)
    with pytest.raises(DataError, match=said):
        one(folder).reconstruction()
    found = list(OnePoseLowTexture(folder).check())
    assert len(found) == 1 and said in found[0].message
    assert found[0].file in (str(points_path(folder)), str(annotation_path(folder, 5)))
    wanted = said.split()[0] if said.startswith(("assign", "keypoints")) else None
    assert found[0].field == wanted


def test_a_pickle_in_the_sfm_outputs_is_refused_and_never_run(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("trapped").write_text, ("x",))

    np.savez(points_path(folder), keypoints3d=np.array([Trap()], dtype=object))
    with pytest.raises(DataError, match="npz"):
        one(folder).reconstruction()
    assert not (tmp_path / "trapped").exists()


def test_check_finds_every_missing_file_and_a_whole_folder_is_clean(folder):
    assert list(OnePoseLowTexture(folder).check()) == []
    base = folder / "lowtexture_test_data" / NAME
    for path in ("toyrobot-2/intrin_ba/1.txt", "toyrobot-1/poses_ba/5.txt", "box3d_corners.txt"):
        (base / path).unlink()
    points_path(folder).unlink()
    (base / "toyrobot-2" / "poses_ba" / "2.txt").write_text("1 2 3")
    found = list(OnePoseLowTexture(folder).check())
    said = " ".join(p.message for p in found)
    assert len(found) == 5
    for name in ("intrin_ba/1.txt", "poses_ba/5.txt", "box3d_corners.txt", "anno_3d_average.npz", "poses_ba/2.txt"):
        assert name in said
    with pytest.raises(DataError):
        OnePoseLowTexture(folder).objects()


def test_the_fingerprint_follows_poses_and_sfm_outputs(folder):
    first = OnePoseLowTexture(folder).fingerprint()
    assert OnePoseLowTexture(folder).fingerprint() == first
    spoil_annotation(folder, assign_matrix=[[0], [0]])
    second = OnePoseLowTexture(folder).fingerprint()
    pose = folder / "lowtexture_test_data" / NAME / "toyrobot-2" / "poses_ba" / "10.txt"
    pose.write_text(pose.read_text().replace("5.000000000000000000e-01", "0.6"))
    assert len({first, second, OnePoseLowTexture(folder).fingerprint()}) == 3
