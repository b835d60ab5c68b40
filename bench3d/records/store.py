"""The runs folder: attempts are written beside the runs and published by one rename; the first finished one wins.

    <results>/runs/<task>/<label>-<identity[:12]>/   record.json, samples.jsonl, pictures/
    <results>/runs/<task>/.attempts/<label>-<identity[:12]>.<token>/   the same while it is being made, and a lock

An attempt whose process was killed leaves no record, but its samples: the next run of the same identity and state
takes them over.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from bench3d.errors import DataError
from bench3d.files import make_folder, output_errors, write_json
from bench3d.records.identity import short
from bench3d.records.locks import FileLock
from bench3d.records.schema import Record, read_record

RECORD, SAMPLES, STATE, LOCK = "record.json", "samples.jsonl", "state.json", ".lock"
_PUBLISH_TRIES = 20


@dataclass
class Attempt:
    """A folder that belongs to one process while it makes a run. `publish` or `discard` ends it."""

    folder: Path
    final: Path
    state: str
    _lock: FileLock
    _lines: TextIO | None = field(default=None, repr=False)

    def add_samples(self, values: Iterable[Mapping[str, Any]]) -> None:
        """Appends lines to the sidecar and flushes them, so that a kill loses one batch at most."""
        path = self.folder / SAMPLES
        with output_errors(path):
            if self._lines is None:
                self._lines = open(path, "a", encoding="utf-8")  # noqa: SIM115 - stays open for the whole run
            for line in values:
                self._lines.write(json.dumps(line, ensure_ascii=False, allow_nan=False, sort_keys=True) + "\n")
            self._lines.flush()

    def publish(self, record: Record, force: bool = False) -> Record:
        """Writes record.json and makes the folder the run's folder, all at once.

        A finished record stays: a later one is discarded (unless `force`), and so is one that did not finish.

        Returns:
            the record that stands afterwards, this one or the winner's.

        Raises:
            OutputError: disk full, no permission; the attempt is removed.
        """
        try:
            self._close()
            if record.status == "finished":
                with output_errors(self.final):
                    (self.folder / STATE).unlink(missing_ok=True)
            write_json(self.folder / RECORD, record.as_json())
            return self._move(record, force)
        except BaseException:
            self.discard()
            raise
        finally:
            self._lock.release()
            _remove_if_empty(self.folder.parent)

    def discard(self) -> None:
        """Removes the attempt."""
        if self._lines is not None:
            with contextlib.suppress(OSError):
                self._lines.close()
            self._lines = None
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()
        _remove_if_empty(self.folder.parent)

    def _move(self, record: Record, force: bool) -> Record:
        for _ in range(_PUBLISH_TRIES):
            try:
                os.rename(self.folder, self.final)
                with contextlib.suppress(OSError):
                    (self.final / LOCK).unlink()
                return record
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    with output_errors(self.final):
                        raise
            standing = _standing(self.final)
            replaceable = standing is None or standing.status != "finished"
            if not replaceable and not (force and record.status == "finished"):
                self.discard()
                assert standing is not None
                return standing
            aside = self.folder.with_name(f"{self.final.name}.{secrets.token_hex(4)}.old")
            with contextlib.suppress(FileNotFoundError), output_errors(self.final):
                os.rename(self.final, aside)
            shutil.rmtree(aside, ignore_errors=True)
        with output_errors(self.final):
            raise OSError(errno.EBUSY, "other processes keep writing it")
        raise AssertionError("unreachable")

    def _close(self) -> None:
        if self._lines is not None:
            with output_errors(self.folder / SAMPLES):
                self._lines.flush()
                os.fsync(self._lines.fileno())
                self._lines.close()
            self._lines = None


class RunStore:
    """Records and attempts under a results folder."""

    def __init__(self, results: Path) -> None:
        self.root = results / "runs"

    def folder(self, task: str, label: str, identity: str) -> Path:
        """Where the run of an identity stands or will stand."""
        return self.root / task / f"{label}-{short(identity)}"

    def find(self, identity: str) -> tuple[Path, Record] | None:
        """The record of an identity, whatever its status, and its file.

        Raises:
            DataError: a record file of that name is broken; names file and field.
        """
        for path in sorted(self.root.glob(f"*/*-{short(identity)}/{RECORD}")):
            record = read_record(path)
            if record.identity.hash == identity:
                return path, record
        return None

    def records(self) -> Iterator[tuple[Path, Record]]:
        """Every published record, in the order of their paths; a broken one raises DataError."""
        for path in sorted(self.root.glob(f"*/*/{RECORD}")):
            yield path, read_record(path)

    def begin(self, task: str, label: str, identity: str, state: str) -> Attempt:
        """A new attempt. `state` is a hash of what the samples depend on beyond the identity (digests of fits).

        Raises:
            OutputError: the results folder cannot be written.
        """
        final = self.folder(task, label, identity)
        folder = final.parent / ".attempts" / f"{final.name}.{os.getpid()}-{secrets.token_hex(4)}"
        # Locked under a name that `leftovers` does not look at: nobody may take it for a dead one before that.
        new = make_folder(folder.with_name(f".new-{folder.name}"))
        lock = FileLock(new / LOCK)
        try:
            lock.acquire()
            write_json(new / STATE, {"identity": identity, "state": state})
            with output_errors(folder):
                os.rename(new, folder)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            lock.release()
            _remove_if_empty(folder.parent)
            raise
        return Attempt(folder, final, state, lock)

    def leftovers(self, attempt: Attempt, identity: str) -> dict[str, dict[str, Any]]:
        """Samples of earlier runs of this identity and state that did not finish, by id; killed attempts are removed.

        A sample line that was cut off by the kill is left out.
        """
        found: dict[str, dict[str, Any]] = {}
        standing = _standing(attempt.final)
        if standing is not None and standing.status != "finished" and _same_state(attempt.final, identity, attempt):
            found.update(_samples(attempt.final / SAMPLES))
        name = attempt.final.name
        for folder in sorted(attempt.folder.parent.glob(f"{name}.*")):
            if folder == attempt.folder:
                continue
            lock = FileLock(folder / LOCK)
            with contextlib.suppress(OSError):
                if not lock.acquire(wait=False):
                    continue  # its process is alive
                if _same_state(folder, identity, attempt):
                    found.update(_samples(folder / SAMPLES))
                shutil.rmtree(folder, ignore_errors=True)
            lock.release()
        return found


def read_samples(path: Path) -> list[dict[str, Any]]:
    """Every line of a sidecar.

    Raises:
        DataError: missing or broken; names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    samples = []
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number} is no JSON: {error}.") from error
        if not isinstance(value, dict) or not isinstance(value.get("id"), str):
            raise DataError(f"{path}, line {number}, field id: missing.")
        samples.append(value)
    return samples


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _samples(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                value = json.loads(line)
                if isinstance(value, dict) and isinstance(value.get("id"), str):
                    found[f"{value.get('category')}/{value['id']}"] = value
    return found


def _standing(final: Path) -> Record | None:
    try:
        return read_record(final / RECORD)
    except DataError:
        return None


def _same_state(folder: Path, identity: str, attempt: Attempt) -> bool:
    try:
        value = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(value == {"identity": identity, "state": attempt.state})
