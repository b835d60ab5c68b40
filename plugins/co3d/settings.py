"""Settings of the CO3D reader."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


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
