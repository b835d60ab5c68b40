"""Views and tracks of a COLMAP model, for photographs that may have been scaled or lost since."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench3d.contracts import Observations, PosedView
from bench3d.data.colmap import ColmapImage, read_cameras, read_images
from bench3d.data.images import image_size
from bench3d.data.resized import resize_factors, scale_intrinsics
from bench3d.errors import DataError

MISSING = "missing_images"


@dataclass(frozen=True)
class TrackedViews:
    """Views of a model whose photographs are there, and how many are not."""

    views: tuple[PosedView, ...]
    left_out: dict[str, int]


def model_images(model: Path, keypoints: bool = True) -> list[ColmapImage]:
    """Registered images of a model folder (cameras.bin and images.bin), sorted by name; DataError where broken."""
    return read_images(model / "images.bin", read_cameras(model / "cameras.bin"), keypoints)


def tracked_views(model: Path, photographs: Path) -> TrackedViews:
    """The views of a model, sorted by name, with cameras in pixels of the photographs as they are now.

    Reads poses and image headers only.

    Raises:
        DataError: the model is broken, or a photograph was cropped, turned or stretched since.
    """
    views, left_out = [], Counter[str]()
    for image in model_images(model, keypoints=False):
        path = photographs / image.name
        if not path.is_file():
            left_out[MISSING] += 1
            continue
        size = image_size(path)
        factors = factors_of(path, size, image.camera.size)
        views.append(
            PosedView(
                id=image.name,
                image=path,
                size=size,
                intrinsics=scale_intrinsics(image.camera.intrinsics, factors),
                cam_T_world=image.cam_T_world,
                distortion=image.camera.distortion,
            )
        )
    return TrackedViews(tuple(views), dict(left_out))


def tracked_points(model: Path, sizes: dict[str, tuple[int, int]]) -> dict[str, Observations]:
    """Observed points of the named images, in pixels of photographs of the given sizes (W, H).

    Images that the model does not know are absent. The observed keypoints are taken, not re-projections.

    Raises:
        DataError: the model is broken, or a photograph was cropped, turned or stretched since.
    """
    found = {}
    for image in model_images(model):
        if image.name in sizes and image.keypoints is not None:
            factors = factors_of(Path(image.name), sizes[image.name], image.camera.size)
            found[image.name] = Observations(image.keypoints.points, image.keypoints.xy * np.array(factors))
    return found


def factors_of(path: Path, size: tuple[int, int], stated: tuple[int, int]) -> tuple[float, float]:
    """(x, y) factors from the camera's pixels to the photograph's; DataError where it was not just scaled."""
    factors = resize_factors(size, stated)
    if factors is None:
        raise DataError(
            f"{path} has {size[0]}x{size[1]} pixels, its camera {stated[0]}x{stated[1]}: it was not just scaled.",
            "Use the photographs that the model was made of.",
        )
    return factors
