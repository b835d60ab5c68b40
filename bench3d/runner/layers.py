"""`--layer auto`: the layer of a backbone, chosen on the task's validation data and never on its test set."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench3d.contracts import MetricSpec, Model, Progress, TaskRegistration
from bench3d.errors import DataError, PluginError
from bench3d.plugins import load_registry
from bench3d.records import Choice
from bench3d.runner import aggregate
from bench3d.runner.evaluate import BatchSize, evaluate_category
from bench3d.runner.fits import Fitted, write_twins
from bench3d.runner.layer_policy import SAMPLES
from bench3d.runner.models import build_backbone
from bench3d.runner.plan import RunPlan, headline
from bench3d.runner.session import open_session


def candidates(layers: int) -> list[int]:
    """Indices of the layers that are tried: the last four, and those after a quarter, a half and three quarters."""
    found = {layers - n for n in (1, 2, 3, 4)} | {round(layers * part) - 1 for part in (0.25, 0.5, 0.75)}
    return sorted(n for n in found if n >= 0)


def with_chosen_layer(plan: RunPlan, device: str, progress: Progress) -> tuple[RunPlan, list[Choice]]:
    """The plan with its backbone at the layer that scores best on the validation data, and that choice.

    A plan whose layer is a setting comes back as it is. Of equal scores the later layer wins.

    Raises:
        DataError: there are no validation samples.
        PluginError: the backbone does not say how many layers it has.
    """
    if plan.spec.layer is None:
        return plan, []
    write_twins(plan.resolved, progress)
    layers = build_backbone(plan.resolved, plan.spec.weights, device).describe().get("layers")
    if not isinstance(layers, int):
        raise PluginError(f"{plan.resolved.backbone.name} does not say how many layers it has.")
    tried: dict[int, float] = {}
    samples = 0
    metric: MetricSpec | None = None
    for layer in candidates(layers):
        at = _at_layer(plan, layer)
        model = build_backbone(at.resolved, plan.spec.weights, device)
        metric, tried[layer], samples = _score(at, model, device, progress)
        progress.say(
            f"Layer {layer} of {layers - 1}: {metric.name} {tried[layer]:.2f} {metric.unit} on validation data."
        )
    assert metric is not None
    sign = 1.0 if metric.higher_is_better else -1.0
    order = sorted(tried, key=lambda n: (sign * tried[n], n), reverse=True)
    choice = Choice(
        setting="backbone.layer",
        chosen=order[0],
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        scores=[(layer, tried[layer]) for layer in order],
        data={**_validation(plan), "samples": samples},
    )
    return _at_layer(plan, order[0]), [choice]


def _validation(plan: RunPlan) -> Mapping[str, Any]:
    assert plan.resolved.task is not None
    registration = plan.resolved.task.registration
    assert isinstance(registration, TaskRegistration)
    return registration.validation


def _at_layer(plan: RunPlan, layer: int) -> RunPlan:
    backbone = plan.resolved.backbone
    settings = backbone.settings.model_copy(update={"layer": layer})
    return replace(plan, resolved=replace(plan.resolved, backbone=replace(backbone, settings=settings)))


def _score(plan: RunPlan, model: Model, device: str, progress: Progress) -> tuple[MetricSpec, float, int]:
    """The headline metric over all categories on the validation data, and the number of samples."""
    resolved = plan.resolved
    assert resolved.task is not None and resolved.test is not None
    settings = resolved.task.settings
    settings = type(settings).model_validate({**settings.model_dump(), **_validation(plan)})
    task = load_registry().create("task", resolved.task.name, settings=settings, protocol=resolved.protocol)
    dataset = resolved.test.open()
    limit = min(SAMPLES, plan.spec.limit or SAMPLES)
    values: list[Mapping[str, Any]] = []
    batch = BatchSize(int(getattr(settings, "batch", 8)))
    with open_session(plan, Fitted(model, ()), device, progress) as session:
        task.open(session)
        for category in plan.categories:
            samples = task.samples(dataset, category, limit)
            with contextlib.closing(evaluate_category(task, session, category, samples, None, batch)) as batches:
                for found in batches:
                    values += found
    metric = next((m for m in task.metrics if m.name == headline(resolved)), task.metrics[0])
    scored = [s for s in aggregate.scores([metric], values, plan.spec.seed) if s.category == aggregate.MEAN]
    if not scored:
        raise DataError(f"{resolved.test.component.name} has no validation samples.", "Give --layer N.")
    return metric, scored[0].value, len(values)
