"""Objaverse renderings, 42 views an object: reader, checks, the synthetic twin, and renderings of one's own meshes."""

from __future__ import annotations

from bench3d.contracts import DatasetRegistration, Registration
from bench3d.plugins import hookimpl

CITATION = (
    "Y. You, Y. Li, C. Deng, Y. Wang, L. Guibas. Multiview Equivariance Improves 3D Correspondence Understanding with "
    "Minimal Feature Finetuning. ICLR 2025. Objects: M. Deitke et al. Objaverse: A Universe of Annotated 3D Objects. "
    "CVPR 2023."
)
HOW_TO_GET = (
    "Get the renderings of https://github.com/qq456cvb/3DCorrEnhance, or make them of textured meshes: bench3d data "
    "render objaverse MESH... One folder an object holds color_%06d.png, depth_%06d.png (16-bit millimetres, object "
    "unit = 1000) and mask_%06d.png."
)


@hookimpl
def bench3d_register() -> list[Registration]:
    """The data set."""
    return [
        DatasetRegistration(
            name="objaverse-renderings",
            summary="Objaverse objects rendered from 42 directions of a sphere, with depth and mask",
            factory="bench3d_plugins.objaverse.dataset:Objaverse",
            folder="objaverse_renderings",
            provides=("view-sets",),
            recognise="bench3d_plugins.objaverse.layout:recognise",
            how_to_get=HOW_TO_GET,
            licence="ODC-By 1.0; each object under the Creative Commons licence of its author",
            citation=CITATION,
            url="https://github.com/qq456cvb/3DCorrEnhance",
            synth="bench3d_plugins.objaverse.twin:write",
            render="bench3d_plugins.objaverse.meshes:write",
        )
    ]
