"""Images, masks and depth maps of data sets: decoded once, checked, and never half-read.

EXIF orientation is not applied: annotations of the official data sets refer to the pixels as stored.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from bench3d.errors import DataError


def load_rgb(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """(H, W, 3) uint8. `size` (W, H) of the annotation is compared where it is given.

    Raises:
        DataError: the file is missing, is no image, is truncated, or has another size.
    """
    return _decode(path, size, "RGB")


def read_image_bytes(path: Path) -> bytes:
    """A file's bytes, not decoded; DataError where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"The image {path} is missing.", "Complete the data set.") from None
    except OSError as error:
        raise _broken(path, error) from error


def decode_rgb(content: bytes, path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """(H, W, 3) uint8 of a file's bytes, for one who has read them already; `path` is for messages. See `load_rgb`."""
    return _decode(path, size, "RGB", content)


def load_mask(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """(H, W) bool: foreground where the value is above one half (protocol page 1.1)."""
    return load_mask_values(path, size) > 0.5


def load_mask_values(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """(H, W) float32 in [0, 1]; the alpha channel where there is one (CO3D stores probability * 255)."""
    values = _decode(path, size, None)
    if values.ndim == 3:
        values = values[..., 3 if values.shape[2] == 4 else 0]
    if values.dtype == bool:
        return values.astype(np.float32)
    if values.dtype != np.uint8:
        raise DataError(f"{path}: a mask of 8 bits was expected, not {values.dtype}.", "Get the file again.")
    return values.astype(np.float32) / np.float32(255)


def load_depth_co3d(
    path: Path,
    scale_adjustment: float,
    size: tuple[int, int] | None = None,
    mask: Path | None = None,
) -> np.ndarray:
    """(H, W) float32 depth along the camera axis in the units of the sequence; 0 where unknown.

    CO3D stores the bits of float16 values as a 16-bit png: they are reinterpreted, multiplied by `scale_adjustment`,
    and set to 0 where not finite or outside the depth mask.
    """
    bits = _decode(path, size, None)
    if bits.ndim != 2 or bits.dtype not in (np.dtype(np.uint16), np.dtype(np.int32)):
        raise DataError(f"{path}: a 16-bit png was expected, not {bits.dtype} {bits.shape}.", "Get the file again.")
    depth = bits.astype(np.uint16).view(np.float16).astype(np.float32) * np.float32(scale_adjustment)
    depth[~np.isfinite(depth)] = 0.0
    if mask is not None:
        depth[~load_mask(mask, size)] = 0.0
    return depth


def image_size(path: Path, content: bytes | None = None) -> tuple[int, int]:
    """(W, H) from the header, without decoding; of `content` where the file's bytes have been read already."""
    try:
        with Image.open(path if content is None else BytesIO(content)) as image:
            return image.size
    except FileNotFoundError:
        raise DataError(f"The image {path} is missing.", "Complete the data set.") from None
    except Exception as error:
        raise _broken(path, error) from error


def _decode(path: Path, size: tuple[int, int] | None, mode: str | None, content: bytes | None = None) -> np.ndarray:
    try:
        with Image.open(path if content is None else BytesIO(content)) as image:
            values = np.array(image if mode is None else image.convert(mode))
    except FileNotFoundError:
        raise DataError(f"The image {path} is missing.", "Complete the data set.") from None
    except Exception as error:
        # PIL raises OSError, SyntaxError, ValueError, DecompressionBombError and more, depending on the codec.
        raise _broken(path, error) from error
    if size is not None and (values.shape[1], values.shape[0]) != tuple(size):
        raise DataError(
            f"{path} has {values.shape[1]}x{values.shape[0]} pixels, its annotation says {size[0]}x{size[1]}.",
            "Use the images as published, not resized.",
        )
    return values


def _broken(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is no readable image ({error}).", "Get the file again.")
