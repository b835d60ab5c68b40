"""The model a task sees: the base's features, pose, mask and shape by category."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from bench3d.contracts import FeatureMesh, Model
from bench3d.morphable.model import MorphableModel
from bench3d.morphable.pose import Instance
from bench3d_plugins.uop3d.network import UOP3DNetwork
from bench3d_plugins.uop3d.settings import UOP3DSettings


class UOP3DModel(MorphableModel):
    """A base model with one fitted rigid model per category."""

    def __init__(self, base: Model, networks: Mapping[str, UOP3DNetwork], settings: UOP3DSettings, device: str) -> None:
        super().__init__(base, networks, settings, settings.canvas, device, "uop3d", settings.blend)

    def adapt(self, maps: torch.Tensor, category: str) -> torch.Tensor:
        """The head's features."""
        adapted: torch.Tensor = self.network(category).adapt(maps)
        return adapted

    def instance_of(self, maps: torch.Tensor, category: str) -> Instance:
        """The head's features and the rigid mesh."""
        found: Instance = self.network(category).instance(maps)
        return found

    def template(self, category: str) -> FeatureMesh:
        """The category's mesh with its vertex features."""
        mesh: FeatureMesh = self.network(category).mesh()
        return mesh
