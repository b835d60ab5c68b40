"""Validation of where a record comes from: the weights that were loaded, the code, the time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from bench3d import __version__
from bench3d.contracts import BackboneRegistration
from bench3d.leaderboard.validate_case import AGAIN, Case, Measurement, registered, shown
from bench3d.records import Record

_PARAMETERS = 0.03
"""How far the number of parameters may lie off the registered one: heads and position tables differ a little."""


def check_origin(case: Case, strict: bool) -> None:
    """Weights against the measurement and the registration, commit, version, time."""
    if case.record is None or case.measurement is None:
        return
    _objects(case, case.measurement)
    _backbone(case, case.record, case.measurement, strict)
    _origin(case, case.record)


def _objects(case: Case, m: Measurement) -> None:
    """No part is an object of somebody's process (see `bench3d.api`), which nobody else has."""
    parts = {"backbone": m.backbone, "adapter": m.adapter, "shape_model": m.shape_model, "task": m.task}
    for role, part in parts.items():
        if part is not None and part.name.startswith("object:"):
            case.say(
                "error",
                "origin",
                f"{part.name} is an object of somebody's process: nobody else can make it.",
                field=f"identity.measurement.{role}.name",
                step="Make a package of it: bench3d plugin new.",
            )


def _backbone(case: Case, record: Record, m: Measurement, strict: bool) -> None:
    """The weights are those that the backbone registers, and those that were loaded."""
    weights, loaded = m.backbone.weights, record.provenance.weights
    if isinstance(weights, Mapping):
        away = sorted(k for k, v in weights.items() if k in loaded and loaded[k] != v and k != "sha256")
        if "sha256" in weights and loaded.get("sha256", weights["sha256"]) != weights["sha256"]:
            away.append("sha256")
        if away:
            case.say(
                "error",
                "weights",
                f"The weights that were loaded are not those of the measurement: {shown(away)}.",
                field="provenance.weights",
                step=AGAIN,
            )
    known = registered("backbone", m.backbone.name)
    if not isinstance(known, BackboneRegistration):
        case.unchecked(strict, f"The backbone {m.backbone.name} is not installed here: its weights are not checked.")
        return
    if known.weights is None and weights is not None and not known.name.endswith(":"):
        case.say(
            "error",
            "weights",
            f"{known.name} has no weights.",
            field="identity.measurement.backbone.weights",
            step=AGAIN,
        )
    if known.weights is not None and weights is None:
        case.say(
            "error",
            "weights",
            f"{known.name} needs weights, and the measurement names none.",
            field="identity.measurement.backbone.weights",
            step=AGAIN,
        )
    if isinstance(weights, Mapping) and "id" in weights and known.weights is not None:
        _published(case, m, known, weights)
    counted = record.cost.parameters
    if known.params and counted is not None and _another_size(counted, known.params, m.adapter is not None):
        sentence = (
            f"{known.name} has {known.params / 1e6:.1f} million parameters, this record {counted / 1e6:.1f} million."
        )
        case.say("warning", "weights", sentence, field="cost.parameters", step="Say which model it is.")


def _another_size(counted: int, registered: int, adapted: bool) -> bool:
    """An adapter's own parameters may count among the backbone's."""
    return counted < (1 - _PARAMETERS) * registered or (not adapted and counted > (1 + _PARAMETERS) * registered)


def _published(case: Case, m: Measurement, known: BackboneRegistration, weights: Mapping[str, Any]) -> None:
    assert known.weights is not None
    variant = m.backbone.name[len(known.name) :]
    facts = {k: getattr(known.weights, k) for k in ("source", "revision", "sha256") if getattr(known.weights, k)}
    facts["id"] = known.weights.id.replace("{variant}", variant)
    away = sorted(k for k, v in facts.items() if weights.get(k) != v)
    if away and known.result_version == m.backbone.result_version:
        case.say(
            "error",
            "weights",
            f"These are not the weights that {known.name} registers: {shown(away)}.",
            field="identity.measurement.backbone.weights",
            step="Give a file of your own by --weights PATH.",
        )


def _origin(case: Case, record: Record) -> None:
    origin = record.provenance
    if origin.commit is None:
        case.say(
            "note",
            "origin",
            "The commit is unknown: bench3d was installed, not run from its source.",
            field="provenance.commit",
        )
    elif origin.commit.endswith("-dirty"):
        case.say(
            "warning",
            "origin",
            "The source tree was changed (dirty): nobody else has this code.",
            field="provenance.commit",
            step="Commit, publish the commit, and run again.",
        )
    elif not re.fullmatch(r"[0-9a-f]{40}", origin.commit):
        case.say("error", "origin", "The commit is no commit.", field="provenance.commit", step=AGAIN)
    numbers = [_version(origin.bench3d), _version(__version__)]
    if not numbers[0]:
        case.say(
            "error", "origin", f"{origin.bench3d!r} is no version of bench3d.", field="provenance.bench3d", step=AGAIN
        )
    elif numbers[0] > numbers[1]:
        case.say(
            "warning",
            "origin",
            f"bench3d {origin.bench3d} is newer than the one here, {__version__}.",
            field="provenance.bench3d",
            step="Validate with that version.",
        )
    try:
        begun = datetime.fromisoformat(origin.time.replace("Z", "+00:00"))
        late = (begun if begun.tzinfo else begun.replace(tzinfo=timezone.utc)) > datetime.now(timezone.utc) + timedelta(
            days=1
        )
    except ValueError:
        case.say("error", "origin", "The time is no ISO 8601 time.", field="provenance.time", step=AGAIN)
        return
    if late:
        case.say("warning", "origin", "It was made in the future.", field="provenance.time", step="Set the clock.")


def _version(text: str) -> tuple[int, ...]:
    found = re.match(r"(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()
