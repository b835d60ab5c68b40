"""An executor: where the jobs of a grid are done. It starts processes and says when they end, and nothing else.

Whether a job succeeded is not its business: the host looks at the results folder, retries, and writes failures down. An
executor may therefore lose a job, or run one twice, without a wrong result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

DONE = 0
"""Exit code of a job's command: its result stands."""
BUSY = 75
"""Another process is at the same job; ask again later."""
UNMET = 76
"""A job that it needs has left no result."""
INTERRUPTED = 130
"""Stopped on request; what it had done is kept."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work: a twin to be written, a fit, or a run.

    Attributes:
        id: unique within a grid and fit for a file name.
        title: for people.
        needs: ids of jobs that must have ended before this one begins. A need that was not submitted is met.
        command: the process that does the job; it watches its parent and dies with it. Exit codes are above; others
            are failures. It may be started on any machine that sees the results folder under the same path.
        log: the file that its output is appended to; its folder exists.
        seconds, memory_bytes: estimates, None where nobody knows.
    """

    id: str
    kind: Literal["data", "fit", "run"]
    title: str
    needs: tuple[str, ...] = ()
    command: tuple[str, ...] = field(repr=False)
    log: Path = field(repr=False)
    seconds: float | None = None
    memory_bytes: float | None = None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A job's process has ended. `code` is negative for a signal, None where nobody knows (a lost machine)."""

    id: str
    code: int | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Active:
    """A job that is being done, and the place: "slot 1", "gpu 0", "4711_3 on node7"."""

    id: str
    slot: str


@dataclass(frozen=True, kw_only=True)
class ExecutorContext:
    """What the host tells an executor.

    Attributes:
        folder: of this grid; the executor may keep scripts and its own logs in folders of its name under it.
        workers: how many jobs at once, None for the executor's own choice.
        device: "auto", "cpu" or "cuda", as the user asked for.
        detach: the user wants to leave while the jobs go on (only where something else than this process keeps them).
    """

    folder: Path
    workers: int | None = None
    device: str = "auto"
    detach: bool = False


class Executor(ABC):
    """Constructed by its factory with its settings; one grid uses it from `open` to `close`, from one thread."""

    def open(self, context: ExecutorContext) -> None:
        """Called once, first. UsageError or PluginError where it cannot work here, with the next step."""
        return

    @abstractmethod
    def submit(self, jobs: Sequence[Job]) -> None:
        """Takes jobs over, in an order in which every need comes first. A job may be submitted again after it ended."""

    @abstractmethod
    def poll(self, seconds: float) -> list[Ended]:
        """What ended since the last call; waits up to `seconds` for the first."""

    @abstractmethod
    def active(self) -> list[Active]:
        """What is being done now, by slot."""

    @abstractmethod
    def cancel(self, ids: Collection[str]) -> None:
        """Forgets jobs that have not begun, where that is still possible. They are not reported as ended."""

    @abstractmethod
    def stop(self, now: bool) -> None:
        """Begins nothing more; with `now` also interrupts what is being done (its samples are kept)."""

    def close(self) -> None:
        """Called once, last: nothing that it started may be left, unless the context says `detach`."""
        return
