"""Settings of the timm backbones. Importing this module loads no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bench3d.features.settings import BackboneSettings


class TimmSettings(BackboneSettings):
    """Settings of a network backbone, and how far apart its patches lie."""

    stride: Annotated[int, Field(ge=1)] | Literal["half"] | None = Field(
        default=None,
        description="input pixels between two patches, less than the patch for overlapping ones (a finer map of the "
        "same network, position embedding interpolated); half: half a patch where patches can overlap; none: the patch",
        json_schema_extra={"later": True},
    )
