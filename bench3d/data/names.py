"""Paths that data files name."""

from __future__ import annotations

from pathlib import PurePosixPath

LONGEST = 1024  # characters
LONGEST_PART = 255  # bytes: what file systems take


def stays_inside(name: str) -> bool:
    """Whether a relative path with forward slashes names something below the folder that it is relative to.

    False for absolute paths, drives, `..`, backslashes, the empty path, and what no file system takes.
    """
    parts = PurePosixPath(name).parts
    if not parts or len(name) > LONGEST or any(letter in name for letter in "\\\0") or ":" in parts[0]:
        return False
    if PurePosixPath(name).is_absolute() or ".." in parts:
        return False
    return all(len(part.encode("utf-8", errors="replace")) <= LONGEST_PART for part in parts)
