"""Folders of data sets under check: copies to spoil, files that decide a fingerprint, and what changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench3d.testing.subjects import Subject
from bench3d.testing.twins import Stand

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
MARKS = ("twin.json", "twin.partial.json")


def copied(subject: Subject, stand: Stand) -> Path:
    """A copy to spoil, under the layout's own folder name; a twin's mark stands beside it, too."""
    copy = subject.folder("copy") / stand.folder.name
    shutil.copytree(stand.folder, copy)
    return copy


def annotation_files(folder: Path) -> Iterator[Path]:
    """Files that are no pictures and no marks, one of each kind and folder first."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix.lower() not in PICTURES]
    files = [p for p in files if p.name not in MARKS]
    firsts = {(p.parent.parent, p.suffix): p for p in reversed(files)}
    yield from sorted(firsts.values())
    yield from (p for p in files if p not in firsts.values())
    # Where nothing but pictures is annotation (renderings with published poses), these count.
    yield from (p for p in sorted(folder.rglob("*")) if p.suffix.lower() in PICTURES and p.is_file())


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Name -> (size, time of change) of everything below a folder."""
    found = {}
    for path in folder.rglob("*"):
        facts = os.lstat(path)
        found[str(path.relative_to(folder))] = (0, 0) if path.is_dir() else (facts.st_size, facts.st_mtime_ns)
    return found


def changed_names(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> list[str]:
    """Names that came, went or changed between two of `state_of`."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def some(names: Sequence[str]) -> str:
    """The first few, in words."""
    return f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
