"""`bench3d data check` for CO3D: every missing or broken file and field, without stopping at the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Sequence as Listing
from pathlib import Path
from typing import TYPE_CHECKING

from bench3d.contracts import Problem
from bench3d.data.images import load_depth_co3d, load_mask_values, load_rgb
from bench3d.data.ply import read_ply_points
from bench3d.errors import Bench3DError
from bench3d_plugins.co3d.annotations import (
    FRAMES,
    SEQUENCES,
    Frame,
    Sequence,
    frame_entries,
    parse_frame,
    read_sequences,
)
from bench3d_plugins.co3d.names import folder_of

if TYPE_CHECKING:
    from bench3d_plugins.co3d.dataset import CO3D


def check(dataset: CO3D, categories: Listing[str] | None) -> Iterator[Problem]:
    """See `CO3D.check`. None checks every category that has annotations."""
    if not dataset.root.is_dir():
        yield Problem(str(dataset.root), "The folder is missing.", hint="Put the data set there, or link to it.")
        return
    chosen = list(categories) if categories is not None else dataset.present()
    if not chosen:
        yield Problem(str(dataset.root), f"No category has a {FRAMES}.", hint="Download a category.")
    for category in chosen:
        yield from _category(dataset, category)


def _category(dataset: CO3D, category: str) -> Iterator[Problem]:
    place = dataset.root / folder_of(category)
    try:
        annotated = read_sequences(place / SEQUENCES)
    except Bench3DError as error:
        yield _problem(place / SEQUENCES, error)
        return
    names = list(annotated)
    try:
        aligned = dataset.alignment(category)
        names = dataset.chosen_names(category, annotated, aligned)
        for name in names:
            if name in annotated and aligned(name) is None:
                yield Problem(str(place), f"Sequence {name} has no alignment.", field=name)
    except Bench3DError as error:
        yield _problem(dataset.settings.alignment or dataset.root / "alignment.json", error)
    for name in names:
        if name not in annotated:
            yield Problem(str(place / SEQUENCES), f"The listed sequence {name} is missing.", field="sequence_name")
        else:
            yield from _cloud(dataset, place, annotated[name])
    yield from _frames(dataset, place, {name for name in names if name in annotated})


def _cloud(dataset: CO3D, place: Path, sequence: Sequence) -> Iterator[Problem]:
    if sequence.cloud is None:
        yield Problem(
            str(place / SEQUENCES), f"Sequence {sequence.name} has no point cloud.", "point_cloud", severity="warning"
        )
        return
    path = dataset.root / sequence.cloud
    yield from _attempt(path, lambda: read_ply_points(path))


def _frames(dataset: CO3D, place: Path, names: set[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    try:
        entries = list(frame_entries(place / FRAMES))
    except Bench3DError as error:
        yield _problem(place / FRAMES, error)
        return
    for entry in entries:
        try:
            name = entry.get("sequence_name", str)
            if name not in names:
                continue
            seen.add(name)
            frame = parse_frame(entry)
        except Bench3DError as error:
            yield _problem(place / FRAMES, error)
            continue
        yield from _files(dataset.root, frame)
    for name in sorted(names - seen):
        yield Problem(str(place / FRAMES), f"Sequence {name} has no frames.", field="sequence_name")


def _files(root: Path, frame: Frame) -> Iterator[Problem]:
    yield from _attempt(root / frame.image, lambda: load_rgb(root / frame.image, frame.size))
    yield from _attempt(root / frame.mask, lambda: load_mask_values(root / frame.mask, frame.size))
    if frame.depth is not None:
        depth = root / frame.depth
        mask = None if frame.depth_mask is None else root / frame.depth_mask
        yield from _attempt(depth, lambda: load_depth_co3d(depth, frame.depth_scale, frame.size, mask))


def _attempt(path: Path, read: Callable[[], object]) -> Iterator[Problem]:
    try:
        read()
    except Bench3DError as error:
        yield _problem(path, error)


def _problem(path: Path, error: Bench3DError) -> Problem:
    """The finding; the field is the one that an annotation entry's error names."""
    words = error.message.split(": field ", 1)
    return Problem(str(path), error.message, field=words[1].split()[0] if len(words) == 2 else None, hint=error.hint)
