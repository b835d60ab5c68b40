"""What the page of a table shows: its rows by family, chance levels, what papers report, plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from bench3d.leaderboard import plots
from bench3d.leaderboard.board import MEAN, Metric, ReportedRow, Row, Table
from bench3d.leaderboard.page.words import MISSING, NOTHING, Shown, chance_of, number, shown, span

FOLDED_FROM = 30
"""In a table of so many rows the variants of a family are folded until the reader opens them."""


@dataclass(frozen=True)
class Column:
    """A column of numbers: a metric over all categories, or one category of the headline."""

    metric: Metric
    category: str

    @property
    def is_mean(self) -> bool:
        """Over all categories."""
        return self.category == MEAN


@dataclass(frozen=True)
class Line:
    """A row and its cells, in the order of the columns."""

    row: Row
    cells: Sequence[Shown]


@dataclass(frozen=True)
class ReportedLine:
    """A row of a paper: texts in the order of the columns."""

    row: ReportedRow
    cells: Sequence[str]


def columns(table: Table) -> list[Column]:
    """The headline, further metrics, then the categories of the headline where there are several."""
    found = [Column(metric, MEAN) for metric in table.metrics]
    if table.headline and len(table.categories) > 1:
        found += [Column(table.metric(table.headline), category) for category in table.categories]
    return found


def families(table: Table, over: Sequence[Column]) -> list[list[Line]]:
    """Rows by family, the one that the others stand under first; families in the order of the table."""
    found: dict[str, list[Line]] = {}
    for row in table.rows:
        line = Line(row, [shown(row.cell(c.metric.name, c.category), c.metric) for c in over])
        found.setdefault(row.family, []).append(line)
    return [sorted(lines, key=lambda line: bool(line.row.variant)) for lines in found.values()]


def table_context(table: Table, files: dict[str, str], made: str) -> dict[str, Any]:
    """The context of the template."""
    over = columns(table)
    lines = families(table, over)
    several = any(len(family) > 1 for family in lines)
    return {
        "table": table,
        "files": files,
        "made": made,
        "columns": over,
        "families": lines,
        "folded": several and len(table.rows) >= FOLDED_FROM,
        "several": several,
        "chance": _chance(table, over),
        "has_cost": any(row.parameters is not None or row.seconds_per_image is not None for row in table.rows),
        "student_t": any(cell.t for family in lines for line in family for cell in line.cells),
        "reported": _reported(table),
        "figures": _figures(table),
    }


def _chance(table: Table, over: Sequence[Column]) -> dict[str, Any] | None:
    """The best chance level of every column, None where there is none at all."""
    found = [chance_of(table.rows, c.metric.name, c.category) for c in over]
    names = dict.fromkeys(name for level in found if level for name in level[0])
    cells = [
        NOTHING if level is None else Shown(span(level[1], level[2], c.metric.unit))
        for c, level in zip(over, found, strict=True)
    ]
    return {"names": " or ".join(names), "cells": cells} if any(found) else None


def _reported(table: Table) -> dict[str, Any] | None:
    """Columns that at least one paper fills, and the papers' rows; None where no paper reports any."""
    if not table.reported:
        return None
    known = {metric.name: metric for metric in table.metrics}
    names = list(dict.fromkeys([*known, *(name for row in table.reported for name in row.values)]))
    over: list[Column] = []
    for name in names:
        there = {category for row in table.reported for category in row.values.get(name, {})}
        ordered = [c for c in (MEAN, *table.categories) if c in there]
        metric = known.get(name) or Metric(name=name, unit="", higher_is_better=True)
        over += [Column(metric, category) for category in (*ordered, *sorted(there.difference(ordered)))]
    lines = [ReportedLine(row, [_reported_text(row, column) for column in over]) for row in table.reported]
    return {"columns": over, "lines": lines, "read_off": any(row.read_off for row in table.reported)}


def _reported_text(row: ReportedRow, column: Column) -> str:
    value = row.values.get(column.metric.name, {}).get(column.category)
    if value is None:
        return MISSING
    return ("≈ " if row.read_off else "") + number(value, column.metric.unit)


def _figures(table: Table) -> list[dict[str, Any]]:
    """The plots that have something to show, with their captions."""
    head = table.headline
    drawn = [
        ("Ranks and intervals", plots.rank_intervals(table), ""),
        ("By category", plots.heat_map(table, head), "The numbers are in the table above."),
        ("Against the view angle", plots.angle_curves(table, head), "The numbers are on the page of each run."),
        ("Against the parameters", plots.pareto(table, "parameters"), ""),
        ("Against the time per image", plots.pareto(table, "seconds_per_image"), ""),
        ("Against the memory", plots.pareto(table, "memory_bytes"), ""),
    ]
    # Plots escape every text themselves.
    return [{"title": title, "svg": Markup(svg), "note": note} for title, svg, note in drawn if svg]
