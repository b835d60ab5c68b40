"""`bench3d data check` for PASCAL3D+: every missing or broken file and field, without stopping at the first."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING

from bench3d.contracts import Problem
from bench3d.data.images import load_rgb
from bench3d.data.off import read_off
from bench3d.errors import Bench3DError
from bench3d_plugins.pascal3d.annotation import Annotation, read_annotation
from bench3d_plugins.pascal3d.names import (
    CLASSES,
    LISTS,
    annotation_path,
    cad_path,
    image_path,
    list_path,
    official_class,
)

if TYPE_CHECKING:
    from bench3d_plugins.pascal3d.dataset import Pascal3D

BOX_SLACK = 2.0  # pixels a box may stand out of its image: the release counts them from 1 and rounds


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
        last_cad = yield from _cad_models(dataset, official)
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


def _cad_models(dataset: Pascal3D, official: str) -> Generator[Problem, None, int]:
    """Problems of the CAD models; returns the number of the last one, 0 where there is none."""
    try:
        last = dataset.cad_count(official)
    except Bench3DError as error:
        yield Problem(str(dataset.root / "CAD" / official), error.message, hint=error.hint)
        return 0
    for index in range(1, last + 1):
        path = dataset.root / cad_path(official, index)
        try:
            read_off(path)
        except Bench3DError as error:
            yield Problem(str(path), error.message, hint=error.hint)
    return last


def _frame(dataset: Pascal3D, official: str, name: str, last_cad: int) -> Iterator[Problem]:
    path = dataset.root / annotation_path(official, name)
    image = dataset.root / image_path(official, name)
    size: tuple[int, int] | None = None
    try:
        pixels = load_rgb(image)
        size = (pixels.shape[1], pixels.shape[0])
    except Bench3DError as error:
        yield Problem(str(image), error.message, hint=error.hint)
    try:
        found = read_annotation(path, official)
    except Bench3DError as error:
        yield Problem(str(path), error.message, field=_field(error.message), hint=error.hint)
        return
    if isinstance(found, Annotation):
        yield from _fields(str(path), found, size, last_cad, official)


def _fields(
    file: str, found: Annotation, size: tuple[int, int] | None, last_cad: int, official: str
) -> Iterator[Problem]:
    if last_cad and found.cad_index > last_cad:
        yield Problem(file, f"cad_index is {found.cad_index}, CAD/{official} ends at {last_cad}.", field="cad_index")
    if found.size and size and found.size != size:
        yield Problem(file, f"The annotation says {found.size}, the image has {size} pixels.", field="size")
    x0, y0, x1, y1 = found.box
    if x1 <= x0 or y1 <= y0:
        yield Problem(file, f"The box {found.box} is empty.", field="bbox")
    elif size and (min(x0, y0) < -BOX_SLACK or x1 > size[0] + BOX_SLACK or y1 > size[1] + BOX_SLACK):
        yield Problem(file, f"The box {found.box} leaves the image of {size} pixels.", field="bbox", severity="warning")


def _field(message: str) -> str | None:
    """The field that an error of the annotation reader names."""
    words = message.split(": field ", 1)
    return words[1].split()[0] if len(words) == 2 else None
