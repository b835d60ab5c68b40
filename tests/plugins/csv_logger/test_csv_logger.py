import csv
import errno
import os
import subprocess
import sys

import pytest

from bench3d.errors import OutputError
from bench3d.plugins.logs import Logger
from bench3d_plugins.csv_logger import lines
from bench3d_plugins.csv_logger.lines import append
from bench3d_plugins.csv_logger.tables import create

TINY = [
    "--task", "pf-willow", "--synthetic", "--set", "data.categories=[car]", "--set", "data.train_instances=2",
    "--set", "data.test_images=2", "--set", "data.pairs=2", "--set", "data.image_size=48",
]  # fmt: skip
GRID = """
backbones: [noise, rgb]
tasks: pf-willow
synthetic: true
set: {data.categories: [car], data.train_instances: 2, data.test_images: 2, data.pairs: 2, data.image_size: 48}
"""


def read(path):
    with open(path, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_a_record_is_a_line(logged, tmp_path):
    tables = create(str(tmp_path / "new"))
    tables.run_finished(logged())
    tables.run_finished(logged(status="failed", scores=[], marks={}, message='=1+1\nand, "more"'))
    first, second = read(tmp_path / "new" / "runs.csv")
    assert first == {
        "identity": logged().identity.hash, "label": "noise-image", "status": "finished", "task": "pf-willow",
        "protocol": "image", "headline": "PCK@0.1", "unit": "%", "value": "37.5", "low": "12.25", "high": "62.75",
        "n": "10", "marks": "synthetic-data limit=5", "seconds": "1.5", "fit_seconds": "", "memory_bytes": "1000",
        "time": "2026-01-01T00:00:00+00:00", "message": "",
    }  # fmt: skip
    assert (second["value"], second["low"], second["n"], second["marks"]) == ("", "", "", "")
    assert second["message"] == '\'=1+1 and, "more"'


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("-x", "'-x"),
        ("@a", "'@a"),
        ("-1.5", "-1.5"),
        (-1.5, "-1.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        ("a\0b\r", "a b"),
    ],
)
def test_no_cell_is_a_formula_and_no_number_loses_digits(tmp_path, cell, shown):
    append(tmp_path / "t.csv", ["cell"], [[cell]])
    assert read(tmp_path / "t.csv") == [{"cell": shown}]


def test_reports_of_a_fit(tmp_path):
    tables = create(str(tmp_path))
    recipe = "0123456789abcdef" * 4
    tables.fit_step("smoothap-lora", None, recipe, "training", 50, {"loss": 1.25, "lr": 1e-4})
    tables.fit_step("smoothap-lora", None, recipe, "training", 100, {"score": 0.5})
    rows = read(tmp_path / "fits" / "smoothap-lora-all-0123456789ab.csv")
    assert [(r["stage"], r["step"], r["name"], float(r["value"])) for r in rows] == [
        ("training", "50", "loss", 1.25), ("training", "50", "lr", 1e-4), ("training", "100", "score", 0.5),
    ]  # fmt: skip


def test_many_processes_append_whole_lines_under_one_header(tmp_path):
    code = (
        "import sys; from pathlib import Path; from bench3d_plugins.csv_logger.lines import append\n"
        "for n in range(200): append(Path(sys.argv[1]), ['who', 'n', 'text'], [[sys.argv[2], n, 'x' * 5000]])"
    )
    path = tmp_path / "t.csv"
    started = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(4)]
    assert [p.wait(60) for p in started] == [0] * 4
    rows = read(path)
    assert len(rows) == 800 and {len(r["text"]) for r in rows} == {5000}
    for who in "0123":
        assert [r["n"] for r in rows if r["who"] == who] == [str(n) for n in range(200)]


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    append(path, ["n"], [[1]])
    before, write = path.read_bytes(), os.write

    def full(handle, content):
        write(handle, content[:3])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(lines.os, "write", full)
    with pytest.raises(OutputError, match="disk is full"):
        append(path, ["n"], [["many digits"]])
    monkeypatch.setattr(lines.os, "write", lambda handle, content: write(handle, content[:3]))
    with pytest.raises(OutputError, match="disk is full"):
        append(path, ["n"], [["many digits"]])
    assert path.read_bytes() == before


def test_a_file_of_somebody_else_is_left_alone(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("mine;yours\n1;2\n")
    with pytest.raises(OutputError, match=r"runs\.csv has other columns"):
        append(path, ["n"], [[1]])
    assert path.read_text() == "mine;yours\n1;2\n"
    path.write_text("n\n1\n2")  # without the last line's end
    append(path, ["n"], [[3]])
    assert [r["n"] for r in read(path)] == ["1", "2", "3"]


def bench3d(arguments, cwd, **environment):
    given = {k: v for k, v in os.environ.items() if k != "BENCH3D_LOG"}
    return subprocess.run(
        [sys.executable, "-c", "from bench3d.cli.main import run; run()", *arguments],
        cwd=cwd, env={**given, **environment}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def test_nothing_is_written_without_being_asked_for(home):
    done = bench3d(["run", "--backbone", "noise", *TINY, "--data", "data"], home)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in home.iterdir()) == ["bench3d-results", "data"]


def test_the_processes_of_a_grid_write_to_one_file(home):
    (home / "grid.yaml").write_text(GRID)
    arguments = ["grid", "run", "grid.yaml", "--data", "data", "--results", "other", "--workers", "2"]
    done = bench3d(arguments, home, BENCH3D_LOG="csv:my logs")
    assert done.returncode == 0, done.stderr
    rows = read(home / "my logs" / "runs.csv")
    records = {p.parent.name.rsplit("-", 1)[1] for p in (home / "other").glob("runs/*/*/record.json")}
    assert len(rows) == 2 and {r["identity"][:12] for r in rows} == records
    assert {r["status"] for r in rows} == {"finished"} and {r["task"] for r in rows} == {"pf-willow"}


def test_a_logger_that_cannot_write_says_so_once_and_raises_nothing(logged, tmp_path, monkeypatch, caplog):
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("BENCH3D_LOG", f"csv:{tmp_path / 'taken'}")
    logger = Logger("csv")
    for _ in range(2):
        logger.tell("run_finished", record=logged())
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        f"The logger csv writes nothing more in this process: {tmp_path / 'taken'} cannot be written: a file stands "
        "where a folder is needed."
    ]
