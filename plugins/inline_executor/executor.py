"""`inline`: a job is done when `poll` is called, in this process; a debugger and a profiler see it."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any

from bench3d.contracts.executor import INTERRUPTED, Active, Ended, Executor, ExecutorContext, Job
from bench3d.errors import UsageError


class InlineExecutor(Executor):
    """One job after another; their output goes to this process's own."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        self._stopped = False

    def open(self, context: ExecutorContext) -> None:
        """Objects to what it cannot do."""
        if context.detach:
            raise UsageError("The executor inline does everything in this process.", "Leave --detach out.")

    def submit(self, jobs: Sequence[Job]) -> None:
        """Takes jobs over; their order is one in which every need comes first."""
        self._waiting.extend(jobs)

    def poll(self, seconds: float) -> list[Ended]:
        """Does the next job."""
        if self._stopped or not self._waiting:
            return []
        job = self._waiting.popleft()
        return [Ended(id=job.id, code=_do(job))]

    def active(self) -> list[Active]:
        """Between two calls of `poll` nothing is being done."""
        return []

    def cancel(self, ids: Collection[str]) -> None:
        """Forgets jobs that have not begun."""
        self._waiting = deque(job for job in self._waiting if job.id not in set(ids))

    def stop(self, now: bool) -> None:
        """Begins nothing more."""
        self._stopped = True


def _do(job: Job) -> int:
    """Runs `python -m MODULE ARGUMENTS` in this process and gives its exit code."""
    _, option, module, *arguments = job.command
    if option != "-m":
        raise UsageError(f"The executor inline cannot do {job.title}: its command is no Python module.")
    before = sys.argv
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:
        traceback.print_exc()
        return 70
    finally:
        sys.argv = before
    return 0


def create(settings: Any) -> InlineExecutor:
    """The factory."""
    return InlineExecutor()
