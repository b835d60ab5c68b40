"""What `--layer auto` needs and what of it belongs to a run's identity. No torch."""

from __future__ import annotations

from typing import Any

from bench3d.contracts import TaskRegistration
from bench3d.errors import CapabilityError
from bench3d.runner.resolve import Resolved

VERSION = 1
"""Of this procedure; part of a run's identity. Raised when another layer may be chosen."""

SAMPLES = 50
"""Validation samples of a category, at most."""


def layer_policy(resolved: Resolved) -> dict[str, Any]:
    """What stands for the choice in a run's identity.

    Raises:
        CapabilityError: the task has no validation data, the backbone no layers, or something is fitted on top.
    """
    assert resolved.task is not None
    registration = resolved.task.registration
    assert isinstance(registration, TaskRegistration)
    if not registration.validation:
        raise CapabilityError(f"{registration.name} has no validation data for --layer auto.", "Give --layer N.")
    if "layer" not in type(resolved.backbone.settings).model_fields:
        raise CapabilityError(f"{resolved.backbone.name} has no layers to choose from.", "Leave --layer out.")
    if resolved.adapter is not None or resolved.shape is not None:
        raise CapabilityError(
            "--layer auto chooses for a backbone alone: what is fitted on top of it has a layer already.",
            "Give --layer N.",
        )
    return {"procedure": VERSION, "samples": SAMPLES, "validation": dict(registration.validation)}
