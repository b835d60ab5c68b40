"""Toy jobs, and waiting for them."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bench3d.contracts.executor import Ended, Executor, Job
from bench3d.processes import is_gone

__all__ = ["HANG", "appears", "ends", "is_gone", "job"]

WATCHED = "from bench3d.processes import die_with_parent as watch; watch(); "
HANG = "time.sleep(120)"


def job(folder: Path, name: str, code: str, needs: tuple[str, ...] = ()) -> Job:
    """A Python process in `folder`'s name; `code` may use `folder`, os and time."""
    start = WATCHED + f"import os, sys, time, pathlib; folder = pathlib.Path({str(folder)!r}); "
    command = (sys.executable, "-c", start + "\n" + code)
    return Job(id=name, kind="run", title=name, needs=needs, command=command, log=folder / f"{name}.log")


def ends(executor: Executor, names: set[str], seconds: float = 60.0) -> dict[str, Ended]:
    """Polls until all of `names` have ended; what ended, each once."""
    found: dict[str, Ended] = {}
    until = time.monotonic() + seconds
    while not names <= set(found):
        assert time.monotonic() < until, f"still open: {names - set(found)}"
        for ended in executor.poll(0.5):
            assert ended.id not in found
            found[ended.id] = ended
    return found


def appears(path: Path, executor: Executor | None = None, seconds: float = 30.0) -> str:
    """The content of a file as soon as there is one."""
    until = time.monotonic() + seconds
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < until, f"{path} does not appear"
        if executor is not None:
            assert executor.poll(0.05) == []
        else:
            time.sleep(0.05)
    return path.read_text()
