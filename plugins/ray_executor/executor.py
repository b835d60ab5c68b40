"""Executor `ray`: one task of Ray per job. Ray decides where and when, waits for needs, and begins lost tasks again."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from bench3d.contracts.executor import Active, Ended, Executor, ExecutorContext, Job
from bench3d.data.workers import THREAD_VARIABLES
from bench3d.errors import PluginError, UsageError
from bench3d.machine import available_bytes, usable_cores
from bench3d_plugins.ray_executor.cluster import Connection, connect, visible_gpus
from bench3d_plugins.ray_executor.settings import RaySettings, memory_bytes
from bench3d_plugins.ray_executor.work import WITHDRAWN, Board, Outcome, Work, do

_ANSWER_SECONDS = 10.0
_JOB_BYTES = 4 * 2**30  # what a slot needs by and large, where nobody says how many there shall be
_PASSED_ON = ("BENCH3D_", "HF_", "TORCH_", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "PYTHONPATH")
_KEPT_BACK = ("TOKEN", "BENCH3D_PARENT", "BENCH3D_RAY_MARK")


@dataclass(frozen=True)
class _Task:
    key: str
    job: Job
    needs: tuple[Any, ...]


def create(settings: RaySettings) -> RayExecutor:
    """The factory."""
    return RayExecutor(settings)


class RayExecutor(Executor):
    """Jobs as tasks of Ray. See `bench3d.contracts.executor.Executor` for the verbs.

    A job is first in `_queue`, then in `_tasks` by the reference of its outcome. With a number of workers given on a
    cluster of others, a job leaves the queue when a place is free and nothing that it needs is open; otherwise at
    once, and Ray waits for what it needs.
    """

    def __init__(self, settings: RaySettings) -> None:
        self._settings = settings
        self._ray: Connection | None = None
        self._board: Any = None
        self._task: Any = None
        self._options: dict[str, Any] = {}
        self._limit: int | None = None
        self._environment: dict[str, str] = {}
        self._gpus = 0.0
        self._queue: dict[str, Job] = {}
        self._tasks: dict[Any, _Task] = {}
        self._open: dict[str, Any] = {}
        self._lost: set[Any] = set()
        self._places: dict[str, str] = {}
        self._count = 0
        self._stopping: bool | None = None

    def open(self, context: ExecutorContext) -> None:
        """Joins or starts Ray; UsageError or PluginError where that fails or a job could never be placed."""
        if context.detach:
            raise UsageError(
                "Ray ends the tasks of a process that leaves, so the executor ray cannot be detached from.",
                "Leave out --detach and keep the command running (tmux, nohup), or use --executor slurm.",
            )
        gpus = 0 if context.device == "cpu" or self._settings.gpus_per_worker == 0 else visible_gpus()
        slots, cores = self._shares(context, gpus)
        self._ray = connect(self._settings.address, slots, gpus, self._settings.connect_seconds)
        try:
            self._prepare(context, cores)
        except BaseException:
            self.close()
            raise

    def _shares(self, context: ExecutorContext, gpus: int) -> tuple[int, int]:
        """Slots and cores per slot, should Ray be started on this machine."""
        asked = self._settings
        cores = usable_cores()
        if context.workers is not None:
            slots = context.workers
        elif gpus:
            slots = max(1, int(gpus / (asked.gpus_per_worker or 1.0)))
        else:
            slots = max(1, min(cores // (asked.cpus_per_worker or 1), available_bytes() // _JOB_BYTES))
        return slots, asked.cpus_per_worker or max(1, cores // slots)

    def _prepare(self, context: ExecutorContext, cores: int) -> None:
        import ray

        assert self._ray is not None
        asked = self._settings
        nodes = [n["Resources"] for n in ray.nodes() if n["Alive"]]
        has_gpus = any(n.get("GPU", 0) for n in nodes)
        self._gpus = asked.gpus_per_worker if asked.gpus_per_worker is not None else 1.0
        if context.device == "cpu" or (asked.gpus_per_worker is None and not has_gpus and context.device != "cuda"):
            self._gpus = 0.0
        if not self._ray.own:
            cores = asked.cpus_per_worker or _cores_of_a_gpu(nodes, self._gpus)
            self._limit = context.workers
        need: dict[str, float] = {"CPU": 1 if self._ray.own else cores, "GPU": self._gpus, **asked.resources}
        if asked.memory:
            need["memory"] = memory_bytes(asked.memory)
        if self._ray.own or not asked.autoscaling:
            _check_fits(need, nodes)
        threads = dict.fromkeys(THREAD_VARIABLES, str(cores))
        self._environment = {**_passed_on(), **threads}
        self._board = ray.remote(Board).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
        self._task = ray.remote(do)
        self._options = {
            "num_cpus": need["CPU"],
            "num_gpus": self._gpus,
            "memory": need.get("memory"),
            "resources": asked.resources,
            "max_retries": asked.retries,
            "retry_exceptions": False,
        }

    def submit(self, jobs: Sequence[Job]) -> None:
        """Takes jobs over; after `stop` they are forgotten."""
        if self._stopping is None:
            self._queue.update((job.id, job) for job in jobs)
            self._hand_over()

    def _hand_over(self) -> None:
        for job in list(self._queue.values()):
            if self._limit is not None:
                if len(self._tasks) >= self._limit:
                    return
                if any(need in self._open or need in self._queue for need in job.needs):
                    continue
            del self._queue[job.id]
            self._begin(job)

    def _begin(self, job: Job) -> None:
        self._count += 1
        key = f"{self._count}-{job.id}"
        work = Work(
            key=key,
            command=job.command,
            log=str(job.log),
            environment=self._environment,
            gpus=self._gpus,
            attempts=self._settings.retries + 1,
            patience=self._settings.patience,
        )
        needs = [self._open[need] for need in job.needs if need in self._open]
        task = self._task.options(**self._options, name=job.title or job.id).remote(self._board, work, *needs)
        self._tasks[task] = _Task(key, job, tuple(needs))
        self._open[job.id] = task

    def poll(self, seconds: float) -> list[Ended]:
        """What ended; PluginError where the Ray that was started here has died."""
        import ray

        if self._ray is not None and not self._ray.is_alive():
            raise PluginError("Ray, which was started on this machine, has died.", "Start the grid again: it resumes.")
        if self._stopping is not None:
            self._board.stop.remote(self._stopping)  # again, for it may have been restarted since
        self._hand_over()
        if not self._tasks:
            time.sleep(seconds)
            return []
        ray.wait(list(self._tasks), num_returns=1, timeout=seconds)
        over, _ = ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)
        ended = [self._end(task) for task in over]
        self._hand_over()
        return [end for end in ended if end is not None]

    def _end(self, reference: Any) -> Ended | None:
        import ray

        task = self._forget(reference)
        try:
            outcome: Outcome = ray.get(reference)
        except ray.exceptions.RayError as error:
            if self._waited_in_vain(task):
                self._begin(task.job)
                return None
            self._lost.add(reference)
            outcome = Outcome(None, _reason(error))
        if outcome.reason == WITHDRAWN:
            return None
        return Ended(id=task.job.id, code=outcome.code, reason=outcome.reason)

    def _waited_in_vain(self, task: _Task) -> bool:
        """Whether a task failed only because one that it waited for was lost: that one has ended, so it may begin."""
        return (
            self._stopping is None and not self._lost.isdisjoint(task.needs) and task.key not in self._ask("begun", ())
        )

    def _forget(self, reference: Any) -> _Task:
        task = self._tasks.pop(reference)
        if self._open.get(task.job.id) is reference:
            del self._open[task.job.id]
        return task

    def active(self) -> list[Active]:
        """What workers have said lately that they are at."""
        self._places = self._ask("look", self._places)
        places = ((t.job.id, self._places.get(t.key)) for t in self._tasks.values())
        return [Active(id=name, slot=place) for name, place in places if place is not None]

    def cancel(self, ids: Collection[str]) -> None:
        """Forgets those of the jobs that have not begun."""
        for name in ids:
            self._queue.pop(name, None)
        self._withdraw({task.key: r for r, task in self._tasks.items() if task.job.id in ids})

    def _withdraw(self, wanted: dict[str, Any]) -> None:
        import ray

        for key in self._ask("withdraw", (), list(wanted)) if wanted else ():
            self._forget(wanted[key])
            self._lost.add(wanted[key])
            ray.cancel(wanted[key], force=False, recursive=False)

    def stop(self, now: bool) -> None:
        """Forgets what has not begun; with `now` interrupts the rest, which `poll` reports."""
        self._stopping = now or bool(self._stopping)
        self._queue.clear()
        self._ask("stop", None, self._stopping)
        self._withdraw({task.key: r for r, task in self._tasks.items()})

    def close(self) -> None:
        """Leaves Ray; what was started here ends."""
        if self._ray is not None:
            import ray

            for reference in self._tasks:
                ray.cancel(reference, force=True, recursive=False)
            self._tasks, self._open, self._task = {}, {}, None
            self._board = None
            self._ray.close()
            self._ray = None

    def _ask(self, verb: str, otherwise: Any, *given: Any) -> Any:
        """The board's answer, `otherwise` where it gives none."""
        import ray

        try:
            return ray.get(getattr(self._board, verb).remote(*given), timeout=_ANSWER_SECONDS)
        except ray.exceptions.RayError:
            return otherwise


def _passed_on() -> dict[str, str]:
    """What of this process's environment a job must see on another machine, too; no secrets."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_PASSED_ON) and not any(part in name for part in _KEPT_BACK)
    }


def _cores_of_a_gpu(nodes: Sequence[dict[str, float]], gpus: float) -> int:
    """A GPU's share of the cores, on the node that has fewest of them for a GPU; 1 without whole GPUs."""
    shares = [n.get("CPU", 0) / n["GPU"] for n in nodes if n.get("GPU", 0) >= 1]
    return max(1, int(min(shares) * gpus)) if shares and gpus >= 1 else 1


def _check_fits(need: dict[str, float], nodes: Sequence[dict[str, float]]) -> None:
    """UsageError where no node could ever hold a job: it would wait for ever, silently."""
    if any(all(n.get(name, 0) >= amount for name, amount in need.items()) for n in nodes):
        return
    wanted = ", ".join(f"{_amount(name, amount)}" for name, amount in need.items() if amount)
    have = "; ".join(sorted({", ".join(_amount(k, n.get(k, 0)) for k, v in need.items() if v) for n in nodes}))
    raise UsageError(
        f"No node of the Ray cluster can hold a job: it needs {wanted}, and the nodes have {have or 'nothing'}.",
        "Lower executor.cpus_per_worker, gpus_per_worker, memory or resources; where the cluster grows by itself, "
        "--set executor.autoscaling=true.",
    )


def _amount(name: str, amount: float) -> str:
    return f"{amount / 2**30:.1f} GB memory" if name == "memory" else f"{amount:g} {name}"


def _reason(error: BaseException) -> str:
    """The first sentence of what Ray says about a lost task."""
    import ray

    known = {
        ray.exceptions.WorkerCrashedError: "its Ray worker was killed or crashed",
        ray.exceptions.OutOfMemoryError: "Ray ended it because the machine ran out of memory",
        ray.exceptions.NodeDiedError: "its node was lost",
        ray.exceptions.TaskCancelledError: "cancelled",
    }
    for kind, words in known.items():
        if isinstance(error, kind):
            return words
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"Ray: {lines[-1] if lines else type(error).__name__}"
