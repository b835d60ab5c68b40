"""`bench3d data prepare co3d`: cleaned clouds and proxy meshes ahead of their first reading, in parallel."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence as Listing
from dataclasses import dataclass
from pathlib import Path

from bench3d.contracts import Progress
from bench3d.contracts.videos import PrepareReport
from bench3d.data.workers import job_results
from bench3d.errors import DataError
from bench3d.files import remove_temporaries
from bench3d.records import Busy, Claim
from bench3d_plugins.co3d.dataset import CO3D
from bench3d_plugins.co3d.names import category_of, folder_of
from bench3d_plugins.co3d.prepared import Store
from bench3d_plugins.co3d.selection import Raw
from bench3d_plugins.co3d.settings import CO3DSettings

CLAIM = ".preparing.json"
BROKEN = "broken files"


@dataclass(frozen=True)
class Job:
    """One sequence to prepare."""

    store: Store
    raw: Raw


@dataclass(frozen=True)
class Outcome:
    """What became of it: whether it was worked on; why it is left out; its points; whether it has a mesh."""

    made: bool
    reason: str | None
    points: int = 0
    mesh: bool = False
    empty_frames: int = 0
    problem: str | None = None


def prepare(
    root: Path, settings: CO3DSettings, categories: Listing[str] | None, progress: Progress, workers: int
) -> Iterator[PrepareReport]:
    """See bench3d.contracts.videos.Preparer. No alignment is needed: it is what aligning begins with."""
    reader = CO3D(root, settings.model_copy(update={"cache": True}))
    for category in categories if categories is not None else reader.present():
        yield _category(reader, category, progress, workers)


def _category(reader: CO3D, category: str, progress: Progress, workers: int) -> PrepareReport:
    begun, store = time.monotonic(), reader.store
    selection = reader.unaligned(category)
    left_out, outcomes = Counter(selection.left_out), []
    pending, most = list(selection.sequences), reader.settings.max_sequences
    kept = 0
    with _claimed(store.folder / folder_of(category)):
        progress.start(f"{category}: clouds and meshes", len(pending))
        try:
            # As a reader does: in order, until as many are kept as are wanted.
            while pending and (most is None or kept < most):
                count = len(pending) if most is None else most - kept
                jobs, pending = [Job(store, raw) for raw in pending[:count]], pending[count:]
                for _, outcome in job_results(prepare_one, jobs, workers):
                    outcomes.append(outcome)
                    kept += outcome.reason is None
                    progress.advance()
        finally:
            progress.finish()
    left_out.update(outcome.reason for outcome in outcomes if outcome.reason is not None)
    used = [outcome for outcome in outcomes if outcome.reason is None]
    return PrepareReport(
        category=category_of(folder_of(category)),
        kept=kept,
        left_out=dict(left_out),
        made=sum(outcome.made for outcome in outcomes),
        points=sum(outcome.points for outcome in used),
        meshes=sum(outcome.mesh for outcome in used),
        seconds=time.monotonic() - begun,
        empty_frames=sum(outcome.empty_frames for outcome in used),
        problems=tuple(sorted(outcome.problem for outcome in outcomes if outcome.problem is not None)),
    )


def prepare_one(job: Job) -> Outcome:
    """Prepares a sequence where that is not done; OutputError where it cannot be kept."""
    store, raw = job.store, job.raw
    files = (store.entry(raw), store.mesh_entry(raw))
    before = [_number(path) for path in files]
    try:
        store.cloud(raw, keep=True)
        examined = store.examine(raw)
    except DataError as error:
        return Outcome(True, BROKEN, problem=error.message)
    mesh = False
    if examined.reason is None:
        with contextlib.suppress(DataError):
            store.mesh(raw, examined.prepared.points, keep=True)
            mesh = True
    made = [_number(path) for path in files] != before
    return Outcome(made, examined.reason, len(examined.prepared.points), mesh, examined.empty_frames)


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """No other process prepares the category meanwhile; what killed ones left half-written is removed."""
    claim = Claim.take(folder / CLAIM, f"preparing {folder.name}")
    if claim is None:
        raise Busy(f"Another process is preparing {folder.name} in {folder}.", "Run again when it has ended.")
    with claim:
        remove_temporaries(folder)
        yield


def _number(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return path.stat().st_ino
    return None
