"""From a record back to the run that made it: the spec that has its identity, and the command that a person types.

What was measured is taken from the identity's measurement. What that holds only as a hash (the spec of a synthetic
twin, the settings of training data, files of weights) comes from the provenance, and counts only where the hash agrees.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bench3d.errors import Bench3DError, CapabilityError, DataError, UsageError
from bench3d.records import Record, canonical_json
from bench3d.runner.memo import planning_session
from bench3d.runner.plan import RunPlan, plan_run
from bench3d.runner.respec_data import data_scope
from bench3d.runner.respec_files import checkpoint_of, weights_of
from bench3d.runner.respec_settings import KINDS, changed, component, least_changed, part
from bench3d.runner.spec import RunSpec

__all__ = ["NotRepeatable", "command_of", "first_difference", "plan_of", "spec_of"]


class NotRepeatable(DataError):
    """The run of a record cannot be made again on this machine; the message names the first thing that differs."""


def spec_of(
    record: Record,
    *,
    results: Path,
    data: Path | None = None,
    device: str = "auto",
    offline: bool = False,
    weights: Path | None = None,
    checkpoint: str | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> RunSpec:
    """The spec whose plan has the record's identity. Loads no weights and writes nothing.

    Args:
        record: of any status.
        results, data, device, offline: as in `RunSpec`.
        weights, checkpoint: the file of the backbone's weights and the adapter's checkpoint, where the record was made
            with such files and they are not where its command says.
        settings: further ones, by scope: where files of this machine lie, such as {"data": {"list_file": ...}}.

    Raises:
        NotRepeatable: a plugin is missing, or identities differ; says in which field first.
        DataError, WeightsError: data, weights or a checkpoint are not there.
    """
    return plan_of(
        record,
        results=results,
        data=data,
        device=device,
        offline=offline,
        weights=weights,
        checkpoint=checkpoint,
        settings=settings,
    ).spec


def plan_of(record: Record, *, results: Path, **given: Any) -> RunPlan:
    """The plan of `spec_of`, with the same arguments and errors."""
    with planning_session():
        try:
            spec = _rebuilt(record, results=results, **given)
            plan = plan_run(spec)
        except (UsageError, CapabilityError) as error:  # not of the user: a plugin is missing, or another version
            raise NotRepeatable(f"The run cannot be made again here: {error.message}", error.hint) from error
        if plan.problem is not None:
            raise _missing(record, plan)
        if plan.identity != record.identity.hash:
            raise NotRepeatable(*_why(record, plan.measurement))
    return plan


def command_of(record: Record) -> str:
    """The `bench3d run ...` line that makes the run again, quoted for a shell, without what does not change a number.

    Files of weights and checkpoints appear as WEIGHTS and CHECKPOINT, and the data root is left to its default. Where
    a plugin is not installed all its settings are written out. Never raises for a record that was validated.
    """
    try:
        spec = _rebuilt(record, results=Path(), lenient=True)
    except Bench3DError:
        return ""
    words = ["bench3d", "run", "--backbone", spec.backbone]
    if spec.adapter == "none" and spec.shape_model != "none":
        words += ["--adapter", spec.shape_model]
    else:
        words += ["--adapter", spec.adapter] if spec.adapter != "none" else []
        words += ["--shape-model", spec.shape_model] if spec.shape_model != "none" else []
    words += ["--task", str(spec.task)]
    words += ["--protocol", spec.protocol] if spec.protocol is not None else []
    words += ["--weights", spec.weights] if spec.weights != "pretrained" else []
    words += ["--synthetic"] if spec.synthetic else []
    words += [word for category in spec.categories for word in ("--category", category)]
    words += ["--limit", str(spec.limit)] if spec.limit is not None else []
    words += ["--seed", str(spec.seed)] if spec.seed else []
    words += ["--layer", spec.layer] if spec.layer is not None else []
    for scope, values in spec.settings.items():
        words += [
            w
            for key, value in values.items()
            for w in ("--set", f"{scope}.{key}={value if isinstance(value, str) else _setting_text(value)}")
        ]
    return " ".join(shlex.quote(word) for word in words)


def first_difference(ours: Any, theirs: Any, where: str = "") -> tuple[str, Any, Any] | None:
    """(field, our value, their value) of the first field in which two measurements differ; `MISSING` for no value."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in [*theirs, *(k for k in ours if k not in theirs)]:
            inside = f"{where}.{key}" if where else str(key)
            found = first_difference(ours.get(key, MISSING), theirs.get(key, MISSING), inside)
            if found is not None:
                return found
        return None
    if ours is not MISSING and theirs is not MISSING and canonical_json(ours) == canonical_json(theirs):
        return None
    return where, ours, theirs


MISSING = object()
IN, HERE = "in the record", "here"


def _rebuilt(
    record: Record,
    *,
    results: Path,
    data: Path | None = None,
    device: str = "auto",
    offline: bool = False,
    weights: Path | None = None,
    checkpoint: str | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    lenient: bool = False,
) -> RunSpec:
    """The spec, its identity not yet compared. `lenient` writes placeholders for files and settings out in full."""
    measured = record.identity.measurement
    parts = {kind: values for kind, values in ((k, part(measured, k)) for k in KINDS) if values is not None}
    if not {"backbone", "task"} <= parts.keys():
        raise NotRepeatable("The record's measurement names no backbone or no task.")
    synthetic = (part(measured, "dataset") or {}).get("synthetic") is True
    found = {kind: component(kind, values, lenient) for kind, values in parts.items()}
    protocol_name, protocol = _protocol(measured, found["task"])
    scopes: dict[str, dict[str, Any]] = {}
    wanted: dict[str, Any] = dict(protocol.backbone) if protocol is not None else {}
    for kind, scope in (("adapter", "adapter"), ("shape_model", "shape")):
        if kind in parts:
            scopes[scope], wishes = least_changed(found[kind], parts[kind], synthetic, record.provenance.preset)
            wanted |= wishes if kind == "shape_model" else {}
    scopes["backbone"] = changed(found["backbone"], parts["backbone"], wanted=wanted)
    scopes["task"] = changed(found["task"], parts["task"], overrides=protocol.settings if protocol else None)
    categories, scopes["data"] = data_scope(record, found, data, lenient)
    for scope, values in (settings or {}).items():
        scopes[scope] = {**scopes.get(scope, {}), **values}
    return RunSpec(
        backbone=parts["backbone"]["name"],
        task=parts["task"]["name"],
        adapter=checkpoint_of(record, results, checkpoint, lenient) if "adapter" in parts else "none",
        shape_model=parts["shape_model"]["name"] if "shape_model" in parts else "none",
        weights=weights_of(record, weights, lenient),
        protocol=protocol_name,
        categories=categories,
        limit=_whole(measured.get("limit")),
        seed=_whole(measured.get("seed")) or 0,
        device=device,
        data=data,
        synthetic=synthetic,
        results=results,
        settings={scope: _as_set(values) for scope, values in scopes.items() if values},
        offline=offline,
        layer="auto" if "layer_choice" in measured else None,
    )


def _protocol(measured: Mapping[str, Any], task: Any) -> tuple[str | None, Any]:
    """The protocol's name, None where it is the task's first, and what the task says of it."""
    values = measured.get("protocol")
    if not isinstance(values, Mapping):
        return None, None
    name = str(values.get("name"))
    known = {p.name: p for p in task.protocols} if task is not None else {}
    return (None if name in list(known)[:1] else name), known.get(name)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _as_set(values: Mapping[str, Any]) -> dict[str, Any]:
    """Texts as they have to be typed, so that they are not read as something else (a text "007", "no" or "null")."""
    names = ("preset", "twin")  # which are never read as YAML
    return {k: _setting_text(v) if isinstance(v, str) and k not in names else v for k, v in values.items()}


def _setting_text(value: Any) -> str:
    """A value as `--set` reads it: YAML on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1 << 20, allow_unicode=True)
    return text.strip().removesuffix("...").strip()


def _missing(record: Record, plan: RunPlan) -> Bench3DError:
    """What is missing; where the record was made on another layout than the task's own, that one is to be given."""
    assert plan.problem is not None
    name = (part(record.identity.measurement, "dataset") or {}).get("name")
    if plan.resolved.test is None or plan.resolved.test.component.name == name:
        return plan.problem
    return DataError(f"The record was made on {name}, which is not here.", "Give its folder with --data DIR.")


def _why(record: Record, ours: Mapping[str, Any]) -> tuple[str, str | None]:
    """A sentence about the first difference, and what to do about it."""
    found = first_difference(ours, record.identity.measurement)
    if found is None:
        return "The identity differs, although no field does.", None
    field, here, there = found
    said = [
        f"is not {where}" if v is MISSING else f"is {_shown(v)} {where}" for v, where in ((there, IN), (here, HERE))
    ]
    message = f"The run cannot be made again here: {field} {said[0]} and {said[1]}."
    if field.startswith("dataset.name"):
        return message, "Give the record's data set with --data."
    if field.startswith("dataset.fingerprints"):
        return (
            message,
            "These are other data, or another spec of the synthetic twin: give --data, or --set data.KEY=VALUE.",
        )
    if field.startswith("fits."):
        return message, "The fit's training data differ: give --data, or --set data.KEY=VALUE."
    if field.endswith("result_version"):
        return message, "The plugin's outputs have changed since: use the version that made the record."
    if MISSING in (here, there):
        return message, f"It was made with another version: bench3d {_shown(record.provenance.bench3d)}."
    return message, None


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    text = "".join(c for c in text if c.isprintable())
    return text if len(text) <= 60 else text[:12] + "…" + text[-12:] if " " in text else text[:12] + "…"
