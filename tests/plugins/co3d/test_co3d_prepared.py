"""Filters of CO3D's sequences, what is left out and why, and the cache of cleaned clouds and proxy meshes."""

from __future__ import annotations

import numpy as np
import pytest
from co3d_folder import HEIGHT, WIDTH
from PIL import Image

from bench3d.data.ply import write_ply_points
from bench3d.errors import DataError
from bench3d.geometry.camera import project
from bench3d.records import identity_settings
from bench3d_plugins.co3d import filters, prepared
from bench3d_plugins.co3d.dataset import CO3D
from bench3d_plugins.co3d.settings import CO3DSettings

BOX = (4.0, 2.0, 2.0)


def read(co3d, **settings):
    return CO3D(co3d.root, CO3DSettings(**settings))


def fingers(source, category="bus"):
    """Everything that a fit sees of a category."""
    return [
        (s.name, s.points().tobytes(), [(f.id, f.cam_T_obj.tobytes(), str(f.mask)) for f in s.frames])
        for s in source.sequences(category)
    ]


def look_at(positions, target=(0.0, 0, 0)):
    """OpenCV cameras at positions (F, 3) that look at the target, (F, 4, 4)."""
    poses = []
    for position in np.asarray(positions, dtype=float):
        forward = np.asarray(target) - position
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.1, 0.2, 1.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
        poses.append(pose)
    return np.stack(poses)


def solid(co3d, name, floating=None):
    """Gives a sequence a cloud with volume, inside its masks: 800 points in the box around (10, 0, 0), and 20 apart."""
    points = np.random.default_rng(0).uniform(-1, 1, (800, 3)) * np.array(BOX) / 2 + [10, 0, 0]
    if floating is not None:
        apart = np.random.default_rng(1).uniform(-0.02, 0, (20, 3)) + floating
        points = np.concatenate([points, apart, [floating]])
    write_ply_points(co3d.place / name / "pointcloud.ply", points)


def set_mask(co3d, name, number, value):
    mask = np.full((HEIGHT, WIDTH), value, np.uint8)
    Image.fromarray(mask).save(co3d.place / name / f"masks/frame{number + 1:06d}.png")


# --- the published filters, worked by hand


def test_ray_centre_is_where_the_optical_axes_meet():
    cameras = look_at([(5, 0, 0), (0, 7, 1), (3, -3, 3)], target=(1.0, 2, 3))
    assert np.allclose(filters.ray_centre(cameras), [1, 2, 3])
    assert filters.ray_centre(np.stack([np.eye(4), np.eye(4)])) is None


def test_viewpoint_coverage_counts_38_directions():
    axes = [(s * 3 * (a == 0), s * 3 * (a == 1), s * 3 * (a == 2)) for a in range(3) for s in (-1, 1)]
    assert filters.viewpoint_coverage(look_at(axes)) == pytest.approx(6 / 38)
    assert filters.viewpoint_coverage(look_at([*axes, (9, 0, 0), (3, 0.1, 0)])) == pytest.approx(6 / 38)
    assert filters.viewpoint_coverage(look_at([*axes, (4, 4, 4)])) == pytest.approx(7 / 38)
    assert filters.viewpoint_coverage(np.stack([np.eye(4)] * 3)) == 0


def test_centred_share():
    cameras = look_at([(5, 0, 0), (0, 7, 1), (3, -3, 3)])
    intrinsics = np.array([[50.0, 0, 30], [0, 50, 20], [0, 0, 1]])
    # The rays meet at the origin, which falls on the principal point: (30, 20) of (60, 40), the centre.
    assert filters.centred_share(cameras, np.stack([intrinsics] * 3), [(60, 40)] * 3, 0.3) == 1
    shifted = intrinsics + np.array([[0, 0, 18.1], [0, 0, 0], [0, 0, 0]])  # 18 pixels are 0.3 of the width
    assert filters.centred_share(cameras, np.stack([intrinsics, shifted, shifted]), [(60, 40)] * 3, 0.3) == 1 / 3
    shifted[0, 2] = 47.9
    assert filters.centred_share(cameras, np.stack([shifted] * 3), [(60, 40)] * 3, 0.3) == 1


def test_missing_frames_are_gaps():
    assert filters.missing_frames([f"a/v2/frame{n:06d}.jpg" for n in (1, 2, 3)]) == 0
    assert filters.missing_frames([f"frame{n:06d}.jpg" for n in (1, 2, 5, 6, 10, 9)]) == 3


def test_order_by_quality():
    quality = {"a": 0.1, "b": None, "c": 2.0, "d": 0.1}
    assert filters.by_quality(["b", "a", "c", "d"], quality) == ["c", "a", "d", "b"]


def test_published_filters_leave_out_with_a_reason(co3d):
    # Frames look along parallel axes: no centre, no coverage.
    with pytest.raises(DataError, match="2 with too few viewpoints"):
        read(co3d, filters="published").sequences("bus")
    for number, frame in enumerate(co3d.frames):  # rotations about the world's y axis through (10, 0, 0)
        angle = number % 3
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        frame["viewpoint"]["R"] = turn.tolist()
        frame["viewpoint"]["T"] = (np.array([0, 0, 20.0]) - np.array([10.0, 0, 0]) @ turn).tolist()
    co3d.sequences[1]["point_cloud"]["quality_score"] = 3.0
    co3d.save()
    loose = {"filters": "published", "min_viewpoint_coverage": 2 / 38}
    assert [s.name for s in read(co3d, **loose).sequences("bus")] == ["4_5_6", "1_2_3"]  # by quality
    assert [s.name for s in read(co3d, **loose, max_sequences=1).sequences("bus")] == ["4_5_6"]
    with pytest.raises(DataError, match="2 with an object too small"):
        read(co3d, **loose, min_mask_coverage=0.26).sequences("bus")  # 600 of 2400 pixels are 0.25
    for number in range(3):
        set_mask(co3d, "4_5_6", number, 0)
    source = read(co3d, **loose, max_sequences=1)
    assert [s.name for s in source.sequences("bus")] == ["1_2_3"]  # the first that its masks let pass
    assert source.skipped("bus") == {"empty masks": 1}
    co3d.frames[3]["viewpoint"]["principal_point"] = co3d.frames[4]["viewpoint"]["principal_point"] = [0.95, 0.0]
    co3d.save()
    assert read(co3d, **loose).skipped("bus") == {"an object off the centre": 1}


# --- what is left out


def test_nan_cameras(co3d):
    for value in (float("nan"), None):
        co3d.frames[1]["viewpoint"]["T"][0] = value
        co3d.save()
        source = read(co3d)
        assert [s.name for s in source.sequences("bus")] == ["4_5_6"]
        assert source.skipped("bus") == {"cameras that are none (NaN or no rotation)": 1}
    (problem,) = read(co3d).check(["bus"])
    assert problem.field == "viewpoint.T.0"


@pytest.mark.parametrize(
    ("key", "value"), [("R", [[2, 0, 0], [0, 1, 0], [0, 0, 1]]), ("focal_length", [0.0, 1.0]), ("R", [[0] * 3] * 3)]
)
def test_cameras_that_are_none(co3d, key, value):
    co3d.frames[1]["viewpoint"][key] = value
    co3d.save()
    assert list(read(co3d).skipped("bus")) == ["cameras that are none (NaN or no rotation)"]


def test_missing_files(co3d):
    whole = read(co3d).fingerprint("bus")
    (co3d.place / "1_2_3/masks/frame000002.png").unlink()
    assert read(co3d).skipped("bus") == {"missing masks": 1}
    assert read(co3d).fingerprint("bus") != whole  # or a fit on fewer sequences would be taken for one on all
    (co3d.place / "1_2_3/images/frame000001.jpg").unlink()
    assert read(co3d).skipped("bus") == {"missing images": 1}
    (co3d.place / "1_2_3/pointcloud.ply").unlink()
    assert read(co3d).skipped("bus") == {"no point cloud": 1}


def test_no_frames_and_too_few(co3d):
    co3d.frames = [frame for frame in co3d.frames if frame["sequence_name"] == "4_5_6"]
    co3d.save()
    assert read(co3d).skipped("bus") == {"no frames": 1}
    with pytest.raises(DataError, match="2 with fewer than 4 frames"):
        read(co3d, min_frames=4).sequences("bus")


def test_empty_masks_of_a_sequence_and_of_a_frame(co3d):
    set_mask(co3d, "4_5_6", 1, 0)
    source = read(co3d)
    assert [len(s.frames) for s in source.sequences("bus")] == [3, 2]
    assert [f.id[-1] for f in source.sequences("bus")[1].frames] == ["0", "2"]
    assert source.skipped("bus") == {"frames with an empty mask": 1}
    for number in range(3):
        set_mask(co3d, "1_2_3", number, 0)
    assert read(co3d).skipped("bus") == {"empty masks": 1, "frames with an empty mask": 1}
    with pytest.raises(DataError, match="1 with empty masks, 1 with fewer than 3 frames"):
        read(co3d, min_frames=3).sequences("bus")


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (np.array([[10.0 + 0.1 * n, 0, 0] for n in range(10)]), "too small a point cloud"),
        (np.zeros((0, 3)), "too small a point cloud"),
        (np.full((200, 3), np.nan), "too small a point cloud"),
        (np.tile([[10.0, 0, 0]], (200, 1)), "a point cloud without extent"),
    ],
)
def test_clouds_that_are_none(co3d, points, reason):
    write_ply_points(co3d.place / "1_2_3/pointcloud.ply", points)
    assert read(co3d).skipped("bus") == {reason: 1}


def test_too_few_points_survive_the_masks(co3d):
    points = np.concatenate(
        [[[50.0 + n, 0, 0] for n in range(500)], np.random.default_rng(0).uniform(-1, 1, (5, 3)) + [10, 0, 0]]
    )
    write_ply_points(co3d.place / "1_2_3/pointcloud.ply", points)
    assert read(co3d).skipped("bus") == {"too small a point cloud": 1}
    assert len(read(co3d, min_points=10).sequences("bus")[0].points()) == 10  # as published


# --- extent of the mesh, sequences without alignment


def test_extent_of_the_proxy_mesh(co3d):
    solid(co3d, "4_5_6", floating=[12.8, 0, 0])
    source = read(co3d, extent="mesh")
    (sequence,) = source.sequences("bus")
    assert source.skipped("bus") == {"no proxy mesh": 1}  # 16 points
    # The mesh is the box, from 8 to 12 along x, without what floats at 12.8; canonical y is raw x, and 2 is 1.
    points = sequence.points()
    assert points[:, 1].max() == pytest.approx((12.8 - 10) / 2, abs=0.03)
    assert points[:, 1].min() == pytest.approx(-1, abs=0.03)
    cloud = read(co3d).sequences("bus")[1].points()
    assert cloud[:, 1].max() == pytest.approx(1) and np.ptp(cloud[:, 1]) == pytest.approx(2)
    assert read(co3d, extent="mesh").fingerprint("bus") != read(co3d).fingerprint("bus")


def test_raw_sequences_need_no_alignment(co3d):
    for name in ("1_2_3", "4_5_6"):
        solid(co3d, name)
    expected = read(co3d).sequences("bus")[0]
    pixels, _ = project(expected.points(), expected.frames[1].cam_T_obj, expected.frames[1].intrinsics)
    (co3d.root / "alignment.json").unlink()
    source = read(co3d)
    first, _ = source.raw_sequences("bus")
    points = first.points()
    assert np.abs(points).max() == pytest.approx(1) and np.allclose(points.min(axis=0) + points.max(axis=0), 0)
    assert np.ptp(points, axis=0).argmax() == 0  # raw axes: the box is longest along x
    again, _ = project(points, first.frames[1].cam_T_obj, first.frames[1].intrinsics)
    assert np.allclose(again, pixels)
    rotation = first.frames[1].cam_T_obj[:3, :3]
    assert np.allclose(rotation @ rotation.T, np.eye(3))
    vertices, faces = source.proxy_mesh("bus", "1_2_3")
    assert np.abs(vertices).max() == pytest.approx(1, abs=0.05) and faces.max() < len(vertices)
    assert source.depth(first.frames[1])[20, 30] == pytest.approx(14.0 / 2.0, rel=0.01)  # own unit: half of 4 raw ones


# --- cache


def test_same_with_and_without_cache_and_masks_are_read_once(co3d, monkeypatch):
    solid(co3d, "4_5_6")
    set_mask(co3d, "4_5_6", 1, 0)
    without = fingers(read(co3d, cache=False))
    assert not read(co3d).store.folder.exists()
    first = fingers(read(co3d))
    decoded = []
    monkeypatch.setattr(prepared, "load_mask_values", lambda path, size: decoded.append(path))
    assert fingers(read(co3d)) == first == without
    assert read(co3d).skipped("bus") == {"frames with an empty mask": 1} and decoded == []


def test_broken_entries_are_made_again(co3d):
    solid(co3d, "1_2_3")
    solid(co3d, "4_5_6")
    settings = {"extent": "mesh"}
    first = fingers(read(co3d, **settings))
    entries = sorted(read(co3d).store.folder.rglob("*.npz"))
    assert len(entries) == 4
    for damage in (lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:200] + b"\x55" * 40 + b[240:]):
        for entry in entries:
            entry.write_bytes(damage(entry.read_bytes()))
        assert fingers(read(co3d, **settings)) == first
        assert all(len(entry.read_bytes()) > 400 for entry in entries)


def test_an_entry_is_never_unpickled(co3d, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    first = fingers(read(co3d))
    (entry, *_) = read(co3d).store.folder.rglob("*.npz")
    np.savez(entry, points=np.array([Evil()], dtype=object), covered=np.ones(3))
    assert fingers(read(co3d)) == first and not (tmp_path / "owned").exists()


def test_what_decides_the_content_makes_a_new_entry(co3d):
    source = read(co3d)
    raw = source.unaligned("bus").sequences[0]
    keys = {source.store.entry(raw)}
    for settings in ({"mask_share": 0.5}, {"cloud_points": 100}, {"seed": 1}):
        keys.add(read(co3d, **settings).store.entry(raw))
    set_mask(co3d, "1_2_3", 0, 255)
    keys.add(source.store.entry(raw))
    co3d.frames[0]["viewpoint"]["T"][0] += 1.0
    co3d.save()
    keys.add(source.store.entry(read(co3d).unaligned("bus").sequences[0]))
    assert len(keys) == 6
    assert read(co3d, max_frames=1, extent="mesh").store.entry(raw) in keys  # of which it does not depend


def test_a_folder_that_cannot_be_written_is_done_without(co3d):
    folder = read(co3d).store.folder
    folder.write_text("a file where the folder should be")
    assert fingers(read(co3d)) == fingers(read(co3d, cache=False))


def test_names_lead_nowhere_else(co3d):
    source = read(co3d)
    raw = source.unaligned("bus").sequences[0]
    evil = prepared.Raw("../../x", raw.folder, raw.cloud, raw.frames)
    assert source.store.entry(evil).parent == source.store.folder / "toybus"


# --- identity


def test_settings_that_came_later_leave_identities_as_they_were():
    first = {"sequence_list", "alignment", "reference", "max_sequences", "max_frames"}
    first |= {"cloud_points", "mask_share", "extent_percentile", "seed"}
    assert set(identity_settings(CO3DSettings(cache=False))) == first
    assert identity_settings(CO3DSettings(extent="mesh"))["extent"] == "mesh"
