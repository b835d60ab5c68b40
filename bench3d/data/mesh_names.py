"""Mesh files under names of their own, from files and folders that a user names."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from bench3d.data.mesh_files import SUFFIXES
from bench3d.errors import DataError, UsageError


def find_meshes(arguments: Sequence[Path]) -> dict[str, Path]:
    """Name -> mesh file of every file named and every mesh file in every folder named, sorted by name.

    A name is the file's stem. Where two files share it, both get the name of their parent folder in front
    ("chair-scene", "table-scene"), and where they still do, their suffix behind ("chair-scene-obj"). Hidden files and
    folders are passed over; a file that is named twice counts once.

    Raises:
        UsageError: nothing was named, a file is of another kind, or two files cannot be told apart by these rules.
        DataError: a file or folder is missing, or a folder holds no mesh file.
    """
    files: dict[Path, Path] = {}
    for argument in arguments:
        for path in _files(argument):
            files.setdefault(path.resolve(), path)
    if not files:
        raise UsageError("No mesh was named.", "Give files, or folders with files.")
    paths = list(files.values())
    parents = {path: path.resolve().parent.name for path in paths}
    names = {path: path.stem for path in paths}
    for longer in (lambda p: f"{parents[p]}-{p.stem}", lambda p: f"{names[p]}-{p.suffix[1:].lower()}"):
        for group in _shared(names):
            names.update({path: longer(path) for path in group})
    if clash := _shared(names):
        one, two = sorted(clash[0])[:2]
        raise UsageError(f"{one} and {two} would have one name: {names[one]}.", "Render them into two folders (--out).")
    return {name: path for path, name in sorted(names.items(), key=lambda item: item[1])}


def _shared(names: dict[Path, str]) -> list[list[Path]]:
    """The groups of files that share a name; upper and lower case are one, as on some file systems."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for path, name in names.items():
        groups[name.casefold()].append(path)
    return [group for group in groups.values() if len(group) > 1]


def _files(argument: Path) -> list[Path]:
    argument = argument.expanduser()
    if argument.is_dir():
        found = []
        for folder, inner, names in os.walk(argument):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            found += [Path(folder) / name for name in sorted(names) if not name.startswith(".")]
        found = [path for path in found if path.suffix.lower() in SUFFIXES]
        if not found:
            raise DataError(f"The folder {argument} holds no mesh file.", f"Known: {', '.join(SUFFIXES)}.")
        return found
    if not argument.exists():
        raise DataError(f"There is no file or folder {argument}.")
    if argument.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{argument} is no mesh file that can be read.", f"Known: {', '.join(SUFFIXES)}.")
    return [argument]
