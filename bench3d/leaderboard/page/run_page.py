"""What the page of a run shows: everything in its record, condensed. The whole record is in the table's download."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench3d.errors import Bench3DError
from bench3d.leaderboard.board import MEAN, Row, Table
from bench3d.leaderboard.page.listing import Sections
from bench3d.leaderboard.page.words import NOTHING, Shown, estimate, metric_text, unit_text
from bench3d.records import ChanceLevel, GroupScore, Record
from bench3d.runner.respec import command_of

_MORE = 3
"""With so many more metrics than categories the metrics go down the page."""


@dataclass(frozen=True)
class Grid:
    """Numbers with a head for each row and column.

    Attributes:
        parts: runs of rows under one heading ("" for none), each row a head and its cells.
    """

    title: str
    columns: Sequence[str]
    parts: Sequence[tuple[str, Sequence[tuple[str, Sequence[Shown]]]]]


def run_context(table: Table, row: Row, own: Sections, left_out: int, brief: bool = False) -> dict[str, Any]:
    """The context of the template.

    Args:
        own, left_out: what the page lists of the record, and how many values it leaves to the table's page.
        brief: chance of the headline over all categories alone, no parts of the samples, and no notes that the table
            has too.
    """
    record = row.entry.record
    return {
        "table": table,
        "row": row,
        "record": record,
        "notes": [note for note in record.notes if not brief or note not in table.notes],
        "scores": _scores(record, row),
        "chance": _chance(record, brief),
        "groups": [] if brief else _groups(record),
        "brief": brief,
        "sections": own,
        "left_out": left_out,
        "command": command(record),
    }


def command(record: Record) -> str:
    """The command that makes the run again; the one that was typed where none can be made of the measurement."""
    try:
        return command_of(record) or record.provenance.command
    except (Bench3DError, LookupError, TypeError, ValueError):
        return record.provenance.command


def _scores(record: Record, row: Row) -> Grid:
    """Categories x metrics; best and tied as in the table."""
    units: dict[str, str] = {}
    cells: dict[tuple[str, str], Shown] = {}
    for s in record.scores:
        cell = row.cell(s.metric, s.category)
        state = "best" if cell and cell.best else "tied" if cell and cell.tied else ""
        cells[s.category, s.metric] = estimate(s.value, s.unit, s.interval, s.interval_method, state, s.n)
        units[s.metric] = s.unit
    categories = _ordered(s.category for s in record.scores)
    counts = {c: max(s.n for s in record.scores if s.category == c) for c in categories}
    body = [(c, [*(cells.get((c, m), NOTHING) for m in units), Shown(str(counts[c]))]) for c in categories]
    heads = [*(_head(metric, unit) for metric, unit in units.items()), "samples"]
    if len(units) > len(categories) + _MORE:
        columns = zip(*(line for _, line in body), strict=True)
        return Grid("", categories, [("", list(zip(heads, columns, strict=True)))])
    return Grid("", heads, [("", body)])


def _chance(record: Record, brief: bool) -> Grid | None:
    """Categories x metrics for every name of a chance level, with the interval of score minus chance."""
    if not record.chance:
        return None
    units = {level.metric: level.unit for level in record.chance}
    if brief and record.headline in units:
        units = {record.headline: units[record.headline]}
    named: dict[str, list[ChanceLevel]] = {}
    for level in record.chance:
        named.setdefault(level.name, []).append(level)
    parts = []
    for name, mine in named.items():
        cells = {(x.category, x.metric): estimate(x.value, x.unit, x.margin, n=x.n) for x in mine}
        categories = _ordered(x.category for x in mine)[: 1 if brief else None]
        parts.append((name.replace("_", " "), [(c, [cells.get((c, m), NOTHING) for m in units]) for c in categories]))
    if brief:  # one row each: the name is its head
        parts = [("", [(name, cells) for name, ((_, cells),) in parts])]
    return Grid("", [_head(metric, unit) for metric, unit in units.items()], parts)


def _groups(record: Record) -> list[Grid]:
    """Per metric: the bins of every grouping x categories."""
    by_metric: dict[str, list[GroupScore]] = {}
    for group in record.groups:
        by_metric.setdefault(group.metric, []).append(group)
    return [_grouped(metric, mine) for metric, mine in by_metric.items()]


def _grouped(metric: str, mine: Sequence[GroupScore]) -> Grid:
    categories = list(dict.fromkeys(g.category for g in mine))
    cells = {(g.by, g.bin, g.category): estimate(g.value, g.unit, g.interval, g.interval_method, n=g.n) for g in mine}
    parts = []
    for by in dict.fromkeys(g.by for g in mine):
        bins = sorted({g.bin for g in mine if g.by == by})
        parts.append((by, [(name, [cells.get((by, name, c), NOTHING) for c in categories]) for name in bins]))
    return Grid(_head(metric, mine[0].unit), categories, parts)


def _ordered(categories: Iterable[str]) -> list[str]:
    """The mean first; alone the single category that it is the mean of."""
    found = list(dict.fromkeys(categories))
    single = [c for c in found if c != MEAN]
    return single if len(single) == 1 else [*(c for c in found if c == MEAN), *single]


def _head(metric: str, unit: str) -> str:
    return metric_text(metric) + (f" ({unit_text(unit)})" if unit else "")
