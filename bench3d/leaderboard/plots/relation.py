"""One task against another: whether models that are good at the one are good at the other."""

from __future__ import annotations

from collections.abc import Sequence

from bench3d.leaderboard.board import Correlation, Metric, Point
from bench3d.leaderboard.plots.placing import Box, drawn, place
from bench3d.leaderboard.plots.scales import Axis, bottom_axis, left_axis, linear, tick_label
from bench3d.leaderboard.plots.style import fill, ink
from bench3d.leaderboard.plots.svg import SMALL, WIDTH, Svg, clean, figure, path, plot_id, tag, words_at
from bench3d.leaderboard.plots.words import (
    cut,
    cut_all,
    digits,
    finite,
    nameless,
    notes,
    reading,
    sign_of,
    span,
    unit_of,
)

LEFT, TOP, RIGHT, BOTTOM = 66.0, 40.0, WIDTH - 8.0, 430.0
WIDEST_NAME = 200
CROWD = 24
"""With more points than these a name stands right beside its point or nowhere."""

Known = tuple[Point, float, float]


def correlation(link: Correlation) -> str:
    """The models of two tables, better to the right and better upwards, with both intervals.

    Returns:
        one `<svg>`, "" with fewer than two models. No line is fitted: the figure is a correlation of ranks.
    """
    known: list[Known] = []
    for point in link.points:
        x, y = finite(point.x), finite(point.y)
        if x is not None and y is not None:
            known.append((point, x, y))
    if len(known) < 2:
        return ""
    across = _axis([(x, point.x_interval) for point, x, _ in known], link.metric_x, LEFT, RIGHT)
    up = _axis([(y, point.y_interval) for point, _, y in known], link.metric_y, BOTTOM, TOP)
    at = [(across(x), up(y)) for _, x, y in known]
    full = [clean(point.title) for point, _, _ in known]
    shown, ending = cut_all(full, WIDEST_NAME, SMALL)
    arms = [arm for (point, _, _), xy in zip(known, at, strict=True) for arm in _arms(point, xy, across, up)]
    order = sorted(range(len(known)), key=lambda i: known[i][0].random_weights)
    minor = frozenset(order if len(known) > CROWD else ())
    places = place(at, [(i, shown[i]) for i in order], Box(LEFT, TOP - 6, WIDTH, BOTTOM - 2), SMALL, arms, minor)
    ticks = across.ticks(6)
    right, above = _caption(link.metric_x, link.titles[0], "→"), _caption(link.metric_y, link.titles[1], "↑")
    body = [
        words_at(4, 20, cut(above, WIDTH - 8, SMALL), above, font_size=SMALL),
        left_axis(up, LEFT, RIGHT),
        bottom_axis(across, TOP, BOTTOM, ticks, tick_label(ticks)),
        words_at(RIGHT, BOTTOM + 44, cut(right, WIDTH - 8, SMALL), right, text_anchor="end", font_size=SMALL),
        *(_mark(link, one, xy, across, up) for one, xy in zip(known, at, strict=True)),
        drawn(at, places, shown, full, SMALL),
    ]
    said = [*_sentences(link, known, ending), *nameless(len(known) - len(places))]
    below, height = notes(said, BOTTOM + 52)
    name = plot_id("relation", link.table_x, link.table_y, link.metric_x.name, link.metric_y.name)
    title = f"{link.metric_x.name} of {link.titles[0]} against {link.metric_y.name} of {link.titles[1]}"
    return figure(name, "relation", title, _words(link, known), height, *body, below)


def _axis(values: Sequence[tuple[float, tuple[float, float] | None]], metric: Metric, start: float, end: float) -> Axis:
    """An axis on which better is further along: reversed where lower is better."""
    axis = linear([v for value, ends in values for v in (value, *(span(ends) or ()))], start, end, metric.unit)
    return axis if metric.higher_is_better else Axis(axis.low, axis.high, end, start)


def _caption(metric: Metric, table: str, arrow: str) -> str:
    unit = f" ({sign_of(metric)})" if sign_of(metric) else ""
    turned = "" if metric.higher_is_better else ", axis reversed"
    return f"{clean(metric.name)}{unit}, {clean(table)}{turned}: better {arrow}"


def _arms(point: Point, xy: tuple[float, float], across: Axis, up: Axis) -> list[Box]:
    """Both intervals as lines: boxes of no width or no height."""
    found: list[Box] = []
    x, y = span(point.x_interval), span(point.y_interval)
    if x is not None:
        found.append(Box(min(map(across, x)), xy[1], max(map(across, x)), xy[1]))
    if y is not None:
        found.append(Box(xy[0], min(map(up, y)), xy[0], max(map(up, y))))
    return found


def _mark(link: Correlation, known: Known, xy: tuple[float, float], across: Axis, up: Axis) -> Svg:
    point, x, y = known
    said = f"{clean(point.title)}: {_reading(link.metric_x, x, point.x_interval)}; "
    said += _reading(link.metric_y, y, point.y_interval)
    lines = "".join(path("M", b.left, b.top, "L", b.right, b.bottom) for b in _arms(point, xy, across, up))
    bars = tag("path", d=lines, stroke="currentColor", stroke_width=1.5, stroke_opacity=0.6) if lines else None
    hollow = {"stroke": "currentColor", "stroke_width": 2, **fill("paper")} if point.random_weights else {}
    dot = tag("circle", cx=xy[0], cy=xy[1], r=6, **hollow)
    look = ink("muted" if point.random_weights else "c1")
    return tag("g", tag("title", said), bars, dot, fill="currentColor", **look)


def _reading(metric: Metric, value: float, interval: tuple[float, float] | None) -> str:
    return f"{clean(metric.name)} {reading(value, span(interval), unit_of(metric), digits([value], metric.unit))}"


def _result(link: Correlation) -> str:
    rho = finite(link.rho)
    if rho is None:
        return f"No rank correlation: n = {link.n} models."
    said = f"Spearman's ρ = {rho:.2f}"
    ends, p = span(link.interval), finite(link.p_value)
    if ends is not None:
        said += f" (95 % CI {ends[0]:.2f} to {ends[1]:.2f})"
    if p is not None:
        said += ", p < 0.001" if p < 0.001 else f", p = {p:.2g}"
    few = "" if ends is not None or p is not None else "; too few for an interval"
    return f"{said}, n = {link.n} models{few}.".replace("-", "−")


def _sentences(link: Correlation, known: Sequence[Known], ending: Sequence[str]) -> list[str]:
    said = [_result(link)]
    untrained = sum(point.random_weights for point, _, _ in known)
    if untrained:
        counted = (
            ", counted in ρ"
            if link.n == len(known)
            else ", not counted in ρ"
            if link.n == len(known) - untrained
            else ""
        )
        said.append(f"Hollow: untrained networks{counted}.")
    said += ending
    return said


def _words(link: Correlation, known: Sequence[Known]) -> str:
    def best(metric: Metric, values: Sequence[tuple[float, str]]) -> str:
        return (max if metric.higher_is_better else min)(values, key=lambda v: v[0])[1]

    first = best(link.metric_x, [(x, clean(p.title)) for p, x, _ in known])
    second = best(link.metric_y, [(y, clean(p.title)) for p, _, y in known])
    led = (
        f"{first} is best in both."
        if first == second
        else f"{first} is best in {link.metric_x.name}, {second} in {link.metric_y.name}."
    )
    return f"{_result(link)} {led}"
