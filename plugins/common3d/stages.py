"""The two training stages as trainables of `bench3d.fit`: first the template, then appearance and deformation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from bench3d.morphable.pool import ViewPool
from bench3d.morphable.stage import Loss, Stage, to_clip
from bench3d.morphable.views import ViewBatch
from bench3d.render.operators import unique_edges
from bench3d_plugins.common3d import losses
from bench3d_plugins.common3d.appearance import Scene, appearance_loss
from bench3d_plugins.common3d.network import Common3DNetwork
from bench3d_plugins.common3d.settings import Common3DSettings

if TYPE_CHECKING:
    from bench3d.contracts import Renderer
    from bench3d.morphable.validation import Validator

LEAST_INSIDE = 8  # grid vertices that must stay inside the surface


@dataclass
class Workshop:
    """What both stages share.

    Attributes:
        clouds: a cloud (N, 3) for every training sequence.
    """

    network: Common3DNetwork
    settings: Common3DSettings
    pool: ViewPool
    clouds: Sequence[torch.Tensor]
    renderer: Renderer
    seed: int


class WorkshopStage(Stage):
    """A stage with the losses that both have."""

    network: Common3DNetwork
    settings: Common3DSettings

    def __init__(
        self, shop: Workshop, iterations: int, batch: int, rate: float, parameters: Sequence[dict[str, Any]]
    ) -> None:
        super().__init__(shop.network, shop.pool, shop.settings, shop.seed, iterations, batch, rate, parameters)
        self.shop = shop

    def _chamfer(self, meshes: Sequence[torch.Tensor], views: ViewBatch, generator: torch.Generator) -> torch.Tensor:
        """Mean chamfer between each mesh's vertices (V, 3) and fresh points of its view's sequence."""
        terms = []
        for vertices, sequence in zip(meshes, views.sequences, strict=False):
            cloud = self.shop.clouds[sequence]
            chosen = torch.randint(len(cloud), (self.settings.chamfer_points,), generator=generator)
            terms.append(losses.chamfer(vertices, cloud[chosen].to(vertices)))
        return torch.stack(terms).mean()

    def _silhouettes(self, vertices: torch.Tensor, faces: torch.Tensor, views: ViewBatch) -> torch.Tensor:
        """Antialiased silhouettes (B, R, R) of meshes (B or 1, V, 3) in the first B views."""
        clip = to_clip(vertices, views.projection)
        size = self.settings.render_size
        raster = self.shop.renderer.rasterize(clip, faces, (size, size))
        covered = (raster[..., 3:] > 0).to(raster.dtype)
        return self.shop.renderer.antialias(covered, raster, clip, faces)[..., 0]

    def _silhouette_losses(self, silhouettes: torch.Tensor, views: ViewBatch) -> dict[str, Loss]:
        count = len(silhouettes)
        settings = self.settings
        return {
            "mask": (
                settings.weight_mask,
                losses.mask_error(silhouettes, views.mask[:count], views.valid[:count]),
            ),
            "mdt": (settings.weight_distance, losses.mask_distance(silhouettes, views.distance[:count])),
        }


class TemplateStage(WorkshopStage):
    """Stage 1: the signed distances alone, from chamfer, mask, mask-distance and Eikonal losses.

    A large step can leave no point inside the surface, and no mesh means no gradient that would bring it back. Such a
    step is taken back, Adam starts afresh at half the rate, and `rescued` counts it.
    """

    name = "template"
    with_features = False

    def __init__(self, shop: Workshop, iterations: int) -> None:
        settings = shop.settings
        batch, rate = (
            settings.template_batch or settings.batch,
            settings.template_learning_rate or settings.learning_rate,
        )
        groups = [{"params": list(shop.network.signed_distance.parameters()), "share": 1.0}]
        super().__init__(shop, iterations, batch, rate, groups)
        self.rescued = 0

    def step(self, iteration: int) -> Mapping[str, float]:
        """See `Stage.step`; `rescued` stands among the values once it has happened."""
        field = self.network.signed_distance
        before = {name: value.clone() for name, value in field.state_dict().items()}
        values = super().step(iteration)
        with torch.no_grad():
            inside = int((field(self.network.marching.vertices) < 0).sum())
        if inside < LEAST_INSIDE:
            field.load_state_dict(before)
            self.optimiser.state.clear()
            self.rate /= 2
            self.rescued += 1
        return {**values, "rescued": self.rescued} if self.rescued else values

    def state(self) -> Any:
        """Also the rate, which a rescue halves."""
        return {**super().state(), "rate": self.rate, "rescued": self.rescued}

    def load_state(self, state: Any) -> None:
        """Continues from `state`."""
        super().load_state(state)
        self.rate, self.rescued = float(state["rate"]), int(state["rescued"])

    def losses(self, views: ViewBatch, generator: torch.Generator) -> dict[str, Loss]:
        """Chamfer, mask, mask-distance and Eikonal losses of the jittered template."""
        settings = self.settings
        vertices, faces = self.network.extract(grid_shift(settings, generator, views.mask.device))
        silhouettes = self._silhouettes(vertices[None], faces, views)
        points = losses.eikonal_points(
            vertices, settings.eikonal_points, settings.grid_extent, settings.grid_jitter, generator
        )
        return {
            "cd": (settings.weight_chamfer, self._chamfer([vertices] * len(views.sequences), views, generator)),
            **self._silhouette_losses(silhouettes, views),
            "sdf": (settings.weight_eikonal, losses.eikonal(self.network.signed_distance, points)),
        }


class AppearanceStage(WorkshopStage):
    """Stage 2: adapter, surface features, background, latent encoder and deformation; the template stays.

    Its Eikonal loss would have no effect (the signed distances are frozen) and is left out.
    """

    name = "appearance"
    with_features = True

    def __init__(self, shop: Workshop, iterations: int, validator: Validator | None) -> None:
        shop.network.freeze_template()
        network, settings = shop.network, shop.settings
        shaping = (network.deformation, network.latent_encoder)
        shape = [p for part in shaping if part is not None for p in part.parameters()]
        mine = {id(p) for p in shape}
        rest = [p for p in network.parameters() if p.requires_grad and id(p) not in mine]
        share = (settings.deformation_learning_rate or settings.learning_rate) / settings.learning_rate
        groups = [{"params": rest, "share": 1.0}, {"params": shape, "share": share}]
        super().__init__(shop, iterations, settings.batch, settings.learning_rate, groups)
        self.validator = validator
        self._edges: torch.Tensor | None = None

    def evaluate(self) -> float | None:
        """Held-out pose accuracy; None where nothing is held out."""
        if self.validator is None:
            return None
        self.network.eval()
        return self.validator.score(self.network.instance)

    def losses(self, views: ViewBatch, generator: torch.Generator) -> dict[str, Loss]:
        """Appearance loss of all images, geometry losses of the first `geometry_images` of them."""
        settings, network = self.settings, self.network
        assert views.features is not None
        vertices, faces, edges = self._mesh(views, generator)
        with torch.autocast(views.mask.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
            features, latent = network.adapt(views.features), network.latent(views.features)
        if latent is None:  # rigid: no geometry loss has anything left to move
            deformed = vertices.expand(len(features), -1, -1)
            return {"app": self._appearance(features.float(), vertices, faces, deformed, views, generator)}
        deformed = self._deform(vertices, latent.float())
        count = min(settings.geometry_images or len(deformed), len(deformed))
        moving = deformed[:count]
        return {
            "app": self._appearance(features.float(), vertices, faces, deformed, views, generator),
            "cd": (settings.weight_chamfer, self._chamfer(list(moving), views, generator)),
            **self._silhouette_losses(self._silhouettes(moving, faces, views), views),
            "def": (settings.weight_deformation, losses.deformation_size(moving, vertices)),
            "def_sm": (settings.weight_smoothness, losses.deformation_smoothness(moving, vertices, edges)),
        }

    def _mesh(self, views: ViewBatch, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Vertices, faces and unique edges of the template, jittered where the settings say so."""
        if not self.settings.appearance_jitter:
            vertices, faces = self.network.template()
            if self._edges is None:
                self._edges = unique_edges(faces)
            return vertices, faces, self._edges
        shift = grid_shift(self.settings, generator, views.mask.device)
        with torch.no_grad():
            vertices, faces = self.network.extract(shift)
        return vertices, faces, unique_edges(faces)

    def _deform(self, vertices: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
        """Instance vertices (B, V, 3), with gradients for the first `geometry_images` only."""
        count = self.settings.geometry_images
        if count is None or count >= len(latent):
            return self.network.deform(vertices, latent)
        with torch.no_grad():
            others = self.network.deform(vertices, latent[count:])
        return torch.cat([self.network.deform(vertices, latent[:count]), others])

    def _appearance(
        self,
        features: torch.Tensor,
        vertices: torch.Tensor,
        faces: torch.Tensor,
        deformed: torch.Tensor,
        views: ViewBatch,
        generator: torch.Generator,
    ) -> Loss:
        settings = self.settings
        clip = to_clip(deformed if settings.labels_move_geometry else deformed.detach(), views.projection)
        scene = Scene(self.network, self.shop.renderer, features, vertices, faces, clip, views.valid, generator)
        return settings.weight_appearance, appearance_loss(scene)


def grid_shift(settings: Common3DSettings, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """One uniform shift (3,) of the whole grid, +- grid_jitter per axis."""
    return ((2 * torch.rand(3, generator=generator) - 1) * settings.grid_jitter).to(device)
