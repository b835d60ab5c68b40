"""White noise that an image's content seeds: the same image has the same noise in any batch, on any device."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import torch

from bench3d.contracts import ImageBatch, WeightedMap
from bench3d.features.backbone import DenseBackbone
from bench3d.features.weights import no_weights
from bench3d_plugins.noise.settings import NoiseSettings

CELL = 8


class Blank:
    """(B, 3, H, W) -> (B, dim, H/8, W/8) of zeros: where the noise goes."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """An empty map of a batch, on its device."""
        return images.new_zeros(len(images), self.dim, images.shape[2] // CELL, images.shape[3] // CELL)


class Noise(DenseBackbone):
    """Independent standard normal values in every cell and channel."""

    def __init__(self, settings: NoiseSettings, device: str) -> None:
        facts = {"params": 0, "dim": settings.dim}
        super().__init__(Blank(settings.dim), patch=CELL, settings=settings, device=device, facts=facts)
        self.seed = settings.seed

    def features(self, batch: ImageBatch) -> list[WeightedMap]:
        """One map (B, dim, h, w) float32 of the whole batch.

        The images seed the noise as they come and in 8 bits: devices round differently where they divide and resize.
        """
        (blank,) = super().features(batch)
        pixels = (batch.images.detach().cpu().float() * 255).round().clamp(0, 255).to(torch.uint8).contiguous().numpy()
        shape = tuple(blank.map.values.shape[1:])
        drawn = torch.from_numpy(np.stack([white_noise(image, shape, self.seed) for image in pixels]))
        return [WeightedMap(replace(blank.map, values=drawn.to(blank.map.values.device)))]

    def fingerprint(self, category: str | None = None) -> str | None:
        """None: noise is drawn faster than a cache reads it."""
        return None


def white_noise(image: np.ndarray, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Standard normal float32 of `shape`, seeded by `seed`, size and values of an image (3, H, W) uint8."""
    digest = hashlib.sha256(repr((seed, image.shape)).encode())
    digest.update(image.data)
    generator = np.random.default_rng(int.from_bytes(digest.digest(), "little"))
    return generator.standard_normal(shape, dtype=np.float32)


def create(weights: str, settings: NoiseSettings, device: str) -> Noise:
    """The backbone; it has no weights, WeightsError where a file is given."""
    no_weights(weights, "noise")
    return Noise(settings, device)
