"""Tasks on crops of single posed objects: pose, segmentation and shape on PASCAL3D+, the first two on ObjectNet3D."""

from __future__ import annotations

from typing import Any

from bench3d.contracts.registration import Protocol, Registration, TaskRegistration
from bench3d.plugins import hookimpl

HERE = "bench3d_plugins.single_object"
LICENCE = "Apache-2.0"
COMMON3D = "Sommer et al., Common3D, CVPR 2025"
PASCAL3D = f"{COMMON3D}; Xiang et al., PASCAL3D+, WACV 2014"
OBJECTNET3D = f"{COMMON3D}; Xiang et al., ObjectNet3D, ECCV 2016"
OFFERS = {"depth": "depth:cad"}
"""Depth is one of the true camera: only protocols that give translation and intrinsics away offer it."""

POSE_PROTOCOLS = (
    Protocol(
        name="paper",
        summary="Common3D's: crop by the true mask, translation and camera given; the rotation is asked",
        oracles=("translation", "intrinsics", "crop-mask:cad", "category"),
        offers=dict(OFFERS),
    ),
    Protocol(
        name="box2d",
        summary="crop from the 2D box, a stated focal length assumed, rotation and translation estimated",
        oracles=("category", "box"),
    ),
)
MASK_PROTOCOLS = (
    Protocol(
        name="paper",
        summary="Common3D's: crop by the true mask; the mask at the estimated rotation, true translation and camera",
        oracles=("translation", "intrinsics", "crop-mask:cad", "category"),
        offers=dict(OFFERS),
    ),
    Protocol(
        name="box2d",
        summary="crop from the 2D box; the mask at the estimated pose in an assumed camera",
        oracles=("category", "box"),
    ),
)
SHAPE_PROTOCOLS = (
    Protocol(
        name="paper",
        summary="Common3D's crop by the true mask; no paper prints this score",
        oracles=("crop-mask:cad", "category"),
    ),
    Protocol(name="box2d", summary="crop from the 2D box", oracles=("category", "box")),
)


@hookimpl
def bench3d_register() -> list[Registration]:
    """The tasks."""
    return [
        _pose("pascal3d-pose", "pascal3d", "PASCAL3D+", "Pascal3DPoseSettings", PASCAL3D),
        _pose("objectnet3d-pose", "objectnet3d", "ObjectNet3D", "ObjectNet3DPoseSettings", OBJECTNET3D),
        _masks("pascal3d-seg", "pascal3d", "PASCAL3D+", "Pascal3DSegSettings", PASCAL3D),
        _masks("objectnet3d-seg", "objectnet3d", "ObjectNet3D", "ObjectNet3DSegSettings", OBJECTNET3D),
        TaskRegistration(
            name="pascal3d-shape",
            summary="3D shape from one image on PASCAL3D+: chamfer distance and F-score to the annotated CAD model",
            factory=f"{HERE}.shape_task:create",
            settings=f"{HERE}.settings:Pascal3DShapeSettings",
            requires=("shape",),
            dataset="pascal3d",
            headline="chamfer",
            aspect="shape",
            protocols=SHAPE_PROTOCOLS,
            licence=LICENCE,
            citation=PASCAL3D,
        ),
    ]


def _pose(name: str, dataset: str, where: str, settings: str, citation: str) -> TaskRegistration:
    return TaskRegistration(
        name=name,
        summary=f"Object rotation on {where}: accuracy at 30 and 10 degrees, median error",
        factory=f"{HERE}.task:create",
        settings=f"{HERE}.settings:{settings}",
        requires=("pose",),
        dataset=dataset,
        headline="accuracy@30deg",
        aspect="pose",
        protocols=POSE_PROTOCOLS,
        licence=LICENCE,
        citation=citation,
    )


def _masks(name: str, dataset: str, where: str, settings: str, citation: str) -> TaskRegistration:
    return TaskRegistration(
        name=name,
        summary=f"Segmentation on {where}: IoU of the model's mask at its own pose with the annotated CAD model's",
        factory=f"{HERE}.segmentation:create",
        settings=f"{HERE}.settings:{settings}",
        requires=("pose", "mask"),
        dataset=dataset,
        headline="IoU",
        aspect="segmentation",
        protocols=MASK_PROTOCOLS,
        licence=LICENCE,
        citation=citation,
    )


@hookimpl
def bench3d_estimate(plan: Any) -> dict[str, float] | None:
    """Rough; the module says where its figures come from."""
    from bench3d_plugins.single_object.estimate import estimate

    return estimate(plan)
