"""Two results folders: what only one has, and whether the runs that both have came out the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench3d.contracts import NullProgress, Progress
from bench3d.errors import DataError
from bench3d.leaderboard.compare import Change, differences, provenance_changes
from bench3d.leaderboard.entries import Entry, Refusal, find_entries
from bench3d.leaderboard.safety import plain_text
from bench3d.records import Record, iter_samples

TIMES = "_ms"
"""Values of samples whose names end so are timings: they never repeat, and no score is made of them."""


@dataclass(frozen=True)
class Largest:
    """The largest difference of a kind: of what, and the two numbers."""

    what: str
    a: float
    b: float


@dataclass(frozen=True)
class Changed:
    """A run that both folders have and that did not come out the same.

    Attributes:
        status: None where both have the same one, else a sentence.
        scores: how many of `of_scores` scores differ, and the largest relative difference among them.
        samples: how many of `of_samples` samples differ in a value that is no timing, and the largest difference in
            units of the tolerance of its metric (relative where no metric of the record has one).
        within: every number differs by its metric's tolerance at the most; None where the records name none.
    """

    a: Entry
    b: Entry
    status: str | None = None
    scores: int = 0
    of_scores: int = 0
    largest_score: Largest | None = None
    samples: int = 0
    of_samples: int = 0
    largest_sample: Largest | None = None
    within: bool | None = None
    provenance: Sequence[Change] = ()
    problem: str | None = None


@dataclass(frozen=True)
class FolderComparison:
    """What two results folders have in common, by identity. `same` came out the same in both, but for timings."""

    only_a: Sequence[Entry]
    only_b: Sequence[Entry]
    same: Sequence[Entry]
    changed: Sequence[Changed]
    refused: Sequence[Refusal]


def compare_folders(a: Path, b: Path, progress: Progress | None = None) -> FolderComparison:
    """Compares every run of two results folders.

    Raises:
        DataError: a folder does not exist.
    """
    progress = progress or NullProgress()
    (mine, bad_a), (other, bad_b) = find_entries([a], progress), find_entries([b], progress)
    theirs = {e.record.identity.hash: e for e in other}
    both = [(e, theirs.pop(e.record.identity.hash)) for e in mine if e.record.identity.hash in theirs]
    taken = {e.record.identity.hash for e, _ in both}
    same, changed = [], []
    progress.start("comparing", len(both))
    for left, right in both:
        found = _changed(left, right)
        progress.advance()
        if found is None:
            same.append(left)
        else:
            changed.append(found)
    progress.finish()
    only_a = [e for e in mine if e.record.identity.hash not in taken]
    return FolderComparison(only_a, list(theirs.values()), same, changed, [*bad_a, *bad_b])


def _changed(a: Entry, b: Entry) -> Changed | None:
    """What differs between two records of one identity; None where nothing does."""
    if a.record.status != b.record.status:
        return Changed(a, b, status=f"{a.record.status} in A, {b.record.status} in B")
    mine, other = _scores(a.record), _scores(b.record)
    names = [*mine, *(name for name in other if name not in mine)]
    pairs = [Largest(k, mine.get(k, math.nan), other.get(k, math.nan)) for k in names if mine.get(k) != other.get(k)]
    moved = [(_relative(pair.a, pair.b), pair) for pair in pairs]
    problem, samples, of, largest, within = None, 0, 0, None, None
    if a.sidecar is not None and b.sidecar is not None:
        try:
            samples, of, largest, within = _samples(a, b)
        except DataError as error:
            problem = plain_text(error.message)
    if not moved and not samples and problem is None:
        return None
    return Changed(
        a,
        b,
        scores=len(moved),
        of_scores=len(names),
        largest_score=max(moved, key=lambda item: item[0])[1] if moved else None,
        samples=samples,
        of_samples=of,
        largest_sample=largest,
        within=within,
        provenance=[c for c in provenance_changes(a.record, b.record) if c.field not in ("time", "command")],
        problem=problem,
    )


def same_numbers(a: Record, b: Record) -> bool:
    """Whether two records of one identity say the same: status, scores, groups and chance; timings do not count."""
    return a.status == b.status and _scores(a) == _scores(b)


def _scores(record: Record) -> dict[str, float]:
    """Every number of a record that is no time: scores, their n, groups and chance levels, by what they are of."""
    found: dict[str, float] = {}
    for score in record.scores:
        found[f"{score.metric} of {score.category}"] = score.value
        found[f"n of {score.metric} of {score.category}"] = score.n
    for group in record.groups:
        found[f"{group.metric} of {group.category}, {group.by} {group.bin}"] = group.value
    for level in record.chance:
        found[f"chance ({level.name}) of {level.metric} of {level.category}"] = level.value
    return found


def _relative(a: float, b: float, tolerance: float | None = None) -> float:
    """Difference in units of the tolerance, else of the larger of the two; infinite where one is no number."""
    if math.isnan(a) or math.isnan(b):
        return math.inf
    return 0.0 if a == b else abs(a - b) / (tolerance or max(abs(a), abs(b)))


def _samples(a: Entry, b: Entry) -> tuple[int, int, Largest | None, bool | None]:
    """Samples that differ, of how many, the largest difference, and whether all are within the tolerances."""
    assert a.sidecar is not None and b.sidecar is not None
    tolerances = {m.value: m.tolerance for m in a.record.metrics if m.tolerance is not None}
    mine = {_key(s): s for s in iter_samples(a.sidecar, max_bytes=None)}
    seen, count, within = 0, 0, True
    worst: tuple[float, Largest] | None = None
    for right in iter_samples(b.sidecar, max_bytes=None):
        left = mine.get(_key(right))
        if left is None:
            continue
        seen += 1
        moved = list(_moved(_lasting(left), _lasting(right), tolerances, right["id"]))
        count += bool(moved)
        for size, tolerated, largest in moved:
            within = within and tolerated
            worst = max(worst, (size, largest), key=lambda item: item[0]) if worst else (size, largest)
    lost = len(mine) - seen
    return count + lost, len(mine), worst[1] if worst else None, (within and not lost) if tolerances else None


def _moved(
    left: Mapping[str, Any], right: Mapping[str, Any], tolerances: Mapping[str, float], name: str
) -> list[tuple[float, bool, Largest]]:
    """(size, within tolerance, difference) of every number of a sample that is not the same in both."""
    found = []
    for change in differences(left, right):
        key = change.field.rpartition(".")[2]
        for a, b in _numbers(change.a, change.b):
            tolerance = tolerances.get(key)
            size = _relative(a, b, tolerance)
            what = plain_text(f"{change.field} of {name}", 200)
            found.append((size, tolerance is not None and abs(a - b) <= tolerance, Largest(what, a, b)))
    return found


def _numbers(a: Any, b: Any) -> list[tuple[float, float]]:
    """Pairs of numbers that differ in two values or lists; NaN stands for what is no number."""
    mine, other = (v if isinstance(v, list) else [v] for v in (a, b))
    if len(mine) != len(other):
        return [(math.nan, math.nan)]
    return [(_number(x), _number(y)) for x, y in zip(mine, other, strict=True) if x != y]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _key(sample: Mapping[str, Any]) -> tuple[str, str]:
    return str(sample.get("category")), sample["id"]


def _lasting(sample: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in sample.items() if not k.endswith(TIMES)}
