"""`bench3d results show` for programs: a board as JSON, and every number of it as a line of CSV."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3d.cli.results_table import View
from bench3d.files import write_text
from bench3d.leaderboard.board import Board, Cell, Row, Table
from bench3d.leaderboard.safety import csv_cell

if TYPE_CHECKING:
    from bench3d.leaderboard.entries import Entry

COLUMNS = (
    "table", "task", "protocol", "synthetic", "limit", "run", "variant", "label", "identity", "random_weights",
    "rank_low", "rank_high", "ties", "metric", "category", "value", "unit", "higher_is_better", "low", "high",
    "interval_method", "n", "clusters", "chance", "chance_name", "started", "badge", "record",
)  # fmt: skip


def board_values(board: Board, rest: Sequence[Entry], view: View) -> dict[str, Any]:
    """Tables with rows and cells, unfinished runs, what was left out."""
    return {
        "tables": [_table(table, view) for table in view.tables(board)],
        "unfinished": [
            {
                "status": e.record.status,
                "message": e.record.message,
                "label": e.record.label,
                "identity": e.record.identity.hash,
                "started": e.record.provenance.time,
                "record": str(e.path),
            }
            for e in rest
        ],
        "left_out": [{"path": r.path, "reason": r.reason} for r in board.refused],
    }


def _table(table: Table, view: View) -> dict[str, Any]:
    keys = ("id", "task", "protocol", "summary", "dataset", "synthetic", "limited", "settings", "comparisons")
    return {
        **{key: getattr(table, key) for key in keys},
        "headline": table.headline,
        "oracles": list(table.oracles),
        "metrics": [vars(metric) for metric in view.metrics(table)],
        "categories": list(table.categories),
        "rows": [_row(row) for row in view.rows(table)],
    }


def _row(row: Row) -> dict[str, Any]:
    keys = (
        "id", "title", "variant", "backbone", "adapter", "shape_model", "ranked", "unranked_because", "rank", "groups",
        "coverage", "parameters", "fitted_parameters", "seconds_per_image", "memory_bytes", "badge", "flags",
    )  # fmt: skip
    record = row.entry.record
    return {
        **{key: getattr(row, key) for key in keys},
        "label": record.label,
        "identity": record.identity.hash,
        "started": record.provenance.time,
        "record": str(row.entry.path),
        "cells": {m: {c: vars(cell) for c, cell in cells.items()} for m, cells in row.cells.items()},
    }


def write_csv(board: Board, path: Path) -> None:
    """One line per table, run, metric and category; `-` writes to standard output. Cells are no formulas."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for table in board.tables:
        units = {metric.name: metric for metric in table.metrics}
        for row in table.rows:
            for name, cells in row.cells.items():
                for category, cell in cells.items():
                    metric = units[name]
                    told = _line(table, row, cell)
                    told |= {"metric": name, "category": category, "unit": metric.unit}
                    told["higher_is_better"] = metric.higher_is_better
                    writer.writerow([csv_cell(told[column]) for column in COLUMNS])
    if str(path) == "-":
        sys.stdout.write(out.getvalue())
    else:
        write_text(path, out.getvalue())


def _line(table: Table, row: Row, cell: Cell) -> dict[str, Any]:
    low, high = cell.interval or (None, None)
    first, last = row.rank or (None, None)
    return {
        "table": table.id,
        "task": table.task,
        "protocol": table.protocol,
        "synthetic": table.synthetic,
        "limit": table.limited,
        "run": row.title,
        "variant": row.variant,
        "label": row.entry.record.label,
        "identity": row.entry.record.identity.hash,
        "random_weights": row.entry.record.marks.random_weights,
        "rank_low": first,
        "rank_high": last,
        "ties": row.groups,
        "value": cell.value,
        "low": low,
        "high": high,
        "interval_method": cell.method,
        "n": cell.n,
        "clusters": cell.clusters,
        "chance": cell.chance,
        "chance_name": cell.chance_name,
        "started": row.entry.record.provenance.time,
        "badge": row.badge,
        "record": str(row.entry.path),
    }
