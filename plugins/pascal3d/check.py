"""`bench3d data check` for PASCAL3D+: every missing or broken file and field, without stopping at the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench3d.contracts import Problem
from bench3d.data.viewpoint_folder import annotation_problems, image_problems, named_field
from bench3d.errors import Bench3DError
from bench3d_plugins.pascal3d.annotation import Annotation, read_annotation
from bench3d_plugins.pascal3d.names import CLASSES, LISTS, annotation_path, image_path, list_path, official_class

if TYPE_CHECKING:
    from bench3d_plugins.pascal3d.dataset import Pascal3D


def check(dataset: Pascal3D, categories: Sequence[str] | None) -> Iterator[Problem]:
    """See `Pascal3D.check`. None checks every class of which anything is there."""
    if not dataset.root.is_dir():
        yield Problem(str(dataset.root), "The folder is missing.", hint="Put the data set there, or link to it.")
        return
    chosen = list(categories) if categories is not None else _present(dataset)
    if not chosen:
        yield Problem(str(dataset.root / "Image_sets"), "There is no image list.", hint="Complete the data set.")
    for category in chosen:
        official = official_class(category)
        last_cad = yield from dataset.cads.problems(official)
        for listed in dict.fromkeys(LISTS.values()):
            path = dataset.root / list_path(official, listed)
            if listed != "val" and not path.exists():
                if listed == "train" and not dataset.synthetic:
                    yield Problem(str(path), "The list is missing.", hint="Tasks do not need it.", severity="warning")
                continue
            try:
                names = dataset.names(category, listed)
            except Bench3DError as error:
                yield Problem(str(path), error.message, hint=error.hint)
                continue
            for name in names:
                yield from _frame(dataset, official, name, last_cad)


def _present(dataset: Pascal3D) -> list[str]:
    return [name for name, official in CLASSES.items() if (dataset.root / list_path(official, "val")).exists()]


def _frame(dataset: Pascal3D, official: str, name: str, last_cad: int) -> Iterator[Problem]:
    path = dataset.root / annotation_path(official, name)
    size = yield from image_problems(dataset.root / image_path(official, name))
    try:
        found = read_annotation(path, official)
    except Bench3DError as error:
        yield Problem(str(path), error.message, field=named_field(error.message), hint=error.hint)
        return
    if isinstance(found, Annotation):
        yield from annotation_problems(str(path), found, size, last_cad, dataset.cads)
