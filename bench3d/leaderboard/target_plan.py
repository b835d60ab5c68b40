"""What a target still costs: runs and fits that are not done, GPU-hours, disk. No torch, and no data are needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bench3d.errors import Bench3DError
from bench3d.grid.estimate import Estimate, Estimates
from bench3d.grid.expand import expand
from bench3d.grid.files import read_grid
from bench3d.leaderboard.targets import PublishedCell
from bench3d.records import RunIndex, canonical_json
from bench3d.runner import RunPlan, plan_run
from bench3d.runner.jobs import FitJob
from bench3d.runner.memo import planning_session


@dataclass(frozen=True)
class Cost:
    """What a grid still costs on one GPU: rough, and known before its data are there.

    Attributes:
        seconds: of what is estimated; `unknown` runs and fits are not in it.
    """

    runs: int
    runs_left: int
    fits_left: int
    seconds: float
    unknown: int
    memory_bytes: float
    disk_bytes: float


def grid_cost(grid: str, results: Path, data: Path | None) -> Cost:
    """The cost of the runs of a shipped grid that have no record in `results`.

    Raises:
        UsageError, DataError: as the grid's own planning.
    """
    index = RunIndex(results)
    estimates = Estimates(index, results)
    runs: list[Estimate] = []
    fits: dict[str, Estimate] = {}
    cells = expand(read_grid(grid))
    with planning_session():
        for cell in cells:
            plan = plan_run(replace(cell.spec, results=results, data=data, device="cuda"), index)
            if plan.already_done:
                continue
            runs.append(estimates.run(plan))
            for job in plan.jobs:
                if not job.done:
                    fits.setdefault(_fit_key(plan, job), estimates.fit(plan, job))
    every = [*runs, *fits.values()]
    return Cost(
        runs=len(cells),
        runs_left=len(runs),
        fits_left=len(fits),
        seconds=sum(e.seconds or 0.0 for e in every),
        unknown=sum(e.seconds is None for e in every),
        memory_bytes=max((e.memory_bytes or 0.0 for e in every), default=0.0),
        disk_bytes=sum(e.disk_bytes or 0.0 for e in every),
    )


def _fit_key(plan: RunPlan, job: FitJob) -> str:
    """The recipe; where its data are missing, what it will follow from."""
    if job.recipe is not None:
        return job.recipe
    source = plan.resolved.train[job.component]
    with contextlib.suppress(Bench3DError):
        parts = (plan.resolved.backbone_identity("fit"), source.component.identity("fit"), plan.spec.seed)
        component = plan.resolved.adapter if job.kind == "adapter" else plan.resolved.shape
        identity = None if component is None else component.identity("fit")
        return canonical_json([job.component, job.category, identity, *parts])
    return f"{job.component}/{job.category}"


def not_possible(cells: Iterable[PublishedCell]) -> dict[str, list[PublishedCell]]:
    """Why printed cells cannot be measured here -> the cells."""
    found: dict[str, list[PublishedCell]] = {}
    for cell in cells:
        if cell.block.cannot:
            found.setdefault(cell.block.cannot, []).append(cell)
    return found
