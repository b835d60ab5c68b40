"""Settings of RGB-D frames."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class RgbdSettings(BaseModel):
    """What the files do not say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    color_intrinsics: Path | None = Field(
        default=None,
        description="file with the 3x3 intrinsics of the colour camera, where depth is not registered to the colour "
        "images and camera-intrinsics.txt is the depth camera's (7-Scenes, 3DMatch): depth is then carried over to the "
        "colour camera, whose centre and axes are taken to be the depth camera's. Default: color-intrinsics.txt in the "
        "folder, else depth counts as registered",
        json_schema_extra={"identity": False},  # the fingerprint holds what is in it
    )
