"""Settings of the hog backbone."""

from __future__ import annotations

from pydantic import Field

from bench3d.features.settings import InputSettings


class HogSettings(InputSettings):
    """Input policy as for every backbone (cells of 8 pixels), and colour."""

    colour: bool = Field(default=False, description="adds the mean of three opponent colours per cell")
