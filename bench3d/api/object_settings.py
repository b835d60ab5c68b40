"""Settings of objects of a notebook: what stands for them in the identity of a run. Loads no torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from bench3d.features.settings import InputSettings


class DigestSettings(BaseModel):
    """Of an adapter, shape model, task, or `Model`: it has no settings that could be changed from outside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    object: str = Field(description="digest of the object: tensors, plain attributes, code")


class ObjectSettings(InputSettings):
    """Of a network: its digest, its input policy, and how its input is normalised."""

    object: str = Field(description="digest of the object: tensors, plain attributes, code")
    patch: int | None = Field(default=None, ge=1, description="input pixels per cell")
    mean: tuple[float, float, float] = Field(default=(0.0, 0.0, 0.0), description="subtracted from the input")
    std: tuple[float, float, float] = Field(default=(1.0, 1.0, 1.0), description="then it is divided by this")
