"""Fits: one folder per recipe, trained once, by one process at a time."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench3d.contracts import Artifact, FitContext, Model, Progress
from bench3d.errors import PluginError, UsageError
from bench3d.files import make_folder, output_errors, write_json
from bench3d.machine import usable_cores
from bench3d.records import FileLock
from bench3d.runner.jobs import FitJob
from bench3d.runner.models import (
    build_backbone,
    choose_device,
    create_fitted,
    given_artifact,
    settle_numerics,
    with_artifacts,
)
from bench3d.runner.plan import FitPlan, plan_fits
from bench3d.runner.resolve import Resolved
from bench3d.runner.sources import ALL, Component
from bench3d.runner.spec import RunSpec

NOTE = "fit.json"
"""Beside the artifact: the recipe in full, and how long it took."""


@dataclass(frozen=True)
class Fitted:
    """The model with everything applied, and the artifacts in the order of their jobs."""

    model: Model
    artifacts: tuple[tuple[FitJob, Artifact], ...]


def fit_all(plan: FitPlan | RunSpec, progress: Progress) -> list[Artifact]:
    """Makes every artifact of a plan that is not there; with the spec's `force` all of them again.

    Raises:
        DataError: training data are missing.
        WeightsError, OutputError, UsageError: as their words say.
        KeyboardInterrupt: after the state was saved.
    """
    plan = plan if isinstance(plan, FitPlan) else plan_fits(plan)
    if plan.problem is not None:
        raise plan.problem
    device = choose_device(plan.spec.device)
    settle_numerics(plan.spec.offline)
    fitted = fit_and_apply(plan, device, progress, again=plan.spec.force)
    return [artifact for _, artifact in fitted.artifacts]


def write_twins(resolved: Resolved, progress: Progress) -> None:
    """Writes the synthetic twins that the plan uses, where they are not whole yet."""
    from bench3d.data.twin import ensure_twin

    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A worker that is importing the caller's script again: it would wait for the lock that its parent holds.
        raise UsageError(
            "bench3d was called again by one of its own worker processes.",
            'In a script, put the call under `if __name__ == "__main__":`.',
        )
    sources = [s for s in (resolved.test, *resolved.train.values()) if s is not None and s.twin is not None]
    for root in dict.fromkeys(s.root for s in sources):
        here = [s for s in sources if s.root == root]
        assert here[0].twin is not None
        registrations = list({s.component.name: s.registration for s in here}.values())
        ensure_twin(root, here[0].twin, registrations, progress, usable_cores())


def fit_and_apply(plan: FitPlan, device: str, progress: Progress, again: bool = False) -> Fitted:
    """The backbone with adapter and shape model on top; twins are written and missing fits made on the way.

    The backbone comes first: weights that cannot be had are said before minutes go into data.
    """
    resolved = plan.resolved
    model = build_backbone(resolved, plan.spec.weights, device)
    write_twins(resolved, progress)
    made: list[tuple[FitJob, Artifact]] = []
    for kind, component in (("adapter", resolved.adapter), ("shape-model", resolved.shape)):
        if component is None:
            continue
        given = given_artifact(resolved) if kind == "adapter" else None
        if given is not None:
            model = with_artifacts(model, component, kind, {ALL: given}, device)
            continue
        jobs = [job for job in plan.jobs if job.kind == kind]
        source = resolved.train[component.name].open() if any(again or not j.done for j in jobs) else None
        artifacts = {}
        for job in jobs:
            artifact = _ensure(job, component, model, source, plan, device, progress, again)
            artifacts[job.category or ALL] = artifact
            made.append((job, artifact))
        model = with_artifacts(model, component, kind, artifacts, device)
    return Fitted(model, tuple(made))


def _ensure(
    job: FitJob,
    component: Component,
    model: Model,
    source: Any,
    plan: FitPlan,
    device: str,
    progress: Progress,
    again: bool,
) -> Artifact:
    assert job.folder is not None and job.recipe is not None
    fitter = create_fitted(component, job.kind)
    name = f"{component.name} of {job.category or 'all categories'}"
    lock = FileLock(
        job.folder.with_name(f".{job.folder.name}.lock"),
        waiting=lambda: progress.say(f"Another process is fitting {name}: waiting for it."),
    )
    stood = job.done
    with lock:
        if job.done and not (again and stood):
            return _checked(fitter.load(job.folder), job)
        if again:
            with output_errors(job.folder):
                shutil.rmtree(job.folder, ignore_errors=True)
        make_folder(job.folder)
        context = FitContext(
            out=job.folder,
            recipe=job.recipe,
            seed=plan.spec.seed,
            device=device,
            category=job.category,
            categories=plan.resolved.categories if plan.resolved.train[component.name].categories else (ALL,),
            resume=not again,
            progress=progress,
        )
        with _timed(job):
            artifact = _checked(fitter.fit(model, source, context), job)
        progress.say(f"Fitted {name} in {fit_seconds(job) or 0:.0f} s: {job.folder}")
    return artifact


def fit_seconds(job: FitJob) -> float | None:
    """How long a fit took in all, its interrupted beginnings included; None where nobody noted it."""
    seconds = read_note(job.folder).get("seconds") if job.folder is not None else None
    return float(seconds) if isinstance(seconds, (int, float)) else None


def read_note(folder: Path) -> dict[str, Any]:
    """`fit.json` of an artifact: recipe, inputs, seconds. Empty where it is not there or broken."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


@contextlib.contextmanager
def _timed(job: FitJob) -> Iterator[None]:
    """Notes the recipe in full and the time, which adds up over resumptions."""
    assert job.folder is not None
    before, begun = fit_seconds(job) or 0.0, time.monotonic()
    try:
        yield
    finally:
        seconds = before + time.monotonic() - begun
        write_json(job.folder / NOTE, {"recipe": job.recipe, "inputs": job.inputs, "seconds": seconds})


def _checked(artifact: Artifact, job: FitJob) -> Artifact:
    if artifact.recipe != job.recipe or not job.done:
        raise PluginError(
            f"The {job.kind} {job.component} left an artifact in {job.folder} that is not of its recipe.",
            "Delete the folder, or train again with --force.",
        )
    return artifact
