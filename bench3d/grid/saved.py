"""A plan on disk: written by whoever plans, read by every child, and by `status`, `stop` and `logs`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from bench3d.errors import DataError, UnknownNameError, UsageError
from bench3d.files import write_json
from bench3d.grid.model import GridPlan, Node, State
from bench3d.grid.nodes import read_note, state_now
from bench3d.plugins.names import did_you_mean
from bench3d.records import RunIndex
from bench3d.runner.spec import spec_from, spec_values

SCHEMA = "bench3d.grid/1"
PLAN = "plan.json"


def grids_folder(results: Path) -> Path:
    """Where the grids of a results folder keep their plans and logs."""
    return results / "grids"


def save_plan(plan: GridPlan) -> Path:
    """Writes `plan.json` into the grid's folder. OutputError where that is not possible."""
    path = plan.folder / PLAN
    write_json(
        path,
        {
            "schema": SCHEMA,
            "name": plan.name,
            "summary": plan.summary,
            "download_bytes": plan.download_bytes,
            "nodes": [_values(node) for node in plan.nodes],
        },
    )
    return path


def read_plan(path: Path) -> GridPlan:
    """A plan as it was written, its states included.

    Raises:
        DataError: missing or broken; names file and field.
    """
    content = read_note(path)
    if content.get("schema") != SCHEMA:
        raise DataError(f"{path}, field schema: {content.get('schema')!r} is not {SCHEMA}.", "Plan the grid again.")
    results = path.parent.parent.parent
    try:
        nodes = tuple(_node(values) for values in content["nodes"])
        name, summary, size = str(content["name"]), str(content["summary"]), float(content["download_bytes"])
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise DataError(f"{path} is no plan of a grid: {error}.", "Plan the grid again.") from error
    return GridPlan(name=name, summary=summary, folder=path.parent, results=results, nodes=nodes, download_bytes=size)


def saved_plan(name: str, results: Path) -> GridPlan:
    """The plan of that name that was made last, with its states looked at again.

    Raises:
        UnknownNameError: none of that name was made; holds the nearest names.
    """
    folder = grids_folder(results.absolute())
    found = sorted(folder.glob(f"*/{PLAN}"), key=lambda p: p.stat().st_mtime)
    names = {path: path.parent.name.rpartition("-")[0] for path in found}
    mine = [path for path in found if names[path] == name]
    if not mine:
        known = sorted(set(names.values()))
        hint = did_you_mean(name, known) if known else f"Begin with: bench3d grid run {name}"
        raise UnknownNameError(f"No grid {name} has been planned in {results}.", hint)
    return looked_at(read_plan(mine[-1]))


def looked_at(plan: GridPlan, index: RunIndex | None = None) -> GridPlan:
    """The same plan with the states that the results folder has now."""
    index = index or RunIndex(plan.results)
    index.refresh()
    states: dict[str, State] = {}
    nodes = []
    for node in plan.nodes:
        state, reason = state_now(node, plan.folder, plan.results, index)
        bad = next((n for n in node.needs if states.get(n) in ("failed", "blocked")), None)
        if state == "todo" and bad is not None:
            state, reason = "blocked", "what it needs has failed"
        states[node.id] = state
        nodes.append(replace(node, state=state, reason=reason))
    return replace(plan, nodes=tuple(nodes))


def _values(node: Node) -> dict[str, Any]:
    values = {f.name: getattr(node, f.name) for f in fields(node)}
    values.update(
        spec=spec_values(node.spec),
        folder=None if node.folder is None else str(node.folder),
        needs=list(node.needs),
        varied=dict(node.varied),
    )
    return values


def _node(values: Mapping[str, Any]) -> Node:
    known = dict(values)
    folder = known["folder"]
    known.update(
        spec=spec_from(known["spec"]), needs=tuple(known["needs"]), folder=None if folder is None else Path(folder)
    )
    return Node(**known)
