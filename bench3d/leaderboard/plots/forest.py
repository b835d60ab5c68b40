"""Values with their intervals, chance and ranks: one line per row."""

from __future__ import annotations

from collections.abc import Sequence

from bench3d.leaderboard.board import Cell, Metric, Row, Table
from bench3d.leaderboard.plots.scales import Axis, bottom_axis, linear, tick_label
from bench3d.leaderboard.plots.style import fill, ink
from bench3d.leaderboard.plots.svg import LABEL, SMALL, WIDTH, Svg, figure, join, path, plot_id, tag, width_of, words_at
from bench3d.leaderboard.plots.words import (
    Digits,
    caption_of,
    cut,
    cut_all,
    digits,
    finite,
    left_out,
    mean_of,
    metric_of,
    name_of,
    notes,
    rank_of,
    reading,
    span,
    unit_of,
    unranked_note,
)

ROWS = 40
"""More are left out, and said so."""
STEP, TOP = 30, 62
WIDEST_NAME = 250
SHARE = 0.15
"""Of the axis that the rows need at least, for chance to be on it."""

Line = tuple[Row, Cell, float]


def rank_intervals(table: Table) -> str:
    """Every row's headline with its 95 % interval, chance and the ranks that the pairwise tests leave it.

    Returns:
        one `<svg>`, "" where the table has no value of its headline.
    """
    metric = metric_of(table, table.headline)
    if metric is None:
        return ""
    lines: list[Line] = [(row, *found) for row in table.rows if (found := mean_of(row, metric.name))]
    if not lines:
        return ""
    shown = lines[:ROWS]
    show = digits((v for _, _, v in shown), metric.unit)
    names, ending = cut_all([name_of(row) for row, _, _ in shown], WIDEST_NAME, LABEL)
    left = max(width_of(n, LABEL) for n in names) + 20
    value_at = WIDTH - max(50, *(width_of(rank_of(row), LABEL) for row, _, _ in shown)) - 24
    widest = max(width_of(show(v), LABEL) for _, _, v in shown)
    extent, near = _extent(shown)
    axis = linear(extent, left, value_at - widest - 22, metric.unit)
    bottom = TOP + STEP * len(shown)
    ticks = axis.ticks(5)
    body = [
        words_at(4, 20, cut(f"{caption_of(metric)}, mean", WIDTH - 8, SMALL), caption_of(metric), font_size=SMALL),
        _heads(value_at),
        bottom_axis(axis, TOP, bottom, ticks, tick_label(ticks)),
        _chance(axis, _levels(shown), len(shown), show) if near else None,
        *(_line(axis, i, line, names[i], show, metric, value_at) for i, line in enumerate(shown)),
    ]
    said = [*_sentences(lines, shown, ending), *_said_of_chance(shown, near, show, metric)]
    below, height = notes(said, bottom + 30)
    title = f"{table.title}: {metric.name} with 95 % intervals and ranks"
    name = plot_id("ranks", table.id, metric.name)
    return figure(name, "ranks", title, _words(lines, show, metric), height, *body, below)


def _levels(lines: Sequence[Line]) -> list[tuple[int, float]]:
    """(number of the row, its chance) where there is one."""
    return [(i, level) for i, (_, cell, _) in enumerate(lines) if (level := finite(cell.chance)) is not None]


def _extent(lines: Sequence[Line]) -> tuple[list[float], bool]:
    """What the axis has to hold, and whether chance is part of it: not where it would press all rows into a corner."""
    measured = [v for _, cell, value in lines for v in (value, *(span(cell.interval) or ()))]
    chance = [level for _, level in _levels(lines)]
    every = [*measured, *chance]
    near = bool(chance) and max(measured) - min(measured) >= SHARE * (max(every) - min(every))
    return (every if near else measured), near


def _heads(value_at: float) -> Svg:
    looks = {"font_size": SMALL, **fill("muted")}
    return join(
        [
            words_at(value_at, TOP - 8, "value", text_anchor="end", **looks),
            words_at(WIDTH - 4, TOP - 8, "rank", text_anchor="end", **looks),
        ]
    )


def _chance(axis: Axis, levels: Sequence[tuple[int, float]], rows: int, show: Digits) -> Svg:
    """One dashed line where chance is the same for all rows, else a short one in each row."""
    texts = {show(level) for _, level in levels}
    dashes = {"stroke": "currentColor", "stroke_width": 2, **ink("muted")}
    if len(texts) == 1 and len(levels) == rows:
        x = axis(levels[0][1])
        label = f"chance {texts.pop()}"
        half = width_of(label, SMALL) / 2
        text = words_at(
            min(max(x, axis.start + half - 12), axis.end - half),
            TOP - 8,
            label,
            text_anchor="middle",
            font_size=SMALL,
            **fill("muted"),
        )
        return join(
            [tag("path", d=path("M", x, TOP - 2, "V", TOP + STEP * rows), stroke_dasharray="5 4", **dashes), text]
        )
    short = "".join(path("M", axis(level), TOP + STEP * i + 3, "v", STEP - 6) for i, level in levels)
    return tag("path", tag("title", "chance"), d=short, stroke_dasharray="3 2", **dashes)


def _line(axis: Axis, i: int, line: Line, name: str, show: Digits, metric: Metric, value_at: float) -> Svg:
    row, cell, value = line
    y = TOP + STEP * (i + 0.5)
    interval = span(cell.interval)
    look = ink("c1" if row.ranked else "muted")
    marks = [tag("title", _reading(row, cell, value, show, metric))]
    if interval is not None:
        ends = path("M", axis(interval[0]), y, "H", axis(interval[1]))
        ends += "".join(path("M", axis(x), y - 5, "v", 10) for x in interval)
        marks.append(tag("path", d=ends, stroke="currentColor", stroke_width=2.5))
    hollow = {} if row.ranked else {"stroke": "currentColor", "stroke_width": 2.5, **fill("paper")}
    marks.append(tag("circle", cx=axis(value), cy=y, r=6, **hollow))
    style = None if row.ranked else "italic"
    dagger = "†" if cell.method == "student-t" else ""
    return join(
        [
            words_at(4, y + 6, name, name_of(row), font_style=style),
            tag("g", *marks, fill="currentColor", **look),
            words_at(value_at, y + 6, show(value), text_anchor="end", font_weight="bold" if cell.best else None),
            words_at(value_at + 1, y + 6, dagger, font_size=SMALL) if dagger else None,
            words_at(WIDTH - 4, y + 6, rank_of(row), text_anchor="end"),
        ]
    )


def _reading(row: Row, cell: Cell, value: float, show: Digits, metric: Metric) -> str:
    said = f"{name_of(row)}: {reading(value, span(cell.interval), unit_of(metric), show)}, n {cell.n}"
    chance = finite(cell.chance)
    return said if chance is None else f"{said}, chance {show(chance)}"


def _sentences(lines: Sequence[Line], shown: Sequence[Line], ending: Sequence[str]) -> list[str]:
    found = left_out(len(shown), len(lines))
    found += ending
    found += unranked_note((row for row, _, _ in shown), "Hollow")
    if any(cell.method == "student-t" for _, cell, _ in shown):
        found.append("† Student's t, as there are fewer than 30 effective clusters.")
    return found


def _said_of_chance(lines: Sequence[Line], near: bool, show: Digits, metric: Metric) -> list[str]:
    levels = [level for _, level in _levels(lines)]
    if not levels or (near and len({show(v) for v in levels}) == 1 and len(levels) == len(lines)):
        return []
    if near:
        return ["Dashes: chance of each row."]
    low, high = show(min(levels)), show(max(levels))
    return [f"Chance lies off the axis: {low if low == high else f'{low} to {high}'}{unit_of(metric)}."]


def _words(lines: Sequence[Line], show: Digits, metric: Metric) -> str:
    ranked = [line for line in lines if line[0].ranked]
    if not ranked:
        return f"{len(lines)} rows, none of them ranked."
    row, cell, value = ranked[0]
    said = f"{name_of(row)} leads with {reading(value, span(cell.interval), unit_of(metric), show)}"
    said += f", rank {rank_of(row)} of {len(ranked)}."
    tied = [name_of(r) for r, c, _ in ranked[1:] if c.tied]
    if tied:
        more = f" and {len(tied) - 3} more" if len(tied) > 3 else ""
        said += f" Not significantly different from the best: {', '.join(tied[:3])}{more}."
    chance = finite(cell.chance)
    return said if chance is None else f"{said} Chance is {show(chance)}{unit_of(metric)}."
