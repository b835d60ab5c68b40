"""Several results folders become one: finished runs are checked, copied and published whole; the first of two stays.

A run is copied into a folder of this process beside its place, checked there, and published by one rename (see
`bench3d.records.attempts`). So a merge that was killed is gone on with by calling it again, and two at once do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from bench3d.contracts import NullProgress, Progress
from bench3d.errors import DataError, UsageError
from bench3d.leaderboard.compare import task_name
from bench3d.leaderboard.compare_folders import same_numbers
from bench3d.leaderboard.merge_files import copy_file, own_files
from bench3d.leaderboard.safety import plain_text, read_untrusted
from bench3d.records import Record, RunIndex, RunStore, iter_samples, publish_folder, read_record
from bench3d.records.attempts import Owned
from bench3d.records.sidecar import SAMPLES
from bench3d.records.store import RECORD
from bench3d.runner.jobs import file_name

PICTURES = "pictures"
Prefer = Literal["mine", "newest"]
Outcome = Literal["copied", "replaced", "there", "different", "unfinished", "refused"]
"""`there`: it stands already, with the same numbers; `different`: it stands with other ones, and stays."""


@dataclass(frozen=True)
class Merged:
    """What became of one run (or fit) of a source.

    Attributes:
        source: its folder; `name` what it is called in a table; `target` its folder in the one merged into.
        reason: why it was refused, what differs, or what was left out of it; "" where there is nothing to say.
        bytes: copied (with a dry run: that would be).
    """

    source: Path
    name: str
    outcome: Outcome
    reason: str = ""
    target: Path | None = None
    bytes: int = 0


def merge_runs(
    sources: Sequence[Path],
    into: Path,
    *,
    prefer: Prefer = "mine",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Iterator[Merged]:
    """Brings the finished runs of results folders into the results folder `into`, one after the other.

    Of two records of one identity the one that stands in `into` stays, or with prefer="newest" the later started one.

    Args:
        dry_run: writes nothing; what it yields is what would happen.

    Raises:
        DataError: a source is no results folder.
        UsageError: a source is `into`.
        OutputError: `into` cannot be written.
    """
    progress = progress or NullProgress()
    runs = list(_runs(check_sources(sources, into)))
    standing = _Standing(into)
    progress.start("runs", len(runs))
    for source, folder in runs:
        yield _merge_run(source, folder, into, standing, prefer, dry_run)
        progress.advance()
    progress.finish()


def check_sources(sources: Sequence[Path], into: Path) -> Sequence[Path]:
    """The sources. DataError where one is no results folder, UsageError where one is `into`."""
    for source in sources:
        if not source.is_dir():
            raise DataError(f"{source} is no folder.", "Give results folders, such as bench3d-results.")
        if not ((source / "runs").is_dir() or (source / "fits").is_dir()):
            raise DataError(f"{source} is no results folder: it has neither runs nor fits.", "Check the path.")
        if into.resolve() == source.resolve():
            raise UsageError(f"{source} would be merged into itself.", "Give another folder with --into.")
    return sources


def _runs(sources: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """(source, run folder) of everything that has a record; hidden folders are being made."""
    for source in sources:
        for path in sorted((source / "runs").glob(f"[!.]*/[!.]*/{RECORD}")):
            yield source, path.parent


class _Standing:
    """The records of the folder merged into, with those that this merge has put there (or would put there)."""

    def __init__(self, into: Path) -> None:
        self._index = RunIndex(into)
        self._added: dict[str, tuple[Path, Record]] = {}

    def find(self, identity: str) -> tuple[Path, Record] | None:
        """Record file and record of an identity; None where there is none, or a broken one, which gives way."""
        if identity in self._added:
            return self._added[identity]
        try:
            return self._index.find(identity)
        except DataError:
            return None

    def add(self, path: Path, record: Record) -> None:
        self._added[record.identity.hash] = (path, record)


def _merge_run(source: Path, folder: Path, into: Path, standing: _Standing, prefer: Prefer, dry_run: bool) -> Merged:
    name = plain_text("/".join(folder.parts[-2:]), 200)
    try:
        record = _readable(source, folder)
        merged = Merged(folder, f"{task_name(record)}/{record.label}", "copied")
        if record.status != "finished":
            return replace(merged, outcome="unfinished", reason=record.status)
        target = RunStore(into).folder(file_name(task_name(record)), file_name(record.label), record.identity.hash)
        found = standing.find(record.identity.hash)
        if found is not None:
            target = found[0].parent
            merged = _against(merged, record, found[1], prefer)
        merged = replace(merged, target=target)
        if merged.outcome not in ("copied", "replaced"):
            return merged
        merged = replace(merged, bytes=_check(folder, record)) if dry_run else _copy(folder, record, merged, target)
        standing.add(target / RECORD, record)
        left = own_files(folder, PICTURES)[1]
        told = f"{left} linked picture{'s' if left > 1 else ''} left out" if left else ""
        return replace(merged, reason=", ".join(r for r in (merged.reason, told) if r))
    except DataError as error:
        return Merged(folder, name, "refused", plain_text(error.message))


def _readable(source: Path, folder: Path) -> Record:
    """The record in a run's folder. DataError where it is broken, or its folder lies outside of the source."""
    if not folder.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{folder} is a link that leads out of {source}.")
    record = read_untrusted(folder / RECORD)
    if not task_name(record):
        raise DataError(f"{folder / RECORD}, field identity.measurement.task.name: missing.")
    return record


def _against(merged: Merged, record: Record, other: Record, prefer: Prefer) -> Merged:
    """What to do with a run where a record of its identity stands."""
    if other.status != "finished":
        return replace(merged, reason=f"in place of one that is {other.status}")
    same = same_numbers(record, other)
    if prefer == "newest" and record != other and _time(record) > _time(other):
        return replace(merged, outcome="replaced", reason="newer" if same else "newer, with other numbers")
    if same:
        return replace(merged, outcome="there")
    score, kept = record.score(record.headline), other.score(record.headline)
    told = f"{record.headline} {score.value:.6g}, {kept.value:.6g} stands" if score and kept else "other scores"
    return replace(merged, outcome="different", reason=f"other numbers under the same identity ({told})")


def _time(record: Record) -> datetime:
    """When a run began; the beginning of time where that cannot be read."""
    try:
        found = datetime.fromisoformat(record.provenance.time.replace("Z", "+00:00"))
    except ValueError:
        return datetime.min.replace(tzinfo=timezone.utc)
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)


def _check(folder: Path, record: Record) -> int:
    """Size in bytes of a run whose sidecar is what its record says. DataError where it is not."""
    sidecar = folder / SAMPLES
    size = (folder / RECORD).stat().st_size
    if record.samples or sidecar.exists() or sidecar.is_symlink():
        lines = iter_samples(sidecar, max_bytes=None, links=False)
        for _ in lines:
            pass
        if lines.lines != record.samples:
            raise DataError(f"{sidecar} has {lines.lines} lines, and its record tells of {record.samples} samples.")
        if record.samples_sha256 is not None and lines.sha256 != record.samples_sha256:
            raise DataError(f"{sidecar} is not the one that its record was published with (another SHA-256).")
        size += lines.bytes
    return size + sum(path.stat().st_size for path in own_files(folder, PICTURES)[0])


def _copy(folder: Path, record: Record, merged: Merged, target: Path) -> Merged:
    """Copies a run, checks the copy and publishes it."""
    owned = Owned.open(target.parent / ".attempts", target.name, f"merge {target.name}")
    try:
        for path in (folder / RECORD, folder / SAMPLES, *own_files(folder, PICTURES)[0]):
            if path.exists() or path.is_symlink():
                copy_file(path, owned.work / path.relative_to(folder))
        if read_untrusted(owned.work / RECORD) != record:
            raise DataError(f"{folder / RECORD} was changed while it was copied.")
        size = _check(owned.work, record)
        force = merged.outcome == "replaced"
        if not publish_folder(owned.work, target, owned.root / "old-", _finished, force=force):
            return replace(merged, outcome="there", reason="another process was first")
        for left in owned.others():
            owned.remove_dead(left)
        return replace(merged, bytes=size)
    finally:
        owned.close()


def _finished(folder: Path) -> bool:
    try:
        return read_record(folder / RECORD).status == "finished"
    except DataError:
        return False
