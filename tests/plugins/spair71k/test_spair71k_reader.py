"""The SPair-71k reader on files in the published format, made by hand."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from spair71k_folder import SIZE, image_note, pair_note

from bench3d.errors import DataError, UsageError
from bench3d_plugins.spair71k.annotation import parse_image, parse_pair
from bench3d_plugins.spair71k.dataset import SPair71k
from bench3d_plugins.spair71k.names import COLONS, OFFICIAL
from bench3d_plugins.spair71k.settings import SPair71kSettings

A, B = "2008_000001", "2008_000002"


def only(folder, **changes):
    folder.pair(1, A, B, **changes)
    (pair,) = SPair71k(folder.root).pairs("motorcycle", "test")
    return pair


def test_a_pair_is_read_as_annotated(folder):
    pair = only(folder, trg_kps=[[12, 13], [14.5, 15]])
    assert pair.id == f"000001-{A}-{B}:motorbike" and pair.category == "motorcycle"
    assert pair.source_xy.tolist() == [[10, 11], [30, 31]] and pair.target_xy.tolist() == [[12, 13], [14.5, 15]]
    assert pair.keypoint_ids == ("0", "7") and pair.cluster == pair.source.id == f"motorcycle/{A}"
    assert dict(pair.attributes) == dict(
        viewpoint_variation=2, scale_variation=1, truncation=3, occlusion=0, mirror=0
    )  # fmt: skip
    assert pair.source.size == SIZE and pair.target.box.tolist() == [5, 6, 45, 36]
    # All visible keypoints of the image, not those of the pair alone.
    assert {k: v.tolist() for k, v in pair.source.keypoints.items()} == {"0": [10, 11], "3": [20, 21], "7": [30, 31]}
    assert pair.source.image == folder.picture(A) and pair.source.mask == folder.mask(A)


def test_both_names_of_a_category_and_the_lists_order(folder):
    folder.pair(9, B, A)
    folder.pair(2, A, B)
    folder.pair(3, A, B, split="val")
    dataset = SPair71k(folder.root)
    assert [pair.id[:6] for pair in dataset.pairs("motorbike", "test")] == ["000009", "000002"]
    assert [pair.id[:6] for pair in dataset.pairs("motorcycle", "val")] == ["000003"]
    folder.write("Layout/small/test.txt", f"000002-{A}-{B}:motorbike\n")
    small = SPair71k(folder.root, SPair71kSettings(layout="small"))
    assert [pair.id[:6] for pair in small.pairs("motorbike", "test")] == ["000002"]
    with pytest.raises(ValidationError):
        SPair71kSettings(layout="middle")


def test_unknown_names_are_refused(folder):
    folder.pair(1, A, B)
    dataset = SPair71k(folder.root)
    with pytest.raises(UsageError, match="couch"):
        dataset.pairs("couch", "test")
    with pytest.raises(UsageError, match="split"):
        dataset.pairs("motorbike", "hard")
    with pytest.raises(DataError, match="no pair of the category car"):
        dataset.pairs("car", "test")
    with pytest.raises(DataError, match=r"trn\.txt is missing"):
        dataset.pairs("motorbike", "trn")


@pytest.mark.parametrize("colon", [colon for colon in COLONS if colon != ":"])
def test_a_replaced_colon_is_found(folder, colon):
    assert only(folder, colon=colon).keypoint_ids == ("0", "7")
    assert not [p for p in SPair71k(folder.root).check() if p.severity == "error"]


def test_two_files_for_one_pair_are_refused_unless_one_is_the_published(folder):
    folder.pair(1, A, B, colon="_")
    folder.write(f"PairAnnotation/test/000001-{A}-{B}-motorbike.json", "{}")
    with pytest.raises(DataError, match="could both be the pair"):
        SPair71k(folder.root).pairs("motorbike", "test")
    folder.pair(1, A, B)
    assert len(SPair71k(folder.root).pairs("motorbike", "test")) == 2


FAULTS = [
    ("src_kps", [[1, 2]]), ("src_kps", [[1, 2], [3]]), ("src_kps", [[1, 2], ["a", 3]]), ("trg_kps", None),
    ("trg_kps", [[1, 2], [float("nan"), 3]]), ("kps_ids", []), ("kps_ids", ["0", "0"]), ("kps_ids", [[0], [1]]),
    ("src_imname", "../../x.jpg"), ("src_imname", "/etc/x.jpg"), ("trg_imname", 5), ("src_imsize", [0, 3, 3]),
    ("trg_bndbox", [5, 5, 5, 9]), ("src_bndbox", [1, 2, 3]), ("occlusion", "none"),
    ("truncation", 1.5), ("viewpoint_variation", True), ("scale_variation", float("inf")),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), FAULTS)
def test_wrong_fields_of_a_pair_are_named(folder, field, value):
    path = folder.pair(1, A, B, **{field: value})
    with pytest.raises(DataError, match=rf"motorbike\.json: field {field} "):
        SPair71k(folder.root).pairs("motorbike", "test")
    (problem,) = [p for p in SPair71k(folder.root).check() if p.severity == "error"]
    assert problem.field == field and problem.file == str(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("kps", []), ("kps", {"0": [1]}), ("kps", {"0": "x"}), ("bndbox", [9, 9, 1, 1]), ("image_width", "50")],
)
def test_wrong_fields_of_an_image_are_named(folder, field, value):
    folder.pair(1, A, B)
    folder.image(B, **{field: value})
    with pytest.raises(DataError, match=rf"{B}\.json: field {field}"):
        SPair71k(folder.root).pairs("motorbike", "test")


def test_a_pair_of_another_category_is_refused(folder):
    path = folder.pair(1, A, B)
    path.write_text(json.dumps(pair_note(1, A, B, "car")))
    with pytest.raises(DataError, match="field category is 'car'"):
        SPair71k(folder.root).pairs("motorbike", "test")


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100000, '{"category": "motorbike"}', "\xff\xfe"])
def test_broken_json_is_one_sentence(folder, text):
    path = folder.pair(1, A, B)
    path.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"motorbike\.json"):
        SPair71k(folder.root).pairs("motorbike", "test")


@pytest.mark.parametrize("line", ["../../x:motorbike", "000001-a/b-c:motorbike", "nonsense", "1-..-x:car"])
def test_lists_cannot_name_strange_files(folder, line):
    folder.write("Layout/large/test.txt", line + "\n")
    with pytest.raises(DataError, match=r"test\.txt: line 1"):
        SPair71k(folder.root).pairs("motorbike", "test")


def test_check_goes_on_after_each_problem(folder):
    for name in "cdefg":
        folder.image(name)
    folder.pair(1, A, "c", trg_kps=[[10, 11], [33, 31]])
    folder.pair(2, A, "d", kps_ids=["0", "5"])
    folder.pair(3, A, "e", src_imsize=[40, 50, 3])
    folder.pair(4, A, "f")
    folder.pair(5, A, "g").unlink()
    folder.pair(6, A, B)
    folder.picture("f").unlink()
    folder.note("d").write_text("[]")
    folder.picture(B).write_bytes(folder.picture(B).read_bytes()[:150])
    folder.mask("c").unlink()
    found = list(SPair71k(folder.root).check(["motorcycle"]))
    errors = {(Path(p.file).name.split(":")[0], p.field) for p in found if p.severity == "error"}
    assert errors == {
        (f"000001-{A}-c", "trg_kps"), (f"000002-{A}-d", "src_kps"), ("d.json", None), (f"000003-{A}-e", "src_imsize"),
        ("f.jpg", None), ("test", None), (f"{B}.jpg", None),
    }  # fmt: skip
    warnings = {Path(p.file).name for p in found if p.severity == "warning"}
    assert warnings == {"val.txt", "trn.txt", "c.png"}


def test_a_sound_folder_has_no_problems(folder):
    for split in ("test", "val", "trn"):
        folder.pair(1, A, B, split=split)
    assert list(SPair71k(folder.root).check()) == []
    assert [p.message for p in SPair71k(folder.root / "none").check()] == ["The folder is missing."]


def test_fingerprint_follows_lists_pairs_images_and_names(folder):
    folder.pair(1, A, B)
    seen = [SPair71k(folder.root).fingerprint("motorcycle")]

    def has_changed() -> bool:
        seen.append(SPair71k(folder.root).fingerprint("motorbike"))
        return seen[-1] not in seen[:-1]

    folder.picture(A).write_bytes(b"other")
    assert not has_changed()
    folder.pair(2, B, A)
    assert has_changed()
    folder.note(A).write_text(json.dumps(image_note(A, bndbox=[1, 1, 9, 9])))
    assert has_changed()
    folder.write("spair_keypoint_names.csv", "kp_id,motorbike\n0,front\n")
    assert has_changed()


def test_names_of_keypoints(folder, tmp_path):
    dataset = SPair71k(folder.root)
    assert dataset.keypoint_names("motorcycle") == {}
    file = tmp_path / "names.csv"
    file.write_text("kp_id ,car,motorbike \n0,door,left mirror\n1,roof,\n2,a,right mirror \n")
    named = SPair71k(folder.root, SPair71kSettings(keypoint_names=file))
    assert named.keypoint_names("motorcycle") == {"0": "left mirror", "2": "right mirror"}
    with pytest.raises(DataError, match="no column tvmonitor"):
        named.keypoint_names("tv")
    file.unlink()
    with pytest.raises(DataError, match=r"names\.csv is missing"):
        named.keypoint_names("motorcycle")


@pytest.mark.skipif("BENCH3D_REAL_SAMPLES" not in os.environ, reason="needs BENCH3D_REAL_SAMPLES")
def test_the_real_file_of_names(folder):
    file = Path(os.environ["BENCH3D_REAL_SAMPLES"]) / "spair_names/spair_keypoint_names.csv"
    dataset = SPair71k(folder.root, SPair71kSettings(keypoint_names=file))
    names = {category: dataset.keypoint_names(category) for category in OFFICIAL}
    assert names["car"]["24"] == "front-left wheel" and names["tvmonitor"]["15"] == "right screen-side"
    assert len(names["bus"]) == 30 and all(2 < len(several) <= 30 for several in names.values())


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(field=st.sampled_from(sorted(pair_note(1, A, B))), value=ANY_JSON)
def test_any_value_of_a_pairs_field_is_read_or_refused(field, value):
    content = json.dumps(pair_note(1, A, B) | {field: value}).encode()
    with contextlib.suppress(DataError):
        assert parse_pair(Path("pair.json"), content, "motorbike").source_xy.shape == (2, 2)


@given(field=st.sampled_from(sorted(image_note(A))), value=ANY_JSON)
def test_any_value_of_an_images_field_is_read_or_refused(field, value):
    content = json.dumps(image_note(A) | {field: value}).encode()
    with contextlib.suppress(DataError):
        assert parse_image(Path("image.json"), content).box.shape == (4,)
