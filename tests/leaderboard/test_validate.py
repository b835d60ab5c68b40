"""`bench3d leaderboard validate` through the command line: everything forged is caught, with its reason."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from submissions import installed, make_desk

from bench3d.cli.submission import annotation
from bench3d.leaderboard.validate_case import Finding

RECORD_1 = Path(__file__).parents[1] / "records" / "record_1"


@pytest.fixture(scope="module")
def fakes(tmp_path_factory):
    with installed(tmp_path_factory.mktemp("site")):
        yield


@pytest.fixture
def desk(fakes, cli, tmp_path, monkeypatch):
    return make_desk(cli, tmp_path, monkeypatch)


def errors(found):
    return [(check, sentence) for level, check, sentence, *_ in found if level == "error"]


def caught(answer, check, words):
    """The one kind of thing that is wrong is named as an error, and the exit code says so."""
    code, found = answer
    assert code == 1
    assert any(c == check and words in sentence for c, sentence in errors(found)), errors(found)


def test_a_clean_record_passes_without_error_or_warning(desk):
    code, found = desk.validate("--strict")
    assert (code, [f for f in found if f[0] != "note"]) == (0, [])


@pytest.mark.parametrize(
    ("edit", "check", "words"),
    [
        (lambda r: r["scores"][0].update(value=75.0), "scores", "The record says 75, the samples give 50."),
        (lambda r: r["scores"][0].update(value=50.001), "scores", "the samples give 50."),
        (lambda r: r["scores"][0].update(interval=[49.0, 51.0]), "scores", "The interval is 49 to 51"),
        (lambda r: r["scores"][0].update(n=400), "scores", "n 400"),
        (lambda r: r["scores"][0].update(threshold=60.0), "scores", "threshold 60"),
        (lambda r: r["scores"].pop(), "scores", "leaves it out"),
        (lambda r: r["scores"].append(r["scores"][0] | {"category": "boat"}), "scores", "do not give it"),
        (lambda r: r["scores"].append(r["scores"][0]), "scores", "twice"),
        (lambda r: r["groups"][0].update(value=99.0), "groups", "The record says 99"),
        (lambda r: r["chance"][0].update(value=1.0), "chance", "The record says 1, the samples give 25."),
        (lambda r: r["metrics"][0].update(threshold=60.0), "metrics", "accuracy@30deg is not defined"),
        (lambda r: r.update(metrics=[]), "metrics", "does not say how"),
        (lambda r: r.update(headline="median error"), "protocol", "The headline of fake-task is accuracy@30deg"),
        (lambda r: r.update(oracles=[]), "protocol", "this model is given: category"),
        (lambda r: r.update(samples=7), "sidecar", "says 7 samples and the sidecar holds 6"),
        (lambda r: r.update(samples_sha256="0" * 64), "sidecar", "digest differs"),
        (lambda r: r.update(status="failed"), "status", "failed"),
        (lambda r: r.update(schema="bench3d.record/9"), "schema", "bench3d.record/9"),
        (lambda r: r.update(surprise=1), "schema", "surprise"),
        (lambda r: r["identity"].update(hash="0" * 64), "identity", "not that of the measurement"),
        (lambda r: r["identity"]["measurement"].update(seed=1), "identity", "not that of the measurement"),
        (lambda r: r["fits"][0].update(recipe="0" * 64), "fits", "fake-shape/car"),
        (lambda r: r["provenance"]["data"].update({"fake-data/car": "0"}), "data", "not those of the measurement"),
        (lambda r: r["provenance"].update(commit="latest"), "origin", "no commit"),
        (lambda r: r["provenance"]["weights"].update(id="fake/better"), "weights", "id"),
        (lambda r: r["marks"].update(limited=3), "marks", "limited to 3"),
    ],
)
def test_an_edited_record_is_caught(desk, edit, check, words):
    value = desk.record()
    edit(value)
    desk.write(value)
    caught(desk.validate(), check, words)


@pytest.mark.parametrize(
    ("edit", "label", "check", "words"),
    [
        (lambda m: m.update(seed=1), None, "identity", "seed 0 here and seed 1"),
        (lambda m: m["backbone"].update(name="fake-floor"), None, "identity", "not that of what was measured"),
        (lambda m: m["backbone"].update(name="fake-floor"), "fake-floor-fake-shape-easy", "weights", "has no weights"),
        (lambda m: m["backbone"].update(weights="random"), None, "marks", "random weights and the mark does not"),
        (lambda m: m["backbone"]["weights"].update(revision="2"), None, "weights", "revision"),
        (lambda m: m["dataset"].update(synthetic=True), None, "marks", "synthetic data and the mark does not"),
        (lambda m: m["dataset"]["fingerprints"].update(car="0"), None, "data", "not those of the measurement"),
        (lambda m: m["protocol"].update(name="tough"), "fake-net-fake-shape-tough", "protocol", "tough"),
        (lambda m: m["fits"].update({"fake-shape/car": "0"}), None, "fits", "fake-shape/car"),
        (lambda m: m["task"].update(settings={"trick": 1}), None, "metrics", "no such settings"),
        (lambda m: m.update(note="x"), None, "identity", "note"),
        (lambda m: m.pop("dataset"), None, "identity", "dataset"),
        (lambda m: m.update(categories=["car"]), None, "samples", "chair, which was not measured"),
    ],
)
def test_an_edited_measurement_with_its_hash_made_again_is_caught(desk, edit, label, check, words):
    value = desk.record()
    edit(value["identity"]["measurement"])
    desk.rehash(value, label)
    caught(desk.validate(), check, words)


def test_an_object_of_a_process_is_not_taken(desk):
    value = desk.record()
    value["identity"]["measurement"]["backbone"]["name"] = "object:mine"
    desk.rehash(value, "object-mine-fake-shape-easy")
    caught(desk.validate(), "origin", "object of somebody's process")


def test_what_no_plugin_here_defines_is_a_note_and_an_error_under_strict(desk):
    value = desk.record()
    value["identity"]["measurement"]["task"]["result_version"] = 2
    desk.rehash(value)
    code, found = desk.validate()
    assert code == 0 and any(f[1] == "not checked" and "result version 1, not 2" in f[2] for f in found)
    caught(desk.validate("--strict"), "not checked", "result version 1, not 2")
    value["scores"][0]["value"] = 75.0
    desk.write(value)
    caught(desk.validate(), "scores", "the samples give 50")  # by the record's own definition, at the least


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<script>alert(1)</script>", "an HTML tag"),
        ("=HYPERLINK(1)", "formula"),
        ("\x1b[2Jgone", "control or invisible"),
        ("a\u202egnp.exe", "control or invisible"),
        ("zero\u200bwidth", "control or invisible"),
        ("\\input{x}", "LaTeX"),
        ("[click](http://x)", "Markdown"),
        ("kept in /home/someone/x", "an absolute path"),
        ("ask a.b@example.org", "e-mail"),
        ("x" * 3000, "3000 characters"),
    ],
)
def test_texts_that_act_are_refused_and_none_reaches_the_terminal(desk, text, why):
    desk.write(desk.record() | {"label": text, "notes": [text]})
    code, found = desk.validate()
    assert code == 1
    assert {field for _, check, said, _, field in found if check == "texts" and why in said} == {"label", "notes.0"}
    shown = desk.cli("leaderboard", "validate", "--all", "--github")
    assert not {"\x1b", "\u202e", "\u200b"} & set(shown.out)


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (lambda s: s.replace('"id": "car-0"', '"id": "<b>car"'), "texts", "HTML"),
        (lambda s: s.replace('"id": "car-0"', '"id": "=car"'), "texts", "formula"),
        (lambda s: s.replace('"id": "car-0"', '"id": "\\u001b[2J"'), "texts", "control"),
        (lambda s: s.replace('"id": "car-0"', '"id": "car-1"'), "sidecar", "twice: car/car-1"),
        (lambda s: s.replace('"category": "car"', '"category": "boat"', 1), "samples", "boat, which was not measured"),
        (lambda s: s.replace('"error": 5.0', '"error": NaN', 1), "sidecar", "line 1"),
        (lambda s: s.replace('"error": 5.0', '"error": 1e999', 1), "sidecar", "line 1"),
        (lambda s: s.replace('"error": 5.0', '"error": 50.0, "error": 5.0', 1), "sidecar", "'error' stands twice"),
        (lambda s: s.replace('"cluster": "car-0", ', "", 1), "samples", "no cluster"),
        (lambda s: s.replace('"error": 5.0', '"parts": {"a": [1], "b": [1, 2]}', 1), "samples", "one length"),
        (lambda s: s.replace('"error": 5.0', '"error": "much"', 1), "scores", "cannot be computed"),
        (lambda s: s.replace('"error": 100.0', '"error": 1.0', 1), "scores", "the samples give 75"),
        (lambda s: s[: len(s) // 2], "sidecar", "is no JSON"),
    ],
)
def test_an_edited_sidecar_is_caught_even_where_the_record_names_its_digest(desk, change, check, words):
    desk.write_samples(change("".join(desk.samples())).splitlines(keepends=True))
    caught(desk.validate(), check, words)


def test_samples_that_are_left_out_are_missed_beside_another_record(desk):
    value, lines = desk.record(), desk.samples()
    desk.twin()
    value["identity"]["measurement"]["backbone"]["settings"]["layer"] = 3
    desk.rehash(value)
    desk.write_samples([line for line in lines if "100.0" not in line])
    _, found = desk.validate()
    assert any("It has 4 samples, and" in sentence for _, _, sentence, *_ in found)


def test_a_swapped_sidecar_is_caught(desk):
    (desk.root / "data" / "fake" / "car.json").write_text(json.dumps([7.0, 9.0, 40.0, 100.0]))
    other = desk.submit(desk.run(force=True))
    shutil.copy(other / "samples.jsonl.gz", desk.folder / "samples.jsonl.gz")
    caught(desk.validate(), "sidecar", "not the one that the record was made with")


def sparse(folder):
    with open(folder / "samples.jsonl.gz", "wb") as file:
        file.truncate(1 << 30)


def bomb(folder):
    (folder / "samples.jsonl.gz").write_bytes(gzip.compress(b" " * (1 << 20) + b"\n") * (1 << 10))


def long_line(folder):
    (folder / "samples.jsonl.gz").write_bytes(gzip.compress(b" " * (1 << 20)) * (1 << 10))


def cut(folder):
    path = folder / "samples.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-20])


def linked(folder):
    path = folder / "samples.jsonl.gz"
    shutil.move(path, folder.parents[2] / "elsewhere.gz")
    path.symlink_to(folder.parents[2] / "elsewhere.gz")


def piped(folder):
    (folder / "samples.jsonl.gz").unlink()
    os.mkfifo(folder / "samples.jsonl.gz")


def elsewhere(folder):
    shutil.move(folder, folder.parents[2] / "elsewhere")
    folder.symlink_to(folder.parents[2] / "elsewhere")


def renamed(folder):
    folder.rename(folder.with_name("best-model-0123456789ab"))


@pytest.mark.parametrize(
    ("tamper", "check", "words"),
    [
        (sparse, "files", "has 1073.7 MB; at the most 20 MB"),
        (bomb, "sidecar", "line 1 is no JSON"),
        (long_line, "sidecar", "line 1 has over"),
        (cut, "sidecar", "cannot be read"),
        (linked, "files", "symbolic link"),
        (piped, "files", "no regular file"),
        (elsewhere, "files", "no folder"),
        (renamed, "name", "belongs in fake-task/fake-net-fake-shape-easy"),
        (lambda f: (f / "samples.jsonl.gz").unlink(), "files", "sidecar with the samples is missing"),
        (lambda f: (f / "record.json").unlink(), "files", "no record.json"),
        (lambda f: (f / "record.json").write_text("[" * 100_000), "schema", "nested too deeply"),
        (lambda f: (f / "record.json").write_bytes(b"\xff{}"), "schema", "no JSON"),
        (lambda f: (f / "record.json").write_text(" " * 3_000_000), "files", "at the most 2 MB"),
        (lambda f: (f / "samples.jsonl").write_text("{}\n"), "files", "samples.jsonl has no place"),
        (lambda f: (f / "run.sh").write_text("true"), "files", "run.sh has no place"),
        (lambda f: (f / "verification.json").write_text("{}"), "files", "by a maintainer"),
        (lambda f: (f.parent / "page.html").write_text(""), "files", "page.html belongs to no record"),
    ],
)
def test_files_that_are_not_a_submission_are_refused_in_no_time(desk, tamper, check, words):
    tamper(desk.folder)
    begun = time.monotonic()
    caught(desk.validate(), check, words)
    assert time.monotonic() - begun < 5


def test_a_maintainer_may_leave_a_verification_and_one_that_does_not_count_is_told(desk):
    (desk.folder / "verification.json").write_text("{}")
    code, found = desk.validate("--maintainer")
    assert code == 0 and any(f[:2] == ("warning", "verification") for f in found)


def test_copied_results_under_another_name_are_caught(desk):
    value = desk.record()
    desk.twin()
    value["identity"]["measurement"]["backbone"]["settings"]["layer"] = 3
    desk.rehash(value)
    caught(desk.validate(), "duplicate", "copied results")


def test_copied_values_with_other_times_are_an_error_for_another_model_and_a_warning_for_the_same(desk):
    value = desk.record()
    desk.twin()
    value["identity"]["measurement"]["backbone"]["settings"]["layer"] = 3
    desk.rehash(value)
    desk.write_samples([line.replace('"features_ms": 2.0', '"features_ms": 2.5') for line in desk.samples()])
    value = desk.record()
    value["cost"]["seconds_per_image"] = {"features": 0.0025}
    desk.write(value)
    code, found = desk.validate()
    assert code == 0 and any(f[:2] == ("warning", "duplicate") for f in found)
    value["identity"]["measurement"]["backbone"]["name"] = "other-net"
    desk.rehash(value, "other-net-fake-shape-easy")
    caught(desk.validate(), "duplicate", "another model")


def test_the_same_measurement_twice_is_caught(desk):
    run = desk.run(force=True)
    answer = desk.cli("leaderboard", "validate", str(run), "--json")
    assert answer.code == 1 and "is the same measurement, with the same scores" in answer.out


def test_scores_that_are_too_good_and_samples_without_error_are_flagged(desk, monkeypatch):
    for layer in (1, 2):
        desk.another(monkeypatch, layer, 3.0 + layer)
    desk.another(monkeypatch, 4, 9.0, error=0.0)
    _, found = desk.validate()
    flagged = [(s, field) for level, check, s, _, field in found if (level, check) == ("warning", "too good")]
    assert any("100 %, and the best of 3" in s and "50" in s for s, _ in flagged)


def test_a_dirty_tree_is_a_warning(desk):
    value = desk.record()
    value["provenance"]["commit"] += "-dirty"
    desk.write(value)
    code, found = desk.validate()
    assert code == 0 and any(level == "warning" and "dirty" in s for level, _, s, *_ in found)


def test_a_record_of_the_first_schema_is_still_checked(desk, tmp_path):
    folder = Path(shutil.copytree(RECORD_1, tmp_path / "old"))
    answer = desk.cli("leaderboard", "validate", str(folder), "--json")
    found = json.loads(answer.out)["findings"]
    assert answer.code == 0 and any("bench3d.record/1" in f["sentence"] for f in found)
    value = json.loads((folder / "record.json").read_text())
    value["scores"][0]["value"] += 1
    (folder / "record.json").write_text(json.dumps(value))
    assert desk.cli("leaderboard", "validate", str(folder)).code == 1


def git(*arguments):
    names = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *names, *arguments], check=True, capture_output=True)


def test_of_a_change_only_what_it_touches_is_validated_and_records_of_others_stay(desk, monkeypatch):
    git("init", "-q", "-b", "main")
    git("add", "leaderboard")
    git("commit", "-qm", "before")
    added = desk.another(monkeypatch, 1, 3.0)
    git("add", "leaderboard")
    git("commit", "-qm", "adds one")
    answer = desk.cli("leaderboard", "validate", "--changed-since", "HEAD~1", "--json")
    told = json.loads(answer.out)
    assert (answer.code, [Path(r).name for r in told["records"]]) == (0, [added.name])
    (desk.folder / "record.json").unlink()
    git("commit", "-qam", "removes one")
    answer = desk.cli("leaderboard", "validate", "--changed-since", "HEAD~1", "--json")
    assert answer.code == 1 and "removes a file that is committed" in answer.out
    assert desk.cli("leaderboard", "validate", "--changed-since", "--upload-pack=x").code == 2
    assert desk.cli("leaderboard", "validate").code == 2


def test_no_text_begins_a_workflow_command_of_its_own():
    finding = Finding("error", "texts", "a,b::c\n::set-env", "f", "50%\r\n::error::x", "")
    line = annotation(finding)
    assert line == "::error file=a%2Cb%3A%3Ac%0A%3A%3Aset-env,title=texts::f: 50%25%0D%0A::error::x"
