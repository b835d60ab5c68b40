"""The tables of a board as files: CSV for programs, Markdown and LaTeX for papers, and the whole board as JSON."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3d.errors import UsageError
from bench3d.files import make_folder, write_text
from bench3d.leaderboard.board import MEAN, Board, Cell, ReportedRow, Row, Table
from bench3d.leaderboard.board_file import FILE, board_text, is_brief, marks_of, read_board_json, rounded
from bench3d.leaderboard.latex import latex_table
from bench3d.leaderboard.markdown import markdown_table
from bench3d.leaderboard.safety import csv_cell

if TYPE_CHECKING:
    import pandas

__all__ = ["COLUMNS", "FOLDER", "export_all", "long_rows", "read_board_json", "table_csv", "to_frame"]

FOLDER = "tables"
COLUMNS = (
    "identity", "title", "backbone", "adapter", "shape_model", "variant", "metric", "unit", "category", "value", "low",
    "high", "method", "n", "clusters", "chance", "rank_low", "rank_high", "groups", "ranked", "marks", "badge",
    "source", "cited",
)  # fmt: skip
"""Columns of the long form. `identity` are its first 12 digits, `source` is "measured" or "reported"; of a reported row
`title` is the method, `variant` its setting and `cited` where it stands."""
_ID = re.compile(r"[a-z0-9][a-z0-9-]*")
_safe = lru_cache(maxsize=4096)(csv_cell)


def export_all(board: Board, folder: Path) -> list[Path]:
    """Writes `tables/<id>.csv`, `.md` and `.tex` of every table, and `board.json`.

    Returns:
        the files, in the order of the board.

    Raises:
        OutputError: the folder cannot be written.
        ValueError: a table's id is no name of a file.
    """
    out = make_folder(folder / FOLDER)
    written, brief = [], is_brief(board)
    for table in board.tables:
        if _ID.fullmatch(table.id) is None:
            raise ValueError(f"{table.id!r} is no id of a table.")
        texts = {".csv": table_csv(table, brief)}
        if table.metrics:
            texts |= {".md": markdown_table(table), ".tex": latex_table(table, version=board.bench3d)}
        for suffix, text in texts.items():
            written.append(out / f"{table.id}{suffix}")
            write_text(written[-1], text)
    written.append(folder / FILE)
    write_text(written[-1], board_text(board))
    return written


def table_csv(table: Table, brief: bool = False) -> str:
    """The long form of a table. No spreadsheet takes a cell for a formula; numbers have six significant digits.

    `brief` leaves out the categories of all metrics but the headline, as is done on a board of `BRIEF_FROM` rows.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(v) for v in row] for row in long_rows(table, brief))
    return stream.getvalue()


def long_rows(table: Table, brief: bool = False) -> Iterator[list[Any]]:
    """Values of `COLUMNS` per row, metric and category; None where there is nothing. Texts are not escaped.

    Ranks and groups stand where they were found: with the mean of the headline.
    """
    units = {m.name: m.unit for m in table.metrics}
    for row in table.rows:
        names, about = _names(row), [row.ranked, ";".join(marks_of(row)), row.badge, "measured", None]
        for metric, cells in row.cells.items():
            for category, cell in cells.items():
                headline = metric == table.headline
                if headline or category == MEAN or not brief:
                    ranks = _ranks(row) if headline and category == MEAN else [None, None, None]
                    yield [*names, metric, units.get(metric, ""), category, *_numbers(cell), *ranks, *about]
    for reported in table.reported:
        for metric, values in reported.values.items():
            for category, value in values.items():
                yield [*_reported(reported, metric, units.get(metric, ""), category, value)]


def to_frame(board: Board) -> pandas.DataFrame:
    """All tables in the long form as one data frame, with the column `table` first.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise UsageError("Data frames need pandas.", "pip install pandas") from error
    rows = [[table.id, *row] for table in board.tables for row in long_rows(table)]
    return pandas.DataFrame(rows, columns=["table", *COLUMNS])


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return _safe(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


def _names(row: Row) -> list[Any]:
    return [row.id, row.title, row.backbone, row.adapter, row.shape_model, row.variant]


def _numbers(cell: Cell) -> list[Any]:
    low, high = cell.interval or (None, None)
    numbers = [rounded(cell.value), rounded(low, 5), rounded(high, 5)]
    return [*numbers, cell.method, cell.n, cell.clusters, rounded(cell.chance, 5)]


def _ranks(row: Row) -> list[Any]:
    low, high = row.rank or (None, None)
    return [low, high, row.groups]


def _reported(row: ReportedRow, metric: str, unit: str, category: str, value: float) -> list[Any]:
    names = [None, row.method, None, None, None, row.setting, metric, unit, category, rounded(value)]
    marks = ["read-off"] if row.read_off else []
    marks += [f"differs: {row.differs}"] if row.differs else []
    cited = ", ".join(part for part in (row.source, row.where) if part)
    return [*names, *[None] * 9, False, ";".join(marks), None, "reported", cited]
