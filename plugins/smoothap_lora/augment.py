"""The published augmentation of a training view (tasks.md i), independently for each image, all draws from one seed.

Geometry with probability 1/2: shift, scale and rotation about the image's centre, nothing but zeros beyond its edges.
Colour, each change with probability 1/2: blur, the noise of a sensor at high ISO, Gaussian noise, CLAHE on lightness,
brightness and contrast. Everything off the mask is set to 0 at the end. Ranges are those of the published call, which
leaves most to the defaults of albumentations 1.3; the operations are our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

SHIFT, SCALE, DEGREES = 0.25, 0.25, 45.0
"""Largest shift in image sides, change of scale, and rotation to either side."""
PROBABILITY = 0.5
"""Of the geometric change, and of each change of colour."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An image with its points.

    Attributes:
        image: (H, W, 3) uint8.
        mask: (H, W) bool of what belongs to it.
        xy: (N, 2) float64 pixels, pixel (i, j) covering [i, i+1).
        kept: (N,) which of the points that were given these are.
    """

    image: np.ndarray
    mask: np.ndarray
    xy: np.ndarray
    kept: np.ndarray


def augment(image: np.ndarray, mask: np.ndarray, xy: np.ndarray, rng: np.random.Generator) -> Picture:
    """The published augmentation.

    Args:
        image: (H, W, 3) uint8.
        mask: (H, W) bool; off it the image becomes 0.
        xy: (N, 2) points in pixels; those that leave the image are dropped.
        rng: every draw comes from it.
    """
    height, width = mask.shape
    picture = Picture(image, mask, xy, np.arange(len(xy)))
    if rng.random() < PROBABILITY:
        picture = moved(image, mask, xy, random_affine((width, height), rng))
    changed = colours(picture.image, rng)
    changed[~picture.mask] = 0
    return Picture(changed, picture.mask, picture.xy, picture.kept)


def random_affine(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A random (2, 3) map of the pixels of an image of `size` (W, H)."""
    angle, scale, *shift = rng.uniform(-1, 1, 4)
    return affine(size, DEGREES * angle, 1 + SCALE * scale, (SHIFT * shift[0], SHIFT * shift[1]))


def affine(size: tuple[int, int], degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    """(2, 3): rotation (counter-clockwise as seen) and scale about the centre, then a shift in image sides."""
    turn = np.deg2rad(degrees)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[cos, sin], [-sin, cos]])
    centre = np.array(size) / 2
    offset = centre - linear @ centre + np.array(shift) * size
    return np.concatenate([linear, offset[:, None]], axis=1)


def moved(image: np.ndarray, mask: np.ndarray, xy: np.ndarray, matrix: np.ndarray) -> Picture:
    """Image (bilinear), mask (nearest) and points under a (2, 3) map of continuous pixels; beyond the edges 0."""
    height, width = mask.shape
    linear, offset = matrix[:, :2], matrix[:, 2]
    # OpenCV counts from the centre of the first pixel.
    centred = np.concatenate([linear, (offset + linear @ [0.5, 0.5] - 0.5)[:, None]], axis=1)

    def warp(values: np.ndarray, how: int) -> np.ndarray:
        return cv2.warpAffine(values, centred, (width, height), flags=how, borderMode=cv2.BORDER_CONSTANT)

    points = xy @ linear.T + offset
    inside = (points >= 0).all(axis=1) & (points[:, 0] < width) & (points[:, 1] < height)
    return Picture(
        warp(image, cv2.INTER_LINEAR),
        warp(mask.astype(np.uint8), cv2.INTER_NEAREST) > 0,
        points[inside],
        np.flatnonzero(inside),
    )


def colours(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A new (H, W, 3) uint8 image: the five changes in the published order."""
    changes = (blurred, sensor_noise, gaussian_noise, equalised, brightness_contrast)
    out = image.copy()
    for change, chosen in zip(changes, rng.random(len(changes)) < PROBABILITY, strict=True):
        if chosen:
            out = change(out, rng)
    return out


def blurred(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur of 3 pixels, or of 1, which is none: a size from 1 to 3, made odd upwards."""
    size = int(rng.integers(1, 4)) // 2 * 2 + 1
    return cv2.GaussianBlur(image, (size, size), 0)


def sensor_noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of hue (normal) and of lightness (Poisson, by the image's own contrast), as at high ISO."""
    shift, intensity = rng.uniform(0.01, 0.05), rng.uniform(0.1, 0.5)
    hue, lightness, saturation = cv2.split(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2HLS))
    grain = np.asarray(rng.poisson(float(lightness.std()) * intensity * 255, lightness.shape), dtype=np.float32)
    tint = np.asarray(rng.normal(0.0, shift * 360 * intensity, hue.shape), dtype=np.float32)
    hue, lightness = (hue + tint) % 360, lightness + grain / 255 * (1 - lightness)
    noisy = cv2.cvtColor(cv2.merge([hue, lightness, saturation]), cv2.COLOR_HLS2RGB)
    return _bytes(noisy * 255)


def gaussian_noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Normal noise of a variance of 10 to 50 grey levels, each channel by itself."""
    return _bytes(image + rng.normal(0.0, np.sqrt(rng.uniform(10.0, 50.0)), image.shape))


def equalised(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """CLAHE on lightness (CIELAB): 8x8 tiles, a clip limit of 1 to 4."""
    lightness, a, b = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2LAB))
    lightness = cv2.createCLAHE(clipLimit=float(rng.uniform(1.0, 4.0)), tileGridSize=(8, 8)).apply(lightness)
    return cv2.cvtColor(cv2.merge([lightness, a, b]), cv2.COLOR_LAB2RGB)


def brightness_contrast(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Times 0.8 to 1.2, plus up to a fifth of white to either side."""
    contrast, brightness = 1 + rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2)
    return _bytes(image * contrast + 255 * brightness)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
