"""Which records a target counts: those whose measurement is that of a run of its grid, on the data that it wants."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench3d.grid.expand import expand
from bench3d.grid.files import read_grid
from bench3d.grid.model import Cell
from bench3d.leaderboard.entries import Entry
from bench3d.leaderboard.targets import Block, Target
from bench3d.records import Record, canonical_json, identity_hash, identity_settings, short
from bench3d.runner.resolve import Resolved, resolve_spec
from bench3d.runner.spec import RunSpec

PARTS = ("backbone", "adapter", "shape_model", "task", "protocol", "dataset", "layer_choice")
FIELDS = ("backbone", "adapter", "shape_model", "task", "protocol")
TASK = FIELDS.index("task")
ANOTHER = "another "
UNKNOWN = "fit "
"""How the name of a model begins whose record does not say what it was trained on."""


@dataclass(frozen=True)
class Wanted:
    """A kind of run that a block of a target wants: one of its models, all categories.

    Attributes:
        parts: what of a measurement has to agree, as canonical JSON by part.
        names: of its components and protocol.
        training: settings of the data that its fits are trained on, by data set, without those that users give.
        model: the value of the target's `over`, "" where nothing tells models apart; `key` is the setting of the
            training data that holds it, "" where it is none.
        categories: what a run has to cover whose own mean is taken; empty where its categories are.
    """

    parts: Mapping[str, str]
    names: tuple[str | None, ...]
    training: Mapping[str, Mapping[str, Any]]
    model: str
    key: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Counted:
    """A record that counts, and which model of the target it is."""

    entry: Entry
    model: str

    @property
    def record(self) -> Record:
        """The record."""
        return self.entry.record

    @property
    def named(self) -> bool:
        """Whether the record says which model it is."""
        return not self.model.startswith(UNKNOWN)


@dataclass
class Selection:
    """What a target found among the entries.

    Attributes:
        counted: (place of the block, task) -> what counts.
        apart: the same of runs on synthetic data, with random weights or a limit, by their components' names alone.
        models: (place of the block, task) -> the models that are wanted.
        left_out: why records of the same components do not count -> how many.
    """

    counted: dict[tuple[int, str], list[Counted]] = field(default_factory=dict)
    apart: dict[tuple[int, str], list[Counted]] = field(default_factory=dict)
    models: dict[tuple[int, str], tuple[str, ...]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def select(target: Target, entries: Sequence[Entry]) -> Selection:
    """Sorts entries by block and task. Blocks without runs get nothing."""
    found = Selection()
    counts: set[str] = set()
    reasons: dict[str, str] = {}
    for place, block in enumerate(target.blocks):
        wanted = wanted_runs(target, block) if block.runs else []
        for one in wanted:
            key = (place, str(one.names[TASK]))
            found.models[key] = tuple(dict.fromkeys((*found.models.get(key, ()), one.model)))
        for entry in entries:
            reason, model = judge(entry.record, wanted)
            if reason is None:
                continue
            key = (place, str(_part(entry.record, "task").get("name")))
            if reason == "":
                found.counted.setdefault(key, []).append(Counted(entry, model))
                counts.add(entry.record.identity.hash)
            elif is_apart(entry.record):
                found.apart.setdefault(key, []).append(Counted(entry, model))
            if reason:
                before = reasons.get(entry.record.identity.hash, "")
                reasons[entry.record.identity.hash] = max(before, reason, key=_nearness)
    found.left_out.update(reason for identity, reason in reasons.items() if identity not in counts)
    return found


def wanted_runs(target: Target, block: Block) -> list[Wanted]:
    """The cells of the target's grid that a block names; those that differ in their category only are one."""
    scope, _, key = target.over.partition(".")
    given = {n.setting.partition(".")[2] for n in target.needs if n.setting} | {key if scope == "data" else ""}
    found: dict[str, Wanted] = {}
    for cell in _grid_cells(target.grid):
        if not all(_value(cell.spec, k) in values for k, values in block.runs.items()):
            continue
        model = str(cell.spec.settings.get(scope, {}).get(key, ""))
        wanted = _wanted(resolve_spec(cell.spec), model, given, key if scope == "data" else "", block.mean == "record")
        found.setdefault(canonical_json([model, dict(wanted.parts)]), wanted)
    return list(found.values())


def judge(record: Record, wanted: Sequence[Wanted]) -> tuple[str | None, str]:
    """Whether a record counts, and as which model.

    Returns:
        (None, "") for one of other components, ("", model) for one that counts, else (why not, model).
    """
    names = _names(record)
    alike = [w for w in wanted if w.names == names]
    if not alike:
        return None, ""
    reason = _marked(record)
    if reason:
        return reason, _model_of(record, alike[0])
    measured = {part: canonical_json(_part(record, part)) for part in PARTS}
    reasons = []
    for one in alike:
        differing = next((p for p in PARTS if measured[p] != one.parts[p]), None)
        if differing is not None:
            reasons.append(f"{ANOTHER}{differing.replace('_', ' ')} (its settings, version or weights)")
            continue
        if one.categories and record.identity.measurement.get("categories") != list(one.categories):
            reasons.append("other categories")
            continue
        reason, model = _trained(record, one)
        if not reason:
            return "", model
        reasons.append(reason)
    return max(reasons, key=_nearness), _model_of(record, alike[0])


def _nearness(reason: str) -> int:
    """How far a record came before it was left out: the best reason is told."""
    return 0 if not reason else 1 if reason.startswith(ANOTHER) else 2


def is_apart(record: Record) -> bool:
    """Whether a finished record is one that is never compared: synthetic data, random weights, limited."""
    marks = record.marks
    return record.status == "finished" and (marks.synthetic_data or marks.random_weights or marks.limited is not None)


def _marked(record: Record) -> str:
    if record.status != "finished":
        return "not finished"
    if record.marks.synthetic_data:
        return "synthetic data"
    if record.marks.random_weights:
        return "random weights"
    if record.marks.limited is not None or record.identity.measurement.get("limit") is not None:
        return "limited to a few samples"
    return ""


def _trained(record: Record, one: Wanted) -> tuple[str, str]:
    """Why the data that its fits were trained on are others, else "" and its model."""
    for name, settings in one.training.items():
        theirs = record.provenance.data_settings.get(name)
        if not isinstance(theirs, dict):  # a record of an older schema
            return "", _model_of(record, one)
        if any(theirs.get(key) != value for key, value in settings.items()):
            return "trained on other data", ""
        if one.key and str(theirs.get(one.key)) != one.model:
            return f"{one.key} that is none of the target's", ""
    return "", one.model


def _model_of(record: Record, one: Wanted) -> str:
    """A name for a model whose record does not say which it is: its fits."""
    recipes = [fit.recipe for fit in record.fits]
    return UNKNOWN + short(identity_hash({"fits": recipes})) if recipes else one.model


def _wanted(resolved: Resolved, model: str, given: set[str], key: str, whole: bool) -> Wanted:
    assert resolved.task is not None and resolved.test is not None
    protocol = resolved.protocol
    parts = {
        "backbone": resolved.backbone_identity(),
        "adapter": resolved.adapter_identity(),
        "shape_model": None if resolved.shape is None else resolved.shape.identity(),
        "task": resolved.task.identity(),
        "protocol": None if protocol is None else {"name": protocol.name, "version": protocol.version},
        "dataset": {**resolved.test.component.identity(), "synthetic": False},
        "layer_choice": {},
    }
    categories = resolved.categories if whole else ()
    training = {
        source.component.name: {k: v for k, v in identity_settings(source.component.settings).items() if k not in given}
        for source in resolved.train.values()
    }
    names = (
        resolved.backbone.name,
        None if resolved.adapter is None else resolved.adapter.name,
        None if resolved.shape is None else resolved.shape.name,
        resolved.task.name,
        None if protocol is None else protocol.name,
    )
    return Wanted({p: canonical_json(parts[p] or {}) for p in PARTS}, names, training, model, key, categories)


def _part(record: Record, part: str) -> dict[str, Any]:
    """A part of a measurement, without what follows from the data: records come from strangers."""
    value = record.identity.measurement.get(part)
    if not isinstance(value, dict):
        return {}
    return {k: v for k, v in value.items() if k != "fingerprints"} if part == "dataset" else value


def _names(record: Record) -> tuple[str | None, ...]:
    return tuple(_part(record, part).get("name") for part in FIELDS)


def _value(spec: RunSpec, key: str) -> str:
    """What a cell of a grid has under a condition's key."""
    if key in FIELDS:
        return str(getattr(spec, key))
    scope, _, name = key.partition(".")
    return str(spec.settings.get(scope, {}).get(name))


@functools.cache
def _grid_cells(grid: str) -> tuple[Cell, ...]:
    return expand(read_grid(grid))
