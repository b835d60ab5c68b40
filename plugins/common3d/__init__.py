"""Common3D (CVPR'25): a category-level morphable model learnt from videos, used by render-and-compare."""

from __future__ import annotations

from typing import Any

from bench3d.contracts.registration import Registration, ShapeModelRegistration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[Registration]:
    """The shape model `common3d`."""
    return [
        ShapeModelRegistration(
            name="common3d",
            summary="Self-supervised 3D morphable model of a category: adds pose, mask and shape to any features.",
            factory="bench3d_plugins.common3d.shape_model:create",
            settings="bench3d_plugins.common3d.settings:Common3DSettings",
            presets="bench3d.configs:presets/common3d",
            default_preset="paper",
            synthetic_preset="quick",
            adds=("pose", "mask", "shape"),
            train_dataset="co3d",
            licence="Apache-2.0 (independent implementation)",
            citation="Sommer et al., Common3D: Self-Supervised Learning of 3D Morphable Models for Common Objects "
            "in Neural Feature Space, CVPR 2025",
            url="https://github.com/GenIntel/common3d",
        )
    ]


@hookimpl
def bench3d_estimate(plan: Any) -> dict[str, float] | None:
    """Rough; the module says where its figures come from."""
    from bench3d_plugins.common3d.estimate import estimate

    return estimate(plan)
