"""`bench3d data check` for Objaverse renderings: every missing or broken file, without stopping at the first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench3d.contracts import Problem
from bench3d.data.depth import load_depth
from bench3d.data.images import load_mask, load_rgb
from bench3d.errors import Bench3DError
from bench3d_plugins.objaverse.layout import PARTS, file_name, view_files

if TYPE_CHECKING:
    from bench3d_plugins.objaverse.dataset import Objaverse

MOST_UNKNOWN = 0.05  # of the mask without depth, before `check` warns


def check(dataset: Objaverse) -> Iterator[Problem]:
    """See `Objaverse.check`."""
    if not dataset.root.is_dir():
        yield Problem(str(dataset.root), "The folder is missing.", hint="Put the data set there, or link to it.")
        return
    try:
        names, expected = dataset.names(), len(dataset.poses)
    except Bench3DError as error:
        yield Problem(str(dataset.root), error.message, hint=error.hint)
        return
    for name in names:
        yield from _object(dataset, name, expected)


def _object(dataset: Objaverse, name: str, expected: int) -> Iterator[Problem]:
    folder = dataset.root / name
    found = view_files(folder)
    for view, parts in found.items():
        for part in PARTS:
            if part not in parts:
                yield Problem(str(folder / file_name(part, view)), "The file is missing.", hint="Render it again.")
        if view >= expected:
            yield Problem(
                str(folder / file_name("color", view)),
                f"The view has no pose: there are {expected}.",
                hint="Put the poses of these renderings beside the objects as obj_poses.npy.",
            )
    whole = [view for view, parts in found.items() if parts == set(PARTS) and view < expected]
    if len(whole) < 2:
        yield Problem(str(folder), f"The object has {len(whole)} whole views: it is left out.", hint="Render it again.")
    elif len(found) < expected:
        yield Problem(str(folder), f"{expected - len(found)} of {expected} views are missing.", severity="warning")
    yield from _pixels(folder, whole)


def _pixels(folder: Path, views: list[int]) -> Iterator[Problem]:
    """Problems of the files of whole views; all views of an object have one size."""
    size: tuple[int, int] | None = None
    for view in views:
        image, depth, mask = (folder / file_name(part, view) for part in PARTS)
        try:
            pixels = load_rgb(image, size)
            size = (pixels.shape[1], pixels.shape[0])
            inside = load_mask(mask, size)
            known = load_depth(depth, 1.0, size) > 0
        except Bench3DError as error:
            yield Problem(str(image), error.message, hint=error.hint)
            continue
        if size[0] != size[1]:
            yield Problem(str(image), f"The image is not square: {size[0]}x{size[1]} pixels.")
        unknown = (inside & ~known).sum() / max(inside.sum(), 1)
        if unknown > MOST_UNKNOWN or not inside.any():
            what = f"{unknown:.0%} of the mask has no depth." if inside.any() else "The object is not seen."
            yield Problem(str(depth), what, severity="warning")
