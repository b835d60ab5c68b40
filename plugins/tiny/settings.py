"""Settings of `tiny`'s pretraining; no torch here. The recipe of the shipped weights is configs/pretrain/tiny.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench3d_plugins.tiny.names import PATCH

Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Side = Annotated[int, Field(ge=2 * PATCH, multiple_of=PATCH)]
Step = Annotated[int, Field(ge=1)]
Zoom = Annotated[float, Field(gt=0)]


class PretrainSettings(BaseModel):
    """Everything that decides the weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pictures: int = Field(8192, ge=1, description="training pictures from the generator")
    held_out: int = Field(256, ge=0, description="further ones, for the held-out matching score")
    picture_size: int = Field(160, ge=32, le=1024, description="side of a picture in pixels")
    sides: tuple[Side, ...] = Field(
        (64, 96, 128), min_length=1, description="sides of the views in pixels, drawn anew for each step"
    )
    steps: int = Field(4000, ge=1, description="optimiser steps")
    batch: int = Field(32, ge=2, description="pictures of a step")
    cells: int = Field(48, ge=1, description="cells of a view that are matched, at most")
    temperature: float = Field(0.1, gt=0, description="of the InfoNCE loss")
    learning_rate: float = Field(1e-3, gt=0, description="AdamW's, after the warm-up; a cosine takes it to 0")
    warmup: Share = Field(0.05, description="share of the steps in which the rate rises")
    weight_decay: Amount = Field(0.05, description="AdamW's, of matrices and kernels")
    average: Share = Field(0.998, description="decay of the running mean of the weights, which is what is kept")
    precision: Literal["float32", "bfloat16"] = Field("bfloat16", description="of the network in training")
    zoom: tuple[Zoom, Zoom] = Field((0.6, 1.5), description="view pixels for a picture's pixel, from and to")
    roam: Share = Field(0.5, description="how far the middle of the views moves, as a share of the picture")
    shift: Share = Field(0.25, description="how far the second view's middle lies off, as a share of its side")
    turn: float = Field(30.0, ge=0, le=180, description="degrees in the image plane, at most")
    stretch: Amount = Field(0.25, description="log of the largest change of the aspect")
    shear: Amount = Field(0.2, description="the largest")
    brightness: Share = Field(0.3, description="the largest change, as a share")
    contrast: Share = Field(0.3, description="the largest change, as a share")
    saturation: Share = Field(0.4, description="the largest change, as a share")
    balance: Share = Field(0.1, description="the largest change of a colour channel, as a share")
    grey: Share = Field(0.1, description="share of the views without colours")
    blur: Share = Field(0.2, description="share of the views that are blurred")
    noise: Amount = Field(0.04, description="the largest sigma; white is 1")
    seed: int = Field(0, ge=0, description="of the pictures, the first weights and every draw")
    checkpoints: tuple[Step, ...] = Field((), description="steps after which the weights are kept as well")

    @model_validator(mode="after")
    def _possible(self) -> PretrainSettings:
        if self.zoom[0] > self.zoom[1]:
            raise ValueError(f"zoom goes from {self.zoom[0]} down to {self.zoom[1]}: the smaller one comes first")
        if max(self.sides) > self.zoom[1] * self.picture_size:
            raise ValueError(
                f"a view of {max(self.sides)} pixels shows more than a picture of {self.picture_size} at every zoom"
            )
        late = [step for step in self.checkpoints if step > self.steps]
        if late:
            raise ValueError(f"the checkpoint after step {late[0]} lies behind the last step, {self.steps}")
        return self
