"""Settings of the tasks of one-shot pose: the bank, how a query is matched with it, how a pose is found. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PoseSettings(BaseModel):
    """What both tasks share: from a bank of descriptors and a query image to a pose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    merge: bool = Field(
        default=False,
        description="one descriptor per 3D point, the mean over the views that saw it; otherwise one per point and "
        "view, which follows how a feature changes from view to view",
    )
    max_rows: int | None = Field(
        default=120_000, ge=1, description="at most so many rows of the bank, drawn by `seed` before merging; none: all"
    )
    grid_stride: int = Field(default=4, ge=1, description="a point at every so many pixels and rows of the query image")
    subcell: int | None = Field(
        default=1,
        ge=1,
        description="a match is then moved to the best of every so many pixels and rows of the query; none: it stays",
    )
    read_at: Literal["centre", "corner"] = Field(
        default="centre",
        description="where a pixel's feature is read: at its centre, or half a pixel left of and above it, as code "
        "does that takes whole-numbered pixels of OpenCV for continuous ones (3DCorrEnhance)",
    )
    estimator: Literal["epnp", "magsac", "poselib"] = Field(
        default="magsac",
        description="epnp: OpenCV's RANSAC with EPnP, as published; magsac: OpenCV's USAC with MAGSAC++; poselib: "
        "LO-RANSAC of the package PoseLib (pip install 'bench3d[poselib]')",
    )
    reprojection: float = Field(
        default=8.0,
        gt=0,
        description="largest reprojection error of an inlier, in pixels of an image whose longer side has 512",
    )
    iterations: int = Field(
        default=100_000,
        ge=1,
        description="of RANSAC, at most; where 3 of 100 matches are right, three right ones are drawn once in 37,000",
    )
    confidence: float = Field(default=0.99999, gt=0, lt=1, description="of RANSAC: it ends when it is so sure")
    min_inliers: int = Field(default=5, ge=3, description="a pose needs more inliers than this, else the frame failed")
    refine: bool = Field(default=True, description="minimise the reprojection error over the inliers afterwards")
    seed: int = Field(default=0, ge=0, description="of every draw: the bank's rows, splits, RANSAC")
    batch: int = Field(default=8, ge=1, description="query images at a time", json_schema_extra={"identity": False})


class OnePoseTaskSettings(PoseSettings):
    """Of onepose-lowtexture."""

    query_step: int = Field(
        default=10,
        ge=1,
        description="every so many-th image of the test sequence in the order of Python's sorted paths; 3DCorrEnhance "
        "takes every 10th, OnePose++ all",
    )


class CaptureSettings(PoseSettings):
    """Of oneshot-pose: which views are references, and how their points come about."""

    bank: Literal["triangulate", "depth"] = Field(
        default="triangulate",
        description="triangulate: points come from the features' own matches between reference views, whose poses are "
        "known; depth: from the reference views' depth maps",
    )
    split: Literal["alternate", "random"] = Field(
        default="alternate",
        description="alternate: every second view is a query, the first is a reference; random: half of them by `seed`",
    )
    max_references: int | None = Field(
        default=60, ge=2, description="at most so many reference views of a capture, evenly spread; none: all"
    )
    max_queries: int | None = Field(
        default=None, ge=1, description="at most so many query views of a capture, evenly spread; none: all"
    )
    reference_mask: bool = Field(
        default=True, description="points lie on the object's mask in reference views, where the data have masks"
    )
    neighbours: int = Field(
        default=6, ge=1, description="triangulate: a view is matched with so many others, every second of the nearest"
    )
    neighbour_angle: float = Field(
        default=75.0, gt=0, le=180, description="triangulate: largest angle in degrees between matched views' axes"
    )
    cycle: float = Field(
        default=1.0,
        gt=0,
        description="triangulate: a match counts where the way back ends within so many cells of where it began",
    )
    track_error: float = Field(
        default=8.0,
        gt=0,
        description="triangulate: largest reprojection error of a sighting, in pixels of an image whose longer side "
        "has 512",
    )
    min_views: int = Field(default=2, ge=2, description="triangulate: so many views must agree on a point")
    min_angle: float = Field(
        default=2.0, gt=0, description="triangulate: and see it from angles so far apart (degrees)"
    )
