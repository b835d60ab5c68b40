"""Settings of the executor `local`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LocalSettings(BaseModel):
    """How one machine is divided.

    Attributes:
        cores_per_worker: cores of a slot, which is what its jobs are told to use; None divides the cores evenly.
        gpus_per_worker: GPUs of a slot; 0 leaves the GPUs hidden, None gives every slot one where there are any.
        patience: seconds that an interrupted job has to write down how far it is.
    """

    model_config = ConfigDict(extra="forbid")

    cores_per_worker: int | None = Field(default=None, ge=1)
    gpus_per_worker: int | None = Field(default=None, ge=0)
    patience: float = Field(default=20.0, gt=0.0)
