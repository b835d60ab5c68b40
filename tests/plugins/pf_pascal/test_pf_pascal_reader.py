"""The PF-PASCAL reader on files in the published format, made by hand, and on the published lists."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pf_pascal_folder import HEADER, NAN, SIZE, Folder, row

from bench3d.data.voc import VOC_CLASSES
from bench3d.errors import DataError, UsageError
from bench3d_plugins.pf_pascal.dataset import PFPascal
from bench3d_plugins.pf_pascal.lists import BY_PLACE, DIFFERENT, IN_STANDARD, ITSELF, SAME, UNEQUAL, read_list
from bench3d_plugins.pf_pascal.settings import PFPascalSettings

REAL = os.environ.get("BENCH3D_REAL_SAMPLES")
real = pytest.mark.skipif(REAL is None, reason="needs BENCH3D_REAL_SAMPLES")
PER_CLASS = [15, 30, 10, 6, 8, 32, 19, 27, 13, 3, 8, 24, 9, 27, 12, 7, 1, 13, 20, 15]


def reader(folder, which="standard", **settings):
    return PFPascal(folder.root, PFPascalSettings(list=which, **settings))


def test_a_row_is_read_as_published(folder):
    folder.list(row("a", "b"), row("c", "d", number=1))
    (pair,) = reader(folder).pairs("motorcycle", "test")
    assert pair.id == "0001-a-b" and pair.category == "motorcycle" and pair.cluster == "motorcycle/a"
    assert pair.source_xy.tolist() == [[1.5, 3], [2, 4]] and pair.target_xy.tolist() == [[5, 7], [6, 8.25]]
    assert pair.source.image == folder.picture("a") and pair.source.size == SIZE
    assert pair.keypoint_ids == () and pair.source.box is None and not pair.attributes
    assert [p.id for p in reader(folder).pairs("aeroplane", "test")] == ["0002-c-d"]


def test_boxes_and_keypoints_come_from_the_annotation(folder):
    folder.list(row("a", "b"))
    folder.mat("a", [[NAN, NAN], [3, 4]])
    (pair,) = reader(folder).pairs("motorbike", "test")
    assert pair.source.box.tolist() == [1, 2, 30, 20] and pair.target.box is None
    assert {k: v.tolist() for k, v in pair.source.keypoints.items()} == {"1": [3, 4]}


def test_where_lists_are_looked_for(folder, tmp_path):
    beside = folder.root.parent / "test_pairs_pf_pascal.csv"
    beside.write_text(f"{HEADER}\n{row('a', 'b')}\n")
    assert len(reader(folder).pairs("motorbike", "test")) == 1
    folder.list(row("a", "b"), row("b", "a"), name="test_pairs.csv")
    assert len(reader(folder).pairs("motorbike", "test")) == 2
    folder.list(row("a", "b"), row("b", "a"), row("c", "d"))
    assert len(reader(folder).pairs("motorbike", "test")) == 3
    own = tmp_path / "own.csv"
    own.write_text("\n".join([HEADER, *[row("a", "d")] * 4]))
    assert len(reader(folder, list_file=own).pairs("motorbike", "test")) == 4
    folder.list(row("a", "c"), name="val_pairs_pf_pascal.csv")
    assert [p.target.id for p in reader(folder, "different", list_file=own).pairs("motorbike", "val")] == [
        "motorcycle/c"
    ]


def test_different_keeps_the_first_points_and_names_the_defects(folder):
    folder.list(row("a", "b"), row("c", "d", xb="1;2;3", yb="1;2;3"), row("d", "d"))
    folder.list(row("a", "b"), row("c", "d", xb="1", yb="9"), row("b", "b"), name=DIFFERENT)
    dataset = reader(folder, "different")
    first, second, third = dataset.pairs("motorbike", "test")
    assert second.source_xy.tolist() == [[1.5, 3]] and second.target_xy.tolist() == [[1, 9]]
    assert first.attributes["flags"] == [IN_STANDARD] and second.attributes["flags"] == [UNEQUAL, IN_STANDARD]
    assert third.attributes["flags"] == [ITSELF, BY_PLACE]
    assert dict(dataset.defects()) == dict(
        rows=3, unequal_counts=1, points_dropped=1, self_pairs=1, also_in_standard=2, unchanged=2
    )  # fmt: skip
    assert "1 of 3 rows pair an image with itself." in dataset.notes()
    assert reader(folder).defects() == {} and reader(folder).notes() == ()


def test_repaired_joins_by_number(folder):
    folder.list(row("a", "b", xa="1", ya="2"), row("a", "c"), row("a", "a"), name=DIFFERENT)
    folder.mat("a", [[1, 2], [NAN, NAN], [5, 6], [7, 8]])
    folder.mat("b", [[NAN, NAN], [3, 4], [15, 16], [17, 18]])
    folder.mat("c", [[NAN, NAN], [3, 4], [NAN, NAN], [NAN, NAN]])
    dataset = reader(folder, "repaired")
    first, third = dataset.pairs("motorbike", "test")
    assert first.keypoint_ids == ("2", "3")
    assert first.source_xy.tolist() == [[5, 6], [7, 8]] and first.target_xy.tolist() == [[15, 16], [17, 18]]
    assert not first.attributes and third.attributes["flags"] == [ITSELF]
    assert any("1 of its pairs share no visible keypoint" in note for note in dataset.notes())
    (folder.root / "Annotations/motorbike/b.mat").unlink()
    with pytest.raises(DataError, match=r"b\.mat is missing"):
        reader(folder, "repaired").pairs("motorbike", "test")


def test_training_list_without_keypoints(folder):
    rows = [f"PF-dataset-PASCAL/JPEGImages/a.jpg,PF-dataset-PASCAL/JPEGImages/b.jpg,14,{flip}" for flip in (0, 1)]
    folder.list(*rows, name="trn_pairs.csv", header="source_image,target_image,class,flip")
    for name in "ab":
        folder.mat(name, [[1, 2], [3, 4]])
    (pair,) = reader(folder).pairs("motorbike", "trn")
    assert pair.keypoint_ids == ("0", "1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (row("../x", "b").replace("JPEGImages/", "/etc/"), "source_image is"),
        ("/etc/x.jpg" + row("a", "b")[len("PF-dataset-PASCAL/JPEGImages/a.jpg") :], "source_image is '/etc/x.jpg'"),
        (row("a", "../../b"), "target_image is"),
        (row("a", "b", number=21), "class is 21"),
        (row("a", "b", number=1.5), "class is 1.5"),
        (row("a", "b", number="car"), "class holds 'car'"),
        (row("a", "b", xa="1"), "YA holds 2 numbers instead of 1"),
        (row("a", "b", xa=""), "XA holds no numbers"),
        (row("a", "b", yb="1;x"), "YB holds '1;x'"),
        (row("a", "b", yb="1;nan"), "YB holds a number that is not finite"),
        (row("a", "b") + ",7", "has 8 cells instead of 7"),
        ("", "is empty"),
        ("\0", "2 has|cannot be read"),
    ],
)
def test_broken_rows_are_named(folder, text, message):
    path = folder.list(text)
    with pytest.raises(DataError, match=message) as caught:
        reader(folder).pairs("motorbike", "test")
    assert path.name in caught.value.message
    assert any(p.severity == "error" and p.file.endswith(path.name) for p in reader(folder).check())


def test_missing_things_are_named(folder):
    with pytest.raises(DataError, match=r"test_pairs_pf_pascal\.csv is missing"):
        reader(folder).pairs("motorbike", "test")
    folder.list("a,b,1,2,3", header="source_image,target_image,class,XA,YB")
    with pytest.raises(DataError, match="no column YA"):
        reader(folder).pairs("aeroplane", "test")
    folder.list(row("a", "z"))
    with pytest.raises(DataError, match=r"z\.jpg is missing"):
        reader(folder).pairs("motorbike", "test")
    with pytest.raises(DataError, match="no pair of the class car"):
        reader(folder).pairs("car", "test")
    with pytest.raises(UsageError, match="zebra"):
        reader(folder).pairs("zebra", "test")
    with pytest.raises(UsageError, match="split"):
        reader(folder).pairs("car", "hard")


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("kps", {"kps": np.zeros((3, 3))}),
        ("kps", {"kps": "text"}),
        ("kps", {"kps": {"x": 1.0}}),
        ("kps", {"kps": np.array([[np.inf, 1.0]])}),
        ("bbox", {"bbox": np.array([[5.0, 5.0, 1.0, 9.0]])}),
        ("bbox", {"bbox": np.array([["a"]], dtype=object)}),
    ],
)
def test_broken_annotations_are_named(folder, field, values):
    folder.list(row("a", "b"))
    folder.mat("a", **{"kps": [[1, 2]]} | values)
    with pytest.raises(DataError, match=rf"a\.mat: field {field}"):
        reader(folder).pairs("motorbike", "test")


def test_truncated_annotation_names_the_file(folder):
    folder.list(row("a", "b"))
    path = folder.mat("a", np.arange(60).reshape(30, 2))
    content = path.read_bytes()
    for length in (0, 50, 128, 140, 300, len(content) - 9):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"a\.mat"):
            reader(folder).pairs("motorbike", "test")


def test_check_goes_on_after_each_problem(folder):
    folder.list(row("a", "b"), row("c", "d", xa="99;1"), row("a", "z"))
    for name in "acd":
        folder.mat(name, [[1, 2]])
    folder.picture("b").write_bytes(folder.picture("b").read_bytes()[:300])
    folder.mat("d", [[1, 2, 3]])
    found = list(reader(folder).check())
    errors = {(Path(p.file).name, p.field) for p in found if p.severity == "error"}
    assert errors == {("b.jpg", None), ("z.jpg", None), ("d.mat", "kps")}
    warnings = {(Path(p.file).name, p.field) for p in found if p.severity == "warning"}
    assert warnings == {
        ("b.mat", None), ("z.mat", None), ("test_pairs_pf_pascal.csv", "XA"), ("val_pairs_pf_pascal.csv", None),
        ("train_pairs_pf_pascal.csv", None),
    }  # fmt: skip


def test_fingerprint_follows_list_and_annotations(folder):
    folder.list(row("a", "b"))
    first = reader(folder).fingerprint("motorbike")
    folder.mat("a", [[1, 2]])
    second = reader(folder).fingerprint("motorbike")
    folder.list(row("a", "b", xa="1;3"))
    assert len({first, second, reader(folder).fingerprint("motorcycle")}) == 3
    folder.list(row("a", "b", xa="1;3"), name=SAME)
    assert reader(folder, "same").fingerprint("motorbike") != reader(folder).fingerprint("motorbike")


@given(text=st.text(alphabet='ab01;,.-"\\n\\r\\0/é\\ufeff', max_size=60))
def test_any_text_of_a_list_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("lists") / "list.csv"
    for content in (text, f"{HEADER}\n{row('a', 'b')}\n{text}"):
        path.write_text(content, newline="")
        with contextlib.suppress(DataError):
            assert all(one.official in VOC_CLASSES for one in read_list(path))


@pytest.fixture
def published(tmp_path):
    """The three published lists, and an empty picture of every image that they name."""
    folder = Folder(tmp_path / "PF-dataset-PASCAL")
    shutil.copy(Path(REAL) / "pf_pascal/test_pairs.csv", folder.root / "test_pairs_pf_pascal.csv")
    for name in (SAME, DIFFERENT):
        shutil.copy(Path(REAL) / "3dcorrenhance" / name, folder.root / name)
    folder.image(*{Path(name).stem for one in reader(folder).rows("test") for name in one.names})
    return folder


@real
def test_the_published_lists(published):
    standard, same = reader(published), reader(published, "same")
    rows = standard.rows("test")
    assert [Counter(one.official for one in rows)[name] for name in VOC_CLASSES] == PER_CLASS
    counts = [len(one.source_xy) for one in rows]
    assert (len(rows), sum(counts), min(counts), max(counts)) == (299, 2414, 4, 17)
    assert [one.row.cells for one in same.rows("test")] == [one.row.cells for one in rows]
    assert same.notes() == () and not any(p.severity == "error" for p in same.check())


@real
def test_the_defects_of_the_published_different_list(published):
    dataset = reader(published, "different")
    assert dict(dataset.defects()) == dict(
        rows=299, unequal_counts=131, points_dropped=2414 - 2259, self_pairs=9, also_in_standard=22, unchanged=19
    )  # fmt: skip
    pairs = [pair for name in VOC_CLASSES for pair in dataset.pairs(name, "test")]
    assert len(pairs) == 299 and sum(len(pair.source_xy) for pair in pairs) == 2259
    assert all(len(pair.source_xy) == len(pair.target_xy) for pair in pairs)
    flags = Counter(flag for pair in pairs for flag in pair.attributes["flags"])
    assert flags == {UNEQUAL: 131, ITSELF: 9, IN_STANDARD: 22, BY_PLACE: 277}
