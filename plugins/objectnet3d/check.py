"""`bench3d data check` for ObjectNet3D: every missing or broken file and field, without stopping at the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bench3d.contracts import Problem
from bench3d.data.twin import require_whole
from bench3d.data.viewpoint import HINT
from bench3d.data.viewpoint_folder import annotation_problems, image_problems, named_field
from bench3d.errors import Bench3DError
from bench3d_plugins.objectnet3d.annotation import HDF5
from bench3d_plugins.objectnet3d.index import Row
from bench3d_plugins.objectnet3d.names import CLASSES, LISTS, annotation_path, image_path, list_path, official_class

if TYPE_CHECKING:
    from bench3d_plugins.objectnet3d.dataset import ObjectNet3D


def check(dataset: ObjectNet3D, categories: Sequence[str] | None) -> Iterator[Problem]:
    """See `ObjectNet3D.check`. None checks every category of which anything is there."""
    if not dataset.root.is_dir():
        yield Problem(str(dataset.root), "The folder is missing.", hint="Put the data set there, or link to it.")
        return
    try:
        require_whole(dataset.root)
    except Bench3DError as error:
        yield Problem(str(dataset.root), error.message, hint=error.hint)
        return
    lists: dict[str, Mapping[str, Row]] = {}
    for listed in dict.fromkeys(LISTS.values()):
        path = dataset.root / list_path(listed)
        if listed != "test" and not path.exists():
            if listed != "hard" and not dataset.synthetic:
                yield Problem(str(path), "The list is missing.", hint="Tasks do not need it.", severity="warning")
            continue
        try:
            lists[listed] = dataset.index.rows(listed)
        except Bench3DError as error:
            yield Problem(str(path), error.message, hint=error.hint)
    classes = [official_class(category) for category in categories] if categories is not None else None
    yield from _unreadable(dataset, lists, classes)
    for official in classes if classes is not None else _present(lists):
        last_cad = yield from dataset.cads.problems(official)
        for listed, rows in lists.items():
            frames = {name: row for name, row in rows.items() if row.frame.official == official}
            yield from _lenses(dataset, listed, official, frames)
            for name, row in frames.items():
                yield from _frame(dataset, name, row, last_cad)


def _present(lists: Mapping[str, Mapping[str, Row]]) -> list[str]:
    found = {row.frame.official for rows in lists.values() for row in rows.values()}
    return [official for official in CLASSES.values() if official in found]


def _unreadable(
    dataset: ObjectNet3D, lists: Mapping[str, Mapping[str, Row]], classes: Sequence[str] | None
) -> Iterator[Problem]:
    """Broken annotations whose class cannot be told, and where every class is checked those of the other 80."""
    for rows in lists.values():
        for name, row in rows.items():
            path, frame = str(dataset.root / annotation_path(name)), row.frame
            elsewhere = classes is None and frame.official is not None and frame.official not in CLASSES.values()
            if frame.error is not None and (frame.official is None or elsewhere):
                yield Problem(path, frame.error, field=named_field(frame.error), hint=HINT)
            elif frame.reason == HDF5:
                message = f"It is {HDF5}."
                yield Problem(path, message, hint="The frame is left out, as published.", severity="warning")


def _lenses(dataset: ObjectNet3D, listed: str, official: str, frames: Mapping[str, Row]) -> Iterator[Problem]:
    """One warning per list and class: a picture has one lens, but objects are annotated one by one."""
    several = [name for name, row in frames.items() if not row.frame.one_lens]
    if several:
        message = f"The objects' focal lengths differ in {len(several)} frames of {official}, such as {several[0]}."
        hint = "The first object's counts, as published."
        yield Problem(str(dataset.root / list_path(listed)), message, "viewpoint.focal", hint, "warning")


def _frame(dataset: ObjectNet3D, name: str, row: Row, last_cad: int) -> Iterator[Problem]:
    path = str(dataset.root / annotation_path(name))
    size = yield from image_problems(dataset.root / image_path(name))
    if row.frame.error is not None:
        yield Problem(path, row.frame.error, field=named_field(row.frame.error), hint=HINT)
    elif row.frame.found is not None:
        yield from annotation_problems(path, row.frame.found, size, last_cad, dataset.cads)
