"""The refine convolution behind the backbone (tasks.md i): 3x3 layers, width and grid unchanged."""

from __future__ import annotations

import math

import torch
from torch import nn

from bench3d_plugins.smoothap_lora.settings import ConvInit


class Refine(nn.Sequential):
    """0 to 3 convolutions without anything between them, (B, C, h, w) -> (B, C, h, w); with none, the identity."""


def empty_refine(dim: int, layers: int) -> Refine:
    """Convolutions whose values are still to be set: meant to be filled from weights or by `initialise`.

    Built without PyTorch's own initialisation, which would draw from the global generator.
    """
    with torch.device("meta"):
        refine = Refine(*(nn.Conv2d(dim, dim, 3, padding=1) for _ in range(layers)))
    return refine.to_empty(device="cpu")


@torch.no_grad()
def initialise(refine: Refine, init: ConvInit, generator: torch.Generator) -> None:
    """Sets the values: `identity` (a delta kernel, no bias), or `published`, the distribution of PyTorch's default.

    The published code leaves PyTorch's default: kernel and bias uniform within 1/sqrt(9 C). An untrained model is then
    a random mixture of the backbone's channels, and most of the training goes into undoing that.
    """
    for layer in refine:
        assert isinstance(layer, nn.Conv2d) and layer.bias is not None
        if init == "identity":
            nn.init.dirac_(layer.weight)
            nn.init.zeros_(layer.bias)
        else:
            bound = 1 / math.sqrt(layer.in_channels * 9)
            for values in (layer.weight, layer.bias):
                values.copy_(torch.empty(values.shape).uniform_(-bound, bound, generator=generator))
