"""Folders of posed photographs with a nerfstudio `transforms.json`: reader and checks."""

from __future__ import annotations

from bench3d.contracts import DatasetRegistration, Registration
from bench3d.plugins import hookimpl

HOW_TO_GET = (
    "Any folder with nerfstudio's transforms.json (written by ns-process-data, Polycam, Record3D and others) and the "
    "images it names. It needs depth maps (depth_file_path of every frame), a point cloud (ply_file_path) or a COLMAP "
    "model (colmap/sparse/0 or sparse/0) to know which points correspond."
)


@hookimpl
def bench3d_register() -> list[Registration]:
    """The data set."""
    return [
        DatasetRegistration(
            name="posed-images",
            summary="Photographs with cameras in nerfstudio's transforms.json: one set a file",
            factory="bench3d_plugins.posed_images.dataset:PosedImages",
            folder="posed_images",
            provides=("view-sets",),
            recognise="bench3d_plugins.posed_images.layout:recognise",
            how_to_get=HOW_TO_GET,
            licence="that of the photographs",
            citation=(
                "M. Tancik, E. Weber, E. Ng, R. Li, B. Yi, J. Kerr, T. Wang, A. Kristoffersen, J. Austin, K. Salahi, "
                "A. Ahuja, D. McAllister, A. Kanazawa. Nerfstudio: A Modular Framework for Neural Radiance Field "
                "Development. SIGGRAPH 2023."
            ),
            url="https://docs.nerf.studio/quickstart/data_conventions.html",
        )
    ]
