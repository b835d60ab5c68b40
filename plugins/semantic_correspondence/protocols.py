"""The conventions of published evaluations, as options of the settings. No torch here.

A point (x, y) of an annotation goes original image -> canvas -> cells of the map; n is the number of cells a side.

| option     | sd-dino       | geoaware      | dift           | probe3d          | common3d      | mef              |
|------------|---------------|---------------|----------------|------------------|---------------|------------------|
| canvas     | letterbox,840 | letterbox,840 | stretch, 768   | corner, white,800| affine, 512   | letterbox, 840   |
| network    | the canvas    | the canvas    | the canvas     | 6 px around it   | canvas at 448 | the canvas       |
| cells      | 60            | 60            | 48             | 58               | 32            | 60               |
| tokens     | before norm   | before norm   | (diffusion)    | before norm      | before norm   | normed           |
| query      | cell          | cell          | pixel          | bilinear-corners | pixel (of 64) | bilinear         |
| outside    | wrap          | wrap          | clamp          | -                | clamp         | border           |
| similarity | cosine        | cosine        | cosine         | cosine           | cosine, blend | dot, raw target  |
| candidates | cells         | cells         | image's pixels | cells            | 64x64 points  | canvas's pixels  |
| padding    | included      | included      | none there     | included         | included      | included         |
| position   | cell + 6.5/14 | soft, + 7/14  | pixel's corner | cell's corner    | centre - .5px | looked at = said |
| reference  | box           | box           | box            | box              | box           | image            |
| inequality | <             | <             | <=             | <                | <             | <                |
| headline   | keypoints     | per image     | per image      | keypoints        | keypoints     | keypoints        |
| categories | by pairs      | by pairs      | by pairs       | plain mean       | plain mean    | by pairs         |
| alphas     | .1 .05 .01    | .1 .05 .01    | .1             | .1               | .1 .05 .01    | .1 .05 .15       |
| pairs      | all           | all           | all            | 200 a category   | all           | all              |

On PF-PASCAL sd-dino and geoaware refer to the image's longer side and have alphas .1 .05 .15. Sides and cells are those
of a patch of 14 pixels: the grid is what the protocols ask for, so the canvas of a patch of 16 is 16/14 as wide.

What is not reproduced: SD-DINO's and GeoAware-SC's default of 20 sampled pairs per category (their papers use all);
GeoAware-SC's pose alignment by a mirrored source; the order of files on disk, by which probe3d's 200 pairs are drawn;
probe3d's and DIFT's bicubic resampling, and the grey of probe3d's outermost 6 pixels (white here). These touch what the
network sees; from the same input every keypoint gets the published answer.
"""

from __future__ import annotations

from typing import Any

from bench3d.contracts.registration import Protocol

CATEGORY = ("category",)
PRENORM_60 = {"grid": 60, "tokens": "prenorm"}

CELLS: dict[str, Any] = {
    "placing": "letterbox",
    "resample": "lanczos",
    "query": "cell",
    "outside": "wrap",
    "candidates": "cells",
    "position": "half-pixel-before",
    "average": "keypoint",
    "categories": "pairs",
}
SOFT: dict[str, Any] = CELLS | {"position": "centre", "soft": "window-zeros", "temperature": 0.02, "average": "image"}
PIXELS: dict[str, Any] = {
    "placing": "stretch",
    "query": "pixel",
    "candidates": "original",
    "position": "corner",
    "inequality": "<=",
    "average": "image",
    "categories": "pairs",
}
IMAGE_REFERENCE: dict[str, Any] = {"reference": "image", "alphas": (0.1, 0.05, 0.15)}

SD_DINO_SUMMARY = "SD-DINO's: best cell of 60x60, padding included, said to lie 6.5 of 14 pixels into the cell"
GEOAWARE_SUMMARY = "GeoAware-SC's: soft-argmax around the best cell of 60x60 with zeros outside the window, per image"
DIFT_SUMMARY = "DIFT's: image stretched, map upsampled to the image, best pixel, error at most the threshold, per image"

SPAIR71K = (
    Protocol(
        name="sd-dino",
        summary=f"{SD_DINO_SUMMARY}; per keypoint, categories weighted by their pairs",
        oracles=CATEGORY,
        settings=CELLS,
        backbone=PRENORM_60,
    ),
    Protocol(
        name="geoaware",
        summary=f"{GEOAWARE_SUMMARY} (window of 11 cells, temperature 0.02, as for its zero-shot rows)",
        oracles=CATEGORY,
        settings=SOFT | {"window": 5},
        backbone=PRENORM_60,
    ),
    Protocol(
        name="dift",
        summary=DIFT_SUMMARY,
        oracles=CATEGORY,
        settings=PIXELS | {"alphas": (0.1,)},
        backbone={"grid": 48},
    ),
    Protocol(
        name="probe3d",
        summary="probe3d's: 58x58 cells, query as if they ended at the image's border, matches at the cells' corners, "
        "200 random pairs a category, plain mean",
        oracles=CATEGORY,
        settings={
            "placing": "corner",
            "margin": 6,
            "fill": 1.0,
            "query": "bilinear-corners",
            "truncate": True,
            "unit_cells": True,
            "candidates": "cells",
            "position": "corner",
            "alphas": (0.1,),
            "average": "keypoint",
            "categories": "macro",
            "pairs": 200,
        },
        backbone={"grid": 58, "tokens": "prenorm"},
    ),
    Protocol(
        name="common3d",
        summary="Common3D's: best of 64x64 points of a 512 canvas, an adapter blended in as its preset says "
        "(paper 0.2, released 0.1), per keypoint, plain mean over categories",
        oracles=CATEGORY,
        settings={
            "placing": "affine",
            "resample": "unsmoothed",
            "canvas": 512,
            "query": "pixel",
            "candidates": "canvas",
            "lattice_side": 64,
            "position": "half-pixel-before",
            "average": "keypoint",
            "categories": "macro",
        },
        backbone={"grid": 32, "tokens": "prenorm", "resize": "unsmoothed"},
    ),
)

PF_PASCAL = (
    Protocol(
        name="mef",
        summary="3DCorrEnhance's: every pixel of the letterboxed canvas, padding included, dot product with the "
        "target's features as they are; per keypoint, categories weighted by their pairs",
        oracles=CATEGORY,
        settings={
            "placing": "letterbox",
            "resample": "lanczos",
            "query": "bilinear",
            "similarity": "dot",
            "candidates": "canvas",
            "lattice": "corners",
            "position": "half-pixel-before",
            "average": "keypoint",
            "categories": "pairs",
            **IMAGE_REFERENCE,
        },
        backbone={"grid": 60, "tokens": "normed"},
    ),
    Protocol(
        name="sd-dino",
        summary=f"{SD_DINO_SUMMARY}; share of the image's longer side",
        oracles=CATEGORY,
        settings=CELLS | IMAGE_REFERENCE,
        backbone=PRENORM_60,
    ),
    Protocol(
        name="geoaware",
        summary=f"{GEOAWARE_SUMMARY} (window of 15 cells); share of the image's longer side",
        oracles=CATEGORY,
        settings=SOFT | IMAGE_REFERENCE | {"window": 7},
        backbone=PRENORM_60,
    ),
)

WILLOW: dict[str, Any] = {
    "placing": "letterbox",
    "resample": "lanczos",
    "query": "bilinear",
    "candidates": "original",
    "position": "centre",
    "inequality": "<=",
    "alphas": (0.1, 0.05, 0.15),
    "average": "image",
    "categories": "pairs",
}
PF_WILLOW = (
    Protocol(
        name="keypoint-box",
        summary="best pixel of the image, cosine; at most alpha of the longer side of the box around the target's "
        "keypoints (Hyperpixel Flow and its successors), per image",
        oracles=CATEGORY,
        settings=WILLOW | {"reference": "keypoints"},
        backbone={"grid": 60},
    ),
    Protocol(
        name="image",
        summary="the same matches; at most alpha of the longer side of the target image",
        oracles=CATEGORY,
        settings=WILLOW | {"reference": "image"},
        backbone={"grid": 60},
    ),
    Protocol(
        name="dift",
        summary=f"{DIFT_SUMMARY}, box around the target's keypoints",
        oracles=CATEGORY,
        settings=PIXELS | {"reference": "keypoints", "alphas": (0.1, 0.05)},
        backbone={"grid": 48},
    ),
)
