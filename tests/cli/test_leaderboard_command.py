"""`bench3d leaderboard build | serve` on really made records, as a user calls them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from result_folders import make_run

from bench3d.records import Marks

GOOD = {"car": [5, 10, 15, 20, 12, 50] * 6, "chair": [8, 9, 10, 70, 12, 3] * 6}
BAD = {"car": [95, 10, 85, 90, 12, 150] * 6, "chair": [88, 99, 10, 70, 120, 33] * 6}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good run, a bad one, an untrained one, a broken one."""
    results = tmp_path / "results"
    make_run(results, GOOD, backbone="good")
    make_run(results, BAD, backbone="bad")
    make_run(results, BAD, backbone="untrained", marks=Marks(random_weights=True))
    make_run(results, {"car": [1]}, backbone="broken").write_text('{"schema": "bench3d.record/2", "label": 3}')
    return results


def test_a_build_and_what_changed_in_the_next(cli, folder, tmp_path):
    site = tmp_path / "site"
    first = cli("leaderboard", "build", "--results", str(folder), "--out", str(site), "--no-pictures")
    assert first.code == 0, first.err
    assert re.search(r"toy-pose, paper +3 +2\b", first.out)
    assert "field label" in first.out and "broken-paper" in first.out
    assert "3 runs · 1 table ·" in first.out and f"Open {site / 'index.html'}" in first.out
    assert "Since the build" not in first.out and first.err == ""
    table, *_ = json.loads((site / "board.json").read_text())["tables"]
    assert {f"{table['id']}{suffix}" for suffix in (".csv", ".md", ".tex", ".html")} <= set(os.listdir(site / "tables"))
    assert (site / "index.html").is_file()

    make_run(folder, {"car": [1.0] * 36, "chair": [1.0] * 36}, backbone="better")
    again = cli("leaderboard", "build", "--results", str(folder), "--out", str(site), "--no-pictures")
    assert "1 new run, 2 moved ranks" in again.out
    assert "toy-pose, paper: good: rank 1 to 2" in again.out
    assert "toy-pose, paper: better: accuracy@30deg 100 %, rank 1" in again.out
    assert "1 new run, 2 moved ranks" in (site / "index.html").read_text()


def test_a_changed_score_of_the_same_run_is_told(cli, folder, tmp_path):
    site = tmp_path / "site"
    options = ("leaderboard", "build", "--results", str(folder), "--out", str(site), "--no-pictures")
    cli(*options)
    (record,) = folder.rglob("untrained-paper-*/record.json")
    value = json.loads(record.read_text())
    for score in value["scores"]:
        if (score["metric"], score["category"]) == ("accuracy@30deg", "mean"):
            score["value"] = 99.0
    record.write_text(json.dumps(value))
    answer = cli(*options)
    assert "Scores of the same measurement that differ from the last build" in answer.out
    assert "untrained" in answer.out and "to 99.0 %" in answer.out


def test_json_alone(cli, folder, tmp_path):
    answer = cli("leaderboard", "build", "--results", str(folder), "--out", str(tmp_path / "site"), "--json")
    value = json.loads(answer.out)
    assert value["runs"] == 3 and value["tables"][0]["ranked"] == 2 and len(value["refused"]) == 1
    assert value["bytes"] > 10_000 and set(value["seconds"]) == {"records", "board", "site", "exports", "all"}
    assert value["changes"]["since"] is None and Path(value["index"]).is_file()


def test_texts_of_strangers_reach_neither_terminal_nor_spreadsheet(cli, folder, tmp_path):
    for at, bad in enumerate(("=cmd|'/C calc'!A0", "<img src=x onerror=alert(1)>", "\x1b[31mred\x1b]0;x\x07")):
        make_run(folder, GOOD, backbone=bad, label=f"bad-{at}", notes=[bad], oracles=[bad])
    site = tmp_path / "site"
    answer = cli("leaderboard", "build", "--results", str(folder), "--out", str(site), "--no-reported")
    assert answer.code == 0 and "\x1b" not in answer.out + answer.err
    written = {
        p: p.read_text(encoding="utf-8") for s in ("csv", "md", "tex", "html", "json") for p in site.rglob(f"*.{s}")
    }
    assert not any("\x1b" in text for text in written.values())
    assert not any("<img src=x" in text for path, text in written.items() if path.suffix in (".md", ".html"))
    (table,) = (text for path, text in written.items() if path.suffix == ".csv")
    assert "'=cmd|'/C calc'!A0" in table and not re.search(r"(^|,)\"?=cmd", table, re.MULTILINE)


def test_nothing_to_show_says_what_to_do(cli, tmp_path):
    answer = cli("leaderboard", "build")
    assert answer.code == 2 and "no folder bench3d-results here" in answer.err and "--results DIR" in answer.err
    (tmp_path / "empty").mkdir()
    answer = cli("leaderboard", "build", "--results", str(tmp_path / "empty"))
    assert answer.code == 3 and "bench3d run" in answer.err
    make_run(tmp_path / "bad", {"car": [1]}, backbone="fallen", status="failed", message="No memory.", scores=[])
    answer = cli("leaderboard", "build", "--results", str(tmp_path / "bad"))
    assert answer.code == 3 and "No memory" in answer.err and not Path("site").exists()


def test_the_results_folder_here_needs_no_name(cli):
    make_run(Path("bench3d-results"), GOOD)
    assert cli("leaderboard", "build", "--no-reported").code == 0
    assert Path("site/index.html").is_file()


def test_committed_records_may_be_none_yet(cli, tmp_path):
    (tmp_path / "records").mkdir()
    answer = cli("leaderboard", "build", "--records", str(tmp_path / "records"))
    assert answer.code == 0 and "of what papers report alone" in answer.out and "0 runs" in answer.out


def test_what_is_not_ours_is_not_replaced(cli, folder, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    answer = cli("leaderboard", "build", "--results", str(folder), "--out", str(tmp_path / "thesis"))
    assert answer.code == 6 and os.listdir(tmp_path / "thesis") == ["chapter.tex"]


def test_an_unreadable_last_build_is_told_and_replaced(cli, folder, tmp_path):
    site = tmp_path / "site"
    cli("leaderboard", "build", "--results", str(folder), "--out", str(site))
    (site / "board.json").write_text("{")
    answer = cli("leaderboard", "build", "--results", str(folder), "--out", str(site))
    assert answer.code == 0 and "Not compared with the last build" in answer.out
    assert json.loads((site / "board.json").read_text())["schema"] == "bench3d.board/1"


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_builds_watches_and_ends_quietly(folder, tmp_path, number):
    words = ["leaderboard", "serve", "--results", str(folder), "--watch", "--no-pictures"]
    command = [sys.executable, "-c", "from bench3d.cli.main import run; run()", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "3 runs in 1 table."
        (url,) = re.findall(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.status == 200 and b"toy-pose" in answer.read()
        make_run(folder, {"car": [1.0] * 36, "chair": [1.0] * 36}, backbone="better")
        assert "1 new run" in process.stdout.readline()
        with urllib.request.urlopen(f"{url}board.json", timeout=10) as answer:
            assert len(json.load(answer)["tables"][0]["rows"]) == 4
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    assert "Traceback" not in out + err and "Error" not in err  # a slow machine shows progress there
    deadline = time.monotonic() + 20
    while list(tmp_path.glob("bench3d-site-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.glob("bench3d-site-*")) == []


def test_serve_wants_a_site(cli, tmp_path):
    answer = cli("leaderboard", "serve", "--out", str(tmp_path))
    assert answer.code == 3 and "leaderboard build" in answer.err
