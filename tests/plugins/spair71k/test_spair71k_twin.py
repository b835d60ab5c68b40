"""The SPair-71k twin: written, and read by the reader of the published layout."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench3d.contracts import NullProgress
from bench3d.contracts.data import TwinSpec
from bench3d.geometry.camera import project
from bench3d.synth.cameras import CAD_TO_CANONICAL, Photo, photo
from bench3d.synth.instances import make_instance
from bench3d.synth.keypoints import HARD_EVERY, keypoint_order, visible_keypoints
from bench3d.synth.scene import Rendered
from bench3d.synth.seeds import instance_seed
from bench3d_plugins.spair71k import twin
from bench3d_plugins.spair71k.dataset import SPair71k

SPEC = TwinSpec(categories=("car", "couch", "chair"), seed=3, test_images=8, pairs=15, image_size=128)
REACH = 3  # pixels around a keypoint where the object must be seen


def tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twin") / "SPair-71k"
    twin.write(folder, SPEC, NullProgress(), 1)
    return folder


@pytest.fixture(scope="module")
def pairs(root):
    return [pair for category in ("car", "chair") for pair in SPair71k(root).pairs(category, "test")]


def test_it_is_read_without_problems(root, pairs):
    dataset = SPair71k(root)
    assert list(dataset.check()) == [] and dataset.synthetic
    assert len(pairs) == 30 and all(len(pair.keypoint_ids) >= 3 for pair in pairs)
    assert [int(pair.id[:6]) for pair in pairs] == list(range(1, 31))
    assert not (root / "JPEGImages" / "sofa").exists()
    groups = {name: {pair.attributes[name] for pair in pairs} for name in pairs[0].attributes}
    assert len(groups["viewpoint_variation"]) > 1 and groups["occlusion"] > {0} and groups["mirror"] == {0}


def test_keypoints_lie_on_the_object(pairs):
    for pair in pairs:
        for image in (pair.source, pair.target):
            mask = np.array(Image.open(image.mask)) > 0
            x0, y0, x1, y1 = image.box.astype(int)
            assert mask[y0:y1, x0:x1].sum() == mask.sum() > 50
            for x, y in image.keypoints.values():
                near = np.s_[max(int(y) - REACH, 0) : int(y) + REACH + 1, max(int(x) - REACH, 0) : int(x) + REACH + 1]
                assert mask[near].any()


def test_an_id_is_the_same_named_part_in_every_image(root):
    for category in ("car", "chair"):
        dataset = SPair71k(root)
        names = dataset.keypoint_names(category)
        images = {i.id: i for pair in dataset.pairs(category, "test") for i in (pair.source, pair.target)}
        for image in images.values():
            index = int(image.image.stem[-6:]) - 1
            hard = index % HARD_EVERY == HARD_EVERY - 1
            seed = instance_seed(category, "hard" if hard else "plain", index, SPEC.seed)
            instance = make_instance(category, seed)
            shot = photo(seed, (128, 128), instance.vertices, hard=hard, category=category)
            for key, at in image.keypoints.items():
                point = instance.keypoints[names[key].replace(" ", "_")].astype(np.float64)
                assert np.allclose(project(point[None], shot.pose(), shot.intrinsics())[0][0], at, atol=2e-3)


@pytest.mark.parametrize("category", ["bicycle", "bus", "car", "chair", "couch", "motorcycle", "tv"])
def test_every_instance_has_the_same_keypoint_names(category):
    for split in ("plain", "val"):
        for index in range(8):
            instance = make_instance(category, instance_seed(category, split, index, 1))
            assert tuple(sorted(instance.keypoints)) == keypoint_order(category)


def test_a_killed_writer_goes_on_and_ends_with_the_same_bytes(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "SPair-71k")
    before = tree(copy)
    (copy / "twin.json").rename(copy / "twin.partial.json")
    for name in ("car/2001_000002", "chair/2001_000004"):  # a plain and a hard image
        (copy / f"ImageAnnotation/{name}.json").unlink()
        (copy / f"JPEGImages/{name}.jpg").unlink()
    shutil.rmtree(copy / "PairAnnotation")
    shutil.rmtree(copy / "Layout")
    twin.write(copy, SPEC, NullProgress(), 1)
    assert tree(copy) == before


def test_variation_worked_by_hand():
    def note(azimuth, box, truncated, occluded):
        return {"azimuth": azimuth, "bndbox": box, "truncated": truncated, "occluded": occluded}

    first = note(350.0, [0, 0, 100, 50], 1, 0)
    # 20 degrees apart over north; longer sides 100 and 125; source truncated; target occluded.
    assert twin.variation(first, note(10.0, [0, 0, 40, 125], 0, 1)) == (0, 1, 1, 2, 0)
    assert twin.variation(first, note(200.0, [0, 0, 60, 20], 1, 0)) == (2, 2, 3, 0, 0)


def test_visibility_worked_by_hand():
    # Camera 5 units in front of the origin (azimuth 0), looking along +y; one canonical unit is 20 pixels at depth 5.
    shot = Photo(0.0, 0.0, 0.0, 5.0 / CAD_TO_CANONICAL, 1.0, 100.0, 20.0, 20.0)
    amodal = np.zeros((40, 40), bool)
    amodal[10:30, 10:30] = True
    mask = amodal.copy()
    mask[10:30, 10:15] = False  # something stands before the object's left part
    depth = np.where(mask, np.float32(5.0), np.float32(0.0))
    picture = Rendered(np.zeros((40, 40, 3), np.uint8), mask, amodal, depth)
    points = {
        "surface": np.array([0.0, 0.0, 0.0]),
        "behind": np.array([0.0, 0.2, 0.0]),
        "occluded": np.array([-0.4, 0.0, 0.0]),
        "beside the corner": np.array([0.501, 0.0, 0.501]),
        "far beside": np.array([0.6, 0.0, 0.0]),
        "beside and deeper": np.array([0.53, 0.2, 0.0]),
        "outside": np.array([3.0, 0.0, 0.0]),
    }
    seen = visible_keypoints(points, shot, picture)
    assert list(seen) == ["surface", "beside the corner"]
    assert seen["surface"].tolist() == [20, 20] and np.allclose(seen["beside the corner"], [30.02, 9.98])
