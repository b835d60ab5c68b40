"""Depth maps of data sets that store them as 16-bit PNG files of whole units (millimetres, mostly)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from bench3d.data.images import load_mask
from bench3d.errors import DataError

HINT = "Get the file again."
SATURATED = 65535


def load_depth(path: Path, unit: float, size: tuple[int, int], mask: Path | None = None) -> np.ndarray:
    """(H, W) float32 depth: the stored whole numbers times `unit`; 0 where unknown.

    Unknown are 0, the largest 16-bit number (a sensor's or renderer's "too far") and what lies outside `mask`.

    Raises:
        DataError: a file is missing, truncated, not of 16 bits and one channel, or not of `size` (W, H).
    """
    values = _decode(path)
    if values.ndim != 2 or values.dtype not in (np.dtype(np.uint16), np.dtype(np.int32)):
        raise DataError(f"{path}: a 16-bit image was expected, not {values.dtype} {values.shape}.", HINT)
    if values.shape != (size[1], size[0]):
        raise DataError(
            f"{path} has {values.shape[1]}x{values.shape[0]} pixels, its image {size[0]}x{size[1]}.",
            "Depth must be registered to the image, pixel by pixel.",
        )
    depth = values.astype(np.float32) * np.float32(unit)
    depth[(values <= 0) | (values >= SATURATED)] = 0.0
    if mask is not None:
        depth[~load_mask(mask, size)] = 0.0
    return depth


def _decode(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.array(image)
    except FileNotFoundError:
        raise DataError(f"The depth map {path} is missing.", "Complete the data set.") from None
    except Exception as error:
        # PIL raises OSError, SyntaxError, ValueError, DecompressionBombError and more, depending on the codec.
        raise DataError(f"{path} is no readable image ({error}).", HINT) from error
