"""Merging results folders: what is copied, what stays, what is refused; nothing half-made, nothing outside."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from result_folders import make_run

import bench3d.leaderboard.merge as merging
from bench3d.errors import DataError, OutputError, UsageError
from bench3d.leaderboard.merge import Merged, merge_runs
from bench3d.leaderboard.merge_fits import merge_fits
from bench3d.records import RunStore, read_record

CARS = {"car": [10, 40, 10]}


@pytest.fixture
def into(tmp_path):
    return tmp_path / "into"


def outcomes(found: list[Merged]) -> dict[str, int]:
    return dict(Counter(m.outcome for m in found))


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def edit(path: Path, **changes: object) -> None:
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | changes))


def test_runs_are_copied_whole_and_only_once(tmp_path, into):
    paths = [make_run(tmp_path / f"node{i}", CARS, backbone=f"b{i}") for i in range(2)]
    make_run(tmp_path / "node1", CARS, backbone="b0")
    (paths[0].parent / "pictures" / "car").mkdir(parents=True)
    (paths[0].parent / "pictures" / "car" / "one.png").write_bytes(b"picture")
    sources = [tmp_path / "node0", tmp_path / "node1"]
    planned = list(merge_runs(sources, into, dry_run=True))
    assert not into.exists()
    done = list(merge_runs(sources, into))
    assert outcomes(done) == outcomes(planned) == {"copied": 2, "there": 1}
    assert [m.bytes for m in done] == [m.bytes for m in planned] and sum(m.bytes for m in done) > 0
    for source, path in zip(sources, paths, strict=True):
        copy = into / path.relative_to(source)
        assert files(copy.parent) == files(path.parent)
        for name in files(copy.parent):
            assert (copy.parent / name).read_bytes() == (path.parent / name).read_bytes()
    assert len(list(RunStore(into).records())) == 2
    assert not [p for p in into.rglob("*") if p.name.startswith(".")]
    assert outcomes(list(merge_runs(sources, into))) == {"there": 3}


def test_of_two_with_other_numbers_the_standing_one_stays_unless_the_newer_is_asked_for(tmp_path, into):
    old = make_run(into, CARS, time="2026-01-01T00:00:00Z")
    new = make_run(tmp_path / "a", {"car": [10, 10, 10]}, time="2026-01-01T02:00:00+01:00")
    mine = old.read_bytes()
    (kept,) = merge_runs([tmp_path / "a"], into)
    assert kept.outcome == "different" and "100, 66.6667 stands" in kept.reason and old.read_bytes() == mine
    (planned,) = merge_runs([tmp_path / "a"], into, prefer="newest", dry_run=True)
    assert planned.outcome == "replaced" and old.read_bytes() == mine
    (replaced,) = merge_runs([tmp_path / "a"], into, prefer="newest")
    assert replaced.outcome == "replaced" and old.read_bytes() == new.read_bytes()
    assert [into / name for name in files(into)] == [old, old.with_name("samples.jsonl")]


def test_an_older_one_replaces_nothing(tmp_path, into):
    old = make_run(into, CARS, time="2026-01-02T00:00:00Z")
    mine = old.read_bytes()
    make_run(tmp_path / "a", {"car": [10, 10, 10]}, time="2026-01-01T00:00:00Z")
    make_run(tmp_path / "b", {"car": [10, 10, 10]}, time="someday")
    found = list(merge_runs([tmp_path / "a", tmp_path / "b"], into, prefer="newest"))
    assert outcomes(found) == {"different": 2} and old.read_bytes() == mine


def test_a_finished_run_takes_the_place_of_a_failed_or_broken_one(tmp_path, into):
    failed = make_run(into, CARS, status="failed", message="no")
    broken = make_run(into, CARS, backbone="rgb")
    broken.write_text("{")
    make_run(tmp_path / "a", CARS)
    make_run(tmp_path / "a", CARS, backbone="rgb")
    found = list(merge_runs([tmp_path / "a"], into))
    assert outcomes(found) == {"copied": 2} and "failed" in found[0].reason
    assert {read_record(p).status for p in (failed, broken)} == {"finished"}


def test_runs_that_did_not_finish_are_left_out(tmp_path, into):
    make_run(tmp_path / "a", CARS, status="interrupted")
    (found,) = merge_runs([tmp_path / "a"], into)
    assert (found.outcome, found.reason) == ("unfinished", "interrupted") and not files(into)


def broken_json(path: Path) -> None:
    path.write_text("{")


def wrong_schema(path: Path) -> None:
    edit(path, schema="bench3d.record/9")


def forged_identity(path: Path) -> None:
    value = json.loads(path.read_text())
    value["identity"]["measurement"]["seed"] = 7
    path.write_text(json.dumps(value))


def other_sidecar(path: Path) -> None:
    sidecar = path.parent / "samples.jsonl"
    sidecar.write_text(sidecar.read_text().replace("10.0", "11.0"))


def short_sidecar(path: Path) -> None:
    sidecar = path.parent / "samples.jsonl"
    sidecar.write_text("".join(sidecar.read_text().splitlines(keepends=True)[:-1]))
    edit(path, samples_sha256=hashlib.sha256(sidecar.read_bytes()).hexdigest())


def no_sidecar(path: Path) -> None:
    (path.parent / "samples.jsonl").unlink()


def linked_sidecar(path: Path) -> None:
    sidecar = path.parent / "samples.jsonl"
    other = path.parents[4] / "elsewhere.jsonl"
    other.write_bytes(sidecar.read_bytes())
    sidecar.unlink()
    sidecar.symlink_to(other)


def linked_record(path: Path) -> None:
    other = path.parents[4] / "elsewhere.json"
    other.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(other)


def linked_folder(path: Path) -> None:
    other = path.parents[4] / "elsewhere"
    path.parent.rename(other)
    path.parent.symlink_to(other)


@pytest.mark.parametrize(("harm", "words"), [
    (broken_json, "is no JSON"),
    (wrong_schema, "field schema"),
    (forged_identity, "not that of the measurement"),
    (other_sidecar, "another SHA-256"),
    (short_sidecar, "2 lines"),
    (no_sidecar, "samples.jsonl"),
    (linked_sidecar, "symbolic link"),
    (linked_record, "no regular file"),
    (linked_folder, "leads out of"),
])  # fmt: skip
@pytest.mark.parametrize("dry_run", [True, False])
def test_broken_runs_are_refused_with_their_reason_and_the_others_copied(tmp_path, into, harm, words, dry_run):
    harm(make_run(tmp_path / "a", CARS))
    make_run(tmp_path / "a", CARS, backbone="rgb")
    found = list(merge_runs([tmp_path / "a"], into, dry_run=dry_run))
    assert outcomes(found) == {"refused": 1, "copied": 1}
    (refused,) = (m for m in found if m.outcome == "refused")
    assert words in refused.reason and "hog" in str(refused.source)
    assert len(files(into)) == (0 if dry_run else 2)
    assert not [p for p in into.rglob("*") if p.name.startswith(".")]


def test_linked_pictures_are_left_out_and_told(tmp_path, into):
    path = make_run(tmp_path / "a", CARS)
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    pictures = path.parent / "pictures"
    pictures.mkdir()
    (pictures / "one.png").write_bytes(b"picture")
    (pictures / "two.png").symlink_to(secret / "key")
    (pictures / "three").symlink_to(secret)
    (found,) = merge_runs([tmp_path / "a"], into)
    assert found.outcome == "copied" and found.reason == "2 linked pictures left out"
    assert [Path(name).name for name in files(into)] == ["one.png", "record.json", "samples.jsonl"]


def test_names_of_strangers_stay_inside(tmp_path, into):
    make_run(tmp_path / "a", CARS, label="good")
    path = next((tmp_path / "a").rglob("record.json"))
    edit(path, label="../../../evil/\x1b[31mred")
    (found,) = merge_runs([tmp_path / "a"], into)
    assert found.outcome == "copied" and found.name.isprintable()
    assert found.target is not None and found.target.parent == into / "runs" / "toy-pose"
    assert {p.name for p in tmp_path.iterdir()} == {"a", "into"}


def test_a_record_of_an_older_schema_without_a_digest_is_taken_by_its_number_of_lines(tmp_path, into):
    path = make_run(tmp_path / "a", CARS)
    value = json.loads(path.read_text())
    value["schema"] = "bench3d.record/1"
    for new in ("metrics", "samples_sha256"):
        del value[new]
    path.write_text(json.dumps(value))
    (found,) = merge_runs([tmp_path / "a"], into)
    assert found.outcome == "copied"
    assert (into / path.relative_to(tmp_path / "a")).read_bytes() == path.read_bytes()


def test_a_failure_while_copying_leaves_nothing_and_the_next_merge_goes_on(tmp_path, into, monkeypatch):
    for i in range(3):
        make_run(tmp_path / "a", CARS, backbone=f"b{i}")
    copy, calls = merging.copy_file, []

    def full(path, target):
        calls.append(path)
        if len(calls) == 4:
            raise OutputError("The disk is full.")
        return copy(path, target)

    monkeypatch.setattr(merging, "copy_file", full)
    with pytest.raises(OutputError):
        list(merge_runs([tmp_path / "a"], into))
    assert len(list(RunStore(into).records())) == 1
    assert not [p for p in into.rglob("*") if p.name.startswith(".")]
    monkeypatch.undo()
    assert outcomes(list(merge_runs([tmp_path / "a"], into))) == {"there": 1, "copied": 2}


KILLED = """
import os, sys
from pathlib import Path
import bench3d.leaderboard.merge as merging
copy, calls = merging.copy_file, []
def dying(path, target):
    calls.append(path)
    copy(path, target)
    if len(calls) == 3:
        os.kill(os.getpid(), 9)
merging.copy_file = dying
list(merging.merge_runs([Path(sys.argv[1])], Path(sys.argv[2])))
"""


def test_a_killed_merge_is_gone_on_with_and_its_rest_removed(tmp_path, into):
    for i in range(3):
        make_run(tmp_path / "a", CARS, backbone=f"b{i}")
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a"), str(into)], check=False, timeout=60)
    assert ended.returncode == -9
    assert len(list(RunStore(into).records())) == 1 and [p for p in into.rglob("*") if p.name.startswith(".")]
    assert outcomes(list(merge_runs([tmp_path / "a"], into))) == {"there": 1, "copied": 2}
    assert len(list(RunStore(into).records())) == 3
    assert not [p for p in into.rglob("*") if p.name.startswith(".")]


def test_another_process_that_was_first_stays(tmp_path, into, monkeypatch):
    """A run of the same identity is published between the look and our rename."""
    make_run(tmp_path / "a", CARS)
    publish, first = merging.publish_folder, []

    def late(*arguments, **options):
        first.append(make_run(into, CARS, time="2020-01-01T00:00:00Z"))
        return publish(*arguments, **options)

    monkeypatch.setattr(merging, "publish_folder", late)
    (found,) = merge_runs([tmp_path / "a"], into)
    assert found.outcome == "there" and read_record(first[0]).provenance.time.startswith("2020")


def test_what_is_no_source(tmp_path, into):
    make_run(into, CARS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no folder"):
        list(merge_runs([tmp_path / "none"], into))
    with pytest.raises(DataError, match="neither runs nor fits"):
        list(merge_runs([tmp_path / "empty"], into))
    with pytest.raises(UsageError, match="into itself"):
        list(merge_runs([into / "runs" / ".."], into))


RECIPE = "ab" * 32


def make_fit(results: Path, content: bytes = b"\0" * 8, recipe: str = RECIPE, name: str | None = None) -> Path:
    folder = results / "fits" / "toy-adapter" / "hog" / (name or f"car-{recipe[:12]}")
    folder.mkdir(parents=True)
    (folder / "artifact.json").write_text(json.dumps({"recipe": recipe, "digest": "d"}))
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (folder / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + content)
    return folder


def test_fits_are_copied_whole_and_only_once(tmp_path, into):
    folder = make_fit(tmp_path / "a")
    make_fit(tmp_path / "b")
    sources = [tmp_path / "a", tmp_path / "b"]
    assert outcomes(list(merge_fits(sources, into, dry_run=True))) == {"copied": 1, "there": 1} and not into.exists()
    assert outcomes(list(merge_fits(sources, into))) == {"copied": 1, "there": 1}
    copy = into / folder.relative_to(tmp_path / "a")
    assert files(copy) == ["artifact.json", "w.safetensors"]
    assert (copy / "w.safetensors").read_bytes() == (folder / "w.safetensors").read_bytes()
    assert [p.name for p in copy.parent.iterdir()] == [copy.name]


def test_broken_fits_are_refused(tmp_path, into):
    make_fit(tmp_path / "cut", content=b"\0" * 7)
    make_fit(tmp_path / "misnamed", name="car-123456789abc")
    make_fit(tmp_path / "unnamed", recipe="no digest")
    linked = make_fit(tmp_path / "linked")
    (linked / "w.safetensors").rename(tmp_path / "outside.safetensors")
    (linked / "w.safetensors").symlink_to(tmp_path / "outside.safetensors")
    found = {
        m.source.parts[len(tmp_path.parts)]: m
        for m in merge_fits([tmp_path / n for n in ("cut", "misnamed", "unnamed", "linked")], into)
    }
    assert {m.outcome for m in found.values()} == {"refused"} and not into.exists()
    assert "cut off" in found["cut"].reason and "named by" in found["misnamed"].reason
    assert "field recipe" in found["unnamed"].reason and "links" in found["linked"].reason
