"""Validation of a record beside the others: copies, other data or weights of one name, scores too good to be true."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench3d.errors import DataError
from bench3d.leaderboard.reported import reported_rows
from bench3d.leaderboard.safety import read_untrusted
from bench3d.leaderboard.validate_case import Case, Measurement, different, read_measurement, shown
from bench3d.leaderboard.validate_files import MAX_UNPACKED_BYTES
from bench3d.records import ChanceLevel, Record, canonical_json, iter_samples, sidecar_of
from bench3d.records.store import RECORD

POINTS = 10.0
"""A percentage that is better by more than so many points than every other row is looked at."""
FACTOR = 1.5
"""And so is any other measure that is better by this factor."""
MOST = 0.5
"""A share of samples: more of them without any error is looked at."""
_FEW_ROWS, _FEW_SAMPLES = 3, 20
_CHANCE_TOLERANCE = 0.25
"""Relative: chance of a correspondence depends a little on the cells that a backbone is searched in."""
_LOOK = "A maintainer looks at it before it is merged: say in the pull request what explains it."


@dataclass(frozen=True)
class Other:
    """A record that the leaderboard has, or that is validated in the same call."""

    folder: Path
    record: Record
    measurement: Measurement


@dataclass
class Known:
    """All of them."""

    others: list[Other] = field(default_factory=list)

    @classmethod
    def of(cls, folders: Iterable[Path]) -> Known:
        """The records of the folders; one that is broken is left out: its own validation says so."""
        found = cls()
        for folder in dict.fromkeys(f.resolve() for f in folders):
            try:
                record = read_untrusted(folder / RECORD)
            except DataError:
                continue
            measurement = read_measurement(record.identity.measurement)
            if not isinstance(measurement, str) and record.status == "finished":
                found.others.append(Other(folder, record, measurement))
        return found

    def beside(self, case: Case) -> Iterator[Other]:
        """All but the case itself."""
        mine = case.folder.resolve()
        return (other for other in self.others if other.folder != mine)


def check_known(case: Case, known: Known) -> None:
    """Compares a case with all others."""
    record, measured = case.record, case.measurement
    if record is None or measured is None or record.status != "finished":
        return
    for other in known.beside(case):
        _copies(case, record, measured, other)
        _same_names(case, record, measured, other)
    rows = [o for o in known.beside(case) if _one_table(measured, o.measurement)]
    for other in rows:
        _same_table(case, record, measured, other)
        if any(f.check == "too good" for f in case.findings):
            break
    if not record.marks.synthetic_data and not measured.dataset.synthetic:
        _too_good(case, record, measured, [o.record for o in rows])
    _no_error(case)


def _copies(case: Case, record: Record, measured: Measurement, other: Other) -> None:
    name = f"{other.folder.parent.name}/{other.folder.name}"
    if other.record.identity.hash == record.identity.hash:
        same = "the same scores" if _headline(other.record) == _headline(record) else "other scores"
        case.say(
            "error",
            "duplicate",
            f"{name} is the same measurement, with {same}.",
            field="identity.hash",
            step="Submit each measurement once.",
        )
        return
    if case.sha256 and other.record.samples_sha256 == case.sha256:
        sentence = f"Its samples are, to the byte and to the millisecond, those of {name}: copied results."
        case.say("error", "duplicate", sentence, field="samples_sha256", step="Submit samples of this measurement.")
    elif case.samples and _headline(other.record) == _headline(record) and other.record.samples == record.samples:
        if values_digest(case.samples) != _digest_of(other.folder):
            return
        models = different(_model(measured), _model(other.measurement))
        sentence = f"Every sample has the value that it has in {name}"
        if models:
            case.say(
                "error", "duplicate", f"{sentence}, which is another model: copied results.", field="scores", step=_LOOK
            )
        else:
            case.say(
                "warning",
                "duplicate",
                f"{sentence}: what differs changes nothing.",
                field="scores",
                step="Submit one of them.",
            )


def values_digest(samples: Sequence[Mapping[str, Any]]) -> str:
    """Of everything that was measured: all samples in order of their names, without the times."""
    digest = hashlib.sha256()
    for sample in sorted(samples, key=lambda s: (str(s.get("category")), str(s["id"]))):
        digest.update(canonical_json({k: v for k, v in sample.items() if not k.endswith("_ms")}).encode())
    return digest.hexdigest()


@functools.lru_cache(maxsize=1024)
def _digest_of(folder: Path) -> str | None:
    sidecar = sidecar_of(folder)
    try:
        return (
            None
            if sidecar is None
            else values_digest(list(iter_samples(sidecar, max_bytes=MAX_UNPACKED_BYTES, links=False)))
        )
    except DataError:
        return None


def _same_names(case: Case, record: Record, measured: Measurement, other: Other) -> None:
    """One name of data or weights stands for one content."""
    theirs, name = other.measurement, f"{other.folder.parent.name}/{other.folder.name}"
    data, known = measured.dataset, theirs.dataset
    if (
        data.name == known.name
        and not data.synthetic
        and not known.synthetic
        and not different(data.settings, known.settings)
    ):
        away = [c for c, f in data.fingerprints.items() if known.fingerprints.get(c, f) != f]
        if away:
            sentence = f"{data.name} is another than in {name} ({shown(away)}): its files differ."
            case.say(
                "warning",
                "data",
                sentence,
                field="identity.measurement.dataset.fingerprints",
                step="bench3d data check says what is wrong with a copy.",
            )
    if (
        not different(measured.backbone.weights, theirs.backbone.weights)
        and measured.backbone.name == theirs.backbone.name
    ):
        a, b = record.provenance.weights.get("digest"), other.record.provenance.weights.get("digest")
        if a is not None and b is not None and a != b and measured.backbone.weights != "random":
            sentence = f"The weights that were loaded are not those of {name}, which names the same ones."
            case.say(
                "warning",
                "weights",
                sentence,
                field="provenance.weights.digest",
                step="Load them again from their source.",
            )


def _same_table(case: Case, record: Record, measured: Measurement, other: Other) -> None:
    """Rows of one table are of the same samples and have the same chance."""
    name = f"{other.folder.parent.name}/{other.folder.name}"
    if set(measured.categories) != set(other.measurement.categories):
        return
    if record.samples != other.record.samples:
        sentence = f"It has {record.samples} samples, and {name} on the same data {other.record.samples}."
        case.say("warning", "samples", sentence, field="samples", step="Evaluate all samples: none may be left out.")
        return
    if different(
        measured.shape_model and measured.shape_model.name,
        other.measurement.shape_model and other.measurement.shape_model.name,
    ):
        return  # chance may be drawn from what a shape model was trained on
    theirs = {_chance_name(c): c.value for c in other.record.chance}
    for level in record.chance:
        known = theirs.get(_chance_name(level), level.value)
        if abs(known - level.value) > _CHANCE_TOLERANCE * max(abs(known), 1.0):
            sentence = f"Chance is {level.value:.4g} here and {known:.4g} in {name}, on the same samples."
            case.say("warning", "too good", sentence, field=f"chance: {' / '.join(_chance_name(level))}", step=_LOOK)
            return


def _too_good(case: Case, record: Record, measured: Measurement, rows: Sequence[Record]) -> None:
    for score in record.scores:
        if score.metric != record.headline:
            continue
        found = [s.value for r in rows if (s := r.score(score.metric, score.category)) is not None]
        protocol = measured.protocol.name if measured.protocol else ""
        for row in reported_rows(measured.task.name, protocol, [score.metric], measured.categories):
            value = row.values.get(score.metric, {}).get(score.category)
            found += [] if value is None else [value]
        if len(found) >= _FEW_ROWS and _far(score.value, found, score.higher_is_better, score.unit):
            best = max(found) if score.higher_is_better else min(found)
            sentence = (
                f"Too good, look at it: {score.value:.4g} {score.unit}, and the best of {len(found)} reported and "
                f"measured rows has {best:.4g}."
            )
            case.say("warning", "too good", sentence, field=f"scores: {score.metric} / {score.category}", step=_LOOK)
            return


def _far(value: float, others: Sequence[float], higher: bool, unit: str) -> bool:
    if higher:
        return value > max(others) + POINTS if unit == "%" else value > FACTOR * max(others)
    return value * FACTOR < min(others)


def _no_error(case: Case) -> None:
    """Most samples without any error at all, to the last digit."""
    if case.record is None or case.samples is None:
        return
    errors = dict.fromkeys(
        m.value
        for m in case.record.metrics
        if m.reduce in ("fraction_below", "fraction_at_most") or not m.higher_is_better
    )
    for key in errors:
        values = [v for s in case.samples for v in _numbers(s, key)]
        nothing = sum(v == 0 for v in values)
        says_yes_or_no = set(values) <= {0, 1}
        if len(values) >= _FEW_SAMPLES and nothing > MOST * len(values) and not says_yes_or_no:
            sentence = f"Too good, look at it: {nothing} of {len(values)} values of {key} are exactly 0."
            case.say("warning", "too good", sentence, file=case.sidecar, field=key, step=_LOOK)


def _numbers(sample: Mapping[str, Any], key: str) -> list[float]:
    column = (sample.get("parts") or {}).get(key)
    values = [sample.get(key)] if column is None else column
    return [v for v in values if isinstance(v, (int, float))]


def _one_table(a: Measurement, b: Measurement) -> bool:
    """Whether two runs may be compared: as `bench3d.leaderboard.grouping` groups them."""
    same = all(not different(x, y) for x, y in zip(_table(a), _table(b), strict=True))
    data = a.dataset.fingerprints
    return same and all(data.get(c, f) == f for c, f in b.dataset.fingerprints.items())


def _table(m: Measurement) -> tuple[Any, ...]:
    protocol = None if m.protocol is None else m.protocol.model_dump()
    return m.task.model_dump(), protocol, m.dataset.model_dump(exclude={"fingerprints"}), m.limit


def _model(m: Measurement) -> list[Any]:
    return [None if part is None else part.name for part in (m.backbone, m.adapter, m.shape_model)] + [
        m.backbone.weights
    ]


def _headline(record: Record) -> dict[str, float]:
    return {s.category: round(s.value, 9) for s in record.scores if s.metric == record.headline}


def _chance_name(level: ChanceLevel) -> tuple[str, str, str]:
    return level.metric, level.name, level.category
