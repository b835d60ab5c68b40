"""Pictures of a category: error against view angle, and matches of typical pairs drawn as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from bench3d.data.images import load_rgb
from bench3d.files import atomic_path
from bench3d_plugins.multiview_equivariance.curve import curve, gather
from bench3d_plugins.multiview_equivariance.samples import SourceView

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bench3d_plugins.multiview_equivariance.task import MultiviewEquivariance

LINES = 25
PAIRS = 4
RIGHT_WITHIN = 0.1
_SHARE = f"pcdp@{RIGHT_WITHIN:g}"
RIGHT, WRONG, TRUTH = "#0a9f6b", "#e8590c", "#ffffff"
INCH = 100
TILE, HEAD, TITLE, FOOT, MARGIN = 480, 34, 64, 44, 12
"""Pixels: heights of an image, of the line above it, of the title and of the legend; space left and right."""


@dataclass(frozen=True)
class Pair:
    """A source view and one of its targets, with their scores as fractions."""

    sample: SourceView
    target: int
    angle: float
    bin: str
    ape: float
    pcdp: float
    chance: float


def pictures(
    task: MultiviewEquivariance, samples: Sequence[SourceView], values: Sequence[Mapping[str, Any]], out: Path
) -> Iterator[Path]:
    """Writes error-against-angle.png and NN-matches-<angle bin>.png under `out`."""
    figure = curve(values)
    if figure is None:
        return
    yield write(out / "error-against-angle.png", figure)
    for number, pair in enumerate(typical(samples, values), start=1):
        yield write(out / f"{number:02d}-matches-{pair.bin}.png", matches(task, pair))


def typical(samples: Sequence[SourceView], values: Sequence[Mapping[str, Any]], count: int = PAIRS) -> list[Pair]:
    """From bins spread evenly over the angles the pair of median error each: picked neither good nor bad."""
    rows = gather(values)
    bins = sorted(set(rows["bin"]))
    chosen = sorted({round(k * (len(bins) - 1) / max(1, count - 1)) for k in range(count)}) if bins else []
    by_id = {s.id: s for s in samples}
    found = []
    for name in (bins[n] for n in chosen):
        members = np.flatnonzero(rows["bin"] == name)
        middle = members[np.argsort(rows["ape"][members], kind="stable")[(len(members) - 1) // 2]]
        sample = by_id[str(rows["id"][middle])]
        pcdp, chance = (float(rows[c][middle]) for c in (_SHARE, f"chance_{_SHARE}"))
        target = next(n for n, view in enumerate(sample.views.views) if view.id == rows["target"][middle])
        angle, ape = float(rows["angle_deg"][middle]), float(rows["ape"][middle])
        found.append(Pair(sample, target, angle, str(name), ape, pcdp, chance))
    return found


def matches(task: MultiviewEquivariance, pair: Pair) -> Figure:
    """Source and target side by side, twice: above the matches that are right, below those that are wrong."""
    scene = task.scene(pair.sample.views)
    truth = scene.correspondences(pair.sample.source, pair.target)
    predicted = scene.match(pair.sample.source, pair.target, truth.source)
    right = np.linalg.norm(predicted - truth.target, axis=1) < RIGHT_WITHIN * scene.length(pair.target)
    views = [pair.sample.views.views[n] for n in (pair.sample.source, pair.target)]
    images = [load_rgb(v.image, v.size) for v in views]
    scales = [TILE / v.size[1] for v in views]
    widths = [v.size[0] * s for v, s in zip(views, scales, strict=True)]
    gap = 16.0
    width = sum(widths) + gap + 2 * MARGIN
    height = 2 * (TILE + HEAD) + TITLE + FOOT
    figure = Figure(figsize=(width / INCH, height / INCH), dpi=INCH, facecolor="white")
    figure.suptitle(
        f"{views[0].id} → {views[1].id}, view angle {pair.angle:.0f}°\n"
        f"APE {100 * pair.ape:.1f} %, PCDP@{RIGHT_WITHIN:g} {100 * pair.pcdp:.0f} % (chance {100 * pair.chance:.0f} %)",
        fontsize=16, y=1 - 12 / height, va="top",
    )  # fmt: skip
    for row, (name, which, colour) in enumerate((("right", right, RIGHT), ("wrong", ~right, WRONG))):
        ax = figure.add_axes((0, (FOOT + (1 - row) * (TILE + HEAD)) / height, 1, TILE / height))
        offset = widths[0] + gap
        ax.imshow(images[0], extent=(0, widths[0], TILE, 0), interpolation="antialiased")
        ax.imshow(images[1], extent=(offset, offset + widths[1], TILE, 0), interpolation="antialiased")
        chosen = np.flatnonzero(which)[spread(truth.source[which], LINES)]
        shift = np.array([offset, 0.0])
        _lines(
            ax, truth.source[chosen] * scales[0], predicted[chosen] * scales[1] + shift,
            truth.target[chosen] * scales[1] + shift if name == "wrong" else None, colour,
        )  # fmt: skip
        ax.set(xlim=(-MARGIN, width - MARGIN), ylim=(TILE, 0))
        ax.axis("off")
        ax.text(0, -8, f"{name}: {int(which.sum())} of {len(which)} matches, {len(chosen)} drawn", fontsize=14)
    _legend(figure)
    return figure


def spread(xy: np.ndarray, count: int) -> np.ndarray:
    """Indices of at most `count` points (N, 2) far from each other: each next one is farthest from those chosen."""
    if len(xy) == 0:
        return np.zeros(0, dtype=np.int64)
    chosen = [int(np.linalg.norm(xy - xy.mean(axis=0), axis=1).argmin())]
    distance = np.linalg.norm(xy - xy[chosen[0]], axis=1)
    while len(chosen) < min(count, len(xy)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(xy - xy[chosen[-1]], axis=1))
    return np.array(chosen)


def write(path: Path, figure: Figure) -> Path:
    """Saves a figure as PNG."""
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
    return path


def _lines(ax: Axes, start: np.ndarray, end: np.ndarray, truth: np.ndarray | None, colour: str) -> None:
    """Lines from `start` to `end`; where the truth is elsewhere, a dotted line goes on from the end to a ring there."""
    halo = [Stroke(linewidth=3.2, foreground="white", alpha=0.7), Normal()]
    for a, b in zip(start, end, strict=True):
        ax.plot(*zip(a, b, strict=True), color=colour, linewidth=1.4, path_effects=halo)
    if truth is not None:
        for b, c in zip(end, truth, strict=True):
            ax.plot(*zip(b, c, strict=True), color=TRUTH, linewidth=1.1, linestyle=(0, (2, 2)))
        ax.plot(*truth.T, "o", markersize=7, markerfacecolor="none", markeredgecolor="black", markeredgewidth=3)
        ax.plot(*truth.T, "o", markersize=7, markerfacecolor="none", markeredgecolor=TRUTH, markeredgewidth=1.5)
    for points in (start, end):
        ax.plot(*points.T, "o", markersize=4.5, color=colour, markeredgecolor="white", markeredgewidth=0.8)


def _legend(figure: Figure) -> None:
    handles = [
        Line2D([], [], color=RIGHT, marker="o", label=f"right: off by less than {RIGHT_WITHIN:g} of the norm"),
        Line2D([], [], color=WRONG, marker="o", label="wrong"),
        Line2D([], [], linestyle="none", marker="o", markersize=8, markerfacecolor="none", markeredgecolor="black",
               label="where a wrong one should be"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="lower center", ncols=3, fontsize=13, frameon=False, bbox_to_anchor=(0.5, 0.003))
