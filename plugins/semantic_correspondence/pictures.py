"""Pictures of a category: matches of a few pairs as lines, right and wrong apart, and PCK per keypoint as bars.

Right and wrong differ in colour, in the line and in the marker, so that no picture needs colour to be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke

from bench3d.contracts import KeypointPair
from bench3d.data.images import load_rgb
from bench3d.files import atomic_path
from bench3d_plugins.semantic_correspondence.metrics import chance_key
from bench3d_plugins.semantic_correspondence.settings import HEADLINE_ALPHA, SemanticSettings

PAIRS = 6
RIGHT, WRONG, TRUTH, CHANCE = "#1b9e77", "#d95f02", "#ffffff", "#333333"
DPI, HEIGHT, GAP, LEGEND = 100, 420, 12, 470
"""Dots per inch; in pixels the height that both images are scaled to, the gap between them, the least width."""

REFERENCES = {
    "box": "the target's box",
    "image": "the image's longer side",
    "keypoints": "the keypoints' box",
}


def pictures(
    settings: SemanticSettings,
    names: Mapping[str, Mapping[str, str]],
    samples: Sequence[KeypointPair],
    values: Sequence[Mapping[str, Any]],
    out: Path,
) -> Iterator[Path]:
    """Writes NN-<right>of<all>-<id>.png and, where keypoints have ids, pck-per-keypoint.png under `out`."""
    kept = [n for n, value in enumerate(values) if value["parts"]["x"]]
    if not kept:
        return
    correct = f"correct@{HEADLINE_ALPHA:g}"
    for number, n in enumerate(_spread(kept, [float(np.mean(values[n]["parts"][correct])) for n in kept]), start=1):
        pair, parts = samples[n], values[n]["parts"]
        count = f"{sum(parts[correct])}of{len(parts[correct])}"
        figure = matches(pair, parts, names.get(pair.category, {}), settings)
        yield _write(out / f"{number:02d}-{count}-{_safe(pair.id)}.png", figure)
    bars = keypoint_bars(samples[kept[0]].category, [values[n] for n in kept], settings)
    if bars is not None:
        yield _write(out / "pck-per-keypoint.png", bars)


def matches(
    pair: KeypointPair, parts: Mapping[str, Any], names: Mapping[str, str], settings: SemanticSettings
) -> Figure:
    """Both images side by side, every keypoint of the source joined with its match in the target."""
    images = [load_rgb(i.image, i.size) for i in (pair.source, pair.target)]
    scales = [HEIGHT / i.shape[0] for i in images]
    widths = [i.shape[1] * s for i, s in zip(images, scales, strict=True)]
    left = widths[0] + GAP
    width = max(left + widths[1], LEGEND)
    figure, axes = _canvas(width, HEIGHT, head=34, foot=34)
    for image, x, wide in ((images[0], 0.0, widths[0]), (images[1], left, widths[1])):
        axes.imshow(image, extent=(x, x + wide, HEIGHT, 0), interpolation="bilinear")
    right = parts[f"correct@{HEADLINE_ALPHA:g}"]
    start = pair.source_xy * scales[0]
    # A match in the padding of the canvas lies outside of the target: it is shown on the edge that it left by.
    end = np.clip(np.array([parts["x"], parts["y"]], dtype=float).T * scales[1], 0, [widths[1], HEIGHT]) + [left, 0]
    truth = pair.target_xy * scales[1] + [left, 0]
    for n in np.argsort(right, kind="stable")[::-1]:
        _match(axes, start[n], end[n], truth[n], bool(right[n]))
    axes.set_xlim(0, width)
    axes.set_ylim(HEIGHT, 0)
    sign = settings.inequality
    title = f"{pair.category}: {sum(right)} of {len(right)} right (error {sign} {HEADLINE_ALPHA:g} of "
    figure.suptitle(
        f"{title}{REFERENCES[settings.reference]})", x=0.01, y=0.995, ha="left", va="top", fontsize=11, color="#222222"
    )
    _legend(figure)
    return figure


def keypoint_bars(category: str, values: Sequence[Mapping[str, Any]], settings: SemanticSettings) -> Figure | None:
    """PCK@0.1 of every keypoint with its number and chance level; None where keypoints have no ids."""
    found: dict[str, list[tuple[float, float]]] = {}
    for value in values:
        parts = value["parts"]
        for name, hit, chance in zip(
            parts.get("groups", {}).get("keypoint", ()),
            parts[f"correct@{HEADLINE_ALPHA:g}"],
            parts[chance_key(HEADLINE_ALPHA)],
            strict=False,
        ):
            found.setdefault(name, []).append((100.0 * hit, 100.0 * chance))
    if not found:
        return None
    means = {name: np.mean(rows, axis=0) for name, rows in found.items()}
    order = sorted(means, key=lambda name: (means[name][0], name))
    figure = Figure(figsize=(7.2, 1.3 + 0.26 * len(order)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    at = np.arange(len(order))
    axes.barh(at, [means[n][0] for n in order], color=RIGHT, height=0.7)
    axes.scatter([means[n][1] for n in order], at, marker="|", s=90, color=CHANCE, linewidths=2, zorder=3)
    axes.set_yticks(at, [f"{n}  (n = {len(found[n])})" for n in order], fontsize=8)
    axes.set_xlim(0, 100)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.set_xlabel(f"PCK@{HEADLINE_ALPHA:g} in %, share of {REFERENCES[settings.reference]}", fontsize=9)
    axes.set_title(f"{category}: keypoints", fontsize=11, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    handles = [Patch(color=RIGHT), Line2D([], [], color=CHANCE, marker="|", markersize=9, linestyle="", mew=2)]
    figure.legend(handles, ["PCK", "a random point"], loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _match(axes: Axes, start: np.ndarray, end: np.ndarray, truth: np.ndarray, right: bool) -> None:
    colour = RIGHT if right else WRONG
    shade = [Stroke(linewidth=2.0, foreground="black", alpha=0.35), Normal()]
    outline = [Stroke(linewidth=3.4, foreground="white", alpha=0.75), Normal()]
    axes.plot(
        [start[0], end[0]],
        [start[1], end[1]],
        color=colour,
        linewidth=1.8,
        linestyle="-" if right else (0, (4, 2)),
        path_effects=outline,
    )
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 1.0}
    axes.plot(*start, marker="o", markersize=6, color=colour, **edge)
    if right:
        axes.plot(*end, marker="o", markersize=6, color=colour, **edge)
        return
    axes.plot([end[0], truth[0]], [end[1], truth[1]], color=TRUTH, linewidth=1.0, linestyle=":", path_effects=shade)
    axes.plot(*truth, marker="D", markersize=6, color="none", markeredgecolor="black", markeredgewidth=3)
    axes.plot(*truth, marker="D", markersize=6, color="none", markeredgecolor=TRUTH, markeredgewidth=1.4)
    axes.plot(*end, marker="X", markersize=8, color=colour, **edge)


def _legend(figure: Figure) -> None:
    def line(colour: str, style: Any, marker: str) -> Line2D:
        return Line2D([], [], color=colour, linestyle=style, marker=marker, linewidth=1.8, markersize=6)

    truth = Line2D([], [], linestyle="", marker="D", markersize=6, color="none", markeredgecolor="black")
    figure.legend(
        [line(RIGHT, "-", "o"), line(WRONG, (0, (3, 1.5)), "X"), truth],
        ["right", "wrong", "where a wrong one belongs"],
        loc="lower left",
        bbox_to_anchor=(0.0, -0.01),
        ncols=3,
        frameon=False,
        fontsize=9,
        handlelength=3,
    )


def _canvas(width: float, height: float, head: int, foot: int) -> tuple[Figure, Axes]:
    total = height + head + foot
    figure = Figure(figsize=(width / DPI, total / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, foot / total, 1, height / total))
    axes.axis("off")
    return figure, axes


def _spread(indices: Sequence[int], shares: Sequence[float]) -> list[int]:
    """At most PAIRS of the indices, evenly over their sorted shares, the worst first."""
    order = [indices[n] for n in np.argsort(shares, kind="stable")]
    if len(order) <= PAIRS:
        return order
    return [order[round(k * (len(order) - 1) / (PAIRS - 1))] for k in range(PAIRS)]


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def _write(path: Path, figure: Figure) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
    return path
