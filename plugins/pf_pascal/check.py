"""`bench3d data check` for PF-PASCAL: every missing or broken file and field, without stopping at the first."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench3d.contracts import Problem
from bench3d.data.images import load_rgb
from bench3d.data.voc import VOC_CLASSES, voc_name
from bench3d.errors import Bench3DError
from bench3d_plugins.pf_pascal.lists import Listed

if TYPE_CHECKING:
    from bench3d_plugins.pf_pascal.dataset import PFPascal

SLACK = 2.0  # pixels a keypoint may stand out of its image: annotations count from 1 and are rounded
Sizes = dict[tuple[str, str], tuple[int, int] | None]
"""Size of an image of a class by (class, path), None where it is broken."""

ADVICE = {"val": "Needed only to choose settings.", "trn": "Tasks do not need it."}


def check(dataset: PFPascal, categories: Sequence[str] | None) -> Iterator[Problem]:
    """See `PFPascal.check`. None checks every class that the lists name."""
    if not dataset.root.is_dir():
        yield Problem(str(dataset.root), "The folder is missing.", hint="Put the data set there, or link to it.")
        return
    chosen = None if categories is None else {voc_name(c, VOC_CLASSES, "PF-PASCAL") for c in categories}
    sizes: Sizes = {}
    for split in ("test", "val", "trn"):
        path = dataset.list_path(split)
        if split == "test" or path.is_file():
            yield from _list(dataset, split, chosen, sizes)
        elif not (split == "trn" and dataset.synthetic):
            yield Problem(str(path), "The list is missing.", hint=ADVICE[split], severity="warning")
    try:
        for note in dataset.notes() if dataset.settings.list == "different" else ():
            yield Problem(str(dataset.list_path("test")), note, severity="warning")
    except Bench3DError as error:
        yield _problem(str(dataset.list_path("test")), error)


def _list(dataset: PFPascal, split: str, chosen: set[str] | None, sizes: Sizes) -> Iterator[Problem]:
    path = str(dataset.list_path(split))
    try:
        rows = dataset.rows(split)
    except Bench3DError as error:
        yield _problem(path, error)
        return
    joined = split == "trn" or (split == "test" and dataset.settings.list == "repaired")
    for official in sorted((chosen or set()) - {row.official for row in rows}):
        yield Problem(path, f"There is no pair of the class {official}.")
    for row in rows:
        if chosen is not None and row.official not in chosen:
            continue
        for name in row.names:
            if (row.official, name) not in sizes:
                sizes[row.official, name] = yield from _image(dataset, row.official, name, joined)
        yield from _points(row, sizes)


def _image(
    dataset: PFPascal, official: str, name: str, needed: bool
) -> Generator[Problem, None, tuple[int, int] | None]:
    """Problems of an image and its annotation; returns its size, None where it is broken."""
    size: tuple[int, int] | None = None
    path = dataset.root / name
    try:
        pixels = load_rgb(path)
        size = (pixels.shape[1], pixels.shape[0])
    except Bench3DError as error:
        yield _problem(str(path), error)
    annotation = dataset.annotation_path(official, name)
    if not annotation.is_file() and not needed:
        hint = "Only boxes and the list `repaired` need it."
        yield Problem(str(annotation), "The annotation is missing.", hint=hint, severity="warning")
        return size
    try:
        dataset.annotation(official, name)
    except Bench3DError as error:
        yield _problem(str(annotation), error)
    return size


def _points(row: Listed, sizes: Sizes) -> Iterator[Problem]:
    for name, points, field in ((row.source, row.source_xy, "XA"), (row.target, row.target_xy, "XB")):
        size = sizes[row.official, name]
        if size is None or points is None:
            continue
        if (points < -SLACK).any() or (points > np.array(size) + SLACK).any():
            message = f"Line {row.row.line}: a keypoint lies outside {name} of {size} pixels."
            yield Problem(str(row.row.path), message, field=field, severity="warning")


def _problem(file: str, error: Bench3DError) -> Problem:
    """An error of the reader; the field is the one that it names."""
    found = error.message.partition(": field ")[2]
    return Problem(file, error.message, field=found.split()[0] if found else None, hint=error.hint)
