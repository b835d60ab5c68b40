"""How a value changes with the angle between two views."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

from bench3d.leaderboard.board import Metric, Row, Table
from bench3d.leaderboard.plots.scales import Axis, bottom_axis, left_axis, linear, tick_label
from bench3d.leaderboard.plots.style import LINES, ink
from bench3d.leaderboard.plots.svg import (
    SMALL,
    WIDTH,
    Svg,
    clean,
    figure,
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

LEFT, TOP, BOTTOM = 66.0, 40.0, 360.0
WIDEST_NAME, LEADER, STEP = 190, 26, 22
OPACITY = 0.16
"""Of one band; less where many cover one another."""
DEGREES = (1, 2, 5, 10, 15, 30, 45, 60, 90)
DASHES = (None, "9 4", "2 4", "12 4 2 4", "5 3", "14 5", "2 3 8 3", "6 6")
SHAPES = (
    "m-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0z",
    "m-5.5 -5.5h11v11h-11z",
    "m0 -7l7 12h-14z",
    "m0 -7.5l7.5 7.5l-7.5 7.5l-7.5 -7.5z",
    "m0 7l7 -12h-14z",
    "m-2.5 -6.5h5v4h4v5h-4v4h-5v-4h-4v-5h4z",
    "m0 -7l6.7 4.9l-2.6 7.8h-8.2l-2.6 -7.8z",
    "m-7 -3.5h14v7h-14z",
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Knot:
    """One bin of one row: `at` is where it stands, in degrees or as a place in the order."""

    at: float
    bin: str
    value: float
    interval: tuple[float, float] | None
    n: int


def angle_curves(table: Table, metric: str) -> str:
    """Value against view angle, a line for each of the best rows, named at its end.

    Returns:
        one `<svg>`, "" where no row has a curve of the metric.
    """
    column = metric_of(table, metric)
    rows = [r for r in table.rows if r.curve.get(metric)]
    if column is None or not rows:
        return ""
    places, edges = _places(rows, metric)
    lines = [(row, knots) for row in rows if (knots := _knots(row, metric, places))]
    if not lines:
        return ""
    shown = lines[:LINES]
    names, ending = cut_all([name_of(row) for row, _ in shown], WIDEST_NAME, SMALL)
    right = WIDTH - max(width_of(n, SMALL) for n in names) - LEADER - 16
    knots = [k for _, found in shown for k in found]
    across = linear([*edges, *(k.at for k in knots)], LEFT + 10, right)
    across = Axis(min(edges), max(edges), LEFT + 6, right) if len(edges) > 1 else across
    up = linear([v for k in knots for v in (k.value, *(k.interval or ()))], BOTTOM, TOP, column.unit)
    show = digits((k.value for k in knots), column.unit)
    caption = caption_of(column)
    body = [
        words_at(4, 20, cut(caption, WIDTH - 8, SMALL), caption, font_size=SMALL),
        left_axis(up, LEFT, right),
        _bottom(across, edges, places),
        words_at(right, BOTTOM + 44, "view angle (°) →" if edges else "bin →", text_anchor="end", font_size=SMALL),
        *(
            _line(i, found, across, up, OPACITY if len(shown) <= 4 else OPACITY / 2.5)
            for i, (_, found) in enumerate(shown)
        ),
        *(_marks(i, names[i], found, across, up, show, column) for i, (_, found) in enumerate(shown)),
        _ends(shown, names, across, up, right),
    ]
    said = ["Bands: 95 % intervals."] if any(k.interval for k in knots) else []
    said += left_out(len(shown), len(lines))
    said += ending
    said += unranked_note((row for row, _ in shown), "In italics")
    below, height = notes(said, BOTTOM + 50)
    title = f"{table.title}: {column.name} against view angle"
    name = plot_id("angle", table.id, metric)
    return figure(name, "angle", title, _words(shown, show, column), height, *body, below)


def bounds(name: str) -> tuple[float, float] | None:
    """The degrees of a bin: "030-060"; "345-015" goes through zero, from -15. None where it is no such name."""
    found = _NUMBER.findall(clean(name))
    if len(found) != 2 or max(map(len, found)) > 9:
        return None
    low, high = float(found[0]), float(found[1])
    return (low - 360 if low > high else low, high) if low != high and low <= 360 else None


def _places(rows: Sequence[Row], metric: str) -> tuple[dict[str, float], list[float]]:
    """Bin -> where it stands, and the edges of the bins; what is no angle stands in the order of its number."""
    bins = dict.fromkeys(entry[0] for row in rows for entry in row.curve[metric])
    known = {b: found for b in bins if (found := bounds(b)) is not None}
    if len(known) == len(bins):
        return {b: (low + high) / 2 for b, (low, high) in known.items()}, sorted(set(chain(*known.values())))

    def number(name: str) -> float:
        found = _NUMBER.search(clean(name))
        return float(found.group()) if found is not None and len(found.group()) < 12 else math.inf

    return {b: float(i) for i, b in enumerate(sorted(bins, key=number))}, []


def _knots(row: Row, metric: str, places: Mapping[str, float]) -> list[Knot]:
    found = []
    for name, value, low, high, n in row.curve[metric]:
        number = finite(value)
        if number is not None:
            found.append(Knot(places[name], _bin_words(name), number, span((low, high)), n))
    return sorted(found, key=lambda k: k.at)


def _bin_words(name: str) -> str:
    ends = bounds(name)
    return clean(name) if ends is None else f"{ends[0]:g} to {ends[1]:g}°".replace("-", "−")


def _bottom(across: Axis, edges: Sequence[float], places: Mapping[str, float]) -> Svg:
    if edges:
        step = next((s for s in DEGREES if edges[-1] - edges[0] <= 7 * s), DEGREES[-1])
        ticks = [float(t) for t in range(step * math.ceil(edges[0] / step), math.floor(edges[-1]) + 1, step)]
        return bottom_axis(across, TOP, BOTTOM, ticks, tick_label(ticks), grid=False)
    names = {at: cut(clean(name), 90, SMALL) for name, at in places.items()}
    return bottom_axis(across, TOP, BOTTOM, sorted(names), names.__getitem__, grid=False)


def _line(i: int, knots: Sequence[Knot], across: Axis, up: Axis, opacity: float) -> Svg:
    """A line with its intervals as a band, broken where a bin has none."""
    line = path("M", *(c for k in knots for c in (across(k.at), up(k.value))))
    parts = []
    for known, run in groupby(knots, key=lambda k: k.interval is not None):
        ends = [(across(k.at), up(k.interval[0]), up(k.interval[1])) for k in run if k.interval]
        if known and len(ends) == 1:
            bar = path("M", ends[0][0], ends[0][1], "V", ends[0][2])
            parts.append(tag("path", d=bar, stroke="currentColor", stroke_opacity=0.5, stroke_width=1.5))
        elif known:
            around = [c for x, low, _ in ends for c in (x, low)] + [
                c for x, _, high in reversed(ends) for c in (x, high)
            ]
            parts.append(tag("path", d=path("M", *around, "z"), fill="currentColor", fill_opacity=opacity))
    parts.append(tag("path", d=line, fill="none", stroke="currentColor", stroke_width=2.5, stroke_dasharray=DASHES[i]))
    return tag("g", *parts, **ink(f"c{i + 1}"))


def _marks(i: int, name: str, knots: Sequence[Knot], across: Axis, up: Axis, show: Digits, metric: Metric) -> Svg:
    marks = []
    for k in knots:
        ends = "" if k.interval is None else f" ({show(k.interval[0])} to {show(k.interval[1])})"
        said = f"{name}, {k.bin}: {show(k.value)}{unit_of(metric)}{ends}, n {k.n}"
        marks.append(tag("path", tag("title", said), d=path("M", across(k.at), up(k.value)) + SHAPES[i]))
    return tag("g", *marks, fill="currentColor", **ink(f"c{i + 1}"))


def _ends(
    lines: Sequence[tuple[Row, Sequence[Knot]]], names: Sequence[str], across: Axis, up: Axis, right: float
) -> Svg:
    """Names to the right of the lines, in the order of their ends, none over another."""
    tips = [(across(knots[-1].at), up(knots[-1].value)) for _, knots in lines]
    order = sorted(range(len(lines)), key=lambda i: tips[i][1])
    heights = spread([tips[i][1] for i in order], STEP, TOP, BOTTOM)
    parts = []
    for i, y in zip(order, heights, strict=True):
        x = right + LEADER
        lead = path("M", tips[i][0] + 9, tips[i][1], "L", right + 4, y, "H", x - 10)
        style = None if lines[i][0].ranked else "italic"
        parts.append(
            tag(
                "g",
                tag("path", d=lead, fill="none", stroke="currentColor", stroke_opacity=0.6),
                tag("path", d=path("M", x - 4, y) + SHAPES[i], fill="currentColor"),
                words_at(x + 8, y + 6, names[i], name_of(lines[i][0]), font_style=style, fill="currentColor"),
                **ink(f"c{i + 1}"),
            )
        )
    return tag("g", *parts, font_size=SMALL)


def spread(heights: Sequence[float], step: float, top: float, bottom: float) -> list[float]:
    """Sorted heights moved apart to at least `step`, first downwards, then back up from the bottom."""
    found = list(heights)
    for i, height in enumerate(found):
        found[i] = max(height, top if i == 0 else found[i - 1] + step)
    for i in reversed(range(len(found))):
        found[i] = min(found[i], bottom if i == len(found) - 1 else found[i + 1] - step)
    return found


def _words(lines: Sequence[tuple[Row, Sequence[Knot]]], show: Digits, metric: Metric) -> str:
    unit = unit_of(metric)
    said = []
    for row, knots in lines[:3]:
        first, last = knots[0], knots[-1]
        said.append(f"{name_of(row)}: {show(first.value)}{unit} at {first.bin}, {show(last.value)}{unit} at {last.bin}")
    return f"{len(lines)} rows. {'; '.join(said)}."
