"""The PF-WILLOW reader on files in the published format, made by hand, and its twin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pf_willow_folder import HEADER, POINTS, SIZE, row

from bench3d.contracts import NullProgress
from bench3d.contracts.data import TwinSpec
from bench3d.errors import DataError, UsageError
from bench3d.geometry.camera import project
from bench3d.synth.scene import render
from bench3d_plugins.pf_willow import twin
from bench3d_plugins.pf_willow.dataset import PFWillow
from bench3d_plugins.pf_willow.settings import PFWillowSettings

A, B = "60_0000", "61_0000"


def test_a_row_is_read_as_published(folder):
    folder.list(row(A, B))
    (pair,) = PFWillow(folder.root).pairs("motorcycle", "test")
    assert pair.id == f"motorbike(S)/{A}-{B}" and pair.cluster == f"motorbike(S)/{A}" == pair.source.id
    # The ten x of an image stand before its ten y.
    assert pair.source_xy.tolist() == [[i, 10 + i] for i in range(10)]
    assert pair.target_xy.tolist() == [[5 + i, 15 + i] for i in range(10)]
    assert pair.keypoint_ids == tuple("0123456789") and pair.target.keypoints["3"].tolist() == [8, 18]
    assert pair.source.size == SIZE and pair.source.box is None and pair.category == "motorcycle"
    assert pair.attributes == {"subset": "motorbike(S)"}


def test_without_a_list_every_ordered_pair_of_a_folder(folder):
    folder.image("a", "motorbike(G)", POINTS + 1)
    folder.image("b", "motorbike(G)", POINTS + 2)
    folder.image("c", "car(S)")
    found = [pair.id for pair in PFWillow(folder.root).pairs("motorbike", "test")]
    assert found[:2] == ["motorbike(G)/a-b", "motorbike(G)/b-a"] and len(found) == len(set(found)) == 2 + 3 * 2
    pair = PFWillow(folder.root).pairs("motorcycle", "test")[0]
    assert pair.source_xy.tolist() == (POINTS + 1).T.tolist() and pair.target_xy.tolist() == (POINTS + 2).T.tolist()
    with pytest.raises(DataError, match="no pair of the category car"):
        PFWillow(folder.root).pairs("car", "test")


def test_where_the_list_is_looked_for(folder, tmp_path):
    def count(**settings):
        return len(PFWillow(folder.root, PFWillowSettings(**settings)).pairs("motorcycle", "test"))

    (folder.root.parent / "test_pairs_pf.csv").write_text(f"{HEADER}\n{row(A, B)}\n")
    assert count() == 1 and count(pairs="folders") == 6
    folder.list(row(A, B), row(B, A))
    assert count() == 2
    own = tmp_path / "own.csv"
    own.write_text("\n".join([HEADER, row(A, B), row(B, A), row(A, A)]))
    assert count(list_file=own) == 3
    own.unlink()
    with pytest.raises(DataError, match=r"own\.csv is missing"):
        count(list_file=own)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (row(A, B).replace("PF-dataset/motorbike(S)", "../x", 1), "imageA is '../x"),
        (row(A, B).replace("PF-dataset", "/etc", 1), "imageA is '/etc"),
        (row(A, B).replace("(S)", "(X)", 1), "imageA is in the folder"),
        (row(A, B).replace("motorbike(S)/61", "car(S)/61"), "imageB is in another folder"),
        (row(A, B).replace(",19,", ",x,", 1), "field YA10 holds 'x'"),
        (row(A, B).replace(",19,", ",inf,", 1), "field YA10 holds a number that is not finite"),
        (row(A, B).replace(",19,", ",1;2,", 1), "field YA10 holds 2 numbers instead of 1"),
        (row(A, B).rsplit(",", 1)[0], "has 41 cells instead of 42"),
        (row(A, "99"), r"99\.png is missing"),
    ],
)
def test_broken_rows_are_named(folder, text, message):
    folder.list(text)
    with pytest.raises(DataError, match=message):
        PFWillow(folder.root).pairs("motorcycle", "test")
    assert any(p.severity == "error" for p in PFWillow(folder.root).check())


def test_wrong_names_are_refused(folder):
    folder.list(row(A, B), header=HEADER.replace("YB7", "YB"))
    with pytest.raises(DataError, match="no column YB7"):
        PFWillow(folder.root).pairs("motorcycle", "test")
    with pytest.raises(UsageError, match="test pairs only"):
        PFWillow(folder.root).pairs("motorcycle", "val")
    with pytest.raises(UsageError, match="bus"):
        PFWillow(folder.root).pairs("bus", "test")


@pytest.mark.parametrize(
    "points", [POINTS.T, np.full((2, 10), np.nan), "text", {"a": 1.0}, np.empty((2, 0)), np.array([[{}]], object)]
)
def test_broken_annotations_are_named(folder, points):
    folder.image(A, points=points)
    with pytest.raises(DataError, match=rf"{A}\.mat: field pts_coord"):
        PFWillow(folder.root).pairs("motorcycle", "test")


def test_check_goes_on_after_each_problem(folder):
    path = folder.image("63_0000", points=POINTS + 50)
    folder.image("64_0000").write_bytes(path.read_bytes()[:100])
    (folder.root / "motorbike(S)" / f"{B}.png").unlink()
    folder.list(row(A, B), row(A, A, b=POINTS * 9), row(A, B).replace("(S)", "(X)"))
    found = list(PFWillow(folder.root).check(["motorbike"]))
    errors = {(Path(p.file).name, p.field) for p in found if p.severity == "error"}
    assert errors == {
        (f"{B}.png", None), ("63_0000.mat", "pts_coord"), ("64_0000.mat", None), ("test_pairs_pf.csv", "imageA"),
    }  # fmt: skip
    warnings = {(Path(p.file).name, p.field) for p in found if p.severity == "warning"}
    assert warnings == {("motorbike(G)", None), ("motorbike(M)", None), ("test_pairs_pf.csv", "XB")}


SPEC = TwinSpec(categories=("motorcycle", "bus", "car"), seed=2, test_images=3, pairs=5, image_size=96)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twin") / "PF-dataset"
    twin.write(folder, SPEC, NullProgress(), 1)
    return folder


def test_the_twin_is_read_without_problems(root):
    dataset = PFWillow(root)
    assert list(dataset.check()) == [] and dataset.synthetic
    assert [len(dataset.pairs(category, "test")) for category in ("car", "motorcycle")] == [5, 5]
    every = PFWillow(root, PFWillowSettings(pairs="folders"))
    by_id = {pair.id: pair for pair in every.pairs("car", "test")}
    assert len(by_id) == 6
    for pair in dataset.pairs("car", "test"):
        assert np.allclose(pair.source_xy, by_id[pair.id].source_xy)


@pytest.mark.parametrize("category", ["car", "motorcycle"])
def test_the_twins_points_are_the_same_parts_and_lie_on_the_object(root, category):
    images = {
        int(i.image.stem[:2]) - 1: i for p in PFWillow(root).pairs(category, "test") for i in (p.source, p.target)
    }
    for index, image in images.items():
        job = twin.Job(root, category, index, SPEC.seed, SPEC.image_size)
        instance, shot, seed = twin.side_view(job)
        assert twin.VIEWS[0] <= shot.azimuth <= twin.VIEWS[1]
        points, _ = project(twin.parts(instance), shot.pose(), shot.intrinsics())
        assert np.allclose(points, [image.keypoints[str(i)] for i in range(10)])
        mask = render(instance, shot.pose(), shot.intrinsics(), (96, 96), seed).mask
        for x, y in points.astype(int):
            assert mask[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].any()
        if category == "car":  # the left side: the front points to the left
            front, back = (twin.PARTS["car"].index((f"left_{end}_wheel",)) for end in ("front", "back"))
            assert points[front, 0] < points[back, 0]
