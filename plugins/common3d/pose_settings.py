"""Settings of pose inference; the values of the paper are the defaults (protocol page, section 5)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


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
