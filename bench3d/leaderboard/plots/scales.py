"""Axes: from numbers to units of a plot, with ticks at 1, 2 or 5 times a power of ten."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench3d.leaderboard.plots.style import fill, ink
from bench3d.leaderboard.plots.svg import SMALL, WIDTH, Svg, join, path, tag, width_of, words_at
from bench3d.leaderboard.plots.words import short


@dataclass(frozen=True)
class Axis:
    """A range of numbers and where it stands: `low` at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Where a number stands."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (self.end - self.start) * (at - low) / (high - low)

    def ticks(self, count: int) -> list[float]:
        """Round numbers in the range: about `count`, at least one where the range holds one."""
        return _log_ticks(self.low, self.high, count) if self.log else _ticks(self.low, self.high, count)


def linear(values: Iterable[float], start: float, end: float, unit: str = "") -> Axis:
    """An axis around all values, never of no width. Percent stays inside 0 to 100 where the values do."""
    known = list(values)
    low, high = min(known), max(known)
    least = max(abs(low), abs(high)) * 1e-3 or 1.0
    if unit in ("%", "deg"):
        least = max(least, 0.5)
    margin = max(0.05 * (high - low), (least - (high - low)) / 2)
    bounds = (0.0, 100.0) if unit == "%" and low >= 0 and high <= 100 else (-math.inf, math.inf)
    floor = 0.0 if low >= 0 else -math.inf
    return Axis(max(low - margin, bounds[0], floor), min(high + margin, bounds[1]), start, end)


def logarithmic(values: Iterable[float], start: float, end: float) -> Axis:
    """A logarithmic axis around positive values, at least a factor of four wide."""
    known = list(values)
    low, high = math.log10(min(known)), math.log10(max(known))
    margin = max(0.06 * (high - low), (math.log10(4) - (high - low)) / 2)
    return Axis(10 ** (low - margin), 10 ** (high + margin), start, end, log=True)


def _ticks(low: float, high: float, count: int) -> list[float]:
    exponent = math.floor(math.log10((high - low) / count))
    for factor in (1, 2, 5, 10, 20, 50):
        step = factor * 10.0**exponent
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < count:
            return [i * step for i in range(first, last + 1)]
    return []


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1,)):
        found = [f * 10.0**e for e in range(first, last + 1) for f in factors]
        found = [v for v in found if low <= v <= high]
        if len(found) <= (count if len(factors) < 8 else 5):
            return found
    return found[:: math.ceil(len(found) / count)]


def tick_label(ticks: Sequence[float]) -> Callable[[float], str]:
    """How the ticks of a linear axis are written: with the decimals that their distance needs, in six characters."""
    top = max((abs(t) for t in ticks), default=0.0)
    step = min((b - a for a, b in pairwise(ticks)), default=top or 1.0)
    places = max(0, -math.floor(math.log10(step) + 1e-9))

    def show(value: float) -> str:
        value = value if abs(value) > step / 2 else 0.0
        text = f"{value:,.{places}f}"
        if len(f"{top:,.{places}f}") > 6:
            text = short(f"{value:.3g}")
        return text.replace("-", "−")

    return show


def left_axis(axis: Axis, left: float, right: float, count: int = 6) -> Svg:
    """Grid lines and numbers of a vertical axis, the numbers to the left of `left`."""
    ticks = axis.ticks(count)
    show = tick_label(ticks)
    lines = "".join(path("M", left, axis(t), "H", right) for t in ticks)
    numbers = [words_at(left - 8, axis(t) + 6, show(t)) for t in ticks]
    return join(
        [
            tag("path", d=lines, stroke="currentColor", **ink("grid")),
            tag("g", *numbers, text_anchor="end", font_size=SMALL, **fill("muted")),
        ]
    )


def bottom_axis(
    axis: Axis,
    top: float,
    bottom: float,
    ticks: Sequence[float],
    show: Callable[[float], str],
    grid: bool = True,
) -> Svg:
    """Grid lines and numbers of a horizontal axis; a number that would touch the one before it is left out."""
    lines = "".join(path("M", axis(t), top if grid else bottom, "V", bottom + 5) for t in ticks)
    numbers: list[Svg] = []
    free = -math.inf
    for tick in sorted(ticks, key=axis):
        half = width_of(show(tick), SMALL) / 2
        x = min(max(axis(tick), half), WIDTH - half)
        if x - half > free:
            numbers.append(words_at(x, bottom + 22, show(tick)))
            free = x + half + 6
    return join(
        [
            tag("path", d=lines, stroke="currentColor", **ink("grid")),
            tag("g", *numbers, text_anchor="middle", font_size=SMALL, **fill("muted")),
        ]
    )
