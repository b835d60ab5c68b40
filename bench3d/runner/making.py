"""Making one artifact: claimed, so that two processes do not train the same; published whole, so that it never matters.

    <fits>/<name>/                  the artifact
    <fits>/.<name>.claim.json       who is at it (a hint)
    <fits>/.<name>.<token>/         a fit that was begun: training state, and the note of its time

Whoever has the claim takes what others began by renaming their folder to a name of its own, which one process wins.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench3d.contracts import Artifact, FitContext, Model, Progress
from bench3d.errors import Bench3DError, PluginError
from bench3d.files import make_folder, output_errors, remove_temporaries, write_json
from bench3d.records import Busy, Claim, Watch, newest, publish_folder
from bench3d.runner.jobs import FitJob, is_artifact
from bench3d.runner.models import create_fitted
from bench3d.runner.observed import ObservedProgress, fit_finished
from bench3d.runner.sources import Component

NOTE = "fit.json"
"""Beside the artifact: the recipe in full, and how long it took."""
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Making:
    """What the making of one artifact needs beyond its job. `source` is None only where the artifact stands."""

    component: Component
    model: Model
    source: Any
    seed: int
    device: str
    categories: tuple[str, ...]
    progress: Progress = field(repr=False)
    again: bool = False
    wait: bool = True


def ensure_artifact(job: FitJob, making: Making) -> Artifact:
    """The artifact of a job, made where it is not there; with `again` made in any case.

    Raises:
        Busy: another process makes it, and `making.wait` is False.
        OutputError, KeyboardInterrupt, or what the fit raises: what was trained is kept for the next time.
        PluginError: the fit left an artifact of another recipe.
    """
    assert job.folder is not None and job.recipe is not None
    fitter = create_fitted(making.component, job.kind)
    stood = job.done
    if stood and not making.again:
        return _checked(fitter.load(job.folder), job, job.folder)
    with _claimed(job, making) as claim:
        if job.done and not stood:
            return _checked(fitter.load(job.folder), job, job.folder)
        work = _begin(job, claim, making.again)
        try:
            if not is_artifact(work, job.recipe):
                _fit(fitter, job, making, work)
            publish_folder(
                work, job.folder, _aside(job), lambda folder: is_artifact(folder, job.recipe), force=making.again
            )
        except BaseException:
            if stood:  # nobody would go on with it: the artifact that stands is taken
                shutil.rmtree(work, ignore_errors=True)
            raise
        for left in job.attempts():  # ours where another process was first, and what has become needless
            shutil.rmtree(left, ignore_errors=True)
        making.progress.say(f"Fitted {_name(job)} in {fit_seconds(job) or 0:.0f} s: {job.folder}")
        artifact = _checked(fitter.load(job.folder), job, job.folder)
    fit_finished(job, artifact)
    return artifact


@contextlib.contextmanager
def _claimed(job: FitJob, making: Making) -> Iterator[Claim]:
    """The claim of a job, waited for. Busy where another one has it and we do not wait."""
    assert job.claim is not None
    watch, told = Watch(), False
    while (claim := Claim.take(job.claim, f"fit {_name(job)}", watch)) is None:
        if not making.wait:
            raise Busy(f"Another process is fitting {_name(job)}.", "Run again when it has ended.")
        if not told:
            making.progress.say(f"Another process is fitting {_name(job)}: waiting for it.")
        told = True
        time.sleep(_POLL_SECONDS)
    with claim:
        yield claim


def _begin(job: FitJob, claim: Claim, again: bool) -> Path:
    """A folder of our own, with what an earlier process left of this fit (not with `again`)."""
    assert job.folder is not None
    work = _aside(job).with_name(_aside(job).name + claim.token)
    begun = sorted(job.attempts(), key=lambda p: (any(p.rglob("*.safetensors")), newest(p)), reverse=True)
    if job.folder.is_dir() and not job.done:
        begun.append(job.folder)
    if not again:
        for folder in begun:
            with output_errors(job.folder), contextlib.suppress(FileNotFoundError):
                os.rename(folder, work)
                remove_temporaries(work)
                break
    for folder in begun:
        if folder != job.folder:
            shutil.rmtree(folder, ignore_errors=True)
    return make_folder(work)


def _fit(fitter: Any, job: FitJob, making: Making, work: Path) -> None:
    assert job.recipe is not None
    context = FitContext(
        out=work,
        recipe=job.recipe,
        seed=making.seed,
        device=making.device,
        category=job.category,
        categories=making.categories,
        resume=True,
        progress=ObservedProgress(making.progress, job),
    )
    with _timed(job, work):
        artifact = fitter.fit(making.model, making.source, context)
    _checked(artifact, job, work)
    if left_out := _left_out(making, job):
        write_json(work / NOTE, {**read_note(work), "left_out": left_out})


def _left_out(making: Making, job: FitJob) -> dict[str, dict[str, int]]:
    """What of its training data was left out: category -> reason -> how many; nothing where the source keeps it all."""
    skipped = getattr(making.source, "skipped", None)
    if skipped is None:
        return {}
    categories = making.categories if job.category is None else (job.category,)
    found = {category: {str(k): int(n) for k, n in sorted(skipped(category).items()) if n} for category in categories}
    return {category: counts for category, counts in found.items() if counts}


def fit_seconds(job: FitJob) -> float | None:
    """How long a fit took in all, its interrupted beginnings included; None where nobody noted it."""
    seconds = read_note(job.folder).get("seconds") if job.folder is not None else None
    return float(seconds) if isinstance(seconds, (int, float)) else None


def read_note(folder: Path) -> dict[str, Any]:
    """`fit.json` of an artifact: recipe, inputs, seconds, what was left out. Empty where it is not there or broken."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


@contextlib.contextmanager
def _timed(job: FitJob, work: Path) -> Iterator[None]:
    """Notes the recipe in full and the time, which adds up over resumptions.

    Bench3DError where the folder was taken over meanwhile: this process was not heard of for too long.
    """
    before, begun, number = read_note(work).get("seconds"), time.monotonic(), _number(work)
    try:
        yield
    finally:
        if _number(work) != number:
            shutil.rmtree(work, ignore_errors=True)  # what was written since lacks what came before
            raise Bench3DError(
                f"Another process took the fit of {_name(job)} over.", "Run again: it goes on with its result."
            )
        seconds = (before if isinstance(before, (int, float)) else 0.0) + time.monotonic() - begun
        write_json(work / NOTE, {"recipe": job.recipe, "inputs": job.inputs, "seconds": seconds})


def _number(folder: Path) -> int | None:
    with contextlib.suppress(OSError):
        return folder.stat().st_ino
    return None


def _checked(artifact: Artifact, job: FitJob, folder: Path) -> Artifact:
    if artifact.recipe != job.recipe or not is_artifact(folder, job.recipe):
        raise PluginError(
            f"The {job.kind} {job.component} left an artifact in {folder} that is not of its recipe.",
            "Delete the folder, or train again with --force.",
        )
    return artifact


def _aside(job: FitJob) -> Path:
    """What the names of all folders begin with in which this fit is made."""
    assert job.folder is not None
    return job.folder.with_name(f".{job.folder.name}.")


def _name(job: FitJob) -> str:
    return f"{job.component} of {job.category or 'all categories'}"
