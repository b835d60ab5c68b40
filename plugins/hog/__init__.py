"""Floor without weights: dense histograms of oriented gradients."""

from __future__ import annotations

from bench3d.contracts import BackboneRegistration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[BackboneRegistration]:
    """The backbone `hog`."""
    return [
        BackboneRegistration(
            name="hog",
            summary="Dense histograms of oriented gradients at three scales: a floor without weights",
            factory="bench3d_plugins.hog.model:create",
            settings="bench3d_plugins.hog.settings:HogSettings",
            licence="Apache-2.0",
            citation="Dalal and Triggs, CVPR 2005; Felzenszwalb et al., TPAMI 2010",
            params=0,
            patch=8,
            dim=93,
            input_size=256,
        )
    ]
