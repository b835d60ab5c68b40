"""MVImgNet's layout and plain COLMAP projects, written as published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from colmap_files import scene, write_model
from PIL import Image

from bench3d.data.colmap import read_points
from bench3d.errors import DataError, UsageError
from bench3d.geometry.camera import project
from bench3d_plugins.mvimgnet.dataset import MVImgNet
from bench3d_plugins.mvimgnet.layout import recognise


def project_folder(folder: Path, size: tuple[int, int] = (64, 48), count: int = 3) -> Path:
    model = scene(count)
    write_model(folder / "sparse" / "0", model)
    (folder / "images").mkdir()
    for image in model.images:
        Image.new("RGB", size).save(folder / "images" / image.name)
    return folder


@pytest.fixture
def root(tmp_path):
    project_folder(tmp_path / "mv" / "12" / "0a00b1c2")
    project_folder(tmp_path / "mv" / "7" / "1b00c2d3", size=(32, 24))
    return tmp_path / "mv"


def test_instances_of_classes(root):
    dataset = MVImgNet(root)
    assert recognise(root) and list(dataset.check()) == []
    sets = dataset.view_sets("all")
    assert [(one.id, one.truth, dict(one.attributes)) for one in sets] == [
        ("12/0a00b1c2", "tracks", {"class": "12"}),
        ("7/1b00c2d3", "tracks", {"class": "7"}),
    ]
    assert [view.id for view in sets[0].views] == ["001.jpg", "002.jpg", "003.jpg"]
    assert sets[0].object_category is None and sets[0].views[0].depth is None
    with pytest.raises(UsageError):
        dataset.view_sets("12")


def test_tracks_are_the_observed_keypoints_also_of_scaled_photographs(root):
    for one, factor in zip(MVImgNet(root).view_sets(), (1.0, 0.5), strict=True):
        _, points = read_points(root / one.id / "sparse" / "0" / "points3D.bin")
        observed = one.observations()
        assert len(observed) == 3
        for view, seen in zip(one.views, observed, strict=True):
            assert view.size == (64 * factor, 48 * factor)
            pixels, depth = project(points[seen.points], view.cam_T_world, view.intrinsics)
            assert (depth > 0).all() and len(pixels) == 40
            assert np.allclose(pixels, seen.xy, atol=1e-9)
            assert (seen.xy.max(0) < view.size).all()


def test_a_cropped_photograph_is_refused(root):
    path = root / "12" / "0a00b1c2" / "images" / "002.jpg"
    Image.new("RGB", (48, 48)).save(path)
    with pytest.raises(DataError, match=r"002.jpg has 48x48 pixels, its camera 64x48"):
        MVImgNet(root).view_sets()
    (problem,) = MVImgNet(root).check()
    assert problem.file == str(path)


def test_missing_photographs_are_counted_and_poor_instances_left_out(root):
    (root / "12" / "0a00b1c2" / "images" / "002.jpg").unlink()
    for name in ("001.jpg", "003.jpg"):
        (root / "7" / "1b00c2d3" / "images" / name).unlink()
    dataset = MVImgNet(root)
    (one,) = dataset.view_sets()
    assert one.attributes == {"missing_images": 1, "class": "12"}
    assert [view.id for view in one.views] == ["001.jpg", "003.jpg"]
    observed = one.observations()
    assert len(observed) == 2 and observed[1].points.tolist() == list(range(40))
    assert dataset.skipped() == {"fewer than two photographs": 1}
    assert {Path(p.file).name for p in dataset.check()} == {"001.jpg", "002.jpg", "003.jpg", "1b00c2d3"}


def test_a_plain_colmap_project(tmp_path):
    folder = project_folder(tmp_path / "capture")
    assert recognise(folder)
    (one,) = MVImgNet(folder).view_sets()
    assert (one.id, len(one.views), dict(one.attributes)) == ("capture", 3, {})
    (folder / "transforms.json").write_text("{}")
    assert not recognise(folder)


def test_broken_models_are_named(root):
    path = root / "7" / "1b00c2d3" / "sparse" / "0" / "images.bin"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"images.bin, image 2: the file ends"):
        MVImgNet(root).view_sets()
    (problem,) = MVImgNet(root).check()
    assert "images.bin, image 2" in problem.message
    path.with_name("cameras.bin").unlink()
    with pytest.raises(DataError, match=r"cameras.bin is missing"):
        MVImgNet(root).view_sets()


def test_the_fingerprint_follows_the_model_and_the_photographs(root):
    prints = [MVImgNet(root).fingerprint()]
    assert prints[0] == MVImgNet(root).fingerprint()
    (root / "7" / "1b00c2d3" / "images" / "002.jpg").unlink()
    prints.append(MVImgNet(root).fingerprint())
    path = root / "12" / "0a00b1c2" / "sparse" / "0" / "images.bin"
    path.write_bytes(path.read_bytes()[:-8] + (3).to_bytes(8, "little"))
    prints.append(MVImgNet(root).fingerprint())
    assert len(set(prints)) == 3


def test_a_folder_without_models(tmp_path):
    assert not recognise(tmp_path) and not recognise(tmp_path / "none")
    with pytest.raises(DataError, match="no COLMAP model"):
        MVImgNet(tmp_path).view_sets()
    (problem,) = MVImgNet(tmp_path / "none").check()
    assert "missing" in problem.message
