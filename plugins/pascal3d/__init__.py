"""PASCAL3D+ release 1.1: reader of the official layout, checks, and the writer of its synthetic twin."""

from __future__ import annotations

from bench3d.contracts import DatasetRegistration, Registration
from bench3d.plugins import hookimpl

CITATION = (
    "Y. Xiang, R. Mottaghi, S. Savarese. Beyond PASCAL: A Benchmark for 3D Object Detection in the Wild. WACV 2014."
)
HOW_TO_GET = (
    "Download PASCAL3D+_release1.1.zip (7.5 GB) from https://cvgl.stanford.edu/projects/pascal3d.html, which points to "
    "ftp://cs.stanford.edu/cs/cvgl/PASCAL3D+_release1.1.zip, and unpack it (or link your copy)."
)


@hookimpl
def bench3d_register() -> list[Registration]:
    """The data set."""
    return [
        DatasetRegistration(
            name="pascal3d",
            summary="PASCAL3D+ 1.1: ImageNet images of rigid objects with viewpoint, box and CAD model",
            factory="bench3d_plugins.pascal3d.dataset:Pascal3D",
            folder="PASCAL3D+_release1.1",
            categories=(
                "aeroplane", "bicycle", "boat", "bottle", "bus", "car", "chair", "couch", "diningtable", "motorcycle",
                "train", "tv",
            ),
            bytes=7_500_000_000,
            how_to_get=HOW_TO_GET,
            licence="research use; images under the terms of ImageNet and Flickr",
            citation=CITATION,
            url="https://cvgl.stanford.edu/projects/pascal3d.html",
            synth="bench3d_plugins.pascal3d.twin:write",
        )
    ]  # fmt: skip
