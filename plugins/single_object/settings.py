"""Settings of the tasks on single objects: what is evaluated, how crops are made, how masks and meshes compare."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class CropSettings(BaseModel):
    """How the crops are made; of every task on single objects."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    crop_mask: Literal["cad", "cad-as-published"] = Field(
        default="cad",
        description="mask that the paper's crop is fitted to: the CAD model rendered at the true pose; as-published: "
        "its window is rounded to whole pixels as in the published code, which the camera does not follow",
    )
    canvas: int = Field(default=512, ge=32, description="side of the crops in pixels, where the model states none")
    box_margin: float = Field(default=1.1, gt=0, description="box2d: crop side in units of the box's longer side")
    focal: float = Field(
        default=5.0,
        gt=0,
        description="box2d: assumed focal length in units of the crop's side, principal point at the crop's centre",
    )
    batch: int = Field(default=8, ge=1, description="images at a time", json_schema_extra={"identity": False})


class MaskSettings(CropSettings):
    """How masks are compared."""

    grid: int = Field(
        default=64,
        ge=8,
        le=512,
        description="cells per side on which masks are compared; 64 as published. A soft IoU depends on it",
    )


class SurfaceSettings(CropSettings):
    """How surfaces are compared."""

    points: int = Field(default=10_000, ge=100, description="points drawn on each surface")
    threshold: float = Field(
        default=0.05,
        gt=0,
        description="of the F-score, in canonical units (half of the object's longest side); the second is twice this",
    )


class Pascal3DPoseSettings(CropSettings):
    """Pose on PASCAL3D+."""

    split: Literal["plain", "val", "hard", "train"] = Field(
        default="plain", description="plain: the val list of PASCAL3D+; hard: only in the synthetic twin"
    )


class Pascal3DSegSettings(MaskSettings, Pascal3DPoseSettings):
    """Segmentation on PASCAL3D+."""


class Pascal3DShapeSettings(SurfaceSettings, Pascal3DPoseSettings):
    """Shape on PASCAL3D+."""


class ObjectNet3DPoseSettings(CropSettings):
    """Pose on ObjectNet3D."""

    split: Literal["plain", "test", "val", "train", "hard"] = Field(
        default="plain", description="plain: the test list of ObjectNet3D; hard: only in the synthetic twin"
    )


class ObjectNet3DSegSettings(MaskSettings, ObjectNet3DPoseSettings):
    """Segmentation on ObjectNet3D."""
