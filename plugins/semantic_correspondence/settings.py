"""Settings of the tasks of semantic correspondence: a convention is a set of named, independent options. No torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Alpha = Annotated[float, Field(gt=0, le=1)]
HEADLINE_ALPHA = 0.1


class SemanticSettings(BaseModel):
    """How images are placed, how a point is matched, and how matches become a score.

    Coordinates: a point of an image is first put onto the canvas (a square of `canvas` pixels, as `placing` says), then
    into cells of the feature map. Published code disagrees on where a cell lies, so both ends are options.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: str = Field(default="test", description="test, val or trn, as far as the data set has them")
    pairs: int | None = Field(
        default=None, ge=1, description="random pairs per category (seed 20), None: every pair of the list"
    )

    placing: Literal["letterbox", "affine", "corner", "stretch"] = Field(
        default="letterbox",
        description="letterbox: longer side fills the canvas, centred to whole pixels; affine: the same as one affine "
        "crop around the middle pixel (Common3D); corner: at the top left; stretch: both sides fill it",
    )
    canvas: int | None = Field(
        default=None, ge=8, le=8192, description="side in pixels; None: the model's own, 840 where it has none"
    )
    margin: int = Field(
        default=0, ge=0, description="pixels around the placed image that the points know nothing of (probe3d: 6)"
    )
    resample: Literal["bilinear", "lanczos", "unsmoothed"] = Field(
        default="bilinear",
        description="how the image is resized; unsmoothed (for placing=affine): no averaging, whole grey levels",
    )
    fill: float = Field(default=0.0, ge=0, le=1, description="brightness of the padding")

    query: Literal["cell", "pixel", "bilinear", "bilinear-corners"] = Field(
        default="cell",
        description="feature of the source point: cell: of the cell that contains it; pixel: of the pixel of the "
        "upsampled map that contains it; bilinear: between cell centres; bilinear-corners: between cells whose "
        "outermost centres are taken to lie on the image's border (align_corners)",
    )
    outside: Literal["clamp", "wrap"] = Field(
        default="clamp",
        description="query cell of a point right of or below the canvas: clamp: the border cell; wrap: row * columns + "
        "column without a check, which is the first cell of the next row (SD-DINO)",
    )
    truncate: bool = Field(default=False, description="points are cut to whole canvas pixels (probe3d)")
    unit_cells: bool = Field(default=False, description="cells get unit length before anything is interpolated")
    similarity: Literal["cosine", "dot"] = Field(
        default="cosine", description="dot: the target is not normalised, so large features win (3DCorrEnhance)"
    )

    candidates: Literal["cells", "canvas", "original"] = Field(
        default="cells",
        description="where the match is looked for: cells of the map, pixels of the canvas, or of the original image; "
        "the map is then upsampled bilinearly",
    )
    lattice_side: int | None = Field(
        default=None, ge=1, le=8192, description="candidates=canvas: points per side, None: one per canvas pixel"
    )
    lattice: Literal["centres", "corners"] = Field(
        default="centres",
        description="where pixel j looks into the map: centres: at j + 0.5 (align_corners=False); corners: at j, "
        "which is what 3DCorrEnhance's upsampling to 827 pixels and edge padding by 7 and 6 works out to",
    )
    padding: bool = Field(default=True, description="whether a match may lie in the padding of the canvas")
    position: Literal["centre", "half-pixel-before", "corner"] = Field(
        default="centre",
        description="where a matched candidate is said to lie: its centre, half a canvas pixel left of and above it "
        "(6.5 of 14), or its top left corner",
    )
    soft: Literal["none", "window", "window-zeros"] = Field(
        default="none",
        description="candidates=cells: none: the best cell; window: softmax over the cells around it; window-zeros: "
        "softmax over all cells, those outside the window counted with similarity 0 (GeoAware-SC)",
    )
    window: int = Field(default=5, ge=1, description="soft: the window reaches this many cells to every side")
    temperature: float = Field(default=0.02, gt=0, description="soft: temperature of the softmax")

    reference: Literal["box", "image", "keypoints"] = Field(
        default="box",
        description="alpha is a share of the longer side of: the target's box, the target image (the same as of the "
        "letterboxed canvas), or the box around the pair's target keypoints",
    )
    alphas: tuple[Alpha, ...] = Field(default=(0.1, 0.05, 0.01), description="thresholds; 0.1 must be among them")
    inequality: Literal["<", "<="] = Field(default="<", description="whether an error of exactly the threshold counts")
    average: Literal["keypoint", "image"] = Field(
        default="keypoint", description="headline within a category: over all keypoints, or over the pairs' own means"
    )
    categories: Literal["pairs", "macro", "pooled"] = Field(
        default="pairs",
        description="headline over categories: weighted by numbers of pairs, plain mean, or everything together",
    )
    batch: int = Field(default=8, ge=1, description="pairs at a time", json_schema_extra={"identity": False})

    @model_validator(mode="after")
    def _consistent(self) -> SemanticSettings:
        if HEADLINE_ALPHA not in self.alphas:
            raise ValueError("alphas must hold 0.1: the headline is PCK@0.1")
        if self.soft != "none" and self.candidates != "cells":
            raise ValueError("soft is for candidates=cells")
        if self.lattice_side is not None and self.candidates != "canvas":
            raise ValueError("lattice_side is for candidates=canvas")
        if self.query == "pixel" and self.candidates == "cells":
            raise ValueError("query=pixel asks for candidates=canvas or original")
        if self.canvas is not None and 2 * self.margin >= self.canvas:
            raise ValueError("margin leaves nothing of the canvas")
        return self
