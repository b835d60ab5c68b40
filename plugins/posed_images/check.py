"""`bench3d data check` for posed images: every missing or broken file and field, without stopping at the first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench3d.contracts import Problem
from bench3d.data.images import load_mask, load_rgb
from bench3d.errors import Bench3DError
from bench3d_plugins.posed_images.layout import TRANSFORMS
from bench3d_plugins.posed_images.transforms import Frame, Transforms

if TYPE_CHECKING:
    from bench3d_plugins.posed_images.dataset import PosedImages


def check(dataset: PosedImages) -> Iterator[Problem]:
    """See `PosedImages.check`."""
    if not dataset.root.is_dir():
        yield Problem(str(dataset.root), "The folder is missing.", hint="Put the images there, or link to them.")
        return
    try:
        folders = dataset.folders()
    except Bench3DError as error:
        yield Problem(str(dataset.root), error.message, hint=error.hint)
        return
    for folder in folders:
        try:
            transforms = Transforms(folder / TRANSFORMS)
        except Bench3DError as error:
            yield Problem(str(folder / TRANSFORMS), error.message, _field(error.message), error.hint)
            continue
        broken = [problem for frame in transforms.frames for problem in _frame(folder, transforms, frame)]
        yield from broken
        if not any(problem.severity == "error" for problem in broken):
            yield from _truth(dataset, folder)


def _frame(folder: Path, transforms: Transforms, frame: Frame) -> Iterator[Problem]:
    from bench3d_plugins.posed_images.dataset import depth_map, image_path

    path = image_path(folder, frame)
    if path is None:
        what = "The image is missing: the frame is left out."
        yield Problem(str(folder / frame.image), what, field="file_path", severity="warning")
        return
    try:
        pixels = load_rgb(path)
    except Bench3DError as error:
        yield Problem(str(path), error.message, hint=error.hint)
        return
    size = (pixels.shape[1], pixels.shape[0])
    try:
        frame.camera(size)
        frame.pose()
    except Bench3DError as error:
        yield Problem(str(transforms.path), error.message, _field(error.message), error.hint)
    try:
        if frame.depth is not None:
            depth_map(folder / frame.depth, transforms.depth_unit, size)
        if frame.mask is not None:
            load_mask(folder / frame.mask, size)
    except Bench3DError as error:
        yield Problem(str(path), error.message, hint=error.hint)


def _truth(dataset: PosedImages, folder: Path) -> Iterator[Problem]:
    """Problems of what correspondences come from."""
    try:
        one = dataset.scene(folder)
        if one.observations is not None:
            one.observations()
    except Bench3DError as error:
        yield Problem(str(folder / TRANSFORMS), error.message, hint=error.hint)


def _field(message: str) -> str | None:
    """The field that an error of the reader names."""
    words = message.split(": field ", 1)
    return words[1].split()[0] if len(words) == 2 else None
