"""Fits: one folder per recipe, trained once; and the model that they make."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench3d.contracts import Artifact, Model, Progress
from bench3d.errors import UsageError
from bench3d.machine import choose_device, usable_cores
from bench3d.runner.jobs import FitJob
from bench3d.runner.making import Making, ensure_artifact, fit_seconds, read_note
from bench3d.runner.models import build_backbone, given_artifact, settle_numerics, with_artifacts
from bench3d.runner.plan import FitPlan, plan_fits
from bench3d.runner.resolve import Resolved
from bench3d.runner.sources import ALL, Component
from bench3d.runner.spec import RunSpec

__all__ = ["Fitted", "fit_all", "fit_and_apply", "fit_one", "fit_seconds", "left_out", "read_note", "write_twins"]


@dataclass(frozen=True)
class Fitted:
    """The model with everything applied, and the artifacts in the order of their jobs."""

    model: Model
    artifacts: tuple[tuple[FitJob, Artifact], ...]


def fit_all(plan: FitPlan | RunSpec, progress: Progress, wait: bool = True) -> list[Artifact]:
    """Makes every artifact of a plan that is not there; with the spec's `force` all of them again.

    Raises:
        DataError: training data are missing.
        WeightsError, OutputError, UsageError: as their words say.
        Busy: another process is at one of them, and `wait` is False.
        KeyboardInterrupt: after the state was saved.
    """
    plan = plan if isinstance(plan, FitPlan) else plan_fits(plan)
    device = _ready(plan)
    fitted = fit_and_apply(plan, device, progress, again=plan.spec.force, wait=wait)
    return [artifact for _, artifact in fitted.artifacts]


def fit_one(plan: FitPlan, recipe: str, progress: Progress, wait: bool = True) -> Artifact:
    """Makes the artifact of one recipe of a plan where it is not there, and what it stands on.

    A shape model is fitted on top of the adapter's artifact, which is loaded, or made where it is missing.

    Raises:
        UsageError: no job of the plan has this recipe. Others as `fit_all`.
    """
    job = next((j for j in plan.jobs if j.recipe == recipe), None)
    if job is None:
        raise UsageError(f"The plan has no fit with the recipe {recipe[:12]}.", "Plan again: its settings changed.")
    fitting = _Fitting(plan, _ready(plan), progress, plan.spec.force, wait)
    model = fitting.backbone()
    if job.kind == "shape-model":
        below = [j for j in plan.jobs if j.kind == "adapter" and j.category in (None, job.category)]
        # `force` means the artifact that was asked for.
        model, _ = _Fitting(plan, fitting.device, progress, False, wait).applied(model, "adapter", below)
    return fitting.artifacts(model, job.kind, [job])[0][1]


def _ready(plan: FitPlan) -> str:
    """The device of a plan that can be done."""
    if plan.problem is not None:
        raise plan.problem
    settle_numerics(plan.spec.offline)
    return choose_device(plan.spec.device)


def write_twins(resolved: Resolved, progress: Progress, wait: bool = True) -> None:
    """Writes the synthetic twins that the plan uses, where they are not whole yet.

    Raises:
        Busy: another process is writing one, and `wait` is False.
    """
    from bench3d.data.twin import ensure_twin

    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A worker that is importing the caller's script again: it would wait for the twin that its parent writes.
        raise UsageError(
            "bench3d was called again by one of its own worker processes.",
            'In a script, put the call under `if __name__ == "__main__":`.',
        )
    sources = [s for s in (resolved.test, *resolved.train.values()) if s is not None and s.twin is not None]
    for root in dict.fromkeys(s.root for s in sources):
        here = [s for s in sources if s.root == root]
        assert here[0].twin is not None
        registrations = list({s.component.name: s.registration for s in here}.values())
        ensure_twin(root, here[0].twin, registrations, progress, usable_cores(), wait)


def fit_and_apply(plan: FitPlan, device: str, progress: Progress, again: bool = False, wait: bool = True) -> Fitted:
    """The backbone with adapter and shape model on top; twins are written and missing fits made on the way.

    The backbone comes first: weights that cannot be had are said before minutes go into data.
    """
    fitting = _Fitting(plan, device, progress, again, wait)
    model = fitting.backbone()
    made: list[tuple[FitJob, Artifact]] = []
    for kind in _KINDS:
        model, more = fitting.applied(model, kind, [job for job in plan.jobs if job.kind == kind])
        made += more
    return Fitted(model, tuple(made))


_Kind = Literal["adapter", "shape-model"]
_KINDS: tuple[_Kind, ...] = ("adapter", "shape-model")


def left_out(fitted: Fitted) -> list[str]:
    """A sentence for each fit and category of whose training data something was left out, by the reader or the fit."""
    notes = []
    for job, artifact in fitted.artifacts:
        noted = read_note(job.folder).get("left_out") if job.folder is not None else None
        own = artifact.facts.get("left_out")
        found = [*noted.items()] if isinstance(noted, dict) else []
        found += [(job.category or ALL, own)] if isinstance(own, dict) and own else []
        for category, counts in found:
            reasons = ", ".join(f"{reason} ({count})" for reason, count in counts.items())
            notes.append(f"Left out of the training data of {job.component} for {category}: {reasons}.")
    return notes


@dataclass(frozen=True)
class _Fitting:
    plan: FitPlan
    device: str
    progress: Progress
    again: bool
    wait: bool

    def backbone(self) -> Model:
        model = build_backbone(self.plan.resolved, self.plan.spec.weights, self.device)
        write_twins(self.plan.resolved, self.progress, self.wait)
        return model

    def applied(self, model: Model, kind: _Kind, jobs: Sequence[FitJob]) -> tuple[Model, list[tuple[FitJob, Artifact]]]:
        """`model` with the adapter or shape model on top, if the plan has one, and the artifacts of `jobs`."""
        component = self._component(kind)
        if component is None:
            return model, []
        given = given_artifact(self.plan.resolved) if kind == "adapter" else None
        if given is not None:
            return with_artifacts(model, component, kind, {ALL: given}, self.device), []
        made = self.artifacts(model, kind, jobs)
        artifacts = {job.category or ALL: artifact for job, artifact in made}
        return with_artifacts(model, component, kind, artifacts, self.device), made

    def artifacts(self, model: Model, kind: _Kind, jobs: Sequence[FitJob]) -> list[tuple[FitJob, Artifact]]:
        """The artifacts of `jobs`, all of one kind, made on top of `model` where they are missing."""
        component = self._component(kind)
        if component is None or not jobs:
            return []
        resolved = self.plan.resolved
        data = resolved.train[component.name]
        making = Making(
            component=component,
            model=model,
            source=data.open(self.progress) if any(self.again or not job.done for job in jobs) else None,
            seed=self.plan.spec.seed,
            device=self.device,
            categories=resolved.categories if data.categories else (ALL,),
            progress=self.progress,
            again=self.again,
            wait=self.wait,
        )
        return [(job, ensure_artifact(job, making)) for job in jobs]

    def _component(self, kind: _Kind) -> Component | None:
        return self.plan.resolved.adapter if kind == "adapter" else self.plan.resolved.shape
