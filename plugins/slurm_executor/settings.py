"""Settings of the executor `slurm`."""

from __future__ import annotations

import math
import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

_UNIT_MINUTES = {"d": 24 * 60.0, "h": 60.0, "m": 1.0, "s": 1 / 60}
_UNIT_MEGABYTES = {"k": 1 / 1024, "m": 1.0, "g": 1024.0, "t": 1024.0**2}
_OURS = frozenset({"array", "dependency", "error", "job-name", "open-mode", "output", "requeue", "signal"})
_SHORTEST_MINUTES = 2


class SlurmSettings(BaseModel):
    """What is asked of SLURM for a worker (an array element), and how jobs are put into elements.

    Attributes:
        partition, account, qos, constraint: as sbatch takes them; None leaves the site's choice.
        time: limit of an element: "8h", "30m", "1h30m", "1:30:00" or "2-00:00:00"; a bare number is minutes, as for
            sbatch. Shortly before it, the element interrupts its job and goes back into the queue.
        gpus_per_worker: None asks for one with --device cuda, and for none otherwise.
        cpus_per_worker: cores of an element, which is what its jobs are told to use; None leaves the site's choice.
        memory: of an element: "32GB", "500M"; a bare number is megabytes, as for sbatch. None leaves the site's choice.
        setup: shell lines before Python starts on the node, such as "module load cuda".
        chunk: runs per element; None puts as many into one as take about `chunk_minutes` by their estimates, fewer
            where that would leave workers without work. Fits and twins have elements of their own.
        chunk_minutes: see `chunk`.
        additional: further parameters of sbatch: {"nice": 100, "exclude": "node7"}.
        requeues: how often an element may come to its time limit. What a job had done is kept.
        patience: seconds that an interrupted job has to write down how far it is.
        ask_seconds: between two questions to SLURM's queue.
        grace: seconds after an element has left the queue in which its last words are waited for (file systems of
            clusters show a new file late); then its jobs count as lost.
    """

    model_config = ConfigDict(extra="forbid")

    partition: str | None = None
    time: str = "8h"
    gpus_per_worker: int | None = Field(default=None, ge=0)
    cpus_per_worker: int | None = Field(default=None, ge=1)
    memory: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    setup: list[str] = Field(default_factory=list)
    chunk: int | None = Field(default=None, ge=1)
    chunk_minutes: float = Field(default=30.0, gt=0)
    additional: dict[str, str | int | bool] = Field(default_factory=dict)
    requeues: int = Field(default=20, ge=0)
    patience: float = Field(default=20.0, gt=0, le=60)
    ask_seconds: float = Field(default=5.0, gt=0)
    grace: float = Field(default=60.0, ge=0)

    @field_validator("time", "memory", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("time")
    @classmethod
    def _time_is_one(cls, value: str) -> str:
        if minutes(value) < _SHORTEST_MINUTES:
            raise ValueError(f"{value!r} is shorter than {_SHORTEST_MINUTES} minutes, too short to end in good order")
        return value

    @field_validator("memory")
    @classmethod
    def _memory_is_one(cls, value: str | None) -> str | None:
        if value is not None:
            megabytes(value)
        return value

    @field_validator("additional")
    @classmethod
    def _leaves_ours(cls, value: dict[str, str | int | bool]) -> dict[str, str | int | bool]:
        taken = sorted(key for key in value if key.replace("_", "-") in _OURS)
        if taken:
            raise ValueError(f"{', '.join(taken)}: set by bench3d itself")
        return value


def minutes(text: str) -> int:
    """A time limit in minutes, rounded up: "8h", "1h30m", "90" (minutes), "1:30:00", "2-00:00:00", "2-12".

    Raises:
        ValueError: it is none of these.
    """
    plain = text.strip().lower()
    found: float | None = None
    if re.fullmatch(r"\d+", plain):
        found = float(plain)
    elif re.fullmatch(r"(\d+(\.\d+)?[dhms]\s*)+", plain):
        found = sum(float(n) * _UNIT_MINUTES[unit] for n, _, unit in re.findall(r"(\d+(\.\d+)?)([dhms])", plain))
    elif match := re.fullmatch(r"(\d+)-(\d+)(?::(\d+))?(?::(\d+))?", plain):
        days, hours, mins, seconds = (int(part or 0) for part in match.groups())
        found = days * 1440 + hours * 60 + mins + seconds / 60
    elif match := re.fullmatch(r"(?:(\d+):)?(\d+):(\d+)", plain):
        hours, mins, seconds = (int(part or 0) for part in match.groups())
        found = hours * 60 + mins + seconds / 60
    if found is None:
        raise ValueError(f"{text!r} is no time: write 8h, 30m, 1:30:00 or 2-00:00:00")
    return math.ceil(found)


def megabytes(text: str) -> int:
    """Memory in megabytes of 1024 kilobytes, as sbatch counts, rounded up: "32GB", "32G", "500M", "4096".

    Raises:
        ValueError: it is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])i?b?)?", text.strip().lower())
    if match is None or float(match[1]) == 0:
        raise ValueError(f"{text!r} is no amount of memory: write 32GB or 500M")
    return math.ceil(float(match[1]) * _UNIT_MEGABYTES[match[2] or "m"])
