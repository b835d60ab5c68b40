"""The index says what the records say, whatever they hold and however they were written, and sees them change."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench3d.errors import DataError
from bench3d.files import write_json
from bench3d.records import Cost, Identity, Provenance, Record, RunIndex, identity_hash, read_record
from bench3d.records.index import _read_facts, _read_head


def make(seed=0, status="finished", label="fake", **about):
    measurement = {"task": {"name": "t"}, "seed": seed}
    return Record(
        label=label,
        identity=Identity(measurement=measurement, hash=identity_hash(measurement)),
        status=status,
        cost=Cost(evaluate_seconds=2.5, fitted_parameters={"car": 3}),
        provenance=Provenance(bench3d="0", python="3", seed=seed, time="2000-01-01T00:00:00Z"),
        samples=7,
        **about,
    )


def put(results, record, task="t"):
    path = results / "runs" / task / f"{record.label}-{record.identity.hash[:12]}" / "record.json"
    write_json(path, record.as_json())
    return path


def test_it_finds_what_is_there_and_nothing_else(tmp_path):
    done, failed = make(0), make(1, "failed", message="a GPU is missing")
    paths = [put(tmp_path, done), put(tmp_path, failed, "other")]
    (tmp_path / "runs" / "t" / "empty-0123456789ab").mkdir()
    put(tmp_path, make(2), "t/.attempts")
    index = RunIndex(tmp_path)
    assert index.find(done.identity.hash) == (paths[0], done)
    assert index.find(failed.identity.hash) == (paths[1], failed)
    assert [index.status(make(n).identity.hash) for n in range(4)] == ["finished", "failed", None, None]
    assert index.status(done.identity.hash[:12] + "0" * 52) is None
    assert RunIndex(tmp_path / "absent").status(done.identity.hash) is None


def test_it_sees_records_change_come_and_go(tmp_path):
    index, identity = RunIndex(tmp_path), make().identity.hash
    path = put(tmp_path, make(status="interrupted"))
    assert index.status(identity) is None
    index.refresh()
    assert index.status(identity) == "interrupted"
    put(tmp_path, make())
    assert index.status(identity) == "finished" and index.find(identity)[1] == make()
    path.unlink()
    assert index.status(identity) is None and index.find(identity) is None and not list(index.facts())
    path.parent.rmdir()
    index.refresh()
    assert index.status(identity) is None


TEXT = '"},\n "status": "failed",\n "cost": {\n },\n "samples": 1,\n'


@given(
    st.recursive(
        st.none() | st.integers(-9, 9) | st.sampled_from([TEXT, "f" * 64]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["hash", "status", "measurement", "cost", "samples", TEXT]), inner)
        ),
        max_leaves=6,
    )
)
def test_the_quick_look_reads_what_the_validated_one_does(tmp_path_factory, value):
    measurement = {"any": value}
    record = make(label=TEXT, message=TEXT, notes=[TEXT]).model_copy(
        update={"identity": Identity(measurement=measurement, hash=identity_hash(measurement))}
    )
    path = tmp_path_factory.mktemp("r") / "record.json"
    write_json(path, record.as_json())
    assert _read_head(path) == (record.identity.hash, "finished")
    facts = _read_facts(path, "finished")
    assert (facts.measurement, facts.cost, facts.samples) == (measurement, record.cost.model_dump(), 7)
    path.write_text(json.dumps(record.as_json(), sort_keys=True))
    assert _read_head(path) == (record.identity.hash, "finished")
    assert _read_facts(path, "finished") == facts
    assert read_record(path) == record


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "bench3d.record/9"}'])
def test_a_broken_record_is_named(tmp_path, content):
    path = put(tmp_path, make())
    path.write_text(content)
    for look in (RunIndex.find, RunIndex.status):
        with pytest.raises(DataError, match=r"record\.json"):
            look(RunIndex(tmp_path), make().identity.hash)


def test_a_record_that_was_cut_off_is_broken_although_its_head_is_whole(tmp_path):
    path = put(tmp_path, make())
    path.write_bytes(path.read_bytes()[:-20])
    index = RunIndex(tmp_path)
    with pytest.raises(DataError, match="is no JSON"):
        index.status(make().identity.hash)
    put(tmp_path, make(1))
    index.refresh()
    assert len(list(index.facts())) == 1
