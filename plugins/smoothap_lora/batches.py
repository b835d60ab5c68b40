"""Images of any sizes through a backbone, each with its own feature map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from bench3d.contracts import FeatureMap, ImageBatch
from bench3d.features.backbone import DenseBackbone
from bench3d.geometry.pixels import PixelGeometry


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
