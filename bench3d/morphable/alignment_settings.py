"""Settings of the unsupervised alignment. Loads no torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AlignmentSettings(BaseModel):
    """How sequences are brought into the frame of a reference sequence; the defaults are the published values.

    Attributes:
        max_frames: so many frames of a sequence, evenly spaced, give features; None takes all, as published. Time grows
            with it, and with its square where appearances are compared.
        canvas: side in pixels of the crop around the object.
        raster: side in pixels of the drawing that says which vertices are seen.
        most_points: points of a cloud that its proxy mesh is made of.
        most_vertices: of a proxy mesh.
        normalise: whether features are brought to unit length first (published: no).
        hypotheses: similarities that are tried.
        sample: reference vertices that a similarity is made of.
        appearance_weight: of the appearance term in the score, the geometric one has the rest.
        geometry_temperature: of the cyclical weights in the geometric term, in object diameters.
        appearance_temperature: the same in the appearance term.
        refine_best: so many of the best hypotheses are refined (published: 0, none); ours.
        refine_rounds: rounds of a refinement: nearest neighbours, then the weighted similarity that fits them.
        seed: of the proxy meshes and of the hypotheses.
    """

    model_config = ConfigDict(extra="forbid")

    max_frames: int | None = Field(default=24, ge=1)
    canvas: int = Field(default=512, ge=32)
    raster: int = Field(default=128, ge=16)
    most_points: int = Field(default=10000, ge=32)
    most_vertices: int = Field(default=500, ge=8)
    normalise: bool = False
    hypotheses: int = Field(default=1000, ge=1)
    sample: int = Field(default=4, ge=3)
    appearance_weight: float = Field(default=0.2, ge=0.0, le=1.0)
    geometry_temperature: float = Field(default=0.9, gt=0.0)
    appearance_temperature: float = Field(default=0.9, gt=0.0)
    refine_best: int = Field(default=0, ge=0)
    refine_rounds: int = Field(default=10, ge=1)
    seed: int = Field(default=0, ge=0)
