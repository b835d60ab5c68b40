"""What an array element does on its node: one job after another, each a process of its own.

submitit calls the chunk, and calls its `checkpoint` when SLURM says (by a signal) that the time limit or a preemption
is near; then the element goes back into the queue, and what its jobs had done is theirs to find again.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from bench3d.contracts.executor import DONE
from bench3d.data.workers import THREAD_VARIABLES
from bench3d.errors import Bench3DError
from bench3d.processes import Child
from bench3d_plugins.slurm_executor.marks import Marks

Leaving = Literal["requeue", "stop", "end"]
_POLL_SECONDS = 0.1
_LINGER_SECONDS = 5.0
_SIGTERM_SECONDS = 1.0
_WRITE_TRIES = 5
_WRITE_PAUSE = 2.0


@dataclass(frozen=True)
class Piece:
    """A job as an element needs it."""

    id: str
    command: tuple[str, ...]
    log: Path


class Chunk:
    """The jobs of one array element, done in order; picklable, and again from its beginning after a requeue.

    Args:
        marks: the folder by which it and the executor understand each other (`Marks`).
        pieces: its jobs.
        patience: seconds that an interrupted job has to write down how far it is.
        cores: of the element, None where SLURM decided.
    """

    def __init__(self, marks: Path, pieces: Sequence[Piece], patience: float, cores: int | None) -> None:
        self._marks = marks
        self._pieces = tuple(pieces)
        self._patience = patience
        self._cores = cores
        self._work: _Work | None = None

    def __call__(self) -> None:
        """Does the jobs that are not over.

        SIGINT ends it in good order: its job is interrupted and reported. SIGTERM as well, but unreported: SLURM sends
        it to what it cancels and also to what it preempts and may put back into the queue.
        """
        marks = Marks(self._marks)
        work = self._work = _Work(marks, self._pieces, self._patience, self._environment())

        def leave(why: Leaving) -> Any:
            def handle(signum: int, frame: FrameType | None) -> None:
                work.leave(why)

            return handle

        signal.signal(signal.SIGINT, leave("stop"))
        signal.signal(signal.SIGTERM, leave("end"))
        work.start()
        try:
            while work.is_alive():
                work.join(_POLL_SECONDS)
            if work.leaving == "end":
                time.sleep(_LINGER_SECONDS)  # a preemption's second signal, which calls `checkpoint`, may follow
        except Exception as error:  # what submitit raises in its signal handler when it does not requeue
            for piece in self._pieces:
                if not marks.is_over(piece.id):
                    marks.end(piece.id, None, f"SLURM ended it: {error}")
            raise
        if work.error is not None:
            raise work.error

    def checkpoint(self) -> Any:
        """Interrupts what is being done and returns what submitit puts back into the queue."""
        from submitit.helpers import DelayedSubmission

        if self._work is not None:
            self._work.leave("requeue")
            self._work.join(self._patience + _LINGER_SECONDS)
        return DelayedSubmission(Chunk(self._marks, self._pieces, self._patience, self._cores))

    def _environment(self) -> dict[str, str]:
        """As many threads as the element has cores, unless the shell lines before it say otherwise."""
        given = self._cores or os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get("SLURM_CPUS_ON_NODE")
        return {} if given is None else {name: os.environ.get(name, str(given)) for name in THREAD_VARIABLES}


class _Work(threading.Thread):
    """The jobs, in a thread, so that a signal handler of the main thread never meets itself half-way in them."""

    def __init__(self, marks: Marks, pieces: Sequence[Piece], patience: float, environment: dict[str, str]) -> None:
        super().__init__(name="chunk", daemon=True)
        self.leaving: Leaving | None = None
        self.error: Exception | None = None
        self._marks = marks
        self._pieces = pieces
        self._patience = patience
        self._environment = environment

    def leave(self, why: Leaving) -> None:
        """Interrupts the job and begins no other. What came first holds, but a requeue goes before all."""
        if why == "requeue" or self.leaving is None:
            self.leaving = why

    def run(self) -> None:
        """Does the jobs, until it is asked to leave."""
        try:
            for piece in self._pieces:
                if self.leaving is not None or self._marks.stop_is_asked():
                    return
                if not self._marks.is_over(piece.id):
                    self._do(piece)
        except Exception as error:
            self.error = error

    def _do(self, piece: Piece) -> None:
        self._marks.begin(piece.id)
        print(f"{piece.id} begins", flush=True)
        code: int | None = None
        reason = ""
        try:
            child = Child(piece.command, piece.log, self._environment)
            while (code := child.wait(_POLL_SECONDS)) is None:
                if self.leaving is not None:
                    code = child.end(self._patience)
                    break
        except Bench3DError as error:
            reason = str(error)
        if code == -signal.SIGTERM:
            time.sleep(_SIGTERM_SECONDS)  # SLURM ends all processes of an element: was that meant for it as well?
        if self.leaving in ("requeue", "end") and code != DONE:
            print(f"{piece.id} interrupted", flush=True)
            return
        print(f"{piece.id} ended, exit code {code} {reason}", flush=True)
        self._write_end(piece, code, reason)

    def _write_end(self, piece: Piece, code: int | None, reason: str) -> None:
        for tries in range(_WRITE_TRIES):
            try:
                return self._marks.end(piece.id, code, reason)
            except Bench3DError:
                if tries == _WRITE_TRIES - 1:
                    raise
                time.sleep(_WRITE_PAUSE)  # file systems of clusters have bad moments
