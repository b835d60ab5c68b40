"""File names of RGB-D frames: `NAME.color.png|jpg|jpeg`, `NAME.depth.png`, `NAME.pose.txt`."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path

INTRINSICS = "camera-intrinsics.txt"
COLOR_INTRINSICS = "color-intrinsics.txt"
_COLOR = re.compile(r"(.+)\.color\.(png|jpg|jpeg)", re.IGNORECASE)
LOOKED_AT = 50  # subfolders that `recognise` opens at most


@dataclass(frozen=True)
class Frame:
    """One frame's files; `missing` names those that are not there."""

    name: str
    color: Path
    depth: Path
    pose: Path
    missing: tuple[str, ...]


def frames_of(folder: Path) -> list[Frame]:
    """Frames with a colour image in a folder, sorted by name."""
    with os.scandir(folder) as entries:
        names = {entry.name for entry in entries}
    found = []
    for name in sorted(names):
        match = _COLOR.fullmatch(name)
        if match is None or name.startswith("."):
            continue
        depth, pose = f"{match[1]}.depth.png", f"{match[1]}.pose.txt"
        missing = tuple(other for other in (depth, pose) if other not in names)
        found.append(Frame(match[1], folder / name, folder / depth, folder / pose, missing))
    return found


def frame_folders(root: Path) -> list[Path]:
    """The root where it holds frames, and its subfolders that do, sorted by name."""
    return [folder for folder in (root, *_subfolders(root)) if frames_of(folder)]


def intrinsics_path(folder: Path, root: Path, name: str = INTRINSICS) -> Path:
    """The folder's own file of that name where there is one, else the root's."""
    own = folder / name
    return own if own.exists() else root / name


def recognise(folder: Path) -> bool:
    """Whether `folder`, or a subfolder, holds whole frames."""
    try:
        places = itertools.chain([folder], itertools.islice(_subfolders(folder), LOOKED_AT))
        return any(not frame.missing for place in places for frame in frames_of(place))
    except OSError:
        return False


def _subfolders(root: Path) -> list[Path]:
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    return [root / name for name in names]
