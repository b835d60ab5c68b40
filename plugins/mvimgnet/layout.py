"""Folders of MVImgNet: `<class>/<instance>/images/` and `<class>/<instance>/sparse/0/*.bin`; or one COLMAP project."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

MODEL = Path("sparse", "0")
CAMERAS, IMAGES, POINTS = "cameras.bin", "images.bin", "points3D.bin"
DEPTH = 2  # folders between the root and a project: class and instance
LOOKED_AT = 200  # folders that `recognise` opens at most


def projects(root: Path) -> Iterator[Path]:
    """COLMAP projects (folders with sparse/0) in sorted order: the root itself, or folders up to two levels below."""
    yield from _below(root, DEPTH)


def recognise(folder: Path) -> bool:
    """Whether `folder` is a COLMAP project with photographs, or holds such projects as MVImgNet does.

    One with a transforms.json is left to the reader of that file, which says more (depth maps, masks).
    """
    try:
        if (folder / "transforms.json").exists():
            return False
        found = itertools.islice(projects(folder), LOOKED_AT)
        return any((one / "images").is_dir() and (one / MODEL / IMAGES).is_file() for one in found)
    except OSError:
        return False


def _below(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / MODEL).is_dir():
        yield folder
        return
    if depth == 0:
        return
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    for name in names:
        yield from _below(folder / name, depth - 1)
