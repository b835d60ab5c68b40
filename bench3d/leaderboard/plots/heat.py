"""Rows against categories: a value in every cell, and a colour that says how good it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench3d.leaderboard.board import MEAN, Metric, Row, Table
from bench3d.leaderboard.plots.style import FLIP, STEPS, fill
from bench3d.leaderboard.plots.svg import (
    LABEL,
    SMALL,
    WIDTH,
    Svg,
    clean,
    figure,
    join,
    path,
    plot_id,
    tag,
    width_of,
    words_at,
)
from bench3d.leaderboard.plots.words import (
    Digits,
    caption_of,
    cut,
    cut_all,
    digits,
    finite,
    left_out,
    metric_of,
    name_of,
    notes,
    span,
    unit_of,
    unranked_note,
)

CELLS, ROWS = 420, 40
"""More rows are left out, and said so."""
STEP, GAP, WIDEST_CELL, WIDEST_NAME, WIDEST_HEAD = 30, 2, 84, 200, 110
SLOPE = math.radians(50)


@dataclass(frozen=True)
class Scale:
    """From the worst value on the table to the best."""

    worst: float
    best: float

    def step(self, value: float) -> int:
        """0 (worst) to `STEPS` - 1 (best)."""
        part = (value - self.worst) / (self.best - self.worst)
        return min(STEPS - 1, max(0, math.floor(part * STEPS)))


@dataclass(frozen=True)
class Sheet:
    """What a heat map shows: values[row][column], marks[row][column] of "best" and "tied"."""

    metric: Metric
    rows: Sequence[Row]
    columns: Sequence[str]
    values: Sequence[Mapping[str, float]]
    marks: Mapping[tuple[int, str], str]
    show: Digits
    scale: Scale


def heat_map(table: Table, metric: str) -> str:
    """Values per category and over all, darker (on a dark page brighter) the better.

    Many categories are wrapped into bands, one under the other, so that a phone shows them at the same size.

    Returns:
        one `<svg>`, "" where no row has the metric.
    """
    column = metric_of(table, metric)
    if column is None:
        return ""
    rows = [r for r in table.rows if any(finite(c.value) is not None for c in r.cells.get(metric, {}).values())]
    columns = [c for c in (*table.categories, MEAN) if any(_value(r, metric, c) is not None for r in rows)]
    if not columns:
        return ""
    sheet = _sheet(column, rows[: max(8, min(ROWS, CELLS // len(columns)))], columns)
    shown, ending = cut_all([name_of(r) for r in sheet.rows], WIDEST_NAME, LABEL)
    left = math.ceil(max(width_of(n, LABEL) for n in shown)) + 14
    widest = max(width_of(sheet.show(v), SMALL) for row in sheet.values for v in row.values())
    bands, cell, level = _bands(columns, WIDTH - left, max(44.0, widest + 8))
    caption = f"{caption_of(column)}, per category and mean"
    parts: list[object] = [words_at(4, 20, cut(caption, WIDTH - 8, SMALL), caption, font_size=SMALL)]
    y = 30.0
    for band in bands:
        drawn, y = _band(sheet, band, shown, left, cell, y, level)
        parts.append(drawn)
    legend = _legend(sheet, y + 12)
    below, height = notes(_sentences(sheet, len(rows), ending), y + 40)
    name = plot_id("heat", table.id, metric)
    title = f"{table.title}: {column.name} per category"
    return figure(name, "heat", title, _words(sheet), height, *parts, legend, below)


def _value(row: Row, metric: str, column: str) -> float | None:
    cell = row.cell(metric, column)
    return None if cell is None else finite(cell.value)


def _sheet(metric: Metric, rows: Sequence[Row], columns: Sequence[str]) -> Sheet:
    values = [{c: v for c in columns if (v := _value(r, metric.name, c)) is not None} for r in rows]
    every = [v for row in values for v in row.values()]
    show = digits(every, metric.unit)
    return Sheet(metric, rows, columns, values, _marks(metric, rows, columns), show, _scale(metric, rows, every))


def _scale(metric: Metric, rows: Sequence[Row], every: Sequence[float]) -> Scale:
    """From lowest to highest, but not narrower than a usual interval: colours must not make noise look large."""
    ends = [span(c.interval) for r in rows for c in r.cells[metric.name].values()]
    widths = [e[1] - e[0] for e in ends if e is not None]
    low, high = min(every), max(every)
    least = max(median(widths) if widths else 0.0, 1e-6 * max(abs(low), abs(high)), 1e-9)
    margin = max(0.0, (least - (high - low)) / 2)
    low, high = low - margin, high + margin
    return Scale(low, high) if metric.higher_is_better else Scale(high, low)


def _marks(metric: Metric, rows: Sequence[Row], columns: Sequence[str]) -> dict[tuple[int, str], str]:
    """The best of every column, as the board has them, else by value; rows without a rank are never it."""
    found: dict[tuple[int, str], str] = {}
    for column in columns:
        cells = [(i, r.cell(metric.name, column)) for i, r in enumerate(rows) if r.ranked]
        known = [(i, c, v) for i, c in cells if c is not None and (v := finite(c.value)) is not None]
        flagged = {i for i, c, _ in known if c.best}
        if not flagged and known:
            top = (max if metric.higher_is_better else min)(v for _, _, v in known)
            flagged = {i for i, _, v in known if v == top}
        for i, cell, _ in known:
            if i in flagged or cell.tied:
                found[i, column] = "best" if i in flagged else "tied"
    return found


def _bands(columns: Sequence[str], room: float, needed: float) -> tuple[list[Sequence[str]], float, bool]:
    """Columns in as few bands of about one length as give every cell the width it needs, the width, and whether the
    headings are level.
    """
    for count in range(1, len(columns) + 1):
        each = math.ceil(len(columns) / count)
        bands = [columns[i : i + each] for i in range(0, len(columns), each)]
        cell = min(max(WIDEST_CELL, needed), room // each)
        if cell >= needed and all(width_of(_head(c), SMALL) <= cell - 4 for c in columns):
            return bands, cell, True
        for band in bands:
            cell = min(cell, *((room - _overhang(c)) // (i + 0.5) for i, c in enumerate(band)))
        if cell >= needed:
            return bands, cell, False
    return [[c] for c in columns], needed, False


def _head(column: str) -> str:
    return cut(clean(column), WIDEST_HEAD, SMALL)


def _overhang(column: str) -> float:
    """How far a slanted heading reaches beyond the middle of its column."""
    return width_of(_head(column), SMALL) * math.cos(SLOPE) + 8


def _band(
    sheet: Sheet, columns: Sequence[str], names: Sequence[str], left: float, cell: float, top: float, level: bool
) -> tuple[Svg, float]:
    """The rows with some of the columns, and where they end."""
    slope = max(width_of(_head(c), SMALL) for c in columns) * math.sin(SLOPE)
    first = math.ceil(top + (26 if level else slope + 24))
    centres = {c: left + cell * (i + 0.5) for i, c in enumerate(columns)}
    heads = []
    for column, x in centres.items():
        turn = None if level else f"rotate(-{math.degrees(SLOPE):.0f} {x:.1f} {first - 8:.1f})"
        anchor = "middle" if level else None
        weight = "bold" if column == MEAN else None
        heads.append(
            words_at(x, first - 8, _head(column), column, transform=turn, text_anchor=anchor, font_weight=weight)
        )
    shapes: dict[int, str] = {}
    lines: list[Svg] = []
    numbers: list[Svg] = []
    for i, row in enumerate(sheet.rows):
        y = first + STEP * i
        for column, value in sheet.values[i].items():
            if column in centres:
                corner = path("M", centres[column] - cell / 2 + GAP / 2, y + GAP / 2)
                shapes.setdefault(sheet.scale.step(value), "")
                shapes[sheet.scale.step(value)] += corner + path("h", cell - GAP, "v", STEP - GAP, "h", GAP - cell, "z")
        style = None if row.ranked else "italic"
        lines.append(words_at(4, y + 21, names[i], name_of(row), font_style=style))
        numbers.append(_texts(sheet, i, centres, y + 21))
    colours = [tag("path", d=d, **fill(f"h{step}")) for step, d in sorted(shapes.items())]
    figures = tag("g", *numbers, text_anchor="middle", font_size=SMALL)
    return join([tag("g", *heads, font_size=SMALL), *colours, *lines, figures]), first + STEP * len(sheet.rows)


def _texts(sheet: Sheet, i: int, centres: Mapping[str, float], y: float) -> Svg:
    """The numbers of a row: those on weak colours, those on strong ones, and dashes for what is missing."""
    inks: dict[str, list[Svg]] = {"ink": [], "inverse": [], "muted": []}
    for column, x in centres.items():
        value, mark = sheet.values[i].get(column), sheet.marks.get((i, column))
        ink = "muted" if value is None else "ink" if sheet.scale.step(value) < FLIP else "inverse"
        shown = "–" if value is None else sheet.show(value)
        weight, line = ("bold" if mark == "best" else None), ("underline" if mark == "tied" else None)
        inks[ink].append(tag("tspan", shown, x=x, font_weight=weight, text_decoration=line))
    return join([tag("text", *spans, y=y, **fill(ink)) for ink, spans in inks.items() if spans])


def _legend(sheet: Sheet, top: float) -> Svg:
    """The colours, from worst to best."""
    unit = unit_of(sheet.metric)
    worst, best = f"worse {sheet.show(sheet.scale.worst)}{unit}", f"{sheet.show(sheet.scale.best)}{unit} better"
    worst, best = cut(worst, 200, SMALL), cut(best, 200, SMALL)
    x = 4 + width_of(worst, SMALL) + 8
    shapes = [tag("path", d=path("M", x + 18 * i, top, "h 18 v 18 h -18 z"), **fill(f"h{i}")) for i in range(STEPS)]
    texts = [words_at(4, top + 15, worst), words_at(x + 18 * STEPS + 8, top + 15, best)]
    return join([*shapes, tag("g", *texts, font_size=SMALL, **fill("muted"))])


def _sentences(sheet: Sheet, total: int, ending: Sequence[str]) -> list[str]:
    found = left_out(len(sheet.rows), total)
    found += ending
    tied = "tied" in sheet.marks.values()
    marks = "Bold: best of its column."
    found += [f"{marks} Underlined: not significantly different from it." if tied else marks] if sheet.marks else []
    found += unranked_note(sheet.rows, "In italics")
    if any(len(v) < len(sheet.columns) for v in sheet.values):
        found.append("–: not measured.")
    return found


def _words(sheet: Sheet) -> str:
    unit = unit_of(sheet.metric)
    said = []
    for column in sheet.columns:
        best = next((i for (i, c), mark in sheet.marks.items() if c == column and mark == "best"), None)
        if best is not None:
            said.append(f"{column}: {name_of(sheet.rows[best])} with {sheet.show(sheet.values[best][column])}{unit}")
    if not said:
        return f"{len(sheet.rows)} rows, none of them ranked."
    return f"Best of {len(sheet.rows)} rows per category: {'; '.join(said)}."
