"""A table as papers print it, before it becomes Markdown or LaTeX: texts, marks and notes, nothing escaped.

Columns are the categories of the headline metric, its mean, and the means of the other metrics.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench3d.leaderboard.board import MEAN, Cell, Metric, ReportedRow, Row, Table

DASH = "\u2013"
UP, DOWN = "\u2191", "\u2193"
FEW_CLUSTERS = "\u2020"
READ_OFF = "\u2021"
LEGEND = "Bold: best of its column; underlined: does not differ significantly from the best (paired tests, Holm)."
INTERVALS = "Brackets: 95 % interval of the bootstrap over clusters."
FEW = "95 % interval of Student's t: fewer than 30 effective clusters."
ROUGH = "read off a plot (about half a point), not printed as a number."
MOST_INTERVALS = 7
"""In a table of more columns only the mean of the headline has its interval."""
BELOW = "Below the rule: as reported by the papers, never ranked."
ALONE = "As reported by the papers; nobody has measured it here."
RANKS = "Ranks are the interval that the tests leave."


@dataclass(frozen=True, kw_only=True)
class WideColumn:
    """A column of numbers. `category` is `MEAN` for means; `digits` after the point."""

    metric: Metric
    category: str
    digits: int

    @property
    def title(self) -> str:
        """The metric with its unit and an arrow towards the better end."""
        unit = f" [{self.metric.unit}]" if self.metric.unit else ""
        return f"{self.metric.name}{unit} {UP if self.metric.higher_is_better else DOWN}"

    def text(self, value: float) -> str:
        """A number of the column, with a true minus sign and no negative zero."""
        text = f"{value:.{self.digits}f}"
        return text.lstrip("-") if float(text) == 0 else text.replace("-", "\u2212")


@dataclass(frozen=True, kw_only=True)
class WideCell:
    """What one cell shows: a number and its interval ("72.0, 78.0") as text, and how it is marked."""

    text: str = DASH
    interval: str = ""
    best: bool = False
    tied: bool = False
    mark: str = ""


@dataclass(frozen=True, kw_only=True)
class WideRow:
    """One line. `note` is the number of the note that it refers to, "" without one."""

    rank: str
    name: str
    cells: Sequence[WideCell]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Wide:
    """A whole table: measured rows, rows without a rank, chance, reported rows, and (mark, text) of the notes below."""

    headline: Metric
    columns: Sequence[WideColumn]
    measured: Sequence[WideRow]
    unranked: Sequence[WideRow]
    chance: Sequence[WideRow]
    reported: Sequence[WideRow]
    notes: Sequence[tuple[str, str]]

    @property
    def categories(self) -> int:
        """How many columns the headline has, its mean included; they come first."""
        return sum(c.metric is self.headline for c in self.columns)


def wide(table: Table, intervals: bool = True) -> Wide:
    """The rows and columns of a table. `intervals` are shown beside means, where there is room for them.

    Raises:
        ValueError: the table has no metrics.
    """
    if not table.metrics:
        raise ValueError(f"The table {table.id} has no metrics.")
    headline = next((m for m in table.metrics if m.name == table.headline), table.metrics[0])
    places = [(headline, c) for c in table.categories] if len(table.categories) > 1 else []
    places += [(m, MEAN) for m in (headline, *(m for m in table.metrics if m is not headline))]
    columns = [WideColumn(metric=m, category=c, digits=_digits(table, m)) for m, c in places]
    numbers = _note_numbers(table.reported)
    few = len(columns) <= MOST_INTERVALS
    wanted = [intervals and c.category == MEAN and (few or c.metric is headline) for c in columns]
    rows = [(r, _measured(r, columns, wanted)) for r in table.rows]
    return Wide(
        headline=headline,
        columns=columns,
        measured=[made for row, made in rows if row.ranked],
        unranked=[made for row, made in rows if not row.ranked],
        chance=_chance(table.rows, columns),
        reported=[_reported(r, columns, numbers) for r in table.reported],
        notes=_notes(table, numbers, [c.metric for c, yes in zip(columns, wanted, strict=True) if yes]),
    )


def _digits(table: Table, metric: Metric) -> int:
    """One digit for percent and degrees, else three significant ones of the largest number."""
    if metric.unit in ("%", "deg"):
        return 1
    cells = [abs(c.value) for r in table.rows for c in r.cells.get(metric.name, {}).values()]
    largest = max([v for v in cells if math.isfinite(v)], default=1.0)
    return 3 if largest == 0 else min(6, max(0, 2 - math.floor(math.log10(largest))))


def _measured(row: Row, columns: Sequence[WideColumn], intervals: Sequence[bool]) -> WideRow:
    remarks = [] if row.ranked else [row.unranked_because or "not ranked"]
    if row.coverage[0] < row.coverage[1]:
        remarks.append(f"{row.coverage[0]} of {row.coverage[1]} categories")
    name = f"{row.title}, {row.variant}" if row.variant else row.title
    return WideRow(
        rank=_rank(row.rank),
        name=f"{name} ({'; '.join(remarks)})" if remarks else name,
        cells=[_cell(row.cell(c.metric.name, c.category), c, yes) for c, yes in zip(columns, intervals, strict=True)],
    )


def _rank(rank: tuple[int, int] | None) -> str:
    if rank is None:
        return DASH
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]}{DASH}{rank[1]}"


def _cell(cell: Cell | None, column: WideColumn, interval: bool) -> WideCell:
    if cell is None:
        return WideCell()
    shown = interval and cell.interval is not None
    return WideCell(
        text=column.text(cell.value),
        interval=", ".join(column.text(v) for v in cell.interval or ()) if shown else "",
        best=cell.best,
        tied=cell.tied and not cell.best,
        mark=FEW_CLUSTERS if shown and cell.method == "student-t" else "",
    )


def _chance(rows: Sequence[Row], columns: Sequence[WideColumn]) -> list[WideRow]:
    """The best chance level of every column: one number, or its range over the rows."""
    found: list[WideCell] = []
    names: dict[str, None] = {}
    for column in columns:
        cells = [c for row in rows if (c := row.cell(column.metric.name, column.category)) is not None]
        levels = [c.chance for c in cells if c.chance is not None]
        names.update({c.chance_name: None for c in cells if c.chance_name})
        ends = dict.fromkeys(column.text(v) for v in (min(levels), max(levels))) if levels else [DASH]
        found.append(WideCell(text=DASH.join(ends)))
    if all(cell.text == DASH for cell in found):
        return []
    return [WideRow(rank="", name=f"chance ({', '.join(names)})" if names else "chance", cells=found)]


def _reported(row: ReportedRow, columns: Sequence[WideColumn], numbers: dict[str, str]) -> WideRow:
    cells = []
    for column in columns:
        value = row.values.get(column.metric.name, {}).get(column.category)
        text = DASH if value is None else column.text(value)
        cells.append(WideCell(text=text, mark=READ_OFF if row.read_off and value is not None else ""))
    name = f"{row.method} ({row.setting})" if row.setting else row.method
    return WideRow(rank="", name=name, cells=cells, note=numbers[_source(row)])


def _source(row: ReportedRow) -> str:
    parts = [row.citation or row.source, row.where]
    cited = ", ".join(part.rstrip(".") for part in parts if part)
    return f"{cited}. Not measured as here: {row.differs.rstrip('.')}." if row.differs else f"{cited}."


def _note_numbers(rows: Iterable[ReportedRow]) -> dict[str, str]:
    sources = dict.fromkeys(_source(row) for row in rows)
    return {source: str(number) for number, source in enumerate(sources, start=1)}


def _notes(table: Table, numbers: dict[str, str], intervals: Sequence[Metric]) -> list[tuple[str, str]]:
    cells = [row.cell(metric.name) for row in table.rows for metric in intervals]
    shown = {c.method for c in cells if c is not None and c.interval is not None}
    notes = [("", LEGEND)] if table.comparisons else []
    notes += [("", RANKS)] if any(row.rank is not None for row in table.rows) else []
    notes += [("", INTERVALS)] if shown - {"student-t"} else []
    notes += [(FEW_CLUSTERS, FEW)] if "student-t" in shown else []
    if table.reported:
        notes.append(("", BELOW if table.rows else ALONE))
    notes += [(READ_OFF, ROUGH)] if any(row.read_off for row in table.reported) else []
    notes += [(number, source) for source, number in numbers.items()]
    return notes + [("", note) for note in table.notes]


def caption(table: Table) -> str:
    """What the table is, in sentences."""
    parts = [
        f"{table.title}.",
        f"{table.summary.rstrip('.')}." if table.summary else "",
        f"Data: {table.dataset}{', synthetic twin' if table.synthetic else ''}." if table.dataset else "",
        f"At most {table.limited} samples of a category." if table.limited else "",
        f"Oracles: {', '.join(table.oracles)}." if table.oracles else "",
    ]
    return " ".join(part for part in parts if part)
