"""The model a task sees: base features blended with the adapter's, pose, mask and shape by category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from bench3d.contracts import FeatureMesh, Model
from bench3d.errors import CapabilityError, UsageError
from bench3d.morphable.model import MorphableModel
from bench3d.morphable.pose import Instance
from bench3d_plugins.common3d.network import Common3DNetwork
from bench3d_plugins.common3d.settings import Common3DSettings


class Common3DModel(MorphableModel):
    """A base model with one fitted 3D morphable model per category."""

    def __init__(
        self, base: Model, networks: Mapping[str, Common3DNetwork], settings: Common3DSettings, device: str
    ) -> None:
        blend = settings.blend if settings.adapter else 0.0  # without an adapter both maps would be the base's
        super().__init__(base, networks, settings, settings.canvas, device, "common3d", blend)

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

    def walk(self, category: str, direction: int, sigmas: Sequence[float]) -> list[FeatureMesh]:
        """Meshes along a principal direction (from 0) of the latents of the training instances, from their mean.

        Raises:
            CapabilityError: the template is rigid, or the fit kept no latents.
            UsageError: there are fewer directions.
        """
        network = self.network(category)
        if network.deformation is None:
            raise CapabilityError(f"common3d of {category} was fitted without instance deformation: it has no latents.")
        if len(network.latent_mean) == 0:
            raise CapabilityError(
                f"The fit of common3d for {category} was made before latents were kept.",
                "Train it again: bench3d train --shape-model common3d ... --force.",
            )
        count = len(network.latent_deviations)
        if not 0 <= direction < count:
            few = f"has {count} direction{'' if count == 1 else 's'}"
            raise UsageError(f"The latent space of {category} {few}; there is no number {direction + 1}.")
        with torch.inference_mode():
            vertices, faces = network.template()
            steps = torch.tensor(list(sigmas)).to(vertices)[:, None] * network.latent_deviations[direction]
            latents = network.latent_mean + steps * network.latent_directions[direction]
            features = network.vertex_features(vertices)
            return [FeatureMesh(moved, faces, features) for moved in network.deform(vertices, latents)]
