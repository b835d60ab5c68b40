"""Which jobs go into which array and element. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench3d.contracts.executor import Job
from bench3d_plugins.slurm_executor.settings import SlurmSettings

_ORDER = {"data": 0, "fit": 1, "run": 2}
_LONGEST_DEPENDENCY = 40


def levels(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs by how many others of them have to go before; inside a level twins, then fits, then runs."""
    level: dict[str, int] = {}
    for job in jobs:
        level[job.id] = max((level[need] + 1 for need in job.needs if need in level), default=0)
    found: list[list[Job]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for job in sorted(jobs, key=lambda j: _ORDER[j.kind]):
        found[level[job.id]].append(job)
    return found


def elements(jobs: Sequence[Job], settings: SlurmSettings, workers: int | None) -> list[tuple[Job, ...]]:
    """The jobs of one level, divided into array elements: twins and fits alone, runs in chunks, in their order."""
    alone: list[tuple[Job, ...]] = [(job,) for job in jobs if job.kind != "run"]
    runs = [job for job in jobs if job.kind == "run"]
    if settings.chunk is not None:
        return alone + [tuple(runs[i : i + settings.chunk]) for i in range(0, len(runs), settings.chunk)]
    known = [job.seconds for job in runs if job.seconds is not None]
    if not known:
        return alone + [(job,) for job in runs]
    typical = sum(known) / len(known)
    lengths = [typical if job.seconds is None else job.seconds for job in runs]
    target = settings.chunk_minutes * 60
    if workers is not None:
        target = min(target, sum(lengths) / workers)
    return alone + _chunks(runs, lengths, target)


def dependency(needs: Mapping[str, Iterable[str]], whole: Iterable[str] = ()) -> str | None:
    """What sbatch is told to wait for: elements, and whole arrays; None where there is nothing to wait for.

    It is `afterany`, not `afterok`: whether an element succeeded does not say whether a job's need has a result, and
    the job itself looks for that.

    Args:
        needs: number of an array -> the ids of those of its elements that are waited for ("4711_3").
        whole: numbers of arrays that are waited for wholly.
    """
    ids: list[str] = sorted(whole)
    for number in sorted(needs):
        of_this = sorted(set(needs[number]))
        if number not in ids:
            ids += of_this if len(of_this) <= _LONGEST_DEPENDENCY else [number]
    return "afterany:" + ":".join(ids) if ids else None


def _chunks(runs: Sequence[Job], lengths: Sequence[float], target: float) -> list[tuple[Job, ...]]:
    """Consecutive runs of about `target` seconds each: a run goes where it brings the sum nearer."""
    found: list[tuple[Job, ...]] = []
    chunk: list[Job] = []
    total = 0.0
    for job, seconds in zip(runs, lengths, strict=True):
        if chunk and total + seconds / 2 > target:
            found.append(tuple(chunk))
            chunk, total = [], 0.0
        chunk.append(job)
        total += seconds
    return [*found, tuple(chunk)] if chunk else found
