"""Settings of the TAP-Vid DAVIS reader."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TapVidSettings(BaseModel):
    """Which of the two layouts is read."""

    model_config = ConfigDict(extra="forbid")

    layout: Literal["auto", "official", "dino-tracker"] = Field(
        default="auto",
        description="official: tapvid_davis.pkl, frames inside; dino-tracker: tapvid_davis_data_strided.pkl with "
        "strided queries, frames as images; auto: the one that is there, official where both are",
    )
