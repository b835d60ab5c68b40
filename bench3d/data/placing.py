"""From an original image to the pixels that a model gets: letterbox, corner, stretch, crop, or as it is.

`letterbox` with `lanczos` gives the same bytes as the `resize` that SD-DINO, GeoAware-SC and 3DCorrEnhance share (the
three agree in every rounding): Pillow's Lanczos on 8 bits, the shorter side rounded half to even, the image at
(canvas - side) // 2, zeros around it. They scale keypoints by canvas / longer side on both axes, although the shorter
side was rounded to whole pixels; so does the geometry here. `letterbox` with `bilinear` follows nobody and its geometry
has the exact scale of each axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from bench3d.contracts.encoding import Placing
from bench3d.errors import UsageError
from bench3d.geometry.crops import resample, resample_unsmoothed, valid_mask
from bench3d.geometry.pixels import PixelGeometry

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "lanczos": Image.Resampling.LANCZOS}


@dataclass(frozen=True)
class Layout:
    """Where an image lands: decided by its size alone, so that it is known before anything is decoded.

    Attributes:
        geometry: original pixels to input pixels, no feature grid yet.
        box: (left, top, right, bottom) in input pixels of what was resized; None where nothing was (as-is, crop).
    """

    geometry: PixelGeometry
    box: tuple[int, int, int, int] | None = None


def layout(size: tuple[int, int], placing: Placing) -> Layout:
    """The layout of an image of `size` (W, H).

    Raises:
        UsageError: a square kind without a canvas, or a crop without a geometry, or of an image of another size.
    """
    if placing.kind == "as-is":
        return Layout(PixelGeometry.identity(size))
    if placing.kind == "crop":
        return Layout(_crop_geometry(size, placing))
    if placing.resample == "unsmoothed":
        raise UsageError(f"Only a crop is resampled unsmoothed, not {placing.kind}.")
    canvas = placing.canvas
    if canvas is None or canvas < 1:
        raise UsageError(f"Placing an image as {placing.kind} needs a canvas of at least one pixel.")
    width, height = size
    longer = max(size)
    if placing.kind == "stretch":
        geometry = PixelGeometry(size, (canvas, canvas), (canvas / width, canvas / height))
        return Layout(geometry, (0, 0, canvas, canvas))
    nominal = canvas / longer
    if placing.kind == "corner":
        # The whole padded square is resized, as probe3d does: no side is rounded and the scale is exact.
        return Layout(PixelGeometry(size, (canvas, canvas), (nominal, nominal)), (0, 0, canvas, canvas))
    small = tuple(max(1, int(np.around(canvas * side / longer))) for side in size)
    left, top = (canvas - small[0]) // 2, (canvas - small[1]) // 2
    scale = (nominal, nominal) if placing.resample == "lanczos" else (small[0] / width, small[1] / height)
    geometry = PixelGeometry(size, (canvas, canvas), scale, (float(left), float(top)))
    return Layout(geometry, (left, top, left + small[0], top + small[1]))


def place(image: np.ndarray, placing: Placing) -> tuple[np.ndarray, np.ndarray, PixelGeometry]:
    """Resamples an image.

    Args:
        image: (H, W, 3) uint8.
        placing: what to make of it. `bilinear` is Pillow's, which averages over the area that a shrunken pixel covers;
            a crop is resampled by `geometry.crops.resample`.

    Returns:
        (h, w, 3) uint8 input pixels, (h, w) bool mask of those inside the original image, and the geometry.

    Raises:
        UsageError: see `layout`.
    """
    height, width = image.shape[:2]
    plan = layout((width, height), placing)
    geometry = plan.geometry
    if plan.box is None:
        if placing.kind == "as-is":
            return image, np.ones((height, width), dtype=bool), geometry
        valid = valid_mask(geometry)
        cut = resample_unsmoothed if placing.resample == "unsmoothed" else resample
        return _filled(cut(image, geometry), valid, placing.fill), valid, geometry
    fill = _fill_value(placing.fill)
    if placing.kind == "corner":
        square = np.full((max(width, height),) * 2 + (3,), fill, dtype=np.uint8)
        square[:height, :width] = image
        return _resized(square, geometry.input_size, placing), valid_mask(geometry), geometry
    left, top, right, bottom = plan.box
    canvas = np.full((geometry.input_size[1], geometry.input_size[0], 3), fill, dtype=np.uint8)
    valid = np.zeros(canvas.shape[:2], dtype=bool)
    canvas[top:bottom, left:right] = _resized(image, (right - left, bottom - top), placing)
    valid[top:bottom, left:right] = True
    return canvas, valid, geometry


def _crop_geometry(size: tuple[int, int], placing: Placing) -> PixelGeometry:
    geometry = placing.geometry
    if geometry is None:
        raise UsageError("Placing an image as a crop needs the geometry of the crop.")
    if tuple(geometry.original_size) != tuple(size):
        raise UsageError(f"A crop was planned for a {geometry.original_size} image, but this one has {size}.")
    return geometry


def _resized(image: np.ndarray, size: tuple[int, int], placing: Placing) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize(size, FILTERS[placing.resample]))


def _filled(crop: np.ndarray, valid: np.ndarray, fill: float) -> np.ndarray:
    if fill != 0.0:
        crop[~valid] = _fill_value(fill)
    return crop


def _fill_value(fill: float) -> int:
    return round(255 * min(1.0, max(0.0, fill)))
