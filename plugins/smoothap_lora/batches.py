"""Images of any sizes through a backbone, and its features at their points; in training as the settings say."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bench3d.contracts import FeatureMap, ImageBatch
from bench3d.features.backbone import DenseBackbone
from bench3d.geometry.pixels import PixelGeometry
from bench3d_plugins.smoothap_lora.lora import AdaptedNet
from bench3d_plugins.smoothap_lora.settings import SmoothAPSettings

MISTAKEN_PATCH, PUBLISHED_PATCH = 16, 14


class AutocastNet(nn.Module):
    """A network that computes in bfloat16 where it may; its answer is float32."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """As `net`."""
        with torch.autocast(images.device.type, dtype=torch.bfloat16):
            values: torch.Tensor = self.net(images)
        return values.float()


def features_of(model: DenseBackbone, images: Sequence[np.ndarray]) -> list[FeatureMap]:
    """A map of batch 1 for each (H, W, 3) uint8 image; images of one size go through the network together."""
    groups: dict[tuple[int, int], list[int]] = {}
    for number, image in enumerate(images):
        groups.setdefault((image.shape[1], image.shape[0]), []).append(number)
    found: dict[int, FeatureMap] = {}
    for size, members in groups.items():
        (weighted,) = model.features(_batch([images[n] for n in members], size))
        for row, number in enumerate(members):
            values = weighted.map.values[row : row + 1]
            found[number] = FeatureMap(values, weighted.map.geometry[row : row + 1])
    return [found[number] for number in range(len(images))]


def _batch(images: Sequence[np.ndarray], size: tuple[int, int]) -> ImageBatch:
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return ImageBatch(
        images=pixels,
        valid=torch.ones(len(images), 1, size[1], size[0]),
        geometry=(PixelGeometry.identity(size),) * len(images),
        ids=tuple(str(n) for n in range(len(images))),
    )


def running_model(model: DenseBackbone, net: AdaptedNet, settings: SmoothAPSettings) -> DenseBackbone:
    """The model that training runs: in bfloat16 where it is set and on a GPU, activations made again where set."""
    if settings.checkpointing:
        layers = [m for m in net.modules() if hasattr(m, "set_grad_checkpointing")]
        # The outermost one passes it on.
        for layer in layers[:1]:
            layer.set_grad_checkpointing(True)
    if settings.precision != "bf16" or not on_gpu(model):
        return model
    running = copy.copy(model)
    running.net = AutocastNet(net)
    return running


def on_gpu(model: DenseBackbone) -> bool:
    """Whether the model computes on a GPU."""
    return torch.device(model.device).type != "cpu"


def features_at(features: FeatureMap, xy: np.ndarray, settings: SmoothAPSettings) -> torch.Tensor:
    """Unit features (N, C) of one image at its pixels (N, 2), with gradient.

    `as_published` samples patch-16 maps as if a cell had 14 pixels: points beyond 7/8 of the image see its last cell.
    """
    geometry = features.geometry[0]
    if settings.as_published and geometry.stride == (MISTAKEN_PATCH,) * 2:
        geometry = replace(geometry, stride=(float(PUBLISHED_PATCH),) * 2)
    points = torch.from_numpy(xy).to(features.values.device)
    return F.normalize(FeatureMap(features.values, (geometry,)).sample(points[None])[0], dim=1)
