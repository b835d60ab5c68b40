"""What the first page shows: models x tables, correlations, changes, refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from bench3d.leaderboard import plots
from bench3d.leaderboard.board import Board, Correlation, Row, Table
from bench3d.leaderboard.page.words import Shown, number, shown

MOST_REFUSED = 300
"""Refused records that are listed one by one."""
_KEY = 8


@dataclass(frozen=True, kw_only=True)
class MatrixCell:
    """The best run of a model in a table."""

    run: str
    shown: Shown
    rank: tuple[int, int] | None
    addition: str
    coverage: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class MatrixRow:
    """A model over tables; None is a gap.

    Attributes:
        key: tells models of one name apart, "" where the name is enough.
        mark: why it has no rank anywhere.
    """

    name: str
    key: str
    mark: str
    cells: Sequence[MatrixCell | None]

    @property
    def covered(self) -> int:
        """In how many tables it was run."""
        return sum(cell is not None for cell in self.cells)


def matrix(tables: Sequence[Table]) -> list[MatrixRow]:
    """Models over tables: those in most tables first, then by their mean rank (relative to the table's length).

    Models without a rank anywhere come last.
    """
    chosen = [_by_model(table) for table in tables]
    names = {model: _name(row) for rows in chosen for model, row in rows.items()}
    count = Counter(names.values())
    made = []
    for model, name in names.items():
        rows = [rows.get(model) for rows in chosen]
        cells = [_cell(table, row) if row else None for table, row in zip(tables, rows, strict=True)]
        reasons = [row.unranked_because or "no rank" for row in rows if row and not row.ranked]
        ranked = any(row.ranked for row in rows if row)
        key = model[:_KEY] if count[name] > 1 else ""
        made.append(MatrixRow(name=name, key=key, mark=reasons[0] if reasons and not ranked else "", cells=cells))
    lengths = [max([row.rank[1] for row in table.rows if row.rank], default=1) for table in tables]
    return sorted(made, key=lambda row: (bool(row.mark), -row.covered, _standing(row, lengths)))  # stable


def overview(board: Board, changes: Any, about: Callable[[Table], dict[str, str]]) -> dict[str, Any]:
    """The context of the template; `about` gives a table's files."""
    real = [table for table in board.tables if not table.synthetic and table.rows]
    twins = [table for table in board.tables if table.synthetic]
    parts = [
        {"key": key, "tables": tables, "rows": matrix(tables), "files": [about(t) for t in tables]}
        for key, tables in (("real", real), ("twins", twins))
    ]
    alone = [table for table in board.tables if not table.rows]
    return {
        "board": board,
        "parts": parts,
        "published": [(table, about(table)) for table in alone],
        "links": [_link(board, link) for link in board.correlations],
        "refused": board.refused[:MOST_REFUSED],
        "more_refused": max(0, len(board.refused) - MOST_REFUSED),
        "changes": changes,
        "runs": sum(len(table.rows) for table in board.tables),
    }


def _name(row: Row) -> str:
    return row.backbone + (f" + {row.adapter}" if row.adapter not in ("", "none") else "")


def _by_model(table: Table) -> dict[str, Row]:
    """The best row of every model; one that others stand under before its variants."""
    found: dict[str, Row] = {}
    for row in sorted(table.rows, key=lambda row: bool(row.variant)):
        found.setdefault(row.model, row)
    return found


def _cell(table: Table, row: Row) -> MatrixCell:
    return MatrixCell(
        run=row.id,
        shown=shown(row.cell(table.headline), table.metric(table.headline)),
        rank=row.rank,
        addition=f"+ {row.shape_model}" if row.shape_model and row.shape_model != "none" else "",
        coverage=row.coverage,
    )


def _standing(row: MatrixRow, lengths: Sequence[int]) -> float:
    """Mean of its ranks, each divided by the number of ranks in its table; 2 without any."""
    shares = [
        sum(cell.rank) / 2 / length for cell, length in zip(row.cells, lengths, strict=True) if cell and cell.rank
    ]
    return sum(shares) / len(shares) if shares else 2.0


def _link(board: Board, link: Correlation) -> dict[str, Any]:
    return {
        "link": link,
        "x": board.table(link.table_x),
        "y": board.table(link.table_y),
        "svg": Markup(plots.correlation(link)),  # which escapes every text
        "rho": None if link.rho is None else number(link.rho, ""),
        "interval": [number(end, "") for end in link.interval] if link.interval else None,
        "p": None if link.p_value is None else _p_text(link.p_value),
    }


def _p_text(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"
