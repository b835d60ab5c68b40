"""MVImgNet, and any other COLMAP project: photographs of an object with the tracks of a sparse model."""

from __future__ import annotations

from bench3d.contracts import DatasetRegistration, Registration
from bench3d.plugins import hookimpl

HOW_TO_GET = (
    "Fill in the form of https://github.com/GAP-LAB-CUHK-SZ/MVImgNet to get the download links and password, and "
    "unpack into this folder: <class>/<instance>/images and <class>/<instance>/sparse/0 (or link your copy). A COLMAP "
    "project of your own (images/ and sparse/0/*.bin) is read as well."
)


@hookimpl
def bench3d_register() -> list[Registration]:
    """The data set."""
    return [
        DatasetRegistration(
            name="mvimgnet",
            summary="MVImgNet (or any COLMAP project): photographs around an object, with the tracks of a sparse model",
            factory="bench3d_plugins.mvimgnet.dataset:MVImgNet",
            folder="mvimgnet",
            provides=("view-sets",),
            recognise="bench3d_plugins.mvimgnet.layout:recognise",
            bytes=3_400_000_000_000,
            registration_required=True,
            how_to_get=HOW_TO_GET,
            licence="that of the form which gives access; non-commercial research",
            citation=(
                "X. Yu, M. Xu, Y. Zhang, H. Liu, C. Ye, Y. Wu, Z. Yan, C. Zhu, Z. Xiong, T. Liang, G. Chen, S. Cui, "
                "X. Han. MVImgNet: A Large-scale Dataset of Multi-view Images. CVPR 2023."
            ),
            url="https://github.com/GAP-LAB-CUHK-SZ/MVImgNet",
        )
    ]
