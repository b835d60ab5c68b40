"""Settings of UOP3D. Defaults are the published configuration's (protocol page common3d.md, 7.2b); no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench3d.morphable.settings import FitSettings, HeadSettings, Positive, StageSettings


class UOP3DSettings(FitSettings, HeadSettings, StageSettings):
    """Everything that decides a fit or an inference. Lengths are in canonical units unless a name says pixels."""

    check_settings: ClassVar[Mapping[str, Any]] = {
        "canvas": 64,
        "render_size": 16,
        "mesh_vertices": 60,
        "adapter_widths": (32, 32, 16),
        "adapter_upsample": False,
        "views": "cached",
        "accumulate": 1,
        "batch": 2,
        "iterations": 4,
        "validation_frames": 1,
        "refine_steps": 3,
    }

    reference_sequence: str | None = Field(
        None, description="whose shape the mesh is; None: the first training sequence whose cloud carries a mesh"
    )
    mesh_vertices: int = Field(500, ge=8, le=5000, description="of the mesh, at most")
    clutter_samples: Positive = Field(5, description="random background cells of an image, with replacement")
    epochs: Positive = Field(10, description="of the training views")
    iterations: Positive | None = Field(None, description="instead of epochs")
    held_out: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of the sequences kept from training; only measures, nothing is chosen by it"
    )
    blend: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="weight of the head's map beside the backbone's in correspondence",
        json_schema_extra={"fit": False},
    )
