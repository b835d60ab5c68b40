"""`bench3d data check` for MVImgNet: every missing or broken file, without stopping at the first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench3d.contracts import Problem
from bench3d.data.colmap import ColmapImage, read_points
from bench3d.data.images import load_rgb
from bench3d.data.tracks import factors_of, model_images
from bench3d.errors import Bench3DError
from bench3d_plugins.mvimgnet.layout import IMAGES, MODEL, POINTS

if TYPE_CHECKING:
    from bench3d_plugins.mvimgnet.dataset import MVImgNet


def check(dataset: MVImgNet) -> Iterator[Problem]:
    """See `MVImgNet.check`."""
    if not dataset.root.is_dir():
        yield Problem(str(dataset.root), "The folder is missing.", hint="Put the data set there, or link to it.")
        return
    try:
        folders = dataset.projects()
    except Bench3DError as error:
        yield Problem(str(dataset.root), error.message, hint=error.hint)
        return
    for folder in folders:
        yield from _project(folder)


def _project(folder: Path) -> Iterator[Problem]:
    try:
        images = model_images(folder / MODEL)
    except Bench3DError as error:
        yield Problem(str(folder / MODEL), error.message, hint=error.hint)
        return
    good = 0
    for image in images:
        problems = list(_photograph(folder / "images" / image.name, image))
        good += not problems
        yield from problems
    if good < 2:
        yield Problem(str(folder), f"{good} photographs are usable: the instance is left out.")
    yield from _points(folder / MODEL, images)


def _photograph(path: Path, image: ColmapImage) -> Iterator[Problem]:
    try:
        pixels = load_rgb(path)
        factors_of(path, (pixels.shape[1], pixels.shape[0]), image.camera.size)
    except Bench3DError as error:
        yield Problem(str(path), error.message, hint=error.hint)


def _points(model: Path, images: list[ColmapImage]) -> Iterator[Problem]:
    seen = [image.keypoints.points for image in images if image.keypoints is not None]
    observed = np.concatenate(seen) if seen else np.zeros(0, dtype=np.int64)
    if not len(observed):
        yield Problem(str(model / IMAGES), "No keypoint belongs to a point: there is nothing to match.")
        return
    try:
        known, _ = read_points(model / POINTS)
    except Bench3DError as error:
        yield Problem(str(model / POINTS), error.message, hint=error.hint, severity="warning")
        return
    if stray := len(np.setdiff1d(observed, known)):
        yield Problem(str(model / POINTS), f"{stray} observed points are not in it.", severity="warning")
