"""OnePose-LowTexture: reader of the published layout with its SfM outputs, checks, and the writer of its twin."""

from __future__ import annotations

from bench3d.contracts import DatasetRegistration, Registration
from bench3d.plugins import hookimpl

CITATION = (
    "X. He, J. Sun, Y. Wang, D. Huang, H. Bao, X. Zhou. OnePose++: Keypoint-Free One-Shot Object Pose Estimation "
    "without CAD Models. NeurIPS 2022."
)
HOW_TO_GET = (
    "Get lowtexture_test_data from the links in https://github.com/zju3dv/OnePose_Plus_Plus (README, data), and make "
    "the SfM outputs with its run.py (+preprocess=sfm_inference_lowtexture.yaml). Put lowtexture_test_data and "
    "sfm_output side by side into a folder and link it: bench3d data fetch onepose-lowtexture --link FOLDER."
)


@hookimpl
def bench3d_register() -> list[Registration]:
    """The data set."""
    return [
        DatasetRegistration(
            name="onepose-lowtexture",
            summary="OnePose-LowTexture: 40 objects, a reference and a test video each, with poses and SfM points",
            factory="bench3d_plugins.onepose.dataset:OnePoseLowTexture",
            settings="bench3d_plugins.onepose.settings:OnePoseSettings",
            folder="onepose_lowtexture",
            provides=("one-shot-objects", "view-sets"),
            recognise="bench3d_plugins.onepose.layout:recognise",
            registration_required=False,
            how_to_get=HOW_TO_GET,
            licence="that of OnePose++'s authors: research use; the code that makes the SfM outputs is Apache-2.0",
            citation=CITATION,
            url="https://github.com/zju3dv/OnePose_Plus_Plus/blob/main/doc/dataset_document.md",
            synth="bench3d_plugins.onepose.twin:write",
        )
    ]
