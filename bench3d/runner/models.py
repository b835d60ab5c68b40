"""Building the model of a run: backbone, adapter and shape model, with their artifacts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from bench3d.contracts import Artifact, Model
from bench3d.machine import settle_kernel_cache
from bench3d.plugins import load_registry
from bench3d.runner.resolve import Resolved
from bench3d.runner.sources import Component


def settle_numerics(offline: bool) -> None:
    """Scores are computed in fp32 with TF32 off (design section 6); `offline` keeps the hub from the network."""
    import torch

    settle_kernel_cache()
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
        _hub_offline()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def _hub_offline() -> None:
    """The hub's client reads the variable once, at its import: tell one that is imported already."""
    import sys

    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        constants.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]


def build_backbone(resolved: Resolved, weights: str, device: str) -> Model:
    """The backbone alone. WeightsError where its weights cannot be had."""
    model: Model = load_registry().create(
        "backbone", resolved.backbone.name, weights=weights, settings=resolved.backbone.settings, device=device
    )
    return model


def create_fitted(component: Component, kind: str) -> Any:
    """The adapter or shape model object, with its settings."""
    return load_registry().create(kind, component.name, settings=component.settings)


def given_artifact(resolved: Resolved) -> Artifact | None:
    """The artifact of the adapter's checkpoint; None where no checkpoint was given. WeightsError as `load` has it."""
    if resolved.checkpoint is None or resolved.adapter is None:
        return None
    artifact: Artifact = create_fitted(resolved.adapter, "adapter").load(
        resolved.checkpoint.fetch(f"adapter {resolved.adapter.name}")
    )
    return artifact


def with_artifacts(
    model: Model, component: Component, kind: str, artifacts: Mapping[str, Artifact], device: str
) -> Model:
    """A new model with what the adapter or shape model adds; `model` stays as it is."""
    applied: Model = create_fitted(component, kind).apply(model, artifacts, device)
    return applied
