"""The pose of one query view: matches with the bank, then PnP with RANSAC."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench3d.features.bank import Bank, BankMatches, Grid, match_bank, refined
from bench3d.features.matching import Target
from bench3d.geometry.pnp import PoseOptions, pose_from_matches
from bench3d_plugins.oneshot_pose.annotated import reading_shift
from bench3d_plugins.oneshot_pose.capture import pixel_scale, view_map
from bench3d_plugins.oneshot_pose.settings import PoseSettings

if TYPE_CHECKING:
    from bench3d.contracts import Encoder, PosedView

MILLIMETRES = 1000.0


@dataclass(frozen=True, eq=False)
class Localised:
    """What became of a query.

    Attributes:
        pose: cam_T_world (4, 4), None where the frame failed.
        matches: with the bank; `inliers` (K,) rows of them.
        match_ms, pose_ms: milliseconds.
    """

    pose: np.ndarray | None
    matches: BankMatches
    inliers: np.ndarray
    match_ms: float
    pose_ms: float


def localise(encoder: Encoder, view: PosedView, category: str | None, bank: Bank, settings: PoseSettings) -> Localised:
    """The view's pose; nothing but its image and camera is looked at.

    Raises:
        UsageError: the estimator is not installed.
    """
    features = view_map(encoder, view, category)
    begun = time.perf_counter()
    geometry, target = features.geometry[0], Target(features.values[0])
    shift = reading_shift(settings)
    matches = match_bank(bank, target, geometry, Grid.of(view.size, settings.grid_stride, shift))
    if settings.subcell is not None:
        matches = refined(matches, bank, target, geometry, Grid.of(view.size, settings.subcell, shift))
    matched = time.perf_counter()
    found = pose_from_matches(
        bank.points[matches.rows],
        matches.xy,
        view.intrinsics,
        pose_options(settings, pixel_scale(view)),
        view.distortion,
    )
    done = time.perf_counter()
    return Localised(found.cam_T_world, matches, found.inliers, 1e3 * (matched - begun), 1e3 * (done - matched))


def pose_options(settings: PoseSettings, scale: float) -> PoseOptions:
    """The estimator's options for an image of `scale` times 512 pixels."""
    return PoseOptions(
        estimator=settings.estimator,
        pixels=settings.reprojection * scale,
        iterations=settings.iterations,
        confidence=settings.confidence,
        min_inliers=settings.min_inliers,
        refine=settings.refine,
        # The published code multiplies metres by 1000; only EPnP's tolerances feel it.
        scale=MILLIMETRES if settings.estimator == "epnp" else None,
        seed=settings.seed,
    )
