"""From images and crops to the batch that a model sees, and the camera that is assumed where none is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench3d.geometry.crops import resample, valid_mask

if TYPE_CHECKING:
    from bench3d.contracts import ImageBatch
    from bench3d.geometry.pixels import PixelGeometry


ASSUMED_FOCAL = 5.0
"""Focal length that is assumed of a box crop, in units of the crop's side."""

BOX_MARGIN = 1.1
"""Side of a box crop in units of the box's longer side."""


def crop_batch(
    images: Sequence[np.ndarray],
    geometries: Sequence[PixelGeometry],
    ids: Sequence[str],
    category: str | None = None,
) -> ImageBatch:
    """Crops images and stacks them, zero outside the image.

    Args:
        images: B arrays (H, W, 3) uint8.
        geometries: B maps to crops of one size.
        ids: B sample ids.
        category: of the whole batch.
    """
    import torch

    from bench3d.contracts import ImageBatch

    crops = np.stack([resample(image, g) for image, g in zip(images, geometries, strict=True)])
    valid = np.stack([valid_mask(g) for g in geometries])
    return ImageBatch(
        images=torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255.0,
        valid=torch.from_numpy(valid)[:, None].float(),
        geometry=tuple(geometries),
        ids=tuple(ids),
        category=category,
    )


def assumed_intrinsics(canvas: int, focal: float) -> np.ndarray:
    """(3, 3) of a virtual camera that looks through the centre of a square crop; `focal` in units of the crop's side.

    It is what is assumed of a crop whose camera nobody knows; rotations are then those of a camera that looks straight
    at the object, as PASCAL3D+ annotates them.
    """
    return np.array([[focal * canvas, 0, canvas / 2], [0, focal * canvas, canvas / 2], [0, 0, 1]], dtype=np.float64)
