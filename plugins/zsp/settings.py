"""Settings of ZSP. Defaults are the published ones (protocol page common3d.md, 7.1, and the code); no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench3d.morphable.settings import Positive


class ZSPSettings(BaseModel):
    """Everything that decides the references or an inference. Lengths are in canonical units unless said otherwise."""

    check_settings: ClassVar[Mapping[str, Any]] = {"canvas": 64, "frames": 2, "pairs": 8, "trials": 20}

    model_config = ConfigDict(extra="forbid", frozen=True)

    canvas: Positive = Field(512, description="side of the crops in pixels")
    references: Positive = Field(1, description="labelled sequences; the best view among all of their frames counts")
    reference_sequences: tuple[str, ...] = Field((), description="their names; empty: the first that have depth")
    frames: Positive = Field(10, description="of a reference, evenly spaced from its first frame to its last")
    pairs: int = Field(
        50, ge=4, description="correspondences, spread by k-means over twice as many", json_schema_extra={"fit": False}
    )
    trials: Positive = Field(
        1000, description="RANSAC hypotheses, each from four pairs", json_schema_extra={"fit": False}
    )
    inlier_distance: float = Field(
        0.2, gt=0, description="a pair within it supports a hypothesis", json_schema_extra={"fit": False}
    )
    scale_range: tuple[float, float] | None = Field(
        None,
        description="of the image's object over the reference's; None: any (published), often a small wrong one",
        json_schema_extra={"fit": False},
    )

    @model_validator(mode="after")
    def _scales_in_order(self) -> ZSPSettings:
        if self.scale_range is not None and not 1e-3 <= self.scale_range[0] <= self.scale_range[1] <= 1e3:
            raise ValueError("scale_range must be two numbers from 0.001 to 1000, the smaller first")
        return self
