"""Jobs over spawned worker processes, one thread each."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from bench3d.errors import Bench3DError
from bench3d.processes import die_with_parent

Job = TypeVar("Job")
Result = TypeVar("Result")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def run_jobs(function: Callable[[Job], object], jobs: Sequence[Job], workers: int, done: Callable[[], None]) -> None:
    """Calls `function` on every job and `done` after each; the first error stops all and is raised (`job_results`)."""
    for _ in job_results(function, jobs, workers):
        done()


def job_results(function: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Result]]:
    """Calls `function` on every job and yields (job, result) as they are done; the first error stops all.

    With one worker (or one job) everything happens in this process. Otherwise processes are spawned, never forked:
    numba, OpenMP and CUDA do not survive a fork. A job's outcome must not depend on the others.

    Raises:
        Bench3DError: a worker was killed (memory, or from outside), or what `function` raised.
    """
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield job, function(job)
        return
    with _one_thread_each():
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(
            min(workers, len(jobs)), mp_context=context, initializer=_begin, initargs=(os.getpid(),)
        )
        try:
            futures = {pool.submit(function, job): job for job in jobs}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise Bench3DError(
                "A worker process was killed, perhaps for lack of memory.",
                "Run again (finished parts are kept), with fewer workers if it comes back.",
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin(parent: int) -> None:
    """Ctrl-C is the parent's to handle: it lets running jobs finish and starts no more. Its death is the worker's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(parent)


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Thread counts for the children: they are read when numpy, torch and numba are imported, so they go in the
    environment that a spawned process inherits. This process's own environment is restored.
    """
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
