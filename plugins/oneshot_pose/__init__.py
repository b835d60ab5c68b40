"""The tasks onepose-lowtexture and oneshot-pose: an object seen once, its pose asked in other images."""

from __future__ import annotations

from typing import Any

from bench3d.contracts.registration import Protocol, Registration, TaskRegistration
from bench3d.plugins import hookimpl

CITATION = (
    "You et al., Multiview Equivariance Improves 3D Correspondence Understanding, ICLR 2025; He et al., OnePose++, "
    "NeurIPS 2022"
)
PAPER_GRID = 64
GIVEN = ("intrinsics", "box", "reference-poses")
PUBLISHED: dict[str, object] = {
    "merge": False,
    "max_rows": 120_000,
    "grid_stride": 4,
    "subcell": None,
    "read_at": "corner",
    "estimator": "epnp",
    "reprojection": 8.0,
    "iterations": 10_000,
    "confidence": 0.99,
    "min_inliers": 5,
    "refine": False,
    "query_step": 10,
}


@hookimpl
def bench3d_register() -> list[Registration]:
    """Both tasks."""
    return [
        TaskRegistration(
            name="onepose-lowtexture",
            summary="One-shot object pose on OnePose-LowTexture: accuracy at 1, 3 and 5 cm and degrees",
            factory="bench3d_plugins.oneshot_pose.task:create_onepose",
            settings="bench3d_plugins.oneshot_pose.settings:OnePoseTaskSettings",
            requires=("features",),
            dataset="onepose-lowtexture",
            accepts="one-shot-objects",
            headline="accuracy@5cm5deg",
            aspect="pose",
            protocols=(
                Protocol(
                    name="mef",
                    summary="the ICLR'25 paper's: all views' descriptors (120,000 at most), every 4th pixel of every "
                    "10th frame, mutual nearest neighbours, EPnP in RANSAC (8 px), identity where it fails",
                    oracles=(*GIVEN, "sfm-points"),
                    settings=PUBLISHED,
                    backbone={"grid": PAPER_GRID},
                ),
                Protocol(
                    name="robust",
                    summary="ours: the same bank and frames, matches between cells, MAGSAC++ and refinement",
                    oracles=(*GIVEN, "sfm-points"),
                    backbone={"grid": PAPER_GRID},
                ),
            ),
            licence="Apache-2.0",
            citation=CITATION,
            url="https://github.com/zju3dv/OnePose_Plus_Plus",
        ),
        TaskRegistration(
            name="oneshot-pose",
            summary="One-shot pose on any posed views: half of them build a bank by their features, the rest is asked",
            factory="bench3d_plugins.oneshot_pose.task:create_capture",
            settings="bench3d_plugins.oneshot_pose.settings:CaptureSettings",
            requires=("features",),
            dataset="objaverse-renderings",
            accepts="view-sets",
            headline="accuracy@10%10deg",
            aspect="pose",
            protocols=(
                Protocol(
                    name="triangulate",
                    summary="points are triangulated from the features' own matches between reference views",
                    oracles=("intrinsics", "reference-poses", "reference-mask"),
                    settings={"bank": "triangulate"},
                ),
                Protocol(
                    name="depth",
                    summary="points come from the reference views' depth maps",
                    oracles=("intrinsics", "reference-poses", "reference-mask", "reference-depth"),
                    settings={"bank": "depth"},
                ),
            ),
            licence="Apache-2.0",
            citation=CITATION,
        ),
    ]


@hookimpl
def bench3d_estimate(plan: Any) -> dict[str, float] | None:
    """Rough; the module says where its figures come from."""
    from bench3d_plugins.oneshot_pose.estimate import estimate

    return estimate(plan)
