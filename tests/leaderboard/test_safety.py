"""Texts of strangers: none keeps what acts on a terminal or a spreadsheet, and ordinary ones stay as they are."""

from __future__ import annotations

import json
import unicodedata

import pytest
from boards import entry
from hypothesis import given
from hypothesis import strategies as st

from bench3d.errors import DataError
from bench3d.leaderboard.safety import clean_record, csv_cell, plain_text, read_untrusted, unsafe_strings
from bench3d.records import Identity, identity_hash


def record(**changes):
    return entry("hog").record.model_copy(update=changes)


@given(st.text(st.characters()), st.integers(2, 50))
def test_plain_text_is_one_line_that_acts_on_nothing_and_stays_as_it_is(text, limit):
    plain = plain_text(text, limit)
    assert len(plain) <= limit
    assert not {unicodedata.category(c) for c in plain} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert plain_text(plain, limit) == plain


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("PCK@0.1 per image", "PCK@0.1 per image"),
        ("naïve Größe 日本 µ ≤ °", "naïve Größe 日本 µ ≤ °"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jgone", "gone"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\x", "x"),
        ("a\r\nb\tc\u2028d", "a  b c d"),
        ("pay\u202egnp.exe", "paygnp.exe"),
        ("ad\u200bmin\ufeff\u00ad", "admin"),
        ("x\ud800\x00\x7f\x85y", "x y"),
        ("o" + "\u0301" * 40, "o" + "\u0301" * 4),
        ("\U000e0041\U000e0042tag", "tag"),
    ],
)
def test_plain_text_of_known_tricks(text, plain):
    assert plain_text(text) == plain


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", " =1", "\t=1", "\r=1", "\u200b=1", "＝1", "-", "\x1b[0m=1"],
)
def test_no_cell_is_a_formula(text):
    assert csv_cell(text).startswith("'")


@pytest.mark.parametrize("value", [-3.5, 0, 1e-7, -2, "-3.5", "+1.5e3", "hog", "PCK@0.1", ""])
def test_numbers_and_names_are_cells_as_they_are(value):
    assert csv_cell(value) == str(value)
    assert csv_cell(None) == ""


def test_a_clean_record_is_the_same_object_and_a_dirty_one_is_cleaned_in_texts_and_keys():
    clean = record()
    assert clean_record(clean) is clean
    provenance = clean.provenance.model_copy(update={"libraries": {"to\x00rch": "2\n"}, "weights": {"a\x00": ["\x07"]}})
    found = clean_record(record(label="a\x1b[2Jb", notes=["x\u202ey"], provenance=provenance))
    assert (found.label, found.notes, found.provenance.libraries) == ("ab", ["xy"], {"torch": "2 "})
    assert found.provenance.weights == {"a": [""]}
    assert found.identity == clean.identity


@pytest.mark.parametrize("measurement", [{"task": {"name": "a\x1b"}}, {"a\u200b": 1}, {"a": "x" * 5000}])
def test_a_measurement_with_control_characters_is_refused_as_its_identity_could_not_be_kept(measurement):
    identity = Identity(measurement=measurement, hash=identity_hash(measurement))
    with pytest.raises(DataError, match=r"identity\.measurement"):
        clean_record(record(identity=identity))


def test_two_keys_that_become_one_are_refused():
    provenance = record().provenance.model_copy(update={"weights": {"a": 1, "a\x00": 2}})
    with pytest.raises(DataError, match="invisible"):
        clean_record(record(provenance=provenance))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<img src=x onerror=alert(1)>", "an HTML tag"),
        ("=1+1", "begins like a spreadsheet formula"),
        ("\x1b[1m", "control or invisible characters"),
        ("\\write18{ls}", "a LaTeX command"),
        ("![x](http://y)", "a Markdown link or a script address"),
        ("javascript:alert(1)", "a Markdown link or a script address"),
        ("see /home/someone/file", "an absolute path"),
        ("C:\\Users\\someone", "an absolute path"),
        ("~/data", "an absolute path"),
        ("mail a.b@example.org", "an e-mail address"),
    ],
)
def test_unsafe_strings_names_field_and_reason(text, why):
    found = unsafe_strings(record(notes=["fine", text]))
    assert ("notes.1", why) in found and {field for field, _ in found} == {"notes.1"}


def test_names_are_no_paths_and_keys_are_judged_too():
    assert ("label", "a path in place of a name") in unsafe_strings(record(label="../../etc"))
    assert ("label", "300 characters") in unsafe_strings(record(label="x" * 300))
    provenance = record().provenance.model_copy(update={"libraries": {"<b>": "1"}})
    assert [why for _, why in unsafe_strings(record(provenance=provenance))] == ["an HTML tag"]


def test_ordinary_texts_of_records_are_safe():
    notes = ["84 views of 2 sets, 800 pairs; 5 < 6 and 7 > 3", "error <= 0.1 * max(h, w)", "a/b, c / d", "n=3 @ 0.1"]
    order = "keypoints > pair > category, unweighted mean"
    command = "bench3d run --backbone hog --set task.alphas='[0.1, 0.05]' --data my/folder"
    provenance = record().provenance.model_copy(update={"command": command, "libraries": {"torch": "2.4.0+cu121"}})
    assert unsafe_strings(record(notes=[*notes, order], provenance=provenance)) == []


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b"[" * 90_000, b'{"schema": "bench3d.record/9"}', b'{"schema": {"a": 1}}']
)
def test_files_of_strangers_are_sentences(tmp_path, content):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"record\.json"):
        read_untrusted(path)


def test_huge_linked_and_missing_records_are_not_opened(tmp_path):
    path = tmp_path / "record.json"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="at the most"):
        read_untrusted(path)
    path.unlink()
    (tmp_path / "real.json").write_text(json.dumps(record().as_json()))
    path.symlink_to(tmp_path / "real.json")
    with pytest.raises(DataError, match="no regular file"):
        read_untrusted(path)
    assert read_untrusted(tmp_path / "real.json") == record()
    with pytest.raises(DataError, match=r"nowhere\.json"):
        read_untrusted(tmp_path / "nowhere.json")


@pytest.mark.parametrize("number", ["1e999", "NaN", "1" * 5000])
def test_numbers_that_are_none_are_sentences(tmp_path, number):
    value = record().as_json()
    value["identity"]["measurement"]["seed"] = 12345
    (tmp_path / "record.json").write_text(json.dumps(value).replace("12345", number))
    with pytest.raises(DataError, match=r"record\.json"):
        read_untrusted(tmp_path / "record.json")
