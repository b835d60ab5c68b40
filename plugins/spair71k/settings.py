"""Settings of the SPair-71k reader."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SPair71kSettings(BaseModel):
    """Which list of pairs is read."""

    model_config = ConfigDict(extra="forbid")

    layout: Literal["large", "small"] = Field(
        default="large", description="the published list: large (all pairs, what results are reported on) or small"
    )
    # Not where the file lies but what is in it counts: the fingerprint holds that.
    keypoint_names: Path | None = Field(
        default=None,
        description="CSV file with the names of the keypoint ids, a column per category, as probe3d publishes it; None "
        "takes spair_keypoint_names.csv in the data set's folder where it is there. Names make left/right swaps count",
        json_schema_extra={"identity": False},
    )
