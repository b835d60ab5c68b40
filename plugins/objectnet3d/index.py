"""What the annotation files say, read once: the image lists are of all 100 classes together, 90,127 files in all.

Only the files tell which category a frame is of. So what they say is kept in the user's cache folder, one small file
per image list, never beside the data. A row holds as long as its annotation's size and time of change; a broken cache
file is made again, and one that cannot be written is done without.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench3d.contracts import NullProgress, Progress
from bench3d.data.viewpoint_folder import read_names
from bench3d.errors import Bench3DError, OutputError
from bench3d.files import write_bytes
from bench3d.machine import user_cache
from bench3d_plugins.objectnet3d.annotation import Frame, read_frame
from bench3d_plugins.objectnet3d.names import ANNOTATIONS, annotation_path, list_path

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = "bench3d.objectnet3d-index/1"
"""Raised when a row is made in another way."""
CACHED_FROM = 2000
"""Lists of fewer images are read again each time: that takes less than a second."""
MISSING = (-1, 0)


@dataclass(frozen=True)
class Row:
    """An annotation file: its state (bytes, time of change in ns), the SHA-256 of its content, and what it says."""

    state: tuple[int, int]
    digest: str
    frame: Frame


@dataclass(frozen=True)
class Rows:
    """A cache file."""

    schema: str
    root: str
    rows: dict[str, Row]


class Index:
    """The rows of the image lists of the data set in `root`; `progress` shows when thousands of files are read."""

    def __init__(self, root: Path, progress: Progress | None = None) -> None:
        self.root = root
        self.progress = progress or NullProgress()
        self._states: dict[str, tuple[int, int]] | None = None
        self._lists: dict[str, dict[str, Row]] = {}

    def rows(self, listed: str) -> dict[str, Row]:
        """Name -> row in the order of a list; DataError where the list is missing, empty or holds a strange name."""
        if listed not in self._lists:
            self._lists[listed] = self._read(listed, read_names(self.root / list_path(listed)))
        return self._lists[listed]

    def of_class(self, listed: str, official: str) -> Iterator[tuple[str, Row]]:
        """The frames of a class, and those whose class cannot be told, in the order of a list."""
        for name, row in self.rows(listed).items():
            if row.frame.official in (official, None):
                yield name, row

    def cache_file(self, listed: str) -> Path:
        """Where a list's rows are kept."""
        place = hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:12]
        return user_cache() / "bench3d" / "indexes" / f"objectnet3d-{listed}-{place}.json"

    def _read(self, listed: str, names: list[str]) -> dict[str, Row]:
        states = self._file_states()
        cached = self._cached(listed) if len(names) >= CACHED_FROM else {}
        rows = {name: row for name in names if (row := cached.get(name)) and row.state == states.get(name, MISSING)}
        missing = [name for name in dict.fromkeys(names) if name not in rows]
        if len(missing) >= CACHED_FROM:
            self.progress.start(f"reading the {listed} annotations of ObjectNet3D once", len(missing))
        try:
            for name in missing:
                rows[name] = _row(self.root / annotation_path(name), states.get(name, MISSING))
                if len(missing) >= CACHED_FROM:
                    self.progress.advance()
        finally:
            if len(missing) >= CACHED_FROM:
                self.progress.finish()
        rows = {name: rows[name] for name in names}
        if missing and len(names) >= CACHED_FROM:
            kept = {name: row for name, row in rows.items() if row.frame.error is None}
            content = _adapter().dump_json(Rows(SCHEMA, str(self.root.resolve()), kept))
            with contextlib.suppress(OutputError):
                write_bytes(self.cache_file(listed), content)
        return rows

    def _file_states(self) -> dict[str, tuple[int, int]]:
        """Name -> state of every annotation file, in one walk over the folder."""
        if self._states is None:
            self._states = {}
            with contextlib.suppress(OSError), os.scandir(self.root / ANNOTATIONS) as entries:
                for entry in entries:
                    facts = entry.stat()
                    self._states[entry.name.removesuffix(".mat")] = (facts.st_size, facts.st_mtime_ns)
        return self._states

    def _cached(self, listed: str) -> dict[str, Row]:
        try:
            found = _adapter().validate_json(self.cache_file(listed).read_bytes(), strict=True)
        except (OSError, ValueError):
            return {}
        return found.rows if found.schema == SCHEMA and found.root == str(self.root.resolve()) else {}


def _adapter() -> TypeAdapter[Rows]:
    from pydantic import TypeAdapter

    return TypeAdapter(Rows)


def _row(path: Path, state: tuple[int, int]) -> Row:
    try:
        content = path.read_bytes()
    except OSError:
        content = None
    digest = "missing" if content is None else hashlib.sha256(content).hexdigest()
    try:
        return Row(state, digest, read_frame(path, content))
    except Bench3DError as error:
        return Row(state, digest, Frame(error=error.message))
