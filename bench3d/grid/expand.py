"""A grid file, and what the user adds on the command line, to cells: one `RunSpec` each. Nothing is planned here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench3d.contracts import Registration
from bench3d.errors import UnknownNameError, UsageError
from bench3d.grid.choices import check_settings, data_sets
from bench3d.grid.files import GridFile, Part
from bench3d.grid.model import Cell
from bench3d.grid.product import Draft, PartProduct, matches
from bench3d.plugins.names import did_you_mean
from bench3d.plugins.settings import SCOPES
from bench3d.runner.spec import Settings, spec_values

COMPONENTS = ("backbone", "adapter", "shape_model", "task")


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What a user gives on top of a grid file; None (or empty) changes nothing.

    Attributes:
        on: backbones in place of those of the file.
        backbones, adapters, tasks, parts: only cells of these names, labels or globs; `adapters` also shape models.
        settings: scope -> key -> value, over the file's; those of an adapter go to cells that have one.
        categories: in place of the file's; one run for each where the file has one run for each.
        protocols: in place of the file's, names or globs; a task that has none of them is left out.
    The others are as in RunSpec.
    """

    results: Path | None = None
    data: Path | None = None
    synthetic: bool | None = None
    device: str | None = None
    offline: bool | None = None
    limit: int | None = None
    weights: str | None = None
    seeds: tuple[int, ...] | None = None
    categories: tuple[str, ...] | None = None
    settings: Settings = field(default_factory=dict)
    batch: int | None = None
    workers: int | None = None
    cache: bool | None = None
    visualize: bool | None = None
    protocols: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


def expand(grid: GridFile, overrides: Overrides | None = None) -> tuple[Cell, ...]:
    """The cells of a grid, in the order of the file: backbones, adapters, shape models, presets, `vary`, tasks,
    protocols, categories, seeds, the last one fastest; equal cells once.

    Settings of an adapter (shape model) are dropped where a cell has none, categories where its data have none, weights
    where its backbone needs none.

    Raises:
        UnknownNameError: a name, glob, preset, protocol or category that is not there; names file, field and the
            nearest ones.
        UsageError: a setting that nothing has, a condition that excludes nothing, no cells at all.
    """
    overrides = overrides or Overrides()
    parts = [PartProduct(part, where, label, overrides) for part, where, label in _all_parts(grid, "")]
    _check_settings(parts, overrides)
    used: set[int] = set()
    drafts: dict[str, Draft] = {}
    for part in parts:
        for draft in part.drafts(used):
            drafts.setdefault(json.dumps(spec_values(draft.spec), sort_keys=True, default=str), draft)
    for part in parts if not overrides.on else ():
        for number, condition in enumerate(part.part.exclude, start=1):
            if id(condition) not in used:
                raise UsageError(f"{part.where}exclude: condition {number} excludes nothing.", "Is a name misspelt?")
    if not drafts:
        raise UsageError(f"{grid.source} holds no runs.", "Its protocols and exclude leave nothing.")
    return _told_apart(_filtered(list(drafts.values()), overrides))


def _told_apart(drafts: Sequence[Draft]) -> tuple[Cell, ...]:
    """With what differs within the grid; a lack tells cells of the same components apart, else the components do."""
    values: dict[str, set[str]] = {}
    lacks: dict[str, dict[tuple[str | None, ...], set[bool]]] = {}
    components = [tuple(d.facts.get(key) for key in COMPONENTS) for d in drafts]
    for draft in drafts:
        for key, value in draft.facts.items():
            values.setdefault(key, set()).add(value)
    for key, group, draft in ((k, g, d) for k in values for g, d in zip(components, drafts, strict=True)):
        lacks.setdefault(key, {}).setdefault(group, set()).add(key in draft.facts)
    differing = {k for k in values if len(values[k]) > 1 or any(len(seen) > 1 for seen in lacks[k].values())}
    return tuple(
        Cell(spec=d.spec, part=d.part, varied={k: v for k, v in d.facts.items() if k in differing}) for d in drafts
    )


def _filtered(drafts: list[Draft], overrides: Overrides) -> list[Draft]:
    """The cells that the user wants. UnknownNameError for a filter that matches none."""
    every = drafts
    for key in ("part", "backbone", "adapter", "task"):
        patterns = getattr(overrides, f"{key}s")
        for pattern in patterns:
            if not any(matches(d.names[key], pattern) for d in every):
                known = {n for d in every for n in d.names[key]}
                raise UnknownNameError(f"The grid has no {key} {pattern}.", did_you_mean(pattern, known))
        drafts = [d for d in drafts if not patterns or any(matches(d.names[key], p) for p in patterns)]
    if not drafts:
        raise UsageError("No run of the grid is all of what was asked for.", "Leave one of the filters out.")
    return drafts


def _all_parts(grid: GridFile, prefix: str) -> Iterator[tuple[Part, str, str]]:
    """Every part of a grid and of those it includes, with what errors and tables call it."""
    for name, part in grid.parts.items():
        where = f"{grid.source}, parts.{name}." if name else f"{grid.source}, "
        yield part, where, "/".join(filter(None, (prefix, name)))
    for other in grid.includes:
        yield from _all_parts(other, "/".join(filter(None, (prefix, other.name))))


def _check_settings(parts: Sequence[PartProduct], overrides: Overrides) -> None:
    """Every setting of the grid against all its components."""
    asked: dict[str, str] = {}
    scopes: dict[str, list[Registration]] = {scope: [] for scope in SCOPES.values()}
    for part in parts:
        asked |= {key: f"{part.where}vary." for key in part.part.vary}
        asked |= {key: f"{part.where}set." for key in part.part.set}
        for list_name, choice in part.choices():
            if (found := choice.registration) is None:
                continue
            scopes[SCOPES[found.kind]].append(found)
            asked |= {f"{SCOPES[found.kind]}.{key}": f"{part.where}{list_name}: " for key in choice.settings}
            scopes["data"] += data_sets(found)
    given = {f"{scope}.{key}": "--set " for scope, values in overrides.settings.items() for key in values}
    check_settings(asked | given, scopes)
