"""Numbers and names as a plot writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench3d.leaderboard.board import MEAN, Cell, Metric, Row, Table
from bench3d.leaderboard.plots.style import fill
from bench3d.leaderboard.plots.svg import ELLIPSIS, SMALL, WIDTH, Svg, clean, join, width_of, words_at

LARGEST = 1e15
"""A number beyond it is no measurement and is not drawn."""


def finite(value: object) -> float | None:
    """A number that can be drawn, else None."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST:
        return float(value)
    return None


def span(interval: Sequence[object] | None) -> tuple[float, float] | None:
    """Both ends of an interval, None where one of them is no number."""
    if interval is None or len(interval) != 2:
        return None
    low, high = finite(interval[0]), finite(interval[1])
    return None if low is None or high is None else (min(low, high), max(low, high))


@dataclass(frozen=True)
class Digits:
    """How the numbers of one column are written."""

    places: int
    scientific: bool = False

    def __call__(self, value: float) -> str:
        """A number as text, with a real minus sign."""
        text = short(f"{value:.1e}") if self.scientific else f"{value:,.{self.places}f}"
        if not any(c in "123456789" for c in text):
            text = text.lstrip("-")
        return text.replace("-", "−")


def short(text: str) -> str:
    """A number in scientific form without the zeros and the plus of its exponent."""
    return text.replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def digits(values: Iterable[float], unit: str) -> Digits:
    """Sensible digits for numbers shown together: one decimal of percent and degrees, else three that count."""
    known = [abs(v) for v in values]
    top = max(known, default=0.0)
    if top >= 1e6 or 0 < top < 1e-3:
        return Digits(0, scientific=True)
    if unit in ("%", "deg"):
        return Digits(2 if top < 1 or 0 < top - min(known) < 0.5 else 1)
    return Digits(0 if top >= 1000 else max(0, min(5, 2 - math.floor(math.log10(top)))) if top > 0 else 1)


def unit_of(metric: Metric) -> str:
    """The unit after a number, with its space: " %", "°", " px" or "" ."""
    unit = sign_of(metric)
    return unit if unit in ("", "°") else f" {unit}"


def sign_of(metric: Metric) -> str:
    """The unit as a plot writes it."""
    unit = clean(metric.unit)
    return "°" if unit == "deg" else unit


def caption_of(metric: Metric) -> str:
    """A metric with unit and direction, for an axis."""
    name, unit = clean(metric.name), sign_of(metric)
    shown = f"{name} ({unit})" if unit else name
    return shown if metric.higher_is_better else f"{shown}, lower is better"


def metric_of(table: Table, name: str) -> Metric | None:
    """The column of a name, None where the table has none."""
    return next((m for m in table.metrics if m.name == name), None)


def mean_of(row: Row, metric: str) -> tuple[Cell, float] | None:
    """The cell over all categories and its number, None where there is none."""
    cell = row.cell(metric, MEAN)
    value = None if cell is None else finite(cell.value)
    return None if cell is None or value is None else (cell, value)


def name_of(row: Row) -> str:
    """A row in full: its title and in what it differs from its family."""
    title, variant = clean(row.title) or clean(row.id), clean(row.variant)
    return f"{title}, {variant}" if variant and variant not in title else title


def reading(value: float, interval: tuple[float, float] | None, unit: str, show: Digits) -> str:
    """A number and its interval, in words."""
    shown = f"{show(value)}{unit}"
    return shown if interval is None else f"{shown} (95 % interval {show(interval[0])} to {show(interval[1])})"


def rank_of(row: Row) -> str:
    """The ranks that a row may have, such as "1–2"; a dash where it has none."""
    if not row.ranked or row.rank is None:
        return "–"
    first, last = row.rank
    return str(first) if first == last else f"{first}–{last}"


def unranked_note(rows: Iterable[Row], sign: str) -> list[str]:
    """A sentence about the rows that take no part in ranks, where there are some."""
    reasons = dict.fromkeys(clean(r.unranked_because) or "not ranked" for r in rows if not r.ranked)
    return [f"{sign}: not ranked ({'; '.join(reasons)})."] if reasons else []


def left_out(shown: int, total: int, what: str = "rows") -> list[str]:
    """A sentence about what a plot has no room for."""
    return [] if shown >= total else [f"The first {shown} of {total} {what}; {total - shown} left out here."]


def nameless(count: int) -> list[str]:
    """A sentence about points that stand without their names, where there are some."""
    return [f"Without a name, for lack of room: {count} point{'s' if count > 1 else ''}."] if count else []


def cut(text: str, width: float, size: float) -> str:
    """A text no wider than that: what goes is taken out of its middle, as names differ at either end."""
    if width_of(text, size) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        tail = int(kept * 0.4)
        shorter = text[: kept - tail].rstrip() + ELLIPSIS + (text[-tail:].lstrip() if tail else "")
        if width_of(shorter, size) <= width:
            return shorter
    return ELLIPSIS


def cut_all(names: Sequence[str], width: float, size: float) -> tuple[list[str], list[str]]:
    """Names no wider than that, different where the full ones are.

    Returns:
        the names, and a sentence about the parts that all of them share and that were taken off, where there are some.
    """
    taken: list[str] = []
    if any(width_of(n, size) > width for n in names):
        names, taken = _without_shared(names)
    shown = [cut(n, width, size) for n in names]
    for i, short in enumerate(shown):
        if short in shown[:i] and names[i] not in names[:i]:
            mark = f" ·{i + 1}"
            shown[i] = cut(names[i], width - width_of(mark, size), size) + mark
    return shown, [f"All names go on with “{' '.join(taken)}”."] if taken else []


def _without_shared(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names "a + b + c, variant" without the last parts b, c that all of them have."""
    heads, variants = zip(*((n.partition(", ")[0], n.partition(", ")[2]) for n in names), strict=True)
    parts = [head.split(" + ") for head in heads]
    taken: list[str] = []
    while len(parts) > 1 and all(len(p) > 1 and p[-1] == parts[0][-1] for p in parts):
        taken.insert(0, f"+ {parts[0][-1]}")
        parts = [p[:-1] for p in parts]
    joined = [" + ".join(p) for p in parts]
    return [f"{head}, {v}" if v else head for head, v in zip(joined, variants, strict=True)], taken


def notes(sentences: Iterable[str], top: float, left: float = 4) -> tuple[Svg, float]:
    """Sentences under a plot, wrapped. Returns them and where they end."""
    lines: list[str] = []
    for sentence in sentences:
        line = ""
        for word in sentence.split():
            longer = f"{line} {word}".strip()
            if line and width_of(longer, SMALL) > WIDTH - left:
                lines.append(line)
                longer = cut(word, WIDTH - left, SMALL)
            line = longer
        lines.append(cut(line, WIDTH - left, SMALL))
    shown = [words_at(left, top + 20 * (i + 1), line, font_size=SMALL, **fill("muted")) for i, line in enumerate(lines)]
    return join(shown), top + 20 * len(lines) + (8 if lines else 0)
