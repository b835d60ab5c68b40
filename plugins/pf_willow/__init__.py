"""PF-WILLOW (Proposal Flow): reader of the published layout, checks, and the writer of its synthetic twin."""

from __future__ import annotations

from bench3d.contracts import DatasetRegistration, Registration
from bench3d.contracts.registration import Download
from bench3d.plugins import hookimpl

CITATION = "B. Ham, M. Cho, C. Schmid, J. Ponce. Proposal Flow. CVPR 2016."
HOW_TO_GET = (
    "Run bench3d data fetch pf-willow, or link your copy: bench3d data fetch pf-willow --link FOLDER. By hand: "
    "PF-dataset.zip from https://www.di.ens.fr/willow/research/proposalflow/; into its folder test_pairs_pf.csv from "
    "https://www.di.ens.fr/willow/research/cnngeometric/other_resources/."
)
FOLDER = "PF-dataset"
WILLOW = "https://www.di.ens.fr/willow/research"
DOWNLOADS = (
    Download(url=f"{WILLOW}/proposalflow/dataset/PF-dataset.zip"),
    Download(url=f"{WILLOW}/cnngeometric/other_resources/test_pairs_pf.csv", unpack=False, into=FOLDER),
)


@hookimpl
def bench3d_register() -> list[Registration]:
    """The data set."""
    return [
        DatasetRegistration(
            name="pf-willow",
            summary="PF-WILLOW: 900 image pairs of cars, ducks, motorcycles and wine bottles with ten keypoints",
            factory="bench3d_plugins.pf_willow.dataset:PFWillow",
            settings="bench3d_plugins.pf_willow.settings:PFWillowSettings",
            folder=FOLDER,
            categories=("car", "duck", "motorcycle", "winebottle"),
            how_to_get=HOW_TO_GET,
            licence="research use; images under their owners' terms",
            citation=CITATION,
            url="https://www.di.ens.fr/willow/research/proposalflow/",
            synth="bench3d_plugins.pf_willow.twin:write",
            provides=("keypoint-pairs",),
            downloads=DOWNLOADS,
        )
    ]
