"""The model a task sees: base features blended with the adapter's, pose, mask and shape by category."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from bench3d.contracts import FeatureMesh, Model
from bench3d.morphable.model import MorphableModel
from bench3d.morphable.pose import Instance
from bench3d_plugins.common3d.network import Common3DNetwork
from bench3d_plugins.common3d.settings import Common3DSettings


class Common3DModel(MorphableModel):
    """A base model with one fitted 3D morphable model per category."""

    def __init__(
        self, base: Model, networks: Mapping[str, Common3DNetwork], settings: Common3DSettings, device: str
    ) -> None:
        super().__init__(base, networks, settings, settings.canvas, device, "common3d", settings.blend)

    def adapt(self, maps: torch.Tensor, category: str) -> torch.Tensor:
        """The adapter's features."""
        adapted: torch.Tensor = self.network(category).adapt(maps)
        return adapted

    def instance_of(self, maps: torch.Tensor, category: str) -> Instance:
        """Adapted features and the deformed template."""
        return self.network(category).instance(maps)

    def template(self, category: str) -> FeatureMesh:
        """The category's template with its surface features."""
        network = self.network(category)
        with torch.inference_mode():
            vertices, faces = network.template()
            return FeatureMesh(vertices, faces, network.vertex_features(vertices))
