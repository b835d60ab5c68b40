"""Numbers and states in words: what one cell of a page shows. Templates escape every text that comes from here."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bench3d.leaderboard.board import Cell, Metric, Row

MISSING = "–"
BADGES = {
    "self-reported": "nobody but its author has run it",
    "sample-verified": "a maintainer ran a random part of its samples again and got the same, within tolerance",
    "re-run": "a maintainer ran all of it again and got the same, within tolerance",
}
STUDENT_T = "student-t"
_AT_END = re.compile(r"@(\d)")


@dataclass(frozen=True)
class Shown:
    """A number as a page shows it.

    Attributes:
        text: rounded to what its unit deserves, `MISSING` where there is none.
        low, high: ends of the 95 % interval, "" where there is none.
        t: the interval is Student's.
        state: "best", "tied" or "".
        n: samples.
    """

    text: str = MISSING
    low: str = ""
    high: str = ""
    t: bool = False
    state: str = ""
    n: int = 0

    @property
    def html(self) -> Markup:
        """Value and interval as a cell shows them: made of digits and of words of ours alone."""
        text = _STATES[self.state] % self.text
        if self.low:
            text += f" <small>{self.low}–{self.high}{_STUDENT if self.t else ''}</small>"
        return Markup(text)


_STATES = {
    "": "%s",
    "best": "<b class=best>%s</b><i class=sr> best</i>",
    "tied": "<b class=tied>%s</b><i class=sr> tied with the best</i>",
}
_STUDENT = "<sup>t</sup><i class=sr> (Student’s t)</i>"
NOTHING = Shown()


def number(value: float, unit: str) -> str:
    """One decimal for percent and degrees, three digits for anything else."""
    if not math.isfinite(value):
        return MISSING
    form = ".1f" if unit in ("%", "deg") else ".3g" if abs(value) < 1000 else ",.0f"
    text = f"{value:{form}}"
    return "0.0" if text == "-0.0" else "−" + text[1:] if text.startswith("-") else text


def unit_text(unit: str) -> str:
    """A unit for headings."""
    return "°" if unit == "deg" else unit


def shown(cell: Cell | None, metric: Metric) -> Shown:
    """A cell of a table."""
    if cell is None:
        return NOTHING
    state = "best" if cell.best else "tied" if cell.tied else ""
    return estimate(cell.value, metric.unit, cell.interval, cell.method, state, cell.n)


def estimate(
    value: float,
    unit: str,
    interval: tuple[float, float] | None,
    method: str | None = None,
    state: str = "",
    n: int = 0,
) -> Shown:
    """A value with its interval."""
    low, high = (number(end, unit) for end in interval) if interval else ("", "")
    return Shown(number(value, unit), low, high, method == STUDENT_T, state, n)


def rank_text(rank: tuple[int, int] | None) -> str:
    """1–3, or 2 where the tests leave one rank only."""
    if rank is None:
        return MISSING
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]}–{rank[1]}"


def span(low: float, high: float, unit: str) -> str:
    """A value, or the range of several that differ in what is shown."""
    first, last = number(low, unit), number(high, unit)
    return first if first == last else f"{first} to {last}"


def count_text(count: float | None) -> str:
    """22 M, 1.3 k, 7; "" for None."""
    if count is None:
        return ""
    for letter, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            value = count / size
            return f"{value:.0f} {letter}" if value >= 20 else f"{value:.1f} {letter}"
    return f"{count:.0f}"


def bytes_text(count: float | None) -> str:
    """2.0 GB, 320 MB; "" for None."""
    return "" if count is None else count_text(count) + "B" if count >= 1000 else f"{count:.0f} B"


def seconds_text(seconds: float | None) -> str:
    """23 ms, 4.1 s, 12 min; "" for None."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.2g} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def time_text(moment: str) -> str:
    """2000-01-02 00:00 UTC of an ISO 8601 time in UTC; any other text as it is."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)", moment)
    return f"{found[1]} {found[2]} UTC" if found else moment


def metric_text(name: str) -> str:
    """`accuracy@30deg` as "accuracy @ 30°"; spaces let long names break."""
    return _AT_END.sub(r" @ \1", name).replace("deg", "°") if "@" in name else name


def coverage_text(coverage: tuple[int, int], of: str = "categories") -> str:
    """Empty where a row has everything."""
    return "" if coverage[0] >= coverage[1] else f"{coverage[0]} of {coverage[1]} {of}"


def chance_of(rows: Sequence[Row], metric: str, category: str) -> tuple[list[str], float, float] | None:
    """Names, least and greatest chance level of a column over its rows; None where there is none."""
    cells = [cell for row in rows if (cell := row.cell(metric, category)) and cell.chance is not None]
    levels = [cell.chance for cell in cells if cell.chance is not None]
    if not levels:
        return None
    names = sorted({cell.chance_name for cell in cells if cell.chance_name})
    return names, min(levels), max(levels)
