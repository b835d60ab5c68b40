"""`bench3d results show | diff | merge` on really made records, as a user calls them."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from result_folders import ACCURACY, MEDIAN, make_run, samples_of

from bench3d.cli.results_lookup import LateProgress
from bench3d.records import Marks, read_record

GOOD = {"car": [5, 10, 15, 20, 12, 50] * 6, "chair": [8, 9, 10, 70, 12, 3] * 6}
BAD = {"car": [95, 10, 85, 90, 12, 150] * 6, "chair": [88, 99, 10, 70, 120, 33] * 6}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good runs, one of them random, a synthetic one, a failed one, a broken one."""
    results = tmp_path / "results"
    make_run(results, GOOD, backbone="good", time="2026-01-02T00:00:00Z")
    make_run(results, BAD, backbone="bad", time="2026-01-01T00:00:00Z")
    make_run(results, BAD, backbone="untrained", marks=Marks(random_weights=True))
    dataset = {"name": "toys", "result_version": 1, "settings": {}, "synthetic": True, "fingerprints": {"car": "x"}}
    make_run(results, {"car": GOOD["car"]}, backbone="twin", measured={"dataset": dataset, "limit": 6})
    make_run(results, {"car": [1]}, backbone="fallen", status="failed", message="No memory.", scores=[], groups=[])
    broken = make_run(results, {"car": [1]}, backbone="broken")
    broken.write_text('{"schema": "bench3d.record/2", "label": 3}')
    return results


def identity(folder: Path, name: str) -> str:
    (path,) = folder.rglob(f"{name}-paper-*/record.json")
    return read_record(path).identity.hash


@pytest.mark.parametrize("command", ["show", "diff", "merge"])
def test_help_has_an_example(cli, command):
    answer = cli("results", command, "--help")
    assert answer.code == 0 and f"Example: bench3d results {command} " in answer.out


def test_show_says_what_lies_in_a_folder(cli, folder):
    answer = cli("results", "show", str(folder))
    assert answer.code == 0 and answer.err == ""
    lines = answer.out.splitlines()
    assert "toy-pose, paper  3 runs" in lines and "toy-pose, paper  1 run" in lines
    order = [next(i for i, line in enumerate(lines) if word in line) for word in (" good ", " bad ", " untrained ")]
    assert order == sorted(order)
    assert re.search(r"^1 a +good +83\.3 \[", lines[order[0]]) and re.search(r"^2 b +bad ", lines[order[1]])
    assert lines[order[2]].startswith("- ") and "random weights" in lines[order[2] + 1]
    assert "SYNTHETIC DATA · LIMITED to 6 samples of a category" in lines
    assert any(line.startswith("failed") and "No memory." in line for line in lines)
    (broken,) = (line for line in lines if "broken-paper" in line)
    assert "field label" in broken or "field" in broken


def test_show_filters_and_sorts(cli, folder):
    names = ("good", "bad", "untrained", "twin")

    def shown(*options: str) -> list[str]:
        out = cli("results", "show", str(folder), *options).out
        return [word for line in out.splitlines() for word in line.split()[:3] if word in names]

    assert shown("--sort", "name") == ["bad", "good", "untrained", "twin"]
    assert shown("--sort", "age") == ["good", "bad", "untrained", "twin"]
    assert shown("--metric", "median error") == ["good", "bad", "untrained", "twin"]
    assert shown("--status", "failed") == []
    out = cli("results", "show", str(folder), "--status", "failed").out
    assert "fallen" in out and "rank" not in out
    wrong = cli("results", "show", str(folder), "--metric", "median erro")
    assert wrong.code == 2 and "median error" in wrong.err
    wrong = cli("results", "show", str(folder), "--task", "toy-pos")
    assert wrong.code == 2 and "toy-pose" in wrong.err


def test_a_metric_in_place_of_the_headline_has_no_ranks(cli, folder):
    out = cli("results", "show", str(folder), "--metric", "median error").out
    assert "median error deg ↓" in out and not re.search(r"^rank +run", out, re.MULTILINE)


def test_show_as_json_and_csv(cli, folder, tmp_path):
    target = tmp_path / "all.csv"
    answer = cli("results", "show", str(folder), "--json", "--csv", str(target))
    value = json.loads(answer.out)
    real, twin = value["tables"]
    assert [row["title"] for row in real["rows"]] == ["good", "bad", "untrained"] and twin["synthetic"]
    cell = real["rows"][0]["cells"]["accuracy@30deg"]["mean"]
    assert cell["value"] == pytest.approx(250 / 3) and real["rows"][0]["rank"] == [1, 1]
    assert value["unfinished"][0]["status"] == "failed" and len(value["left_out"]) == 1
    with open(target, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    (line,) = (x for x in lines if (x["run"], x["metric"], x["category"]) == ("bad", "accuracy@30deg", "mean"))
    assert float(line["value"]) == pytest.approx(25.0) and line["rank_low"] == "2" and line["n"] == "72"
    assert cli("results", "show", str(folder), "--json", "--csv", "-").code == 2
    assert cli("results", "show", str(folder), "--csv", "-").out.startswith("table,task,protocol")


def test_show_one_run_by_path_folder_name_and_digits(cli, folder):
    whole = identity(folder, "good")
    (path,) = folder.rglob(f"*-{whole[:12]}")
    outs = [
        cli("results", "show", *arguments)
        for arguments in (
            [str(path)],
            [str(path / "record.json")],
            [whole[:6], "--results", str(folder)],
            [path.name, "--results", "nowhere", "--results", str(folder)],
        )
    ]
    assert {a.code for a in outs} == {0} and len({a.out for a in outs}) == 1
    out = outs[0].out
    for words in ("accuracy@30deg by azimuth", "000-090", "━", whole, "bench3d run", "commit", "oracles", "intrinsics"):
        assert words in out
    value = json.loads(cli("results", "show", str(path), "--json").out)
    assert value["record"]["identity"]["hash"] == whole and value["badge"] == "self-reported"


def test_digits_that_are_not_enough(cli, tmp_path):
    first = make_run(tmp_path / "r", {"car": [1]})
    whole = read_record(first).identity.hash
    assert cli("results", "show", whole[:5], "--results", str(tmp_path / "r")).code != 0
    answer = cli("results", "show", "0" * 6 if whole[0] != "0" else "1" * 6, "--results", str(tmp_path / "r"))
    assert answer.code == 2 and "No record of" in answer.err
    answer = cli("results", "show", str(tmp_path / "r" / "runs" / "toy-pose"), whole[:6])
    assert answer.code != 0


def test_an_empty_or_missing_folder_is_a_sentence(cli, tmp_path):
    (tmp_path / "empty").mkdir()
    answer = cli("results", "show", str(tmp_path / "empty"))
    assert answer.code == 0 and "No runs in" in answer.out
    assert cli("results", "show", str(tmp_path / "none")).code == 3


@pytest.mark.parametrize("width", ["60", "80", "120"])
def test_tables_fit_the_terminal(cli, folder, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    good, bad = identity(folder, "good"), identity(folder, "bad")
    for arguments in (["show", str(folder), "--status", "finished"], ["diff", good[:8], bad[:8]]):
        options = ["--results", str(folder)] if arguments[0] == "diff" else []
        for line in cli("results", *arguments, *options).out.splitlines():
            assert len(line.rstrip()) <= int(width) or str(folder) in line or "record.json" in line


def test_diff_of_two_runs(cli, folder):
    good, bad = identity(folder, "good"), identity(folder, "bad")
    answer = cli("results", "diff", good[:6], bad[:6], "--results", str(folder), "--samples", "3")
    assert answer.code == 0
    assert "The numbers may be compared" in answer.out and "backbone.name" in answer.out
    mean = r"mean +83\.3 +25\.0 +-58\.3 \[-\d+\.\d,\s-\d+\.\d\] +<0\.001 +72 +72"
    assert re.search(mean, answer.out)
    assert answer.out.count("car-0") + answer.out.count("chair-0") == 3
    value = json.loads(cli("results", "diff", good[:6], bad[:6], "--results", str(folder), "--json").out)
    assert value["comparable"] is True and value["samples"] == {"shared": 72, "only_a": 0, "only_b": 0}
    mean = value["metrics"][0]["differences"][-1]
    assert mean["category"] == "mean" and mean["difference"] == pytest.approx(-58.333, abs=1e-3)


def test_diff_says_why_numbers_may_not_be_compared(cli, folder):
    digits = [identity(folder, name)[:6] for name in ("good", "twin")]
    answer = cli("results", "diff", *digits, "--results", str(folder))
    assert answer.code == 0 and "may not be compared" in answer.out
    assert "B is on synthetic data" in answer.out and "36 in both, 36 only in A" in answer.out


def test_diff_of_two_folders(cli, tmp_path):
    make_run(tmp_path / "a", {"car": [10, 40]})
    make_run(tmp_path / "b", {"car": [10, 20]})
    make_run(tmp_path / "a", {"car": [10]}, backbone="same")
    make_run(tmp_path / "b", {}, backbone="same", samples=[dict(samples_of({"car": [10]})[0], pose_ms=99.0)])
    make_run(tmp_path / "b", {"car": [10]}, backbone="late")
    answer = cli("results", "diff", str(tmp_path / "a"), str(tmp_path / "b"))
    assert answer.code == 0
    assert "Only in B: 1" in answer.out and "In both: 2" in answer.out and "CHANGED" in answer.out
    assert "1 of 2 samples differ; most in error_deg of car-001: 40 and 20" in answer.out
    value = json.loads(cli("results", "diff", str(tmp_path / "a"), str(tmp_path / "b"), "--json").out)
    assert [len(value[k]) for k in ("only_a", "only_b", "same", "changed")] == [0, 1, 1, 1]
    answer = cli("results", "diff", str(tmp_path / "a"), str(next(tmp_path.rglob("late-paper-*"))))
    assert answer.code == 2 and "is one run" in " ".join(answer.err.split())


def test_merge_tells_what_it_does_and_refuses_what_is_broken(cli, tmp_path):
    make_run(tmp_path / "a", {"car": [10, 40]})
    make_run(tmp_path / "b", {"car": [10, 40]}, backbone="rgb")
    make_run(tmp_path / "b", {"car": [10, 10]})
    into = tmp_path / "all"
    words = ["results", "merge", str(tmp_path / "a"), str(tmp_path / "b"), "--into", str(into)]
    answer = cli(*words, "--dry-run")
    assert answer.code == 0 and "2 would be copied" in answer.out and not into.exists()
    answer = cli(*words)
    assert answer.code == 0 and "2 copied" in answer.out and "1 there with other numbers: kept" in answer.out
    assert "accuracy@30deg 100, 50 stands" in answer.out
    next((tmp_path / "a").rglob("samples.jsonl")).write_text("")
    words[-1] = str(tmp_path / "new")
    answer = cli(*words, "--json")
    counts = json.loads(answer.out)["runs"]["counts"]
    assert answer.code == 3 and (counts["refused"], counts["copied"]) == (1, 2)


EVIL = "[bold]x[/bold]\x1b[31m=cmd|' /C calc'!A0\u202e"


def test_texts_of_strangers_act_on_nobody(cli, tmp_path):
    """Rich markup stays text, escapes go, formulas are no formulas."""
    evil = replace(ACCURACY, name="=1+1[red]")
    run = make_run(tmp_path / "r", {"car": [10, 40]}, metrics=[evil, MEDIAN])
    make_run(tmp_path / "r", {"car": [10]}, backbone="fallen", status="failed", scores=[])
    for path in (tmp_path / "r").rglob("record.json"):
        value = json.loads(path.read_text())
        value |= {"label": EVIL, "message": EVIL, "notes": [EVIL]}
        value["provenance"] |= {"command": EVIL, "device": EVIL}
        path.write_text(json.dumps(value))
    outs = [
        cli("results", "show", str(tmp_path / "r"), "--csv", str(tmp_path / "o.csv")).out,
        cli("results", "show", str(run)).out,
        cli("results", "diff", str(run), str(run)).out,
        cli("results", "merge", str(tmp_path / "r"), "--into", str(tmp_path / "into"), "--json").out,
    ]
    assert all("\x1b" not in out and "\u202e" not in out for out in outs)
    assert all("[bold]x[/bold]" in out for out in outs)
    with open(tmp_path / "o.csv", newline="", encoding="utf-8") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert "'=1+1[red]" in cells and not any(cell.startswith(("=", "@", "+")) for cell in cells)


def test_progress_is_silent_where_a_stage_is_short(capsys):
    with LateProgress(late=60.0) as progress:
        progress.start("short", 2)
        progress.advance()
        progress.advance()
    assert capsys.readouterr().err == ""
    with LateProgress(late=0.0) as progress:
        progress.start("long", 3)
        for _ in range(3):
            progress.advance()
    assert "long: 3/3" in capsys.readouterr().err
