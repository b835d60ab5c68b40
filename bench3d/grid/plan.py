"""From cells to a plan: every twin, fit and run once, what each needs, and what is there already. No torch."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench3d.contracts import BackboneRegistration
from bench3d.errors import Bench3DError, CapabilityError, OutputError, UsageError, WeightsError
from bench3d.grid.estimate import Estimate, Estimates
from bench3d.grid.expand import Overrides, expand
from bench3d.grid.files import read_grid
from bench3d.grid.model import Cell, GridPlan, Node
from bench3d.grid.nodes import is_done, state_now
from bench3d.grid.saved import grids_folder, looked_at, save_plan, saved_plan
from bench3d.plugins.registry import install_line, missing_extras
from bench3d.records import RunIndex, identity_hash, short
from bench3d.runner import RunPlan, plan_run
from bench3d.runner.memo import planning_session
from bench3d.runner.spec import RunSpec, spec_values

__all__ = ["plan_grid", "saved_plan"]
COMPONENTS = ("backbone", "adapter", "shape_model", "task", "protocol")


def plan_grid(name: str, overrides: Overrides) -> GridPlan:
    """Looks up everything that a grid is made of, and leaves `plan.json` in its folder.

    Args:
        name: of a shipped grid, or the path of a grid file.
        overrides: what the user adds on the command line.

    Raises:
        UsageError, UnknownNameError: a wrong grid file, name or setting; names the run.
    """
    grid = read_grid(name)
    cells = [_absolute(cell) for cell in expand(grid, overrides)]
    results = cells[0].spec.results
    digits = identity_hash({"cells": [spec_values(c.spec) | {"results": ""} for c in cells]})[:8]
    folder = grids_folder(results) / f"{grid.name}-{digits}"
    with planning_session():
        planning = _Planning(folder, results, RunIndex(results))
        for cell in cells:
            planning.add(cell)
        nodes = planning.finished()
    plan = GridPlan(
        name=grid.name,
        summary=grid.summary,
        folder=folder,
        results=results,
        nodes=nodes,
        problems=(*planning.problems, *_disk(nodes, results)),
        download_bytes=sum(planning.downloads.values()),
    )
    plan = looked_at(plan, planning.index)
    try:
        save_plan(plan)
    except OutputError as error:
        plan = replace(plan, problems=(*plan.problems, str(error)))
    return plan


def title_of(cell: Cell) -> str:
    """A run for people: its components, then what else tells it from the others."""
    spec = cell.spec
    words = [f"{spec.backbone} random" if spec.weights == "random" else spec.backbone]
    words += [name for name in (spec.adapter, spec.shape_model) if name != "none"]
    words += [w for w in (spec.task, spec.protocol) if w is not None]
    words += [f"{k} {v}" for k, v in cell.varied.items() if k not in COMPONENTS and k not in ("weights", "label")]
    return " · ".join(words)


def _absolute(cell: Cell) -> Cell:
    """Nodes may be done in another working folder."""
    spec = cell.spec
    data = None if spec.data is None else spec.data.expanduser().absolute()
    return replace(cell, spec=replace(spec, results=spec.results.expanduser().absolute(), data=data))


@dataclass
class _Planning:
    """Collects nodes; every need of a node is put in before it."""

    folder: Path
    results: Path
    index: RunIndex
    twins: dict[str, Node] = field(default_factory=dict)
    fits: dict[str, Node] = field(default_factory=dict)
    runs: dict[str, Node] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    downloads: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.estimates = Estimates(self.index, self.results)

    def add(self, cell: Cell) -> None:
        """Plans one cell."""
        try:
            plan = plan_run(cell.spec, self.index)
        except CapabilityError as error:
            self._without_identity(cell, "incompatible", error)
            return
        except WeightsError as error:
            self._without_identity(cell, "missing", error)
            return
        except UsageError as error:
            raise type(error)(f"{title_of(cell)}: {error.message}", error.hint) from error
        lacking = _lacking(plan)
        problem = plan.problem or (None if lacking is None else UsageError(*lacking))
        if problem is not None:
            self._without_identity(cell, "missing", problem, _fetch_hint(plan))
            return
        self._run(cell, plan)

    def finished(self) -> tuple[Node, ...]:
        """Twins, fits, runs."""
        return (*self.twins.values(), *self.fits.values(), *self.runs.values())

    def _without_identity(self, cell: Cell, state: Any, error: Bench3DError, hint: str | None = None) -> None:
        digits = identity_hash({"cell": spec_values(cell.spec) | {"results": ""}})
        node = self._node(cell, f"cell-{short(digits)}", state=state, reason=error.message)
        self.runs[node.id] = replace(node, hint=hint or error.hint or "")

    def _run(self, cell: Cell, plan: RunPlan) -> None:
        assert plan.identity is not None and plan.record_path is not None
        name = f"run-{short(plan.identity)}"
        if name in self.runs:
            self.runs[name] = replace(self.runs[name], cells=self.runs[name].cells + 1)
            return
        node = self._node(cell, name, key=plan.identity, folder=plan.record_path.parent)
        node = _with(node, self.estimates.run(plan))
        state, _ = state_now(node, self.folder, self.results, self.index)
        if state == "done":
            self.runs[name] = replace(node, state="done")
            return
        needs = [*self._twins(plan, cell), *self._fits(plan, cell)]
        self._weights(plan)
        self.runs[name] = replace(node, needs=tuple(needs))

    def _node(self, cell: Cell, name: str, **values: Any) -> Node:
        given = {"kind": "run", "state": "todo", "title": title_of(cell), "spec": cell.spec}
        return Node(**{**given, "id": name, "part": cell.part, "varied": cell.varied, **values})

    def _twins(self, plan: RunPlan, cell: Cell) -> list[str]:
        """The nodes that write the run's twins; one for a twin, with all the data sets that any run wants of it."""
        resolved = plan.resolved
        sources = [s for s in (resolved.test, *resolved.train.values()) if s is not None and s.twin is not None]
        needed = []
        for source in sources:
            name = f"data-{source.root.name}"
            node = self.twins.get(name)
            names = sorted({*([] if node is None else node.key.split()), source.component.name})
            title = f"synthetic twin {source.root.name}"
            new = self._node(cell, name, kind="data", title=title, key=" ".join(names), folder=source.root)
            self.twins[name] = replace(new, part="", varied={})
            needed.append(name)
        return list(dict.fromkeys(needed))

    def _fits(self, plan: RunPlan, cell: Cell) -> list[str]:
        """The nodes of the run's fits. With `layer: auto` the layer is not known yet: such a run makes its own."""
        if plan.spec.layer is not None:
            return []
        names: list[str] = []
        below: list[str] = []
        for job in plan.jobs:
            assert job.recipe is not None
            name = f"fit-{short(job.recipe)}"
            if name not in self.fits:
                preset = cell.spec.settings.get("adapter" if job.kind == "adapter" else "shape", {}).get("preset")
                words = [job.component, f"({preset})" if preset else "", f"on {plan.spec.backbone}", job.category or ""]
                title = " ".join(w for w in words if w)
                node = self._node(cell, name, kind="fit", title=title, key=job.recipe, folder=job.folder)
                node = _with(node, self.estimates.fit(plan, job))
                needs = (*self._twins(plan, cell), *(below if job.kind == "shape-model" else ()))
                done = is_done(node)
                self.fits[name] = replace(node, needs=() if done else needs, state="done" if done else "todo")
            names.append(name)
            if job.kind == "adapter":
                below.append(name)
        return names

    def _weights(self, plan: RunPlan) -> None:
        """Weights that will be downloaded, and those whose owner has to be asked."""
        if plan.spec.weights != "pretrained" or not isinstance(plan.resolved.weights, dict):
            return
        registration = plan.resolved.backbone.registration
        known = registration.weights if isinstance(registration, BackboneRegistration) else None
        step = next((s for s in plan.steps if s.what.startswith("backbone ")), None)
        if known is None or step is None or step.state != "todo":
            return
        self.downloads[str(plan.resolved.weights.get("id"))] = float(known.bytes or 0)
        if known.registration_required and not _accepted(plan.spec, registration.name):
            sentence = (
                f"The weights of {registration.name} are given out under a licence that has to be accepted "
                f"({known.licence or 'see their page'}): bench3d data fetch, with --accept-licence."
            )
            if sentence not in self.problems:
                self.problems.append(sentence)


def _accepted(spec: RunSpec, name: str) -> bool:
    from bench3d.data.licences import accepted
    from bench3d.data.root import data_root

    return accepted(data_root(spec.data), name)


def _lacking(plan: RunPlan) -> tuple[str, str] | None:
    """What is not installed or, offline, not in the cache: a sentence and the next step."""
    resolved = plan.resolved
    for component in (resolved.backbone, resolved.adapter, resolved.shape, resolved.task):
        if component is not None and missing_extras(component.registration):
            what = " and ".join(missing_extras(component.registration))
            return f"{component.name} needs {what}, which is not installed.", install_line(component.registration)
    for step in plan.steps:
        if step.state == "missing" and step.what.startswith("backbone "):
            return f"{step.what}: {step.detail}.", "Run `bench3d data fetch` for this grid where there is a network."
    return None


def _fetch_hint(plan: RunPlan) -> str | None:
    names = [s.what.removeprefix("dataset ") for s in plan.steps if s.state == "missing" and s.what[:8] == "dataset "]
    return f"bench3d data fetch {names[0]}" if names else None


def _with(node: Node, cost: Estimate) -> Node:
    return replace(
        node,
        seconds=cost.seconds,
        memory_bytes=cost.memory_bytes,
        disk_bytes=cost.disk_bytes,
        measured=cost.measured,
    )


def _disk(nodes: Iterable[Node], results: Path) -> list[str]:
    """A sentence where the results will not fit."""
    needed = sum(n.disk_bytes or 0.0 for n in nodes if n.state in ("todo", "running"))
    place = next((p for p in (results, *results.parents) if p.is_dir()), None)
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(place).free if place is not None else None
        if free is not None and needed > free:
            return [
                f"The results need about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in {place}: "
                "free some space or choose another folder with --results."
            ]
    return []
