"""The record of one run, `bench3d.record/2`. Its JSON Schema is public: `record_schema()`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench3d.errors import DataError, UsageError
from bench3d.records.identity import identity_hash
from bench3d.records.upgrade import upgraded

SCHEMA = "bench3d.record/2"
IntervalMethod = Literal["bootstrap", "student-t", "wilson"]
Status = Literal["finished", "interrupted", "out-of-memory", "failed", "running"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Identity(_Part):
    """What was measured. `hash` is the SHA-256 of the canonical JSON of `measurement`."""

    measurement: dict[str, Any]
    hash: str = Field(pattern="^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _agrees(self) -> Identity:
        if identity_hash(self.measurement) != self.hash:
            raise ValueError("the hash is not that of the measurement")
        return self


class Measure(_Part):
    """How a metric comes from the sidecar: the fields of `bench3d.contracts.MetricSpec`, which explains them."""

    name: str
    value: str
    reduce: str
    unit: str
    higher_is_better: bool
    threshold: float | None = None
    version: int = 1
    over: Literal["samples", "parts", "clusters"] = "samples"
    weight: str | None = None
    across: Literal["macro", "samples", "pooled"] = "macro"
    order: str = ""
    chance: dict[str, str] | None = None
    grouped: bool = True
    tolerance: float | None = None


class Score(_Part):
    """One metric of one category, or of all ("mean": unweighted mean over categories)."""

    metric: str
    category: str
    value: float
    unit: str
    n: int = Field(ge=1, description="samples behind the value")
    interval: tuple[float, float] | None = Field(default=None, description="None: fewer than two clusters")
    clusters: int | None = Field(default=None, description="clusters behind the interval")
    interval_method: IntervalMethod | None = Field(
        default=None, description="student-t: fewer than 30 effective clusters; wilson: a fraction"
    )
    higher_is_better: bool
    version: int
    order: str
    threshold: float | None = None
    inequality: Literal["<", "<="] | None = None


class GroupScore(_Part):
    """One metric of a part of a category's samples, e.g. by="azimuth", bin="330-30"."""

    metric: str
    category: str
    by: str
    bin: str
    value: float
    unit: str
    n: int = Field(ge=1)
    interval: tuple[float, float] | None = None
    interval_method: IntervalMethod | None = None


class ChanceLevel(_Part):
    """What an estimator that never looks at the image would score, exactly (no random draw)."""

    metric: str
    name: str
    category: str
    value: float
    unit: str
    n: int = Field(ge=1)
    margin: tuple[float, float] | None = Field(default=None, description="interval of score minus chance, paired")


class BootstrapNote(_Part):
    """How the intervals were made, so that a validator can make them again."""

    method: str = "bench3d.metrics.intervals: bootstrap, Wilson or Student's t over clusters, inside each category"
    draws: int
    level: float
    seed: int


class Marks(_Part):
    """What keeps a record from ranking beside real ones."""

    synthetic_data: bool = False
    random_weights: bool = False
    limited: int | None = Field(default=None, description="samples per category, where --limit was given")


class Fit(_Part):
    """A fitted artifact that the run used: `recipe` is what went in, `digest` what came out."""

    component: str
    category: str | None
    recipe: str
    digest: str
    seconds: float | None = None


class Cost(_Part):
    """Time, memory and size."""

    parameters: int | None = Field(default=None, description="of the backbone")
    fitted_parameters: dict[str, int] = Field(default_factory=dict, description="of the fits, by category")
    fit_seconds: float | None = Field(default=None, description="of all fits used, whenever they were made")
    evaluate_seconds: float | None = None
    seconds_per_image: dict[str, float] = Field(default_factory=dict, description="by part, mean over samples")
    peak_memory_bytes: int | None = Field(default=None, description="of the process, resident")
    peak_device_bytes: int | None = None
    batch: int | None = Field(default=None, description="the batch size in use at the end")


class Provenance(_Part):
    """Where the numbers came from. Names no person, host or absolute path."""

    bench3d: str
    commit: str | None = Field(
        default=None, description="of the package's own source tree; -dirty where it was changed"
    )
    python: str
    libraries: dict[str, str] = Field(default_factory=dict)
    platform: str = ""
    device: str = ""
    threads: int | None = None
    weights: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, str] = Field(default_factory=dict, description="dataset/category -> fingerprint")
    data_settings: dict[str, Any] = Field(
        default_factory=dict, description="by data set, those of training included, which the identity holds as a hash"
    )
    twin: dict[str, Any] | None = Field(
        default=None, description="what the synthetic twin was made from; the identity holds its fingerprints"
    )
    preset: str | None = Field(default=None, description="of the shape model; its settings are in the identity")
    seed: int
    time: str = Field(description="start, ISO 8601 in UTC")
    command: str = ""


class Choice(_Part):
    """A setting that was chosen on validation data: the candidates and their scores, the best one first."""

    setting: str
    chosen: int | float | str
    metric: str
    higher_is_better: bool
    scores: list[tuple[int | float | str, float]]
    data: dict[str, Any] = Field(default_factory=dict, description="the validation data: settings and samples")


class Record(_Part):
    """Everything one run leaves; samples.jsonl beside it holds every sample's values."""

    schema_: Literal["bench3d.record/2"] = Field(default="bench3d.record/2", alias="schema")
    label: str
    identity: Identity
    status: Status
    message: str | None = None
    headline: str = Field(default="", description="the metric that a leaderboard sorts by")
    metrics: list[Measure] = Field(default_factory=list, description="empty in a record of an older schema")
    scores: list[Score] = Field(default_factory=list)
    groups: list[GroupScore] = Field(default_factory=list)
    chance: list[ChanceLevel] = Field(default_factory=list)
    bootstrap: BootstrapNote | None = None
    oracles: list[str] = Field(default_factory=list)
    marks: Marks = Field(default_factory=Marks)
    fits: list[Fit] = Field(default_factory=list)
    cost: Cost = Field(default_factory=Cost)
    provenance: Provenance
    notes: list[str] = Field(default_factory=list, description="what a reader of the numbers has to know")
    choices: list[Choice] = Field(default_factory=list, description="settings that were chosen on validation data")
    samples: int = Field(default=0, description="lines of samples.jsonl")
    samples_sha256: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="of samples.jsonl; None in a record of an older schema"
    )
    pictures: list[str] = Field(default_factory=list, description="relative to the record")

    def score(self, metric: str, category: str = "mean") -> Score | None:
        """One score, None where it is not there."""
        return next((s for s in self.scores if s.metric == metric and s.category == category), None)

    def as_json(self) -> dict[str, Any]:
        """The JSON value that is written to record.json."""
        return self.model_dump(mode="json", by_alias=True)


def record_schema() -> dict[str, Any]:
    """JSON Schema of a record file."""
    schema = Record.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, **schema}


def _parsed(text: bytes) -> Any:
    """JSON, read fast; what the fast reader does not take, the standard library's judges. ValueError from that one."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text.decode("utf-8"))


def read_record(path: Path) -> Record:
    """Reads and validates a record file; one of an older schema is upgraded.

    Raises:
        DataError: missing, no JSON, or not a record: names file and field.
    """
    try:
        value = _parsed(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except RecursionError as error:
        raise DataError(f"{path} is no record: it is nested too deeply.") from error
    except ValueError as error:
        raise DataError(f"{path} is no JSON: {error}.", "Delete it, or run again with --force.") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} is no record: its top level is no object.", "Delete it, or run again with --force.")
    value = upgraded(value, SCHEMA)
    if value.get("schema") != SCHEMA:
        raise DataError(
            f"{path}, field schema: {str(value.get('schema'))[:80]!r} is not {SCHEMA}.",
            "A newer bench3d may have written it: pip install -U bench3d.",
        )
    try:
        return Record.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"{path}, field {field}: {first['msg']}.", "Delete the file, or run again with --force."
        ) from error
    except UsageError as error:  # what has no place in an identity, such as a NaN
        raise DataError(f"{path}, field identity: {error}", "Delete the file, or run again with --force.") from error
