"""File names of the renderings: `<object>/color_%06d.png`, `depth_%06d.png`, `mask_%06d.png`."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

PARTS = ("color", "depth", "mask")
TRAINING_LIST = "train.txt"  # names of the objects that are for training alone, a line each; optional
_NAME = re.compile(r"(color|depth|mask)_(\d{6})\.png")
LOOKED_AT = 50  # folders that `recognise` opens at most


def file_name(part: str, view: int) -> str:
    """Name of a view's file inside its object's folder."""
    return f"{part}_{view:06d}.png"


def object_names(root: Path) -> list[str]:
    """Names of the folders in `root` that hold renderings, sorted; hidden and other folders are passed over."""
    with os.scandir(root) as entries:
        folders = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    return [name for name in folders if view_files(root / name)]


def view_files(folder: Path) -> dict[int, set[str]]:
    """View number -> the parts (color, depth, mask) that are there, in order of the views."""
    found: dict[int, set[str]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if match := _NAME.fullmatch(entry.name):
                found.setdefault(int(match[2]), set()).add(match[1])
    return dict(sorted(found.items()))


def recognise(folder: Path) -> bool:
    """Whether `folder` holds folders of renderings."""
    try:
        with os.scandir(folder) as entries:
            for entry in itertools.islice((e for e in entries if e.is_dir()), LOOKED_AT):
                if any(parts == set(PARTS) for parts in view_files(Path(entry.path)).values()):
                    return True
    except OSError:
        return False
    return False
