"""Copying files of others: regular ones alone; no symbolic link is followed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bench3d.errors import DataError
from bench3d.files import make_folder, output_errors


def own_files(folder: Path, part: str = ".") -> tuple[list[Path], int]:
    """The regular files of a folder (or of a part of it), sorted, and how many links beneath it were passed over."""
    files, links = [], 0
    top = folder / part
    if part != "." and top.is_symlink():
        return [], 1
    for place, folders, names in os.walk(top):
        links += sum(Path(place, name).is_symlink() for name in folders)
        for path in (Path(place, name) for name in names):
            links += path.is_symlink()
            if path.is_file() and not path.is_symlink():
                files.append(path)
    return sorted(files), links


def copy_file(path: Path, target: Path) -> int:
    """Copies a regular file, through to the disk; its bytes.

    Raises:
        DataError: it is a link, or cannot be read.
        OutputError: it cannot be written.
    """
    make_folder(target.parent)
    if path.is_symlink():
        raise DataError(f"{path} is a symbolic link.", "Put the file itself there.")
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    with os.fdopen(descriptor, "rb") as file, output_errors(target), open(target, "wb") as out:
        shutil.copyfileobj(file, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())
        return out.tell()
