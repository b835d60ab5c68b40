"""Which sequences of a category are read, as far as annotations and file names decide it; no image is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from collections.abc import Sequence as Listing
from dataclasses import dataclass
from pathlib import Path

from bench3d.errors import DataError
from bench3d_plugins.co3d.annotations import (
    FRAMES,
    SEQUENCES,
    CameraError,
    Frame,
    Sequence,
    frame_entries,
    parse_frame,
    read_sequences,
)
from bench3d_plugins.co3d.filters import by_quality, camera_reason
from bench3d_plugins.co3d.settings import CO3DSettings

NO_CLOUD = "no point cloud"
NO_IMAGES = "no images on disk"
MISSING_IMAGES = "missing images"
MISSING_MASKS = "missing masks"
NO_CAMERAS = "cameras that are none (NaN or no rotation)"


def few_frames(settings: CO3DSettings) -> str:
    """The reason of a sequence that is too short."""
    return "no frames" if settings.min_frames == 1 else f"fewer than {settings.min_frames} frames"


@dataclass(frozen=True, eq=False)
class Raw:
    """A sequence as published: its category's folder, its cloud's path below the root, and its frames by number."""

    name: str
    folder: str
    cloud: str
    frames: tuple[Frame, ...]


@dataclass(frozen=True, eq=False)
class Selection:
    """Sequences in the order of their list, and how many others were left out by reason.

    With the published filters `sequences` are candidates for the first `max_sequences` that their masks let pass.
    """

    sequences: tuple[Raw, ...]
    left_out: Counter[str]


def select(
    root: Path, folder: str, settings: CO3DSettings, choose: Callable[[Listing[str]], Listing[str]]
) -> Selection:
    """The sequences of a category.

    Args:
        root: of the data set; `folder` its folder of the category.
        choose: the names wanted, in order, of those that are annotated.

    Raises:
        DataError: a missing or broken annotation, or a name that is not annotated; names file, entry and field.
    """
    place = root / folder
    annotated = read_sequences(place / SEQUENCES)
    names = list(choose(list(annotated)))
    if settings.filters == "published" and settings.sequence_list is None:
        names = by_quality(names, {n: annotated[n].quality for n in names if n in annotated})
    left_out: Counter[str] = Counter()
    usable = []
    for name in names:
        if name not in annotated:
            raise DataError(
                f"Sequence {name} is listed but {place / SEQUENCES} has no such sequence.",
                "Complete the data set, or take it off the list.",
            )
        reason = _no_files(root, place, annotated[name])
        if reason is None:
            usable.append(name)
        else:
            left_out[reason] += 1
    frames, broken = read_frames(place / FRAMES, set(usable))
    chosen = []
    for name in usable:
        ordered = tuple(sorted(frames.get(name, []), key=lambda frame: frame.number))
        raw = Raw(name, folder, annotated[name].cloud or "", ordered)
        reason = NO_CAMERAS if name in broken else _reason(root, raw, settings)
        if reason is None:
            chosen.append(raw)
        else:
            left_out[reason] += 1
    return Selection(tuple(chosen), left_out)


def read_frames(path: Path, names: set[str]) -> tuple[dict[str, list[Frame]], set[str]]:
    """Frames of the named sequences, and which have a camera that is none; others' frames are not even validated."""
    found: dict[str, list[Frame]] = {}
    broken: set[str] = set()
    for entry in frame_entries(path):
        if (name := entry.get("sequence_name", str)) in names:
            try:
                found.setdefault(name, []).append(parse_frame(entry))
            except CameraError:
                broken.add(name)
    return found, broken


def _no_files(root: Path, place: Path, sequence: Sequence) -> str | None:
    images = place / sequence.name / "images"
    if not (images.is_dir() and any(images.iterdir())):
        return NO_IMAGES
    if sequence.cloud is None or not (root / sequence.cloud).is_file():
        return NO_CLOUD
    return None


def _reason(root: Path, raw: Raw, settings: CO3DSettings) -> str | None:
    if len(raw.frames) < settings.min_frames:
        return few_frames(settings)
    if _missing(root, (frame.image for frame in raw.frames)):
        return MISSING_IMAGES
    if _missing(root, (frame.mask for frame in raw.frames)):
        return MISSING_MASKS
    return camera_reason(raw.frames, settings) if settings.filters == "published" else None


def _missing(root: Path, paths: Iterable[str]) -> bool:
    """Whether one of the files is missing; folders are listed once each, which is quicker on network disks."""
    listed: dict[Path, set[str]] = {}
    for path in map(root.joinpath, paths):
        if path.parent not in listed:
            listed[path.parent] = {p.name for p in path.parent.iterdir()} if path.parent.is_dir() else set()
        if path.name not in listed[path.parent]:
            return True
    return False
