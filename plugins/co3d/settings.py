"""Settings of the CO3D reader."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

LATER: dict[str, JsonValue] = {"later": True}
"""Of settings that figures were made without: at their defaults they are no part of an identity."""


class CO3DSettings(BaseModel):
    """Which sequences and frames are read and how they are brought into one frame.

    Attributes:
        sequence_list: YAML or JSON file of sequence names per category; None takes every sequence that has an
            alignment, in the order of the annotations.
        alignment: table of one 4x4 similarity (raw to labelled axes) per sequence: JSON, npz, or a folder of
            <category>/<sequence>/tform_obj.pt; None takes alignment.json beside the categories (a twin has one).
        reference: subtable or subfolder of the alignment, one per reference sequence; None where there are no
            subtables.
        max_sequences: the first so many of the list.
        max_frames: so many frames of a sequence, evenly spaced; None for all, as published.
        cloud_points: points of a cloud that are kept before cleaning.
        mask_share: a point stays when the mean mask at its projections exceeds this.
        extent_percentile: percentile cut off each end of the cloud when its extent is measured (0: minimum, maximum).
        seed: of the random choice of cloud points.
        min_frames: a sequence with fewer frames is left out.
        min_points: a sequence of whose cloud fewer points stay is left out; the published code goes on with ten.
        filters: "published" orders sequences by the quality score of their clouds (where no list is given) and leaves
            out those that miss one of the thresholds below; `max_sequences` then counts what is left.
        min_viewpoint_coverage: share of directions around the object that some camera is nearest to.
        min_centred, centre_offset: share of frames whose projected centre is within so many image sizes of the middle.
        min_mask_coverage: mean share of an image that its mask covers.
        max_missing_frames: gaps in the numbers of the frames.
        extent: what is centred and scaled to 1: the cleaned cloud, or as published the proxy mesh around it.
        cache: keep cleaned clouds and proxy meshes beside the data set (in co3d-prepared) and take them from there.
    """

    model_config = ConfigDict(extra="forbid")

    sequence_list: Path | None = None
    alignment: Path | None = None
    reference: Literal["r0", "r1", "r2", "r3", "r4"] | None = None
    max_sequences: int | None = Field(default=None, ge=1)
    max_frames: int | None = Field(default=None, ge=1)
    cloud_points: int = Field(default=20000, ge=10)
    mask_share: float = Field(default=0.6, ge=0.0, lt=1.0)
    extent_percentile: float = Field(default=0.0, ge=0.0, lt=50.0)
    seed: int = Field(default=0, ge=0)
    min_frames: int = Field(default=1, ge=1, json_schema_extra=LATER)
    min_points: int = Field(default=11, ge=1, json_schema_extra=LATER)
    filters: Literal["none", "published"] = Field(default="none", json_schema_extra=LATER)
    min_viewpoint_coverage: float = Field(default=0.15, ge=0.0, le=1.0, json_schema_extra=LATER)
    min_centred: float = Field(default=0.8, ge=0.0, le=1.0, json_schema_extra=LATER)
    centre_offset: float = Field(default=0.3, gt=0.0, json_schema_extra=LATER)
    min_mask_coverage: float = Field(default=0.1, ge=0.0, le=1.0, json_schema_extra=LATER)
    max_missing_frames: int = Field(default=3, ge=0, json_schema_extra=LATER)
    extent: Literal["cloud", "mesh"] = Field(default="cloud", json_schema_extra=LATER)
    cache: bool = Field(default=True, json_schema_extra={"identity": False})
