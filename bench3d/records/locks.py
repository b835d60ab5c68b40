"""A lock between processes that dies with its owner: no stale lock files."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from bench3d.files import make_folder, output_errors


class FileLock:
    """An exclusive advisory lock on a file (flock). The file itself stays; only the lock comes and goes.

    Args:
        path: the lock file, created where it is missing.
        waiting: called once where another process holds the lock.

    Raises:
        OutputError: on entering, the file cannot be created.
    """

    def __init__(self, path: Path, waiting: Callable[[], None] | None = None) -> None:
        self.path = path
        self._waiting = waiting
        self._handle: int | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Takes the lock; without `wait` False where another process has it."""
        make_folder(self.path.parent)
        with output_errors(self.path):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if not wait:
                    os.close(handle)
                    return False
                if not told and self._waiting is not None:
                    self._waiting()
                told = True
                time.sleep(0.2)
        self._handle = handle
        return True

    def release(self) -> None:
        """Gives the lock back; harmless where it is not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
