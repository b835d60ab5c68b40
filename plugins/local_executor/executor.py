"""`local`: slots on one machine. A slot has cores, or GPUs and cores, of its own and does one job at a time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from bench3d.contracts.executor import INTERRUPTED, Active, Ended, Executor, ExecutorContext, Job
from bench3d.data.workers import THREAD_VARIABLES
from bench3d.errors import Bench3DError, UsageError
from bench3d.machine import available_bytes, usable_cores
from bench3d.processes import Child
from bench3d_plugins.local_executor.settings import LocalSettings

WORKER_BYTES = 4e9
"""Main memory that a slot should have where the number of slots is ours to choose."""
_STEP_SECONDS = 0.05


@dataclass
class _Slot:
    name: str
    environment: dict[str, str]
    job: Job | None = None
    child: Child | None = None


@dataclass
class LocalExecutor(Executor):
    """Starts a job in the first free slot as soon as its needs have ended; the earliest submitted first."""

    settings: LocalSettings
    _slots: list[_Slot] = field(default_factory=list)
    _waiting: list[Job] = field(default_factory=list)
    _ended: list[Ended] = field(default_factory=list)
    _stopped: bool = False

    def open(self, context: ExecutorContext) -> None:
        """Divides the machine."""
        if context.detach:
            raise UsageError(
                "The executor local ends with the command that started it.",
                "Leave --detach out and start it in tmux or with nohup, or use a cluster.",
            )
        self._slots = slots(self.settings, context)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queues jobs and starts what can start."""
        if not self._stopped:
            self._waiting.extend(jobs)
            self._start()

    def poll(self, seconds: float) -> list[Ended]:
        """Collects what has ended, and fills the slots again."""
        until = time.monotonic() + seconds
        while True:
            self._collect()
            self._start()
            if self._ended or time.monotonic() >= until:
                ended, self._ended = self._ended, []
                return ended
            time.sleep(_STEP_SECONDS)

    def active(self) -> list[Active]:
        """The busy slots."""
        return [Active(id=s.job.id, slot=s.name) for s in self._slots if s.job is not None]

    def cancel(self, ids: Collection[str]) -> None:
        """Forgets jobs that wait."""
        gone = set(ids)
        self._waiting = [job for job in self._waiting if job.id not in gone]

    def stop(self, now: bool) -> None:
        """Forgets what waits; with `now` interrupts what runs, and kills it where it does not end in time."""
        self._stopped = True
        self._waiting = []
        if now:
            self._interrupt()

    def close(self) -> None:
        """Leaves no process."""
        self._interrupt()

    def _interrupt(self) -> None:
        busy = [s for s in self._slots if s.child is not None]
        for slot in busy:
            assert slot.child is not None
            slot.child.interrupt()
        until = time.monotonic() + self.settings.patience
        for slot in busy:
            assert slot.child is not None and slot.job is not None
            code = slot.child.wait(max(0.0, until - time.monotonic()))
            if code is None:
                slot.child.end(patience=0.0)
            self._ended.append(Ended(id=slot.job.id, code=INTERRUPTED if code is None else code))
            slot.job = slot.child = None

    def _collect(self) -> None:
        for slot in self._slots:
            if slot.child is None or slot.job is None:
                continue
            code = slot.child.poll()
            if code is not None:
                self._ended.append(Ended(id=slot.job.id, code=code))
                slot.job = slot.child = None

    def _start(self) -> None:
        """A need that is neither waiting nor running has ended, or was never submitted."""
        for slot in self._slots:
            if slot.child is not None:
                continue
            open_ids = {j.id for j in self._waiting} | {s.job.id for s in self._slots if s.job is not None}
            ended = {e.id for e in self._ended}  # reported first: the host may have to try them again
            job = next((j for j in self._waiting if not (open_ids | ended).intersection(j.needs)), None)
            if job is None:
                return
            self._waiting.remove(job)
            try:
                slot.child = Child(job.command, job.log, slot.environment)
                slot.job = job
            except Bench3DError as error:
                self._ended.append(Ended(id=job.id, code=error.exit_code, reason=error.message))


def slots(settings: LocalSettings, context: ExecutorContext) -> list[_Slot]:
    """The slots of this machine: one per GPU (or group of GPUs), else one per 4 GB of memory and core.

    Raises:
        UsageError: more GPUs are asked for than there are.
    """
    gpus = [] if context.device == "cpu" or settings.gpus_per_worker == 0 else visible_gpus()
    cores = usable_cores()
    each = settings.gpus_per_worker or 1
    if (settings.gpus_per_worker or context.device == "cuda") and len(gpus) < each:
        raise UsageError(f"A worker needs {each} GPUs, and this machine shows {len(gpus)}.", "Use --device cpu.")
    if gpus:
        number = context.workers or len(gpus) // each
    else:
        by_cores = cores // (settings.cores_per_worker or 1)
        number = context.workers or max(1, min(by_cores, int(available_bytes() / WORKER_BYTES)))
    threads = str(settings.cores_per_worker or max(1, cores // number))
    made = []
    for n in range(number):
        environment = dict.fromkeys(THREAD_VARIABLES, threads)
        if gpus:
            mine = [gpus[(n * each + k) % len(gpus)] for k in range(each)]
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
        elif settings.gpus_per_worker == 0:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        made.append(_Slot(f"gpu {environment['CUDA_VISIBLE_DEVICES']}" if gpus else f"slot {n + 1}", environment))
    return made


def visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES may name here; empty without a driver."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.replace(" ", "").split(",") if name and name != "-1"]
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []


def create(settings: LocalSettings) -> LocalExecutor:
    """The factory."""
    return LocalExecutor(settings)
