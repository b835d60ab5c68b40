"""Where the cells of a convolutional network lie: measured, because padding and strides decide it.

A 3x3 convolution of stride 2 with one pixel of padding is centred on input pixel 2i, half a pixel left of the middle of
cell i; a 2x2 patch convolution is centred on that middle; 'same' padding in TensorFlow's manner lies half a pixel right
of it. Over five stages this adds up to half a cell, so taking the cells as evenly spread shifts every match.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

CELLS = 7
DRAWS = 8


def measure_origin(net: Callable[[torch.Tensor], torch.Tensor], reduction: int) -> float:
    """Input coordinate of the left edge of cell 0, to half a pixel, the same along both axes.

    The energy of the gradient of one cell's features with respect to the input is centred on the cell's receptive
    field. The measure wants freshly initialised weights, whose kernels have no side of their own; against the values
    that the strides of common networks give it was within 0.04 cells. Deterministic.

    Args:
        net: (B, 3, H, W) -> (B, C, h, w), differentiable, in eval mode.
        reduction: input pixels per cell.
    """
    side = CELLS * reduction
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, side, side, generator=generator).requires_grad_(True)
    with torch.inference_mode(False), torch.enable_grad():
        values = net(image)
        middle = values.shape[3] // 2
        energy = torch.zeros(side, side, dtype=torch.float64)
        for _ in range(DRAWS):
            direction = torch.randn(values.shape[1], generator=generator)
            target = (values[:, :, middle, middle] * direction).sum()
            (gradient,) = torch.autograd.grad(target, image, retain_graph=True)
            energy += gradient.double().square().sum(dim=(0, 1))
    # A gate over the whole image (squeeze and excitation, attention) lays a floor of energy under everything.
    weight = (energy - energy.median()).clamp(min=0.0)
    weight = weight / weight.sum()
    centres = torch.arange(side, dtype=torch.float64) + 0.5
    centre = float(((weight.sum(0) + weight.sum(1)) * centres).sum()) / 2
    return round(2 * (centre - (middle + 0.5) * reduction)) / 2
