"""Processes that leave nothing behind: children in groups of their own, and children that watch their parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench3d.files import output_errors

PARENT = "BENCH3D_PARENT"
"""Process id of the parent that a child dies with; set by `Child`."""
_POLL_SECONDS = 0.3
_WAIT_SECONDS = 0.02


def die_with_parent(parent: int | None = None) -> None:
    """Ends this process, and its group where it leads one, as soon as its parent is gone, even by SIGKILL.

    Args:
        parent: the parent's process id; None takes the environment variable BENCH3D_PARENT, and without that does
            nothing. A parent that is gone already counts.
    """
    given = os.environ.get(PARENT, "")
    expected = parent if parent is not None else int(given) if given.isdigit() else None
    if expected is None:
        return

    def watch() -> None:
        while os.getppid() == expected:
            time.sleep(_POLL_SECONDS)
        if os.getpgrp() == os.getpid():
            with contextlib.suppress(OSError):
                os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def is_gone(pid: int, seconds: float = 5.0) -> bool:
    """Whether a process ends within `seconds`; one that only waits to be collected has ended."""
    import psutil

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


class Child:
    """A process in a group of its own whose output is appended to a log.

    Raises:
        OutputError: the log cannot be written, or the process cannot be started.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        with output_errors(log), open(log, "ab") as output:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {}), PARENT: str(os.getpid())},
                start_new_session=True,
            )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code (negative: a signal), None while it runs. What it left of its group is killed when it ends."""
        if self._process.returncode is None and not self._is_over():
            return None
        if self._process.returncode is None:
            self._kill_group()  # before the process is waited for: its number cannot be another one's yet
        return self._process.wait()

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit code, None where it still runs after `seconds`."""
        until = None if seconds is None else time.monotonic() + seconds
        while self.poll() is None and (until is None or time.monotonic() < until):
            time.sleep(_WAIT_SECONDS)
        return self.poll()

    def interrupt(self) -> None:
        """Asks it to stop as Ctrl-C would; its group (worker processes) is left to it."""
        if self.poll() is None:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGINT)

    def end(self, patience: float = 10.0) -> int | None:
        """Interrupts it, kills it and its group where it has not ended after `patience` seconds; the exit code."""
        self.interrupt()
        if self.wait(patience) is None:
            self._kill_group()
        return self._process.wait()

    def _is_over(self) -> bool:
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _kill_group(self) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
