"""Settings of the SPair-71k reader."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SPair71kSettings(BaseModel):
    """Which list of pairs is read.

    Attributes:
        layout: the published list: `large` (all pairs, what results are reported on) or `small`.
        keypoint_names: CSV file with the names of the keypoint ids, one column per category; None takes
            spair_keypoint_names.csv in the data set's folder where it stands there.
    """

    model_config = ConfigDict(extra="forbid")

    layout: Literal["large", "small"] = "large"
    # Not where the file lies but what is in it counts: the fingerprint holds that.
    keypoint_names: Path | None = Field(default=None, json_schema_extra={"identity": False})
