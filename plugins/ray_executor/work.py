"""What happens on a worker of Ray: one job's process, watched; and the board on which workers and executor talk.

The board is an actor and no file, for two machines may see each other's files a minute late.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench3d.contracts.executor import DONE, INTERRUPTED
from bench3d.errors import Bench3DError
from bench3d.processes import Child

BEAT_SECONDS = 1.0
_SILENT_SECONDS = 15.0
_ANSWER_SECONDS = 30.0
WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Work:
    """One job, as it travels to a worker.

    Attributes:
        key: unique among all submissions; a job that is submitted again has another one.
        command, log: as in Job.
        environment: variables that its process gets on top of the worker's.
        gpus: how many it was given; with 0 its process sees none.
        attempts: how often it may be begun.
        patience: seconds between the interrupt and the kill.
    """

    key: str
    command: tuple[str, ...]
    log: str
    environment: Mapping[str, str]
    gpus: float
    attempts: int
    patience: float


@dataclass(frozen=True)
class Outcome:
    """How it ended: the exit code, or None with the reason."""

    code: int | None
    reason: str = ""


class Board:
    """Who is at what. It may be restarted empty at any time: workers repeat what they say at every beat."""

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}
        self._seen: dict[str, tuple[float, str]] = {}
        self._withdrawn: set[str] = set()
        self._draining = self._interrupting = False

    def begin(self, key: str, place: str, attempts: int) -> str:
        """A worker asks whether it may begin: "" or the reason why not."""
        if key in self._withdrawn:
            return WITHDRAWN
        if self._draining:
            return "stopped"
        if self._begun.get(key, 0) >= attempts:
            return f"its worker was lost {self._begun[key]} times"
        self._begun[key] = self._begun.get(key, 0) + 1
        self._seen[key] = (time.monotonic(), place)
        return ""

    def beat(self, key: str, place: str) -> bool:
        """A worker is still at it; True where it shall interrupt its job."""
        self._begun.setdefault(key, 1)
        self._seen[key] = (time.monotonic(), place)
        return self._interrupting

    def look(self) -> dict[str, str]:
        """The place of every job of which something was heard lately."""
        now = time.monotonic()
        return {key: place for key, (seen, place) in self._seen.items() if now - seen < _SILENT_SECONDS}

    def begun(self) -> set[str]:
        """All that was ever begun."""
        return set(self._begun)

    def withdraw(self, keys: Collection[str]) -> set[str]:
        """Those of `keys` that have not begun; from now on they never will."""
        found = {key for key in keys if key not in self._begun}
        self._withdrawn |= found
        return found

    def stop(self, now: bool) -> None:
        """Nothing begins any more; with `now` what is being done is interrupted."""
        self._draining = True
        self._interrupting |= now


def do(board: Any, work: Work, *_needs: object) -> Outcome:
    """The task: the job's process from start to end. `_needs` makes Ray wait for the outcomes of other jobs."""
    place = _place(work.gpus)
    refused = _ask(board.begin.remote(work.key, place, work.attempts))
    if refused:
        return Outcome(INTERRUPTED if refused == "stopped" else None, refused)
    try:
        with _interruptible():
            child = Child(work.command, Path(work.log), _environment(work))
    except Bench3DError as error:
        return Outcome(None, f"on {os.uname().nodename}: {error}")
    try:
        while child.wait(BEAT_SECONDS) is None:
            if _ask(board.beat.remote(work.key, place)):
                code = child.end(work.patience)
                return Outcome(DONE if code == DONE else INTERRUPTED, "interrupted")
    except BaseException:
        child.end(0.0)
        raise
    return Outcome(child.poll())


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """For the start of a process: Ray blocks SIGINT in its own, and a process that inherits that cannot be interrupted.

    This one shall stay deaf: not every version of Ray keeps its workers out of the reach of a terminal's Ctrl-C.
    """
    handler = signal.signal(signal.SIGINT, lambda *_: None)
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, handler)


def _environment(work: Work) -> dict[str, str]:
    hidden = {} if work.gpus else {"CUDA_VISIBLE_DEVICES": ""}  # else Ray has set it for this worker
    return {**work.environment, **hidden}


def _ask(answer: Any) -> Any:
    """What the board says; None where it does not answer: then the work goes on.

    Asked from a thread: a task that waits for Ray on its main thread lends its cores to another task meanwhile, and
    gets them back only in name.
    """
    import ray

    try:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(ray.get, answer, timeout=_ANSWER_SECONDS).result()
    except ray.exceptions.RayError:
        return None


def _place(gpus: float) -> str:
    import ray

    where = os.uname().nodename
    given = ray.get_gpu_ids() if gpus >= 1 else []
    if given:
        return f"gpu {','.join(str(g) for g in given)} on {where}"
    return f"worker {os.getpid()} on {where}"
