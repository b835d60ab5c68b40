"""The whole of Common3D's learnt part: template, surface features, deformation and the two heads."""

from __future__ import annotations

import torch
from torch import nn

from bench3d.errors import Bench3DError
from bench3d.morphable.heads import FeatureAdapter, LatentEncoder
from bench3d.morphable.pose import Instance
from bench3d_plugins.common3d.fields import Deformation, FeatureField, SignedDistance, unit
from bench3d_plugins.common3d.marching import MarchingTetrahedra
from bench3d_plugins.common3d.settings import Common3DSettings
from bench3d_plugins.common3d.tetgrid import build_grid


class Common3DNetwork(nn.Module):
    """Networks of one category. Object coordinates are canonical (x left, y back, z up).

    Args:
        settings: sizes and normalisations.
        channels: C of the backbone's feature maps.
    """

    feature_mean: torch.Tensor
    feature_std: torch.Tensor

    def __init__(self, settings: Common3DSettings, channels: int) -> None:
        super().__init__()
        s = settings
        self.settings = settings
        self.channels = channels
        self.dim = s.adapter_widths[-1]
        field = (s.mlp_width, s.mlp_layers, s.encoding_octaves, s.encoding_scale)
        self.marching = MarchingTetrahedra(build_grid(s.grid_cells, s.grid_extent))
        self.signed_distance = SignedDistance(*field)
        self.feature_field = FeatureField(*field, self.dim)
        self.deformation = Deformation(
            s.mlp_width, s.mlp_layers, s.encoding_octaves_deformation, s.encoding_scale, s.latent_dim
        )
        self.adapter = FeatureAdapter(channels, s.adapter_widths, s.adapter_dilation, s.adapter_upsample)
        self.latent_encoder = LatentEncoder(channels, s.latent_width, s.latent_blocks, s.latent_dim)
        for head in (self.adapter, self.latent_encoder):  # a fifth faster on a CPU, the same values
            head.to(memory_format=torch.channels_last)
        self.background = nn.Parameter(torch.randn(self.dim))
        self.register_buffer("feature_mean", torch.zeros(channels))
        self.register_buffer("feature_std", torch.ones(channels))
        self._template: tuple[torch.Tensor, torch.Tensor] | None = None

    def set_statistics(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Per-channel mean and standard deviation (C,) of the training features, for `standardise`."""
        self.feature_mean.copy_(mean)
        self.feature_std.copy_(std.clamp_min(1e-6))

    def _inputs(self, maps: torch.Tensor) -> torch.Tensor:
        if self.settings.standardise:
            maps = (maps - self.feature_mean[:, None, None]) / self.feature_std[:, None, None]
        return maps.contiguous(memory_format=torch.channels_last)

    def adapt(self, maps: torch.Tensor) -> torch.Tensor:
        """Backbone features (B, C, h, w) -> (B, D, H, W), channels of length 1."""
        return self.adapter(self._inputs(maps))

    def latent(self, maps: torch.Tensor) -> torch.Tensor:
        """Backbone features (B, C, h, w) -> latent codes (B, L)."""
        return self.latent_encoder(self._inputs(maps))

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
        """Template vertices (V, 3) and latent codes (B, L) -> instance vertices (B, V, 3)."""
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
        return Instance(
            features=self.adapt(maps),
            vertices=self.deform(vertices, self.latent(maps)),
            faces=faces,
            vertex_features=self.vertex_features(vertices),
            background=self.background_feature(),
        )

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        self._template = None
        super()._load_from_state_dict(*args, **kwargs)  # type: ignore[arg-type]
