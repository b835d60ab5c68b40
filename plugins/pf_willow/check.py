"""`bench3d data check` for PF-WILLOW: every missing or broken file and field, without stopping at the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench3d.contracts import Problem
from bench3d.data.images import load_rgb
from bench3d.data.pair_lists import Row
from bench3d.errors import Bench3DError
from bench3d_plugins.pf_willow.dataset import listed_points, row_subset
from bench3d_plugins.pf_willow.names import FOLDER, SUBSETS, category_name

if TYPE_CHECKING:
    from bench3d_plugins.pf_willow.dataset import PFWillow

SLACK = 2.0  # pixels a keypoint may stand out of its image: annotations count from 1 and are rounded


def check(dataset: PFWillow, categories: Sequence[str] | None) -> Iterator[Problem]:
    """See `PFWillow.check`. None checks every category of which a folder is there."""
    if not dataset.root.is_dir():
        yield Problem(str(dataset.root), "The folder is missing.", hint="Put the data set there, or link to it.")
        return
    if categories is not None:
        chosen = {category_name(category) for category in categories}
    else:
        chosen = {ours for subset, ours in SUBSETS.items() if (dataset.root / subset).is_dir()}
    if not chosen:
        yield Problem(str(dataset.root), "None of the data set's folders is there.", hint="Complete the data set.")
    subsets = [subset for subset, ours in SUBSETS.items() if ours in chosen]
    images: dict[Path, tuple[int, int] | None] = {}
    for subset in subsets:
        yield from _folder(dataset, subset, images)
    if dataset.uses_list:
        yield from _list(dataset, set(subsets), images)
    else:
        message = "The list is missing: every ordered pair of a folder is used instead."
        yield Problem(str(dataset.list_path), message, severity="warning")


def _folder(dataset: PFWillow, subset: str, images: dict[Path, tuple[int, int] | None]) -> Iterator[Problem]:
    paths = dataset.annotated(subset)
    if not paths:
        if not dataset.synthetic:
            yield Problem(str(dataset.root / subset), "There is no annotation.", severity="warning")
        return
    for path in paths:
        yield from _image(path.with_suffix(".png"), images)
        try:
            points = dataset.points(path)
        except Bench3DError as error:
            yield _problem(str(path), error)
            continue
        size = images[path.with_suffix(".png")]
        if size and _is_outside(points, size):
            yield Problem(str(path), f"A keypoint lies outside the image of {size} pixels.", field="pts_coord")


def _list(dataset: PFWillow, subsets: set[str], images: dict[Path, tuple[int, int] | None]) -> Iterator[Problem]:
    path = str(dataset.list_path)
    try:
        rows = dataset.rows()
    except Bench3DError as error:
        yield _problem(path, error)
        return
    for row in rows:
        try:
            if row_subset(row) in subsets:
                yield from _row(dataset, row, images)
        except Bench3DError as error:
            yield _problem(path, error)


def _row(dataset: PFWillow, row: Row, images: dict[Path, tuple[int, int] | None]) -> Iterator[Problem]:
    for column, side in (("imageA", "A"), ("imageB", "B")):
        image = dataset.root / row.image(column, FOLDER)
        if image not in images:
            yield from _image(image, images)
        size = images[image]
        if size and _is_outside(listed_points(row, side), size):
            message = f"Line {row.line}: a keypoint lies outside {image.name} of {size} pixels."
            yield Problem(str(row.path), message, field=f"X{side}", severity="warning")
    if all(images[dataset.root / row.image(column, FOLDER)] for column in ("imageA", "imageB")):
        dataset.row_pair(row)


def _image(path: Path, images: dict[Path, tuple[int, int] | None]) -> Iterator[Problem]:
    images[path] = None
    try:
        pixels = load_rgb(path)
        images[path] = (pixels.shape[1], pixels.shape[0])
    except Bench3DError as error:
        yield _problem(str(path), error)


def _is_outside(points: np.ndarray, size: tuple[int, int]) -> bool:
    return bool((points < -SLACK).any() or (points > np.array(size) + SLACK).any())


def _problem(file: str, error: Bench3DError) -> Problem:
    """An error of the reader; the field is the one that it names."""
    found = error.message.partition(": field ")[2]
    return Problem(file, error.message, field=found.split()[0] if found else None, hint=error.hint)
