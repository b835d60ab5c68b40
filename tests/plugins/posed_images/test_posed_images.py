"""nerfstudio folders: axes, cameras, depth, clouds, tracks; and files that were written wrongly."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from colmap_files import scene, write_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bench3d.data.ply import write_ply_points
from bench3d.errors import DataError, UsageError
from bench3d.geometry.camera import project
from bench3d_plugins.posed_images.cloud import distort, fold, observe
from bench3d_plugins.posed_images.dataset import PosedImages
from bench3d_plugins.posed_images.layout import recognise

SIZE = (64, 48)
OPENCV_TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


def matrix(cam_T_world: np.ndarray) -> list:
    """nerfstudio's camera-to-world of an OpenCV pose."""
    return (np.linalg.inv(cam_T_world) @ OPENCV_TO_OPENGL).tolist()


def write(folder: Path, value: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "transforms.json").write_text(json.dumps(value))
    return folder


def image(path: Path, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (7, 70, 170)).save(path)


@pytest.fixture
def meta():
    """Three cameras on a circle around the origin, written back to front."""
    frames = [
        {"file_path": f"images/frame_{k:05d}.png", "transform_matrix": matrix(one.cam_T_world)}
        for k, one in reversed(list(enumerate(scene(3).images, start=1)))
    ]
    camera = {"camera_model": "OPENCV", "fl_x": 60.0, "fl_y": 62.0, "cx": 32.0, "cy": 24.0, "w": 64, "h": 48}
    return {**camera, "frames": frames}


@pytest.fixture
def folder(tmp_path, meta):
    """The images, with the COLMAP model that they came from."""
    for frame in meta["frames"]:
        image(tmp_path / "capture" / frame["file_path"])
    model = scene(3)
    for k, one in enumerate(model.images, start=1):
        one.name = f"frame_{k:05d}.png"
    write_model(tmp_path / "capture" / "colmap" / "sparse" / "0", model)
    return write(tmp_path / "capture", meta)


def with_depth(folder: Path, meta: dict, unit: int = 1000) -> dict:
    meta = copy.deepcopy(meta)
    for k, frame in enumerate(meta["frames"]):
        frame["depth_file_path"] = f"depths/{k}.png"
        (folder / "depths").mkdir(exist_ok=True)
        Image.fromarray(np.full((48, 64), 2 * unit, dtype=np.uint16)).save(folder / "depths" / f"{k}.png")
    return meta


def test_opengl_axes_by_hand(tmp_path):
    """A camera at (0, 0, 5) that is not turned looks along -z, y up."""
    pose = np.eye(4)
    pose[2, 3] = 5.0
    frames = [{"file_path": f"{k}.png", "transform_matrix": pose.tolist()} for k in range(2)]
    folder = with_depth(write(tmp_path / "a", {}), {"camera_angle_x": np.pi / 2, "frames": frames})
    write(tmp_path / "a", folder)
    for k in range(2):
        image(tmp_path / "a" / f"{k}.png")
    (one,) = PosedImages(tmp_path / "a").view_sets()
    view = one.views[0]
    # An opening angle of 90 degrees over 64 pixels is a focal length of 32.
    assert np.allclose(view.intrinsics, [[32, 0, 32], [0, 32, 24], [0, 0, 1]])
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 9.0]])
    pixels, depth = project(points, view.cam_T_world, view.intrinsics)
    assert np.allclose(depth, [5, 5, 5, -4])
    assert np.allclose(pixels[:3], [[32, 24], [32 + 32 / 5, 24], [32, 24 - 32 / 5]])


def test_tracks_of_the_colmap_model(folder):
    dataset = PosedImages(folder)
    assert recognise(folder) and recognise(folder.parent) and list(dataset.check()) == []
    (one,) = dataset.view_sets("all")
    assert (one.id, one.truth, dict(one.attributes)) == ("capture", "tracks", {})
    assert [view.id for view in one.views] == [f"images/frame_{k:05d}.png" for k in (1, 2, 3)]
    points = scene(3).points
    for view, seen in zip(one.views, one.observations(), strict=True):
        # The poses stand in the json file, the keypoints in the model: they belong together.
        pixels, _ = project(points[seen.points], view.cam_T_world, view.intrinsics)
        assert np.allclose(pixels, seen.xy, atol=1e-6) and len(pixels) == 40
    with pytest.raises(UsageError):
        dataset.view_sets("chair")


def test_every_subfolder_with_a_file_is_a_set(folder, meta):
    for frame in meta["frames"]:
        image(folder.parent / "again" / frame["file_path"])
    write(folder.parent / "again", with_depth(folder.parent / "again", meta))
    sets = PosedImages(folder.parent).view_sets()
    assert [(one.id, one.truth) for one in sets] == [("again", "depth"), ("capture", "tracks")]


def test_scaled_images_and_cameras_of_their_own(folder, meta):
    frame = meta["frames"][2]  # frame_00001
    frame.update(fl_x=90.0, k1=0.1, p2=-0.01)
    meta["k2"] = 0.02
    image(folder / frame["file_path"], (32, 24))
    write(folder, meta)
    first, second, _ = PosedImages(folder).view_sets()[0].views
    assert first.size == (32, 24) and np.allclose(first.intrinsics, [[45, 0, 16], [0, 31, 12], [0, 0, 1]])
    assert first.distortion == (0.1, 0.02, 0.0, -0.01)
    assert second.distortion == (0.0, 0.02, 0.0, 0.0) and second.intrinsics[0, 0] == 60


def test_depth_where_every_frame_has_it(folder, meta):
    write(folder, with_depth(folder, meta))
    (one,) = PosedImages(folder).view_sets()
    assert (one.truth, one.tolerance, one.relative_tolerance) == ("depth", 0.0, 0.02)
    assert one.views[0].depth() == pytest.approx(np.full((48, 64), 2.0))
    write(folder, {**with_depth(folder, meta), "depth_unit_scale_factor": 0.01})
    assert PosedImages(folder).view_sets()[0].views[0].depth()[0, 0] == pytest.approx(20.0)
    # A map of half the size is read at the nearest pixel; one of another shape is refused.
    small = np.arange(24 * 32, dtype=np.float32).reshape(24, 32)
    small[3, 4] = np.nan
    np.save(folder / "depths" / "d.npy", small)
    meta = with_depth(folder, meta)
    meta["frames"][0]["depth_file_path"] = "depths/d.npy"
    write(folder, meta)
    depth = PosedImages(folder).view_sets()[0].views[2].depth()
    assert depth.shape == (48, 64) and depth[10, 21] == pytest.approx((5 * 32 + 10) * 1e-3) and depth[7, 9] == 0
    np.save(folder / "depths" / "d.npy", np.ones((48, 48)))
    with pytest.raises(DataError, match="not just scaled"):
        PosedImages(folder).view_sets()[0].views[2].depth()
    del meta["frames"][0]["depth_file_path"]
    write(folder, meta)
    assert PosedImages(folder).view_sets()[0].truth == "tracks"


def test_masks_where_every_frame_has_one(folder, meta):
    for frame in meta["frames"]:
        frame["mask_path"] = "mask.png"
    write(folder, meta)
    assert PosedImages(folder).view_sets()[0].views[0].mask is None  # the file is not there
    Image.fromarray(np.eye(48, 64, dtype=np.uint8) * 255).save(folder / "mask.png")
    assert PosedImages(folder).view_sets()[0].views[0].mask().sum() == 48


def test_a_cloud_hides_its_own_back(tmp_path, meta):
    """Of a ball's surface a view sees the near half, whose normals turn towards the camera."""
    rng = np.random.default_rng(0)
    ball = rng.standard_normal((4000, 3))
    ball *= 0.5 / np.linalg.norm(ball, axis=1, keepdims=True)
    folder = write(
        tmp_path / "ball", {**meta, "ply_file_path": "sparse_pc.ply", "applied_transform": np.eye(4)[:3].tolist()}
    )
    write_ply_points(folder / "sparse_pc.ply", ball)
    for frame in meta["frames"]:
        image(folder / frame["file_path"])
    (one,) = PosedImages(folder).view_sets()
    assert one.truth == "tracks" and "approximate" in one.attributes["truth_note"]
    for view, seen in zip(one.views, one.observations(), strict=True):
        eye = -view.cam_T_world[:3, :3].T @ view.cam_T_world[:3, 3]
        facing = ((eye - ball) * ball).sum(axis=1) / 0.5 / np.linalg.norm(eye - ball, axis=1)
        assert (facing[seen.points] > -0.15).mean() > 0.97
        assert np.isin(np.flatnonzero(facing > 0.3), seen.points).mean() > 0.97
        pixels, _ = project(ball.astype(np.float32)[seen.points], view.cam_T_world, view.intrinsics)
        assert np.allclose(pixels, seen.xy, atol=1e-4)
    write_ply_points(folder / "sparse_pc.ply", ball + 100)
    with pytest.raises(DataError, match=r"No view sees a point of the cloud"):
        PosedImages(folder).view_sets()[0].observations()


def test_points_beyond_the_fold_of_the_lens_are_not_seen(folder, meta):
    """r (1 - 0.3 r^2) turns back at r = 1 / sqrt(0.9): what lies beyond would fall into the image again."""
    assert fold((-0.3, 0.0, 0.0, 0.0)) == pytest.approx(1 / 0.9)
    assert fold((0.1, 0.01, 0.0, 0.0)) == np.inf
    assert distort(np.array([[0.1, 0.2]]), (0.0, 0.0, 1.0, 0.0))[0] == pytest.approx([0.1 + 0.04, 0.2 + 0.05 + 0.08])
    write(folder, {**meta, "k1": -0.3})
    view = PosedImages(folder).view_sets()[0].views[0]
    world_T_cam = np.linalg.inv(view.cam_T_world)
    rays = np.array([[0.0, 0.0, 1.0], [0.3, 0.0, 1.0], [1.7, 0.0, 1.0], [0.0, 0.0, -1.0]])
    seen = observe(rays @ world_T_cam[:3, :3].T + world_T_cam[:3, 3], view)
    assert seen.points.tolist() == [0, 1]
    assert np.allclose(seen.xy, [[32, 24], [32 + 60 * 0.3 * (1 - 0.3 * 0.09), 24]])


def test_missing_images_are_counted(folder, meta):
    (folder / "images" / "frame_00002.png").unlink()
    (one,) = PosedImages(folder).view_sets()
    assert one.attributes == {"missing_images": 1} and len(one.views) == len(one.observations()) == 2
    assert [p.severity for p in PosedImages(folder).check()] == ["warning"]
    (folder / "images" / "frame_00001.png").unlink()
    with pytest.raises(DataError, match="1 of its 3 images are there"):
        PosedImages(folder).view_sets()


def test_what_is_needed_is_said(folder):
    for path in (folder / "colmap" / "sparse" / "0").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"which points correspond.*depth_file_path.*ply_file_path.*COLMAP"):
        PosedImages(folder).view_sets()
    (problem,) = PosedImages(folder).check()
    assert "which points correspond" in problem.message
    (folder / "transforms.json").unlink()
    assert not recognise(folder)
    with pytest.raises(DataError, match=r"no transforms.json"):
        PosedImages(folder).view_sets()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m["frames"][1].update(file_path="../other/a.png"),
            r"frames.1.file_path \('../other/a.png'\) leads out",
        ),
        (lambda m: m["frames"][1].update(file_path="/etc/passwd"), "leads out"),
        (lambda m: m["frames"][1].update(file_path="a" * 300), "is no path"),
        (lambda m: m["frames"][1].update(file_path="C:\\a.png"), "leads out"),
        (lambda m: m["frames"][1].pop("file_path"), "frames.1.file_path is missing"),
        (lambda m: m["frames"][1].pop("transform_matrix"), "frames.1.transform_matrix is missing"),
        (lambda m: m["frames"][0]["transform_matrix"][0].__setitem__(0, float("nan")), "frames.0.*is not finite"),
        (lambda m: m["frames"][0]["transform_matrix"][0].__setitem__(0, "x"), "no matrix of numbers"),
        (lambda m: m["frames"][0].update(transform_matrix=(np.eye(4) * 2).tolist()), "no rotation"),
        (lambda m: m["frames"][0].update(transform_matrix=[[1, 2], [3]]), "no matrix of numbers"),
        (lambda m: m.update(frames=[]), "field frames is missing or empty"),
        (lambda m: m.update(frames=[3]), "frames.0 is no JSON object"),
        (lambda m: m.pop("fl_x") and m.pop("fl_y"), "fl_x is missing"),
        (lambda m: m.update(fl_x="60"), "fl_x is no finite number"),
        (lambda m: m.update(fl_x=-1), "fl_x is not positive"),
        (lambda m: m.update(k3=0.1), "k3 is not zero"),
        (lambda m: m.update(w=48), "is not the size of images/frame_0000"),
        (lambda m: m.update(camera_model="OPENCV_FISHEYE"), "camera_model is OPENCV_FISHEYE"),
        (lambda m: m.update(ply_file_path="../cloud.ply"), "ply_file_path .* leads out"),
        (lambda m: m.update(depth_unit_scale_factor=0), "is not positive"),
    ],
)
def test_wrong_fields_are_named(folder, meta, change, message):
    change(meta)
    write(folder, meta)
    with pytest.raises(DataError, match=r"transforms.json: .*" + message):
        PosedImages(folder).view_sets()
    assert any("transforms.json" in problem.file for problem in PosedImages(folder).check())


def test_broken_files_are_named(folder, meta):
    path = folder / "images" / "frame_00002.png"
    path.write_bytes(path.read_bytes()[:60])
    assert [Path(problem.file).name for problem in PosedImages(folder).check()] == ["frame_00002.png"]
    (folder / "transforms.json").write_text('{"frames": [')
    with pytest.raises(DataError, match=r"transforms.json holds no valid JSON"):
        PosedImages(folder).view_sets()


PLACES = ["w", "fl_x", "cx", "k1", "frames", "camera_model", "ply_file_path", "depth_unit", "is_fisheye", "k4"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(PLACES),
    own=st.sampled_from(["file_path", "transform_matrix", "mask_path", None]),
    value=VALUES,
)
def test_any_value_anywhere_is_read_or_refused(folder, meta, place, own, value):
    meta = copy.deepcopy(meta)
    if own is None:
        meta[place] = value
    else:
        meta["frames"][0][own] = value
    write(folder, meta)
    try:
        (one,) = PosedImages(folder).view_sets()
        assert all(np.isfinite(view.intrinsics).all() and np.isfinite(view.cam_T_world).all() for view in one.views)
    except DataError as error:
        assert str(folder) in error.message


def test_the_fingerprint_follows_cameras_and_truth(folder, meta):
    prints = [PosedImages(folder).fingerprint()]
    assert prints[0] == PosedImages(folder).fingerprint()
    path = folder / "colmap" / "sparse" / "0" / "images.bin"
    path.write_bytes(path.read_bytes()[:-8] + (3).to_bytes(8, "little"))
    prints.append(PosedImages(folder).fingerprint())
    write(folder, {**meta, "fl_x": 61.0})
    prints.append(PosedImages(folder).fingerprint())
    write(folder, with_depth(folder, meta))
    prints.append(PosedImages(folder).fingerprint())
    assert len(set(prints)) == 4
