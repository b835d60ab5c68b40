"""SPair-71k: reader of the published layout, checks, and the writer of its synthetic twin."""

from __future__ import annotations

from bench3d.contracts import DatasetRegistration, Registration
from bench3d.contracts.registration import Download
from bench3d.plugins import hookimpl

CITATION = (
    "J. Min, J. Lee, J. Ponce, M. Cho. SPair-71k: A Large-scale Benchmark for Semantic Correspondence. "
    "arXiv:1908.10543, 2019."
)
HOW_TO_GET = (
    "Run bench3d data fetch spair71k, or link your copy: bench3d data fetch spair71k --link FOLDER. By hand: "
    "SPair-71k.tar.gz from http://cvlab.postech.ac.kr/research/SPair-71k/."
)
ARCHIVE = "https://cvlab.postech.ac.kr/research/SPair-71k/data/SPair-71k.tar.gz"


@hookimpl
def bench3d_register() -> list[Registration]:
    """The data set."""
    return [
        DatasetRegistration(
            name="spair71k",
            summary="SPair-71k: 70,958 image pairs of 18 categories with semantic keypoints",
            factory="bench3d_plugins.spair71k.dataset:SPair71k",
            settings="bench3d_plugins.spair71k.settings:SPair71kSettings",
            folder="SPair-71k",
            categories=(
                "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dog", "horse",
                "motorcycle", "person", "pottedplant", "sheep", "train", "tv",
            ),
            bytes=226_961_117,
            how_to_get=HOW_TO_GET,
            licence="research use; images under the terms of PASCAL VOC, PASCAL3D+ and Flickr",
            citation=CITATION,
            url="http://cvlab.postech.ac.kr/research/SPair-71k/",
            synth="bench3d_plugins.spair71k.twin:write",
            provides=("keypoint-pairs",),
            downloads=(Download(url=ARCHIVE),),
        )
    ]  # fmt: skip
