"""Published tables and figures as targets of `bench3d reproduce`: which runs stand behind which printed number.

A target is a YAML file under `leaderboard/targets`. Its numbers are the rows of `leaderboard/reported` that name its
source and place; its runs are the cells of its grid, so that a setting is written down once.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bench3d.errors import DataError, UnknownNameError
from bench3d.leaderboard.board import MEAN
from bench3d.leaderboard.reported import Reported, ReportedValue, load_reported
from bench3d.leaderboard.yaml_files import first_error, read_yaml
from bench3d.plugins.names import did_you_mean

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Need(_Strict):
    """What is needed beyond the data sets and weights of the grid. `setting` is what it is given by."""

    what: str
    how: str
    setting: str | None = Field(default=None, pattern=r"^data\.\w+$")


class Tolerance(_Strict):
    """How far a measured value may lie from the printed one, in the unit of the metric; the first that fits holds.

    Attributes:
        method, metric, category: globs.
        interval: other data than the paper's: half the measured interval is added, at most the tolerance once more.
        because: why so much.
    """

    method: str = "*"
    metric: str = "*"
    category: str = "*"
    value: float = Field(gt=0, allow_inf_nan=False)
    interval: bool = False
    because: str = Field(min_length=1)


Strings = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]


class Block(_Strict):
    """Printed rows that are measured the same way, or cannot be.

    Attributes:
        method, setting, metric, task: globs over the printed rows.
        runs: which cells of the grid: backbone, adapter, shape_model, task, protocol or a scope.key -> values.
        label: what sets it apart where rows are compared with several kinds of runs ("protocol paper").
        together: the rows are one cell, their mean (of models that have no counterparts one by one).
        mean: "categories": the unweighted mean over the printed categories; "record": the mean that a record holds.
        cannot: why there is no run for it.
    """

    method: Strings
    setting: str = "*"
    metric: str = "*"
    task: str = "*"
    runs: dict[str, Strings] = {}
    label: str = ""
    together: str = ""
    mean: Literal["categories", "record"] = "categories"
    cannot: str = ""

    @model_validator(mode="after")
    def _one_of(self) -> Block:
        if bool(self.runs) == bool(self.cannot):
            raise ValueError("give either runs or cannot")
        return self

    def holds(self, value: ReportedValue) -> bool:
        """Whether a printed value is one of its rows."""
        return (
            any(fnmatchcase(value.method, m) for m in self.method)
            and fnmatchcase(value.setting, self.setting)
            and fnmatchcase(value.metric, self.metric)
            and fnmatchcase(value.task, self.task)
        )


class Target(_Strict):
    """A published table or figure.

    Attributes:
        title: what it shows.
        source, where: in `leaderboard/reported/sources.yaml`.
        grid: the shipped grid whose runs stand behind it.
        over: the scope.key that tells its models apart; a printed number is the mean over them.
        needs, hours: beyond what the grid tells: further files; what the paper says about computing time.
        reasons: why a measured number may differ, known beforehand.
        unavailable: why there are no printed numbers to compare with.
        see: other targets.
    """

    title: str
    source: str
    where: str = ""
    grid: str = ""
    over: str = Field(default="", pattern=r"^(\w+\.\w+)?$")
    needs: list[Need] = []
    hours: str = ""
    blocks: list[Block] = []
    tolerance: list[Tolerance] = []
    reasons: list[str] = []
    unavailable: str = ""
    see: list[str] = []

    @model_validator(mode="after")
    def _whole(self) -> Target:
        if self.unavailable and (self.blocks or self.grid or self.where):
            raise ValueError("a target without printed numbers has no blocks, grid or where")
        if not self.unavailable and not (self.blocks and self.where):
            raise ValueError("give blocks and where, or say in unavailable why there is nothing to compare")
        if any(b.runs for b in self.blocks) != bool(self.grid):
            raise ValueError("blocks with runs need a grid, and a grid needs one")
        return self


@dataclass(frozen=True)
class PublishedCell:
    """One printed number, or the mean of several, and how it is compared.

    Attributes:
        number: which printed cell: cells that share it are compared with different kinds of runs.
        values: the printed lines.
        place: of the block among the target's.
        categories: what a mean is taken over, empty where there are none.
        tolerance: None where nothing can be measured.
    """

    number: int
    values: tuple[ReportedValue, ...]
    method: str
    block: Block
    place: int
    categories: tuple[str, ...]
    tolerance: Tolerance | None

    @property
    def value(self) -> float:
        """The printed number, in the unit of its metric."""
        return sum(v.value for v in self.values) / len(self.values)

    @property
    def one(self) -> ReportedValue:
        """Task, metric, category and unit."""
        return self.values[0]


@dataclass(frozen=True)
class LoadedTarget:
    """A target with its name, its citation and its cells."""

    name: str
    target: Target
    citation: str
    url: str
    short: str
    about: str
    cells: tuple[PublishedCell, ...]


def target_names() -> tuple[str, ...]:
    """The shipped ones, sorted."""
    return tuple(sorted(_files()))


def load_target(name: str) -> LoadedTarget:
    """A shipped target.

    Raises:
        UnknownNameError: there is none of that name; holds the nearest names.
        DataError: its file is broken; names file and field.
    """
    known = _files()
    if name not in known:
        hint = did_you_mean(name, known) or "See `bench3d reproduce`."
        raise UnknownNameError(f"There is no target named {name}.", hint)
    return read_target(known[name], load_reported())


def read_target(path: Traversable, reported: Reported) -> LoadedTarget:
    """A target from a file, checked against the printed rows.

    Raises:
        DataError: no YAML, an unknown key, a printed number that no block holds, a block that holds none: names file
            and field.
    """
    try:
        target = Target.model_validate(read_yaml(path))
    except ValidationError as error:
        raise DataError(f"{path.name}, {first_error(error)}") from error
    source = reported.sources.get(target.source)
    if source is None:
        raise DataError(f"{path.name}, field source: there is no source {target.source}.")
    if target.where and target.where not in source.places:
        hint = did_you_mean(target.where, source.places)
        raise DataError(f"{path.name}, field where: {target.source} has no {target.where}.", hint or None)
    return LoadedTarget(
        name=path.name.removesuffix(".yaml"),
        target=target,
        citation=source.citation,
        url=source.url,
        short=source.short,
        about=source.places[target.where].about if target.where else "",
        cells=tuple(_cells(target, reported, path.name)),
    )


def _cells(target: Target, reported: Reported, name: str) -> list[PublishedCell]:
    printed = [v for v in reported.values if (v.source, v.where) == (target.source, target.where)]
    for value in printed:
        if not any(block.holds(value) for block in target.blocks):
            where = f"{value.method}, {value.task}, {value.metric}"
            raise DataError(f"{name}, field blocks: none holds the printed row {where}.")
    cells: list[PublishedCell] = []
    numbers = {value: number for number, value in enumerate(printed)}
    for place, block in enumerate(target.blocks):
        mine = [v for v in printed if block.holds(v)]
        if not mine:
            raise DataError(f"{name}, field blocks.{place}.method: no printed row is {' or '.join(block.method)}.")
        for values in _together(mine) if block.together else [(v,) for v in mine]:
            one = values[0]
            rule = None if block.cannot else _tolerance(target.tolerance, one, name)
            if block.runs and block.mean == "categories" and not reported.categories(one):
                where = f"{one.method}, {one.task}"
                raise DataError(f"{name}, field blocks.{place}.mean: {where} has no categories; write mean: record.")
            method = block.together or one.method
            cells.append(PublishedCell(numbers[one], values, method, block, place, reported.categories(one), rule))
    return cells


def _together(values: Sequence[ReportedValue]) -> list[tuple[ReportedValue, ...]]:
    """Values of one metric and category; a metric that not every method has is left out."""
    methods = {v.method for v in values}
    groups: dict[tuple[str, str, str], list[ReportedValue]] = {}
    for value in values:
        groups.setdefault((value.task, value.metric, value.category), []).append(value)
    return [tuple(g) for g in groups.values() if len(g) == len(methods)]


def _tolerance(rules: Sequence[Tolerance], value: ReportedValue, name: str) -> Tolerance:
    for rule in rules:
        pairs = ((value.method, rule.method), (value.metric, rule.metric), (value.category, rule.category))
        if all(fnmatchcase(text, pattern) for text, pattern in pairs):
            return rule
    where = f"{value.metric} of {'the mean' if value.category == MEAN else value.category}"
    raise DataError(f"{name}, field tolerance: none holds for {where}.")


@functools.cache
def _files() -> dict[str, Traversable]:
    folder = files("bench3d.leaderboard_files") / "targets"
    return {f.name.removesuffix(".yaml"): f for f in folder.iterdir() if f.name.endswith(".yaml")}
