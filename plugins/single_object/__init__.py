"""The task pascal3d-pose: rotation of the object in PASCAL3D+ images, with the paper's oracles or with a box alone."""

from __future__ import annotations

from typing import Any

from bench3d.contracts.registration import Protocol, Registration, TaskRegistration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[Registration]:
    """The task."""
    return [
        TaskRegistration(
            name="pascal3d-pose",
            summary="Object rotation on PASCAL3D+: accuracy at 30 and 10 degrees, median error",
            factory="bench3d_plugins.single_object.task:create",
            settings="bench3d_plugins.single_object.settings:Pascal3DPoseSettings",
            requires=("pose",),
            dataset="pascal3d",
            headline="accuracy@30deg",
            aspect="pose",
            protocols=(
                Protocol(
                    name="paper",
                    summary="Common3D's: crop by the true mask, translation and camera given; the rotation is asked",
                    oracles=("translation", "intrinsics", "crop-mask:cad", "category"),
                ),
                Protocol(
                    name="box2d",
                    summary="crop from the 2D box, a stated focal length assumed, rotation and translation estimated",
                    oracles=("category", "box"),
                ),
            ),
            licence="Apache-2.0",
            citation="Sommer et al., Common3D, CVPR 2025; Xiang et al., PASCAL3D+, WACV 2014",
        )
    ]


@hookimpl
def bench3d_estimate(plan: Any) -> dict[str, float] | None:
    """Rough; the module says where its figures come from."""
    from bench3d_plugins.single_object.estimate import estimate

    return estimate(plan)
