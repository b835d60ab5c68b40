"""Settings of Common3D. Defaults are the paper's (protocol page common3d.md, sections 3 to 5); no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, JsonValue, model_validator

from bench3d.morphable.settings import FitSettings, HeadSettings, Positive, StageSettings, Weight

LATER: dict[str, JsonValue] = {"later": True}
"""Of settings that fits were made without: at their defaults they are no part of a recipe or an identity."""


class Common3DSettings(FitSettings, HeadSettings, StageSettings):
    """Everything that decides a fit or an inference. Lengths are in canonical units unless a name says pixels."""

    check_settings: ClassVar[Mapping[str, Any]] = {
        "canvas": 64,
        "render_size": 16,
        "grid_cells": 4,
        "mlp_width": 32,
        "adapter_widths": (32, 32, 16),
        "adapter_upsample": False,
        "latent_width": 16,
        "latent_dim": 16,
        "surface_samples": 40,
        "chamfer_points": 100,
        "eikonal_points": 100,
        "views": "cached",
        "accumulate": 1,
        "batch": 2,
        "template_iterations": 4,
        "appearance_iterations": 4,
        "validate_every": 2,
        "validation_frames": 1,
        "refine_steps": 3,
    }

    # Adapter output, label renderings and pose scores share one grid: the backbone's, twice as fine where
    # `adapter_upsample`; `render_size` is the side of the silhouettes, in both stages.

    # Template: signed distances on a tetrahedral grid.
    grid_cells: Annotated[int, Field(ge=2, le=40)] = 6
    grid_extent: Annotated[float, Field(gt=0)] = 1.1
    grid_jitter: Weight = 0.055
    encoding_scale: Annotated[float, Field(gt=0)] = 0.9  # times pi
    encoding_octaves: Positive = 8  # signed distances and features
    encoding_octaves_deformation: Positive = 10
    mlp_width: Positive = 256
    mlp_layers: Annotated[int, Field(ge=2)] = 5

    # The latent encoder on the frozen features, and what holds for every feature; the adapter's settings are inherited.
    latent_width: Positive = 256
    latent_blocks: Positive = 4
    latent_dim: Positive = 256
    feature_norm: Literal["detached", "ordinary"] = "detached"
    norm_floor: Annotated[float, Field(gt=0)] = 1e-4

    # Ablations of Table 6. Without an adapter the surface features live in the space of the backbone's own, of length 1
    # per cell on its own grid, and correspondence uses the backbone alone.
    adapter: bool = Field(True, description="whether a head is learnt on the features", json_schema_extra=LATER)
    raw_channels: Positive | None = Field(
        None,
        description="without an adapter: principal components of the training features kept; None: every channel",
        json_schema_extra=LATER,
    )
    appearance_loss: Literal["dense", "sparse", "reconstruction"] = Field(
        "dense",
        description="dense: soft labels at every pixel; sparse: a class for each vertex, at visible vertices; "
        "reconstruction: squared difference of rendered and image features",
        json_schema_extra=LATER,
    )
    background_samples: Positive = Field(5, description="cells of an image, sparse loss only", json_schema_extra=LATER)
    instance_deformation: bool = Field(
        True, description="whether the template is deformed to each instance", json_schema_extra=LATER
    )

    # Losses: weights of Table 7.
    weight_appearance: Weight = 0.1
    weight_chamfer: Weight = 0.1
    weight_mask: Weight = 1.0
    weight_distance: Weight = 100.0
    weight_eikonal: Weight = 0.01
    weight_deformation: Weight = 0.1
    weight_smoothness: Weight = 0.01
    surface_samples: Positive = 150
    label_sigma: Literal["eq14"] | Annotated[float, Field(gt=0)] = "eq14"
    chamfer_points: Positive = 2000
    eikonal_points: Positive = 5000
    geometry_images: Positive | None = None  # images of a batch that carry stage 2's geometry losses; None: all
    appearance_jitter: bool = True  # whether the grid is shifted in stage 2 as well
    labels_move_geometry: bool = True  # whether the appearance loss also reaches the deformation

    # Schedule; iterations, where given, stand instead of epochs. The optimiser's settings are inherited.
    template_epochs: Positive = 20
    appearance_epochs: Positive = 20
    template_iterations: Positive | None = None
    appearance_iterations: Positive | None = None
    template_batch: Positive | None = None  # None: as `batch`
    template_learning_rate: Annotated[float, Field(gt=0)] | None = None  # None: as `learning_rate`
    # Of deformation and latent encoder; None: as `learning_rate`.
    deformation_learning_rate: Annotated[float, Field(gt=0)] | None = None
    precision: Literal["float32", "bfloat16"] = "float32"  # of the heads in training; inference is float32
    validate_every: Positive | None = None  # iterations of stage 2; None: once an epoch

    # Inference; what decides a pose is inherited, `temperature` is that of the training logits too.
    # Weight of the adapter's map beside the backbone's in correspondence.
    blend: Annotated[float, Field(ge=0, le=1, json_schema_extra={"fit": False})] = 0.2

    @model_validator(mode="after")
    def _ordered(self) -> Common3DSettings:
        if self.latent_width % 4:
            raise ValueError("latent_width must be a multiple of 4 (bottlenecks shrink to a quarter)")
        if self.adapter and self.appearance_loss == "reconstruction":
            raise ValueError(
                "appearance_loss reconstruction needs adapter false (a learnt head would make all features equal)"
            )
        if self.adapter and self.raw_channels is not None:
            raise ValueError("raw_channels needs adapter false")
        return self
