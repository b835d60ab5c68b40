"""What changed between two builds: hand-made pairs."""

from __future__ import annotations

import json
from dataclasses import replace

from boards import board, row

from bench3d.leaderboard.board import MEAN
from bench3d.leaderboard.board_file import board_json
from bench3d.leaderboard.changes import apart, changes


def before(made=None):
    return json.loads(json.dumps(board_json(made or board())))


def with_rows(*rows, table=0):
    made = board()
    tables = list(made.tables)
    tables[table] = replace(tables[table], rows=rows)
    return replace(made, tables=tables)


def told(found):
    return [(c.kind, c.row_title or c.table_title, c.words) for c in found.changes]


def test_the_first_build_has_nothing_to_compare_with():
    found = changes(None, board())
    assert found.since is None and not found.changes and found.sections() == []
    assert "first build" in found.summary()


def test_the_same_board_has_not_changed():
    found = changes(before(), replace(board(), made="2001-01-01T00:00:00Z"))
    assert not found.changes and found.summary() == "Since the build of 2000-01-02T00:00:00Z: nothing changed."


def test_rows_come_and_go_and_ranks_move():
    dinov2, clip, mae, untrained = board().tables[0].rows
    new = row("dinov3", 80.0, (1, 1), "a")
    now = with_rows(new, replace(dinov2, rank=(2, 3)), replace(clip, rank=None, ranked=False), untrained)
    found = changes(before(), now)
    assert told(found) == [
        ("new-row", "dinov3 + common3d", "accuracy@30deg 80 %, rank 1"),
        ("gone-row", "mae + common3d", "accuracy@30deg 40 %"),
        ("rank", "dinov2 + common3d", "rank 1-2 to 2-3"),
        ("rank", "clip + common3d", "rank 1-2 to none"),
    ]
    come, gone, moved, _ = found.changes
    assert (come.row, come.after) == (new.id, (1, 1)) and gone.row == mae.id
    assert (moved.before, moved.after) == ((1, 2), (2, 3))
    assert found.summary() == "Since the build of 2000-01-02T00:00:00Z: 1 new run, 1 run gone, 2 moved ranks."


def test_another_score_of_the_same_measurement_is_suspicious_and_comes_first():
    first, *rest = board().tables[0].rows
    cells = {m: dict(c) for m, c in first.cells.items()}
    cells["accuracy@30deg"][MEAN] = replace(cells["accuracy@30deg"][MEAN], value=75.02)
    cells["median error"]["bus"] = replace(cells["median error"]["bus"], value=1.0)
    del cells["median error"]["car"]
    found = changes(before(), with_rows(replace(first, cells=cells, badge="re-run"), *rest))
    assert told(found) == [
        ("rescored", "dinov2 + common3d", "accuracy@30deg of mean 75.00 to 75.02 %, and 2 more scores"),
        ("badge", "dinov2 + common3d", "self-reported to re-run"),
    ]
    assert [c.suspicious for c in found.changes] == [True, False]
    assert (found.changes[0].before, found.changes[0].after) == (75.0, 75.02)
    assert found.sections()[0].lines()[0].startswith("t, paper: dinov2 + common3d: accuracy@30deg of mean 75.00")


def test_scores_that_are_gone_are_told_and_new_ones_are_no_change():
    first, *rest = board().tables[0].rows
    fewer = replace(first, cells={"accuracy@30deg": first.cells["accuracy@30deg"]})
    assert told(changes(before(), with_rows(fewer, *rest))) == [
        ("rescored", "dinov2 + common3d", "4 scores no longer there")
    ]
    assert not changes(before(with_rows(fewer, *rest)), board()).changes


def test_a_number_beyond_the_digits_of_the_file_is_no_change():
    first, *rest = board().tables[0].rows
    cells = {m: dict(c) for m, c in first.cells.items()}
    cells["accuracy@30deg"][MEAN] = replace(cells["accuracy@30deg"][MEAN], value=75.0 + 1e-9)
    assert not changes(before(), with_rows(replace(first, cells=cells), *rest)).changes


def test_tables_come_and_go_without_their_rows():
    real, twin = board().tables
    found = changes(before(replace(board(), tables=(real,))), replace(board(), tables=(twin,)))
    assert told(found) == [("new-table", twin.title, "2 runs"), ("gone-table", real.title, "4 runs")]


def test_long_lists_are_cut():
    many = [row(f"model-{i:02d}", 50.0 - i, (i + 1, i + 1)) for i in range(49)]
    (section,) = changes(before(with_rows()), with_rows(*many)).sections(12)
    assert section.more == 37 and len(section.changes) == 12
    assert section.lines()[-1] == "and 37 more"
    value = changes(before(with_rows()), with_rows(*many)).as_json(5)
    assert value["counts"] == {"new-row": 49} and len(value["changes"]) == 5


def test_numbers_are_shown_apart():
    assert apart(75.01, 75.02) == "75.01 to 75.02" and apart(1e-12, 2e-12) == "1e-12 to 2e-12"
