"""Settings of the executor `ray`."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

_MEGABYTES = {"k": 1 / 1024, "m": 1.0, "g": 1024.0, "t": 1024.0**2}
_OURS = frozenset({"CPU", "GPU", "memory", "object_store_memory"})


class RaySettings(BaseModel):
    """Which Ray does the jobs, and what a job asks of it.

    Attributes:
        address: HOST:PORT of a cluster's head. "auto" is the cluster of RAY_ADDRESS, else the one that `ray start` has
            begun on this machine; "local" starts Ray on this machine for this grid alone; None is "auto" where there
            is one, else "local".
        gpus_per_worker: GPUs of a job, a fraction where jobs share one; 0 hides the GPUs. None is 1 where there are
            GPUs and the device is not the CPU.
        cpus_per_worker: cores of a job, which is what it is told to use. None divides this machine's cores evenly; on a
            cluster it is 1, with whole GPUs a GPU's share of its node's cores.
        memory: of a job, "32GB" or "500M" (a bare number is megabytes), reserved by Ray. None reserves nothing.
        resources: further resources of the cluster that a job occupies: {"fast_disk": 1}.
        retries: how often Ray begins a job again after its worker or node was lost.
        autoscaling: wait for nodes that the cluster does not have yet, instead of an error.
        patience: seconds that an interrupted job has to write down how far it is.
        connect_seconds: how long a cluster may take to answer.
    """

    model_config = ConfigDict(extra="forbid")

    address: str | None = None
    gpus_per_worker: float | None = Field(default=None, ge=0.0)
    cpus_per_worker: int | None = Field(default=None, ge=1)
    memory: str | None = None
    resources: dict[str, float] = Field(default_factory=dict)
    retries: int = Field(default=2, ge=0)
    autoscaling: bool = False
    patience: float = Field(default=20.0, gt=0.0)
    connect_seconds: float = Field(default=15.0, gt=0.0)

    @field_validator("address")
    @classmethod
    def _address_is_one(cls, value: str | None) -> str | None:
        if value is None or value in ("auto", "local"):
            return value
        return host_and_port(value) and value

    @field_validator("gpus_per_worker")
    @classmethod
    def _whole_above_one(cls, value: float | None) -> float | None:
        if value is not None and value > 1 and value != int(value):
            raise ValueError(f"{value:g} is neither a whole number nor below 1")
        return value

    @field_validator("memory", mode="before")
    @classmethod
    def _memory_is_one(cls, value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str):
            memory_bytes(value)
        return value

    @field_validator("resources")
    @classmethod
    def _leaves_ours(cls, value: dict[str, float]) -> dict[str, float]:
        if taken := sorted(set(value) & _OURS):
            raise ValueError(f"{', '.join(taken)}: set by cpus_per_worker, gpus_per_worker and memory")
        if empty := sorted(name for name, amount in value.items() if not amount > 0):
            raise ValueError(f"{', '.join(empty)}: the amount has to be above 0")
        return value


def host_and_port(address: str) -> tuple[str, int]:
    """The two parts of "host:port", "[ipv6]:port" too.

    Raises:
        ValueError: it is not one, or it is an address of Ray Client (ray://), over which workers cannot be watched.
    """
    if "://" in address:
        raise ValueError(f"{address!r}: write HOST:PORT, and start the grid on a machine of the cluster")
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise ValueError(f"{address!r} is no address: write HOST:PORT, auto or local")
    return host.removeprefix("[").removesuffix("]"), int(port)


def memory_bytes(text: str) -> int:
    """An amount of memory in bytes: "32GB", "32G", "500M", "4096" (megabytes).

    Raises:
        ValueError: it is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])i?b?)?", text.strip().lower())
    if match is None or float(match[1]) == 0:
        raise ValueError(f"{text!r} is no amount of memory: write 32GB or 500M")
    return int(float(match[1]) * _MEGABYTES[match[2] or "m"] * 2**20)
