"""Images that were scaled after their cameras were estimated."""

from __future__ import annotations

import numpy as np

SLACK = 1.0
"""Pixels by which a scaled side may be rounded."""


def resize_factors(size: tuple[int, int], stated: tuple[int, int]) -> tuple[float, float] | None:
    """(x, y) factors from pixels of the stated size (W, H) to those of an image; None where it was not just scaled.

    With pixel (i, j) covering [i, i+1), scaling an image is multiplying its coordinates. Both axes must be scaled
    alike, up to the rounding of a side to whole pixels.
    """
    x, y = size[0] / stated[0], size[1] / stated[1]
    alike = abs(size[1] - x * stated[1]) <= SLACK or abs(size[0] - y * stated[0]) <= SLACK
    return (x, y) if alike else None


def scale_intrinsics(intrinsics: np.ndarray, factors: tuple[float, float]) -> np.ndarray:
    """(3, 3) intrinsics of the scaled image."""
    return np.diag([*factors, 1.0]) @ intrinsics
