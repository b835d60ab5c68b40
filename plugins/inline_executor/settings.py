"""Settings of the executor `inline`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class InlineSettings(BaseModel):
    """There are none."""

    model_config = ConfigDict(extra="forbid")
