"""Pictures of a category: queries from the best to the worst, the box at the true pose and at the estimated one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from bench3d.contracts import PosedView
from bench3d.data.images import load_rgb
from bench3d.files import atomic_path
from bench3d_plugins.oneshot_pose.capture import Query

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bench3d_plugins.oneshot_pose.task import OneShot

SHOWN = 6
COLUMNS = 3
TRUE, FOUND, INLIER = "#ffffff", "#e8590c", "#0a9f6b"
INCH, TILE, HEAD, FOOT = 100, 420, 54, 40


def pictures(task: OneShot, samples: Sequence[Query], values: Sequence[Mapping[str, Any]], out: Path) -> Iterator[Path]:
    """Writes poses.png under `out`."""
    if not samples:
        return
    by_id = {str(value["id"]): value for value in values}
    known = [s for s in samples if s.id in by_id]
    order = sorted(range(len(known)), key=lambda n: (by_id[known[n].id]["rotation_deg"], known[n].id))
    count = min(SHOWN, len(order))
    chosen = [order[round(k * (len(order) - 1) / max(1, count - 1))] for k in range(count)]
    rows = -(-count // COLUMNS)
    width, height = COLUMNS * TILE, rows * (TILE + HEAD) + FOOT
    figure = Figure(figsize=(width / INCH, height / INCH), dpi=INCH, facecolor="white")
    for place, sample in enumerate(known[n] for n in dict.fromkeys(chosen)):
        row, column = divmod(place, COLUMNS)
        bottom = FOOT + (rows - 1 - row) * (TILE + HEAD)
        ax = figure.add_axes((column / COLUMNS + 0.003, bottom / height, 1 / COLUMNS - 0.006, TILE / height))
        _panel(ax, task, sample, by_id[sample.id])
    handles = [
        Line2D([], [], color="#666666", linewidth=2, label="box at the true pose (white)"),
        Line2D([], [], color=FOUND, linewidth=2, label="at the estimated pose"),
        Line2D([], [], color=INLIER, marker="o", linestyle="none", label="matches that agree with it"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=3, fontsize=12, frameon=False)
    FigureCanvasAgg(figure)
    path = out / "poses.png"
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
    yield path


def _panel(ax: Axes, task: OneShot, sample: Query, value: Mapping[str, Any]) -> None:
    found, view = task.localise(sample), sample.view
    ax.imshow(load_rgb(view.image, view.size), extent=(0, view.size[0], view.size[1], 0))
    corners = sample.capture.extent().corners
    _box(ax, corners, view, view.cam_T_world, TRUE)
    if found.pose is not None:
        ax.plot(*found.matches.xy[found.inliers].T, "o", color=INLIER, markersize=2.5, alpha=0.7)
        _box(ax, corners, view, found.pose, FOUND)
    off = f"off by {value['rotation_deg']:.1f}° and " + (
        f"{value['translation_cm']:.1f} cm" if "translation_cm" in value else f"{value['translation_percent']:.1f} %"
    )
    said = "no pose" if found.pose is None else off
    ax.set_title(f"{sample.id}\n{said}; {len(found.inliers)} of {len(found.matches)} matches", fontsize=10)
    ax.set(xlim=(0, view.size[0]), ylim=(view.size[1], 0))
    ax.axis("off")


def _box(ax: Axes, corners: np.ndarray, view: PosedView, pose: np.ndarray, colour: str) -> None:
    camera = corners @ pose[:3, :3].T + pose[:3, 3]
    if (camera[:, 2] <= 0).any():
        return
    pixels = camera @ view.intrinsics.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    halo = [Stroke(linewidth=3.5, foreground="black", alpha=0.5), Normal()]
    for a, b in edges(corners):
        ax.plot(*pixels[[a, b]].T, color=colour, linewidth=1.6, path_effects=halo)


def edges(corners: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of corners (8, 3) of a box that are its edges, in whatever order the corners stand.

    Two corners are an edge where no third sees them under a right angle or more: of a diagonal's ends, some does.
    """
    square = ((corners[:, None] - corners[None]) ** 2).sum(axis=-1)
    found = []
    for a, b in combinations(range(len(corners)), 2):
        others = [c for c in range(len(corners)) if c not in (a, b)]
        if all(square[a, c] + square[c, b] > square[a, b] * (1 + 1e-6) for c in others):
            found.append((a, b))
    return found
