"""The ObjectNet3D twin: written, and read by the reader of the official layout."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from bench3d.contracts import NullProgress
from bench3d.contracts.data import TwinSpec
from bench3d.data.images import load_rgb
from bench3d.errors import DataError
from bench3d.geometry.camera import clip_matrix, project
from bench3d.render.raster import rasterize
from bench3d_plugins.objectnet3d import twin
from bench3d_plugins.objectnet3d.dataset import ObjectNet3D

SPEC = TwinSpec(categories=("car", "couch"), seed=3, test_images=8, hard_images=3, image_size=64)
SIDE = SPEC.image_size


def tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twin") / "ObjectNet3D"
    twin.write(folder, SPEC, NullProgress(), 1)
    return folder


def objects(root, sample):
    record = loadmat(root / f"Annotations/{sample.image.stem}.mat", squeeze_me=True, struct_as_record=False)["record"]
    return list(np.atleast_1d(record.objects))


def test_it_is_read_without_problems_and_marked(root):
    dataset = ObjectNet3D(root)
    assert list(dataset.check()) == []
    assert dataset.synthetic
    for category in SPEC.categories:
        samples = {split: dataset.samples(category, split) for split in ("test", "plain", "hard")}
        assert [len(several) for several in samples.values()] == [8, 8, 3]
        assert len({s.cluster for several in samples.values() for s in several}) == 11
        assert dataset.skipped(category, "test") == dataset.skipped(category, "hard") == {}


def test_the_branches_of_the_reader_occur(root):
    samples = ObjectNet3D(root).samples("couch", "test")
    assert [s.attributes["coarse_angles"] for s in samples] == [i in (2, 7) for i in range(8)]
    assert [s.attributes["objects"] for s in samples] == [2 if i in (3, 7) else 1 for i in range(8)]
    assert [s.size for s in samples] == [(2 * SIDE, SIDE) if i in (3, 7) else (SIDE, SIDE) for i in range(8)]
    for sample in samples:
        for one in objects(root, sample):
            own = getattr(one, "class") == "sofa"
            assert (np.size(one.viewpoint.azimuth) == 0) == (own and sample.attributes["coarse_angles"])
    kinds = [[(getattr(o, "class"), bool(o.viewpoint.focal)) for o in objects(root, samples[i])] for i in (3, 7)]
    assert kinds == [[("sofa", True), ("motorbike", True)], [("motorbike", False), ("sofa", True)]]


@pytest.mark.parametrize("split", ["test", "hard"])
def test_poses_and_meshes_draw_the_box(root, split):
    for category in SPEC.categories:
        for sample in ObjectNet3D(root).samples(category, split):
            vertices, faces = sample.mesh()
            assert np.abs(vertices).max() == pytest.approx(1, abs=1e-5)
            distance = sample.cam_T_obj[2, 3]
            matrix = clip_matrix(sample.intrinsics, sample.size, max(0.05, distance - 6), distance + 30)
            clip = np.concatenate([vertices, np.ones((len(vertices), 1))], axis=1) @ (matrix @ sample.cam_T_obj).T
            drawn = rasterize(clip[None].astype(np.float32), faces, sample.size[::-1])[0, ..., 3] > 0
            rows, columns = np.nonzero(drawn)
            box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            assert load_rgb(sample.image, sample.size).shape[:2] == sample.size[::-1]
            if split == "test":  # nothing stands in front
                assert np.abs(sample.box - box).max() <= 1
            else:
                assert (sample.box[:2] >= box[:2] - 1).all() and (sample.box[2:] <= box[2:] + 1).all()


def test_keypoints_are_where_the_poses_put_them(root):
    checked = {3: 0, 7: 0}  # the left one of two photos, and the right one
    for category, official in (("car", "car"), ("couch", "sofa")):
        cads = loadmat(root / f"CAD/{official}.mat", squeeze_me=True, struct_as_record=False)[official]
        for index in checked:
            sample = ObjectNet3D(root).samples(category, "test")[index]
            one = next(o for o in objects(root, sample) if getattr(o, "class") == official)
            for name in one.anchors._fieldnames:
                anchor = getattr(one.anchors, name)
                if anchor.status == 1:
                    point = getattr(cads[int(one.cad_index) - 1], name) * 2 / 0.85
                    pixel, _ = project(point[None], sample.cam_T_obj, sample.intrinsics)
                    assert np.allclose(pixel[0], anchor.location, atol=1e-3) and (pixel[0, 0] > SIDE) == (index == 7)
                    checked[index] += 1
    assert min(checked.values()) >= 3


def test_a_categorys_files_do_not_depend_on_the_other_categories(root, tmp_path):
    twin.write(tmp_path / "ObjectNet3D", replace(SPEC, categories=("couch",)), NullProgress(), 1)
    alone, both = tree(tmp_path / "ObjectNet3D"), tree(root)
    files = [name for name in alone if name.startswith(("Annotations", "Images", "CAD"))]
    assert len(files) > 30 and all(alone[name] == both[name] for name in files)


def test_a_second_call_writes_nothing_and_another_spec_is_refused(root):
    before = tree(root)
    twin.write(root, SPEC, NullProgress(), 1)
    assert tree(root) == before
    with pytest.raises(DataError, match="seed 3 instead of 4"):
        twin.write(root, replace(SPEC, seed=4), NullProgress(), 1)
