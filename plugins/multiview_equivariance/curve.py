"""Error against view angle: pooled over correspondences in every bin, with chance, intervals and the number of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench3d.metrics import bootstrap_draws, percentile_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"pcdp@0.05": "#0072b2", "pcdp@0.1": "#0a9f6b", "pcdp@0.2": "#cc79a7", "ape": "#d55e00"}
DRAWS, LEVEL = 1000, 0.95


@dataclass(frozen=True)
class Point:
    """One bin of one measure, all in %; `interval` is None where a single cluster fills the bin."""

    value: float
    chance: float
    interval: tuple[float, float] | None


def curve(values: Sequence[Mapping[str, Any]]) -> Figure | None:
    """PCDP and APE against view angle, and a strip with the correspondences of each bin; None without any."""
    rows = gather(values)
    names = sorted(set(rows["bin"]))
    if not names:
        return None
    figure = Figure(figsize=(13, 6.6), dpi=100, facecolor="white", layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(4, 1))
    x = np.array([[int(edge) for edge in name.split("-")] for name in names], dtype=np.float64)
    panels = (
        ("PCDP in %, higher is better", [c for c in COLOURS if c != "ape"]),
        ("APE in %, lower is better", ["ape"]),
    )
    for column, (title, measures) in enumerate(panels):
        ax = figure.add_subplot(grid[0, column])
        for measure in measures:
            _draw(ax, x.mean(axis=1), [score(rows, name, measure) for name in names], COLOURS[measure], measure)
        ax.set_title(title, fontsize=15)
        _axis(ax, x)
        ax.set_ylim(bottom=0)
        if column == 0:
            ax.set_ylim(top=103)
        _legend(ax)
        ax.tick_params(labelbottom=False)
        bars = figure.add_subplot(grid[1, column], sharex=ax)
        _counts(bars, x, rows, names)
    source = "a set" if len(set(rows["set"])) > 1 else "a source view"
    figure.supxlabel(
        f"view angle in degrees (bars: {100 * LEVEL:.0f} % intervals, drawn over the clusters, here {source}; "
        "dashed: a random point of the search domain)",
        fontsize=12,
    )
    return figure


def gather(values: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """All parts of all samples as columns, with `bin` and what names their sample: `id`, `cluster`, `set`."""
    columns: dict[str, list[Any]] = {}
    for value in values:
        parts = value["parts"]
        count = len(parts["n"])
        own = {"bin": parts["groups"]["angle"]} | {key: [value[key]] * count for key in ("id", "cluster", "set")}
        for name, column in {**{k: v for k, v in parts.items() if k != "groups"}, **own}.items():
            columns.setdefault(name, []).extend(column)
    return {name: np.array(column) for name, column in columns.items()} or {"bin": np.zeros(0)}


def score(rows: Mapping[str, np.ndarray], name: str, measure: str) -> Point:
    """A measure of one bin, pooled over correspondences, with the percentile interval over clusters."""
    inside = rows["bin"] == name
    weights = rows["n"][inside].astype(np.float64)
    value, chance = (100 * float(np.average(rows[c][inside], weights=weights)) for c in (measure, f"chance_{measure}"))
    clusters = [str(c) for c in rows["cluster"][inside]]
    if len(set(clusters)) < 2:
        return Point(value, chance, None)
    draws = bootstrap_draws(
        100 * rows[measure][inside], clusters, "mean", np.random.default_rng(0), DRAWS, weights=weights
    )
    return Point(value, chance, percentile_interval(draws, LEVEL))


def _draw(ax: Axes, x: np.ndarray, points: Sequence[Point], colour: str, measure: str) -> None:
    label = measure.upper() if measure == "ape" else measure.replace("pcdp", "PCDP")
    ax.plot(x, [p.value for p in points], "o-", color=colour, linewidth=2, markersize=6, label=label)
    ax.plot(x, [p.chance for p in points], "--", color=colour, linewidth=1.4, alpha=0.8)
    for at, point in zip(x, points, strict=True):
        if point.interval is not None:
            ax.plot([at, at], point.interval, color=colour, linewidth=4, alpha=0.35, solid_capstyle="butt")


def _axis(ax: Axes, x: np.ndarray) -> None:
    ax.set_xlim(x.min(), x.max())
    ax.set_xticks(sorted(set(x.ravel())))
    ax.grid(color="#dddddd", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=12)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _legend(ax: Axes) -> None:
    handles, _ = ax.get_legend_handles_labels()
    handles.append(Line2D([], [], color="#555555", linestyle="--", label="chance"))
    ax.legend(handles=handles, fontsize=12, framealpha=0.9)


def _counts(ax: Axes, x: np.ndarray, rows: Mapping[str, np.ndarray], names: Sequence[str]) -> None:
    counts = [int(rows["n"][rows["bin"] == name].sum()) for name in names]
    pairs = [int((rows["bin"] == name).sum()) for name in names]
    ax.bar(x.mean(axis=1), counts, width=0.9 * (x[:, 1] - x[:, 0]), color="#b8c4d0")
    for at, count, number in zip(x.mean(axis=1), counts, pairs, strict=True):
        ax.text(at, count, f"{short(count)}\n{short(number)} pairs", ha="center", va="bottom", fontsize=10)
    ax.set_ylim(0, 1.9 * max(counts))
    ax.set_yticks([])
    ax.set_ylabel("points", fontsize=12)
    ax.tick_params(labelsize=12)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)


def short(count: int) -> str:
    """Such as 950, 12.3k, 4.5M."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return str(count)
