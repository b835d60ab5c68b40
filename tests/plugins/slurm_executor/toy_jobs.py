"""Jobs that need nothing of bench3d: they write a file, sleep, or keep count of their work as a run keeps samples."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

from bench3d.contracts.executor import Active, Ended, ExecutorContext, Job
from bench3d_plugins.slurm_executor.executor import SlurmExecutor, create
from bench3d_plugins.slurm_executor.settings import SlurmSettings

WRITE = "import pathlib, sys, time; time.sleep(float(sys.argv[2])); p = pathlib.Path(sys.argv[1]); \
p.write_text(p.read_text() + 'x' if p.exists() else 'x')"
"""Sleeps, then adds an x to a file."""

COUNT = """
import os, pathlib, signal, sys, time
from bench3d.processes import die_with_parent
die_with_parent()
signal.signal(signal.SIGTERM, signal.default_int_handler)
path, steps = pathlib.Path(sys.argv[1]), int(sys.argv[2])
done = int(path.read_text()) if path.exists() else 0
pathlib.Path(f"{path}.pid").write_text(str(os.getpid()))
try:
    for done in range(done, steps):
        time.sleep(0.1)
except KeyboardInterrupt:
    path.write_text(str(done))
    pathlib.Path(f"{path}.pid").unlink()
    sys.exit(130)
path.write_text(str(steps))
"""
"""Steps of 0.1 s; interrupted, it writes down how many it has done, and goes on from there.

On scancel SLURM sends SIGTERM to every process of an element, so that a job has to take it as an interruption too.
"""


def job(folder: Path, name: str, *, kind: str = "run", needs: tuple[str, ...] = (), seconds: float = 0.0) -> Job:
    """Writes <folder>/<name> after some seconds."""
    command = (sys.executable, "-c", WRITE, str(folder / name), str(seconds))
    log = folder / f"{name}.log"
    return Job(id=name, kind=kind, title=name, needs=needs, command=command, log=log)


def counting(folder: Path, name: str, steps: int) -> Job:
    """Counts to `steps` in <folder>/<name>."""
    command = (sys.executable, "-c", COUNT, str(folder / name), str(steps))
    return Job(id=name, kind="run", title=name, command=command, log=folder / f"{name}.log")


def opened(folder: Path, workers: int | None = None, detach: bool = False, **settings: object) -> SlurmExecutor:
    """An executor of a grid in `folder`, impatient enough for a test."""
    quick = {"ask_seconds": 0.5, "grace": 2.0, "patience": 5.0, "time": "10m", **settings}
    executor = create(SlurmSettings(**quick))
    executor.open(ExecutorContext(folder=folder, workers=workers, detach=detach))
    return executor


def wait_for(executor: SlurmExecutor, ids: Collection[str], seconds: float = 60.0) -> dict[str, Ended]:
    """Polls until these have ended; fails where one ends twice or another one does."""
    found: dict[str, Ended] = {}
    until = time.monotonic() + seconds
    while found.keys() != set(ids):
        assert time.monotonic() < until, f"still waiting for {set(ids) - found.keys()}"
        for ended in executor.poll(1.0):
            assert ended.id in ids and ended.id not in found, ended
            found[ended.id] = ended
    return found


def wait_until(
    executor: SlurmExecutor,
    true: Callable[[list[Active]], bool],
    seconds: float = 30.0,
    others: Collection[str] = (),
) -> list[Active]:
    """Polls until what is active answers a question; only of the others any may end."""
    until = time.monotonic() + seconds
    while not true(active := executor.active()):
        assert time.monotonic() < until, active
        assert {ended.id for ended in executor.poll(0.2)} <= set(others)
    return active
