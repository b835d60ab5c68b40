"""The numbers that papers report, committed under `leaderboard/reported`, read for the tables beside measured ones."""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench3d.errors import DataError
from bench3d.leaderboard.board import MEAN, ReportedRow
from bench3d.leaderboard.yaml_files import first_error, read_yaml

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

SOURCES = "sources.yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Place(_Strict):
    """A table or figure: what it shows, and how that was measured; sentences without their full stop.

    Attributes:
        categories: task -> what its means are taken over, where its lines do not say so themselves.
        like: protocols of ours that follow it, "task/protocol".
        differs: what still sets it apart from those; `otherwise`, by task, from any other protocol of the task.
        methods: what holds for one method, in place of both.
    """

    about: str
    categories: dict[str, list[str]] = {}
    like: list[str] = []
    differs: str = ""
    otherwise: dict[str, str] = {}
    methods: dict[str, str] = {}


class Source(_Strict):
    """A paper or page."""

    short: str
    citation: str
    url: str = Field(pattern="^https?://")
    places: dict[str, Place]


class ReportedValue(_Strict):
    """One printed number. `read_off`: read off a plot, about half a point exact."""

    source: str
    where: str
    method: str = Field(min_length=1)
    setting: str
    task: str = Field(min_length=1)
    metric: str = Field(min_length=1)
    category: str = Field(min_length=1)
    value: float = Field(allow_inf_nan=False)
    unit: Literal["%", "deg"]
    read_off: bool


@dataclass(frozen=True)
class Reported:
    """All values, and their sources by key."""

    values: tuple[ReportedValue, ...]
    sources: Mapping[str, Source]

    def place(self, value: ReportedValue) -> Place:
        """The table or figure of a value."""
        return self.sources[value.source].places[value.where]

    def categories(self, value: ReportedValue) -> tuple[str, ...]:
        """What the means of a value's row are taken over; empty where its task has no categories."""
        named = self.place(value).categories.get(value.task)
        if named is not None:
            return tuple(named)
        mine = [v for v in self.values if _row_key(v) == _row_key(value)]
        return tuple(dict.fromkeys(v.category for v in mine if v.category != MEAN))


@functools.cache
def load_reported() -> Reported:
    """The committed values. DataError where a file is broken."""
    return read_reported(files("bench3d.leaderboard_files") / "reported")


def read_reported(folder: Traversable) -> Reported:
    """The values of a folder of CSV files with its sources.

    Raises:
        DataError: a file is missing or broken; names file, line and field.
    """
    sources = _sources(folder / SOURCES)
    values: list[ReportedValue] = []
    for table in sorted((f for f in folder.iterdir() if f.name.endswith(".csv")), key=lambda f: f.name):
        for number, line in enumerate(csv.DictReader(table.read_text(encoding="utf-8").splitlines()), start=2):
            values.append(_value(line, f"{table.name}, line {number}", sources))
    seen: set[tuple[str, ...]] = set()
    for value in values:
        key = (*_row_key(value), value.metric, value.category)
        if key in seen:
            raise DataError(f"leaderboard/reported holds {' · '.join(key)} twice.")
        seen.add(key)
    return Reported(tuple(values), sources)


def reported_rows(task: str, protocol: str, metrics: Sequence[str], categories: Sequence[str]) -> list[ReportedRow]:
    """The reported rows that stand beside a table: same task, at least one of its metrics.

    Args:
        task, protocol: of the table.
        metrics: names of its columns; others are left out.
        categories: of the table; values of others are left out, means over others are kept and `differs` says so.
    """
    reported = load_reported()
    wanted = [v for v in reported.values if v.task == task and v.metric in metrics]
    if categories:
        wanted = [v for v in wanted if v.category in (*categories, MEAN)]
    rows: dict[tuple[str, ...], list[ReportedValue]] = {}
    for value in wanted:
        rows.setdefault(_row_key(value), []).append(value)
    return [_row(reported, values, protocol, categories) for values in rows.values()]


def _row(reported: Reported, values: Sequence[ReportedValue], protocol: str, categories: Sequence[str]) -> ReportedRow:
    one = values[0]
    source = reported.sources[one.source]
    table: dict[str, dict[str, float]] = {}
    for value in values:
        table.setdefault(value.metric, {})[value.category] = value.value
    return ReportedRow(
        method=one.method,
        setting=one.setting,
        values=table,
        source=source.short,
        where=one.where,
        citation=source.citation,
        read_off=one.read_off,
        differs=_differs(reported, one, protocol, categories, any(v.category == MEAN for v in values)),
    )


def _differs(reported: Reported, one: ReportedValue, protocol: str, categories: Sequence[str], mean: bool) -> str:
    """One sentence, or nothing."""
    place = reported.place(one)
    follows = f"{one.task}/{protocol}" in place.like
    apart = place.differs if follows else place.otherwise.get(one.task, place.differs)
    reasons = [place.methods.get(one.method, apart)]
    theirs = reported.categories(one)
    if mean and theirs and set(theirs) != set(categories) and categories:
        reasons.append(f"its mean is over {len(theirs)} categories, this table's over {len(categories)}")
    sentence = "; ".join(filter(None, reasons))
    return sentence[:1].upper() + sentence[1:] + "." if sentence else ""


def _row_key(value: ReportedValue) -> tuple[str, ...]:
    return (value.source, value.where, value.method, value.setting, value.task)


def _sources(path: Traversable) -> dict[str, Source]:
    read = read_yaml(path)
    try:
        return {key: Source.model_validate(value) for key, value in read.items()}
    except ValidationError as error:
        raise DataError(f"{path.name}, {first_error(error)}") from error


def _value(line: Mapping[str, Any], where: str, sources: Mapping[str, Source]) -> ReportedValue:
    try:
        value = ReportedValue.model_validate({k: v for k, v in line.items() if k is not None})
    except ValidationError as error:
        raise DataError(f"{where}, {first_error(error)}") from error
    for field, known, name in (("source", sources, value.source), ("where", _places(sources, value), value.where)):
        if name not in known:
            raise DataError(f"{where}, field {field}: {SOURCES} knows no {name}.")
    return value


def _places(sources: Mapping[str, Source], value: ReportedValue) -> Iterable[str]:
    return sources[value.source].places if value.source in sources else ()
