"""The CO3D twin: written, and read by the reader of the official layout."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from bench3d.contracts import NullProgress
from bench3d.contracts.data import TwinSpec
from bench3d.data.images import load_mask
from bench3d.data.ply import read_ply_points
from bench3d.errors import DataError, OutputError
from bench3d.geometry.camera import project
from bench3d.geometry.rotations import geodesic_angle
from bench3d.geometry.unproject import unproject, visible
from bench3d.synth.cameras import orbit
from bench3d.synth.instances import make_instance
from bench3d.synth.seeds import instance_seed
from bench3d_plugins.co3d import twin
from bench3d_plugins.co3d.annotations import read_jgz
from bench3d_plugins.co3d.dataset import CO3D
from bench3d_plugins.co3d.names import recognise

SPEC = TwinSpec(categories=("bus", "car"), seed=5, train_instances=2, views=4, image_size=128)


def tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twin") / "co3d"
    twin.write(folder, SPEC, NullProgress(), 1)
    return folder


def test_it_is_read_without_problems_and_marked(root):
    source = CO3D(root)
    assert list(source.check()) == [] and source.synthetic
    assert source.present() == ["bus", "car"]
    assert [len(s.frames) for s in source.sequences("bus")] == [4, 4]
    assert not (root / ".parts").exists()


@pytest.mark.parametrize("category", SPEC.categories)
def test_poses_come_back_from_the_random_frames(root, category):
    for index, sequence in enumerate(CO3D(root).sequences(category)):
        seed = instance_seed(category, "train", index, SPEC.seed)
        vertices = make_instance(category, seed).vertices
        for frame, (pose, intrinsics) in zip(
            sequence.frames, orbit(4, seed, frame_size(sequence), vertices), strict=True
        ):
            assert geodesic_angle(frame.cam_T_obj[:3, :3], pose[:3, :3]) < 1e-6
            assert np.allclose(frame.intrinsics, intrinsics)
            # The cleaned cloud's extent stands for the object's: units agree up to its sampling.
            assert np.linalg.norm(frame.cam_T_obj[:3, 3] / pose[2, 3] - pose[:3, 3] / pose[2, 3]) < 0.03


def frame_size(sequence):
    return sequence.frames[0].size


@pytest.mark.parametrize("category", SPEC.categories)
def test_cloud_is_the_object_and_falls_into_the_masks(root, category):
    source = CO3D(root)
    for sequence in source.sequences(category):
        points = sequence.points()
        raw = read_ply_points(root / source.unaligned(category).sequences[0].cloud)
        assert twin.SURFACE_POINTS * 0.9 < len(points) <= len(raw) - twin.GROUND_POINTS
        assert np.abs(points).max() == pytest.approx(1, abs=1e-9)
        for frame in sequence.frames:
            pixels, _ = project(points, frame.cam_T_obj, frame.intrinsics)
            mask = load_mask(frame.mask, frame.size)
            column, row = np.clip(pixels.astype(int), 0, 127).T
            assert binary_dilation(mask, np.ones((3, 3)))[row, column].mean() > 0.99  # but for silhouette pixels
            depth = source.depth(frame)
            assert np.array_equal(depth > 0, mask)
            _, z = project(points, frame.cam_T_obj, frame.intrinsics)
            assert z.min() - 0.05 < depth[mask].min() and depth[mask].max() < z.max() + 0.05


def source_folder(category):
    return "toybus" if category == "bus" else category


def test_its_sequences_are_posed_views_whose_depths_agree(root):
    """A surface point that one frame shows lies on the surface of the others, where they show it."""
    assert recognise(root) and not recognise(root / "car")
    for one in CO3D(root).view_sets("car"):
        assert (one.truth, one.object_category, len(one.views)) == ("depth", "car", 4)
        source, shown = one.views[0], []
        depth, mask = source.depth(), source.mask()
        rows, columns = np.nonzero((depth > 0) & mask)
        pixels = np.stack([columns, rows], axis=1) + 0.5
        world = unproject(source, pixels, depth[rows, columns])
        assert np.abs(world).max() < 1.1, "canonical units"
        for view in one.views:
            shown.append(visible(view, world, view.depth(), one.tolerance, one.relative_tolerance)[1].mean())
        assert shown[0] > 0.99 and max(shown[1:]) > 0.3


def test_every_sequence_has_a_frame_of_its_own_and_one_alignment(root):
    table = json.loads((root / "alignment.json").read_text())
    assert sorted(table) == ["car", "toybus"]
    matrices = np.array([matrix for several in table.values() for matrix in several.values()])
    scales = np.cbrt(np.linalg.det(matrices[:, :3, :3]))
    assert np.ptp(scales) > 0.1 and scales.min() > 1 / 3.01 and scales.max() < 1 / 0.29
    turns = matrices[:, :3, :3] / scales[:, None, None]
    assert min(geodesic_angle(turns[0], other) for other in turns[1:]) > 0.1


def test_official_fields_are_all_there(root):
    frame = read_jgz(root / "toybus/frame_annotations.jgz")[1]
    assert set(frame) == {
        "sequence_name", "frame_number", "frame_timestamp", "image", "depth", "mask", "viewpoint", "meta"
    }  # fmt: skip
    assert frame["frame_number"] == 1 and frame["image"]["path"].endswith("/images/frame000002.jpg")
    assert frame["depth"]["path"].endswith("/depths/frame000002.jpg.geometric.png")
    listed = json.loads((root / "toybus/set_lists/set_lists_fewview_train.json").read_text())["train"]
    assert len(listed) == 8 and listed[1] == [frame["sequence_name"], 1, frame["image"]["path"]]


def test_alignment_noise_turns_by_about_its_sigma(root, tmp_path):
    noisy = TwinSpec(categories=("car",), seed=5, train_instances=2, views=4, image_size=128, alignment_noise=5.0)
    twin.write(tmp_path, noisy, NullProgress(), 1)
    angles = []
    for a, b in zip(CO3D(tmp_path).sequences("car"), CO3D(root).sequences("car"), strict=True):
        angles.append(np.rad2deg(geodesic_angle(a.frames[0].cam_T_obj[:3, :3], b.frames[0].cam_T_obj[:3, :3])))
    assert min(angles) > 1 and max(angles) < 25


def test_two_workers_write_the_same_bytes(root, tmp_path):
    twin.write(tmp_path / "b", SPEC, NullProgress(), 2)
    assert tree(tmp_path / "b") == tree(root)


def write_and_tell(folder: Path, started) -> None:
    class Tell(NullProgress):
        def advance(self, steps=1, **values):
            if steps:
                started.set()

    twin.write(folder, SPEC, Tell(), 1)


def test_a_killed_writer_resumes_to_the_same_bytes(root, tmp_path):
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    child = context.Process(target=write_and_tell, args=(tmp_path / "b", started))
    child.start()
    assert started.wait(120)
    child.kill()
    child.join()
    assert not (tmp_path / "b/twin.json").exists()
    first = tmp_path / "b/toybus" / twin.Job(root, "bus", 0, 5, 4, 128, 0.0).name
    written = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    with pytest.raises(DataError, match="unfinished"):
        CO3D(tmp_path / "b").sequences("bus")
    twin.write(tmp_path / "b", SPEC, NullProgress(), 1)
    assert tree(tmp_path / "b") == tree(root)
    assert written and written == {path: path.stat().st_mtime_ns for path in first.rglob("*")}


def test_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(twin, "write_ply_points", full)
    with pytest.raises(OutputError, match="disk is full"):
        twin.write(tmp_path / "c", SPEC, NullProgress(), 1)
    left = [path.name for path in (tmp_path / "c").rglob("*") if path.is_file()]
    assert left == ["twin.partial.json"]


def test_fingerprints_follow_the_seed(root, tmp_path):
    first = CO3D(root).fingerprint("car")
    assert first == CO3D(root).fingerprint("car") != CO3D(root).fingerprint("bus")
