"""`bench3d data check` for OnePose-LowTexture: every missing or broken file and field, without stopping."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench3d.contracts import Problem
from bench3d.data.images import load_rgb
from bench3d.errors import Bench3DError
from bench3d_plugins.onepose.annotation import MAKE, read_observations, read_points
from bench3d_plugins.onepose.dataset import read_corners, read_intrinsics, read_pose
from bench3d_plugins.onepose.layout import (
    ANNOTATIONS,
    COLOR,
    CORNERS,
    INTRINSICS,
    OBJECTS,
    POSES,
    REFERENCE,
    TEST,
    points_file,
    sequence,
    stems,
)

if TYPE_CHECKING:
    from bench3d_plugins.onepose.dataset import OnePoseLowTexture

T = TypeVar("T")


def check(dataset: OnePoseLowTexture) -> Iterator[Problem]:
    """See `OnePoseLowTexture.check`."""
    if not dataset.base.is_dir():
        yield Problem(str(dataset.base), "The folder is missing.", hint="Put the data set there, or link to it.")
        return
    try:
        names = dataset.names()
    except Bench3DError as error:
        yield Problem(str(dataset.base), error.message, hint=error.hint)
        return
    for name in names:
        yield from _object(dataset, name)


def _object(dataset: OnePoseLowTexture, name: str) -> Iterator[Problem]:
    yield from _tried(lambda: read_corners(dataset.base / OBJECTS / name / CORNERS))[1]
    made = points_file(dataset.base, name)
    points, problems = _tried(lambda: read_points(made))
    yield from problems
    for number in (REFERENCE, TEST):
        folder = sequence(dataset.base, name, number)
        if not folder.is_dir():
            yield Problem(str(folder), "The sequence is missing.", hint="Complete the data set.")
            continue
        images = stems(folder / COLOR, ".png")
        if not images:
            yield Problem(str(folder / COLOR), "There are no images (*.png).", hint="Complete the data set.")
        for stem in images:
            yield from _view(folder, stem)
    folder = sequence(dataset.base, name, REFERENCE)
    annotated = stems(folder / ANNOTATIONS, ".json")
    if folder.is_dir() and not annotated:
        yield Problem(str(folder / ANNOTATIONS), "There are no annotations (*.json).", hint=MAKE)
    for stem in annotated:
        if not (folder / COLOR / f"{stem}.png").is_file():
            yield Problem(str(folder / COLOR / f"{stem}.png"), "An annotated image is missing.", hint=MAKE)
        if points is not None:
            path, count = folder / ANNOTATIONS / f"{stem}.json", len(points)
            yield from _tried(lambda path=path, count=count: read_observations(path, count))[1]  # type: ignore[misc]


def _view(folder: Path, stem: str) -> Iterator[Problem]:
    yield from _tried(lambda: load_rgb(folder / COLOR / f"{stem}.png"))[1]
    yield from _tried(lambda: read_intrinsics(folder / INTRINSICS / f"{stem}.txt"))[1]
    yield from _tried(lambda: read_pose(folder / POSES / f"{stem}.txt"))[1]


def _tried(read: Callable[[], T]) -> tuple[T | None, list[Problem]]:
    """What was read, and what was wrong with it. Errors of the readers read "FILE: field NAME is ..."."""
    try:
        return read(), []
    except Bench3DError as error:
        file, _, rest = error.message.partition(": field ")
        field = rest.split()[0] if rest else None
        return None, [Problem(file if rest else _named(error.message), error.message, field=field, hint=error.hint)]


def _named(message: str) -> str:
    """The path that a message names."""
    return next((word.rstrip(":.,") for word in message.split() if "/" in word), message)
