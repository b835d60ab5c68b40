"""Settings of the tracking task. No torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Side = Annotated[int, Field(ge=16, le=4096)]


class TrackerSettings(BaseModel):
    """How points are followed. Distances in pixels are those of a frame reduced to 256x256, but for `published`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tracker: Literal["cycle", "published"] = Field(
        default="cycle",
        description="published: DINO-Tracker's raw-feature tracker as 3DCorrEnhance (ICLR'25) runs it; cycle: ours, "
        "from frame to frame outwards from the query with a weak motion prior, positions between cells, visible where "
        "the match back hits the query",
    )
    motion: float = Field(
        default=0.2, ge=0, description="cycle: what a point that jumps loses in similarity at most (0: no motion prior)"
    )
    reach: float = Field(default=16.0, gt=0, description="cycle: pixels a frame at which the whole of `motion` is lost")
    cycle: float = Field(
        default=16.0,
        gt=0,
        description="cycle: a point is visible where matching back ends this near to the query (pixels)",
    )
    alike: float = Field(
        default=0.4,
        ge=0,
        lt=1,
        description="cycle: ... and where its cosine with the query lies at least this far from the frame's mean to 1",
    )
    subcell: bool = Field(default=True, description="cycle: place the peak between cells (a parabola along each axis)")
    radius: float = Field(default=35.0, gt=0, description="published: radius of the soft-argmax, input pixels")
    temperature: float = Field(default=1.0, gt=0, description="published: of the soft-argmax")
    least_similarity: float = Field(
        default=0.6, ge=-1, le=1, description="published: a point of a lower cosine is occluded"
    )
    anchor_similarity: float = Field(
        default=0.7, ge=-1, le=1, description="published: frames of at least this cosine are anchors"
    )


class TrackingSettings(TrackerSettings):
    """What is asked for, and how it is followed."""

    queries: Literal["strided", "first"] = Field(
        default="strided", description="strided: every visible point every 5 frames; first: where it is first seen"
    )
    frame_size: tuple[Side, Side] | None = Field(
        default=(256, 256),
        description="width and height that frames are reduced to (Pillow's Lanczos) before the backbone places them on "
        "its own input; none: their own size. Positions are always scored at 256x256",
    )
