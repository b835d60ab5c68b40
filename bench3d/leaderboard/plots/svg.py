"""Markup of a plot. What is not `Svg` already is escaped, so a text of a record cannot become markup."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Iterable
from html import escape

WIDTH = 640
"""Units across every plot: at 360 px a unit is about half a pixel, so labels are 18 units high."""
LABEL, SMALL = 18, 16
"""Heights of text: names and values; ticks and notes."""
LONGEST = 300
ELLIPSIS = "…"
_ADVANCES = {
    char: width
    for width, chars in (
        (0.30, "ijlI|'"),
        (0.33, " ,.;:!·"),
        (0.41, "frt()[]/\\-"),
        (0.57, "sczxvyk–"),
        (0.84, "w=+<>~−→↑"),
        (1.0, "mMW%@…—"),
    )
    for char in chars
}
"""Parts of the height that a character is wide, in a wide sans-serif face."""


class Svg(str):
    """Text that is markup and stays as it is."""

    __slots__ = ()


def clean(text: object) -> str:
    """A text of a record for people: no control, format or private characters, no piles of accents, at most
    `LONGEST` characters.
    """
    kept: list[str] = []
    marks = 0
    for char in " ".join(str(text)[: 4 * LONGEST].split()):
        category = unicodedata.category(char)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if category[0] != "C" and marks <= 2:
            kept.append(char)
    whole = "".join(kept)
    return whole if len(whole) <= LONGEST else whole[: LONGEST - 1] + ELLIPSIS


def tag(name: str, *children: object, **attributes: object) -> Svg:
    """An element. Attributes that are None are left out; `class_` is class, `a_b` is a-b."""
    parts = [name]
    for key, value in attributes.items():
        if value is not None:
            parts.append(f'{key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"')
    inside = join(children)
    return Svg(f"<{' '.join(parts)}>{inside}</{name}>" if inside else f"<{' '.join(parts)}/>")


def join(parts: Iterable[object]) -> Svg:
    """Markup after markup; texts in between are cleaned and escaped."""
    return Svg("".join(p if isinstance(p, Svg) else escape(clean(p)) for p in parts if p is not None))


def path(*steps: object) -> str:
    """Path data: commands and coordinates, one decimal each."""
    found = ""
    for step in steps:
        text = _plain(step)
        found += f" {text}" if found and not found[-1].isalpha() and (text[0].isdigit() or text[0] == "-") else text
    return found


def figure(name: str, kind: str, title: str, words: str, height: float, *body: object) -> str:
    """A whole plot.

    Args:
        name: of `plot_id`.
        kind: class of the plot.
        title, words: what is plotted, and what is seen, for those who do not see it.
        height: units; the width is `WIDTH`.
    """
    return tag(
        "svg",
        tag("title", title, id=f"{name}-t"),
        tag("desc", _sentence(words), id=f"{name}-d"),
        *body,
        **{"xmlns": "http://www.w3.org/2000/svg", "role": "img", "class_": f"plot plot-{kind}", "id": name},
        **{"viewBox": f"0 0 {WIDTH} {_plain(height)}", "width": "100%", "font_size": LABEL, "fill": "currentColor"},
        **{"font_family": "system-ui, sans-serif", "aria_labelledby": f"{name}-t {name}-d"},
    )


def plot_id(kind: str, *names: str) -> str:
    """An id that differs where kind or names differ, the same in every build."""
    slug = "".join(c if c.isascii() and c.isalnum() else "-" for c in names[0].lower())[:40].strip("-")
    return f"plot-{kind}-{slug}-{zlib.crc32(repr((kind, names)).encode('utf-8', 'replace')):08x}"


def words_at(x: float, y: float, shown: str, full: str | None = None, **attributes: object) -> Svg:
    """A text at its baseline; `full` is its tooltip where the shown text is cut."""
    title = tag("title", full) if full is not None and clean(full) != shown else None
    return tag("text", title, shown, x=x, y=y, **attributes)


def width_of(text: str, size: float) -> float:
    """Units across a text in a wide sans-serif face: an upper estimate, as the reader's font is not known."""
    return size * sum(_advance(c) for c in text)


def _advance(char: str) -> float:
    known = _ADVANCES.get(char)
    if known is not None:
        return known
    if unicodedata.category(char)[0] == "M":
        return 0.0
    if unicodedata.east_asian_width(char) in "WF":
        return 1.05
    return 0.75 if char.isupper() or not char.isascii() else 0.64


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{round(value, 1):g}" if abs(value) < 1e5 else f"{value:.0f}"
    return str(value)


def _sentence(text: str) -> Svg:
    """Longer than a name may be: escaped, not cut."""
    return Svg(" ".join(escape(clean(word)) for word in text.split()))
