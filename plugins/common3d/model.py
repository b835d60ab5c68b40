"""The model a task sees: base features blended with the adapter's, pose, mask and shape by category."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from bench3d.contracts import FeatureMap, Given, ImageBatch, Model, PoseEstimate, WeightedMap
from bench3d.errors import CapabilityError
from bench3d.features.fingerprint import digest_of, net_parts, net_tensors
from bench3d.geometry.camera import clip_matrix
from bench3d.plugins import renderer_for
from bench3d_plugins.common3d.network import Common3DNetwork
from bench3d_plugins.common3d.pose import estimate_pose
from bench3d_plugins.common3d.settings import Common3DSettings


@dataclass
class Instance:
    """What the network says of a batch before any pose: adapted features, deformed mesh, vertex features."""

    features: torch.Tensor  # (B, D, h, w), unit length per cell
    vertices: torch.Tensor  # (B, V, 3), canonical units
    faces: torch.Tensor  # (F, 3) int32
    vertex_features: torch.Tensor  # (V, D), unit length
    background: torch.Tensor  # (D,), unit length


class Common3DModel(Model):
    """A base model with one fitted 3D morphable model per category."""

    def __init__(
        self, base: Model, networks: Mapping[str, Common3DNetwork], settings: Common3DSettings, device: str
    ) -> None:
        self.base = base
        self.networks = {category: network.to(device).eval() for category, network in networks.items()}
        self.settings = settings
        self.device = device
        self.capabilities = base.capabilities | {"pose", "mask", "shape"}
        self.canvas = settings.canvas
        self.random_weights = base.random_weights

    def network(self, category: str | None) -> Common3DNetwork:
        """The network of a category.

        Raises:
            CapabilityError: no artifact was fitted for it.
        """
        if category is None or category not in self.networks:
            known = ", ".join(sorted(self.networks)) or "none"
            raise CapabilityError(
                f"There is no fitted common3d model of category {category!r} (fitted: {known}).",
                "Train it first: bench3d train --shape-model common3d --category NAME.",
            )
        return self.networks[category]

    def features(self, batch: ImageBatch) -> list[WeightedMap]:
        """Base maps, and where the batch has a fitted category the adapter's map: weights 1 - a and a."""
        maps = self.base.features(batch)
        if batch.category not in self.networks:
            return maps
        source = maps[0].map
        with torch.inference_mode():
            adapted = self.networks[batch.category].adapt(source.values)
        ratio_x = adapted.shape[3] / source.values.shape[3]
        ratio_y = adapted.shape[2] / source.values.shape[2]
        geometry = tuple(
            g.with_grid(
                (adapted.shape[3], adapted.shape[2]),
                ((g.stride or (1, 1))[0] / ratio_x, (g.stride or (1, 1))[1] / ratio_y),
                g.origin,
            )
            for g in source.geometry
        )
        blend = self.settings.blend
        weighted = [WeightedMap(m.map, m.weight * (1 - blend)) for m in maps]
        return [*weighted, WeightedMap(FeatureMap(adapted, geometry), blend)]

    def fingerprint(self, category: str | None = None) -> str | None:
        """Hash of the base model and, where the category was fitted, of its network and the blend."""
        base = self.base.fingerprint(category)
        if base is None or category not in self.networks:
            return base  # then `features` are the base model's as well
        network = self.networks[category]
        parts = {"base": base, "network": net_parts(network), "blend": self.settings.blend}
        return None if parts["network"] is None else digest_of(parts, net_tensors(network))

    def instance(self, batch: ImageBatch, category: str | None) -> Instance:
        """Everything that does not depend on the pose, computed once per image."""
        network = self.network(category)
        maps = self.base.features(batch)[0].map.values.to(self.device)
        with torch.inference_mode():
            vertices, faces = network.template()
            return Instance(
                features=network.adapt(maps),
                vertices=network.deform(vertices, network.latent(maps)),
                faces=faces,
                vertex_features=network.vertex_features(vertices),
                background=network.background_feature(),
            )

    def pose(self, batch: ImageBatch, given: Given) -> PoseEstimate:
        """Render-and-compare with exactly the oracles in `given`; see `pose.estimate_pose`."""
        if given.intrinsics is None:
            raise CapabilityError("common3d needs intrinsics: the protocol gives or assumes them.")
        begun = time.perf_counter()
        instance = self.instance(batch, given.category)
        ready = time.perf_counter()
        estimate = estimate_pose(
            instance.features,
            batch.valid.to(self.device),
            instance.vertices,
            instance.faces,
            instance.vertex_features,
            instance.background,
            given.intrinsics.to(self.device),
            batch.images.shape[-1],
            given.translation,
            self.settings,
            rotation=given.rotation,
            box=given.box,
            renderer=None if self.device == "cpu" else renderer_for(self.device),
        )
        estimate.extra["features_ms"] = torch.full((len(batch),), 1e3 * (ready - begun) / len(batch))
        return estimate

    def shape(self, batch: ImageBatch, given: Given) -> tuple[torch.Tensor, torch.Tensor]:
        """Deformed meshes (B, V, 3) in canonical units and faces (F, 3)."""
        instance = self.instance(batch, given.category)
        return instance.vertices, instance.faces

    def template(self, category: str) -> tuple[torch.Tensor, torch.Tensor]:
        """The category's template: vertices (V, 3) in canonical units and faces (F, 3)."""
        with torch.inference_mode():
            return self.network(category).template()

    def mask(self, batch: ImageBatch, given: Given, pose: PoseEstimate) -> torch.Tensor:
        """Antialiased mask (B, h, w) of the deformed mesh at `pose`, on the feature grid (protocol page, section 5)."""
        if given.intrinsics is None:
            raise CapabilityError("common3d needs intrinsics: the protocol gives or assumes them.")
        instance = self.instance(batch, given.category)
        h, w = instance.features.shape[2:]
        canvas = batch.images.shape[-1]
        scale = torch.tensor([[w / canvas], [h / canvas], [1.0]], dtype=torch.float64)
        projection = torch.from_numpy(clip_matrix((given.intrinsics.double().cpu() * scale).numpy(), (w, h)))
        camera = instance.vertices @ pose.rotation.transpose(1, 2).to(instance.vertices)
        camera = camera + pose.translation.to(camera)[:, None]
        homogeneous = torch.cat([camera, torch.ones_like(camera[..., :1])], dim=-1)
        clip = homogeneous @ projection.to(camera).transpose(1, 2)
        renderer = renderer_for(self.device)
        raster = renderer.rasterize(clip, instance.faces, (h, w))
        covered = (raster[..., 3:] > 0).to(clip)
        return renderer.antialias(covered, raster, clip, instance.faces)[..., 0]

    def describe(self) -> dict[str, Any]:
        """The base model's facts and the number of parameters per category that a fit trained."""
        fitted = {c: sum(p.numel() for p in n.parameters()) for c, n in self.networks.items()}
        return {**self.base.describe(), "shape_model_params": fitted}
