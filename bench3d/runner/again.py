"""A part of a run computed again, beside it: nothing in the results folder is changed, and no cached feature is taken.

Which samples are drawn depends on the record, its samples and a seed that is made up afterwards, so that who submits a
record cannot know which of them will be looked at; whoever knows the seed can draw the same ones.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.contracts import MetricSpec, Progress
from bench3d.errors import UsageError
from bench3d.machine import choose_device, user_cache
from bench3d.records import Choice, Fit, Record
from bench3d.runner.evaluate import BatchSize, evaluate_category
from bench3d.runner.fits import Fitted, fit_and_apply
from bench3d.runner.jobs import FitJob
from bench3d.runner.layers import with_chosen_layer
from bench3d.runner.models import settle_numerics
from bench3d.runner.plan import RunPlan
from bench3d.runner.run import make_task, training_source
from bench3d.runner.session import open_session

Ids = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Again:
    """What was computed.

    Attributes:
        values: of the samples that were asked for, in the form of a sidecar's lines.
        ids: category -> ids of all samples that the task has, in its order.
        metrics: of the task, as it stands here.
        refitted: the fits that are not those of the record: another digest of the same recipe.
        choices: settings that were chosen on validation data, chosen again.
        device: that it was computed on, "cpu" or "cuda".
    """

    values: tuple[dict[str, Any], ...]
    ids: Ids
    metrics: tuple[MetricSpec, ...]
    refitted: tuple[str, ...]
    choices: tuple[Choice, ...]
    device: str


def parse_share(text: str) -> float | int:
    """A share of the samples from "5%" (0.05), a number of them from "20", all of them from "all" (1.0).

    Raises:
        UsageError: anything else, or nothing of it.
    """
    word = text.strip()
    if word == "all":
        return 1.0
    try:
        share = float(word[:-1]) / 100 if word.endswith("%") else int(word)
    except ValueError:
        share = 0
    if not (0 < share <= 1 if isinstance(share, float) else share >= 1):
        raise UsageError(f"--sample {text} is no part of the samples.", "Give 5%, a number such as 20, or all.")
    return share


def draw(ids: Ids, share: float | int, seed: int, *secrets: str) -> dict[str, list[str]]:
    """Ids to compute again, of every category about the same part and at least one, in the order given.

    Args:
        ids: category -> ids.
        share: a fraction (float) or a number over all categories (int).
        seed, secrets: the draw is a function of these alone: hash of the record's identity, digest of its samples.
    """
    total = sum(len(mine) for mine in ids.values())
    part = share if isinstance(share, float) else min(1.0, share / max(total, 1))
    chosen = {}
    for category, mine in ids.items():
        text = "\n".join((*secrets, category, str(seed)))
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big"))
        count = min(len(mine), max(1, round(part * len(mine))))
        kept = set(rng.permutation(len(mine))[:count].tolist())
        chosen[category] = [name for number, name in enumerate(mine) if number in kept]
    return chosen


def work_folder() -> Path:
    """Where fits are made that neither the results folder nor an earlier verification has."""
    return user_cache() / "bench3d" / "verify"


def missing_fits(plan: RunPlan) -> tuple[FitJob, ...]:
    """The fits that will be made here before anything is evaluated."""
    return tuple(job for job in _aside(plan).jobs if not job.done)


def evaluate_again(plan: RunPlan, record: Record, wanted: Mapping[str, Sequence[str]], progress: Progress) -> Again:
    """The values of the samples named in `wanted` (category -> ids), through the same path as a run's.

    Fits of the results folder are taken where they stand; what is missing is made under `work_folder()` and kept there.
    Features come from no cache. Ids that the task does not have are passed over: see `Again.ids`.

    Raises:
        as `execute`, but that no record is left.
    """
    if plan.problem is not None:
        raise plan.problem
    device = choose_device(plan.spec.device)
    settle_numerics(plan.spec.offline)
    plan = replace(_aside(plan), spec=replace(plan.spec, cache=False))
    plan, choices = with_chosen_layer(plan, device, progress)
    fitted = fit_and_apply(plan, device, progress)
    resolved = plan.resolved
    assert resolved.test is not None and resolved.task is not None
    dataset, task = resolved.test.open(), make_task(plan)
    batch = BatchSize(int(getattr(resolved.task.settings, "batch", 8)))
    values: list[dict[str, Any]] = []
    ids: dict[str, list[str]] = {}
    with open_session(plan, fitted, device, progress) as session:
        task.open(session)
        for category in plan.categories:
            samples = task.samples(dataset, category, plan.spec.limit)
            ids[category] = [str(sample.id) for sample in samples]
            asked = set(wanted.get(category, ()))
            mine = [sample for sample in samples if sample.id in asked]
            source = training_source(plan) if mine else None
            with contextlib.closing(evaluate_category(task, session, category, mine, source, batch)) as batches:
                for found in batches:
                    values += found
    return Again(tuple(values), ids, tuple(task.metrics), _refitted(record.fits, fitted), tuple(choices), device)


def _aside(plan: RunPlan) -> RunPlan:
    """The plan with the fits that its results folder lacks in a folder of our own."""
    work = work_folder()
    return replace(plan, jobs=tuple(_moved(job, plan.spec.results, work) for job in plan.jobs))


def _moved(job: FitJob, results: Path, work: Path) -> FitJob:
    if job.done or job.folder is None:
        return job
    return replace(job, folder=work / job.folder.relative_to(results))


def _refitted(recorded: Sequence[Fit], fitted: Fitted) -> tuple[str, ...]:
    known = {(fit.component, fit.category): fit.digest for fit in recorded}
    others = [job for job, artifact in fitted.artifacts if known.get((job.component, job.category)) != artifact.digest]
    return tuple(f"{job.component} of {job.category or 'all categories'}" for job in others)
