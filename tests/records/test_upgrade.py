"""A record of every older schema, as it was written then, is read today."""

import json
from pathlib import Path

import pytest

from bench3d.errors import DataError
from bench3d.records import SCHEMA, RunIndex, read_record, read_samples
from bench3d.records.upgrade import UPGRADABLE

HERE = Path(__file__).parent


def test_every_older_schema_has_its_fixture():
    written = {json.loads(p.read_text())["schema"] for p in HERE.glob("record_*/record.json")}
    assert written == set(UPGRADABLE)


def assert_kept(old, new):
    """All that the old file says is in the new value; what the new one adds is empty."""
    if isinstance(old, dict):
        assert set(old) <= set(new)
        for key, value in new.items():
            if key in old:
                assert_kept(old[key], value)
            else:
                assert not value or key == "schema", key
    elif isinstance(old, list):
        assert len(old) == len(new)
        for before, after in zip(old, new, strict=True):
            assert_kept(before, after)
    else:
        assert old == new


def test_the_first_schema_is_read_and_nothing_is_guessed():
    folder = HERE / "record_1"
    old, new = json.loads((folder / "record.json").read_text()), read_record(folder / "record.json")
    assert new.schema_ == SCHEMA
    assert new.identity.hash == old["identity"]["hash"]
    assert new.metrics == [] and new.samples_sha256 is None and {s.interval_method for s in new.scores} == {None}
    assert_kept({k: v for k, v in old.items() if k != "schema"}, new.as_json())
    assert len(read_samples(folder / "samples.jsonl")) == new.samples


def test_the_index_finds_an_old_record(tmp_path):
    folder = HERE / "record_1"
    identity = json.loads((folder / "record.json").read_text())["identity"]["hash"]
    run = tmp_path / "runs" / "pascal3d-pose" / f"old-{identity[:12]}"
    run.parent.mkdir(parents=True)
    run.symlink_to(folder)
    assert RunIndex(tmp_path).status(identity) == "finished"


def test_a_newer_schema_says_what_to_do(tmp_path):
    (tmp_path / "record.json").write_text('{"schema": "bench3d.record/99"}')
    with pytest.raises(DataError, match="record/99") as raised:
        read_record(tmp_path / "record.json")
    assert "pip install -U bench3d" in raised.value.hint
