"""Objaverse renderings: poses, the twin read by the reader, and folders with faults."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench3d.contracts import NullProgress
from bench3d.contracts.data import TwinSpec
from bench3d.data.images import load_rgb
from bench3d.errors import DataError, UsageError
from bench3d.geometry.camera import project
from bench3d_plugins.objaverse import twin
from bench3d_plugins.objaverse.dataset import Objaverse
from bench3d_plugins.objaverse.layout import recognise
from bench3d_plugins.objaverse.poses import intrinsics, published_poses

SPEC = TwinSpec(categories=("car", "chair"), seed=3, objects=1, train_objects=1, image_size=80)
SAMPLES = os.environ.get("BENCH3D_REAL_SAMPLES")


def tree(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("twin") / "objaverse_renderings"
    twin.write(root, SPEC, NullProgress(), 1)
    return root


@pytest.fixture
def folder(written, tmp_path):
    """A folder of one object as anybody could have rendered it: no mark of a twin."""
    shutil.copytree(written / "car-0000", tmp_path / "renderings" / "0a1b")
    return tmp_path / "renderings"


@pytest.mark.skipif(not SAMPLES, reason="BENCH3D_REAL_SAMPLES is not set")
def test_the_published_poses():
    published = np.load(Path(SAMPLES or "") / "3dcorrenhance" / "obj_poses.npy", allow_pickle=False)
    assert np.abs(published_poses() - published).max() < 1e-6


def test_the_poses_are_a_subdivided_icosahedron_upright():
    poses = published_poses()
    assert poses.shape == (42, 4, 4)
    assert np.allclose(poses[:, :3, 3], (0, 0, 2))
    assert np.allclose(poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.eye(3), atol=1e-12)
    assert np.allclose(np.linalg.det(poses[:, :3, :3]), 1)
    cosines = poses[:, 2, :3] @ poses[:, 2, :3].T - 2 * np.eye(42)
    assert np.rad2deg(np.arccos(cosines.max(1))) == pytest.approx(31.72, abs=0.01)
    # Up in the object (z) points up in the image (-y), and never sideways.
    assert np.allclose(poses[:, 0, 2], 0) and (poses[1:41, 1, 2] < 0).all()
    assert np.allclose(intrinsics(512), [[560, 0, 256], [0, 560, 256], [0, 0, 1]])


def test_training_objects_are_not_evaluated(written, folder):
    dataset = Objaverse(written)
    assert [one.id for one in dataset.training_sets("all")] == ["car-t0000", "chair-t0000"]
    picture, other = (written / name / "color_000000.png" for name in ("car-0000", "car-t0000"))
    assert picture.read_bytes() != other.read_bytes(), "a training object is no test object"
    # Without a list every object is for both; a list that names what is not there is a mistake.
    everything = Objaverse(folder)
    assert [s.id for s in everything.training_sets("all")] == [s.id for s in everything.view_sets("all")] == ["0a1b"]
    before = everything.fingerprint()
    shutil.copytree(folder / "0a1b", folder / "0c2d")
    (folder / "train.txt").write_text("0c2d\n")
    split = Objaverse(folder)
    assert [s.id for s in split.view_sets("all")] == ["0a1b"] and [s.id for s in split.training_sets()] == ["0c2d"]
    assert split.fingerprint() != before
    (folder / "train.txt").write_text("0c2d gone\n")
    with pytest.raises(DataError, match="gone"):
        Objaverse(folder).view_sets("all")


def test_the_twin_is_read_without_problems(written):
    dataset = Objaverse(written)
    assert list(dataset.check()) == []
    assert dataset.synthetic and recognise(written)
    sets = dataset.view_sets("all")
    assert [(one.id, one.object_category, len(one.views)) for one in sets] == [
        ("car-0000", "car", 42),
        ("chair-0000", "chair", 42),
    ]
    assert all(view.size == (160, 160) for one in sets for view in one.views)
    assert all(one.truth == "depth" and dict(one.attributes) == {} for one in sets)
    with pytest.raises(UsageError, match="no category 'car'"):
        dataset.view_sets("car")


def unprojected(view):
    """World points (N, 3) of all pixel centres with depth."""
    depth = view.depth()
    rows, columns = np.nonzero(depth)
    rays = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))]) * depth[rows, columns]
    camera = np.linalg.inv(view.intrinsics) @ rays
    return (camera.T - view.cam_T_world[:3, 3]) @ view.cam_T_world[:3, :3]


def test_all_views_of_the_twin_show_one_object_of_unit_size(written):
    for one in Objaverse(written).view_sets():
        points = np.concatenate([unprojected(view) for view in one.views])
        low, high = points.min(0), points.max(0)
        assert (high - low).max() == pytest.approx(1.0, abs=0.03)
        assert np.abs(low + high).max() < 0.04


def test_depth_of_one_view_agrees_with_the_others(written):
    """What one view sees and another sees too lies on the other's depth map; nothing ever floats before it."""
    for one in Objaverse(written).view_sets():
        agreed, before, total = 0, 0, 0
        for a, b in [(17, 18), (16, 17), (27, 28), (36, 41), (11, 6), (30, 33)]:
            points = unprojected(one.views[a])
            pixels, depth = project(points, one.views[b].cam_T_world, one.views[b].intrinsics)
            seen = one.views[b].depth()
            column, row = pixels.astype(int).T
            # The depth map is known at pixel centres: the nearest and the farthest of the neighbours bracket the point.
            around = np.stack([seen[row + i, column + j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
            inner = (around > 0).all(axis=0)
            lowest, highest = around.min(0)[inner], around.max(0)[inner]
            depth = depth[inner]
            agreed += ((depth > lowest - one.tolerance) & (depth < highest + one.tolerance)).sum()
            before += (depth < lowest - 2 * one.tolerance).sum()
            total += len(depth)
        assert total > 2000
        assert before / total < 0.005
        assert agreed / total > 0.75  # the rest is hidden in the other view


def test_the_object_stands_alone_on_black(written):
    for one in Objaverse(written).view_sets():
        for view in one.views[::7]:
            mask, rgb = view.mask(), load_rgb(view.image)
            assert np.array_equal(view.depth() > 0, mask)
            near = np.pad(mask, 1)
            near = np.any([near[1 + i : 161 + i, 1 + j : 161 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0)
            assert rgb[~near].any(axis=-1).sum() < 15  # an aerial thinner than a pixel is in the picture only
            assert 0.02 < mask.mean() < 0.5
        assert load_rgb(one.views[30].image)[one.views[30].mask()].mean() > 20


def test_workers_and_interruption_change_no_byte(written, tmp_path):
    spec = TwinSpec(categories=("car", "chair"), objects=1, train_objects=0, image_size=16)
    alone, two = tmp_path / "a", tmp_path / "b"
    twin.write(alone, spec, NullProgress(), 1)
    before = tree(alone)
    (alone / "twin.json").rename(alone / "twin.partial.json")
    (alone / "chair-0000" / "mask_000041.png").unlink()
    with pytest.raises(DataError, match="unfinished"):
        Objaverse(alone).view_sets()
    twin.write(alone, spec, NullProgress(), 1)
    twin.write(two, spec, NullProgress(), 2)
    assert tree(alone) == before == tree(two)


def test_fingerprints(written, folder):
    first = Objaverse(folder).fingerprint()
    assert first == Objaverse(folder).fingerprint() != Objaverse(written).fingerprint()
    np.save(folder / "obj_poses.npy", published_poses()[::-1])
    turned = Objaverse(folder).fingerprint()
    (folder / "0a1b" / "mask_000003.png").unlink()
    assert len({first, turned, Objaverse(folder).fingerprint()}) == 3


def test_missing_views_are_counted_and_poor_objects_left_out(folder):
    for view in (0, 5):
        (folder / "0a1b" / f"depth_{view:06d}.png").unlink()
    shutil.copytree(folder / "0a1b", folder / "poor", ignore=lambda _, names: [n for n in names if "_000007" not in n])
    (folder / "notes").mkdir()
    dataset = Objaverse(folder)
    (one,) = dataset.view_sets()
    assert one.object_category is None and one.attributes == {"missing_views": 2}
    assert [view.id for view in one.views[:5]] == ["000001", "000002", "000003", "000004", "000006"]
    assert np.allclose(one.views[4].cam_T_world, published_poses()[6])
    assert dataset.skipped() == {"fewer than two whole views": 1}
    problems = [(Path(p.file).name, p.severity) for p in dataset.check()]
    assert ("poor", "error") in problems and ("depth_000005.png", "error") in problems
    shutil.rmtree(folder / "0a1b")
    with pytest.raises(DataError, match=r"No object in .* has two whole views"):
        Objaverse(folder).view_sets()
    shutil.rmtree(folder / "poor")
    assert not recognise(folder)
    with pytest.raises(DataError, match=r"No folder in .* holds renderings"):
        Objaverse(folder).view_sets()
    (problem,) = Objaverse(folder / "nowhere").check()
    assert "missing" in problem.message


def test_poses_of_the_folder_are_used_and_judged(folder):
    path = folder / "obj_poses.npy"
    np.save(path, published_poses()[::-1])
    assert np.allclose(Objaverse(folder).view_sets()[0].views[0].cam_T_world, published_poses()[41])
    np.save(path, published_poses()[:40])
    with pytest.raises(DataError, match=r"color_000041.png has no pose: there are 40"):
        Objaverse(folder).view_sets()
    assert [Path(p.file).name for p in Objaverse(folder).check()] == ["color_000040.png", "color_000041.png"]
    broken = published_poses()
    broken[3, 0, 0] = np.nan
    np.save(path, broken)
    with pytest.raises(DataError, match=r"obj_poses.npy: pose 3 is not finite"):
        Objaverse(folder).view_sets()
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="no array of poses"):
        Objaverse(folder).view_sets()


def test_broken_files_are_named(folder):
    path = folder / "0a1b" / "depth_000009.png"
    path.write_bytes(path.read_bytes()[:300])
    Image.new("RGB", (160, 150)).save(folder / "0a1b" / "color_000011.png")
    messages = [problem.message for problem in Objaverse(folder).check()]
    assert len(messages) == 2
    assert "depth_000009.png is no readable image" in messages[0] and "160x150" in messages[1]
    with pytest.raises(DataError, match=r"depth_000009.png"):
        Objaverse(folder).view_sets()[0].views[9].depth()
