"""The PASCAL3D+ twin: written, and read by the reader of the official layout."""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from bench3d.contracts import NullProgress
from bench3d.contracts.data import TwinSpec
from bench3d.data.images import load_rgb
from bench3d.errors import DataError, OutputError
from bench3d.geometry.camera import clip_matrix, project
from bench3d.render.raster import rasterize
from bench3d.synth.cameras import photo
from bench3d.synth.instances import make_instance
from bench3d.synth.scene import HARD, PLAIN, render
from bench3d.synth.seeds import instance_seed
from bench3d_plugins.pascal3d import twin
from bench3d_plugins.pascal3d.dataset import Pascal3D

SPEC = TwinSpec(categories=("car", "chair"), seed=3, test_images=3, hard_images=2, image_size=128)


def tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twin") / "PASCAL3D+_release1.1"
    twin.write(folder, SPEC, NullProgress(), 1)
    return folder


def test_it_is_read_without_problems_and_marked(root):
    dataset = Pascal3D(root)
    assert list(dataset.check()) == []
    assert dataset.synthetic
    assert [len(dataset.samples(c, s)) for c in SPEC.categories for s in ("plain", "hard")] == [3, 2, 3, 2]
    assert dataset.skipped("car", "plain") == {}
    clusters = {sample.cluster for split in ("plain", "hard") for sample in dataset.samples("car", split)}
    assert len(clusters) == 5


@pytest.mark.parametrize("split", ["plain", "hard"])
def test_poses_boxes_and_meshes_draw_the_picture(root, split):
    for category in SPEC.categories:
        for index, sample in enumerate(Pascal3D(root).samples(category, split)):
            seed = instance_seed(category, split, index, SPEC.seed)
            instance = make_instance(category, seed)
            shot = photo(seed, sample.size, instance.vertices, hard=split == "hard", category=category)
            style = HARD if split == "hard" else PLAIN
            truth = render(instance, shot.pose(), shot.intrinsics(), sample.size, seed, style)
            assert np.allclose(sample.cam_T_obj, shot.pose(), atol=1e-9)
            assert np.allclose(sample.intrinsics, shot.intrinsics(), atol=1e-9)
            vertices, faces = sample.mesh()
            assert np.abs(vertices).max() == pytest.approx(1, abs=1e-5)
            distance = sample.cam_T_obj[2, 3]
            matrix = clip_matrix(sample.intrinsics, sample.size, max(0.05, distance - 6), distance + 30)
            clip = np.concatenate([vertices, np.ones((len(vertices), 1))], axis=1) @ (matrix @ sample.cam_T_obj).T
            drawn = rasterize(clip[None].astype(np.float32), faces, sample.size[::-1])[0, ..., 3] > 0
            assert (drawn & truth.amodal).sum() / (drawn | truth.amodal).sum() > 0.97
            rows, columns = np.nonzero(truth.mask)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert sample.box.tolist() == box
            assert np.abs(load_rgb(sample.image, sample.size).astype(int) - truth.rgb).mean() < 10  # noise, and jpeg


def test_splits_share_no_instance(root):
    digests = [path.read_bytes() for path in (root / "CAD/car").glob("*.off")]
    assert len(set(digests)) == 5


def test_keypoints_agree_between_annotation_and_cad_table(root):
    dataset = Pascal3D(root)
    cads = loadmat(root / "CAD/car.mat", squeeze_me=True, struct_as_record=False)["car"]
    checked = 0
    for sample in dataset.samples("car", "plain"):
        path = root / "Annotations/car_imagenet" / f"{sample.image.stem}.mat"
        record = loadmat(path, squeeze_me=True, struct_as_record=False)["record"]
        cad = cads[int(record.objects.cad_index) - 1]
        for name in record.objects.anchors._fieldnames:
            anchor = getattr(record.objects.anchors, name)
            if anchor.status == 1:
                point = getattr(cad, name) * 2 / 0.85
                pixel, _ = project(point[None], sample.cam_T_obj, sample.intrinsics)
                assert np.allclose(pixel[0], anchor.location, atol=1e-3)
                checked += 1
            else:
                assert np.size(anchor.location) == 0
    assert checked > 6


def test_a_second_call_writes_nothing_and_another_spec_is_refused(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    twin.write(root, SPEC, NullProgress(), 1)
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    with pytest.raises(DataError, match="seed 3 instead of 4"):
        twin.write(root, TwinSpec(categories=("car", "chair"), seed=4), NullProgress(), 1)


def test_two_workers_write_the_same_bytes(root, tmp_path):
    twin.write(tmp_path / "b", SPEC, NullProgress(), 2)
    assert tree(tmp_path / "b") == tree(root)


def write_slowly(folder: Path, started) -> None:
    class Tell(NullProgress):
        def advance(self, steps=1, **values):
            started.set()

    twin.write(folder, SPEC, Tell(), 1)


def test_a_killed_writer_resumes_to_the_same_bytes(root, tmp_path):
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    child = context.Process(target=write_slowly, args=(tmp_path / "b", started))
    child.start()
    assert started.wait(120)
    child.kill()
    child.join()
    assert not (tmp_path / "b/twin.json").exists()
    with pytest.raises(DataError, match="unfinished"):
        Pascal3D(tmp_path / "b").samples("car", "plain")
    twin.write(tmp_path / "b", SPEC, NullProgress(), 1)
    whole = {name: digest for name, digest in tree(tmp_path / "b").items() if "/." not in name}
    assert whole == tree(root)


def test_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OutputError, match="disk is full"):
        twin.write(tmp_path / "c", SPEC, NullProgress(), 1)
    assert not [path for path in (tmp_path / "c").rglob("*") if path.is_file()]


def test_a_file_in_the_folders_place_is_one_sentence(tmp_path):
    (tmp_path / "c").write_text("")
    with pytest.raises(OutputError, match="a file stands where a folder is needed"):
        twin.write(tmp_path / "c", SPEC, NullProgress(), 1)
