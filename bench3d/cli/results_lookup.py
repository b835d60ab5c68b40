"""Records by path or by the first digits of their identity, and progress that shows only where a command takes long."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from bench3d.contracts import Progress
from bench3d.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from bench3d.leaderboard.entries import Entry

RESULTS = Path("bench3d-results")
LATE_SECONDS = 2.0
_FEWEST = 6
_IDENTITY = re.compile(r"(?:.*-)?([0-9a-f]{6,64})")
"""Digits, or the name of a run's folder, which ends in them."""

SearchOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--results", metavar="DIR", help="Where digits of an identity are looked for; repeat for more folders."
    ),
]


class LateProgress(Progress):
    """Hands on to the display of progress where a stage takes long; a short one stays silent.

    A stage takes long after two seconds, if by the pace since its first step (which may load what all steps need) a
    second is left.
    """

    def __init__(self, late: float = LATE_SECONDS) -> None:
        self._shown: Progress | None = None
        self._late = late
        self._stage: tuple[str, int | None] = ("", None)
        self._done = 0
        self._begun = self._first = time.monotonic()

    def start(self, name: str, total: int | None) -> None:
        """Begins a stage."""
        self.finish()
        self._stage, self._done, self._begun = (name, total), 0, time.monotonic()

    def advance(self, steps: int = 1, **values: float) -> None:
        """Counts; the display appears here."""
        now = time.monotonic()
        self._first = self._first if self._done else now
        self._done += steps
        if self._shown is not None:
            self._shown.advance(steps, **values)
        elif now - self._begun >= self._late and self._left(now) >= self._late / 2:
            from bench3d.cli.progress import progress_for

            self._shown = progress_for()
            self._shown.start(*self._stage)
            self._shown.advance(self._done, **values)

    def _left(self, now: float) -> float:
        """Seconds that the rest of the stage may take; none before its second step."""
        total = self._stage[1]
        if total is None or self._done < 2:
            return 0.0 if total is not None else self._late
        return (now - self._first) / (self._done - 1) * (total - self._done)

    def finish(self) -> None:
        """Ends the stage."""
        if self._shown is not None:
            self._shown.finish()
            self._shown = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown is not None:
            self._shown.__exit__(kind, error, trace)


def names_record(text: str) -> bool:
    """Whether an argument names one record (a file, a run's folder, digits of an identity), not a results folder."""
    path = Path(text)
    return path.is_file() or (path / "record.json").exists() or (not path.exists() and bool(_IDENTITY.fullmatch(text)))


def find_record(text: str, results: Sequence[Path]) -> Entry:
    """The record that an argument names; identities are looked for in results folders and folders of records.

    Raises:
        DataError: it is broken; names file and field.
        UnknownNameError: no record of these digits.
        UsageError: a folder without a record, or digits that several identities begin with.
    """
    path = Path(text)
    if path.is_file():
        return _entry(path)
    if path.is_dir():
        if not (path / "record.json").exists():
            raise UsageError(f"{path} is no run's folder: it has no record.json.", "Give a run, or the digits of one.")
        return _entry(path / "record.json")
    digits = _IDENTITY.fullmatch(text)
    folders = list(results) or [RESULTS]
    where = ", ".join(str(folder) for folder in folders)
    if digits is None:
        raise UnknownNameError(
            f"{text} is no file, no folder, and no identity.", f"An identity is {_FEWEST} hexadecimal digits or more."
        )
    found: dict[str, Entry] = {}
    for record in _candidates(folders, digits[1]):
        entry = _entry(record)
        if entry.record.identity.hash.startswith(digits[1]):
            found.setdefault(entry.record.identity.hash, entry)
    if not found:
        raise UnknownNameError(f"No record of {digits[1]} in {where}.", "Name other folders with --results DIR.")
    if len(found) > 1:
        several = ", ".join(sorted(h[: len(digits[1]) + 4] for h in found))
        raise UsageError(f"{len(found)} identities begin with {digits[1]}: {several}.", "Give more digits.")
    return next(iter(found.values()))


def _candidates(folders: Sequence[Path], digits: str) -> list[Path]:
    """Record files whose folder's name says that they may be of the identity."""
    pattern = f"*/*-{digits[:12]}*/record.json"
    return [path for folder in folders for base in ("runs", ".") for path in sorted((folder / base).glob(pattern))]


def _entry(path: Path) -> Entry:
    from bench3d.leaderboard.badges import badge_of
    from bench3d.leaderboard.entries import Entry
    from bench3d.leaderboard.safety import clean_record
    from bench3d.records import read_record, sidecar_of

    record = clean_record(read_record(path))
    return Entry(record, path, sidecar_of(path.parent), badge_of(path.parent, record)[0])
