"""The tables of `bench3d results show`: what a Board says, as the page says it, for a terminal of any width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench3d.cli.output import duration
from bench3d.cli.views import number
from bench3d.leaderboard.board import MEAN, Board, Cell, Metric, Row
from bench3d.leaderboard.board import Table as Comparable
from bench3d.leaderboard.compare import protocol_name, task_name

if TYPE_CHECKING:
    from rich.console import Console

    from bench3d.leaderboard.entries import Entry, Refusal

MOST_METRICS, NAME_WIDTH, DIGITS = 4, 30, 8
STUDENT = "student-t"
STATUS_STYLES = {"failed": "bold red", "out-of-memory": "bold red", "interrupted": "yellow"}


@dataclass(frozen=True)
class View:
    """What a user asked for: the metric that comes first (None: each table's headline), and the order of the rows."""

    metric: str | None = None
    sort: str = "score"

    def tables(self, board: Board) -> list[Comparable]:
        """The tables that have the metric."""
        return [t for t in board.tables if self.metric is None or self.metric in [m.name for m in t.metrics]]

    def metrics(self, table: Comparable) -> list[Metric]:
        """The columns, the one that is sorted by first."""
        return sorted(table.metrics, key=lambda m: m.name != (self.metric or table.headline))

    def rows(self, table: Comparable) -> list[Row]:
        """In the order that was asked for; by score as the board has them, best first."""
        rows = list(table.rows)
        if self.sort == "name":
            return sorted(rows, key=lambda r: (r.title, r.variant))
        if self.sort == "age":
            return sorted(rows, key=lambda r: r.entry.record.provenance.time, reverse=True)
        if self.sort == "speed":
            return sorted(rows, key=lambda r: (r.seconds_per_image is None, r.seconds_per_image))
        first = self.metrics(table)[0]
        if first.name == table.headline:
            return rows
        have = [r for r in rows if r.cell(first.name) is not None]
        best = sorted(have, key=lambda r: _value(r, first.name), reverse=first.higher_is_better)
        return sorted(best, key=lambda r: not r.ranked) + [r for r in rows if r not in have]


def _value(row: Row, metric: str) -> float:
    cell = row.cell(metric)
    return 0.0 if cell is None else cell.value


def print_board(board: Board, rest: Sequence[Entry], folders: Sequence[Path], view: View, out: Console) -> None:
    """The tables, the runs that did not finish, what cannot be read, and what the signs mean."""
    tables = view.tables(board)
    for table in tables:
        out.print(_heading(table))
        out.print(rows_table(table, view, out.width))
        out.print()
    if rest:
        out.print(_unfinished(rest))
        out.print()
    if board.refused:
        out.print(Text("Left out", style="bold"))
        for refusal in board.refused:
            out.print(refusal_line(refusal), soft_wrap=True)
        out.print()
    if tables:
        out.print(_legend(tables))
    elif not rest and not board.refused:
        where = ", ".join(str(folder) for folder in folders)
        out.print(Text(f"No runs in {where}."), soft_wrap=True)


def refusal_line(refusal: Refusal) -> Text:
    """The file, and what is wrong with it."""
    reason = refusal.reason.removeprefix(refusal.path).lstrip(", :")
    return Text(refusal.path, style="red").append(f": {reason}", "default")


def _heading(table: Comparable) -> Group:
    runs = f"{len(table.rows)} run{'' if len(table.rows) == 1 else 's'}"
    name = ", ".join(part for part in (table.task, table.protocol) if part)
    title = Text(name, style="bold cyan").append(f"  {runs}", "dim not bold")
    marks = ["SYNTHETIC DATA"] if table.synthetic else []
    marks += [f"LIMITED to {table.limited} samples of a category"] if table.limited else []
    lines = [title]
    if marks:
        lines.append(Text(" · ".join(marks), style="bold yellow"))
    if table.settings:
        lines.append(Text(table.settings, style="dim"))
    return Group(*lines)


def rows_table(table: Comparable, view: View, width: int) -> Padding | Table:
    """As many metrics side by side as `width` columns hold: the first with its interval, the others without."""
    metrics = view.metrics(table)
    for count in range(min(len(metrics), MOST_METRICS), 0, -1):
        made = _rows_table(table, view, metrics[:count])
        if count == 1 or natural_width(made) <= width:
            return made
    raise AssertionError("a table has a metric")


def _rows_table(table: Comparable, view: View, metrics: Sequence[Metric]) -> Table:
    first = metrics[0]
    ranks = first.name == table.headline
    chance = any(_chance(row, first) for row in table.rows)
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    if ranks:
        made.add_column("rank", no_wrap=True)
    made.add_column("run", overflow="fold", min_width=12, max_width=NAME_WIDTH)
    made.add_column(Text(_column(first)), justify="right", no_wrap=True)
    if chance:
        made.add_column("chance", justify="right", no_wrap=True)
    for metric in metrics[1:]:
        made.add_column(Text(_column(metric)), justify="right", no_wrap=True)
    made.add_column("n", justify="right", no_wrap=True)
    made.add_column("age", justify="right", no_wrap=True)
    made.add_column("identity", no_wrap=True, style="dim")
    for row in view.rows(table):
        cell = row.cell(first.name)
        cells: list[Text | str] = [_rank(row)] if ranks else []
        cells += [_run(row), _score(cell, first)]
        cells += [Text(_chance(row, first), style="dim")] if chance else []
        cells += [_plain_score(row.cell(metric.name), metric) for metric in metrics[1:]]
        n = "" if cell is None else f"{cell.n:,}"
        made.add_row(*cells, n, age_of(row.entry), row.id[:DIGITS])
    return made


def _column(metric: Metric) -> str:
    """Name, unit and direction, a line each for the words of a long name."""
    unit = "" if metric.unit in metric.name else f" {metric.unit}"
    return f"{metric.name.replace(' per ', chr(10) + 'per ')}{unit} {'↑' if metric.higher_is_better else '↓'}"


def _rank(row: Row) -> Text:
    if row.rank is None:
        return Text("-", style="dim")
    low, high = row.rank
    text = Text(str(low) if low == high else f"{low}-{high}", style="bold" if low == 1 else "")
    return text.append(f" {row.groups}", "dim not bold")


def _run(row: Row) -> Text:
    """Title, what sets the variant apart, and what a reader has to know of it."""
    text = Text(row.title)
    if row.variant:
        text.append(f"\n  {row.variant}", "dim")
    have, total = row.coverage
    if have < total:
        text.append(f"\n  {have} of {total} categories", "yellow")
    if row.unranked_because:
        text.append(f"\n  {row.unranked_because}", "bold yellow")
    if row.badge != "self-reported":
        text.append(f"\n  {row.badge}", "green")
    return text


def _score(cell: Cell | None, metric: Metric) -> Text:
    text = _plain_score(cell, metric)
    if cell is not None and cell.interval is not None:
        low, high = (number(v, metric.unit) for v in cell.interval)
        text.append(f" [{low},\u00a0{high}]{'ᵗ' if cell.method == STUDENT else ''}", "dim not bold not underline")
    return text


def _plain_score(cell: Cell | None, metric: Metric) -> Text:
    if cell is None:
        return Text("-", style="dim")
    style = "bold green" if cell.best else "bold" if cell.tied else ""
    return Text("").append(number(cell.value, metric.unit), style)


def _chance(row: Row, metric: Metric) -> str:
    cell = row.cell(metric.name)
    return "" if cell is None or cell.chance is None else number(cell.chance, metric.unit)


def age_of(entry: Entry) -> str:
    """How long ago a run began: 3 min, 5 h, 12 d; empty where its record's time cannot be read."""
    try:
        begun = datetime.fromisoformat(entry.record.provenance.time.replace("Z", "+00:00"))
    except ValueError:
        return ""
    begun = begun if begun.tzinfo is not None else begun.replace(tzinfo=timezone.utc)
    seconds = max(0.0, (datetime.now(timezone.utc) - begun).total_seconds())
    if seconds < 3600:
        return duration(seconds).partition(" min")[0] + (" min" if seconds >= 60 else "")
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:,.0f} d"


def _unfinished(rest: Sequence[Entry]) -> Group:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("status", "task", "run"):
        table.add_column(name, overflow="fold")
    table.add_column("message", overflow="fold", ratio=1)
    table.add_column("age", justify="right", no_wrap=True)
    for entry in rest:
        record = entry.record
        style = STATUS_STYLES.get(record.status, "")
        task = ", ".join(part for part in (task_name(record), protocol_name(record)) if part)
        run = Text(record.label).append(f"\n{record.identity.hash[:DIGITS]}", "dim")
        message = record.message or ("it has no scores" if record.status == "finished" else "")
        table.add_row(Text(record.status, style=style), Text(task), run, Text(message), age_of(entry))
    return Group(Text("Not finished", style="bold"), table)


def _legend(tables: Sequence[Comparable]) -> Text:
    parts = []
    if any(t.comparisons for t in tables):
        parts.append(
            "rank: what paired tests on shared samples leave (1 is best); runs that share a letter do not differ"
            " significantly (Holm). Green: best of its column; bold: not significantly worse."
        )
    parts.append("[low, high]: 95 % interval over clusters.")
    cells = [c for t in tables for r in t.rows for m in r.cells.values() for k, c in m.items() if k == MEAN]
    if any(c.method == STUDENT for c in cells):
        parts.append("ᵗ: fewer than 30 effective clusters, Student's t.")
    parts.append("One run whole: bench3d results show IDENTITY.")
    return Text(" ".join(parts), style="dim")


def natural_width(table: Table) -> int:
    """Columns that a table takes where there is room."""
    from rich.console import Console
    from rich.measure import measure_renderables

    endless = Console(width=1000)
    return measure_renderables(endless, endless.options, [table]).maximum
