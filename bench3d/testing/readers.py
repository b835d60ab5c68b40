"""What a reader lists, whichever of the contracts it fulfils, in one form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench3d.errors import Bench3DError, UsageError
from bench3d.testing.subjects import CheckFailed

What = Literal["samples", "pairs", "view_sets", "videos", "sequences"]
LISTS: tuple[What, ...] = ("samples", "pairs", "view_sets", "videos", "sequences")
"""Methods of the contracts that list something; a reader has at least one of them."""
SPLITS = ("test", "plain", "val", "train")
_SPLIT = ("samples", "pairs")


@dataclass(frozen=True)
class Listed:
    """One thing of a list.

    Attributes:
        what: the method that gave it.
        id: unique within the list; cluster: None where the contract has none.
        images: (path, (W, H)) of its images.
        value: the thing itself.
    """

    what: What
    id: Any
    category: Any
    cluster: Any
    images: tuple[tuple[Path, tuple[int, int]], ...]
    value: Any


def methods(reader: Any) -> list[What]:
    """The lists that a reader has.

    Raises:
        CheckFailed: none.
    """
    found = [name for name in LISTS if callable(getattr(reader, name, None))]
    if not found:
        raise CheckFailed(
            f"{type(reader).__name__} has none of the methods {', '.join(LISTS)}.",
            "See the contracts PoseDataset, KeypointPairDataset, ViewSetDataset, TrackedVideoDataset, MultiviewSource.",
        )
    return found


def everything(reader: Any, category: str) -> dict[What, list[Listed]]:
    """All lists of a category."""
    return {what: list(_listed(reader, what, category)) for what in methods(reader)}


def ask(reader: Any, what: What, category: str) -> list[Any]:
    """What one method gives, of the first split that is there."""
    if what not in _SPLIT:
        return list(getattr(reader, what)(category))
    failure: Bench3DError | None = None
    for split in SPLITS:
        try:
            return list(getattr(reader, what)(category, split))
        except UsageError as error:  # there is no such split
            failure = failure or error
    assert failure is not None
    raise failure


def _listed(reader: Any, what: What, category: str) -> Iterator[Listed]:
    for one in ask(reader, what, category):
        if what == "samples":
            yield Listed(what, one.id, one.category, one.cluster, ((one.image, one.size),), one)
        elif what == "pairs":
            sides = tuple((side.image, side.size) for side in (one.source, one.target))
            yield Listed(what, one.id, one.category, one.cluster, sides, one)
        elif what == "view_sets":
            yield Listed(what, one.id, None, one.id, tuple((v.image, v.size) for v in one.views), one)
        elif what == "videos":
            files = tuple((f.path, f.size) for f in one.frames if f.pixels is None)
            yield Listed(what, one.id, None, one.cluster, files, one)
        else:
            yield Listed(what, one.name, one.category, one.name, tuple((f.image, f.size) for f in one.frames), one)
