"""The records that a leaderboard is made of: found in results folders and among the committed ones, read safely."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench3d.contracts import NullProgress, Progress
from bench3d.errors import DataError
from bench3d.leaderboard.badges import badge_of
from bench3d.leaderboard.safety import plain_text, read_untrusted
from bench3d.machine import garbage_collection_off
from bench3d.records import Record
from bench3d.records.sidecar import sidecar_of
from bench3d.records.store import RECORD

_DEPTH = 4  # <folder>/runs/<task>/<run>/record.json
_MAX_RECORD_BYTES = 64 << 20
Badge = Literal["self-reported", "sample-verified", "re-run"]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A record that is not on the board, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Entry:
    """A record, where it came from, and what a maintainer has checked of it.

    Attributes:
        record: validated, its texts free of control characters.
        path: record.json.
        sidecar: samples.jsonl or samples.jsonl.gz, None where it is missing.
        badge: "self-reported" without a verification file of a maintainer beside it.
    """

    record: Record
    path: Path
    sidecar: Path | None
    badge: Badge = "self-reported"


@garbage_collection_off()
def find_entries(folders: Sequence[Path], progress: Progress | None = None) -> tuple[list[Entry], list[Refusal]]:
    """Every record under the folders, whatever its status; each identity once.

    A folder may be a results folder, one of committed records (a folder per task), or a run's own. Of two records of
    one identity the finished one stands, then the better verified one, then the one of the earlier folder.

    Returns:
        the entries, in the order of folders and paths, and what could not be read, each with its reason.

    Raises:
        DataError: a folder does not exist.
    """
    found: dict[str, Entry] = {}
    refused: list[Refusal] = []
    progress = progress or NullProgress()
    paths = [path for folder in folders for path in sorted(_record_files(folder))]
    progress.start("records", len(paths))
    for path in paths:
        progress.advance()
        try:
            entry = _read(path)
        except DataError as error:
            refused.append(Refusal(path=plain_text(str(path)), reason=plain_text(str(error))))
            continue
        other = found.setdefault(entry.record.identity.hash, entry)
        if other is not entry:
            better = max(other, entry, key=_standing)  # of equals the first
            found[entry.record.identity.hash] = better
            if other.record.status == entry.record.status == "finished" and _differ(other.record, entry.record):
                worse = entry if better is other else other
                refused.append(
                    Refusal(path=plain_text(str(worse.path)), reason="another record of this run has other scores")
                )
    progress.finish()
    return list(found.values()), refused


def _record_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder.", "Give a results folder, such as bench3d-results.")
    base = len(folder.parts)
    for place, folders, files in os.walk(folder):
        if RECORD in files:
            folders.clear()
            yield Path(place, RECORD)
        deep = len(Path(place).parts) - base >= _DEPTH - 1
        folders[:] = (
            [] if deep else [f for f in folders if not f.startswith(".") and f not in ("fits", "grids", "claims")]
        )


def _read(path: Path) -> Entry:
    record = read_untrusted(path, _MAX_RECORD_BYTES)
    badge, _ = badge_of(path.parent, record)
    return Entry(record, path, sidecar_of(path.parent), badge)


def _standing(entry: Entry) -> tuple[bool, int]:
    return entry.record.status == "finished", ("self-reported", "sample-verified", "re-run").index(entry.badge)


def _differ(a: Record, b: Record) -> bool:
    def values(record: Record) -> dict[tuple[str, str], float]:
        return {(s.metric, s.category): round(s.value, 9) for s in record.scores}

    return values(a) != values(b)
