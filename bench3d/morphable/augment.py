"""Colour augmentation of training views (protocol page, section 4): solarise, grayscale, colour jitter on uint8."""

from __future__ import annotations

import numpy as np
import torch

from bench3d.morphable.settings import ViewSettings


def augment_colour(image: np.ndarray, settings: ViewSettings, generator: torch.Generator) -> np.ndarray:
    """(H, W, 3) uint8 -> the same, each change with its own probability; all draws from `generator`."""
    import torchvision.transforms.v2.functional as TF  # seconds, which a run with a fitted model does not need

    pixels = torch.from_numpy(image).permute(2, 0, 1)
    draw = torch.rand(3, generator=generator).tolist()
    if draw[0] < settings.solarize_probability:
        pixels = TF.solarize(pixels, 128)
    if draw[1] < settings.grayscale_probability:
        pixels = TF.rgb_to_grayscale(pixels, num_output_channels=3)
    amounts = (2 * torch.rand(4, generator=generator) - 1).tolist()
    order = torch.randperm(4, generator=generator).tolist()
    if draw[2] < settings.jitter_probability:
        for number in order:
            pixels = _jitter(pixels, number, amounts[number] * settings.jitter[number])
    return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())


def _jitter(pixels: torch.Tensor, number: int, amount: float) -> torch.Tensor:
    """Brightness, contrast, saturation by the factor 1 + amount, hue by `amount` turns."""
    import torchvision.transforms.v2.functional as TF

    if number == 3:
        return TF.adjust_hue(pixels, amount)
    adjust = (TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation)[number]
    return adjust(pixels, max(0.0, 1 + amount))
