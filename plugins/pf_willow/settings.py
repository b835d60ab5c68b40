"""Settings of the PF-WILLOW reader."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PFWillowSettings(BaseModel):
    """Where the pairs come from."""

    model_config = ConfigDict(extra="forbid")

    pairs: Literal["auto", "list", "folders"] = Field(
        default="auto",
        description="list: the 900 pairs that results are reported on; folders: every ordered pair of images of one "
        "folder, with the keypoints of the annotations; auto: the list where it is there, else the folders",
    )
    # Not where the file lies but what is in it counts: the fingerprint holds that.
    list_file: Path | None = Field(
        default=None,
        description="the CSV file of the list; None looks in the data set's folder and beside it",
        json_schema_extra={"identity": False},
    )
