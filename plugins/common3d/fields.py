"""Coordinate networks of Common3D: signed distances, surface features, instance deformation (protocol page, 3)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn


class PositionalEncoding(nn.Module):
    """concat(p, sin(s 2^k p), cos(s 2^k p)) for k = 0 .. octaves-1, s = scale * pi; 3 -> 3 + 6 * octaves channels."""

    def __init__(self, octaves: int, scale: float) -> None:
        super().__init__()
        self.frequencies: torch.Tensor
        self.register_buffer("frequencies", scale * math.pi * 2.0 ** torch.arange(octaves), persistent=False)
        self.channels = 3 + 6 * octaves

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """(..., 3) -> (..., channels)."""
        angles = (self.frequencies[:, None] * points[..., None, :]).flatten(-2)
        return torch.cat([points, angles.sin(), angles.cos()], dim=-1)


def bias_free_mlp(inputs: int, width: int, outputs: int, layers: int) -> nn.Sequential:
    """`layers` linear layers without biases, ReLU between them, nothing after the last."""
    sizes = [inputs, *[width] * (layers - 1), outputs]
    parts: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        parts += [nn.Linear(fan_in, fan_out, bias=False), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


class SignedDistance(nn.Module):
    """phi(p) = (|p| - 1) + MLP(PE(|x|, y, z)): a residual on the unit sphere, mirror-symmetric in x, inside < 0."""

    def __init__(self, width: int, layers: int, octaves: int, scale: float) -> None:
        super().__init__()
        self.encoding = PositionalEncoding(octaves, scale)
        self.mlp = bias_free_mlp(self.encoding.channels, width, 1, layers)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """(N, 3) -> (N,)."""
        mirrored = torch.cat([points[:, :1].abs(), points[:, 1:]], dim=1)
        return torch.linalg.vector_norm(points, dim=1) - 1 + self.mlp(self.encoding(mirrored))[:, 0]


class FeatureField(nn.Module):
    """Raw surface features MLP(PE(p)); not symmetric, so that left and right can differ."""

    def __init__(self, width: int, layers: int, octaves: int, scale: float, outputs: int) -> None:
        super().__init__()
        self.encoding = PositionalEncoding(octaves, scale)
        self.mlp = bias_free_mlp(self.encoding.channels, width, outputs, layers)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """(V, 3) -> (V, outputs), not normalised; no gradient reaches `points`."""
        return self.mlp(self.encoding(points.detach()))


class Deformation(nn.Module):
    """Affine instance deformation v' = (1 + a) * v + d with (a, d) = MLP([PE(v), latent]) (paper Eq. 3)."""

    def __init__(self, width: int, layers: int, octaves: int, scale: float, latent: int) -> None:
        super().__init__()
        self.encoding = PositionalEncoding(octaves, scale)
        # The first layer of the joint input, written as two so that the encoding is multiplied once for all images.
        first = nn.Linear(self.encoding.channels + latent, width, bias=False)
        self.weight = first.weight
        self.rest = nn.Sequential(nn.ReLU(), bias_free_mlp(width, width, 6, layers - 1))

    def forward(self, vertices: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
        """Template vertices (V, 3), latents (B, L) -> (B, V, 3). No gradient reaches the template."""
        vertices = vertices.detach()
        by_point = self.encoding(vertices) @ self.weight[:, : self.encoding.channels].T
        by_latent = latent @ self.weight[:, self.encoding.channels :].T
        out = self.rest(by_point[None] + by_latent[:, None])
        return (1 + out[..., :3]) * vertices + out[..., 3:]


def unit(features: torch.Tensor, norm: str, floor: float) -> torch.Tensor:
    """Features of length 1 along the last axis.

    `detached` keeps the norm out of the gradient as Common3D does; its gradient grows without bound as the norm
    shrinks, hence `floor`. `ordinary` is the usual normalisation.
    """
    length = torch.linalg.vector_norm(features, dim=-1, keepdim=True).clamp_min(floor)
    return features / (length.detach() if norm == "detached" else length)
