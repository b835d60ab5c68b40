"""Floor that knows nothing: white noise for features, what chance looks like through the whole pipeline."""

from __future__ import annotations

from bench3d.contracts import BackboneRegistration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[BackboneRegistration]:
    """The backbone `noise`."""
    return [
        BackboneRegistration(
            name="noise",
            summary="White noise of every image's own: a floor that knows nothing",
            factory="bench3d_plugins.noise.model:create",
            settings="bench3d_plugins.noise.settings:NoiseSettings",
            licence="Apache-2.0",
            params=0,
            patch=8,
            dim=64,
            input_size=256,
        )
    ]
