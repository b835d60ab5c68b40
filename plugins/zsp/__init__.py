"""ZSP (ECCV'22): pose from a labelled reference sequence with depth, without training, on any features."""

from __future__ import annotations

from typing import Any

from bench3d.contracts.registration import Registration, ShapeModelRegistration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[Registration]:
    """The shape model `zsp`."""
    return [
        ShapeModelRegistration(
            name="zsp",
            summary="Zero-shot pose: matches to 10 frames of one labelled video and lifts them by depth; adds pose.",
            factory="bench3d_plugins.zsp.shape_model:create",
            settings="bench3d_plugins.zsp.settings:ZSPSettings",
            presets="bench3d.configs:presets/zsp",
            default_preset="paper",
            synthetic_preset="quick",
            adds=("pose",),
            oracles=("depth",),
            train_dataset="co3d",
            licence="Apache-2.0 (independent implementation)",
            citation="Goodwin et al., Zero-Shot Category-Level Object Pose Estimation, ECCV 2022",
            url="https://github.com/applied-ai-lab/zero-shot-pose",
        )
    ]


@hookimpl
def bench3d_estimate(plan: Any) -> dict[str, float] | None:
    """Rough; the module says where its figures come from."""
    from bench3d_plugins.zsp.estimate import estimate

    return estimate(plan)
