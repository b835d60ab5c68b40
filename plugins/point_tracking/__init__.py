"""Tracking points through a video by dense features: the task tapvid-davis and the command `bench3d track`."""

from __future__ import annotations

from typing import Any

from bench3d.contracts.registration import CommandRegistration, Protocol, Registration, TaskRegistration
from bench3d.plugins import hookimpl

# Half a patch is 7 pixels for DINOv2, the stride of DINO-Tracker and of the ICLR'25 paper.
_SQUARE: dict[str, object] = {"stride": "half"}
_NATIVE: dict[str, object] = {"native": True, "stride": "half", "tokens": "prenorm"}
PROTOCOLS = (
    Protocol(
        name="strided",
        summary="TAP-Vid, queries every 5 frames: frames reduced to 256x256 first, all other frames count",
        settings={"queries": "strided", "frame_size": (256, 256), "tracker": "cycle"},
        backbone=_SQUARE,
    ),
    Protocol(
        name="first",
        summary="TAP-Vid, every point asked for where it is first seen: frames of 256x256, later frames count",
        settings={"queries": "first", "frame_size": (256, 256), "tracker": "cycle"},
        backbone=_SQUARE,
    ),
    Protocol(
        name="dino-tracker",
        summary="the ICLR'25 paper's: strided queries, frames of 854x476, tracker as published; never beside 256x256",
        settings={"queries": "strided", "frame_size": (854, 476), "tracker": "published"},
        backbone=_NATIVE,
    ),
)


@hookimpl
def bench3d_register() -> list[Registration]:
    """The task and the command."""
    return [
        TaskRegistration(
            name="tapvid-davis",
            summary="Points followed through videos: average Jaccard, position and occlusion accuracy on TAP-Vid DAVIS",
            factory="bench3d_plugins.point_tracking.task:create",
            settings="bench3d_plugins.point_tracking.settings:TrackingSettings",
            requires=("features",),
            dataset="tapvid-davis",
            accepts="tracked-videos",
            protocols=PROTOCOLS,
            headline="AJ",
            aspect="tracking",
            licence="Apache-2.0",
            citation="Doersch et al., TAP-Vid, NeurIPS 2022; Tumanyan et al., DINO-Tracker, ECCV 2024; You et al., "
            "Multiview Equivariance Improves 3D Correspondence Understanding, ICLR 2025",
            url="https://github.com/google-deepmind/tapnet",
        ),
        CommandRegistration(
            name="track",
            summary="Follow points through a video of your own and draw them over it.",
            factory="bench3d_plugins.point_tracking.command:track",
            licence="Apache-2.0",
        ),
    ]


@hookimpl
def bench3d_estimate(plan: Any) -> dict[str, float] | None:
    """Rough; the module says where its figures come from."""
    from bench3d_plugins.point_tracking.estimate import estimate

    return estimate(plan)
