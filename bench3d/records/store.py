"""The runs folder: attempts are written beside the runs and published by one rename; the first finished one wins.

    <results>/runs/<task>/<label>-<identity[:12]>/   record.json, samples.jsonl, pictures/
    <results>/runs/<task>/.attempts/<label>-<identity[:12]>.<token>/work/   the same while it is being made

An attempt whose process was killed leaves no record, but its samples: the next run of the same identity and state
takes them over. Several processes may make one run at once; that wastes time and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from bench3d.errors import DataError
from bench3d.files import output_errors, write_json, write_text
from bench3d.records.attempts import WORK, Owned, publish_folder
from bench3d.records.identity import file_digest, short
from bench3d.records.schema import Record, read_record
from bench3d.records.sidecar import SAMPLES

RECORD, STATE = "record.json", "state.json"
CARRIED = "carried.jsonl"
"""Samples of earlier attempts that are not in `samples.jsonl` yet: what was taken over outlives the next kill too."""


@dataclass
class Attempt:
    """A folder that belongs to one process while it makes a run. `publish` or `discard` ends it."""

    final: Path
    state: str
    owned: Owned
    _lines: TextIO | None = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        """What becomes the run's folder."""
        return self.owned.work

    def add_samples(self, values: Iterable[Mapping[str, Any]]) -> None:
        """Appends lines to the sidecar and flushes them, so that a kill loses one batch at most."""
        path = self.folder / SAMPLES
        with output_errors(path):
            if self._lines is None:
                self._lines = open(path, "a", encoding="utf-8")  # noqa: SIM115 - stays open for the whole run
            for line in values:
                self._lines.write(_line(line))
            self._lines.flush()

    def publish(self, record: Record, force: bool = False) -> Record:
        """Writes record.json and makes the folder the run's folder, all at once.

        A finished record stays: a later one is discarded (unless `force`), and so is one that did not finish.

        Returns:
            the record that stands afterwards, this one or the winner's.

        Raises:
            OutputError: disk full, no permission; the attempt is removed.
        """
        finished = record.status == "finished"
        try:
            self._close()
            record = record.model_copy(update={"samples_sha256": self._sidecar_digest()})
            write_json(self.folder / RECORD, record.as_json())
            if finished:
                with output_errors(self.final):
                    for name in (STATE, CARRIED):
                        (self.folder / name).unlink(missing_ok=True)
            aside = self.owned.root / "old-"
            if publish_folder(self.folder, self.final, aside, _is_finished, force and finished):
                return record
            return _standing(self.final) or record
        finally:
            self.discard()

    def discard(self) -> None:
        """Removes the attempt; harmless where it was published."""
        if self._lines is not None:
            with contextlib.suppress(OSError):
                self._lines.close()
            self._lines = None
        self.owned.close()

    def _sidecar_digest(self) -> str | None:
        sidecar = self.folder / SAMPLES
        return file_digest(sidecar) if sidecar.exists() else None

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
        attempt = Attempt(final, state, Owned.open(final.parent / ".attempts", final.name, f"run {final.name}"))
        try:
            write_json(attempt.folder / STATE, {"identity": identity, "state": state})
        except BaseException:
            attempt.discard()
            raise
        return attempt

    def leftovers(self, attempt: Attempt, identity: str) -> dict[str, dict[str, Any]]:
        """Samples of runs of this identity and state that did not finish, by category/id; dead attempts are removed.

        Living attempts are read too: their lines are whole, but for the last one, which is left out where it was cut.

        Raises:
            OutputError: what was found cannot be kept in `attempt`; nothing is removed then.
        """
        found: dict[str, dict[str, Any]] = {}
        others = list(attempt.owned.others())
        for folder in (attempt.final, *(other / WORK for other in others)):
            if _same_state(folder, identity, attempt):
                found.update(_samples(folder / CARRIED))
                found.update(_samples(folder / SAMPLES))
        if found:
            write_text(attempt.folder / CARRIED, "".join(_line(value) for value in found.values()))
        for other in others:
            attempt.owned.remove_dead(other)
        return found


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True) + "\n"


def _samples(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(OSError):
        for line in path.read_bytes().split(b"\n"):
            with contextlib.suppress(ValueError):  # cut off by a kill, or in the middle of being written
                value = json.loads(line)
                if isinstance(value, dict) and isinstance(value.get("id"), str):
                    found[f"{value.get('category')}/{value['id']}"] = value
    return found


def _is_finished(folder: Path) -> bool:
    standing = _standing(folder)
    return standing is not None and standing.status == "finished"


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
