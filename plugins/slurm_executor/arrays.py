"""One job array: its folder, its submission through submitit, and what an earlier session has left of such arrays."""

from __future__ import annotations

import json
import secrets
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench3d.contracts.executor import ExecutorContext, Job
from bench3d.data.workers import THREAD_VARIABLES
from bench3d.errors import PluginError, UsageError
from bench3d.files import write_json
from bench3d.records.liveness import life, this_process
from bench3d_plugins.slurm_executor.chunk import Chunk, Piece
from bench3d_plugins.slurm_executor.marks import Marks
from bench3d_plugins.slurm_executor.queue import Row
from bench3d_plugins.slurm_executor.settings import SlurmSettings, megabytes, minutes

FOLDER = "slurm"
_NOTE = "array.json"
_LEAD_SECONDS = 90
_LOG_BYTES = 4096


@dataclass(frozen=True)
class Array:
    """A job array in SLURM's queue.

    Attributes:
        folder: <grid>/slurm/<key>, with its marks, scripts and logs; the key is part of the name that SLURM has of it.
        number: SLURM's.
        elements: the ids of the jobs of each.
        settings: that it was submitted with.
    """

    folder: Path
    number: str
    elements: tuple[tuple[str, ...], ...]
    settings: Mapping[str, Any]

    @property
    def marks(self) -> Marks:
        """What it and its elements tell each other."""
        return Marks(self.folder / "marks")

    def id(self, index: int) -> str:
        """SLURM's name of an element; submitit makes no array of a single one."""
        return self.number if len(self.elements) == 1 else f"{self.number}_{index}"

    def last_line(self, index: int) -> str:
        """The last line of what an element said about itself: what killed it, where SLURM had the time to say so."""
        path = self.folder / f"{self.id(index)}_0_log.err"
        with suppress(OSError), open(path, "rb") as log:
            log.seek(max(0, path.stat().st_size - _LOG_BYTES))
            lines = [line.strip() for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
            return f"{lines[-1]} ({path})" if lines else str(path)
        return str(path)

    def was_cancelled(self, index: int) -> bool:
        """Whether SLURM said in an element's log that someone cancelled it; for other ends it adds "DUE TO ..."."""
        said = self.last_line(index).upper()
        return "CANCELLED" in said and "DUE TO" not in said

    def forget(self) -> None:
        """It is out of the queue: no later session need look for it."""
        with suppress(OSError):
            (self.folder / _NOTE).unlink()


def submit(
    elements: Sequence[tuple[Job, ...]], settings: SlurmSettings, context: ExecutorContext, dependency: str | None
) -> Array:
    """Hands an array over to SLURM.

    Raises:
        UsageError: sbatch refuses it.
        OutputError: its folder cannot be written.
    """
    key = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    folder = context.folder.absolute() / FOLDER / key
    ids = tuple(tuple(job.id for job in jobs) for jobs in elements)
    Marks(folder / "marks").create()
    note = {"elements": ids, "settings": settings.model_dump(mode="json"), "owner": this_process()}
    write_json(folder / _NOTE, note)
    chunks = [
        Chunk(
            folder / "marks",
            [Piece(job.id, job.command, job.log.absolute()) for job in jobs],
            settings.patience,
            settings.cpus_per_worker,
        )
        for jobs in elements
    ]
    parameters = sbatch_parameters(settings, context)
    parameters["job_name"] = f"bench3d-{context.folder.name}-{key}"
    parameters["array_parallelism"] = context.workers or len(elements)
    parameters["dependency"] = dependency
    array = Array(folder, "", ids, note["settings"])
    try:
        number = _hand_over(folder, settings.requeues, parameters, chunks)
    except RuntimeError as error:
        array.forget()
        said = "; ".join(
            line.removeprefix("sbatch: ").removeprefix("error: ") for line in str(error).splitlines() if line
        )
        raise UsageError(
            f"SLURM refused the jobs: {said or 'sbatch failed'}.",
            "Compare --partition, --account, --time, --memory and --gpus-per-worker with what `sinfo` and "
            "`scontrol show partition` offer; --set executor.chunk=N makes fewer elements.",
        ) from error
    return Array(folder, number, ids, note["settings"])


def sbatch_parameters(settings: SlurmSettings, context: ExecutorContext) -> dict[str, Any]:
    """What submitit is told about an element of an array."""
    from submitit.slurm.slurm import SlurmJobEnvironment

    limit = minutes(settings.time)
    lead = min(_LEAD_SECONDS, limit * 60 // 3)
    warning = SlurmJobEnvironment.USR_SIG
    gpus = settings.gpus_per_worker
    if gpus is None and context.device == "cuda":
        gpus = 1
    return {
        "time": limit,
        "partition": settings.partition,
        "account": settings.account,
        "qos": settings.qos,
        "constraint": settings.constraint,
        "cpus_per_task": settings.cpus_per_worker,
        "gpus_per_node": gpus or None,
        "mem": None if settings.memory is None else f"{megabytes(settings.memory)}M",
        "wckey": None,
        # Python becomes the batch script itself and is signalled as such. The warning would kill a Python that has not
        # got its handler yet, so it is ignored until then; a step of srun's would not inherit that.
        "use_srun": False,
        "setup": [f"trap '' {warning}", f"unset {' '.join(THREAD_VARIABLES)}", *settings.setup],
        "additional_parameters": {
            **{key.replace("_", "-"): value for key, value in settings.additional.items() if value is not False},
            "signal": f"B:{warning}@{lead}",
            "requeue": True,
        },
    }


def leftovers(folder: Path, rows: Mapping[str, Row]) -> list[Array]:
    """Arrays of earlier sessions of a grid that are still in the queue, though the process that started them is gone.

    The notes of those that are out of the queue are removed; of a living process nothing is touched. A process on
    another machine counts as gone, since nothing can be known of it.
    """
    numbers = {row.name: element.partition("_")[0] for element, row in rows.items()}
    found = []
    for path in sorted((folder / FOLDER).glob(f"*/{_NOTE}")):
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
            elements = tuple(tuple(str(job) for job in jobs) for jobs in note["elements"])
            settings, owner = dict(note["settings"]), dict(note["owner"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if life(owner) == "alive":
            continue
        number = next((number for name, number in numbers.items() if name.endswith(path.parent.name)), None)
        array = Array(path.parent, number or "", elements, settings)
        if number is None:
            array.forget()
        else:
            found.append(array)
    return found


def _hand_over(folder: Path, requeues: int, parameters: Mapping[str, Any], chunks: Sequence[Chunk]) -> str:
    """Submits through submitit, by its SLURM executor and no automatic choice; SLURM's number of the array."""
    try:
        from submitit import SlurmExecutor
    except ImportError as error:
        raise PluginError(f"submitit cannot be imported: {error}", "pip install 'bench3d[slurm]'") from error
    executor = SlurmExecutor(folder=folder, max_num_timeout=requeues, python=f"exec {shlex.quote(sys.executable)}")
    executor.update_parameters(**parameters)
    with _interrupts_held():
        jobs = executor.submit_array(chunks)
    return str(jobs[0].job_id).partition("_")[0]


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C comes after the block: it would end sbatch as well, with its array already in the queue."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
