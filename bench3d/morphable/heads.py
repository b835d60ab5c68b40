"""Convolutional heads on frozen features: the adapter and the latent encoder (protocol page, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


class Bottleneck(nn.Module):
    """The residual bottleneck of ResNet (He et al. 2016) with a 1x1 convolution on every shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        inner = outputs // 4
        self.body = nn.Sequential(
            nn.Conv2d(inputs, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, inner, 3, stride=stride, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, inputs, h, w) -> (B, outputs, h/stride, w/stride)."""
        return F.relu(self.body(maps) + self.shortcut(maps))


class FeatureAdapter(nn.Module):
    """Three bottlenecks and a 1x1 convolution with bias (a bottleneck ends in ReLU); channels of length 1."""

    def __init__(self, channels: int, widths: Sequence[int], dilation: Sequence[int], upsample: bool) -> None:
        super().__init__()
        sizes = [channels, *widths]
        self.blocks = nn.ModuleList(
            Bottleneck(a, b, dilation=d) for a, b, d in zip(sizes[:-1], sizes[1:], dilation, strict=True)
        )
        self.out = nn.Conv2d(sizes[-1], sizes[-1], 1)
        self.upsample = upsample

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) -> (B, D, H, W), H = 2h where `upsample` (nearest, before the last block), else h."""
        for block in self.blocks[:-1]:
            maps = block(maps)
        if self.upsample:
            maps = F.interpolate(maps, scale_factor=2, mode="nearest")
        return F.normalize(self.out(self.blocks[-1](maps)), dim=1)


class LatentEncoder(nn.Module):
    """Bottlenecks of stride 2, global average pool, linear layer: one latent code per image."""

    def __init__(self, channels: int, width: int, blocks: int, latent: int) -> None:
        super().__init__()
        sizes = [channels, *[width] * blocks]
        self.blocks = nn.Sequential(*(Bottleneck(a, b, stride=2) for a, b in pairwise(sizes)))
        self.out = nn.Linear(width, latent)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) -> (B, latent)."""
        return self.out(self.blocks(maps).mean(dim=(2, 3)))
