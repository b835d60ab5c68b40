"""`bench3d matrix`: which backbone goes with which adapter or shape model on which task, and why not."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.contracts import (
    AdapterRegistration,
    BackboneRegistration,
    ShapeModelRegistration,
    TaskRegistration,
)
from bench3d.plugins import Registry, incompatibilities, load_registry


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "matrix", short_help="What can be combined, and why not.", epilog="Example: bench3d matrix --task pascal3d-pose"
    )(matrix)


def matrix(
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what can be combined: backbones x adapters and shape models x tasks, with the reasons of every no."""
    registry = load_registry()
    if task is not None:
        registry.find("task", task)
    rows = combinations(registry, task)
    if as_json:
        print_json(rows)
    else:
        _print(rows)


def combinations(registry: Registry, only: str | None = None) -> list[dict[str, Any]]:
    """Every combination (with `only`: of this task) with its objections; `ok` where there are none."""
    backbones = [r for r in registry.registrations("backbone") if isinstance(r, BackboneRegistration)]
    adapters = [r for r in registry.registrations("adapter") if isinstance(r, AdapterRegistration)]
    shapes = [r for r in registry.registrations("shape-model") if isinstance(r, ShapeModelRegistration)]
    found = registry.registrations("task")
    tasks = [r for r in found if isinstance(r, TaskRegistration) and only in (None, r.name)]
    rows = []
    for task in tasks:
        for adapter in [None, *(a for a in adapters if a.name != "none")]:
            for shape in [None, *(s for s in shapes if s.name != "none")]:
                for backbone in backbones:
                    reasons = incompatibilities(registry, backbone, adapter, shape, task, usual_data=True)
                    rows.append(
                        {
                            "task": task.name,
                            "adapter": adapter.name if adapter else "none",
                            "shape_model": shape.name if shape else "none",
                            "backbone": backbone.name,
                            "ok": not reasons,
                            "reasons": reasons,
                        }
                    )
    return rows


def _column(row: dict[str, Any]) -> str:
    parts = [row[k] for k in ("adapter", "shape_model") if row[k] != "none"]
    return " + ".join(parts) or "alone"


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()
    reasons: list[str] = []
    for task in dict.fromkeys(r["task"] for r in rows):
        cells = {(r["backbone"], _column(r)): r for r in rows if r["task"] == task}
        columns = list(dict.fromkeys(c for _, c in cells))
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
        table.add_column(Text(task, style="bold cyan"), no_wrap=True)
        for column in columns:
            table.add_column(column)
        for backbone in dict.fromkeys(b for b, _ in cells):
            line = [Text(backbone + ("NAME" if backbone.endswith(":") else ""))]
            for column in columns:
                row = cells[backbone, column]
                reasons.extend(r for r in row["reasons"] if r not in reasons)
                notes = ", ".join(str(reasons.index(r) + 1) for r in row["reasons"])
                line.append(Text("yes", style="green") if row["ok"] else Text(f"no ({notes})", style="dim"))
            table.add_row(*line)
        out.print(table)
        out.print()
    for number, reason in enumerate(reasons, 1):
        out.print(Text(f"({number}) {reason}"))
    if not rows:
        out.print("No backbone or no task is registered; see `bench3d doctor`.")
