"""Where names of points go: beside them, and over nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench3d.leaderboard.plots.style import halo, ink
from bench3d.leaderboard.plots.svg import Svg, join, path, tag, width_of, words_at

NEAR = 11.0
RADII = (NEAR, 24.0, 42.0, 64.0, 90.0, 125.0, 170.0, 220.0)
DIRECTIONS = ((1.0, 0.0), (0.7, -0.7), (0.7, 0.7), (-1.0, 0.0), (-0.7, -0.7), (-0.7, 0.7), (0.0, -1.0), (0.0, 1.0))


class Box(NamedTuple):
    """A rectangle: left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def touches(self, other: Box) -> bool:
        """Whether they share an area."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def inside(self, other: Box) -> bool:
        """Whether all of it lies in the other."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True)
class Placed:
    """A name beside its point; `box` is what it covers."""

    x: float
    y: float
    anchor: str
    box: Box
    far: bool


def place(
    points: Sequence[tuple[float, float]],
    names: Sequence[tuple[int, str]],
    bounds: Box,
    size: float,
    lines: Iterable[Box] = (),
    minor: frozenset[int] = frozenset(),
) -> dict[int, Placed]:
    """Names one after the other, each at the nearest free place around its point.

    Args:
        points: of the plot.
        names: (index of its point, text), the most important first.
        bounds: where names may stand.
        size: height of the text.
        lines: what names rather do not cover, but may.
        minor: points that a name may cover, rather than be left out; their own names stand right beside them or
            nowhere. No name covers another point or another name.

    Returns:
        index of the point -> its place. A name for which there is no free place is absent.
    """
    boxes = [Box(x - 7, y - 7, x + 7, y + 7) for x, y in points]
    dots = [box for i, box in enumerate(boxes) if i not in minor]
    loose = [box for i, box in enumerate(boxes) if i in minor]
    soft = list(lines)
    taken: list[Box] = []
    found: dict[int, Placed] = {}
    for index, text in names:
        best: tuple[float, Placed] | None = None
        for rank, radius in enumerate(RADII[:1] if index in minor else RADII):
            if best is not None and best[0] <= 4 * rank:
                break
            for turn, direction in enumerate(DIRECTIONS):
                spot = _spot(points[index], direction, radius, width_of(text, size), size)
                if not spot.box.inside(bounds) or any(spot.box.touches(b) for b in (*dots, *taken)):
                    continue
                covered = sum(spot.box.touches(b) for b in loose)
                if covered and index in minor:
                    continue
                cost = 4 * rank + 0.1 * turn + 6 * sum(spot.box.touches(b) for b in soft) + 2 * covered
                if best is None or cost < best[0]:
                    best = (cost, spot)
        if best is not None:
            found[index] = best[1]
            taken.append(best[1].box)
    return found


def _spot(
    point: tuple[float, float], direction: tuple[float, float], radius: float, width: float, size: float
) -> Placed:
    x, middle = point[0] + direction[0] * radius, point[1] + direction[1] * radius
    if direction[1] != 0:
        middle += 0.6 * size if direction[1] > 0 else -0.6 * size
    if direction[0] == 0:
        anchor, left = "middle", x - width / 2
    else:
        anchor, left = ("start", x) if direction[0] > 0 else ("end", x - width)
    box = Box(left - 2, middle - 0.6 * size, left + width + 2, middle + 0.6 * size)
    return Placed(x, middle + 0.36 * size, anchor, box, radius > NEAR)


def drawn(
    points: Sequence[tuple[float, float]],
    placed: dict[int, Placed],
    shown: Sequence[str],
    full: Sequence[str],
    size: float,
) -> Svg:
    """The names at their places, with a thin line to the point where they are not beside it."""
    leads, texts = "", []
    for index, spot in placed.items():
        if spot.far:
            edge = min(max(points[index][0], spot.box.left), spot.box.right)
            height = min(max(points[index][1], spot.box.top), spot.box.bottom)
            leads += path("M", *points[index], "L", edge, height)
        texts.append(
            words_at(
                spot.x, spot.y, shown[index], full[index], text_anchor=None if spot.anchor == "start" else spot.anchor
            )
        )
    lead = tag("path", d=leads, stroke="currentColor", **ink("muted")) if leads else None
    return join([lead, tag("g", *texts, font_size=size, **halo()) if texts else None])
