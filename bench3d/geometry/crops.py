"""Crops that keep their pixel geometry: centre-zoom around a point, boxes, and the resampling itself."""

from __future__ import annotations

import cv2
import numpy as np

from bench3d.geometry.pixels import PixelGeometry


def centre_zoom(original_size: tuple[int, int], centre: np.ndarray, scale: float, canvas: int) -> PixelGeometry:
    """A square crop of `canvas` pixels around `centre` (2,), `scale` canvas pixels per original pixel."""
    offset = (canvas / 2 - scale * float(centre[0]), canvas / 2 - scale * float(centre[1]))
    return PixelGeometry(original_size=original_size, input_size=(canvas, canvas), scale=(scale, scale), offset=offset)


def mask_zoom(mask: np.ndarray, centre: np.ndarray, canvas: int) -> PixelGeometry:
    """Common3D's CenterZoom3D (protocol page 1.3): centred on `centre`, scaled so that the mask just fits.

    Args:
        mask: (H, W) bool in original pixels.
        centre: (2,) projection of the object's origin; where it is not finite or farther than one image size
            outside, the image centre is taken.
        canvas: side of the crop.

    The half extents are measured from `centre`, not from the middle of the mask; an empty mask counts as 512 pixels;
    a scale outside [0.01, 100] becomes 1.
    """
    height, width = mask.shape
    centre = usable_centre(centre, (width, height))
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        extent = np.array([512.0, 512.0])
    else:
        low = np.array([columns[0], rows[0]], dtype=np.float64)
        high = np.array([columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
        extent = 2 * np.maximum(high - centre, centre - low)
    scale = float((canvas / np.maximum(extent, 1e-6)).min())
    if not 0.01 <= scale <= 100:
        scale = 1.0
    return centre_zoom((width, height), centre, scale, canvas)


def usable_centre(centre: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`centre` (2,) float64; where it is not finite or over one image `size` (W, H) outside, the image's middle."""
    extent = np.array(size, dtype=np.float64)
    centre = np.asarray(centre, dtype=np.float64)
    if not np.isfinite(centre).all() or (centre < -extent).any() or (centre > 2 * extent).any():
        return extent / 2
    return centre


def box_zoom(original_size: tuple[int, int], box: np.ndarray, canvas: int, margin: float = 1.0) -> PixelGeometry:
    """A square crop around a 2D box (x0, y0, x1, y1) whose longer side, times `margin`, fills the canvas."""
    x0, y0, x1, y1 = (float(v) for v in box)
    side = max(x1 - x0, y1 - y0, 1e-6) * margin
    return centre_zoom(original_size, np.array([(x0 + x1) / 2, (y0 + y1) / 2]), canvas / side, canvas)


def resample(image: np.ndarray, geometry: PixelGeometry, nearest: bool = False) -> np.ndarray:
    """The pixels of `geometry.input_size`, zero outside the image. (H, W[, C]) -> (h, w[, C]).

    Bilinear, or nearest for masks. A crop that shrinks by more than a factor of 1.5 is area-averaged first, so that
    it does not alias.
    """
    sx, sy = geometry.scale
    ox, oy = geometry.offset
    shrink = min(sx, sy)
    if shrink < 1 / 1.5 and not nearest:
        height, width = image.shape[:2]
        small = (max(1, round(width * sx)), max(1, round(height * sy)))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        sx, sy = sx * width / small[0], sy * height / small[1]
    # cv2 puts integer coordinates on pixel centres; ours lie at +0.5.
    matrix = np.array([[sx, 0, ox + 0.5 * sx - 0.5], [0, sy, oy + 0.5 * sy - 0.5]])
    return cv2.warpAffine(
        image,
        matrix,
        geometry.input_size,
        flags=cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )


def resample_unsmoothed(image: np.ndarray, geometry: PixelGeometry) -> np.ndarray:
    """Common3D's crop: the window of whole pixels, black outside the image, resized bilinearly without averaging.

    The edges of the window repeat (as `align_corners=False` without antialiasing does), and values are cut to whole
    numbers. (H, W, 3) uint8 -> (h, w, 3) uint8. The window is `geometry`'s, rounded to whole original pixels.
    """
    height, width = image.shape[:2]
    left, top = (round(-o / s) for o, s in zip(geometry.offset, geometry.scale, strict=True))
    wide, high = (max(1, round(n / s)) for n, s in zip(geometry.input_size, geometry.scale, strict=True))
    window = np.zeros((high, wide, image.shape[2]), dtype=np.float32)
    x0, x1 = max(left, 0), min(left + wide, width)
    y0, y1 = max(top, 0), min(top + high, height)
    if x0 < x1 and y0 < y1:
        window[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return cv2.resize(window, geometry.input_size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def valid_mask(geometry: PixelGeometry) -> np.ndarray:
    """(h, w) bool: which crop pixels lie inside the original image."""
    w, h = geometry.input_size
    xs = (np.arange(w) + 0.5 - geometry.offset[0]) / geometry.scale[0]
    ys = (np.arange(h) + 0.5 - geometry.offset[1]) / geometry.scale[1]
    inside_x = (xs >= 0) & (xs < geometry.original_size[0])
    inside_y = (ys >= 0) & (ys < geometry.original_size[1])
    return inside_y[:, None] & inside_x[None, :]
