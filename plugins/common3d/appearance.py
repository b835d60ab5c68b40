"""The appearance losses of stage 2: Common3D's dense one, and the two that Table 6 sets beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from bench3d_plugins.common3d import losses
from bench3d_plugins.common3d.labels import render_features, sample_surface, surface_labels
from bench3d_plugins.common3d.network import Common3DNetwork

if TYPE_CHECKING:
    from bench3d.contracts import Renderer

FINER = 4
"""Visibility is decided on a grid so many times as fine as that of the features."""

HIDDEN = 0.05
"""Canonical units by which the surface in front of a vertex must be nearer for the vertex to be hidden."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A batch before its appearance loss.

    Attributes:
        features: (B, D, h, w) of the images, of length 1.
        vertices: (V, 3) of the template; faces: (F, 3).
        clip: (B, V, 4) the instances' vertices in clip space (its w is the depth along the optical axis).
        valid: (B, R, R) share of each pixel inside the original image.
        generator: on the CPU.
    """

    network: Common3DNetwork
    renderer: Renderer
    features: torch.Tensor
    vertices: torch.Tensor
    faces: torch.Tensor
    clip: torch.Tensor
    valid: torch.Tensor
    generator: torch.Generator

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the features."""
        return self.features.shape[2], self.features.shape[3]


def appearance_loss(scene: Scene) -> torch.Tensor:
    """The loss that the network's settings name, a scalar."""
    kind = scene.network.settings.appearance_loss
    return {"dense": dense, "sparse": sparse, "reconstruction": reconstruction}[kind](scene)


def dense(scene: Scene) -> torch.Tensor:
    """Cross-entropy of every pixel against soft labels of surface samples drawn anew (Eqs. 9 and 10)."""
    network, settings, vertices = scene.network, scene.network.settings, scene.vertices
    chosen = sample_surface(vertices, settings.surface_samples, scene.generator)
    labels = surface_labels(vertices, vertices[chosen], settings.label_sigma)
    classes = torch.cat([network.vertex_features(vertices[chosen]), network.background_feature()[None]])
    target = _rendered(scene, labels @ classes[:-1], classes[-1])
    return losses.appearance(scene.features, target, classes, settings.temperature)


def sparse(scene: Scene) -> torch.Tensor:
    """Cross-entropy at visible vertices and a few background cells, every vertex and the background a class.

    As UOP3D learns its features (protocol page, section 7.2 b): the image's feature is sampled where a visible vertex
    falls, its label is that vertex alone.
    """
    network, settings = scene.network, scene.network.settings
    classes = torch.cat([network.vertex_features(scene.vertices), network.background_feature()[None]])
    seen = visible(scene)
    places = scene.clip[..., :2] / scene.clip[..., 3:].clamp_min(1e-6)
    sampled = F.grid_sample(scene.features, places[:, :, None], padding_mode="border", align_corners=False)
    pixels = torch.cat([sampled[..., 0].transpose(1, 2)[seen], _background_cells(scene)])
    labels = torch.full((len(pixels),), len(classes) - 1, device=pixels.device)
    labels[: int(seen.sum())] = seen.nonzero()[:, 1]
    return F.cross_entropy(pixels @ classes.T / settings.temperature, labels)


def reconstruction(scene: Scene) -> torch.Tensor:
    """Mean squared length of the difference between rendered surface features and those of the image, all pixels.

    Both are of length 1, so that the best pose by this loss and by the score <s, f> agree but for interpolation.
    """
    background = scene.network.background_feature()
    target = _rendered(scene, scene.network.vertex_features(scene.vertices), background)
    return (scene.features.permute(0, 2, 3, 1) - target).square().sum(dim=-1).mean()


@torch.no_grad()
def visible(scene: Scene) -> torch.Tensor:
    """Vertices (B, V) bool that fall into the original image and that no surface hides."""
    height, width = (FINER * side for side in scene.size)
    clip = scene.clip.detach().contiguous()
    raster = scene.renderer.rasterize(clip, scene.faces, (height, width))
    depth = scene.renderer.interpolate(clip[..., 3:], raster, scene.faces)[..., 0]  # 0 where there is no surface
    places = clip[..., :2] / clip[..., 3:].clamp_min(1e-6)
    column = ((places[..., 0] + 1) / 2 * width).floor().long()
    row = ((places[..., 1] + 1) / 2 * height).floor().long()
    inside = (clip[..., 3] > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    cell = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    front = depth.flatten(1).gather(1, cell)
    shown = F.interpolate(scene.valid[:, None], (height, width), mode="nearest")[:, 0].flatten(1).gather(1, cell) >= 0.5
    return inside & shown & ((front == 0) | (clip[..., 3] <= front + HIDDEN))


def _background_cells(scene: Scene) -> torch.Tensor:
    """Features (N, D) of `background_samples` random cells of each image that the mesh leaves empty."""
    raster = scene.renderer.rasterize(scene.clip.detach().contiguous(), scene.faces, scene.size)
    empty = (raster[..., 3] == 0).flatten(1)
    count = min(scene.network.settings.background_samples, empty.shape[1])
    order = torch.rand(empty.shape, generator=scene.generator).to(empty.device).masked_fill(~empty, -1)
    drawn, cells = order.topk(count, dim=1)
    pixels = scene.features.flatten(2).transpose(1, 2)
    return pixels.gather(1, cells[..., None].expand(-1, -1, pixels.shape[2]))[drawn >= 0]


def _rendered(scene: Scene, features: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    raster = scene.renderer.rasterize(scene.clip, scene.faces, scene.size)
    return render_features(scene.renderer, raster, scene.clip, scene.faces, features, background, scene.valid)
