"""Which combinations can run: capabilities that the host can check, and the plugins' own objections."""

from __future__ import annotations

from bench3d.contracts import (
    AdapterRegistration,
    BackboneRegistration,
    DatasetRegistration,
    Protocol,
    ShapeModelRegistration,
    TaskRegistration,
)
from bench3d.plugins.registry import Registry


def incompatibilities(
    registry: Registry,
    backbone: BackboneRegistration,
    adapter: AdapterRegistration | None,
    shape_model: ShapeModelRegistration | None,
    task: TaskRegistration | None,
    usual_data: bool = False,
) -> list[str]:
    """Why the combination cannot run, one sentence each; empty where it can. Loads no weights and no torch.

    Args:
        usual_data: also what follows from the data sets that the task and the fits name. A run may be given others by
            --data, and looks at those it has.
    """
    reasons = []
    if task is not None:
        have = {"features", *(shape_model.adds if shape_model else ())}
        missing = [c for c in task.requires if c not in have]
        if missing:
            reasons.append(_lacks(registry, task, missing, shape_model))
        if shape_model is not None and all(withheld(p, shape_model) for p in task.protocols):
            what = " and ".join(shape_model.oracles)
            reasons += [f"{shape_model.name} needs the true {what}, which {task.name} does not offer."] if what else []
    if task is not None and usual_data:
        fitted = [shape_model, adapter if adapter is not None and adapter.per_category else None]
        reasons += [_no_category(registry, task, one) for one in fitted if one is not None]
        reasons = [reason for reason in reasons if reason]
    for plugin, answer in registry.answers(
        "bench3d_compatible", backbone=backbone, adapter=adapter, shape_model=shape_model, task=task
    ):
        reasons.append(answer if isinstance(answer, str) else f"Plugin {plugin.name} objects without a sentence.")
    return reasons


def withheld(protocol: Protocol | None, shape_model: ShapeModelRegistration | None) -> list[str]:
    """The ground truths that a shape model needs and a protocol does not offer."""
    offered = protocol.offers if protocol is not None else {}
    return [name for name in (shape_model.oracles if shape_model is not None else ()) if name not in offered]


def oracles_of(protocol: Protocol | None, shape_model: ShapeModelRegistration | None) -> tuple[str, ...]:
    """Every ground truth that a run's model is given: the protocol's, and what its shape model needs beside them."""
    if protocol is None:
        return ()
    more = [protocol.offers[name] for name in (shape_model.oracles if shape_model else ()) if name in protocol.offers]
    return (*protocol.oracles, *(name for name in more if name not in protocol.oracles))


def _no_category(
    registry: Registry, task: TaskRegistration, fitted: AdapterRegistration | ShapeModelRegistration
) -> str:
    """Why something with one fit per category has none for the task's data set; empty where it has."""
    tested, trained = _categories(registry, task.dataset), _categories(registry, fitted.train_dataset)
    if tested is None or not trained:
        return ""
    if not tested:
        return (
            f"{fitted.name} has one model per category, and {task.dataset}, the data set of {task.name}, names no "
            f"categories: leave {fitted.name} out, or choose a task with categories."
        )
    if not set(tested) & set(trained):
        return f"{fitted.name} is fitted on {fitted.train_dataset}, which shares no category with {task.dataset}."
    return ""


def _categories(registry: Registry, dataset: str | None) -> tuple[str, ...] | None:
    """A data set's categories, None where it is not registered."""
    found = [r for r in registry.registrations("dataset") if isinstance(r, DatasetRegistration) and r.name == dataset]
    return found[0].categories if found else None


def _lacks(
    registry: Registry, task: TaskRegistration, missing: list[str], shape_model: ShapeModelRegistration | None
) -> str:
    able = [
        r.name
        for r in registry.registrations("shape-model")
        if isinstance(r, ShapeModelRegistration) and set(missing) <= set(r.adds)
    ]
    what = " and ".join(missing)
    add = f": add {' or '.join(f'--shape-model {n}' for n in able)}." if able else ", and none is registered."
    if shape_model is None:
        return f"{task.name} needs a shape model (for {what}){add}"
    return f"{task.name} needs {what}, which the shape model {shape_model.name} does not add{add}"
