"""Planning: what a run or a training will do, what is there already, what is missing. No torch, no weights."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bench3d.contracts import BackboneRegistration, ShapeModelRegistration, TaskRegistration
from bench3d.errors import Bench3DError, CapabilityError, DataError, UsageError
from bench3d.plugins import oracles_of
from bench3d.records import Record, RunIndex, RunStore, identity_hash, short
from bench3d.runner.jobs import FitJob, file_name, fit_begun, fit_jobs
from bench3d.runner.layer_policy import layer_policy
from bench3d.runner.memo import once
from bench3d.runner.resolve import Resolved, resolve_spec
from bench3d.runner.sources import DataSource
from bench3d.runner.spec import RunSpec

State = Literal["done", "todo", "missing"]


@dataclass(frozen=True)
class PlanStep:
    """One line of a plan: what, whether it is there, to be done or missing, and where or why."""

    what: str
    state: State
    detail: str = ""


@dataclass(frozen=True)
class FitPlan:
    """The fits of a spec. `problem` is the first thing that is missing."""

    spec: RunSpec
    steps: tuple[PlanStep, ...]
    jobs: tuple[FitJob, ...]
    resolved: Resolved = field(repr=False)
    problem: Bench3DError | None = None


@dataclass(frozen=True)
class RunPlan(FitPlan):
    """A run. `identity` is None where data are missing: then `execute` raises `problem`.

    `status` is that of the record which stands at `record_path`, None where there is none.
    """

    identity: str | None = None
    measurement: Mapping[str, Any] = field(default_factory=dict, repr=False)
    label: str = ""
    record_path: Path | None = None
    status: str | None = None
    already_done: bool = False

    @functools.cached_property
    def record(self) -> Record | None:
        """The record that stands, read and validated when it is first asked for; None where it has gone since.

        Raises:
            DataError: it is broken; names file and field.
        """
        if self.status is None or self.identity is None:
            return None
        found = RunIndex(self.spec.results).find(self.identity)
        return found[1] if found else None

    @property
    def oracles(self) -> tuple[str, ...]:
        """The ground truth that the model is given: the protocol's, and what its shape model needs beside."""
        shape = None if self.resolved.shape is None else self.resolved.shape.registration
        assert shape is None or isinstance(shape, ShapeModelRegistration)
        return oracles_of(self.resolved.protocol, shape)

    @property
    def categories(self) -> tuple[str, ...]:
        """Canonical names, sorted."""
        return self.resolved.categories


def plan_fits(spec: RunSpec) -> FitPlan:
    """What `bench3d train` would do.

    Raises:
        UsageError, WeightsError: as `resolve_spec`; there is nothing to fit.
    """
    resolved = resolve_spec(spec)
    if (resolved.adapter is None or resolved.checkpoint is not None) and resolved.shape is None:
        raise UsageError("There is nothing to train.", "Add --adapter NAME or --shape-model NAME.")
    steps, problem = _data_steps(resolved)
    jobs = fit_jobs(spec, resolved)
    return FitPlan(spec, (*_weights_step(spec, resolved), *steps, *_fit_steps(jobs)), jobs, resolved, problem)


def plan_run(spec: RunSpec, index: RunIndex | None = None) -> RunPlan:
    """What `execute` would do.

    Args:
        index: of `spec.results`, for one who plans many runs; None looks at the folder now.

    Raises:
        UsageError, WeightsError: as `resolve_spec`.
        DataError: a record of this identity is there and broken (not with `force`).
    """
    if spec.task in (None, "none"):
        raise UsageError("A run needs a task.", "Add --task NAME.")
    if spec.limit is not None and spec.limit < 1:
        raise UsageError(f"--limit {spec.limit}: at least one sample is needed.")
    resolved = resolve_spec(spec)
    if spec.layer is not None:
        layer_policy(resolved)
    lacking = [
        c.name
        for c in (resolved.adapter, resolved.shape)
        if c is not None and _trained(c) and c.name not in resolved.train and not _given(c, resolved)
    ]
    if lacking:
        raise CapabilityError(f"{lacking[0]} names no dataset to be trained on.")
    data_steps, problem = _data_steps(resolved)
    jobs = fit_jobs(spec, resolved)
    label = run_label(resolved)
    steps = [*_weights_step(spec, resolved), *data_steps, *_fit_steps(jobs)]
    if problem is not None:
        steps.append(PlanStep("record", "missing", "its identity depends on the data"))
        return RunPlan(spec, tuple(steps), jobs, resolved, problem, label=label)
    measurement = measurement_of(spec, resolved, jobs)
    identity = identity_hash(measurement)
    store = RunStore(spec.results)
    path = store.folder(str(spec.task), label, identity) / "record.json"
    found, status = _standing(index or RunIndex(spec.results), identity, spec.force)
    done = status == "finished" and not spec.force
    before = f", {status} before" if status not in (None, "finished") else ""
    steps.append(PlanStep("record", "done" if done else "todo", f"{short(identity)}{before}"))
    plan = RunPlan(
        spec,
        tuple(steps),
        jobs,
        resolved,
        None,
        identity=identity,
        measurement=measurement,
        label=label,
        record_path=found or path,
        status=status,
        already_done=done,
    )
    if done and spec.visualize and plan.record is not None and not plan.record.pictures:
        pictures = PlanStep("pictures", "todo", "the run is finished, its pictures are not")
        return replace(plan, steps=(*plan.steps[:-1], pictures, plan.steps[-1]))
    return plan


def measurement_of(spec: RunSpec, resolved: Resolved, jobs: tuple[FitJob, ...]) -> dict[str, Any]:
    """Everything that can change the numbers of a run; `identity_hash` of it is the run's identity."""
    task, test = resolved.task, resolved.test
    assert task is not None and test is not None
    protocol = resolved.protocol
    recipes = {f"{j.component}/{j.category or 'all'}": j.recipe for j in jobs}
    return {
        "schema": "bench3d.measurement/1",
        "backbone": resolved.backbone_identity(),
        "adapter": resolved.adapter_identity(),
        "shape_model": None if resolved.shape is None else resolved.shape.identity(),
        "task": task.identity(),
        "protocol": None if protocol is None else {"name": protocol.name, "version": protocol.version},
        "dataset": {
            **test.component.identity(),
            "synthetic": test.twin is not None,
            "fingerprints": {c: test.fingerprint(c) for c in resolved.categories},
        },
        "fits": recipes,
        "categories": list(resolved.categories),
        "limit": spec.limit,
        "seed": spec.seed,
        **({} if spec.layer is None else {"layer_choice": layer_policy(resolved)}),
    }


def run_label(resolved: Resolved) -> str:
    """The readable part of a run's folder name: backbone, adapter, shape model, protocol."""
    parts = [resolved.backbone.name]
    for component in (resolved.adapter, resolved.shape):
        if component is not None:
            given = resolved.checkpoint if component is resolved.adapter else None
            parts.append(component.name if given is None else f"{component.name}-{Path(given.text).name}")
    parts += [resolved.protocol.name] if resolved.protocol is not None else []
    return file_name("-".join(parts))


def headline(resolved: Resolved) -> str:
    """The metric that a leaderboard sorts by; empty without a task."""
    registration = resolved.task.registration if resolved.task is not None else None
    return registration.headline if isinstance(registration, TaskRegistration) else ""


def _standing(index: RunIndex, identity: str, force: bool) -> tuple[Path | None, str | None]:
    """File and status of the record that stands. A broken one is as good as none where it will be replaced."""
    try:
        return index.path(identity), index.status(identity)
    except DataError:
        if force:
            return None, None
        raise


def _given(component: Any, resolved: Resolved) -> bool:
    """Whether a component is an adapter that comes from a checkpoint."""
    return component is resolved.adapter and resolved.checkpoint is not None


def _trained(component: Any) -> bool:
    return getattr(component.registration, "train_dataset", None) is not None


def _weights_step(spec: RunSpec, resolved: Resolved) -> list[PlanStep]:
    name = f"backbone {spec.backbone}"
    if resolved.weights is None:
        return [PlanStep(name, "done", "needs no weights")]
    if resolved.weights == "random":
        return [PlanStep(name, "done", "random weights: the record is marked")]
    if spec.weights != "pretrained":
        return [PlanStep(name, "done", f"weights of {Path(spec.weights).name}")]
    registration = resolved.backbone.registration
    known = registration.weights if isinstance(registration, BackboneRegistration) else None
    if known is not None and known.shipped:
        return [PlanStep(name, "done", f"pretrained weights {known.id}, included in its package")]
    if isinstance(resolved.weights, dict) and _cached(resolved.weights):
        return [PlanStep(name, "done", f"pretrained weights {resolved.weights['id']}, in the cache")]
    from bench3d.data.root import human_bytes

    size = f", {human_bytes(known.bytes)}" if known is not None and known.bytes else ""
    what = f"pretrained weights{size}: not in the cache"
    return [PlanStep(name, "missing" if spec.offline else "todo", what if spec.offline else f"{what}, will be fetched")]


def _cached(weights: Mapping[str, Any]) -> bool:
    """Whether the hub's cache holds something of a repository. Loads no torch."""
    from bench3d.features.weights import is_cached

    return weights.get("source") == "hub" and is_cached(str(weights.get("id")))


def _data_steps(resolved: Resolved) -> tuple[list[PlanStep], Bench3DError | None]:
    """One step per dataset, or one for the twin that holds them all."""
    sources: dict[str, DataSource] = {}
    for source in (*([resolved.test] if resolved.test is not None else []), *resolved.train.values()):
        sources.setdefault(source.component.name, source)
    steps: list[PlanStep] = []
    problem: Bench3DError | None = None
    for root in dict.fromkeys(s.root for s in sources.values() if s.twin is not None):
        held = [s for s in sources.values() if s.twin is not None and s.root == root]
        assert held[0].twin is not None
        whole = all(s.is_written for s in held)
        names = ", ".join(sorted(s.component.name for s in held))
        about = f"{names}: {', '.join(held[0].twin.categories)}; seed {held[0].twin.seed}"
        steps.append(PlanStep(f"synthetic twin {root.name}", "done" if whole else "todo", about))
    for name, source in sources.items():
        if source.twin is not None:
            continue
        try:
            for category in resolved.categories:
                source.fingerprint(category)
        except DataError as error:
            problem = problem or error
            steps.append(PlanStep(f"dataset {name}", "missing", str(error)))
        else:
            where = source.registration.folder if source.folder is None else str(source.folder)
            steps.append(PlanStep(f"dataset {name}", "done", where))
    return steps, problem


def _fit_steps(jobs: tuple[FitJob, ...]) -> list[PlanStep]:
    steps = []
    for job in jobs:
        state, started = once(("fit", job.folder, job.recipe), functools.partial(_standing_fit, job))
        detail = "its training data are missing" if job.recipe is None else short(job.recipe)
        steps.append(
            PlanStep(
                f"{job.component} of {job.category or 'all categories'}",
                state,
                f"{detail}, begun before: goes on" if started else detail,
            )
        )
    return steps


def _standing_fit(job: FitJob) -> tuple[State, bool]:
    """The state of a fit, and whether it was begun before."""
    if job.recipe is None or job.folder is None:
        return "missing", False
    if job.done:
        return "done", False
    return "todo", fit_begun(job)
