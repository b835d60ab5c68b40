"""Overlapping patches: the same network on a finer grid, without a change of its weights."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import PatchEmbed

from bench3d.contracts import FeatureMap, ImageBatch, WeightedMap
from bench3d.features.backbone import DenseBackbone


class OverlappingPatches(PatchEmbed):
    """timm's patch embedding whose patches start every `stride` input pixels, none of them over the border.

    Modules and parameters are those of the plain one, so that weights and random draws are the same. The position
    embedding is stretched over the finer grid, as timm does for every input size and DINO-Tracker for its stride of 7.
    """

    def __init__(self, *arguments: Any, stride: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.stride = stride

    def dynamic_feat_size(self, img_size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the map of an input of (H, W)."""
        (high, wide), step = self.patch_size, self.stride
        return (img_size[0] - high) // step + 1, (img_size[1] - wide) // step + 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) to (B, h, w, C), or (B, h * w, C) where it flattens."""
        x = F.conv2d(x, self.proj.weight, self.proj.bias, stride=self.stride)
        x = x.flatten(2).transpose(1, 2) if self.flatten else x.permute(0, 2, 3, 1)
        return self.norm(x)


def embed_layer(stride: int) -> Any:
    """What timm builds in place of its patch embedding."""
    return partial(OverlappingPatches, stride=stride)


class OverlappingBackbone(DenseBackbone):
    """A backbone whose cells are nearer to each other than its patches are wide.

    Cell i sees the input pixels from i * stride to i * stride + patch: its centre is that of its patch.
    """

    def __init__(self, net: torch.nn.Module, *, stride: int, **options: Any) -> None:
        super().__init__(net, **options)
        self.stride = stride

    def features(self, batch: ImageBatch) -> list[WeightedMap]:
        """As every backbone's, on the finer grid."""
        (found,) = super().features(batch)
        values = found.map.values
        step, left = (float(self.stride),) * 2, ((self.patch - self.stride) / 2,) * 2
        grid = (values.shape[3], values.shape[2])
        return [WeightedMap(FeatureMap(values, tuple(g.with_grid(grid, step, left) for g in found.map.geometry)))]

    def with_grid(self, grid: int) -> DenseBackbone:
        """The same network without overlap, with inputs of `grid` patches on the longer side: what is trained.

        Weights do not depend on the stride, which is chosen where features are used; so do fits that choose their grid.
        """
        plain = DenseBackbone.__new__(DenseBackbone)
        plain.__dict__.update({k: v for k, v in vars(self).items() if k != "stride"})
        plain.net = _without_overlap(self.net)  # type: ignore[arg-type]
        return plain.with_grid(grid)


def _without_overlap(net: torch.nn.Module) -> torch.nn.Module:
    """A network that shares every parameter with `net`; only the way to its patch embedding is copied."""
    found = next((name for name, m in net.named_modules() if isinstance(m, OverlappingPatches)), None)
    if found is None:
        return net
    top = node = _shallow(net)
    for name in found.split("."):
        child = _shallow(getattr(node, name))
        node._modules[name] = child
        node = child
    assert isinstance(node, OverlappingPatches)
    node.stride = node.patch_size[0]
    return top


def _shallow(module: torch.nn.Module) -> torch.nn.Module:
    other = copy.copy(module)
    other._modules = dict(module._modules)
    return other
