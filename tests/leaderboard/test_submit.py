"""`bench3d leaderboard submit`: the same files for the same run, a text that stays text, the workflow."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from submissions import installed, make_desk

from bench3d.cli.main import app
from bench3d.leaderboard.submit_text import pull_request
from bench3d.leaderboard.validate import Validation
from bench3d.records import read_record

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "leaderboard.yml"


@pytest.fixture(scope="module")
def fakes(tmp_path_factory):
    with installed(tmp_path_factory.mktemp("site")):
        yield


@pytest.fixture
def desk(fakes, cli, tmp_path, monkeypatch):
    return make_desk(cli, tmp_path, monkeypatch)


def test_a_submission_is_the_record_and_its_samples_packed_the_same_bytes_every_time(desk):
    run = next((desk.root / "results" / "runs" / "fake-task").glob("fake-net*"))
    (run / "pictures").mkdir()
    (run / "pictures" / "one.png").write_bytes(b"png")
    folders = []
    for out in ("a", "b"):
        answer = desk.cli("leaderboard", "submit", str(run / "record.json"), "--out", out, "--json")
        assert answer.code == 0, answer.err
        folders.append(Path(json.loads(answer.out)["records"][0]))
    first, second = folders
    assert sorted(p.name for p in first.iterdir()) == ["record.json", "samples.jsonl.gz"]
    assert all((second / p.name).read_bytes() == p.read_bytes() for p in first.iterdir())
    assert gzip.decompress((first / "samples.jsonl.gz").read_bytes()) == (run / "samples.jsonl").read_bytes()
    mine, submitted = read_record(run / "record.json"), read_record(first / "record.json")
    assert submitted == mine.model_copy(update={"pictures": []})
    assert first == Path("a/records/fake-task") / run.name
    code = desk.cli("leaderboard", "validate", str(first), "--records", "a/records").code
    assert code == 0


def test_the_text_says_what_was_measured_and_the_commands_are_quoted(desk):
    run = next((desk.root / "results" / "runs" / "fake-task").glob("fake-net*"))
    answer = desk.cli("leaderboard", "submit", str(run), "--out", "my out")
    text = Path("my out/pull-request.md").read_text()
    assert re.search(r"\| accuracy@30deg \| 50 % .*\| 50 % .*\| 50 % ", text)
    assert "fake-net + fake-shape on fake-task, protocol easy, 6 samples, seed 0" in text
    assert "\nbench3d run --backbone fake-net --adapter fake-shape --task fake-task" in text
    assert text.count("- [ ]") == 5 and "c" * 40 in text
    assert "git switch -c leaderboard-" in answer.out and "cp -r 'my out/records' CLONE/leaderboard/" in answer.out
    for line in answer.out.splitlines():
        if line.startswith("  git "):
            assert shlex.split(line)[0] == "git"


def test_into_a_clone_writes_there_and_nothing_else_counts_as_one(desk):
    run = next((desk.root / "results" / "runs" / "fake-task").glob("fake-net*"))
    assert desk.cli("leaderboard", "submit", str(run), "--into", "clone").code == 6
    (desk.root / "clone" / ".git").mkdir(parents=True)
    answer = desk.cli("leaderboard", "submit", str(run), "--into", "clone")
    assert answer.code == 0 and (Path("clone/leaderboard/records/fake-task") / run.name / "record.json").is_file()
    assert "cd clone" in answer.out


@pytest.mark.parametrize(
    "edit",
    [
        lambda r: r["scores"][0].update(value=99.0),
        lambda r: r.update(status="interrupted"),
        lambda r: r.update(notes=["kept in /home/someone/x"]),
        lambda r: r.update(notes=["<b>best</b>"]),
    ],
)
def test_what_validation_refuses_is_not_written(desk, edit):
    run = next((desk.root / "results" / "runs" / "fake-task").glob("fake-net*"))
    value = json.loads((run / "record.json").read_text())
    edit(value)
    (run / "record.json").write_text(json.dumps(value))
    answer = desk.cli("leaderboard", "submit", str(run), "--out", "out")
    assert answer.code == 1 and "Nothing was written" in answer.err and "error" in answer.out
    assert not Path("out").exists()


def test_a_record_that_names_its_user_is_refused(desk, monkeypatch):
    run = next((desk.root / "results" / "runs" / "fake-task").glob("fake-net*"))
    value = json.loads((run / "record.json").read_text())
    value["provenance"]["command"] = "bench3d run --data jdoe42/sets"
    (run / "record.json").write_text(json.dumps(value))
    monkeypatch.setattr("getpass.getuser", lambda: "jdoe42")
    answer = desk.cli("leaderboard", "submit", str(run), "--out", "out")
    assert answer.code == 3 and "jdoe42" in answer.err and not Path("out").exists()
    monkeypatch.setattr("getpass.getuser", lambda: "jdoe")  # a part of a word is no name
    assert desk.cli("leaderboard", "submit", str(run), "--out", "out").code == 0


def test_a_record_of_the_first_schema_names_its_samples_when_it_is_submitted(desk, tmp_path):
    old = ROOT / "tests" / "records" / "record_1"
    answer = desk.cli("leaderboard", "submit", str(old), "--out", "out", "--json")
    assert answer.code == 0, answer.out + answer.err
    folder = Path(json.loads(answer.out)["records"][0])
    digest = hashlib.sha256((old / "samples.jsonl").read_bytes()).hexdigest()
    assert read_record(folder / "record.json").samples_sha256 == digest


def test_no_text_of_a_record_leaves_its_place_in_the_markdown(desk):
    record = read_record(desk.folder / "record.json")
    evil = "x | y\n# z `code` <b> [a](http://b) ```"
    provenance = record.provenance.model_copy(update={"command": "a ```` b", "device": evil})
    measurement = record.identity.measurement | {"backbone": "no backbone"}
    identity = record.identity.model_copy(update={"measurement": measurement})
    changed = record.model_copy(
        update={"label": evil, "notes": [evil], "provenance": provenance, "identity": identity, "headline": evil}
    )
    title, text = pull_request([changed], Validation(), 1000)
    assert "\n" not in title
    assert "<b>" not in text and not re.search(r"(?<!\\)\[a", text)
    assert not re.search(r"(?<!\\)\| y", text)
    assert "\n`````\na ```` b\n`````\n" in text
    assert [line for line in text.splitlines() if line.startswith("# ")] == []


def workflow():
    return yaml.safe_load(WORKFLOW.read_text())


def steps():
    return [step for job in workflow()["jobs"].values() for step in job["steps"]]


def test_the_workflow_runs_on_changes_of_the_leaderboard_with_no_more_rights_than_it_needs():
    found = workflow()
    triggers = found[True]  # YAML 1.1 reads `on` as true
    assert set(triggers) == {"pull_request", "push", "workflow_dispatch"}
    assert triggers["pull_request"]["paths"] == ["leaderboard/**"]
    assert triggers["push"]["branches"] == ["main"]
    assert found["permissions"] == {"contents": "read"}
    for name, job in found["jobs"].items():
        assert ("permissions" in job) == (name == "publish")
    assert found["jobs"]["publish"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert "github.ref == 'refs/heads/main'" in found["jobs"]["publish"]["if"]
    assert "pull_request" in found["jobs"]["validate"]["if"]


def test_no_text_of_a_pull_request_gets_into_a_shell_and_no_code_of_it_is_run():
    for step in steps():
        assert "${{" not in step.get("run", "")
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/checkout@v1"))
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False
    expressions = set(re.findall(r"\$\{\{(.*?)\}\}", WORKFLOW.read_text()))
    allowed = r"github\.event\.pull_request\.(base|head)\.sha|steps\.\w+\.outputs\.page_url"
    assert all(re.fullmatch(allowed, e.strip()) for e in expressions)
    installed = [s["run"] for s in workflow()["jobs"]["validate"]["steps"] if "pip install" in s.get("run", "")]
    assert installed and all("./base" in line for line in installed)


def test_every_command_of_the_workflow_exists_with_its_options():
    lines = [line for step in steps() for line in step.get("run", "").splitlines()]
    commands = [shlex.split(line) for line in lines if line.strip().startswith("bench3d ")]
    assert {" ".join(c[1:3]) for c in commands} >= {"leaderboard validate", "leaderboard build"}
    for command in commands:
        node, words = typer.main.get_command(app), command[1:]
        while hasattr(node, "get_command"):
            node, words = node.get_command(typer.Context(node), words[0]), words[1:]
            assert node is not None, command
        known = {o for p in node.params for o in (*p.opts, *p.secondary_opts)}
        assert {w for w in words if w.startswith("--")} <= known, command
