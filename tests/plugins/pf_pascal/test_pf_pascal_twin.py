"""The PF-PASCAL twin: written, and read by the reader of the published layout."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from scipy.io import loadmat

from bench3d.contracts import NullProgress
from bench3d.contracts.data import TwinSpec
from bench3d.data.mat import read_mat_arrays
from bench3d.geometry.camera import project
from bench3d.synth.cameras import photo
from bench3d.synth.instances import make_instance
from bench3d.synth.keypoints import HARD_EVERY, keypoint_order
from bench3d.synth.seeds import instance_seed
from bench3d_plugins.pf_pascal import twin
from bench3d_plugins.pf_pascal.dataset import PFPascal
from bench3d_plugins.pf_pascal.settings import PFPascalSettings

SPEC = TwinSpec(categories=("couch", "bus"), seed=1, test_images=8, pairs=10, image_size=96)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twin") / "PF-dataset-PASCAL"
    twin.write(folder, SPEC, NullProgress(), 1)
    return folder


def read(root, which):
    return PFPascal(root, PFPascalSettings(list=which))


def test_it_is_read_without_problems(root):
    dataset = read(root, "standard")
    assert list(dataset.check()) == [] and dataset.synthetic
    for category in SPEC.categories:
        pairs = dataset.pairs(category, "test")
        assert len(pairs) == 10 and dataset.pairs(category, "val")
        assert all(len(pair.source_xy) >= 3 and pair.source.size == (96, 96) for pair in pairs)
        assert all(pair.source.box is not None for pair in pairs)
    # Rows follow the class numbers: bus (6) before sofa (18).
    assert [one.official for one in dataset.rows("test")] == ["bus"] * 10 + ["sofa"] * 10


def test_listed_points_are_the_annotated_ones_of_the_same_part(root):
    for pair in read(root, "standard").pairs("couch", "test"):
        shared = [key for key in pair.source.keypoints if key in pair.target.keypoints]
        assert np.allclose(pair.source_xy, [pair.source.keypoints[key] for key in shared], atol=1e-6)
        assert np.allclose(pair.target_xy, [pair.target.keypoints[key] for key in shared], atol=1e-6)


def test_numbers_name_the_generators_parts(root):
    images = {i.id: i for pair in read(root, "same").pairs("bus", "test") for i in (pair.source, pair.target)}
    order = keypoint_order("bus")
    for image in images.values():
        index = int(image.image.stem[-4:]) - 1
        hard = index % HARD_EVERY == HARD_EVERY - 1
        seed = instance_seed("bus", "hard" if hard else "plain", index, SPEC.seed)
        instance = make_instance("bus", seed)
        shot = photo(seed, (96, 96), instance.vertices, hard=hard, category="bus")
        for key, at in image.keypoints.items():
            point = instance.keypoints[order[int(key)]].astype(np.float64)
            assert np.allclose(project(point[None], shot.pose(), shot.intrinsics())[0][0], at)


def test_the_defect_of_different_is_reproduced_and_repaired(root):
    standard, different, repaired = (read(root, which) for which in ("standard", "different", "repaired"))
    for category in SPEC.categories:
        ours, theirs = standard.rows("test"), different.rows("test")
        assert [one.source for one in ours] == [one.source for one in theirs]
        mine = sorted((one.target, one.target_xy.tobytes()) for one in ours)
        assert mine == sorted((one.target, one.target_xy.tobytes()) for one in theirs)
        assert [one.names for one in ours] != [one.names for one in theirs]
        for pair in repaired.pairs(category, "test"):
            for key, a, b in zip(pair.keypoint_ids, pair.source_xy, pair.target_xy, strict=True):
                assert (a == pair.source.keypoints[key]).all() and (b == pair.target.keypoints[key]).all()
    assert different.defects()["unequal_counts"] > 0


def test_standard_pairs_show_similar_views_first(root):
    def turn(pair):
        angles = [
            read_mat_arrays(root / f"Annotations/bus/{i.image.stem}.mat", ("azimuth",))["azimuth"].item()
            for i in (pair.source, pair.target)
        ]
        return min(abs(angles[0] - angles[1]), 360 - abs(angles[0] - angles[1]))

    far = [turn(pair) >= twin.SIMILAR for pair in read(root, "standard").pairs("bus", "test")]
    assert far == sorted(far) and not far[0]


def test_a_killed_writer_goes_on_and_ends_with_the_same_bytes(root, tmp_path):
    again = shutil.copytree(root, tmp_path / "PF-dataset-PASCAL")
    (again / "twin.json").rename(again / "twin.partial.json")
    lost = [path for ending in ("2007_060002.*", "2007_180004.*", ".csv") for path in again.rglob(f"*{ending}")]
    assert len(lost) == 2 * 2 + 4
    for path in lost:
        path.unlink()
    twin.write(again, SPEC, NullProgress(), 1)
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((root / path).read_bytes() == (again / path).read_bytes() for path in files)
    mat = next(path for path in files if path.suffix == ".mat")
    assert loadmat(root / mat)["kps"].shape == (len(keypoint_order("bus")), 2)
