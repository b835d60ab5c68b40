"""What a run costs against how good it is, and the runs that none beats in both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench3d.leaderboard.board import Metric, Row, Table
from bench3d.leaderboard.plots.placing import Box, drawn, place
from bench3d.leaderboard.plots.scales import Axis, bottom_axis, left_axis, linear, logarithmic
from bench3d.leaderboard.plots.style import fill, ink
from bench3d.leaderboard.plots.svg import SMALL, WIDTH, Svg, figure, path, plot_id, tag, words_at
from bench3d.leaderboard.plots.words import (
    Digits,
    caption_of,
    cut,
    cut_all,
    digits,
    finite,
    mean_of,
    metric_of,
    name_of,
    nameless,
    notes,
    reading,
    span,
    unit_of,
    unranked_note,
)

Cost = Literal["parameters", "seconds_per_image", "memory_bytes"]
CAPTIONS = {"parameters": "parameters", "seconds_per_image": "time per image", "memory_bytes": "peak memory"}
LEFT, TOP, RIGHT, BOTTOM = 66.0, 40.0, WIDTH - 8.0, 380.0
WIDEST_NAME = 190
CROWD = 40
"""With more points than these only those on the front have names and whiskers."""


@dataclass(frozen=True)
class Spent:
    """A row with a cost."""

    row: Row
    cost: float
    value: float
    interval: tuple[float, float] | None
    best: bool = False


def front(points: Sequence[tuple[float, float]], higher_is_better: bool) -> list[bool]:
    """Which (cost, value) no other one dominates: is at most as dear, at least as good, and one of them truly."""
    sign = 1.0 if higher_is_better else -1.0
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -sign * points[i][1]))
    kept = [False] * len(points)
    best: tuple[float, float] | None = None
    for i in order:
        cost, value = points[i][0], sign * points[i][1]
        kept[i] = best is None or value > best[1] or (cost, value) == best
        if best is None or value > best[1]:
            best = (cost, value)
    return kept


def pareto(table: Table, cost: Cost) -> str:
    """The headline against a cost on a logarithmic axis. Rows without a rank are hollow and not on the front.

    Returns:
        one `<svg>`, "" with fewer than two rows that have the cost.
    """
    metric = metric_of(table, table.headline)
    spent = [] if metric is None else _spent(table, metric, cost)
    if metric is None or len(spent) < 2:
        return ""
    across = logarithmic((s.cost for s in spent), LEFT, RIGHT)
    up = linear((v for s in spent for v in (s.value, *(s.interval or ()))), BOTTOM, TOP, metric.unit)
    show = digits((s.value for s in spent), metric.unit)
    at = [(across(s.cost), up(s.value)) for s in spent]
    bare = len(spent) > CROWD
    order = sorted(range(len(spent)), key=lambda i: (not spent[i].best, not spent[i].row.ranked, i))
    labelled = [i for i in order if spent[i].best or not bare]
    full = [name_of(s.row) for s in spent]
    shown, ending = cut_all(full, WIDEST_NAME, SMALL)
    lines = _corners(spent, at)
    if not bare:
        lines += [
            Box(x, up(s.interval[1]), x, up(s.interval[0])) for s, (x, _) in zip(spent, at, strict=True) if s.interval
        ]
    minor = frozenset(i for i, s in enumerate(spent) if bare and not s.best)
    places = place(at, [(i, shown[i]) for i in labelled], Box(LEFT, TOP - 6, WIDTH, BOTTOM - 2), SMALL, lines, minor)
    body = [
        words_at(4, 20, cut(f"{caption_of(metric)}, mean", WIDTH - 8, SMALL), caption_of(metric), font_size=SMALL),
        left_axis(up, LEFT, RIGHT),
        bottom_axis(across, TOP, BOTTOM, across.ticks(9), lambda v: amount(v, cost)),
        words_at(RIGHT, BOTTOM + 44, f"{CAPTIONS[cost]} (log scale) →", text_anchor="end", font_size=SMALL),
        _steps(_corners(spent, at)),
        tag(
            "g",
            *(_point(s, xy, up, show, metric, cost, bare) for s, xy in zip(spent, at, strict=True)),
            fill="currentColor",
        ),
        drawn(at, places, shown, full, SMALL),
    ]
    said = [*_sentences(spent, metric, bare), *ending, *nameless(len(labelled) - len(places))]
    below, height = notes(said, BOTTOM + 50)
    title = f"{table.title}: {metric.name} against {CAPTIONS[cost]}"
    name = plot_id("pareto", table.id, cost, metric.name)
    return figure(name, "pareto", title, _words(spent, show, metric, cost), height, *body, below)


def amount(value: float, cost: Cost) -> str:
    """A cost with a unit that fits: 22 M, 35 ms, 2 GB."""
    steps: tuple[tuple[float, str], ...]
    if cost == "seconds_per_image":
        steps = ((1.0, " s"), (1e-3, " ms"), (1e-6, " µs"))
    elif cost == "memory_bytes":
        steps = ((1e12, " TB"), (1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (1.0, " B"))
    else:
        steps = ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k"), (1.0, ""))
    size, unit = next((step for step in steps if value >= 0.9995 * step[0]), steps[-1])
    return f"{float(f'{value / size:.3g}'):g}{unit}"


def _spent(table: Table, metric: Metric, cost: Cost) -> list[Spent]:
    found: list[Spent] = []
    for row in table.rows:
        mean, price = mean_of(row, metric.name), finite(getattr(row, cost))
        if mean is not None and price is not None and price > 1e-12:
            found.append(Spent(row, price, mean[1], span(mean[0].interval)))
    ranked = [s for s in found if s.row.ranked]
    kept = front([(s.cost, s.value) for s in ranked], metric.higher_is_better)
    best = {id(s) for s, k in zip(ranked, kept, strict=True) if k}
    return [Spent(s.row, s.cost, s.value, s.interval, id(s) in best) for s in found]


def _corners(spent: Sequence[Spent], at: Sequence[tuple[float, float]]) -> list[Box]:
    """The front as steps, each a box of no height or no width: a better value only where its cost is reached."""
    corners = sorted({xy for s, xy in zip(spent, at, strict=True) if s.best})
    if not corners:  # no row with a rank has the cost
        return []
    found: list[Box] = []
    for (x, y), (right, upper) in zip(corners, [*corners[1:], (RIGHT, math.nan)], strict=True):
        found.append(Box(x, y, right, y))
        if not math.isnan(upper):
            found.append(Box(right, min(y, upper), right, max(y, upper)))
    return found


def _steps(boxes: Sequence[Box]) -> Svg:
    if not boxes:
        return Svg()
    treads = (b for b in boxes if b.top == b.bottom)
    line = path("M", boxes[0].left, boxes[0].top, *(c for b in treads for c in ("V", b.top, "H", b.right)))
    look = {"fill": "none", "stroke": "currentColor", "stroke_width": 2, "stroke_dasharray": "7 4"}
    return tag("path", d=line, **look, **ink("c2"))


def _point(
    spent: Spent, xy: tuple[float, float], up: Axis, show: Digits, metric: Metric, cost: Cost, bare: bool
) -> Svg:
    x, y = xy
    said = f"{name_of(spent.row)}: {reading(spent.value, spent.interval, unit_of(metric), show)}"
    title = tag("title", f"{said}, {amount(spent.cost, cost)}")
    look = ink("c2" if spent.best else "c1" if spent.row.ranked else "muted")
    hollow = {} if spent.row.ranked else {"stroke": "currentColor", "stroke_width": 2, **fill("paper")}
    if bare and not spent.best:
        return tag(
            "g",
            tag("circle", title, cx=x, cy=y, r=4.5, fill_opacity=0.5 if spent.row.ranked else None, **hollow),
            **look,
        )
    whisker = None
    if spent.interval is not None:
        line = path("M", x, up(spent.interval[0]), "V", up(spent.interval[1]))
        whisker = tag("path", d=line, stroke="currentColor", stroke_width=1.5, stroke_opacity=0.6)
    dot = tag("circle", cx=x, cy=y, r=5.5, **hollow)
    if spent.best:
        dot = tag("path", d=path("M", x, y - 8) + "l8 8-8 8-8-8z")
    return tag("g", title, whisker, dot, **look)


def _sentences(spent: Sequence[Spent], metric: Metric, bare: bool) -> list[str]:
    better = "up" if metric.higher_is_better else "down"
    said = [f"Better: left and {better}. The line joins the runs that none beats in both."]
    if bare:
        said.append("Names and 95 % intervals for the runs on the line alone.")
    elif any(s.interval for s in spent):
        said.append("Bars: 95 % intervals.")
    return said + unranked_note((s.row for s in spent), "Hollow, never on the line")


def _words(spent: Sequence[Spent], show: Digits, metric: Metric, cost: Cost) -> str:
    members = sorted((s for s in spent if s.best), key=lambda s: s.cost)
    if not members:
        return f"{len(spent)} rows, none of them ranked."
    names = [f"{name_of(s.row)} ({show(s.value)}{unit_of(metric)} at {amount(s.cost, cost)})" for s in members[:6]]
    more = f" and {len(members) - 6} more" if len(members) > 6 else ""
    return f"Of {len(spent)} rows none beats in both {CAPTIONS[cost]} and {metric.name}: {', '.join(names)}{more}."
