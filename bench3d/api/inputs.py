"""Images as a user of Python has them, made into the batch that a model sees."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
import torch

from bench3d.contracts import ImageBatch
from bench3d.errors import UsageError
from bench3d.geometry.pixels import PixelGeometry
from bench3d.runner.photo import load_photo

if TYPE_CHECKING:
    import PIL.Image

Image: TypeAlias = Union[str, "os.PathLike[str]", "PIL.Image.Image", np.ndarray, torch.Tensor]
Images: TypeAlias = Image | Sequence[Image]
TAKEN = (
    "Give a path, a PIL image, an array (H, W, 3) of uint8, a tensor (B, 3, H, W) or (3, H, W) with values in [0, 1], "
    "or a list of these."
)


def image_list(images: Any) -> list[torch.Tensor]:
    """One or several images as tensors (3, H, W) float32 in [0, 1], on the device they were on.

    EXIF orientation of files and PIL images is applied.

    Raises:
        DataError: a file is missing or no image.
        UsageError: something else than an image, another shape, values outside [0, 1], or nothing.
    """
    if isinstance(images, torch.Tensor) and images.ndim == 4:
        found = [_tensor(one) for one in images]
    elif isinstance(images, np.ndarray) and images.ndim == 4:
        found = [_array(one) for one in images]
    elif isinstance(images, (list, tuple)):
        found = [tensor for one in images for tensor in image_list(one)]
    else:
        found = [_one(images)]
    if not found:
        raise UsageError("There is no image.", TAKEN)
    return found


def batch_of(image: torch.Tensor, name: str) -> ImageBatch:
    """A batch of one image (3, H, W)."""
    height, width = image.shape[1:]
    valid = torch.ones(1, 1, height, width, device=image.device)
    return ImageBatch(image[None], valid, (PixelGeometry.identity((width, height)),), (name,))


def _one(image: Any) -> torch.Tensor:
    if isinstance(image, (str, os.PathLike)):
        return _array(load_photo(Path(image).expanduser()))
    if isinstance(image, torch.Tensor):
        return _tensor(image)
    if isinstance(image, np.ndarray):
        return _array(image)
    from PIL import Image as Pillow
    from PIL import ImageOps

    if isinstance(image, Pillow.Image):
        return _array(np.array(ImageOps.exif_transpose(image).convert("RGB")))
    raise UsageError(f"A {type(image).__name__} is no image.", TAKEN)


def _array(image: np.ndarray) -> torch.Tensor:
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape or image.dtype != np.uint8:
        raise UsageError(f"An array of shape {image.shape} and type {image.dtype} is no image.", TAKEN)
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous().float() / 255


def _tensor(image: torch.Tensor) -> torch.Tensor:
    if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape or not image.is_floating_point():
        raise UsageError(f"A tensor of shape {tuple(image.shape)} and type {image.dtype} is no image.", TAKEN)
    values = image.detach().float()
    low, high = (float(v) for v in torch.aminmax(values))
    if not (low >= -1e-4 and high <= 1 + 1e-4):
        raise UsageError(
            f"The values of an image lie between {low:.3g} and {high:.3g}, not in [0, 1].",
            "Divide by 255; leave normalising to the backbone.",
        )
    return values.clamp(0, 1)
