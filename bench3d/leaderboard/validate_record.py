"""Validation of a record against itself and the registry: texts, name, marks, seeds, data, fits, protocol."""

from __future__ import annotations

import re

from bench3d.contracts import ShapeModelRegistration, TaskRegistration
from bench3d.leaderboard.safety import unsafe_strings
from bench3d.leaderboard.validate_case import AGAIN, Case, Measurement, different, read_measurement, registered, shown
from bench3d.plugins import oracles_of
from bench3d.records import Record, short
from bench3d.runner.jobs import file_name


def check_record(case: Case, strict: bool) -> None:
    """Everything that can be said without the samples. `strict` makes what could not be checked an error."""
    record = case.record
    assert record is not None
    for field, why in unsafe_strings(record):
        case.say(
            "error", "texts", f"It holds {why}.", field=field, step="Rename it and run again: no record needs that."
        )
    if record.status != "finished":
        case.say("error", "status", f"The run is {record.status}, not finished.", field="status", step="Let it finish.")
    measured = read_measurement(record.identity.measurement)
    if isinstance(measured, str):
        case.say(
            "error", "identity", f"The measurement is malformed, {measured}.", field="identity.measurement", step=AGAIN
        )
        return
    case.measurement = measured
    _name(case, record, measured)
    _marks(case, record, measured)
    _data(case, record, measured)
    _fits(case, record, measured)
    _task(case, record, measured, strict)


def expected_label(m: Measurement) -> re.Pattern[str]:
    """What `bench3d run` calls a run of this measurement. A given checkpoint adds a name that no measurement holds."""
    parts = [re.escape(file_name(m.backbone.name))]
    if m.adapter is not None:
        given = r"-.+" if m.adapter.checkpoint is not None else ""
        parts.append(re.escape(file_name(m.adapter.name)) + given)
    parts += [re.escape(file_name(c.name)) for c in (m.shape_model, m.protocol) if c is not None]
    return re.compile("-".join(parts))


def _name(case: Case, record: Record, m: Measurement) -> None:
    if expected_label(m).fullmatch(record.label) is None:
        case.say(
            "error",
            "identity",
            f"The label {record.label!r} is not that of what was measured.",
            field="label",
            step=AGAIN,
        )
    folder = f"{file_name(record.label)}-{short(record.identity.hash)}"
    if case.committed and (case.folder.name != folder or case.folder.resolve().parent.name != m.task.name):
        place = f"{case.folder.resolve().parent.name}/{case.folder.name}"
        sentence = f"It stands in {place} and belongs in {m.task.name}/{folder}."
        case.say("error", "name", sentence, file=case.folder, step="bench3d leaderboard submit puts it there.")


def _marks(case: Case, record: Record, m: Measurement) -> None:
    marks = record.marks
    for field, marked, measured in (
        ("synthetic_data", marks.synthetic_data, m.dataset.synthetic),
        ("random_weights", marks.random_weights, m.backbone.weights == "random"),
    ):
        if measured and not marked:
            case.say(
                "error",
                "marks",
                f"The measurement says {field.replace('_', ' ')} and the mark does not.",
                field=f"marks.{field}",
                step=AGAIN,
            )
        if marked or measured:
            case.say(
                "note",
                "marks",
                f"It is of {field.replace('_', ' ')}: it takes part in no rank beside real ones.",
                field=f"marks.{field}",
            )
    if marks.limited != m.limit:
        case.say(
            "error",
            "marks",
            f"It is marked as limited to {marks.limited}, measured with {m.limit}.",
            field="marks.limited",
            step=AGAIN,
        )
    elif m.limit is not None:
        case.say(
            "note",
            "marks",
            f"At most {m.limit} samples per category: it stands in a table of its own.",
            field="marks.limited",
        )
    for field, seed in (
        ("provenance.seed", record.provenance.seed),
        ("bootstrap.seed", record.bootstrap and record.bootstrap.seed),
    ):
        if seed is not None and seed != m.seed:
            case.say(
                "error",
                "identity",
                f"It is seed {seed} here and seed {m.seed} in the measurement.",
                field=field,
                step=AGAIN,
            )


def _data(case: Case, record: Record, m: Measurement) -> None:
    expected = {f"{m.dataset.name}/{c}": f for c, f in m.dataset.fingerprints.items()}
    if record.provenance.data != expected:
        sentence = "The fingerprints of the data are not those of the measurement."
        case.say("error", "data", sentence, field="provenance.data", step=AGAIN)
    if set(m.categories) != set(m.dataset.fingerprints):
        lacking = sorted(set(m.categories) ^ set(m.dataset.fingerprints))
        case.say(
            "error",
            "data",
            f"Categories and fingerprints differ in {shown(lacking)}.",
            field="identity.measurement.categories",
            step=AGAIN,
        )
    scored = {s.category for s in record.scores if s.metric == record.headline} - {"mean"}
    if record.scores and scored != set(m.categories):
        away = sorted(set(m.categories) ^ scored)
        case.say(
            "warning",
            "data",
            f"The headline has no score, or one too many, for {shown(away)}.",
            field="scores",
            step="Look at the samples of these categories.",
        )


def _fits(case: Case, record: Record, m: Measurement) -> None:
    """The artifacts that were used are those of the recipes in the identity."""
    used = {f"{f.component}/{f.category or 'all'}": f.recipe for f in record.fits}
    if used != m.fits:
        away = sorted(k for k in {*used, *m.fits} if used.get(k) != m.fits.get(k))
        case.say(
            "error",
            "fits",
            f"The fits that were used are not those of the measurement: {shown(away)}.",
            field="fits",
            step=AGAIN,
        )
    known = {c.name for c in (m.adapter, m.shape_model) if c is not None}
    strange = sorted({name.partition("/")[0] for name in m.fits} - known)
    if strange:
        case.say(
            "error",
            "fits",
            f"Fits of {shown(strange)}, which is not part of the run.",
            field="identity.measurement.fits",
            step=AGAIN,
        )


def _task(case: Case, record: Record, m: Measurement, strict: bool) -> None:
    """Protocol, oracles, headline and data set are those that the installed task registers."""
    task = registered("task", m.task.name)
    if not isinstance(task, TaskRegistration):
        case.unchecked(strict, f"The task {m.task.name} is not installed here: not checked.")
        return
    if task.headline != record.headline:
        case.say("error", "protocol", f"The headline of {task.name} is {task.headline}.", field="headline", step=AGAIN)
    if m.dataset.name != task.dataset and task.accepts is None:
        case.say(
            "error",
            "protocol",
            f"{task.name} runs on {task.dataset}, not on {m.dataset.name}.",
            field="identity.measurement.dataset.name",
            step=AGAIN,
        )
    if m.protocol is None:
        if task.protocols:
            case.say(
                "error",
                "protocol",
                f"{task.name} has protocols, and this record names none.",
                field="identity.measurement.protocol",
                step=AGAIN,
            )
        return
    protocol = next((p for p in task.protocols if p.name == m.protocol.name), None)
    if protocol is None or protocol.version != m.protocol.version:
        case.unchecked(
            strict,
            f"The protocol {m.protocol.name} in version {m.protocol.version} is not installed here: not checked.",
        )
        return
    shape = None if m.shape_model is None else registered("shape-model", m.shape_model.name)
    given = oracles_of(protocol, shape if isinstance(shape, ShapeModelRegistration) else None)
    if sorted(record.oracles) != sorted(given):
        sentence = f"Under the protocol {protocol.name} this model is given: {', '.join(given) or 'nothing'}."
        case.say("error", "protocol", sentence, field="oracles", step=AGAIN)
    changed = sorted(k for k, v in protocol.settings.items() if different(m.task.settings.get(k), v))
    if changed:
        case.say(
            "note",
            "protocol",
            f"Settings of the protocol were changed: {shown(changed)}. It stands in a table of its own.",
            field="identity.measurement.task.settings",
        )
