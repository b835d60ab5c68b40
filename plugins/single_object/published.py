"""Common3D's crop exactly as its code makes it: `crop_mask: cad-as-published` (protocol page, section 1.3).

The window is widened to whole pixels of the original image and then resized to the canvas, while the camera keeps the
unrounded scale: the two disagree by up to a pixel or two of the original. The crop that is the default has neither.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from bench3d.geometry.crops import usable_centre
from bench3d.geometry.pixels import PixelGeometry

LARGEST = 100.0
SMALLEST = 0.01


@dataclass(frozen=True)
class PublishedCrop:
    """The camera's map, and the window (x0, y0, x1, y1) of whole original pixels that the pixels come from."""

    geometry: PixelGeometry
    window: tuple[int, int, int, int]


def published_zoom(mask: np.ndarray, centre: np.ndarray, canvas: int) -> PublishedCrop:
    """The crop of a mask (H, W) around `centre` (2,), in their pixel convention (pixel i lies at i).

    Extents are cut to whole pixels; a centre farther than one image size outside becomes the image's; an empty mask
    counts as `canvas`; a scale outside [0.01, 100] becomes 1.
    """
    height, width = mask.shape
    centre = usable_centre(centre, (width, height))
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows):
        low, high = np.array([columns[0], rows[0]]), np.array([columns[-1], rows[-1]])
        extents = [int(v) for v in np.maximum(high - centre, centre - low) * 2]
    else:
        extents = [canvas, canvas]
    scale = min(canvas / max(e, 1e-9) for e in extents)
    scale = scale if SMALLEST <= scale <= LARGEST else 1.0
    half = canvas / scale / 2
    window = (
        math.floor(centre[0] - half), math.floor(centre[1] - half),
        math.ceil(centre[0] + half), math.ceil(centre[1] + half),
    )  # fmt: skip
    geometry = PixelGeometry(
        original_size=(width, height),
        input_size=(canvas, canvas),
        scale=(scale, scale),
        offset=(-window[0] * scale, -window[1] * scale),
    )
    return PublishedCrop(geometry, window)


def published_pixels(image: np.ndarray, crop: PublishedCrop) -> np.ndarray:
    """The crop's pixels (h, w, 3) uint8 of an image (H, W, 3) uint8, zero outside it.

    Enlarged: the window is cut out and resized; shrunk: the whole image is resized and the window cut out of that.
    Bilinear without averaging, cut to whole numbers, both times.
    """
    (w, h), scale = crop.geometry.input_size, crop.geometry.scale[0]
    if scale >= 1.0:
        return _resized(_window(image, crop.window), (h, w))
    small = _resized(image, (int(image.shape[0] * scale), int(image.shape[1] * scale)))
    x0, y0 = int(crop.window[0] * scale), int(crop.window[1] * scale)
    return _window(small, (x0, y0, x0 + w, y0 + h))


def published_valid(crop: PublishedCrop) -> np.ndarray:
    """(h, w) bool: crop pixels inside the original image, by the nearest pixel of the window."""
    (w, h), scale = crop.geometry.input_size, crop.geometry.scale[0]
    width, height = crop.geometry.original_size
    inside = []
    for first, last, count, length in ((0, 2, w, width), (1, 3, h, height)):
        start, stop = crop.window[first], crop.window[last]
        if scale >= 1.0:
            at = start + np.rint((np.arange(count) + 0.5) * (stop - start) / count - 0.5)
            inside.append((at >= 0) & (at < length))
        else:
            at = int(start * scale) + np.arange(count)
            inside.append((at >= 0) & (at < int(length * scale)))
    return inside[1][:, None] & inside[0][None]


def _window(image: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
    """Cut out, zero where it reaches beyond the image."""
    left, top, right, bottom = window
    out = np.zeros((bottom - top, right - left, image.shape[2]), dtype=image.dtype)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(right, image.shape[1]), min(bottom, image.shape[0])
    if x0 < x1 and y0 < y1:
        out[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return out


def _resized(image: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    values = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    made = torch.nn.functional.interpolate(values, size=hw, mode="bilinear", align_corners=False)
    return made[0].permute(1, 2, 0).to(torch.uint8).numpy()
