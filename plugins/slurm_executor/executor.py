"""Executor `slurm`: jobs as elements of job arrays; SLURM schedules, and files say what became of them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench3d.contracts.executor import INTERRUPTED, Active, Ended, Executor, ExecutorContext, Job
from bench3d.errors import Bench3DError, PluginError
from bench3d_plugins.slurm_executor import packing
from bench3d_plugins.slurm_executor.arrays import Array, leftovers, submit
from bench3d_plugins.slurm_executor.queue import HOPELESS, Queue, largest_array
from bench3d_plugins.slurm_executor.settings import SlurmSettings

_log = logging.getLogger("bench3d.slurm")
_LOOK_SECONDS = 0.5
_CLOSE_PAUSE = 1.0
_KILL_SECONDS = 60.0
_MOST_RESUBMISSIONS = 2


def create(settings: SlurmSettings) -> SlurmExecutor:
    """The executor; nothing is looked for before it is opened."""
    return SlurmExecutor(settings)


@dataclass(frozen=True)
class Place:
    """Where a job is: the index of an element of an array."""

    job: Job
    array: Array
    index: int

    @property
    def element(self) -> str:
        """SLURM's name of the element."""
        return self.array.id(self.index)


class SlurmExecutor(Executor):
    """Arrays of one grid. What an earlier session has left in the queue is taken over rather than submitted twice."""

    def __init__(self, settings: SlurmSettings) -> None:
        self._settings = settings
        self._queue = Queue(settings.ask_seconds)
        self._context: ExecutorContext | None = None
        self._arrays: list[Array] = []
        self._leftovers: list[Array] = []
        self._places: dict[str, Place] = {}
        self._begun: dict[str, float] = {}
        self._doubtful: dict[str, float] = {}
        self._ended: list[Ended] = []
        self._resubmitted: Counter[str] = Counter()
        self._largest = 1000
        self._stopping = False

    def open(self, context: ExecutorContext) -> None:
        """See the contract. UsageError where SLURM is not here or does not answer."""
        self._context = context
        self._queue.open()
        self._largest = largest_array()
        self._leftovers = leftovers(context.folder, self._queue.rows)
        self._drop_unlike()

    def submit(self, jobs: Sequence[Job]) -> None:
        """One array a level of needs (twins, fits, runs), each waiting for what it needs of those before it.

        With a number of workers an array waits for all of the earlier ones, because SLURM limits how many elements of
        one array are done at once, and not of several.

        Raises:
            UsageError: SLURM refuses them.
        """
        context = self._opened()
        for level in packing.levels([job for job in jobs if not self._take_over(job)]):
            rest = packing.elements(level, self._settings, context.workers)
            while rest:
                now, rest = rest[: self._largest], rest[self._largest :]
                self._submit_array(now, context)

    def poll(self, seconds: float) -> list[Ended]:
        """See the contract."""
        until = time.monotonic() + seconds
        while True:
            self._look()
            left = until - time.monotonic()
            if self._ended or left <= 0:
                ended, self._ended = self._ended, []
                return ended
            time.sleep(min(_LOOK_SECONDS, left))

    def active(self) -> list[Active]:
        """Jobs that have begun, with the element and its node: "4711_3 on node7"."""
        found = []
        for job, since in self._begun.items():
            element = self._places[job].element
            row = self._queue.rows.get(element)
            if row is not None and row.state == "PENDING" and self._queue.answered > since:
                continue  # back in the queue at its time limit
            found.append(Active(id=job, slot=f"{element} on {row.node}" if row is not None and row.node else element))
        return found

    def cancel(self, ids: Collection[str]) -> None:
        """Elements of which nothing is left to do leave the queue; the others learn it before the job begins."""
        self._read_marks()
        emptied = set()
        for job in set(ids) & self._places.keys() - self._begun.keys():
            place = self._places.pop(job)
            place.array.marks.cancel(job)
            emptied.add(place.element)
        emptied -= {place.element for place in self._places.values()}
        self._queue.cancel(emptied, state="PENDING")

    def stop(self, now: bool) -> None:
        """Elements begin no other job and those that wait leave the queue; with `now` jobs are interrupted."""
        self._stopping = True
        self._read_marks()
        for job in self._begun.keys() - {active.id for active in self.active()}:
            self._end(job, INTERRUPTED, "stopped while it waited to go on after its time limit")
        for array in self._arrays:
            array.marks.ask_to_stop()
        numbers = {array.number for array in self._arrays}
        self._queue.cancel(numbers, state="PENDING")
        if now:
            self._queue.cancel(numbers, state="RUNNING", signal="INT")

    def close(self) -> None:
        """Takes what is left out of the queue, unless the user wants it to go on."""
        if self._context is None:
            return
        if not self._context.detach:
            self._arrays += self._leftovers
            self._end_all()
        if self._queue.refresh(at_once=True):
            in_queue = self._numbers_in_queue()
            for array in self._arrays:
                if array.number not in in_queue:
                    array.forget()

    def _opened(self) -> ExecutorContext:
        if self._context is None:
            raise PluginError("The executor slurm was not opened.")
        return self._context

    def _submit_array(self, elements: Sequence[tuple[Job, ...]], context: ExecutorContext) -> None:
        whole = {place.array.number for place in self._places.values()} if context.workers is not None else set()
        array = submit(elements, self._settings, context, packing.dependency(self._needs(elements), whole))
        self._arrays.append(array)
        for index, jobs in enumerate(elements):
            for job in jobs:
                self._begun.pop(job.id, None)
                self._places[job.id] = Place(job, array, index)

    def _needs(self, elements: Iterable[tuple[Job, ...]]) -> Mapping[str, set[str]]:
        """Array -> those of its elements that hold a need of a job."""
        found: dict[str, set[str]] = {}
        for need in {need for jobs in elements for job in jobs for need in job.needs}:
            if need in self._places:
                place = self._places[need]
                found.setdefault(place.array.number, set()).add(place.element)
        return found

    def _look(self) -> None:
        """What has ended, by the marks of the elements and by SLURM's queue."""
        self._read_marks()
        if self._places and self._queue.refresh():
            self._read_marks()  # what was written while squeue was asked
            self._read_queue()

    def _read_marks(self) -> None:
        for array in {place.array.number: place.array for place in self._places.values()}.values():
            begun, over = array.marks.seen()
            for job, place in list(self._places.items()):
                if place.array is not array:
                    continue
                if job in over:
                    code, reason = array.marks.last_words(job)
                    self._end(job, code, reason)
                elif job in begun:
                    self._begun.setdefault(job, time.monotonic())

    def _read_queue(self) -> None:
        """Jobs whose element is out of the queue without a word, or will never be started."""
        doubtful: dict[str, float] = {}
        again: list[Job] = []
        for job, place in list(self._places.items()):
            row = self._queue.rows.get(place.element)
            if row is not None and not (row.state == "PENDING" and row.reason in HOPELESS):
                continue
            if row is None and self._stopping and job not in self._begun:
                del self._places[job]
                continue
            since = doubtful[place.element] = self._doubtful.get(place.element, self._queue.answered)
            if self._queue.answered - since < self._settings.grace:
                continue
            if row is None and self._is_blameless(job):
                again.append(place.job)
                continue
            if row is None:
                reason = (
                    f"lost: {place.element} left SLURM's queue without a word: {place.array.last_line(place.index)}"
                )
            else:
                reason = f"SLURM never starts {place.element}: {row.reason}"
                self._queue.cancel([place.element])
            self._end(job, None, reason)
        self._doubtful = doubtful
        self._submit_again(again)

    def _is_blameless(self, job: str) -> bool:
        """Whether a job had not begun when its element was lost over another job of it, or with its node.

        What someone took out of the queue by scancel is not put back.
        """
        place = self._places[job]
        if job in self._begun or self._resubmitted[job] >= _MOST_RESUBMISSIONS:
            return False
        others, _ = place.array.marks.seen()
        return bool(others & set(place.array.elements[place.index])) and not place.array.was_cancelled(place.index)

    def _submit_again(self, jobs: Sequence[Job]) -> None:
        """Jobs whose element was lost before it came to them."""
        for job in jobs:
            del self._places[job.id]
        try:
            self.submit(jobs)
        except Bench3DError as error:
            self._ended += [
                Ended(id=job.id, code=None, reason=str(error)) for job in jobs if job.id not in self._places
            ]
        self._resubmitted.update(job.id for job in jobs)

    def _end(self, job: str, code: int | None, reason: str) -> None:
        del self._places[job]
        self._begun.pop(job, None)
        self._resubmitted.pop(job, None)
        self._ended.append(Ended(id=job, code=code, reason=reason))

    def _take_over(self, job: Job) -> bool:
        """Whether an element that an earlier session left in the queue has the job still before it."""
        for array in self._leftovers:
            for index, jobs in enumerate(array.elements):
                if job.id in jobs and array.id(index) in self._queue.rows and not array.marks.is_over(job.id):
                    self._places[job.id] = Place(job, array, index)
                    if array not in self._arrays:
                        self._arrays.append(array)
                    return True
        return False

    def _drop_unlike(self) -> None:
        """What an earlier session left waiting under other settings is submitted anew, under those of now."""
        wanted = self._settings.model_dump(mode="json")
        for array in [a for a in self._leftovers if a.settings != wanted]:
            waiting = [e for e in _elements(array) if (row := self._queue.rows.get(e)) and row.state == "PENDING"]
            self._queue.cancel(waiting, state="PENDING")
            for element in waiting:
                del self._queue.rows[element]

    def _numbers_in_queue(self) -> set[str]:
        return {element.partition("_")[0] for element in self._queue.rows}

    def _end_all(self) -> None:
        """Interrupts, then cancels, and waits until the queue is empty of this grid."""
        numbers = {array.number for array in self._arrays}
        begun = time.monotonic()
        self._queue.refresh(at_once=True)
        if not numbers & self._numbers_in_queue() and self._queue.answered >= begun:
            return
        self.stop(now=True)
        killed = False
        while True:
            self._queue.refresh(at_once=True)
            left = numbers & self._numbers_in_queue()
            seconds = time.monotonic() - begun
            if not left and self._queue.answered >= begun:
                return
            if not killed and seconds > self._settings.patience:
                self._queue.cancel(left)
                killed = True
            if seconds > self._settings.patience + _KILL_SECONDS:
                _log.warning("SLURM still has %s in its queue; see `squeue`, `scancel`.", ", ".join(sorted(left)))
                return
            time.sleep(_CLOSE_PAUSE)


def _elements(array: Array) -> Iterator[str]:
    return (array.id(index) for index in range(len(array.elements)))
