"""The records of a results folder at a glance: what a grid looks at every few seconds, without validating them all.

A record file is written by `write_json`, whose layout makes the few facts that a grid needs findable by a search of the
text. A file of another layout (written by hand, or cut off) is read and validated as a whole.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench3d.errors import DataError
from bench3d.records.identity import short
from bench3d.records.schema import SCHEMA, Record, read_record
from bench3d.records.store import RECORD

_HEAD_BYTES = 1 << 16
_HEAD = re.compile(
    rb'\{\n "schema": "%s",\n "label": "[^\n]*",\n "identity": \{\n.*?\n  "hash": "([0-9a-f]{64})"\n \},\n'
    rb' "status": "([a-z-]+)",\n' % SCHEMA.encode(),
    re.DOTALL,
)
_PARTS = re.compile(
    rb'\n  "measurement": (\{\n.*?\n  \}),\n.*\n "cost": (\{\n.*?\n \}),\n.*\n "samples": (\d+),\n',
    re.DOTALL,
)
_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class RunFacts:
    """What an estimate needs of a record; the JSON values of the fields of the same names."""

    measurement: Mapping[str, Any]
    status: str
    cost: Mapping[str, Any]
    samples: int


@dataclass
class _Entry:
    stamp: _Stamp
    identity: str
    status: str
    facts: RunFacts | None = field(default=None, repr=False)


class RunIndex:
    """The records under a results folder, found by identity.

    Folders are listed when it is made and at every `refresh`; files are looked at when they are asked for, and again
    where they have changed. Attempts that are being made are not seen. For one thread.
    """

    def __init__(self, results: Path) -> None:
        self.root = results / "runs"
        self._folders: dict[str, list[Path]] = {}
        self._entries: dict[Path, _Entry] = {}
        self.refresh()

    def refresh(self) -> None:
        """Lists the folders again; what is known of a record file that has not changed is kept."""
        self._folders = {}
        for task in _folders(self.root):
            for run in _folders(task):
                self._folders.setdefault(run.name.rpartition("-")[2], []).append(run)
        there = {run / RECORD for runs in self._folders.values() for run in runs}
        self._entries = {path: entry for path, entry in self._entries.items() if path in there}

    def find(self, identity: str) -> tuple[Path, Record] | None:
        """The record of an identity, whatever its status, and its file; validated.

        Raises:
            DataError: a record file of that name is broken; names file and field.
        """
        path = self.path(identity)
        record = None if path is None else _read_standing(path)
        return None if path is None or record is None else (path, record)

    def path(self, identity: str) -> Path | None:
        """The record file of an identity. DataError as `find`, for what is plainly broken."""
        found = self._lookup(identity)
        return found[0] if found else None

    def status(self, identity: str) -> str | None:
        """The status of an identity's record, None where there is none. Only the head of the file is read.

        Raises:
            DataError: the file is cut off, or its head is not a record's.
        """
        found = self._lookup(identity)
        return found[1].status if found else None

    def facts(self) -> Iterator[RunFacts]:
        """Of every record that can be read, in the order of their paths; broken ones are passed over."""
        for path in sorted(run / RECORD for runs in self._folders.values() for run in runs):
            try:
                entry = self._entry(path)
                if entry is not None and entry.facts is None:
                    entry.facts = _read_facts(path, entry.status)
            except DataError:
                continue
            if entry is not None and entry.facts is not None:
                yield entry.facts

    def _lookup(self, identity: str) -> tuple[Path, _Entry] | None:
        for run in sorted(self._folders.get(short(identity), ())):
            entry = self._entry(run / RECORD)
            if entry is not None and entry.identity == identity:
                return run / RECORD, entry
        return None

    def _entry(self, path: Path) -> _Entry | None:
        """What is known of a record file; None where it is not there (any more)."""
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            self._entries.pop(path, None)
            return None
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from error
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        known = self._entries.get(path)
        if known is None or known.stamp != stamp:
            read = _read_head(path)
            if read is None:
                return None
            known = self._entries[path] = _Entry(stamp, *read)
        return known


def _folders(folder: Path) -> list[Path]:
    """Folders in a folder, hidden ones left out; none where it is not there (any more)."""
    try:
        with os.scandir(folder) as entries:
            return [Path(e.path) for e in entries if not e.name.startswith(".") and e.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}.") from error


def _read_head(path: Path) -> tuple[str, str] | None:
    """Identity and status of a record file, None where it has gone."""
    try:
        with open(path, "rb") as file:
            head = _HEAD.match(file.read(_HEAD_BYTES))
            file.seek(-min(3, os.fstat(file.fileno()).st_size), os.SEEK_END)
            whole = file.read() == b"\n}\n"
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if head is not None and whole:
        return head[1].decode(), head[2].decode()
    record = _read_standing(path)
    return None if record is None else (record.identity.hash, record.status)


def _read_standing(path: Path) -> Record | None:
    """A whole record, None where its file has gone since it was seen."""
    try:
        return read_record(path)
    except DataError:
        if path.exists():
            raise
        return None


def _read_facts(path: Path, status: str) -> RunFacts:
    try:
        parts = _PARTS.search(path.read_bytes())
        if parts is not None:
            measurement, cost, samples = (json.loads(part) for part in parts.groups())
            return RunFacts(measurement, status, cost, samples)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    record = read_record(path)
    return RunFacts(record.identity.measurement, status, record.cost.model_dump(), record.samples)
