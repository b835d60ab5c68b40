"""The plain dense backbone: resize, normalise, run a network, keep the pixel geometry."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F

from bench3d.contracts import FeatureMap, ImageBatch, Model, WeightedMap
from bench3d.features.fingerprint import (
    canonical,
    class_name,
    digest_of,
    net_parts,
    net_tensors,
    plain,
    source_digest,
    stamp_of,
)
from bench3d.features.settings import InputSettings


@contextmanager
def full_precision() -> Iterator[None]:
    """float32 arithmetic without TF32 or bfloat16 shortcuts (design section 6); the former state comes back after."""
    matmul, conv = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = conv


def resize_images(images: torch.Tensor, size: tuple[int, int], interpolation: str = "bilinear") -> torch.Tensor:
    """(B, 3, H, W) in [0, 1] to `size` (W, H); the edges of both pixel grids coincide.

    `bilinear` and `bicubic` average over what a pixel covers where the image shrinks, `unsmoothed` is bilinear without.
    """
    if (images.shape[3], images.shape[2]) == tuple(size):
        return images
    mode = "bicubic" if interpolation == "bicubic" else "bilinear"
    smooth = interpolation != "unsmoothed"
    resized = F.interpolate(images, size=(size[1], size[0]), mode=mode, align_corners=False, antialias=smooth)
    return resized.clamp(0.0, 1.0)


class DenseBackbone(Model):
    """A network that turns a normalised image into one feature map.

    Attributes:
        net: callable (B, 3, H, W) -> (B, C, h, w) with H and W multiples of `patch`; a torch module for a network,
            frozen and in eval mode. An adapter that changes it works on a deep copy of the model.
        patch: input pixels per cell.
        origin: input coordinate of the left/top edge of cell (0, 0); not 0 where a strided convolution samples
            off-centre.
        settings: the input policy.
    """

    def __init__(
        self,
        net: Callable[[torch.Tensor], torch.Tensor],
        *,
        patch: int,
        settings: InputSettings,
        device: str = "cpu",
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        interpolation: str = "bilinear",
        origin: float = 0.0,
        random_weights: bool = False,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(net, torch.nn.Module):
            net = net.to(device=device, dtype=torch.float32).eval().requires_grad_(False)
        self.net = net
        self.patch = patch
        self.settings = settings
        self.device = device
        self.origin = origin
        self.interpolation = interpolation
        self._resize = interpolation if settings.resize == "network" else settings.resize
        self.random_weights = random_weights
        self.canvas = settings.canvas(patch)
        self._mean, self._std = tuple(mean), tuple(std)
        self._facts = dict(facts or {})
        self._fingerprint: tuple[Any, str] | None = None

    def features(self, batch: ImageBatch) -> list[WeightedMap]:
        """One map (B, C, h, w) float32 of the whole batch, padding included (see `batch.valid`).

        The network is frozen, so no graph is kept; gradients reach whatever an adapter has unfrozen.
        """
        images = batch.images.to(device=self.device, dtype=torch.float32)
        columns, rows = self.settings.cells((images.shape[3], images.shape[2]), self.patch)
        size = (columns * self.patch, rows * self.patch)
        mean, std = (images.new_tensor(v)[None, :, None, None] for v in (self._mean, self._std))
        with full_precision():
            values = self.net((resize_images(images, size, self._resize) - mean) / std).float()
        grid = (values.shape[3], values.shape[2])
        stride, origin = (float(self.patch),) * 2, (self.origin,) * 2
        geometry = tuple(g.resized(size).with_grid(grid, stride, origin) for g in batch.geometry)
        return [WeightedMap(FeatureMap(values, geometry))]

    def with_net(self, change: Callable[[Any], Any], facts: Mapping[str, Any]) -> DenseBackbone:
        """A deep copy whose network is what `change` makes of the copied one, and with further facts for the record."""
        other = copy.deepcopy(self)
        other.net = change(other.net)
        other._facts = {**other._facts, **facts}
        return other

    def fingerprint(self, category: str | None = None) -> str | None:
        """Hash of the network (tensors, classes, plain attributes), the input policy and the normalisation.

        Computed again only where something of it has changed. None where it cannot be told: the network is a closure,
        has hooks, or a subclass has attributes that are no plain values.
        """
        own = {k: plain(v) for k, v in vars(self).items() if k not in ("net", "device", "_facts", "_fingerprint")}
        net = net_parts(self.net)
        if net is None or any(v is None for v in own.values()):
            return None
        parts = {"class": class_name(self), "net": net, "own": own, "source": source_digest(type(self).__module__)}
        tensors = net_tensors(self.net)
        stamp = (canonical(parts), stamp_of(tensors))
        if self._fingerprint is None or self._fingerprint[0] != stamp:
            self._fingerprint = (stamp, digest_of(parts, tensors))
        return self._fingerprint[1]

    def with_grid(self, grid: int) -> DenseBackbone:
        """The same network, not a copy of it, with inputs of `grid` cells on the longer side."""
        other = copy.copy(self)
        other.settings = self.settings.model_copy(update={"grid": grid, "input_size": None, "native": False})
        other.canvas = other.settings.canvas(self.patch)
        other._fingerprint = None
        return other

    def describe(self) -> dict[str, Any]:
        """Facts for the record."""
        own = {"patch": self.patch, "input_policy": self.settings.policy, "input_size": self.canvas}
        if isinstance(self.net, torch.nn.Module):
            own["params"] = sum(p.numel() for p in self.net.parameters())
        return {**own, **self._facts}
