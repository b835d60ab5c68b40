"""The model that a fitted shape model becomes: pose, mask and shape by render-and-compare, one template a category."""

from __future__ import annotations

import time
import weakref
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from bench3d.contracts import FeatureMap, FeatureMesh, Given, ImageBatch, Model, PoseEstimate, WeightedMap
from bench3d.errors import CapabilityError
from bench3d.features.fingerprint import digest_of, net_parts, net_tensors
from bench3d.geometry.camera import clip_matrix
from bench3d.morphable.pose import Instance, estimate_pose
from bench3d.morphable.settings import PoseSettings
from bench3d.plugins import renderer_for


class MorphableModel(Model):
    """A base model with one fitted network per category.

    A shape model says what an instance is (`instance_of`) and what its template is (`template`); the rest stands here.
    Where `blend` is over 0, the network's own features stand beside the base's in correspondence, with that weight,
    and `adapt` gives them.

    Args:
        base: the model whose features it was fitted on.
        networks: category -> network.
        settings: of the pose search.
        canvas: side of the crops in pixels.
        device: "cpu" or "cuda".
        name: what a user types for it, for messages.
        blend: weight of the network's features in `features`.
    """

    def __init__(
        self,
        base: Model,
        networks: Mapping[str, nn.Module],
        settings: PoseSettings,
        canvas: int,
        device: str,
        name: str,
        blend: float = 0.0,
    ) -> None:
        self.base = base
        self.networks = {category: network.to(device).eval() for category, network in networks.items()}
        self.settings = settings
        self.device = device
        self.name = name
        self.blend = blend
        self.capabilities = base.capabilities | {"pose", "mask", "shape"}
        self.canvas = canvas
        self.random_weights = base.random_weights
        self._latest: tuple[weakref.ref[torch.Tensor], int, str, Instance] | None = None

    @abstractmethod
    def instance_of(self, maps: torch.Tensor, category: str) -> Instance:
        """Everything that does not depend on the pose, from the base's features (B, C, h, w)."""

    def adapt(self, maps: torch.Tensor, category: str) -> torch.Tensor:
        """The network's own features (B, D, H, W) of length 1; needed where `blend` is over 0."""
        raise TypeError(f"{type(self).__name__} has no features of its own.")

    def network(self, category: str | None) -> Any:
        """The network of a category.

        Raises:
            CapabilityError: no artifact was fitted for it.
        """
        if category is None or category not in self.networks:
            known = ", ".join(sorted(self.networks)) or "none"
            raise CapabilityError(
                f"There is no fitted {self.name} model of category {category!r} (fitted: {known}).",
                f"Train it first: bench3d train --shape-model {self.name} --category NAME.",
            )
        return self.networks[category]

    def features(self, batch: ImageBatch) -> list[WeightedMap]:
        """Base maps, and where the batch has a fitted category the network's map: weights 1 - a and a."""
        maps = self.base.features(batch)
        if self.blend == 0 or batch.category not in self.networks:
            return maps
        source = maps[0].map
        with torch.inference_mode():
            adapted = self.adapt(source.values, batch.category)
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
        weighted = [WeightedMap(m.map, m.weight * (1 - self.blend)) for m in maps]
        return [*weighted, WeightedMap(FeatureMap(adapted, geometry), self.blend)]

    def fingerprint(self, category: str | None = None) -> str | None:
        """Hash of the base model and, where the category was fitted, of its network and the blend."""
        base = self.base.fingerprint(category)
        if base is None or self.blend == 0 or category not in self.networks:
            return base  # then `features` are the base model's as well
        network = self.networks[category]
        parts = {"base": base, "network": net_parts(network), "blend": self.blend}
        return None if parts["network"] is None else digest_of(parts, net_tensors(network))

    def instance(self, batch: ImageBatch, category: str | None) -> Instance:
        """`instance_of` the batch's base features; kept while the batch lives, as pose, mask and shape all want it."""
        self.network(category)
        assert category is not None
        images = batch.images
        if self._latest is not None:
            seen, version, whose, instance = self._latest
            if seen() is images and version == images._version and whose == category:
                return instance
        maps = self.base.features(batch)[0].map.values.to(self.device)
        with torch.inference_mode():
            instance = self.instance_of(maps, category)
        self._latest = None
        if not images.is_inference():  # such tensors do not count their changes
            self._latest = weakref.ref(images), images._version, category, instance
        return instance

    def pose(self, batch: ImageBatch, given: Given) -> PoseEstimate:
        """Render-and-compare with exactly the oracles in `given`; see `pose.estimate_pose`."""
        intrinsics = self._intrinsics(given)
        begun = time.perf_counter()
        instance = self.instance(batch, given.category)
        ready = time.perf_counter()
        estimate = estimate_pose(
            instance,
            batch.valid.to(self.device),
            intrinsics.to(self.device),
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
        """Instance meshes (B, V, 3) in canonical units and faces (F, 3)."""
        instance = self.instance(batch, given.category)
        return instance.vertices, instance.faces

    def instances(self, batch: ImageBatch, given: Given) -> Sequence[FeatureMesh]:
        """Each image's mesh with the category's surface features."""
        found = self.instance(batch, given.category)
        return [FeatureMesh(vertices, found.faces, found.vertex_features) for vertices in found.vertices]

    def mask(self, batch: ImageBatch, given: Given, pose: PoseEstimate) -> torch.Tensor:
        """Antialiased mask (B, h, w) of the instance at `pose`, on the feature grid (protocol page, section 5)."""
        intrinsics = self._intrinsics(given)
        instance = self.instance(batch, given.category)
        h, w = instance.features.shape[2:]
        canvas = batch.images.shape[-1]
        scale = torch.tensor([[w / canvas], [h / canvas], [1.0]], dtype=torch.float64)
        projection = torch.from_numpy(clip_matrix((intrinsics.double().cpu() * scale).numpy(), (w, h)))
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

    def _intrinsics(self, given: Given) -> torch.Tensor:
        if given.intrinsics is None:
            raise CapabilityError(f"{self.name} needs intrinsics: the protocol gives or assumes them.")
        return given.intrinsics
