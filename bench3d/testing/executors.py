"""Checks of an executor: toy jobs come in the right order, end once each, and leave no process.

Where it cannot work at all here (no cluster answers), `open` says so and the checks are skipped. An executor that does
its jobs inside `poll`, in this process, has nothing to stop: those checks are skipped as well.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from bench3d.contracts.executor import Active, Ended, Executor, ExecutorContext, Job
from bench3d.errors import PluginError, UsageError
from bench3d.processes import is_gone
from bench3d.testing.checks import Check, Skip, require
from bench3d.testing.subjects import Subject

WORKERS = 2
_POLL = 0.2
_LONG = 60.0
_SHARE = 0.8
"""Of the time limit of a check, for waiting."""
MODULE = "bench3d.testing.toy_job"


def order(subject: Subject) -> str:
    """Every job ends once, with its exit code, after what it needs; a need that nobody submitted is met."""
    with _opened(subject) as (executor, folder):
        jobs = [
            job(folder, "a", seconds=0.3, code=3),
            job(folder, "b", needs=("a",)),
            job(folder, "c", needs=("b", "never-submitted")),
            job(folder, "d"),
        ]
        executor.submit(jobs)
        ended = _wait(executor, {"a", "b", "c", "d"}, subject)
        codes = {name: one.code for name, one in ended.items()}
        require(
            codes == {"a": 3, "b": 0, "c": 0, "d": 0}, f"The exit codes are {codes}, not 3 of a and 0 of the others."
        )
        began = _lines(folder / "began")
        chain = [name for name in began if name != "d"]
        require(chain == ["a", "b", "c"], f"The jobs began as {' '.join(began)}: b needs a, c needs b.")
        later = executor.poll(_POLL)
        require(not later, f"{later[:1]} is reported as ended although nothing is left.")
        require(not executor.active(), "active() names jobs after all have ended.")
    return f"{len(jobs)} jobs"


def again(subject: Subject) -> None:
    """A job may be submitted again after it has ended."""
    with _opened(subject) as (executor, folder):
        for _ in range(2):
            executor.submit([job(folder, "a")])
            _wait(executor, {"a"}, subject)
        require(_lines(folder / "ended") == ["a", "a"], "A job that was submitted again was not done again.")


def active(subject: Subject) -> str:
    """What is being done is named with its place; no more jobs at once than workers."""
    with _opened(subject) as (executor, folder):
        _needs_processes(executor, folder, subject)
        names = {f"j{n}" for n in range(WORKERS + 1)}
        executor.submit([job(folder, name, seconds=1.0) for name in sorted(names)])
        seen: Counter[int] = Counter()
        found: dict[str, Ended] = {}
        until = _deadline(subject)
        while len(found) < len(names):
            require(time.monotonic() < until, f"{' '.join(sorted(names - set(found)))} did not end in time.")
            now = executor.active()
            for one in now:
                require(
                    isinstance(one, Active) and bool(one.slot), f"active() gives {one!r}: Active(id=..., slot=...)."
                )
                require(
                    one.id in names and one.id not in found, f"active() names {one.id}, which has ended or is no job."
                )
            require(len({one.id for one in now}) == len(now), "active() names a job twice.")
            seen[len(now)] += 1
            found.update({e.id: e for e in executor.poll(_POLL)})
    most = max(seen)
    require(most > 0, "active() never named a job that was being done.")
    require(most <= WORKERS, f"{most} jobs were done at once, with workers={WORKERS}.")
    return f"{most} at once"


def cancel(subject: Subject) -> None:
    """A job that was cancelled before it began is neither done nor reported."""
    with _opened(subject) as (executor, folder):
        executor.submit([job(folder, "a", seconds=0.7), job(folder, "b", needs=("a",)), job(folder, "c", needs=("a",))])
        executor.cancel(["b"])
        _wait(executor, {"a", "c"}, subject)
        late = [e.id for e in executor.poll(3 * _POLL)]
        require(
            not late and "b" not in _lines(folder / "began"), "b was cancelled while it waited, and done all the same."
        )


def stop(subject: Subject) -> None:
    """After `stop` nothing more begins, and what runs may end; what is submitted later is not begun."""
    with _opened(subject) as (executor, folder):
        _needs_processes(executor, folder, subject)
        executor.submit([job(folder, "a", seconds=1.5), job(folder, "b", needs=("a",))])
        _begun(executor, folder, "a", subject)
        executor.stop(False)
        ended = _wait(executor, {"a"}, subject)
        require(ended["a"].code == 0, f"stop(False) ended a job that ran (code {ended['a'].code}).")
        executor.submit([job(folder, "late")])
        executor.poll(3 * _POLL)
        require(not {"b", "late"} & set(_lines(folder / "began")), "A job began after stop().")


def stop_now(subject: Subject) -> str:
    """stop(True) interrupts what runs, and it is reported as ended; close() leaves no process."""
    with _opened(subject) as (executor, folder):
        _needs_processes(executor, folder, subject)
        executor.submit([job(folder, "a", seconds=_LONG)])
        _begun(executor, folder, "a", subject)
        executor.stop(True)
        ended = _wait(executor, {"a"}, subject)
        require(ended["a"].code != 0, "A job that was interrupted is reported as done (code 0).")
        pid = int((folder / "a.pid").read_text(encoding="utf-8"))
    require(is_gone(pid), f"After stop(True) and close() the job's process {pid} still runs.")
    return f"code {ended['a'].code}"


def close(subject: Subject) -> None:
    """Closing ends what still runs, and may come without any job."""
    with _opened(subject) as (executor, folder):
        pass
    with _opened(subject) as (executor, folder):
        _needs_processes(executor, folder, subject)
        executor.submit([job(folder, "a", seconds=_LONG)])
        _begun(executor, folder, "a", subject)
        pid = int((folder / "a.pid").read_text(encoding="utf-8"))
    require(is_gone(pid), f"After close() the process {pid} of a job still runs.")


def job(folder: Path, name: str, needs: tuple[str, ...] = (), seconds: float = 0.0, code: int = 0) -> Job:
    """A toy job."""
    command = (sys.executable, "-m", MODULE, str(folder), name, str(seconds), str(code))
    return Job(id=name, kind="run", title=name, needs=needs, command=command, log=folder / f"{name}.log")


@contextlib.contextmanager
def _opened(subject: Subject) -> Iterator[tuple[Executor, Path]]:
    refused: list[str] = subject.shared("why it cannot work here", list)
    if refused:
        raise Skip(refused[0])
    folder = subject.folder("grid")
    executor: Any = subject.create()
    require(isinstance(executor, Executor), f"The factory gives {type(executor).__name__}, no Executor.")
    try:
        executor.open(ExecutorContext(folder=folder, workers=WORKERS, device=subject.device))
    except (UsageError, PluginError) as error:
        refused.append(f"it cannot work here: {error.message}")
        raise Skip(refused[0]) from error
    try:
        yield executor, folder
    finally:
        executor.close()


def _needs_processes(executor: Executor, folder: Path, subject: Subject) -> None:
    """Skips where a job is done by `poll` itself, in this process."""
    executor.submit([job(folder, "probe")])
    _wait(executor, {"probe"}, subject)
    if int((folder / "probe.pid").read_text(encoding="utf-8")) == os.getpid():
        raise Skip("it does its jobs in this process")


def _wait(executor: Executor, names: Collection[str], subject: Subject) -> dict[str, Ended]:
    found: dict[str, Ended] = {}
    until = _deadline(subject)
    while not set(names) <= set(found):
        missing = sorted(set(names) - set(found))
        require(
            time.monotonic() < until,
            f"{' '.join(missing)} of {len(names)} jobs never ended (or were not reported): a job is lost.",
            "Look at the logs of the jobs, and at what poll() gives.",
        )
        for one in executor.poll(_POLL):
            require(isinstance(one, Ended), f"poll gives {one!r}: Ended(id=..., code=...).")
            require(one.id not in found, f"{one.id} is reported as ended twice.")
            require(one.id in names, f"{one.id} is reported as ended, and was not to be done.")
            found[one.id] = one
    return found


def _begun(executor: Executor, folder: Path, name: str, subject: Subject) -> None:
    until = _deadline(subject)
    while name not in _lines(folder / "began"):
        require(time.monotonic() < until, f"{name} did not begin in time.")
        ended = executor.poll(0.05)
        require(not ended, f"{[e.id for e in ended]} ended before its time.")


def _deadline(subject: Subject) -> float:
    return time.monotonic() + _SHARE * subject.options.seconds / 2


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split() if path.exists() else []


_KIND = ("executor",)
CHECKS = (
    Check("order", _KIND, "Every job ends once, with its code, after what it needs.", order),
    Check("again", _KIND, "A job may be submitted again after it ended.", again),
    Check("active", _KIND, "active() names what is being done, within the number of workers.", active),
    Check("cancel", _KIND, "What is cancelled before it began is not done.", cancel),
    Check("stop", _KIND, "stop(False) begins nothing more and lets what runs end.", stop),
    Check("stop-now", _KIND, "stop(True) interrupts, and no process is left.", stop_now),
    Check("close", _KIND, "close() leaves no process.", close),
)
