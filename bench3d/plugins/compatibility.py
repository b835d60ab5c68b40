"""Which combinations can run: capabilities that the host can check, and the plugins' own objections."""

from __future__ import annotations

from bench3d.contracts import (
    AdapterRegistration,
    BackboneRegistration,
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
) -> list[str]:
    """Why the combination cannot run, one sentence each; empty where it can. Loads no weights and no torch."""
    reasons = []
    if task is not None:
        have = {"features", *(shape_model.adds if shape_model else ())}
        missing = [c for c in task.requires if c not in have]
        if missing:
            reasons.append(_lacks(registry, task, missing, shape_model))
    for plugin, answer in registry.answers(
        "bench3d_compatible", backbone=backbone, adapter=adapter, shape_model=shape_model, task=task
    ):
        reasons.append(answer if isinstance(answer, str) else f"Plugin {plugin.name} objects without a sentence.")
    return reasons


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
