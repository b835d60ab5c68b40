"""Settings that shape models share: pose inference, training views, held-out validation; no torch here.

Defaults are Common3D's (protocol page common3d.md, sections 1.3, 4 and 5). A shape model inherits what it uses.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]


class PoseSettings(BaseModel):
    """Render-and-compare: 144 starts, Adam on the rotation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(0.07, gt=0, description="T of the score and of the training logits; kappa = 1/T")
    refine_steps: int = Field(30, ge=0, description="Adam steps from the best start")
    refine_rate: float = Field(0.02, gt=0, description="Adam's learning rate, radians")
    refine_beta1: float = Field(0.4, ge=0, lt=1, description="Adam's first decay")
    refine_beta2: float = Field(0.6, ge=0, lt=1, description="Adam's second decay")
    refine_clip: float = Field(0.1, gt=0, description="largest step per component, radians")
    refine_starts: int = Field(1, ge=1, le=144, description="how many of the best starts are refined (paper: 1)")


class ViewSettings(BaseModel):
    """Training views: crops around the object, drawn live or K seeded ones a frame once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    canvas: Positive = Field(512, description="side of the crops in pixels")
    render_size: Positive = Field(64, description="side of masks and silhouettes")
    views: Literal["live", "cached"] = Field("live", description="made for each batch, or once and kept with features")
    views_per_frame: Positive = Field(2, description="seeded views of a frame, `cached` only")
    cache_dtype: Literal["float16", "float32"] = Field("float32", description="of the cached features")
    scale_range: tuple[float, float] = Field((0.8, 1.2), description="of the fitted scale, drawn uniformly")
    solarize_probability: Probability = 0.2
    grayscale_probability: Probability = 0.2
    jitter_probability: Probability = 0.8
    jitter: tuple[Weight, Weight, Weight, Annotated[float, Field(ge=0, le=0.5)]] = Field(
        (0.4, 0.4, 0.2, 0.1), description="brightness, contrast, saturation, hue"
    )
    batch: Positive = Field(12, description="views of a training step")

    @model_validator(mode="after")
    def _scales_in_order(self) -> ViewSettings:
        low, high = self.scale_range
        if not 0 < low <= high:
            raise ValueError("scale_range must be two positive numbers, the smaller first")
        return self


class FitSettings(PoseSettings, ViewSettings):
    """What a shape model's fit and its held-out pose accuracy need together."""

    held_out: Annotated[float, Field(ge=0, lt=1)] = Field(0.1, description="share of the sequences kept from training")
    validation_frames: Positive | None = Field(None, description="held-out frames that are looked at; None: every one")
    validation_translation: Literal["given", "estimated"] = Field(
        "given", description="whether held-out poses are given the true translation"
    )


class HeadSettings(BaseModel):
    """The adapter of `bench3d.morphable.heads` and its inputs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    standardise: bool = Field(False, description="backbone features per channel first, with training statistics")
    adapter_widths: tuple[Positive, Positive, Positive] = Field((512, 512, 128), description="of the three blocks")
    adapter_dilation: tuple[Positive, Positive, Positive] = Field((1, 1, 1), description="of their 3x3 convolutions")
    adapter_upsample: bool = Field(True, description="twice the cells before the last block")

    @model_validator(mode="after")
    def _widths_in_quarters(self) -> HeadSettings:
        if any(width % 4 for width in self.adapter_widths):
            raise ValueError("adapter_widths must be multiples of 4 (bottlenecks shrink to a quarter)")
        return self


class StageSettings(BaseModel):
    """The optimiser of a training stage. One iteration is one optimiser step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accumulate: Positive = Field(2, description="batches of an optimiser step")
    learning_rate: float = Field(1e-4, gt=0, description="Adam's")
    learning_rate_schedule: Literal["constant", "one_cycle"] = Field("constant", description="over the iterations")
    weight_decay: Weight = Field(1e-4, description="Adam's, on every parameter")
    checkpoint_seconds: float = Field(
        60.0, gt=0, description="between two training states on disk", json_schema_extra={"identity": False}
    )
