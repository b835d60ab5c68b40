"""RGB-D frames: a small written scene, faults, and ten real frames where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench3d.errors import DataError, UsageError
from bench3d.geometry.camera import project
from bench3d_plugins.rgbd_frames.dataset import RgbdFrames
from bench3d_plugins.rgbd_frames.layout import recognise
from bench3d_plugins.rgbd_frames.settings import RgbdSettings

SAMPLES = os.environ.get("BENCH3D_REAL_SAMPLES")
SIZE = (32, 24)


def frame(folder: Path, name: str, world_T_cam: np.ndarray, depth: np.ndarray, suffix: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE, (9, 99, 199)).save(folder / f"{name}.color.{suffix}")
    Image.fromarray(depth.astype(np.uint16)).save(folder / f"{name}.depth.png")
    lines = ("\t ".join(f"{value:.7e}" for value in row) for row in world_T_cam)
    (folder / f"{name}.pose.txt").write_text("\r\n".join(lines) + "\r\n")


def shifted(x: float) -> np.ndarray:
    pose = np.eye(4)
    pose[0, 3] = x
    return pose


@pytest.fixture
def folder(tmp_path):
    """Cameras that look along z at a wall 2 m away, each 10 cm to the right of the one before."""
    root = tmp_path / "scene"
    for k in range(3):
        frame(root / "seq-01", f"frame-{k:06d}", shifted(0.1 * k), np.full((24, 32), 2000))
    (root / "camera-intrinsics.txt").write_text("40 0 16\n0 40 12\n0 0 1\n")
    return root


def test_frames_in_a_subfolder(folder):
    dataset = RgbdFrames(folder)
    assert recognise(folder) and recognise(folder / "seq-01")
    assert list(dataset.check()) == [] and not dataset.synthetic
    (one,) = dataset.view_sets("all")
    assert (one.id, one.truth, len(one.views), dict(one.attributes)) == ("seq-01", "depth", 3, {})
    view = one.views[1]
    assert (view.id, view.size, view.mask) == ("frame-000001", SIZE, None)
    # The centre of the wall before camera 0 is a point of the world; 10 cm to the right it is 40 * 0.1 / 2 = 2 px left.
    assert np.allclose(view.cam_T_world[:3, 3], (-0.1, 0, 0))
    pixels, depth = project(np.array([[0.0, 0.0, 2.0]]), view.cam_T_world, view.intrinsics)
    assert pixels[0] == pytest.approx((14.0, 12.0)) and depth[0] == pytest.approx(view.depth()[12, 14])
    with pytest.raises(UsageError):
        dataset.view_sets("chair")


def test_every_folder_with_frames_is_a_set_and_may_have_a_camera_of_its_own(folder):
    for k in range(2):
        frame(folder, f"b{k}", shifted(k), np.full((24, 32), 900), "jpg")
        frame(folder / "seq-02", f"c{k}", shifted(k), np.full((24, 32), 900))
    (folder / "seq-02" / "camera-intrinsics.txt").write_text("50 0 16 0  0 50 12 0  0 0 1 0  0 0 0 1")
    sets = RgbdFrames(folder).view_sets()
    assert [(one.id, len(one.views), one.views[0].intrinsics[0, 0]) for one in sets] == [
        ("scene", 2, 40.0),
        ("seq-01", 3, 40.0),
        ("seq-02", 2, 50.0),
    ]


def test_lost_poses_and_missing_files_are_counted(folder):
    sequence = folder / "seq-01"
    for k, pose in enumerate([np.full((4, 4), -np.inf), np.full((4, 4), np.nan), np.zeros((4, 4)), np.eye(4) * 1.5]):
        frame(sequence, f"lost-{k}", pose, np.full((24, 32), 900))
    frame(sequence, "poor", np.eye(4), np.full((24, 32), 900))
    (sequence / "poor.depth.png").unlink()
    (one,) = RgbdFrames(folder).view_sets()
    assert len(one.views) == 3
    assert one.attributes == {"invalid_poses": 4, "missing_files": 1}
    found = {(Path(p.file).name, p.severity) for p in RgbdFrames(folder).check()}
    assert found == {*((f"lost-{k}.pose.txt", "warning") for k in range(4)), ("poor.depth.png", "error")}
    for name in ("frame-000000", "frame-000001"):
        (sequence / f"{name}.pose.txt").unlink()
    with pytest.raises(DataError, match=r"two usable frames.*4 invalid poses"):
        RgbdFrames(folder).view_sets()


def test_broken_files_are_named(folder):
    sequence = folder / "seq-01"
    path = sequence / "frame-000001.depth.png"
    path.write_bytes(path.read_bytes()[:60])
    Image.fromarray(np.zeros((12, 16), dtype=np.uint16)).save(sequence / "frame-000002.depth.png")
    (one,) = RgbdFrames(folder).view_sets()
    with pytest.raises(DataError, match=r"frame-000001.depth.png is no readable image"):
        one.views[1].depth()
    with pytest.raises(DataError, match="registered"):
        one.views[2].depth()
    assert len([p for p in RgbdFrames(folder).check() if "depth.png" in p.file]) == 2
    (sequence / "frame-000000.pose.txt").write_text("1 0 0")
    with pytest.raises(DataError, match=r"frame-000000.pose.txt holds 3 numbers"):
        RgbdFrames(folder).view_sets()


def test_intrinsics_are_needed_and_judged(folder):
    path = folder / "camera-intrinsics.txt"
    path.write_text("0 0 0 0 0 0 0 0 1")
    with pytest.raises(DataError, match="no camera's intrinsics"):
        RgbdFrames(folder).view_sets()
    path.unlink()
    with pytest.raises(DataError, match=r"camera-intrinsics.txt is missing.*3x3"):
        RgbdFrames(folder).view_sets()
    assert any("camera-intrinsics.txt" in problem.file for problem in RgbdFrames(folder).check())


def test_depth_of_another_camera_is_carried_over(folder):
    """By hand: depth camera f = 40, colour camera f = 20, both at (16, 12): pixel (20, 12) moves to (18, 12)."""
    depth = np.full((24, 32), 2000)
    depth[12, 20] = 1000
    frame(folder / "seq-01", "frame-000000", np.eye(4), depth)
    before = RgbdFrames(folder)
    assert before.view_sets()[0].views[0].intrinsics[0, 0] == 40
    old = before.fingerprint()
    (folder / "color-intrinsics.txt").write_text("20 0 16\n0 20 12\n0 0 1\n")
    view = RgbdFrames(folder).view_sets()[0].views[0]
    moved = view.depth()
    assert view.intrinsics[0, 0] == 20
    assert moved[12, 18] == pytest.approx(1.0)  # (20.5 - 16) / 2 + 16 = 18.25, and the nearer surface stays
    assert np.count_nonzero(moved) == 12 * 16 and (moved[6:18, 8:24] > 0).all()
    assert RgbdFrames(folder).fingerprint() != old
    settings = RgbdSettings(color_intrinsics=folder / "camera-intrinsics.txt")
    assert np.array_equal(RgbdFrames(folder, settings).view_sets()[0].views[0].depth() > 0, np.ones((24, 32), bool))
    with pytest.raises(DataError, match="nowhere"):
        RgbdFrames(folder, RgbdSettings(color_intrinsics=folder / "nowhere.txt")).view_sets()


def test_the_fingerprint_follows_depth_and_poses(folder):
    prints = [RgbdFrames(folder).fingerprint()]
    assert prints[0] == RgbdFrames(folder).fingerprint()
    frame(folder / "seq-01", "frame-000001", shifted(0.1), np.full((24, 32), 2001))
    prints.append(RgbdFrames(folder).fingerprint())
    frame(folder / "seq-01", "frame-000001", shifted(0.2), np.full((24, 32), 2001))
    prints.append(RgbdFrames(folder).fingerprint())
    assert len(set(prints)) == 3


def test_a_folder_without_frames(tmp_path):
    assert not recognise(tmp_path) and not recognise(tmp_path / "none")
    with pytest.raises(DataError, match="no frames"):
        RgbdFrames(tmp_path).view_sets()
    (problem,) = RgbdFrames(tmp_path / "none").check()
    assert "missing" in problem.message


@pytest.mark.skipif(not SAMPLES, reason="BENCH3D_REAL_SAMPLES is not set")
def test_real_frames_agree_within_the_tolerance():
    dataset = RgbdFrames(Path(SAMPLES or "") / "rgbd_frames")
    assert list(dataset.check()) == []
    (one,) = dataset.view_sets()
    assert len(one.views) == 10
    medians, accepted = [], []
    for a in one.views:
        depth = a.depth()
        rows, columns = np.mgrid[0 : depth.shape[0] : 8, 0 : depth.shape[1] : 8].reshape(2, -1)
        z = depth[rows, columns]
        rays = np.linalg.inv(a.intrinsics) @ np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
        points = ((rays * z).T[z > 0] - a.cam_T_world[:3, 3]) @ a.cam_T_world[:3, :3]
        for b in one.views:
            if a is b:
                continue
            pixels, expected = project(points, b.cam_T_world, b.intrinsics)
            inside = (expected > 0) & (pixels >= 0).all(axis=1) & (pixels < b.size).all(axis=1)
            column, row = pixels[inside].astype(int).T
            seen = b.depth()[row, column]
            error = np.abs(seen - expected[inside])[seen > 0]
            medians.append(np.median(error))
            accepted.append(np.mean(error < one.tolerance + one.relative_tolerance * seen[seen > 0]))
    assert min(medians) > 0.005 and max(medians) < 0.022
    assert np.mean(accepted) > 0.9
