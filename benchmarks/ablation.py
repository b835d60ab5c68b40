"""Plots of the ablations of smoothap-lora, from the records that are there.

    bench3d grid run ablation-conv-layers [--set SCOPE.KEY=VALUE ...] [--results DIR]
    python benchmarks/ablation.py conv-layers [the same options] --out conv-layers.png

Names are those of configs/grids/ablation-NAME.yaml: conv-layers, iterations, object, rank. The options must be those
that the grid ran with: together they name the records. Beside the values stands the backbone without adapter.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.files import atomic_path
from bench3d.grid.expand import Overrides, expand
from bench3d.grid.files import GridFile, read_grid
from bench3d.plugins import parse_set
from bench3d.records import Record
from bench3d.runner import RunSpec, plan_run

METRICS = ("PCDP@0.1", "APE")
RAW = "no adapter"


def cells(grid: GridFile, arguments: argparse.Namespace) -> list[tuple[dict[str, Any], RunSpec]]:
    """The values of every run and its spec; the backbone alone has none."""
    overrides = Overrides(
        on=(arguments.backbone,) if arguments.backbone else (),
        protocols=(arguments.protocol,) if arguments.protocol else (),
        weights=arguments.weights,
        synthetic=arguments.synthetic or None,
        data=arguments.data,
        results=arguments.results,
        limit=arguments.limit,
        settings=parse_set(arguments.set),
    )
    axes = grid.parts[""].vary
    found = []
    for cell in expand(grid, overrides):
        own = cell.spec.settings.get("adapter", {})
        values = {axis: own[axis.partition(".")[2]] for axis in axes} if cell.spec.adapter != "none" else {}
        found.append((values, cell.spec))
    return found


def plot(arguments: argparse.Namespace) -> None:
    """Writes the figure; says which records are missing."""
    grid = read_grid(f"ablation-{arguments.name}")
    axis, *other = grid.parts[""].vary
    lines: dict[str, list[tuple[str, Record]]] = {}
    raw = None
    for values, spec in cells(grid, arguments):
        record = plan_run(spec).record
        if record is None or record.status != "finished":
            print(f"No record of {values or RAW}: run the grid first.")
        elif not values:
            raw = record
        else:
            line = ", ".join(f"{k.partition('.')[2]} {'all' if values[k] is None else values[k]}" for k in other)
            lines.setdefault(line, []).append((str(values[axis]), record))
    draw(axis, lines, raw, arguments.out)
    print(arguments.out)


def draw(axis: str, lines: dict[str, list[tuple[str, Record]]], raw: Record | None, out: Path) -> None:
    """One panel a metric: a line with 95 % intervals for each of `lines`, the backbone alone dashed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(METRICS), figsize=(5 * len(METRICS), 3.6), constrained_layout=True)
    for panel, metric in zip(panels, METRICS, strict=True):
        for line, points in lines.items():
            scores = [(name, score) for name, record in points if (score := record.score(metric)) is not None]
            middle = [s.value for _, s in scores]
            ends = [s.interval or (s.value, s.value) for _, s in scores]
            around = [np.subtract(middle, [low for low, _ in ends]), np.subtract([high for _, high in ends], middle)]
            panel.errorbar([n for n, _ in scores], middle, yerr=around, marker="o", capsize=3, label=line or None)
        before = raw.score(metric) if raw is not None else None
        if before is not None:
            panel.axhline(before.value, color="0.4", linestyle="--", label=RAW)
        panel.set(xlabel=axis, title=f"{metric} (%)")
        if panel.get_legend_handles_labels()[0]:
            panel.legend()
    with atomic_path(out) as temporary:
        figure.savefig(temporary, dpi=110)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("conv-layers", "iterations", "object", "rank"))
    parser.add_argument("--backbone", help="in place of the grid's")
    parser.add_argument("--protocol", help="in place of the task's first")
    parser.add_argument("--weights")
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="SCOPE.KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("ablation.png"))
    plot(parser.parse_args(words))


if __name__ == "__main__":
    main()
