"""UOP3D (CVPR'24): a rigid category model with one feature per vertex, on any features."""

from __future__ import annotations

from typing import Any

from bench3d.contracts.registration import Registration, ShapeModelRegistration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[Registration]:
    """The shape model `uop3d`."""
    return [
        ShapeModelRegistration(
            name="uop3d",
            summary="A reference object's rigid mesh with a learnt feature per vertex: adds pose, mask and shape.",
            factory="bench3d_plugins.uop3d.shape_model:create",
            settings="bench3d_plugins.uop3d.settings:UOP3DSettings",
            presets="bench3d.configs:presets/uop3d",
            default_preset="paper",
            synthetic_preset="quick",
            adds=("pose", "mask", "shape"),
            train_dataset="co3d",
            licence="Apache-2.0 (independent implementation)",
            citation="Sommer et al., Unsupervised Learning of Category-Level 3D Pose from Object-Centric Videos, "
            "CVPR 2024",
            url="https://github.com/GenIntel/uns-obj-pose3d",
        )
    ]


@hookimpl
def bench3d_estimate(plan: Any) -> dict[str, float] | None:
    """Rough; the module says where its figures come from."""
    from bench3d_plugins.uop3d.estimate import estimate

    return estimate(plan)
