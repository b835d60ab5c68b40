"""Tables as files: hand-worked contents, and texts of strangers in every place of every format."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from boards import board
from hypothesis import given
from hypothesis import strategies as st

from bench3d.errors import DataError
from bench3d.leaderboard.board import MEAN, Cell, ReportedRow
from bench3d.leaderboard.board_file import BRIEF_FROM, board_text
from bench3d.leaderboard.exports import COLUMNS, export_all, long_rows, read_board_json, table_csv, to_frame
from bench3d.leaderboard.latex import escape_latex, latex_table
from bench3d.leaderboard.markdown import escape_markdown, markdown_table

HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd|'/C calc'!A0",
    "@SUM(A1:A9)",
    "\x1b[31mred\x1b]0;title\x07 \u202egnp.exe",
    "\\input{/etc/passwd}",
    "| a | b |",
    "[x](javascript:alert(1)) `code` **bold** ![i](http://evil.example/a.png)",
    "*star",
    "[opt] \\\\ & % $x^2$ ~ # {a} --limit ,, ''",
    "\\end{tabular}\\write18{id}",
)
FORMULA = re.compile(r"^\s*[=+\-@\t\r]")


def table(**changes):
    """dinov2 best with a Student's interval, clip tied, mae without a bus, a random one; one reported row."""
    found = board().tables[0]
    first, second, third, last = found.rows
    first = _with(first, MEAN, best=True, tied=True, method="student-t")
    second = _with(second, MEAN, best=False, tied=True)
    few = {m: {c: cell for c, cell in cells.items() if c != "bus"} for m, cells in third.cells.items()}
    third = replace(third, cells=few, coverage=(2, 3), variant="rank 8")
    rough = replace(found.reported[0], setting="no labels", read_off=True)
    return replace(found, rows=(first, second, third, last), reported=(rough,), **changes)


def _with(row, category, **changes):
    cells = {m: dict(c) for m, c in row.cells.items()}
    cells["accuracy@30deg"][category] = replace(cells["accuracy@30deg"][category], **changes)
    return replace(row, cells=cells)


def hostile_table():
    """Every text that a record or a reported row gives, hostile."""
    found = board().tables[0]
    rows = [
        replace(found.rows[i % 4], title=bad, variant=bad, backbone=bad, adapter=bad, shape_model=bad, flags=(bad,))
        for i, bad in enumerate(HOSTILE)
    ]
    rows[0] = replace(rows[0], cells={m: {HOSTILE[5]: Cell(value=1, n=1)} | dict(c) for m, c in rows[0].cells.items()})
    rows[3] = replace(rows[3], unranked_because=HOSTILE[4])
    reported = [
        ReportedRow(
            method=bad, setting=bad, values={found.headline: {MEAN: -5.0}}, source=bad, where=bad, citation=bad,
            differs=bad, read_off=True,
        )
        for bad in HOSTILE
    ]  # fmt: skip
    metrics = (*found.metrics, replace(found.metrics[1], name=HOSTILE[5], unit=HOSTILE[0]))
    return replace(
        found, rows=rows, reported=reported, notes=HOSTILE, summary=HOSTILE[6], settings=HOSTILE[8], oracles=HOSTILE,
        dataset=HOSTILE[4], metrics=metrics, categories=(*found.categories, HOSTILE[5], HOSTILE[8]),
    )  # fmt: skip


def test_markdown_by_hand():
    expected = """\
# t, paper

t, paper. A made-up task. Data: d. Oracles: crop. Categories show accuracy@30deg \\[%\\] ↑.

| Rank | Model | bus | car | chair | accuracy@30deg \\[%\\] ↑ | median error \\[deg\\] ↓ |
| ---: | :--- | ---: | ---: | ---: | ---: | ---: |
| 1–2 | dinov2 + common3d | 65.0 | 75.0 | 85.0 | **75.0**<sup>†</sup> <sub>[72.0, 78.0]</sub> | 25.0 |
| 1–2 | clip + common3d | 62.0 | 72.0 | 82.0 | <ins>72.0</ins> <sub>[69.0, 75.0]</sub> | 28.0 |
| 3 | mae + common3d, rank 8 (2 of 3 categories) | – | 40.0 | 50.0 | 40.0 <sub>[37.0, 43.0]</sub> | 60.0 |
| – | untrained + common3d (random weights) | −1.0 | 9.0 | 19.0 | 9.0 <sub>[6.0, 12.0]</sub> | 91.0 |
|  | chance (random start) | 7.0 | 7.0 | 7.0 | 7.0 | – |
|  | **Reported by papers** |  |  |  |  |  |
|  | Common3D (no labels) <sup>1</sup> | 82.9<sup>‡</sup> | 99.3<sup>‡</sup> | 67.8<sup>‡</sup> | 75.3<sup>‡</sup> | – |

- Bold: best of its column; underlined: does not differ significantly from the best (paired tests, Holm).
- Ranks are the interval that the tests leave.
- Brackets: 95 % interval of the bootstrap over clusters.
- <sup>†</sup> 95 % interval of Student's t: fewer than 30 effective clusters.
- Below the rule: as reported by the papers, never ranked.
- <sup>‡</sup> read off a plot (about half a point), not printed as a number.
- <sup>1</sup> Common3D, CVPR 2025, Table 8. Not measured as here: mean over seven categories.
"""
    assert markdown_table(table()) == expected


def test_latex_by_hand():
    lines = latex_table(table(), version="0").splitlines()
    assert r"1--2 & clip + common3d & 62.0 & 72.0 & 82.0 & \underline{72.0} {\tiny {[}69.0, 75.0{]}} & 28.0 \\" in lines
    best = next(line for line in lines if line.startswith("1--2 & dinov2"))
    assert r"\textbf{75.0}\textsuperscript{\dag{}}" in best
    assert any(line.startswith(r"-- & untrained + common3d (random weights) & \ensuremath{-}1.0 &") for line in lines)
    assert lines.index(r"\multicolumn{7}{@{}l}{\emph{Reported by papers}} \\") > lines.index(best)
    ruled = [i for i, line in enumerate(lines) if line == r"\midrule"]
    assert len(ruled) == 4  # below the header, and above rows without a rank, chance and reported rows
    assert r"\caption{t, paper. A made-up task. Data: d. Oracles: crop.}" in lines


def test_csv_by_hand():
    rows = list(csv.DictReader(io.StringIO(table_csv(table()))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 2 * (4 + 4 + 3 + 4) + 4
    best = next(r for r in rows if r["title"].startswith("dinov2") and r["category"] == MEAN and r["unit"] == "%")
    assert (best["value"], best["low"], best["high"], best["method"]) == ("75.0", "72.0", "78.0", "student-t")
    assert (best["n"], best["clusters"], best["chance"]) == ("300", "120", "7.0")
    assert (best["rank_low"], best["rank_high"], best["groups"], best["ranked"]) == ("1", "2", "a", "yes")
    assert [r for r in rows if r["rank_low"] and (r["category"] != MEAN or r["metric"] != "accuracy@30deg")] == []
    untrained = next(r for r in rows if r["backbone"] == "untrained")
    assert (untrained["value"], untrained["ranked"], untrained["marks"]) == ("-1.0", "no", "random-weights")
    reported = [r for r in rows if r["source"] == "reported"]
    assert [(r["category"], r["value"], r["low"], r["identity"], r["ranked"]) for r in reported] == [
        ("bus", "82.9", "", "", "no"), ("car", "99.3", "", "", "no"), ("chair", "67.8", "", "", "no"),
        (MEAN, "75.3", "", "", "no"),
    ]  # fmt: skip
    assert reported[0]["marks"] == "read-off;differs: mean over seven categories"
    assert reported[0]["cited"] == "CVPR'25 Common3D, Table 8"


def test_digits_follow_the_unit_and_there_is_no_negative_zero():
    found = board().tables[0]
    metric = replace(found.metrics[0], unit="")
    cells = {MEAN: Cell(value=-0.0001, n=3, chance=0.5), "bus": Cell(value=0.2345, n=3, chance=0.25)}
    row = replace(found.rows[0], cells={metric.name: cells})
    text = markdown_table(replace(found, metrics=(metric,), rows=(row,), reported=(), categories=("bus", "car")))
    assert "| 1–2 | dinov2 + common3d | 0.234 | – | 0.000 |" in text or "| 0.235 | – | 0.000 |" in text
    assert "| chance (" not in text and "|  | chance | 0.250 | – | 0.500 |" in text


def test_columns_of_one_category_are_its_mean_alone():
    found = board().tables[0]
    assert markdown_table(replace(found, categories=("all",), reported=())).splitlines()[4].count("|") == 5


def test_a_table_that_nobody_measured_shows_what_papers_report():
    alone = replace(table(), rows=(), comparisons=0)
    text = markdown_table(alone)
    assert "75.3<sup>‡</sup>" in text and "nobody has measured it here" in text and "rule" not in text
    assert "Bold" not in text and "Ranks" not in text and latex_table(alone).count(r"\midrule") == 1
    assert {r[COLUMNS.index("source")] for r in long_rows(alone)} == {"reported"}


def test_many_columns_keep_the_interval_of_the_headline_alone():
    found = board().tables[0]
    more = [replace(found.metrics[1], name=f"other {i}", unit="%") for i in range(9)]
    cells = {m.name: {MEAN: Cell(value=5, n=9, interval=(4, 6), method="student-t")} for m in more}
    row = replace(found.rows[0], cells={**found.rows[0].cells, **cells})
    text = markdown_table(replace(found, metrics=(*found.metrics, *more), rows=(row,)))
    assert text.count("<sub>[") == 1 and "[72.0, 78.0]" in text
    assert "Student" not in text  # a mark that stands nowhere is not explained


def test_hostile_texts_in_csv():
    rows = list(csv.reader(io.StringIO(table_csv(hostile_table()))))
    numbers = {COLUMNS.index(c) for c in ("value", "low", "high", "chance")}
    assert {len(row) for row in rows} == {len(COLUMNS)}
    bad = [cell for row in rows for i, cell in enumerate(row) if i not in numbers and FORMULA.match(cell)]
    assert bad == []
    assert "'=cmd|'/C calc'!A0" in {row[1] for row in rows}
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", table_csv(hostile_table()))


def test_hostile_texts_in_markdown():
    text = markdown_table(hostile_table())
    lines = [line for line in text.splitlines() if line.startswith("|")]
    pipes = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines}
    assert pipes == {2 + len(hostile_table().categories) + 3 + 1}  # rank, model, categories, means; one more than cells
    assert set(re.findall(r"</?\w+", text)) <= {"<sup", "</sup", "<sub", "</sub", "<ins", "</ins"}
    assert not re.search(r"(?<!\\)\]\(", text) and "http://" not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)


def test_markdown_means_what_it_escapes():
    """The escapes of our own against CommonMark's rules: a backslash before ASCII punctuation, and entities."""
    for bad in HOSTILE:
        escaped = escape_markdown(bad)
        shown = re.sub(r"&#(\d+);", lambda m: chr(int(m[1])), re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escaped))
        shown = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        assert shown == re.sub("\x1b\\[31m|\x1b\\]0;title\x07|\u202e", "", bad)
    assert escape_markdown("# head") == r"\# head" and escape_markdown("1. one") == r"1\. one"
    assert escape_markdown("- item") == r"\- item" and escape_markdown("www.a.b") == "www&#46;a.b"


@given(st.text(max_size=60))
def test_latex_holds_no_command_of_others(text):
    escaped = escape_latex(text)
    known = (
        r"\\(?:text(?:backslash|ascii(?:circum|tilde|grave)|less|greater|bar)|d?dag|dots)\{\}|\\ensuremath\{[^{}]*\}"
    )
    rest = re.sub(known + r"|\\[{}$&#%_]|\{\}|\{\[\}|\{\]\}|\{\*\}", "", escaped)
    assert not re.search(r"[\\{}$&#%_^~\[\]*\n]", rest)
    assert escape_latex("--- ,, ''") == "-{}-{}- ,{}, '{}'"


def test_hostile_latex_compiles(tmp_path):
    document = "\\documentclass{{article}}\\usepackage{{booktabs,graphicx}}\\begin{{document}}\n{}\\end{{document}}\n"
    text = latex_table(hostile_table())
    assert "input{" not in text and "write18{" not in text
    rows = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    ends = [line for line in rows.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in ends} == {len(hostile_table().categories) + 4}
    if shutil.which("pdflatex"):
        (tmp_path / "all.tex").write_text(document.format(text + latex_table(table())), encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "all.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:]
        assert "Overfull" not in done.stdout


def test_board_json_comes_back(tmp_path):
    made = replace(board(), tables=(hostile_table(), board().tables[1]))
    files = export_all(made, tmp_path)
    assert [f.relative_to(tmp_path).as_posix() for f in files] == [
        "tables/t-paper.csv", "tables/t-paper.md", "tables/t-paper.tex", "tables/t-paper-synthetic.csv",
        "tables/t-paper-synthetic.md", "tables/t-paper-synthetic.tex", "board.json",
    ]  # fmt: skip
    value = read_board_json(tmp_path / "board.json")
    assert value["schema"] == "bench3d.board/1" and value["refused"][0]["path"] == "runs/t/broken/record.json"
    row = value["tables"][1]["rows"][0]
    assert row["title"] == "hog + common3d" and row["rank"] == [1, 1] and row["marks"] == ["synthetic-data"]
    cell = dict(zip(value["cell_fields"], row["cells"]["accuracy@30deg"][MEAN], strict=True))
    assert cell == {"value": 60.0, "low": 57.0, "high": 63.0, "n": 300, "clusters": 120, "chance": 7.0, "mark": "b"}
    assert value["tables"][1]["metrics"][0]["chance"] == "random start" and value["correlations"][0]["rho"] == 1.0
    assert row["curve"]["accuracy@30deg"][0] == ["000-030", 60.0, 56.0, 64.0, 25]
    assert "record" not in row and "entry" not in row
    assert board_text(made) == (tmp_path / "board.json").read_text()
    assert sum(line.startswith('{"id"') for line in board_text(made).splitlines()) == 2 + 10 + 2  # tables, rows


def test_large_boards_leave_out_what_the_records_have(tmp_path):
    found = board().tables[0]
    large = replace(board(), tables=(replace(found, rows=found.rows * (BRIEF_FROM // 4)),))
    export_all(large, tmp_path)
    row = read_board_json(tmp_path / "board.json")["tables"][0]["rows"][0]
    assert "curve" not in row and set(row["cells"]["median error"]) == {"bus", "car", "chair", MEAN}
    rows = list(csv.DictReader(io.StringIO((tmp_path / "tables" / "t-paper.csv").read_text(encoding="utf-8"))))
    assert {r["category"] for r in rows if r["metric"] == "median error"} == {MEAN}
    assert {r["category"] for r in rows if r["metric"] == "accuracy@30deg"} == {"bus", "car", "chair", MEAN}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "no JSON"),
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no object"),
        (b'{"schema": "bench3d.board/9", "made": "", "tables": []}', "field schema"),
        (b'{"schema": "bench3d.board/1", "made": "", "tables": [{"id": 3}]}', "field tables.0.id"),
    ],
)
def test_a_broken_board_json_is_told(tmp_path, content, told):
    path = tmp_path / "board.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=told) as caught:
        read_board_json(path)
    assert str(path) in str(caught.value)


def test_a_cell_of_another_form_is_told(tmp_path):
    value = json.loads(board_text(board()))
    value["tables"][0]["rows"][1]["cells"]["accuracy@30deg"]["bus"] = ["x", 1]
    (tmp_path / "board.json").write_text(json.dumps(value))
    with pytest.raises(DataError, match=r"field tables\.0\.rows\.1\.cells\.accuracy@30deg\.bus"):
        read_board_json(tmp_path / "board.json")


def test_a_frame_has_every_long_row():
    pandas = pytest.importorskip("pandas")
    frame = to_frame(board())
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == sum(1 for t in board().tables for _ in long_rows(t))
    means = frame[(frame.table == "t-paper") & (frame.category == MEAN) & (frame.metric == "accuracy@30deg")]
    assert means[means.source == "measured"].value.tolist() == [75.0, 72.0, 40.0, 9.0]


def test_a_table_that_names_no_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no id"):
        export_all(replace(board(), tables=(replace(board().tables[0], id="../x"),)), Path(tmp_path))
