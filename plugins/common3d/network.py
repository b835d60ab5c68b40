"""The whole of Common3D's learnt part: template, surface features, deformation and the two heads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bench3d.errors import Bench3DError
from bench3d.morphable.heads import FeatureAdapter, LatentEncoder
from bench3d.morphable.networks import FeatureNetwork
from bench3d.morphable.pose import Instance
from bench3d_plugins.common3d.fields import Deformation, FeatureField, SignedDistance, unit
from bench3d_plugins.common3d.marching import MarchingTetrahedra
from bench3d_plugins.common3d.settings import Common3DSettings
from bench3d_plugins.common3d.tetgrid import build_grid

VARIATION = ("latent_mean", "latent_directions", "latent_deviations")


class Common3DNetwork(FeatureNetwork):
    """Networks of one category. Object coordinates are canonical (x left, y back, z up).

    After a fit `set_variation` keeps how its training instances varied; it is empty before.

    Args:
        settings: sizes and normalisations.
        channels: C of the backbone's feature maps.
    """

    raw_mean: torch.Tensor
    raw_basis: torch.Tensor
    latent_mean: torch.Tensor
    latent_directions: torch.Tensor
    latent_deviations: torch.Tensor

    def __init__(self, settings: Common3DSettings, channels: int) -> None:
        super().__init__(channels, settings.standardise)
        s = settings
        self.settings = settings
        kept = channels if s.raw_channels is None else min(s.raw_channels, channels)
        self.dim = s.adapter_widths[-1] if s.adapter else kept
        field = (s.mlp_width, s.mlp_layers, s.encoding_octaves, s.encoding_scale)
        self.marching = MarchingTetrahedra(build_grid(s.grid_cells, s.grid_extent))
        self.signed_distance = SignedDistance(*field)
        self.feature_field = FeatureField(*field, self.dim)
        # Every part is drawn, used or not, so that the rest of an ablated model begins as that of the whole one.
        deformation = Deformation(
            s.mlp_width, s.mlp_layers, s.encoding_octaves_deformation, s.encoding_scale, s.latent_dim
        )
        adapter = FeatureAdapter(channels, s.adapter_widths, s.adapter_dilation, s.adapter_upsample)
        encoder = LatentEncoder(channels, s.latent_width, s.latent_blocks, s.latent_dim)
        for head in (adapter, encoder):  # a fifth faster on a CPU, the same values
            head.to(memory_format=torch.channels_last)
        self.deformation = deformation if s.instance_deformation else None
        self.adapter = adapter if s.adapter else None
        self.latent_encoder = encoder if s.instance_deformation else None
        self.background = nn.Parameter(torch.randn(self.dim))
        if self.dim < channels and not s.adapter:
            self.register_buffer("raw_mean", torch.zeros(channels))
            self.register_buffer("raw_basis", torch.eye(channels)[: self.dim])
        self.register_buffer("latent_mean", torch.zeros(0))
        self.register_buffer("latent_directions", torch.zeros(0, 0))
        self.register_buffer("latent_deviations", torch.zeros(0))
        self._template: tuple[torch.Tensor, torch.Tensor] | None = None

    def set_raw_basis(self, mean: torch.Tensor, basis: torch.Tensor) -> None:
        """Mean (C,) and principal directions (`dim`, C) of the training features, for `raw_channels`."""
        self.raw_mean.copy_(mean)
        self.raw_basis.copy_(basis)

    def set_variation(self, mean: torch.Tensor, directions: torch.Tensor, deviations: torch.Tensor) -> None:
        """How the latents of the training instances vary, for walks: (L,), principal (K, L), along each (K,)."""
        self.latent_mean, self.latent_directions = mean.to(self.background), directions.to(self.background)
        self.latent_deviations = deviations.to(self.background)

    def adapt(self, maps: torch.Tensor) -> torch.Tensor:
        """Backbone features (B, C, h, w) -> (B, D, H, W), channels of length 1."""
        if self.adapter is not None:
            return self.adapter(self.inputs(maps))
        if self.dim < self.channels:
            maps = torch.einsum("dc,bchw->bdhw", self.raw_basis, maps - self.raw_mean[:, None, None])
        return F.normalize(maps, dim=1)

    def latent(self, maps: torch.Tensor) -> torch.Tensor | None:
        """Backbone features (B, C, h, w) -> latent codes (B, L); None where the template is rigid."""
        return None if self.latent_encoder is None else self.latent_encoder(self.inputs(maps))

    def extract(self, shift: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """The template with gradients: vertices (V, 3), faces (F, 3) int32. `shift` (3,) moves the whole grid.

        Raises:
            Bench3DError: the signed distances have one sign everywhere.
        """
        positions = self.marching.vertices if shift is None else self.marching.vertices + shift
        vertices, faces = self.marching(positions, self.signed_distance(positions))
        if len(faces) == 0:
            raise Bench3DError(
                "The template mesh vanished: its signed distances have one sign everywhere.",
                "Lower the learning rate (--set shape.learning_rate=...).",
            )
        return vertices, faces

    def template(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The template without jitter or gradients, kept until `freeze_template` or new weights change it."""
        if self._template is None or self._template[0].device != self.background.device:
            with torch.no_grad():
                self._template = self.extract()
        return self._template

    def freeze_template(self) -> None:
        """Ends stage 1: the signed distances stop learning and the template is what they say now."""
        self.signed_distance.requires_grad_(False)
        self._template = None

    def deform(self, vertices: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
        """Template vertices (V, 3) and latent codes (B, L) -> instance vertices (B, V, 3).

        Raises:
            TypeError: the template is rigid.
        """
        if self.deformation is None:
            raise TypeError("A rigid template cannot be deformed.")
        return self.deformation(vertices, latent)

    def vertex_features(self, vertices: torch.Tensor) -> torch.Tensor:
        """Features (V, D) of length 1 at template vertices (V, 3)."""
        return unit(self.feature_field(vertices), self.settings.feature_norm, self.settings.norm_floor)

    def background_feature(self) -> torch.Tensor:
        """The background's feature (D,), of length 1."""
        return unit(self.background, self.settings.feature_norm, self.settings.norm_floor)

    def instance(self, maps: torch.Tensor) -> Instance:
        """What the network says of images before any pose, from backbone features (B, C, h, w)."""
        vertices, faces = self.template()
        latent = self.latent(maps)
        return Instance(
            features=self.adapt(maps),
            vertices=vertices.expand(len(maps), -1, -1) if latent is None else self.deform(vertices, latent),
            faces=faces,
            vertex_features=self.vertex_features(vertices),
            background=self.background_feature(),
        )

    def _load_from_state_dict(self, state: dict[str, torch.Tensor], prefix: str, *args: object) -> None:
        self._template = None
        for name in VARIATION:  # of any size; fits that were made before they were kept have none
            found = state.setdefault(prefix + name, self.background.new_zeros((0,) * getattr(self, name).ndim))
            setattr(self, name, self.background.detach().new_empty(found.shape))
        super()._load_from_state_dict(state, prefix, *args)  # type: ignore[arg-type]
