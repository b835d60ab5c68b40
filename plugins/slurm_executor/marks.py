"""What an executor and the elements of one of its arrays tell each other: small files in the array's folder.

Only files, because that is all that a login node and a node of a cluster share for certain. One array does a job at
most once, so that a job's id is name enough.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from bench3d.files import make_folder, output_errors, write_json

_BEGUN, _ENDED, _CANCELLED = ".begun", ".ended", ".cancelled"


class Marks:
    """The files of one array."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stop = folder / "stop"

    def create(self) -> None:
        """Makes the folder; OutputError where that is not allowed."""
        make_folder(self._folder)

    def ask_to_stop(self) -> None:
        """No element begins another job."""
        self._touch(self._stop)

    def stop_is_asked(self) -> bool:
        """Whether no element is to begin another job."""
        return self._stop.exists()

    def begin(self, job: str) -> None:
        """An element has begun a job."""
        self._touch(self._path(job, _BEGUN))

    def cancel(self, job: str) -> None:
        """A job that has not begun is not to."""
        self._touch(self._path(job, _CANCELLED))

    def end(self, job: str, code: int | None, reason: str = "") -> None:
        """A job's process has ended; `code` is None where it could not be started, or was given up."""
        write_json(self._path(job, _ENDED), {"code": code, "reason": reason})

    def is_over(self, job: str) -> bool:
        """Whether a job has ended or was cancelled."""
        return self._path(job, _ENDED).exists() or self._path(job, _CANCELLED).exists()

    def seen(self) -> tuple[set[str], set[str]]:
        """Ids of the jobs that have begun, and of those that have ended, by one look at the folder."""
        begun: set[str] = set()
        ended: set[str] = set()
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                stem, suffix = os.path.splitext(entry.name)
                if entry.name.startswith("."):
                    continue
                if suffix == _BEGUN:
                    begun.add(stem)
                elif suffix == _ENDED:
                    ended.add(stem)
        return begun, ended

    def last_words(self, job: str) -> tuple[int | None, str]:
        """Exit code and reason of a job that has ended."""
        path = self._path(job, _ENDED)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            code, reason = content["code"], content["reason"]
            if (code is not None and not isinstance(code, int)) or not isinstance(reason, str):
                raise TypeError
        except (OSError, ValueError, KeyError, TypeError):
            return None, f"{path} cannot be read"
        return code, reason

    def _path(self, job: str, suffix: str) -> Path:
        return self._folder / f"{job}{suffix}"

    def _touch(self, path: Path) -> None:
        with output_errors(path):
            path.touch()
