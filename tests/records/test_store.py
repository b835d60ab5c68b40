"""The store: atomic, first finished wins, killed runs resume, faults leave nothing half-written."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import bench3d.records.store
from bench3d.errors import DataError, OutputError
from bench3d.records import (
    Identity,
    Provenance,
    Record,
    RunStore,
    Score,
    identity_hash,
    read_record,
    read_samples,
    record_schema,
)

MEASUREMENT = {"task": "t", "seed": 0}
HASH = identity_hash(MEASUREMENT)


def record(status="finished", value=50.0, message=None):
    score = Score(
        metric="accuracy@30deg", category="mean", value=value, unit="%", n=4, interval=(40.0, 60.0),
        higher_is_better=True, version=1, order="image > category", threshold=30.0, inequality="<",
    )  # fmt: skip
    return Record(
        label="fake",
        identity=Identity(measurement=MEASUREMENT, hash=HASH),
        status=status,
        message=message,
        scores=[score],
        provenance=Provenance(bench3d="0", python="3", seed=0, time="2000-01-01T00:00:00Z"),
    )


def attempt(store, state="s"):
    return store.begin("t", "fake", HASH, state)


def lines(*ids):
    return [{"id": i, "category": "car", "cluster": i, "error": 1.5} for i in ids]


def test_round_trip_and_schema(tmp_path):
    store = RunStore(tmp_path)
    made = attempt(store)
    made.add_samples(lines("a", "b"))
    published = made.publish(record())
    path, found = store.find(HASH)
    sidecar = hashlib.sha256((path.parent / "samples.jsonl").read_bytes()).hexdigest()
    assert found == published == record().model_copy(update={"samples_sha256": sidecar})
    assert path.relative_to(tmp_path).as_posix() == f"runs/t/fake-{HASH[:12]}/record.json"
    assert sorted(p.name for p in path.parent.iterdir()) == ["record.json", "samples.jsonl"]
    assert [s["id"] for s in read_samples(path.parent / "samples.jsonl")] == ["a", "b"]
    assert [p.name for p in (tmp_path / "runs" / "t").iterdir()] == [path.parent.name]
    schema = record_schema()
    assert schema["$id"] == "bench3d.record/2" and set(schema["required"]) >= {"identity", "status", "provenance"}
    assert json.loads(path.read_text())["schema"] == "bench3d.record/2"


def test_find_knows_an_identity_from_another_of_the_same_folder_name(tmp_path):
    store = RunStore(tmp_path)
    attempt(store).publish(record())
    assert store.find(HASH[:12] + "0" * 52) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda r: r["scores"][0].pop("unit"), "scores.0.unit"),
        (lambda r: r.update(status="done"), "status"),
        (lambda r: r["identity"]["measurement"].update(seed=1), "identity"),
        (lambda r: r.update(schema="bench3d.record/9"), "schema"),
        (lambda r: r.update(schema={"a": 1}), "schema"),
        (lambda r: r["identity"]["measurement"].update(seed=float("nan")), "identity"),
        (lambda r: r.update(surprise=1), "surprise"),
    ],
)
def test_a_broken_record_names_file_and_field(tmp_path, change, field):
    value = record().as_json()
    change(value)
    (tmp_path / "record.json").write_text(json.dumps(value))
    with pytest.raises(DataError, match=rf"record\.json, field {field}"):
        read_record(tmp_path / "record.json")


def test_a_cut_record_and_a_cut_sidecar_are_sentences(tmp_path):
    (tmp_path / "record.json").write_text('{"schema": ')
    with pytest.raises(DataError, match="no JSON"):
        read_record(tmp_path / "record.json")
    (tmp_path / "samples.jsonl").write_text('{"id": "a"}\n{"i')
    with pytest.raises(DataError, match="line 2"):
        read_samples(tmp_path / "samples.jsonl")


def test_of_two_writers_the_first_wins(tmp_path):
    store = RunStore(tmp_path)
    first, second = attempt(store), attempt(store)
    assert second.publish(record(value=1.0)).scores[0].value == 1.0
    assert first.publish(record(value=2.0)).scores[0].value == 1.0
    assert store.find(HASH)[1].scores[0].value == 1.0
    assert not (tmp_path / "runs" / "t" / ".attempts").exists()


def test_many_writers_at_once_leave_one_whole_record(tmp_path):
    store = RunStore(tmp_path)
    gate = threading.Barrier(8)

    def write(number):
        made = attempt(store)
        made.add_samples(lines(str(number)))
        gate.wait()
        return made.publish(record(value=float(number))).scores[0].value

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(write, range(8)))
    path, standing = store.find(HASH)
    assert answers == {standing.scores[0].value}
    assert read_samples(path.parent / "samples.jsonl")[0]["id"] == str(int(standing.scores[0].value))


def test_finished_replaces_interrupted_but_never_the_other_way_round(tmp_path):
    store = RunStore(tmp_path)
    attempt(store).publish(record("interrupted", message="by the user"))
    assert store.find(HASH)[1].message == "by the user"
    attempt(store).publish(record(value=7.0))
    assert attempt(store).publish(record("failed")).status == "finished"
    assert store.find(HASH)[1].scores[0].value == 7.0
    attempt(store).publish(record("failed"), force=True)
    assert store.find(HASH)[1].status == "finished"
    attempt(store).publish(record(value=8.0), force=True)
    assert store.find(HASH)[1].scores[0].value == 8.0


def test_interrupted_samples_are_taken_over_only_in_the_same_state(tmp_path):
    store = RunStore(tmp_path)
    made = attempt(store, state="fit-1")
    made.add_samples(lines("a", "b"))
    made.publish(record("interrupted"))
    other = attempt(store, state="fit-2")
    assert store.leftovers(other, HASH) == {}
    again = attempt(store, state="fit-1")
    assert sorted(store.leftovers(again, HASH)) == ["car/a", "car/b"]


KILLED = """
import sys, time
from pathlib import Path
from bench3d.records import RunStore
made = RunStore(Path(sys.argv[1])).begin("t", "fake", sys.argv[2], "s")
made.add_samples([{"id": "a", "category": "car"}])
made._lines.write('{"id": "b", "cat'); made._lines.flush()
print("ready", flush=True)
time.sleep(60)
"""


def test_a_killed_run_leaves_no_record_but_its_samples(tmp_path):
    store = RunStore(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), HASH], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline().strip() == "ready"
        mine = attempt(store)
        assert list(store.leftovers(mine, HASH)) == ["car/a"], "whole lines of a living process are good"
        assert len(attempts(tmp_path)) == 2, "but it keeps its attempt"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert store.find(HASH) is None
    assert list(store.leftovers(mine, HASH)) == ["car/a"]
    assert attempts(tmp_path) == [mine.owned.root.name]
    mine.publish(record())
    assert not (tmp_path / "runs" / "t" / ".attempts").exists()


def attempts(results):
    return sorted(p.name for p in (results / "runs" / "t" / ".attempts").iterdir())


def kill(made):
    """Makes an attempt look like one whose process is gone."""
    made.owned.claim._over.set()
    made.owned.claim._thread.join()
    claim = made.owned.root / "claim.json"
    claim.write_text(json.dumps({**json.loads(claim.read_text()), "started": -1.0}))


def test_samples_outlive_a_second_kill_before_they_were_used(tmp_path):
    store = RunStore(tmp_path)
    first, second, third = attempt(store), attempt(store), attempt(store)
    first.add_samples(lines("a", "b"))
    kill(first)
    assert sorted(store.leftovers(second, HASH)) == ["car/a", "car/b"]
    second.add_samples(lines("c"))
    kill(second)
    assert sorted(store.leftovers(third, HASH)) == ["car/a", "car/b", "car/c"]
    assert attempts(tmp_path) == [third.owned.root.name]
    third.add_samples(lines("a"))
    third.publish(record("interrupted"))
    last = attempt(store)
    assert sorted(store.leftovers(last, HASH)) == ["car/a", "car/b", "car/c"]
    last.publish(record())
    assert sorted(p.name for p in store.find(HASH)[0].parent.iterdir()) == ["record.json"]


def test_attempts_of_other_machines_are_read_and_go_after_a_week_by_the_disks_clock(tmp_path):
    store = RunStore(tmp_path)
    there, mine = attempt(store), attempt(store)
    there.add_samples(lines("a"))
    kill(there)
    claim = there.owned.root / "claim.json"
    claim.write_text(json.dumps({**json.loads(claim.read_text()), "boot": "another"}))
    now = os.stat(claim).st_mtime
    for age, stays in ((-3600, True), (3600, True), (6.9 * 86400, True), (7.1 * 86400, False)):
        for path in (there.owned.root, *there.owned.root.rglob("*")):
            os.utime(path, (now - age, now - age))
        assert list(store.leftovers(mine, HASH)) == ["car/a"]
        assert there.owned.root.exists() == stays
    mine.discard()


def test_what_earlier_versions_left_does_not_disturb(tmp_path):
    store = RunStore(tmp_path)
    old = tmp_path / "runs" / "t" / ".attempts" / f"fake-{HASH[:12]}.77-abcd"
    old.mkdir(parents=True)
    (old / ".lock").touch()
    (old / "samples.jsonl").write_text('{"id": "z"}\n')
    made = attempt(store)
    assert store.leftovers(made, HASH) == {}
    made.publish(record())
    (store.find(HASH)[0].parent / ".lock").touch()
    assert attempt(store).publish(record(value=3.0)) == record()


@pytest.mark.parametrize(("status", "force"), [("finished", False), ("failed", False), ("failed", True)])
def test_a_record_finished_between_the_look_and_the_move_is_put_back(tmp_path, monkeypatch, status, force):
    """Ours sees a failed record; before it moves that aside, another process has published a finished one."""
    store = RunStore(tmp_path)
    attempt(store).publish(record("failed"))
    mine, other = attempt(store), attempt(store)
    other.add_samples(lines("other"))
    look, looked = bench3d.records.store._is_finished, []

    def look_and_be_late(folder):
        seen = look(folder)
        if not looked:
            looked.append(folder)
            assert other.publish(record(value=9.0)).scores[0].value == 9.0
        return seen

    monkeypatch.setattr(bench3d.records.store, "_is_finished", look_and_be_late)
    standing = mine.publish(record(status, value=1.0), force=force)
    assert standing == store.find(HASH)[1] and standing.scores == record(value=9.0).scores
    assert read_samples(store.find(HASH)[0].parent / "samples.jsonl") == lines("other")
    assert not (tmp_path / "runs" / "t" / ".attempts").exists()


def test_a_third_ones_failure_in_the_gap_gives_way_again(tmp_path, monkeypatch):
    """While the finished record is aside for a moment, a failed one takes its place: the finished one comes back."""
    store = RunStore(tmp_path)
    attempt(store).publish(record("failed"))
    mine, other, third = attempt(store), attempt(store), attempt(store)
    look, calls = bench3d.records.store._is_finished, []

    def interfere(folder):
        calls.append(folder)
        number, seen = len(calls), look(folder)
        if number == 1:
            other.publish(record(value=9.0))
        if folder.parent == mine.owned.root:
            third.publish(record("failed", message="third"))
        return seen

    monkeypatch.setattr(bench3d.records.store, "_is_finished", interfere)
    assert mine.publish(record(value=1.0)) == record(value=9.0)
    assert store.find(HASH)[1] == record(value=9.0)


def test_a_later_failure_replaces_an_earlier_one(tmp_path):
    store = RunStore(tmp_path)
    attempt(store).publish(record("failed", message="first"))
    assert attempt(store).publish(record("interrupted", message="second")).message == "second"
    assert store.find(HASH)[1].message == "second"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_a_full_or_forbidden_disk_is_a_sentence_and_leaves_nothing(tmp_path, monkeypatch, code):
    store = RunStore(tmp_path)
    made = attempt(store)
    made.add_samples(lines("a"))

    def refuse(*_):
        raise OSError(code, "refused")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError, match="full" if code == errno.ENOSPC else "permission"):
        made.publish(record())
    monkeypatch.undo()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_file_in_the_way_is_a_sentence(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(OutputError, match="a file stands where a folder is needed"):
        attempt(RunStore(tmp_path))


@pytest.fixture
def disk(tmp_path):
    """A file system of 64 KiB, where this user may mount one: (folder, make it read-only)."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options, kind="tmpfs"):
        command = ["mount", "-t", kind, "-o", options, kind, folder]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    if shutil.which("mount") is None or not mount("size=64k"):
        pytest.skip("needs the right to mount a file system")
    yield folder, lambda: mount("remount,ro")
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_up_is_a_sentence_and_leaves_nothing(disk):
    folder, _ = disk
    store = RunStore(folder)
    made = attempt(store)
    with pytest.raises(OutputError, match="disk is full"):
        for number in range(10_000):
            made.add_samples(lines(f"a sample with quite a long name, number {number}"))
    made.discard()
    assert [p for p in folder.rglob("*") if p.is_file()] == []
    (folder / "ballast").write_bytes(bytes(64 * 1024 - 3 * 4096))
    with pytest.raises(OutputError, match="disk is full"):
        for _ in range(20):
            attempt(store)
    (folder / "ballast").unlink()
    attempt(store).publish(record())
    assert store.find(HASH)[1] == record()


def test_a_read_only_results_folder_is_a_sentence(disk):
    folder, make_read_only = disk
    store = RunStore(folder)
    attempt(store).publish(record("failed"))
    made = attempt(store)
    assert make_read_only()
    with pytest.raises(OutputError, match="No permission"):
        attempt(store)
    with pytest.raises(OutputError, match="No permission"):
        made.publish(record())
    assert store.find(HASH)[1].status == "failed"
