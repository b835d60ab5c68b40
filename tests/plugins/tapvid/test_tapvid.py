import pickle

import numpy as np
import pytest

from bench3d.contracts import NullProgress
from bench3d.contracts.data import TwinSpec
from bench3d.errors import DataError, UsageError
from bench3d_plugins.tapvid.dataset import TapVidDavis
from bench3d_plugins.tapvid.layout import recognise
from bench3d_plugins.tapvid.settings import TapVidSettings
from bench3d_plugins.tapvid.twin import EVERY, write

SPEC = TwinSpec(categories=("car", "chair"), seed=3, image_size=64, videos=2)
OFFICIAL, STRIDED = TapVidSettings(layout="official"), TapVidSettings(layout="dino-tracker")


@pytest.fixture(scope="session")
def tapvid_twin(tmp_path_factory):
    root = tmp_path_factory.mktemp("tapvid") / "tapvid_davis"
    write(root, SPEC, NullProgress(), 1)
    return root


def test_the_twin_is_the_same_twice(tapvid_twin, tmp_path):
    write(tmp_path / "again", SPEC, NullProgress(), 1)
    names = sorted(p.relative_to(tapvid_twin) for p in tapvid_twin.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file())
    for name in names:
        if name.name != "twin.json":
            assert (tapvid_twin / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_both_layouts_hold_the_same_tracks(tapvid_twin):
    official, strided = (TapVidDavis(tapvid_twin, s).videos() for s in (OFFICIAL, STRIDED))
    assert TapVidDavis(tapvid_twin).layout == "official"
    for one, two in zip(official, strided, strict=True):
        assert len(one.frames) == len(two.frames) == 8
        assert one.frames[0].size == two.frames[0].size == (114, 64)
        rows = [
            (track, frame)
            for frame in range(0, 8, EVERY)
            for track in range(len(one.points))
            if not one.occluded[track, frame]
        ]
        tracks = [track for track, _ in rows]
        assert two.query_frames.tolist() == [frame for _, frame in rows]
        np.testing.assert_array_equal(two.occluded, one.occluded[tracks])
        np.testing.assert_allclose(two.points / two.extent, one.points[tracks], atol=1e-6)
        assert one.occluded.any()
        assert not one.occluded.all(axis=1).any()
        first = one.frames[3].pixels.read().astype(int)
        from PIL import Image

        stored = np.asarray(Image.open(two.frames[3].path)).astype(int)
        assert np.abs(first - stored).mean() < 4  # JPEG


def test_fingerprints_tell_layouts_and_tracks_apart(tapvid_twin, tmp_path):
    prints = {TapVidDavis(tapvid_twin, s).fingerprint() for s in (OFFICIAL, STRIDED)}
    assert len(prints) == 2
    assert TapVidDavis(tapvid_twin).fingerprint() in prints


def video(frames=3, tracks=2):
    return {
        "video": np.zeros((frames, 4, 6, 3), np.uint8),
        "points": np.full((tracks, frames, 2), 0.5, np.float32),
        "occluded": np.zeros((tracks, frames), bool),
    }


def put(folder, value, name="tapvid_davis.pkl"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(value))
    return folder


BROKEN = {
    "video": np.zeros((3, 4, 6), np.uint8),
    "points": np.zeros((2, 4, 2), np.float32),
    "occluded": np.zeros((3, 3), bool),
}


@pytest.mark.parametrize("field", BROKEN)
def test_a_broken_field_is_named(tmp_path, field):
    root = put(tmp_path / "d", {"good": video(), "bad": video() | {field: BROKEN[field]}, "lacks": {"video": 3}})
    with pytest.raises(DataError, match=f"video bad: field {field}"):
        TapVidDavis(root).videos()
    found = [p for p in TapVidDavis(root).check() if p.severity == "error"]
    assert [p.field for p in found] == [field, "video"]
    missing = video()
    del missing[field]
    with pytest.raises(DataError, match=f"field {field} is missing"):
        TapVidDavis(put(tmp_path / "m", {"x": missing})).videos()


def test_visible_points_must_be_finite_and_hidden_ones_need_not(tmp_path):
    value = video()
    value["points"][0, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        TapVidDavis(put(tmp_path / "d", {"x": value})).videos()
    value["occluded"][0, 1] = True
    assert len(TapVidDavis(put(tmp_path / "d", {"x": value})).videos()) == 1


def test_a_visible_point_outside_is_a_warning(tmp_path):
    value = video()
    value["points"][0, 0] = 1.5
    found = [p for p in TapVidDavis(put(tmp_path / "d", {"x": value})).check() if p.field == "points"]
    assert [p.severity for p in found] == ["warning"]


def strided(**changes):
    entry = {
        "video_idx": 0,
        "w": 854,
        "h": 480,
        "query_points": {0: [[10.0, 20.0]]},
        "target_points": {0: [[[10.0, 20.0], [30.0, 40.0]]]},
        "occluded": {0: [[False, True]]},
    }
    return {"videos": [entry | changes]}


STRIDED_BROKEN = {
    "w": 0,
    "query_points": {0: [[1.0, 2.0], [3.0, 4.0]]},
    "target_points": {1: []},
    "occluded": {0: [[True, True]]},
}


def test_the_strided_pickle_may_hold_lists(tmp_path):
    from PIL import Image

    root = put(tmp_path / "d", strided(), "tapvid_davis_data_strided.pkl")
    with pytest.raises(DataError, match="frames of video 0 are missing"):
        TapVidDavis(root).videos()
    frames = root / "tapvid-davis" / "0" / "video"
    frames.mkdir(parents=True)
    for name in ("00000.jpg", "00001.jpg"):
        Image.new("RGB", (8, 6)).save(frames / name)
    (one,) = TapVidDavis(root).videos()
    assert (one.extent, one.points.tolist(), one.query_frames.tolist()) == (
        (854.0, 480.0),
        [[[10.0, 20.0], [30.0, 40.0]]],
        [0],
    )
    for field, value in STRIDED_BROKEN.items():
        put(root, strided(**{field: value}), "tapvid_davis_data_strided.pkl")
        with pytest.raises(DataError, match=f"field {field}" if field != "query_points" else "query_points"):
            TapVidDavis(root).videos()


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return eval, ("open('/nowhere/at/all')",)

    root = put(tmp_path / "d", {"x": video() | {"points": Hostile()}})
    with pytest.raises(DataError, match=r"eval, which is no part of an array"):
        TapVidDavis(root).videos()
    assert "eval" in next(p.message for p in TapVidDavis(root).check())


def test_folders_are_recognised_and_others_are_not(tapvid_twin, tmp_path):
    assert recognise(tapvid_twin)
    assert recognise(tapvid_twin.parent)  # the archive's own folder inside
    assert not recognise(tmp_path)
    with pytest.raises(UsageError, match="no category"):
        TapVidDavis(tapvid_twin).videos("car")
