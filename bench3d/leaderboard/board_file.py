"""A board as a JSON file, `bench3d.board/1`: everything but the records. What the next build is compared with.

    {"schema": "bench3d.board/1", "made": ISO 8601 in UTC, "bench3d": version,
     "cell_fields": the names of the members of a cell, "curve_fields": those of a point of a curve,
     "tables": [{id, task, protocol, ..., "metrics": [{name, unit, higher_is_better, chance}],
                 "rows": [{id, identity, title, ..., "cells": {metric: {category: cell}}, "curve": {metric: [point]}}],
                 "reported": [...]}],
     "correlations": [...], "refused": [...]}

Of a row what is empty is left out. The `mark` of a cell holds "b" (best of its column) or "e" (equal to it, as far
as tests tell), and "t" where the interval is Student's. Keys stand in one order and rows are lines, so that two builds
can be compared by `diff`. Numbers have six significant digits, intervals five: the records have all of them. A board of
`BRIEF_FROM` rows or more has no curves here, they are in the records too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bench3d.errors import DataError
from bench3d.leaderboard.board import Board, Cell, Correlation, Metric, ReportedRow, Row, Table

SCHEMA = "bench3d.board/1"
FILE = "board.json"
CELL_FIELDS = ("value", "low", "high", "n", "clusters", "chance", "mark")
CURVE_FIELDS = ("bin", "value", "low", "high", "n")
BRIEF_FROM = 400
_MOST_BYTES = 256_000_000
_ROW = ("id", "title", "backbone", "adapter", "shape_model", "model", "family", "variant", "ranked", "unranked_because",
        "rank", "groups", "coverage", "badge", "parameters", "fitted_parameters", "seconds_per_image",
        "memory_bytes")  # fmt: skip
_TABLE = ("id", "title", "task", "protocol", "summary", "dataset", "synthetic", "limited", "settings", "oracles",
          "headline", "categories", "comparisons", "notes")  # fmt: skip
_LINKED = ("table_x", "table_y", "rho", "interval", "p_value", "n", "random_weights")

JsonCell = tuple[float, float | None, float | None, int, int | None, float | None, str]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Metric(_Part):
    name: str
    unit: str
    higher_is_better: bool


class _Row(_Part):
    id: str
    identity: str
    title: str
    variant: str = ""
    rank: tuple[int, int] | None = None
    badge: str
    cells: dict[str, dict[str, JsonCell]]


class _Table(_Part):
    id: str
    title: str
    headline: str
    metrics: list[_Metric]
    rows: list[_Row]


class _Board(_Part):
    schema_: Literal["bench3d.board/1"]
    made: str
    tables: list[_Table]


def rounded(value: float | None, digits: int = 6) -> float | None:
    """So many significant digits; None for what is no number."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}")


def is_brief(board: Board) -> bool:
    """Whether the board is so large that its files leave out what the records have too."""
    return sum(len(table.rows) for table in board.tables) >= BRIEF_FROM


def board_json(board: Board) -> dict[str, Any]:
    """The JSON value of a board (see the top of this module)."""
    curves = not is_brief(board)
    return {
        "schema": SCHEMA,
        "made": board.made,
        "bench3d": board.bench3d,
        "cell_fields": list(CELL_FIELDS),
        "curve_fields": list(CURVE_FIELDS),
        "tables": [_table(t, curves) for t in board.tables],
        "correlations": [_correlation(c) for c in board.correlations],
        "refused": [asdict(r) for r in board.refused],
    }


def board_text(board: Board) -> str:
    """The content of board.json: a line per row."""
    value = board_json(board)
    tables = value.pop("tables")
    lines = [f"{_dumps(value)[:-1]},", '"tables":[']
    for number, table in enumerate(tables):
        rows = table.pop("rows")
        lines.append(f'{_dumps(table)[:-1]},"rows":[')
        lines += [f"{_dumps(row)}{',' if i < len(rows) - 1 else ''}" for i, row in enumerate(rows)]
        lines.append(f"]}}{',' if number < len(tables) - 1 else ''}")
    return "\n".join([*lines, "]}"]) + "\n"


def read_board_json(path: Path) -> dict[str, Any]:
    """A board.json, its parts that `changes` reads validated.

    Raises:
        DataError: missing, too large, no JSON, or no board: names file and field.
    """
    hint = "Build into another folder, or delete the file."
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path} is too large for a board.", hint)
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise DataError(f"{path} is no board: its top level is no object.", hint)
        _Board.model_validate({**value, "schema_": value.get("schema")})
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", hint) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]).replace("schema_", "schema")
        raise DataError(f"{path}, field {field}: {first['msg']}.", hint) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {error}.", hint) from error
    return value


def _table(table: Table, curves: bool) -> dict[str, Any]:
    found = {name: _plain(getattr(table, name)) for name in _TABLE}
    chances: dict[str, str] = {}
    for row in table.rows:
        for metric, cells in row.cells.items():
            chances.setdefault(metric, next((c.chance_name for c in cells.values() if c.chance_name), ""))
    found["metrics"] = [{**_metric(m), "chance": chances.get(m.name, "")} for m in table.metrics]
    found["reported"] = [_reported(r) for r in table.reported]
    found["rows"] = [_row(r, curves) for r in table.rows]
    return found


def _row(row: Row, curves: bool) -> dict[str, Any]:
    found = {name: _plain(getattr(row, name)) for name in _ROW}
    found["marks"] = marks_of(row)
    found = {name: value for name, value in found.items() if value not in (None, "", [])}
    found["identity"] = row.entry.record.identity.hash
    found["cells"] = {m: {c: cell_json(cell) for c, cell in cells.items()} for m, cells in row.cells.items()}
    if curves and row.curve:
        found["curve"] = {m: [_plain(list(point)) for point in points] for m, points in row.curve.items()}
    return found


def marks_of(row: Row) -> list[str]:
    """What keeps a run from ranking beside others, and what was found about its record, in short words."""
    marks = row.entry.record.marks
    names = [
        "synthetic-data" if marks.synthetic_data else "",
        "random-weights" if marks.random_weights else "",
        f"limited-{marks.limited}" if marks.limited else "",
        *row.flags,
    ]
    return [name for name in names if name]


def cell_json(cell: Cell) -> list[Any]:
    """A cell as the list of its `CELL_FIELDS`."""
    low, high = cell.interval or (None, None)
    mark = ("b" if cell.best else "e" if cell.tied else "") + ("t" if cell.method == "student-t" else "")
    return [
        rounded(cell.value),
        rounded(low, 5),
        rounded(high, 5),
        cell.n,
        cell.clusters,
        rounded(cell.chance, 5),
        mark,
    ]


def _metric(metric: Metric) -> dict[str, Any]:
    return {"name": metric.name, "unit": metric.unit, "higher_is_better": metric.higher_is_better}


def _reported(row: ReportedRow) -> dict[str, Any]:
    return {name: _plain(value) for name, value in asdict(row).items()}


def _correlation(link: Correlation) -> dict[str, Any]:
    found = {name: _plain(getattr(link, name)) for name in _LINKED}
    found |= {"metric_x": _metric(link.metric_x), "metric_y": _metric(link.metric_y)}
    found["points"] = [_plain(asdict(point)) for point in link.points]
    return found


def _plain(value: Any) -> Any:
    """Lists for tuples, rounded numbers, mappings as objects."""
    if isinstance(value, bool) or value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value]


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
