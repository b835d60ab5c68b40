"""The state of a run, and the record that can be written from it at any moment."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench3d import __version__
from bench3d.contracts import MetricSpec, Model
from bench3d.machine import peak_device_bytes
from bench3d.records import Choice, Cost, Fit, Identity, Marks, Measure, Provenance, Record, Status, identity_settings
from bench3d.records import provenance as origin
from bench3d.runner import aggregate
from bench3d.runner.evaluate import BatchSize
from bench3d.runner.fits import Fitted, fit_seconds
from bench3d.runner.plan import RunPlan, headline
from bench3d.runner.resolve import Resolved


@dataclass
class RunState:
    """What a run has so far, so that a record can be written at any moment."""

    plan: RunPlan
    device: str
    started: str
    fitted: Fitted | None = None
    synthetic: bool = False
    values: list[Mapping[str, Any]] = field(default_factory=list)
    metrics: Sequence[MetricSpec] = ()
    batch: BatchSize | None = None
    evaluate_seconds: float | None = None
    pictures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)


def make_record(state: RunState, status: Status, message: str | None = None) -> Record:
    """The record of what the run has so far."""
    plan = state.plan
    spec, values = plan.spec, state.values
    assert plan.identity is not None
    fits = [
        Fit(component=job.component, category=job.category, recipe=a.recipe, digest=a.digest, seconds=fit_seconds(job))
        for job, a in (state.fitted.artifacts if state.fitted is not None else ())
    ]
    model = state.fitted.model if state.fitted is not None else None
    return Record(
        label=plan.label,
        identity=Identity(measurement=dict(plan.measurement), hash=plan.identity),
        status=status,
        message=message,
        headline=headline(plan.resolved),
        metrics=[Measure(**dataclasses.asdict(metric)) for metric in state.metrics],
        scores=aggregate.scores(state.metrics, values, spec.seed),
        groups=aggregate.groups(state.metrics, values, spec.seed),
        chance=aggregate.chance_levels(state.metrics, values, spec.seed),
        bootstrap=aggregate.bootstrap_note(spec.seed),
        oracles=list(plan.oracles),
        marks=Marks(
            synthetic_data=state.synthetic or (plan.resolved.test is not None and plan.resolved.test.twin is not None),
            random_weights=plan.resolved.weights == "random" or bool(model is not None and model.random_weights),
            limited=spec.limit,
        ),
        fits=fits,
        cost=_cost(state, model, fits),
        provenance=_provenance(state, model),
        notes=state.notes,
        choices=state.choices,
        samples=len(values),
        pictures=state.pictures,
    )


def _cost(state: RunState, model: Model | None, fits: list[Fit]) -> Cost:
    facts = model.describe() if model is not None else {}
    trained = facts.get("shape_model_params")
    seconds = [f.seconds for f in fits if f.seconds is not None]
    parameters = facts.get("params")
    return Cost(
        parameters=parameters if isinstance(parameters, int) else None,
        fitted_parameters=trained if isinstance(trained, dict) else {},
        fit_seconds=sum(seconds) if seconds else None,
        evaluate_seconds=state.evaluate_seconds,
        seconds_per_image=aggregate.mean_seconds(state.values),
        peak_memory_bytes=origin.peak_memory_bytes(),
        peak_device_bytes=peak_device_bytes(state.device),
        batch=state.batch.size if state.batch is not None else None,
    )


def _provenance(state: RunState, model: Model | None) -> Provenance:
    import torch

    resolved = state.plan.resolved
    facts = model.describe() if model is not None else {}
    digest = facts.get("weights_sha256") or facts.get("weights_digest")
    weights = resolved.weights if isinstance(resolved.weights, dict) else {"kind": resolved.weights or "none"}
    loaded = facts.get("weights")
    fingerprints = state.plan.measurement.get("dataset", {}).get("fingerprints", {})
    name = resolved.test.component.name if resolved.test is not None else ""
    return Provenance(
        bench3d=__version__,
        commit=origin.source_commit(),
        python=platform.python_version(),
        libraries=origin.library_versions(),
        platform=origin.platform_name(),
        device=origin.device_name(state.device),
        threads=torch.get_num_threads(),
        weights={
            **weights,
            **(loaded if isinstance(loaded, dict) else {}),
            **({"digest": digest} if digest else {}),
        },
        data={f"{name}/{category}": value for category, value in fingerprints.items()},
        data_settings=_data_settings(resolved),
        twin=_twin(resolved),
        preset=resolved.preset,
        seed=state.plan.spec.seed,
        time=state.started,
        command=origin.command_line(),
    )


def _data_settings(resolved: Resolved) -> dict[str, Any]:
    """Settings of every data set that the run and its fits read, paths shortened."""
    sources = [s for s in (resolved.test, *resolved.train.values()) if s is not None]
    found = {s.component.name: identity_settings(s.component.settings) for s in sources}
    return {
        name: {k: origin.without_paths(v) if isinstance(v, str) else v for k, v in settings.items()}
        for name, settings in sorted(found.items())
        if settings
    }


def _twin(resolved: Resolved) -> dict[str, Any] | None:
    from bench3d.data.twin import spec_values

    twin = resolved.test.twin if resolved.test is not None else None
    return None if twin is None else spec_values(twin)
