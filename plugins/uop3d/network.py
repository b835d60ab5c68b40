"""The learnt part of UOP3D: a head on the frozen features, and one feature per vertex of a rigid mesh."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bench3d.contracts import FeatureMesh
from bench3d.morphable.heads import FeatureAdapter
from bench3d.morphable.networks import FeatureNetwork
from bench3d.morphable.pose import Instance
from bench3d_plugins.uop3d.settings import UOP3DSettings


class UOP3DNetwork(FeatureNetwork):
    """One category. Object coordinates are canonical (x left, y back, z up).

    Args:
        channels: C of the backbone's feature maps.
        vertices: (V, 3) of the rigid mesh; faces: (F, 3) int32.
    """

    vertices: torch.Tensor
    faces: torch.Tensor

    def __init__(self, settings: UOP3DSettings, channels: int, vertices: torch.Tensor, faces: torch.Tensor) -> None:
        super().__init__(channels, settings.standardise)
        self.settings = settings
        dim = settings.adapter_widths[-1]
        self.register_buffer("vertices", vertices.float())
        self.register_buffer("faces", faces.int())
        self.adapter = FeatureAdapter(
            channels, settings.adapter_widths, settings.adapter_dilation, settings.adapter_upsample
        ).to(memory_format=torch.channels_last)
        self.vertex_features = nn.Parameter(torch.randn(len(vertices), dim))
        self.clutter = nn.Parameter(torch.randn(dim))
        self.normalise()

    def normalise(self) -> None:
        """Brings the features of vertices and clutter back to length 1, as after every optimiser step."""
        with torch.no_grad():
            for features in (self.vertex_features, self.clutter):
                features.copy_(F.normalize(features, dim=-1))

    def adapt(self, maps: torch.Tensor) -> torch.Tensor:
        """Backbone features (B, C, h, w) -> (B, D, H, W), channels of length 1."""
        adapted: torch.Tensor = self.adapter(self.inputs(maps))
        return adapted

    def instance(self, maps: torch.Tensor) -> Instance:
        """What the network says of images before any pose, from backbone features (B, C, h, w)."""
        return Instance(
            features=self.adapt(maps),
            vertices=self.vertices.expand(len(maps), -1, 3),
            faces=self.faces,
            vertex_features=self.vertex_features,
            background=self.clutter,
        )

    def mesh(self) -> FeatureMesh:
        """The rigid mesh with its features."""
        return FeatureMesh(self.vertices, self.faces, self.vertex_features.detach())
