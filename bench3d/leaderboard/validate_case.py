"""What validation says, and the record that it says it of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench3d.contracts import Registration
from bench3d.errors import Bench3DError
from bench3d.leaderboard.safety import plain_text
from bench3d.plugins import load_registry
from bench3d.records import Record

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
PLAIN_FILES = ("README.md", ".gitkeep")
"""Files among the committed records that belong to none of them."""
AGAIN = "Submit the record as bench3d run wrote it."
_MOST = 5
"""Findings of one check and field that are told one by one."""


@dataclass(frozen=True)
class Finding:
    """One thing that validation found. Its texts are plain.

    Attributes:
        check: what was checked: "files", "schema", "identity", "scores", ...
        file: the file that it is about; `field` the field in it, "" where it is about the whole.
        sentence: what is wrong; `next_step` what the submitter does about it.
    """

    level: Level
    check: str
    file: str
    field: str
    sentence: str
    next_step: str = ""

    def as_json(self) -> dict[str, str]:
        """Field -> text."""
        return asdict(self)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Component(_Part):
    """A named thing that was measured, with its resolved settings."""

    name: str = Field(min_length=1)
    result_version: int
    settings: dict[str, Any] = {}


class Backbone(Component):
    """`weights`: None, "random", "pretrained", the published ones, or a file's digest."""

    weights: str | dict[str, Any] | None = None


class Adapter(Component):
    """`checkpoint`: what was given in place of a fit."""

    checkpoint: Any = None


class Data(Component):
    """`fingerprints`: category -> digest."""

    synthetic: bool
    fingerprints: dict[str, str]


class ProtocolName(_Part):
    """A protocol of the task."""

    name: str
    version: int


class Measurement(_Part):
    """The measurement of a record, `bench3d.measurement/1`: what `bench3d.runner.plan.measurement_of` writes."""

    schema_: Literal["bench3d.measurement/1"] = Field(alias="schema")
    backbone: Backbone
    adapter: Adapter | None
    shape_model: Component | None
    task: Component
    protocol: ProtocolName | None
    dataset: Data
    fits: dict[str, str | None]
    categories: list[str] = Field(min_length=1)
    limit: int | None
    seed: int
    layer_choice: Any = None


def read_measurement(measurement: Mapping[str, Any]) -> Measurement | str:
    """The measurement, or a sentence about the first field that is not as it should be."""
    try:
        return Measurement.model_validate(dict(measurement))
    except ValidationError as error:
        first = error.errors()[0]
        return f"field {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


@dataclass
class Case:
    """A record under validation: its folder, what was read of it so far, and what was found.

    `committed` says that it stands among the leaderboard's records, where less is allowed than in a results folder.
    """

    folder: Path
    committed: bool = True
    record: Record | None = None
    schema: str = ""
    measurement: Measurement | None = None
    sidecar: Path | None = None
    samples: list[dict[str, Any]] | None = None
    sha256: str = ""
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)
    _told: dict[tuple[str, str, str], int] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The record's file."""
        return self.folder / "record.json"

    def say(
        self, level: Level, check: str, sentence: str, *, field: str = "", file: Path | None = None, step: str = ""
    ) -> None:
        """Keeps a finding; of many of one kind the first few."""
        name = str(file or self.path)
        kind = (level, check, name)
        self._told[kind] = self._told.get(kind, 0) + 1
        if self._told[kind] <= _MOST:
            texts = (plain_text(text, 500) for text in (name, field, sentence, step))
            self.findings.append(Finding(level, check, *texts))

    def unchecked(self, strict: bool, sentence: str) -> None:
        """Keeps that something could not be checked: a note, an error where all has to be."""
        self.say("error" if strict else "note", "not checked", sentence, step="Install the plugin, validate again.")

    def finish(self) -> None:
        """Tells how many findings were left out, and puts errors first."""
        for (level, check, name), count in self._told.items():
            if count > _MOST:
                more = f"{count - _MOST} more of this kind."
                self.findings.append(Finding(level, check, plain_text(name, 500), "", more))  # type: ignore[arg-type]
        self._told.clear()
        self.findings.sort(key=lambda f: LEVELS.index(f.level))


def different(a: object, b: object) -> bool:
    """Whether two JSON values differ."""
    return json.dumps(a, sort_keys=True, default=str) != json.dumps(b, sort_keys=True, default=str)


def shown(names: Iterable[object], most: int = 3) -> str:
    """A few names for a sentence."""
    every = [plain_text(str(name), 60) for name in names]
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def registered(kind: str, name: str) -> Registration | None:
    """The registration of a name, None where no plugin here offers it."""
    try:
        return load_registry().find(kind, name)
    except Bench3DError:
        return None
