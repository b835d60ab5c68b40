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


def test_the_first_schema_is_read_and_nothing_is_guessed():
    folder = HERE / "record_1"
    old, new = json.loads((folder / "record.json").read_text()), read_record(folder / "record.json")
    assert new.schema_ == SCHEMA
    assert new.identity.hash == old["identity"]["hash"]
    assert new.metrics == [] and new.samples_sha256 is None and {s.interval_method for s in new.scores} == {None}
    kept = {k: v for k, v in new.as_json().items() if k not in ("schema", "metrics", "samples_sha256")}
    for score in (*kept["scores"], *kept["groups"]):
        score.pop("clusters", None)
        score.pop("interval_method")
    assert kept == {k: v for k, v in old.items() if k != "schema"}
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
