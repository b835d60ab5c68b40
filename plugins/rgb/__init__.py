"""Floor without weights: the mean colour of each cell."""

from __future__ import annotations

from bench3d.contracts import BackboneRegistration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[BackboneRegistration]:
    """The backbone `rgb`."""
    return [
        BackboneRegistration(
            name="rgb",
            summary="Mean colour per cell: a floor without weights",
            factory="bench3d_plugins.rgb.model:create",
            settings="bench3d.features.settings:InputSettings",
            licence="Apache-2.0",
            params=0,
            patch=8,
            dim=3,
            input_size=256,
        )
    ]
