"""Settings of the noise backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from bench3d.features.settings import InputSettings


class NoiseSettings(InputSettings):
    """Input policy as for every backbone (cells of 8 pixels), and the noise."""

    check_excuses: ClassVar[Mapping[str, str]] = {
        "pixel-geometry": "another image has another noise everywhere, so that nothing has a place"
    }

    dim: int = Field(default=64, ge=1, le=8192, description="channels")
    seed: int = Field(default=0, ge=0, description="another seed, another noise of every image")
