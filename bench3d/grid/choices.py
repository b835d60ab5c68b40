"""The lists of a grid file against what is registered: names, globs, presets, protocols, settings. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from bench3d.contracts import Registration, TaskRegistration
from bench3d.contracts.data import TwinSpec
from bench3d.errors import PluginError, UnknownNameError, UsageError
from bench3d.grid.files import Entry, Part
from bench3d.plugins import load_registry, preset_names, settings_model
from bench3d.plugins.names import did_you_mean

NONE = "none"
KINDS: Mapping[str, str] = {
    "backbones": "backbone",
    "adapters": "adapter",
    "shape_models": "shape-model",
    "tasks": "task",
}
"""Field of a part -> kind of what it lists."""
OWN_KEYS: Mapping[str, tuple[str, ...]] = {
    "weights": ("backbone",),
    "preset": ("adapter", "shape-model"),
    "protocols": ("task",),
}
"""Key of an entry -> kinds that have it."""
TWIN_KEYS = {"twin", *(f.name for f in dataclasses.fields(TwinSpec))}
"""Settings of the scope data that say what a synthetic twin holds."""


@dataclass(frozen=True)
class Choice:
    """One component that a list names. `registration` is None for "none"; `label` is for people."""

    kind: str
    name: str
    registration: Registration | None = None
    label: str = ""
    weights: str | None = None
    preset: str | None = None
    protocols: tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """Its label, else its name."""
        return self.label or self.name


def choices(part: Part, list_name: str, where: str) -> tuple[Choice, ...]:
    """What a list of a part names, globs replaced by the registered names that they match.

    `adapters` may also name shape models, as on the command line; a glob there means adapters.

    Raises:
        UnknownNameError: a name that is not registered, or a glob that matches none; holds the nearest names.
        UsageError: a key of an entry that its kind does not have; a glob over a family or with a label.
    """
    kind = KINDS[list_name]
    entries: Sequence[Entry] = getattr(part, list_name) or [Entry(name=NONE)]
    found: list[Choice] = []
    for entry in entries:
        place = f"{where}{list_name}"
        names = _names(entry, kind, place)
        if entry.label is not None and len(names) > 1:
            raise UsageError(
                f"{place}: the label {entry.label} stands for {len(names)} names.", "Write them one by one."
            )
        found += [_choice(entry, kind, name, place) for name in names]
    return tuple(found)


def _choice(entry: Entry, kind: str, name: str, place: str) -> Choice:
    registration = None if name == NONE and kind != "backbone" else _find(kind, name, place)
    actual = kind if registration is None else registration.kind
    for key, kinds in OWN_KEYS.items():
        if getattr(entry, key) is not None and actual not in kinds:
            raise UsageError(f"{place}: {name} has no {key}; that is of a {' or '.join(kinds)}.")
    if registration is None and entry.set:
        raise UsageError(f"{place}: {name} has no settings.")
    if entry.preset is not None and registration is not None and entry.preset not in preset_names(registration):
        hint = did_you_mean(entry.preset, preset_names(registration)) or None
        raise UnknownNameError(f"{place}: {name} has no preset {entry.preset}.", hint)
    protocols = None if entry.protocols is None else tuple(entry.protocols)
    return Choice(actual, name, registration, entry.label or "", entry.weights, entry.preset, protocols, entry.set)


def is_glob(text: str) -> bool:
    """Whether a name of a grid file is a pattern of fnmatch."""
    return any(c in text for c in "*?[")


def _names(entry: Entry, kind: str, place: str) -> list[str]:
    if not is_glob(entry.name):
        return [entry.name]
    registered = load_registry().names(kind)
    family = entry.name.partition(":")[0] + ":"
    if ":" in entry.name and family in registered:
        raise UsageError(f"{place}: {entry.name}: the family {family} knows no list.", f"Write {family}NAME in full.")
    plain = [n for n in registered if not n.endswith(":")]
    matched = [n for n in plain if fnmatchcase(n, entry.name)]
    if not matched:
        bare = entry.name.strip("*?") or entry.name
        raise UnknownNameError(f"{place}: {entry.name} matches no {kind}.", did_you_mean(bare, plain) or None)
    return matched


def _find(kind: str, name: str, place: str) -> Registration:
    """The registration; for an adapter also that of a shape model, or of `NAME:CHECKPOINT`."""
    registry = load_registry()
    if kind == "adapter":
        base = name.partition(":")[0]
        if name not in registry.names("adapter") and base in registry.names("adapter"):
            name = base
        elif name in registry.names("shape-model"):
            kind = "shape-model"
        elif name not in registry.names("adapter") and f"{base}:" not in registry.names("adapter"):
            both = (*registry.names("adapter"), *registry.names("shape-model"))
            raise UnknownNameError(f"{place}: There is no adapter named {name}.", did_you_mean(name, both) or None)
    try:
        return registry.find(kind, name)
    except UnknownNameError as error:
        raise UnknownNameError(f"{place}: {error.message}", error.hint) from error


def data_sets(registration: Registration | None) -> list[Registration]:
    """The data sets that a component is evaluated or trained on, and those whose folders it takes as well."""
    own = getattr(registration, "dataset", None) or getattr(registration, "train_dataset", None)
    accepts = getattr(registration, "accepts", None)
    every = load_registry().registrations("dataset")
    return [r for r in every if r.name == own or (accepts and accepts in getattr(r, "provides", ()))]


def data_keys(registration: Registration | None) -> set[str]:
    """What the data sets of a component can be told."""
    return {key for r in data_sets(registration) for key in settings_model(r).model_fields}


def protocols_of(
    part: Part, tasks: Sequence[Choice], where: str, instead: Sequence[str] = ()
) -> list[list[str | None]]:
    """Per task the protocols that the part asks of it; [None], its first, where it asks for none.

    `instead` goes before what the part says, and may match nothing.

    A protocol that one of the tasks lacks leaves that combination out.

    Raises:
        UnknownNameError: a protocol or glob that none of the tasks has; holds the nearest names.
    """
    found: list[list[str | None]] = []
    have = [
        [p.name for p in t.registration.protocols] if isinstance(t.registration, TaskRegistration) else []
        for t in tasks
    ]
    for task, names in zip(tasks, have, strict=True):
        patterns = instead or (part.protocols if task.protocols is None else task.protocols)
        if task.protocols is not None:
            _each_matches(task.protocols, names, f"{where}tasks: {task.name} has no protocol")
        matching = [n for pattern in patterns or () for n in names if fnmatchcase(n, pattern)]
        found.append(list(dict.fromkeys(matching)) if patterns else [None])
    shared = [n for task, names in zip(tasks, have, strict=True) if task.protocols is None for n in names]
    _each_matches(part.protocols or (), shared, f"{where}protocols: none of the tasks has a protocol")
    return found


def _each_matches(patterns: Iterable[str], names: Sequence[str], whose: str) -> None:
    for pattern in patterns:
        if not any(fnmatchcase(n, pattern) for n in names):
            hint = did_you_mean(pattern.strip("*?"), names) or None
            raise UnknownNameError(f"{whose} {pattern}.", hint)


def presets_of(part: Part, fitted: Iterable[Choice], where: str) -> dict[str, list[str]]:
    """Name of an adapter or shape model -> those of the part's presets that it has.

    Raises:
        UnknownNameError: a preset that none of them has; holds the nearest names.
    """
    have = {c.name: preset_names(c.registration) for c in fitted if c.registration is not None}
    for preset in part.presets or ():
        if not any(preset in names for names in have.values()):
            known = {n for names in have.values() for n in names}
            hint = did_you_mean(preset, known) or "Name an adapter or shape model that has it."
            raise UnknownNameError(f"{where}presets: there is no preset {preset} here.", hint)
    return {name: [p for p in part.presets or () if p in names] for name, names in have.items()}


def check_settings(asked: Mapping[str, str], scopes: Mapping[str, Iterable[Registration]]) -> None:
    """Refuses a setting that nothing in the grid has; one that only some have is the plan's to tell.

    Args:
        asked: "scope.key" -> where it stands ("demo.yaml, parts.floors.vary").
        scopes: scope -> the components of all parts.

    Raises:
        UsageError: with the nearest key.
    """
    known: dict[str, set[str] | None] = {}
    for path, place in asked.items():
        scope, _, key = path.partition(".")
        if scope not in known:
            known[scope] = _keys(scope, scopes.get(scope, ()))
        keys = known[scope]
        if keys is None or key.partition(".")[0] in keys:
            continue
        if not keys:
            raise UsageError(f"{place}{path}: nothing here has settings of the scope {scope}.")
        hint = did_you_mean(path, [f"{scope}.{k}" for k in keys])
        raise UsageError(f"{place}{path}: there is no such setting.", hint)


def _keys(scope: str, components: Iterable[Registration]) -> set[str] | None:
    """None where a broken plugin leaves it open: the plan will name it."""
    keys: set[str] = set()
    for component in {r.name: r for r in components}.values():
        try:
            keys |= set(settings_model(component).model_fields)
        except PluginError:
            return None
        if component.presets:
            keys.add("preset")
    return keys | (TWIN_KEYS if scope == "data" else set())
