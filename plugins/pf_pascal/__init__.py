"""PF-PASCAL (Proposal Flow): reader of the published layout and lists, checks, and the writer of its synthetic twin."""

from __future__ import annotations

from bench3d.contracts import DatasetRegistration, Registration
from bench3d.contracts.registration import Download
from bench3d.plugins import hookimpl

CITATION = (
    "B. Ham, M. Cho, C. Schmid, J. Ponce. Proposal Flow: Semantic Correspondences from Object Proposals. TPAMI 2018."
)
HOW_TO_GET = (
    "Run bench3d data fetch pf-pascal, or link your copy: bench3d data fetch pf-pascal --link FOLDER. By hand: "
    "PF-dataset-PASCAL.zip from https://www.di.ens.fr/willow/research/proposalflow/; into its folder "
    "test_pairs_pf_pascal.csv and val_pairs_pf_pascal.csv from "
    "https://www.di.ens.fr/willow/research/cnngeometric/other_resources/."
)
FOLDER = "PF-dataset-PASCAL"
WILLOW = "https://www.di.ens.fr/willow/research"
DOWNLOADS = (
    Download(url=f"{WILLOW}/proposalflow/dataset/PF-dataset-PASCAL.zip"),
    *(
        Download(url=f"{WILLOW}/cnngeometric/other_resources/{name}_pairs_pf_pascal.csv", unpack=False, into=FOLDER)
        for name in ("test", "val")
    ),
)


@hookimpl
def bench3d_register() -> list[Registration]:
    """The data set."""
    return [
        DatasetRegistration(
            name="pf-pascal",
            summary="PF-PASCAL: image pairs of the 20 PASCAL VOC classes with keypoints (lists of 299 test pairs)",
            factory="bench3d_plugins.pf_pascal.dataset:PFPascal",
            settings="bench3d_plugins.pf_pascal.settings:PFPascalSettings",
            folder=FOLDER,
            categories=(
                "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
                "dog", "horse", "motorcycle", "person", "pottedplant", "sheep", "couch", "train", "tv",
            ),
            how_to_get=HOW_TO_GET,
            licence="research use; images under the terms of PASCAL VOC and Flickr",
            citation=CITATION,
            url="https://www.di.ens.fr/willow/research/proposalflow/",
            synth="bench3d_plugins.pf_pascal.twin:write",
            provides=("keypoint-pairs",),
            downloads=DOWNLOADS,
        )
    ]  # fmt: skip
