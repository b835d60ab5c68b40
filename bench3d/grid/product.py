"""The product of one part's lists: every combination to a run with what it is called."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from bench3d.contracts import BackboneRegistration, DatasetRegistration, TaskRegistration
from bench3d.errors import Bench3DError, UnknownNameError, UsageError
from bench3d.grid.choices import NONE, TWIN_KEYS, Choice, choices, data_keys, presets_of, protocols_of
from bench3d.grid.files import Categories, Entry, Part
from bench3d.plugins import load_registry
from bench3d.plugins.names import did_you_mean
from bench3d.plugins.settings import SCOPES
from bench3d.runner.sources import find_categories, find_sources
from bench3d.runner.spec import RunSpec, Settings

if TYPE_CHECKING:
    from bench3d.grid.expand import Overrides

FACTS = ("backbone", "weights", "adapter", "shape_model", "preset", "task", "protocol", "category", "seed", "layer")
"""What a condition of `exclude` may name besides settings."""
PLAIN = (
    "results",
    "data",
    "synthetic",
    "device",
    "offline",
    "limit",
    "weights",
    "batch",
    "workers",
    "cache",
    "visualize",
)
"""What a user gives that goes into every run as it is."""


@dataclass(frozen=True)
class Draft:
    """A run, what tells it from others where they differ, and all names that conditions and filters may use for it."""

    spec: RunSpec
    part: str
    facts: Mapping[str, str]
    names: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Combination:
    """Components that go together. `adapter` and `shape` as the lists have them, `fitted` those that are not none."""

    backbone: Choice
    adapter: Choice
    shape: Choice
    fitted: tuple[Choice, ...]
    task: Choice
    preset: str | None

    @property
    def needs_weights(self) -> bool:
        """Whether pretrained and random weights are not the same."""
        found = self.backbone.registration
        assert isinstance(found, BackboneRegistration)
        return found.weights is not None or found.name.endswith(":")


def matches(names: Iterable[str], pattern: object) -> bool:
    """Whether a condition or filter means something that is called one of `names`."""
    return any(fnmatchcase(name, text(pattern)) for name in names)


def text(value: object) -> str:
    """A value of a grid file for people, and as conditions compare it: YAML's null, true and false as YAML has them."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value if isinstance(value, str) else json.dumps(value)


class PartProduct:
    """One part: its lists looked up once, then their product."""

    def __init__(self, part: Part, where: str, label: str, overrides: Overrides) -> None:
        if overrides.on:
            part = part.model_copy(update={"backbones": [Entry(name=name) for name in overrides.on]})
        self.part, self.where, self.label, self.overrides = part, where, label, overrides
        self.backbones = choices(part, "backbones", where if not overrides.on else "In place of ")
        self.adapters = choices(part, "adapters", where)
        self.shapes = choices(part, "shape_models", where)
        self.tasks = choices(part, "tasks", where)
        self.protocols = protocols_of(part, self.tasks, where, overrides.protocols)
        self.presets = presets_of(part, (*self.adapters, *self.shapes), where)
        self.categories = self._asked_categories()
        self.synthetic = part.synthetic if overrides.synthetic is None else overrides.synthetic
        self.strange: dict[tuple[str, ...], frozenset[str]] = {}
        self.known: dict[str, tuple[tuple[str, ...], ...]] = {}
        for number, key in ((n, k) for n, c in enumerate(part.exclude, start=1) for k in c):
            if key not in FACTS and key.partition(".")[0] not in SCOPES.values():
                raise UsageError(
                    f"{where}exclude: condition {number}: there is nothing called {key}.", did_you_mean(key, FACTS)
                )

    def choices(self) -> Iterator[tuple[str, Choice]]:
        """Every component, with the list it stands in."""
        for name, found in (
            ("backbones", self.backbones),
            ("adapters", self.adapters),
            ("shape_models", self.shapes),
            ("tasks", self.tasks),
        ):
            yield from ((name, choice) for choice in found)

    def drafts(self, used: set[int]) -> Iterator[Draft]:
        """The part's cells; notes in `used` which conditions have excluded something."""
        rows = [dict(zip(self.part.vary, row, strict=True)) for row in itertools.product(*self.part.vary.values())]
        seeds = self.overrides.seeds or self.part.seeds or (0,)
        for backbone, adapter, shape in itertools.product(self.backbones, self.adapters, self.shapes):
            fitted = self._fitted(adapter, shape)
            for preset, row in itertools.product(self._presets(fitted), rows):
                for task, protocols in zip(self.tasks, self.protocols, strict=True):
                    combination = Combination(backbone, adapter, shape, fitted, task, preset)
                    settings = self._settings(combination, row)
                    for protocol in protocols:
                        run = self._run(combination, settings, protocol)
                        for categories, seed in itertools.product(self._categories(run, combination), seeds):
                            spec = replace(run, categories=categories, seed=seed)
                            draft = self._draft(combination, spec)
                            if (condition := self._excluded(draft)) is None:
                                yield draft
                            else:
                                used.add(id(condition))

    def _fitted(self, adapter: Choice, shape: Choice) -> tuple[Choice, ...]:
        """The adapter and the shape model of a cell, those that are none left out."""
        if adapter.kind == "shape-model" and shape.name not in (NONE, adapter.name):
            raise UsageError(
                f"{self.where}adapters: {adapter.name} is a shape model, and shape_models names {shape.name}.",
                "Name shape models in one of the two lists.",
            )
        pair = (adapter,) if adapter.kind == "shape-model" else (adapter, shape)
        return tuple(c for c in pair if c.name != NONE)

    def _presets(self, fitted: Sequence[Choice]) -> list[str | None]:
        """The part's presets that something here takes."""
        takers = [self.presets[c.name] for c in fitted if c.preset is None]
        if not self.part.presets or not takers:
            return [None]
        return [p for p in self.part.presets if any(p in names for names in takers)]

    def _settings(self, of: Combination, row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """From weak to strong: the part's, what varies, presets, the entries' own, the command line's."""
        settings: dict[str, dict[str, Any]] = {}
        if isinstance(self.part.layer, int):
            settings["backbone"] = {"layer": self.part.layer}
        for path, value in {**self.part.set, **row}.items():
            scope, _, key = path.partition(".")
            settings.setdefault(scope, {})[key] = value
        for choice in (of.backbone, *of.fitted, of.task):
            own = settings.setdefault(SCOPES[choice.kind], {})
            preset = choice.preset
            if preset is None and choice in of.fitted and of.preset in self.presets[choice.name]:
                preset = of.preset
            own |= {**({} if preset is None else {"preset": preset}), **choice.settings}
        for scope, values in self.overrides.settings.items():
            settings.setdefault(scope, {}).update(values)
        absent = {"adapter", "shape"} - {SCOPES[c.kind] for c in of.fitted}
        if data := settings.get("data"):
            settings["data"] = {k: v for k, v in data.items() if k.partition(".")[0] not in self._foreign(of)}
        return {scope: values for scope, values in settings.items() if values and scope not in absent}

    def _foreign(self, of: Combination) -> frozenset[str]:
        """Settings of data sets of other cells, which none of this one's knows."""
        key = tuple(c.name for c in (*of.fitted, of.task))
        if key not in self.strange:
            every = {f for _, c in self.choices() for f in data_keys(c.registration)}
            own = {f for c in (*of.fitted, of.task) for f in data_keys(c.registration)}
            self.strange[key] = frozenset(every - own - (TWIN_KEYS if self.synthetic else set()))
        return self.strange[key]

    def _run(self, of: Combination, settings: Settings, protocol: str | None) -> RunSpec:
        """The run with what the part and the command line say, but its categories and seed."""
        asked = self.overrides
        values: dict[str, Any] = {"limit": self.part.limit, "batch": self.part.batch, "synthetic": self.part.synthetic}
        values |= {key: v for key in PLAIN if (v := getattr(asked, key)) is not None}
        weights = asked.weights or of.backbone.weights or self.part.weights
        if of.needs_weights or weights not in ("pretrained", "random"):
            values["weights"] = weights
        names = {c.kind: c.name for c in of.fitted}
        return RunSpec(
            backbone=of.backbone.name,
            adapter=names.get("adapter", NONE),
            shape_model=names.get("shape-model", NONE),
            task=of.task.name,
            protocol=protocol,
            settings=settings,
            layer="auto" if self.part.layer == "auto" else None,
            **{key: value for key, value in values.items() if value is not None},
        )

    def _asked_categories(self) -> Categories:
        asked = self.part.categories or Categories()
        if self.overrides.categories:
            asked = Categories(names=list(self.overrides.categories), each=asked.each)
        datasets = load_registry().registrations("dataset")
        known = {c for d in datasets if isinstance(d, DatasetRegistration) for c in d.categories}
        for name in asked.names:
            if name not in known:
                where = "--category" if self.overrides.categories else f"{self.where}categories"
                raise UnknownNameError(f"{where}: there is no category {name}.", did_you_mean(name, known))
        return asked

    def _categories(self, run: RunSpec, of: Combination) -> tuple[tuple[str, ...], ...]:
        """The categories of each run that this one becomes; () for all that its data know."""
        if self.part.categories is None and not self.overrides.categories:
            return ((),)
        key = json.dumps([run.task, run.adapter, run.shape_model, run.settings.get("data")], default=str)
        if key not in self.known:
            known = _known_categories(run, of)
            names = self.categories.names or list(known)
            if not known:
                self.known[key] = ((),)
            else:
                self.known[key] = tuple((n,) for n in names) if self.categories.each else (tuple(names),)
        return self.known[key]

    def _draft(self, of: Combination, spec: RunSpec) -> Draft:
        components = (("backbone", of.backbone), ("adapter", of.adapter), ("shape_model", of.shape), ("task", of.task))
        facts = {key: choice.shown for key, choice in components}
        # A label stands for what its entry sets.
        labelled = {SCOPES[c.kind] for c in (of.backbone, *of.fitted, of.task) if c.label}
        own = {f"{SCOPES[c.kind]}.{key}" for c in (of.backbone, *of.fitted, of.task) for key in (*c.settings, "preset")}
        hidden = {path for path in own if path.partition(".")[0] in labelled}
        if of.needs_weights and not (of.backbone.label and of.backbone.weights):
            facts["weights"] = spec.weights
        if of.preset is not None:
            facts["preset"] = of.preset
        settings = {f"{scope}.{k}": text(v) for scope, values in spec.settings.items() for k, v in values.items()}
        facts |= {k: v for k, v in settings.items() if k not in hidden and not (of.preset and k.endswith(".preset"))}
        protocol = spec.protocol or _first_protocol(of.task)
        facts |= {"protocol": protocol} if protocol else {}
        facts |= {"category": ",".join(spec.categories)} if spec.categories else {}
        facts |= {key: text(v) for key in ("layer", "limit") if (v := getattr(spec, key)) is not None}
        facts |= {"seed": text(spec.seed)} | ({"synthetic": "true"} if spec.synthetic else {})
        names = {key: frozenset({value}) for key, value in (settings | facts).items()}
        for key, choice in components:
            names[key] = frozenset({choice.name, choice.shown})
        names["shape_model"] |= {spec.shape_model}
        names |= {"category": frozenset(spec.categories), "weights": frozenset({spec.weights})}
        names |= {"part": frozenset({self.label, *self.label.split("/")})}
        return Draft(spec, self.label, facts, names)

    def _excluded(self, draft: Draft) -> Mapping[str, Any] | None:
        """The first condition that leaves a cell out."""
        for condition in self.part.exclude:
            if all(any(matches(draft.names.get(k, ()), p) for p in patterns) for k, patterns in condition.items()):
                return condition
        return None


def _first_protocol(task: Choice) -> str:
    assert isinstance(task.registration, TaskRegistration)
    return task.registration.protocols[0].name if task.registration.protocols else ""


def _known_categories(run: RunSpec, of: Combination) -> tuple[str, ...]:
    """The categories that all data of a run know; none where they know none, or where it cannot run."""
    assert isinstance(of.task.registration, TaskRegistration)
    fitted = [c.registration for c in of.fitted if c.name == getattr(c.registration, "name", None)]
    try:
        sources = find_sources(run, dict(run.settings.get("data", {})), of.task.registration, *fitted)
        found = find_categories(run, list(sources.values()))
    except Bench3DError:
        return ()
    return found if any(s.categories for s in sources.values()) else ()
