"""CO3D v2: reader of the official layout, alignment of its sequences, checks, and the writer of its synthetic twin."""

from __future__ import annotations

from bench3d.contracts import DatasetRegistration, Registration
from bench3d.plugins import hookimpl
from bench3d_plugins.co3d.downloads import downloads

CITATION = (
    "J. Reizenstein, R. Shapovalov, P. Henzler, L. Sbordone, P. Labatut, D. Novotny. Common Objects in 3D: "
    "Large-Scale Learning and Evaluation of Real-life 3D Category Reconstruction. ICCV 2021."
)
FOLDER = "co3d"
CATEGORIES = (
    "backpack", "bench", "bicycle", "bus", "car", "cellphone", "chair", "couch", "cup", "hairdryer", "keyboard",
    "laptop", "microwave", "motorcycle", "mouse", "remote", "suitcase", "toaster", "toilet", "tv",
)  # fmt: skip
"""Those that PASCAL3D+ or ObjectNet3D have as well, of CO3D's 51; the generator knows seven of them."""

HOW_TO_GET = (
    "Run bench3d data fetch co3d --category NAME for the categories you need (each is tens to hundreds of GB), or link "
    "your copy: bench3d data fetch co3d --link FOLDER."
)


@hookimpl
def bench3d_register() -> list[Registration]:
    """The data set."""
    return [
        DatasetRegistration(
            name="co3d",
            summary="CO3D v2: object-centred videos with cameras, masks, depth and point clouds",
            factory="bench3d_plugins.co3d.dataset:CO3D",
            settings="bench3d_plugins.co3d.settings:CO3DSettings",
            folder=FOLDER,
            provides=("sequences", "view-sets"),
            recognise="bench3d_plugins.co3d.names:recognise",
            categories=CATEGORIES,
            bytes=5_500_000_000_000,
            how_to_get=HOW_TO_GET,
            licence="CC BY-NC 4.0",
            citation=CITATION,
            url="https://github.com/facebookresearch/co3d",
            synth="bench3d_plugins.co3d.twin:write",
            prepare="bench3d_plugins.co3d.prepare:prepare",
            align="bench3d_plugins.co3d.align:CO3DAligner",
            downloads=downloads(FOLDER),
        )
    ]
