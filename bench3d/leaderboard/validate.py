"""`bench3d leaderboard validate`: everything that can be checked of a record without running it again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench3d.contracts import NullProgress, Progress
from bench3d.errors import DataError
from bench3d.leaderboard.safety import plain_text
from bench3d.leaderboard.validate_case import LEVELS, PLAIN_FILES, Case, Finding, Level
from bench3d.leaderboard.validate_files import check_files, check_schema, check_sidecar
from bench3d.leaderboard.validate_known import Known, check_known
from bench3d.leaderboard.validate_origin import check_origin
from bench3d.leaderboard.validate_record import check_record
from bench3d.leaderboard.validate_scores import check_scores
from bench3d.records.store import RECORD

RECORDS = Path("leaderboard", "records")
_DEPTH = 4
_SKIPPED = ("fits", "grids", "claims", "pictures")


@dataclass
class Validation:
    """What was found, in the order of the folders. `bytes` is what the records take, sidecars packed as they are."""

    folders: list[Path] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    bytes: int = 0

    def count(self, level: Level) -> int:
        """Findings of a level."""
        return sum(f.level == level for f in self.findings)

    @property
    def passed(self) -> bool:
        """No error was found."""
        return self.count("error") == 0

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "passed": self.passed,
            "records": [plain_text(str(folder)) for folder in self.folders],
            "bytes": self.bytes,
            **{f"{level}s": self.count(level) for level in LEVELS},
            "findings": [finding.as_json() for finding in self.findings],
        }


def validate(
    paths: Sequence[Path],
    records: Path | None = None,
    strict: bool = False,
    maintainer: bool = False,
    progress: Progress | None = None,
) -> Validation:
    """Validates records.

    Args:
        paths: record files, their folders, or folders with records in them (a results folder, `leaderboard/records`).
        records: the committed records that they are compared with; those below it are held to what may be committed.
        strict: what cannot be checked, as its plugin is not installed, is an error.
        maintainer: verification.json is allowed.

    Raises:
        DataError: a path does not exist.
    """
    folders = list(dict.fromkeys(folder for path in paths for folder in record_folders(path)))
    committed = [] if records is None or not records.is_dir() else list(record_folders(records))
    known = Known.of([*committed, *folders])
    found = Validation()
    progress = progress or NullProgress()
    progress.start("records", len(folders))
    for folder in folders:
        case = Case(folder, committed=is_committed(folder, records))
        check(case, known, strict, maintainer)
        found.folders.append(folder)
        found.findings += case.findings
        found.bytes += case.bytes
        progress.advance()
    progress.finish()
    if records is not None and any(p.absolute() in (records.absolute(), *records.absolute().parents) for p in paths):
        found.findings += strays(records)
    return found


def strays(records: Path) -> list[Finding]:
    """Files that stand among the committed records and belong to none."""
    found = []
    for path in sorted([*records.glob("*"), *records.glob("*/*")]):
        if (path.is_file() or path.is_symlink()) and path.name not in PLAIN_FILES:
            step = "Records stand in <task>/<label>-<identity>/."
            sentence = f"{path.name} belongs to no record."
            found.append(Finding("error", "files", *(plain_text(t, 500) for t in (str(path), "", sentence, step))))
    return found


def check(case: Case, known: Known, strict: bool, maintainer: bool) -> None:
    """All checks of one case; what one finds may spare the next ones. Samples are not kept."""
    if check_files(case, maintainer) and check_schema(case):
        check_record(case, strict)
        check_origin(case, strict)
        check_sidecar(case)
        check_scores(case, strict)
        check_known(case, known)
    case.samples = None
    case.finish()


def is_committed(folder: Path, records: Path | None) -> bool:
    """Whether a folder stands among the leaderboard's own records."""
    return records is not None and records.absolute() in folder.absolute().parents


def record_folders(path: Path) -> Iterator[Path]:
    """The folders below a path that hold, or should hold, a record.

    Raises:
        DataError: there is nothing at the path.
    """
    if path.name == RECORD and (path.is_file() or path.is_symlink()):
        yield path.parent
        return
    if path.is_symlink() or (path.is_dir() and _is_record(path)):
        yield path
        return
    if not path.is_dir():
        raise DataError(f"There is no record at {path}.", "Give a record.json, its folder, or a folder of records.")
    base = len(path.parts)
    for place, folders, files in os.walk(path):
        below = Path(place)
        if below != path and (_is_record(below) or (files and len(below.parts) - base >= 2)):
            folders.clear()
            yield below
            continue
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in _SKIPPED)
        yield from (below / f for f in folders if (below / f).is_symlink())  # which no walk enters: it is refused
        if len(below.parts) - base >= _DEPTH - 1:
            folders.clear()


def _is_record(folder: Path) -> bool:
    """By its files; a sidecar without a record is a record that lacks one."""
    return any(
        (folder / name).exists() or (folder / name).is_symlink()
        for name in (RECORD, "samples.jsonl", "samples.jsonl.gz")
    )
