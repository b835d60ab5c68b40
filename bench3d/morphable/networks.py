"""What the networks of shape models share: standardised inputs, weights that depend on a seed alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import nn

from bench3d.contracts import Model, ObjectSequence
from bench3d.fit.draws import derived_seed
from bench3d.morphable.pool import extract
from bench3d.morphable.settings import ViewSettings
from bench3d.morphable.views import make_view

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class FeatureNetwork(nn.Module):
    """A network on backbone features (B, C, h, w), standardised per channel first where `standardise`."""

    feature_mean: torch.Tensor
    feature_std: torch.Tensor

    def __init__(self, channels: int, standardise: bool) -> None:
        super().__init__()
        self.channels = channels
        self.standardise = standardise
        self.register_buffer("feature_mean", torch.zeros(channels))
        self.register_buffer("feature_std", torch.ones(channels))

    def set_statistics(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Per-channel mean and standard deviation (C,) of the training features, for `standardise`."""
        self.feature_mean.copy_(mean)
        self.feature_std.copy_(std.clamp_min(1e-6))

    def inputs(self, maps: torch.Tensor) -> torch.Tensor:
        """Backbone features as the heads want them: standardised, channels last (a fifth faster on a CPU)."""
        if self.standardise:
            maps = (maps - self.feature_mean[:, None, None]) / self.feature_std[:, None, None]
        return maps.contiguous(memory_format=torch.channels_last)


def seeded(make: Callable[[], NetworkT], seed: int) -> NetworkT:
    """A network whose weights depend on the seed alone; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "weights"))
        return make()


def channels_of(model: Model, sequences: Sequence[ObjectSequence], settings: ViewSettings, device: str) -> int:
    """C of the model's maps, from the first frame."""
    view = make_view(sequences[0].frames[0], 0, settings, None)
    return extract(model, [view], device).shape[1]
