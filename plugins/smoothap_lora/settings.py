"""Settings of smoothap-lora. Defaults are the published ones (protocol page tasks.md, i) but for conv_init."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0)]
ConvInit = Literal["identity", "published"]
LossName = Literal["published", "smoothap"]


class SmoothAPSettings(BaseModel):
    """Everything that decides a fit. 3D lengths are in `unit`, which for objects of unit size is the world's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check_settings: ClassVar[Mapping[str, Any]] = {
        "grid": 6,
        "points": 150,
        "positive": 0.03,
        "iterations": 3,
        "learning_rate": 1e-3,
        "evaluate_every": 2,
        "evaluate_pairs": 2,
    }

    # What is trained.
    rank: Positive = Field(default=4, description="rank of LoRA on the q and the v projection")
    blocks: Positive = Field(default=4, description="how many of the last blocks get LoRA")
    conv_layers: int = Field(default=1, ge=0, le=3, description="3x3 refine convolutions behind the backbone")
    conv_init: ConvInit = Field(
        default="identity",
        description="identity: an untrained adapter gives the backbone's own features, so training starts from them; "
        "published: PyTorch's random initialisation, with which an untrained adapter is a random mixture",
    )

    # Loss.
    loss: LossName = Field(default="published", description="the authors' two-term loss, or the paper's SmoothAP")
    positive: float = Field(default=5e-3, gt=0, description="points nearer than this in 3D are one point")
    negative: float = Field(default=0.1, gt=0, description="points farther than this in 3D are different points")
    unit: Literal["auto", "world", "extent"] = Field(
        default="auto",
        description="of positive and negative: the world's unit, the longest side of each set's visible surface, or "
        "auto: the world's where the first set measures 1 (object units), else each set's extent",
    )
    temperature: Rate = Field(default=0.01, description="of the sigmoid that stands for a step")

    # Pairs of views.
    points: Positive = Field(default=3000, description="random mask pixels of each view")
    max_angle: float = Field(default=120.0, gt=0, le=180, description="degrees between two views at most")
    augment: bool = Field(default=True, description="shift, scale, rotation and colour noise, for each image apart")
    objects: Positive | None = Field(default=None, description="only the first so many training objects; none: all")
    first_object: int = Field(default=0, ge=0, description="number of the first training object that is used")
    held_out: float = Field(default=0.1, ge=0, lt=1, description="share of the objects kept for held-out scores")
    shuffled: bool = Field(default=False, description="control: train on shuffled, hence wrong, correspondences")
    as_published: bool = Field(
        default=False,
        description="reproduce two defects of the published training: 100 pairs replayed in every epoch, and points "
        "of patch-16 backbones placed as if the patch were 14",
    )

    grid: Positive = Field(
        default=80, description="cells on the longer side of a training image; tasks then choose their own input"
    )

    # Optimiser.
    iterations: Positive = Field(default=10_000, description="optimiser steps")
    pairs_per_step: Positive = Field(default=1, description="pairs of views that go through the network together")
    accumulate: Positive = Field(default=1, description="batches of pairs in one optimiser step")
    learning_rate: Rate = Field(default=1e-5, description="of AdamW")
    learning_rate_schedule: Literal["constant", "one_cycle"] = Field(default="constant", description="over the steps")
    weight_decay: float = Field(default=1e-4, ge=0, description="of AdamW, on all that is trained")
    gradient_clip: Rate = Field(default=1.0, description="largest norm of the gradient")
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="of the network in training; loss and inference are fp32"
    )
    checkpointing: bool = Field(
        default=False,
        description="compute activations again in the backward pass: slower, less memory",
        json_schema_extra={"identity": False},
    )

    # Held-out scores and state.
    evaluate_every: Positive | None = Field(default=500, description="steps between held-out scores; none: at the end")
    evaluate_pairs: Positive = Field(default=50, description="held-out pairs of views")
    checkpoint_seconds: Rate = Field(
        default=120.0, description="seconds between two states to resume from", json_schema_extra={"identity": False}
    )

    @model_validator(mode="after")
    def _ordered(self) -> SmoothAPSettings:
        if self.positive >= self.negative:
            raise ValueError("positive must be smaller than negative")
        return self
