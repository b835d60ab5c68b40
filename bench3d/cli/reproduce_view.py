"""What `bench3d reproduce` prints: the list of targets, and a comparison."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from bench3d.leaderboard.board import MEAN
from bench3d.leaderboard.reproduce import Compared, Comparison, Verdict
from bench3d.leaderboard.reproduce_files import coverage, measured_text, published_text
from bench3d.leaderboard.targets import LoadedTarget, PublishedCell

if TYPE_CHECKING:
    from rich.console import Console

STYLES: Mapping[Verdict, str] = {
    "within": "green",
    "outside": "bold red",
    "not measured": "dim",
    "cannot be compared": "dim",
}
WIDE, LEAST_LABEL = 92, 10
"""Width of a terminal from which the spread over models has a column of its own; of the first column at least."""


def print_targets(targets: Sequence[LoadedTarget], out: Console) -> None:
    """A line per target; those without printed numbers last."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("target", style="bold", no_wrap=True)
    table.add_column("shows", ratio=1)
    table.add_column("cells", justify="right", no_wrap=True)
    for loaded in sorted(targets, key=lambda t: (bool(t.target.unavailable), _natural(t.name))):
        cells = {c.number for c in loaded.cells}
        can = {c.number for c in loaded.cells if not c.block.cannot}
        where = ", ".join(filter(None, (loaded.short, loaded.target.where)))
        shows = Text(loaded.target.title).append(f"  {where}", style="dim")
        table.add_row(loaded.name, shows, f"{len(can)} of {len(cells)}" if cells else "not held")
    out.print(table)
    out.print(Text("\ncells: how many of the printed ones can be measured here.", style="dim"))
    out.print(Text("bench3d reproduce TARGET --plan shows what a target needs.", style="dim"))


def _natural(name: str) -> list[str]:
    """Table 10 after table 9."""
    return [part.zfill(4) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def print_heading(loaded: LoadedTarget, out: Console) -> None:
    """Name, title and source."""
    out.print(Text(f"{loaded.name}  ", style="bold cyan").append(loaded.target.title, style="default not bold"))
    where = f"{loaded.target.where}. " if loaded.target.where else ""
    out.print(Text(f"{where}{loaded.citation} {loaded.url}", style="dim"))
    if loaded.about:
        out.print(Text(f"{loaded.about}.", style="dim"))


def print_comparison(comparison: Comparison, out: Console, include_synthetic: bool = False) -> None:
    """The table, how much of it is measured, what cannot be, and the known reasons for a difference."""
    loaded = comparison.loaded
    print_heading(loaded, out)
    if loaded.target.unavailable:
        print_unavailable(loaded, out)
        return
    comparable = [c for c in comparison.cells if not c.cell.block.cannot]
    if comparable:
        _print_cells(comparable, comparison.digits, bool(loaded.target.over), out)
    out.print()
    out.print(_coverage(comparison))
    for line in _notes(comparison):
        out.print(Text(line, style="dim"))
    if include_synthetic:
        _print_apart(comparison, comparable, out)
    print_cannot([c.cell for c in comparison.cells], out)
    _print_list("Tolerances", _tolerances(comparable), out)
    _print_list("Known reasons for a difference", loaded.target.reasons, out)
    if comparable and comparison.count("not measured"):
        out.print(Text(f"\nWhat is lacking: bench3d reproduce {loaded.name} --plan", style="dim"))


def print_unavailable(loaded: LoadedTarget, out: Console) -> None:
    """Why there is nothing to compare with, and where to look instead."""
    out.print(Text(f"\n{loaded.target.unavailable}", style="yellow"))
    for name in loaded.target.see:
        out.print(Text(f"  bench3d reproduce {name}", style="cyan"))


def print_cannot(cells: Iterable[PublishedCell], out: Console) -> None:
    """The printed rows that have no runs, by reason."""
    found: dict[str, list[PublishedCell]] = {}
    for cell in cells:
        if cell.block.cannot:
            found.setdefault(cell.block.cannot, []).append(cell)
    lines = []
    for reason, mine in found.items():
        methods = list(dict.fromkeys(c.method for c in mine))
        who = "; ".join(methods) if len(methods) <= 3 else f"{len(methods)} rows"
        lines.append(f"{who} ({_cells(len(mine))}): {reason}.")
    _print_list("Cannot be compared here", lines, out)


def _print_list(heading: str, lines: Iterable[str], out: Console) -> None:
    lines = list(lines)
    if not lines:
        return
    out.print(Text(f"\n{heading}", style="bold"))
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for line in lines:
        table.add_row("-", Text(line))
    out.print(table)


def _print_cells(cells: Sequence[Compared], digits: int, models: bool, out: Console) -> None:
    """Cells under headings: a line per category of a row and metric, or a line per row where there are means only."""
    spread = models and out.width >= WIDE
    by_category = any(c.cell.one.category != MEAN for c in cells)
    headings = ["category" if by_category else "row", "measured", *(["spread"] if spread else [])]
    headings += [*(["models"] if models else []), "published", "difference", "verdict"]
    lines = [_values(c, digits, by_category, models, spread) for c in cells]
    widths = [max(map(len, column)) for column in zip(headings, *lines, strict=True)]
    widths[0] = max(min(widths[0], out.width - sum(widths[1:]) - 2 * len(widths)), LEAST_LABEL)
    groups: dict[str, list[tuple[Compared, list[str]]]] = {}
    for c, line in zip(cells, lines, strict=True):
        groups.setdefault(_row_heading(c) if by_category else _metric_heading(c), []).append((c, line))
    for number_, (heading, mine) in enumerate(groups.items()):
        out.print()
        out.print(Text(heading, style="bold"))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_header=number_ == 0)
        for place, (name, width) in enumerate(zip(headings, widths, strict=True)):
            side = "left" if place in (0, len(headings) - 1) else "right"
            table.add_column(name, justify=side, no_wrap=place > 0, overflow="fold", width=width)  # type: ignore[arg-type]
        for c, line in mine:
            table.add_row(*map(Text, line[:-1]), Text(line[-1], style=STYLES[c.verdict]))
        out.print(table)


def _values(c: Compared, digits: int, by_category: bool, models: bool, spread: bool) -> list[str]:
    one, measured = c.cell.one, c.measured
    values = [one.category if by_category else c.cell.method, measured_text(measured, digits)]
    if spread:
        values.append("" if measured is None or measured.spread is None else f"{measured.spread:.{digits}f}")
    if models:
        values.append(f"{0 if measured is None else measured.models}/{c.wanted}")
    return [*values, f"{'~' if one.read_off else ''}{published_text(c.cell)}", _difference(c, digits), c.verdict]


def _row_heading(c: Compared) -> str:
    return ", ".join(filter(None, (c.cell.method, c.cell.block.label, c.cell.one.task, _metric(c))))


def _metric_heading(c: Compared) -> str:
    return ", ".join(filter(None, (c.cell.one.task, c.cell.block.label, _metric(c))))


def _metric(c: Compared) -> str:
    return f"{c.cell.one.metric} ({c.cell.one.unit})"


def _difference(c: Compared, digits: int) -> str:
    allowed = f"(±{c.allowed:.{digits}f})"
    return allowed if c.difference is None else f"{c.difference:+.{digits}f} {allowed}"


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"


def _coverage(comparison: Comparison) -> Text:
    cannot = len({c.cell.number for c in comparison.cells if c.cell.block.cannot})
    text = Text("Coverage: ", style="bold").append(coverage(comparison), style="default not bold")
    return text.append(f" {cannot} more cannot be compared here." if cannot else "", style="default not bold")


def _notes(comparison: Comparison) -> list[str]:
    """What a reader of the table has to know."""
    target, measured = comparison.loaded.target, [c.measured for c in comparison.cells if c.measured is not None]
    notes = []
    if target.over:
        notes.append(f"A printed number is the mean over models that differ in {target.over}.")
    fewer = sum(c.measured is not None and c.measured.models < c.wanted for c in comparison.cells)
    if fewer:
        notes.append(f"{_cells(fewer)} rest{'s' if fewer == 1 else ''} on fewer models than the printed ones.")
    if any(m.unnamed for m in measured):
        notes.append("Older records do not say which of the models they are: each of their fits counts as one.")
    if any(c.cell.one.read_off for c in comparison.cells):
        notes.append("~: read off a plot, about half a point exact.")
    methods = sorted({m.method for m in measured if m.interval is not None})
    if methods:
        notes.append(f"In brackets 95 % intervals: {', '.join(methods)}.")
    labels = {c.cell.block.label for c in comparison.cells if not c.cell.block.cannot}
    if len({c.cell.number for c in comparison.cells}) < len(comparison.cells) and len(labels) > 1:
        notes.append(f"Compared twice ({', '.join(sorted(labels))}): a printed cell is within where one of them is.")
    if comparison.left_out:
        left = ", ".join(f"{count} {reason}" for reason, count in sorted(comparison.left_out.items()))
        notes.append(f"Records of the same components that do not count: {left}.")
    return notes


def _tolerances(cells: Sequence[Compared]) -> list[str]:
    found: dict[str, list[Compared]] = {}
    for c in cells:
        assert c.cell.tolerance is not None
        unit = {"deg": " degrees"}.get(c.cell.one.unit, "")
        found.setdefault(f"±{c.cell.tolerance.value:g}{unit} ({{}}): {c.cell.tolerance.because}.", []).append(c)
    lines = []
    for line, mine in found.items():
        means = {c.cell.one.category == MEAN for c in mine}
        metrics = ", ".join(dict.fromkeys(c.cell.one.metric for c in mine))
        what = "means" if means == {True} else "categories" if means == {False} else "categories and means"
        rows = mine[0].cell.tolerance.method if mine[0].cell.tolerance else "*"
        lines.append(line.format(f"{'' if rows == '*' else f'{rows}, '}{metrics}, {what}"))
    return lines


def _print_apart(comparison: Comparison, cells: Sequence[Compared], out: Console) -> None:
    """Synthetic, random and limited runs: shown, never compared."""
    out.print(Text("\nNOT COMPARABLE: synthetic data, random weights or limited runs", style="bold yellow"))
    shown = [c for c in cells if c.apart is not None]
    if not shown:
        out.print("No such record of these components.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading, justify in (("row", "left"), ("metric", "left"), ("category", "left"), ("shows", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    table.add_column("records", justify="right", no_wrap=True)
    for c in shown:
        assert c.apart is not None
        row = ", ".join(filter(None, (c.cell.method, c.cell.block.label)))
        texts = (row, c.cell.one.metric, c.cell.one.category, measured_text(c.apart, comparison.digits))
        table.add_row(*map(Text, texts), str(len(c.apart.runs)))
    out.print(table)
