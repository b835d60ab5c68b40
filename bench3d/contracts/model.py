"""What a task sees: dense features, and where a shape model adds them, pose, mask and shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench3d.errors import CapabilityError

if TYPE_CHECKING:
    import torch

    from bench3d.contracts.data import ImageBatch
    from bench3d.contracts.features import WeightedMap


@dataclass
class Given:
    """The oracles of the protocol, and nothing else: a field is None unless the protocol names it.

    Attributes:
        category: canonical category name, which chooses the shape model's artifact.
        intrinsics: (B, 3, 3) in pixels of `batch.images`. Under `box2d` this is the protocol's assumed camera.
        translation: (B, 3) object origin in the camera, canonical units.
        box: (B, 4) x0, y0, x1, y1 in pixels of `batch.images`.
        rotation: (B, 3, 3) only for diagnostics (`refine from ground truth`), never in a published protocol.
        depth: (B, H, W) z along the optical axis in canonical units at the pixel centres of `batch.images`, 0 where
            there is no object; only for a model that asks for it (`Model.oracles`).
    """

    category: str | None = None
    intrinsics: torch.Tensor | None = None
    translation: torch.Tensor | None = None
    box: torch.Tensor | None = None
    rotation: torch.Tensor | None = None
    depth: torch.Tensor | None = None


@dataclass
class PoseEstimate:
    """Poses of a batch.

    Attributes:
        rotation: (B, 3, 3) object to OpenCV camera.
        translation: (B, 3) canonical units.
        score: (B,) higher is better; comparable only between poses of one image.
        start_rotation: (B, 3, 3) best start before refinement, where there was one.
        extra: further per-sample values (B,) for the sidecar.
    """

    rotation: torch.Tensor
    translation: torch.Tensor
    score: torch.Tensor
    start_rotation: torch.Tensor | None = None
    extra: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class FeatureMesh:
    """A mesh with a feature per vertex, in canonical units (x left, y back, z up).

    Attributes:
        vertices: (V, 3) float32; faces: (F, 3) int32, counter-clockwise from outside.
        features: (V, D) float32, None where the model has none.
    """

    vertices: torch.Tensor
    faces: torch.Tensor
    features: torch.Tensor | None = None


class Model:
    """Base of every model. A backbone overrides `features`; a shape model adds what `capabilities` names.

    Attributes:
        capabilities: subset of {"features", "pose", "mask", "shape"}.
        canvas: side in pixels of the square crops the model wants, None for any size.
        random_weights: True where the weights are random; every record then says so.
        oracles: what a model needs beside any protocol's oracles, such as {"depth"}; as its registration says.
    """

    capabilities: frozenset[str] = frozenset({"features"})
    canvas: int | None = None
    random_weights: bool = False
    oracles: frozenset[str] = frozenset()

    def features(self, batch: ImageBatch) -> list[WeightedMap]:
        """Dense float32 features of a batch, usually one map."""
        raise CapabilityError(f"{type(self).__name__} gives no features.")

    def fingerprint(self, category: str | None = None) -> str | None:
        """Hash of everything that decides `features`: weights, layer, preprocessing, adapters (of a category).

        None, the default, keeps the features out of every cache.
        """
        return None

    def pose(self, batch: ImageBatch, given: Given) -> PoseEstimate:
        """Object pose, from the image and exactly the oracles in `given`."""
        raise CapabilityError(f"{type(self).__name__} estimates no pose.", "Add a shape model (--shape-model).")

    def shape(self, batch: ImageBatch, given: Given) -> tuple[torch.Tensor, torch.Tensor]:
        """Instance meshes: vertices (B, V, 3) in canonical units and faces (F, 3)."""
        raise CapabilityError(f"{type(self).__name__} has no shape.", "Add a shape model (--shape-model).")

    def template(self, category: str) -> FeatureMesh:
        """The category's template with its surface features."""
        raise CapabilityError(f"{type(self).__name__} has no template.", "Add a shape model that has one.")

    def instances(self, batch: ImageBatch, given: Given) -> Sequence[FeatureMesh]:
        """Each image's own mesh with the surface features of its category."""
        raise CapabilityError(f"{type(self).__name__} has no shape.", "Add a shape model that has one.")

    def walk(self, category: str, direction: int, sigmas: Sequence[float]) -> Sequence[FeatureMesh]:
        """Meshes along a principal direction of the training latents, `sigmas` standard deviations from their mean.

        Raises:
            UsageError: there are fewer directions.
        """
        raise CapabilityError(f"{type(self).__name__} has no latent space.", "Add a shape model that has one.")

    def mask(self, batch: ImageBatch, given: Given, pose: PoseEstimate) -> torch.Tensor:
        """Soft amodal object masks (B, h, w) in [0, 1] on the model's score grid, at `pose`."""
        raise CapabilityError(f"{type(self).__name__} gives no mask.", "Add a shape model (--shape-model).")

    def describe(self) -> dict[str, Any]:
        """Facts for the record: parameters, patch, weights digest, ..."""
        return {}
