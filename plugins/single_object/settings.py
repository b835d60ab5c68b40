"""Settings of the task pascal3d-pose."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Pascal3DPoseSettings(BaseModel):
    """What is evaluated, and how the crops are made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: Literal["plain", "val", "hard", "train"] = Field(
        default="plain", description="plain: the val list of PASCAL3D+; hard: only in the synthetic twin"
    )
    crop_mask: Literal["cad"] = Field(
        default="cad", description="mask that the paper's crop is fitted to: the CAD model rendered at the true pose"
    )
    canvas: int = Field(default=512, ge=32, description="side of the crops in pixels, where the model states none")
    box_margin: float = Field(default=1.1, gt=0, description="box2d: crop side in units of the box's longer side")
    focal: float = Field(
        default=5.0,
        gt=0,
        description="box2d: assumed focal length in units of the crop's side, principal point at the crop's centre",
    )
    batch: int = Field(default=8, ge=1, description="images at a time", json_schema_extra={"identity": False})
