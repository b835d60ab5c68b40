"""Settings of OnePose-LowTexture."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class OnePoseSettings(BaseModel):
    """Which of the objects are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    objects: tuple[str, ...] | None = Field(
        default=None,
        description="folder names of the objects, such as 0700-toyrobot-others, or their ids (0700); none: all",
    )
