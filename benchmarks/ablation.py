"""The ablations of smoothap-lora: one run per value, and a plot.

    python benchmarks/ablation.py run conv-layers [--backbone NAME] [--weights random] [--synthetic] [--results DIR]
        [--limit N] [--set SCOPE.KEY=VALUE ...]
    python benchmarks/ablation.py plot conv-layers ... --out conv-layers.png

Names are those of configs/grids/ablation-NAME.yaml: conv-layers, iterations, object, rank. `plot` takes the options of
`run`, reads the records that are there and says which are missing; a run that has a record is not run again. Beside the
values stands the backbone without adapter.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bench3d.contracts import Progress
from bench3d.files import atomic_path
from bench3d.plugins import parse_set
from bench3d.records import Record
from bench3d.runner import RunSpec, execute, plan_run

METRICS = ("PCDP@0.1", "APE")
RAW = "no adapter"


class Lines(Progress):
    """Only what stays on the screen."""

    def say(self, message: str) -> None:
        print(f"  {message}", flush=True)


def read_grid(name: str) -> dict[str, Any]:
    """The grid file of an ablation; SystemExit with the known names."""
    folder = files("bench3d.configs") / "grids"
    known = sorted(p.name.removeprefix("ablation-").removesuffix(".yaml") for p in folder.iterdir())
    if name not in known:
        raise SystemExit(f"There is no ablation {name}: {', '.join(known)}.")
    grid: dict[str, Any] = yaml.safe_load((folder / f"ablation-{name}.yaml").read_text(encoding="utf-8"))
    return grid


def specs(grid: dict[str, Any], arguments: argparse.Namespace) -> Iterator[tuple[dict[str, Any], RunSpec]]:
    """The values of a run and its spec; first the backbone alone, with no values."""
    base = dict(grid["base"])
    shared = base.pop("set", {})
    asked = parse_set(arguments.set)
    chosen = {key: getattr(arguments, key) or base.get(key) for key in ("backbone", "adapter", "task")}
    common = {
        "backbone": chosen["backbone"],
        "task": chosen["task"],
        "weights": arguments.weights,
        "synthetic": arguments.synthetic,
        "data": arguments.data,
        "results": arguments.results,
        "limit": arguments.limit,
        "protocol": arguments.protocol,
    }
    others = {scope: values for scope, values in asked.items() if scope != "adapter"}
    yield {}, RunSpec(**common, settings=others)
    for values in itertools.product(*grid["vary"].values()):
        cell = dict(zip(grid["vary"], values, strict=True))
        own = {k.partition(".")[2]: v for k, v in {**shared, **cell}.items()}
        settings = {**others, "adapter": {**asked.get("adapter", {}), **own}}
        yield cell, RunSpec(**common, adapter=chosen["adapter"], settings=settings)


def run(arguments: argparse.Namespace) -> None:
    for cell, spec in specs(read_grid(arguments.name), arguments):
        print(cell or RAW, flush=True)
        record = execute(plan_run(spec), Lines())
        print("  " + "   ".join(shown(record, metric) for metric in METRICS), flush=True)


def shown(record: Record, metric: str) -> str:
    score = record.score(metric)
    if score is None:
        return f"{metric}: none"
    interval = "" if score.interval is None else f" [{score.interval[0]:.1f}, {score.interval[1]:.1f}]"
    return f"{metric} {score.value:.1f}{interval}"


def plot(arguments: argparse.Namespace) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    grid = read_grid(arguments.name)
    axis, *other = grid["vary"]
    found: dict[str, list[tuple[str, Record]]] = {}
    raw = None
    for cell, spec in specs(grid, arguments):
        plan = plan_run(spec)
        if not plan.already_done or plan.record is None:
            print(f"No record of {cell or RAW}: run it first.")
        elif not cell:
            raw = plan.record
        else:
            line = ", ".join(f"{k.partition('.')[2]} {'all' if cell[k] is None else cell[k]}" for k in other)
            found.setdefault(line, []).append((str(cell[axis]), plan.record))
    figure, panels = plt.subplots(1, len(METRICS), figsize=(5 * len(METRICS), 3.6), constrained_layout=True)
    for panel, metric in zip(panels, METRICS, strict=True):
        for line, points in found.items():
            scores = [(name, record.score(metric)) for name, record in points]
            names, values = zip(*[(n, s) for n, s in scores if s is not None], strict=True)
            low, high = zip(*[s.interval or (s.value, s.value) for s in values], strict=True)
            middle = [s.value for s in values]
            below, above = np.subtract(middle, low), np.subtract(high, middle)
            panel.errorbar(names, middle, yerr=[below, above], marker="o", capsize=3, label=line or None)
        before = raw.score(metric) if raw is not None else None
        if before is not None:
            panel.axhline(before.value, color="0.4", linestyle="--", label=RAW)
        panel.set(xlabel=axis, title=f"{metric} (%)")
        panel.legend()
    with atomic_path(arguments.out) as temporary:
        figure.savefig(temporary, dpi=110)
    print(arguments.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "plot"))
    parser.add_argument("name")
    parser.add_argument("--backbone")
    parser.add_argument("--adapter")
    parser.add_argument("--task")
    parser.add_argument("--protocol")
    parser.add_argument("--weights", default="pretrained")
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--results", type=Path, default=Path("bench3d-results"))
    parser.add_argument("--limit", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="SCOPE.KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("ablation.png"))
    arguments = parser.parse_args()
    (run if arguments.command == "run" else plot)(arguments)


if __name__ == "__main__":
    main()
