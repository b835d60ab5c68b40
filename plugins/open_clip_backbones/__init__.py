"""Image towers of OpenCLIP, as `open-clip:ARCH/PRETRAINED`."""

from __future__ import annotations

from bench3d.contracts import BackboneRegistration, Weights
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[BackboneRegistration]:
    """The family `open-clip:`."""
    return [
        BackboneRegistration(
            name="open-clip:",
            summary="Any OpenCLIP image tower: open-clip:ARCH/PRETRAINED, e.g. open-clip:ViT-B-16/laion2b_s34b_b88k",
            factory="bench3d_plugins.open_clip_backbones.model:create",
            settings="bench3d.features.settings:BackboneSettings",
            citation="Ilharco et al., OpenCLIP, 2021",
            url="https://github.com/mlfoundations/open_clip",
            extras=("open_clip",),
            weights=Weights(source="open_clip", id="{variant}"),
        )
    ]
