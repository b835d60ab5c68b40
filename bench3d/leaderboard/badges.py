"""What a maintainer has checked of a record: verification.json beside it, and the badge that it earns.

The file is bound to the record's identity and to the content of its sidecar, so that a record changed afterwards stands
without a badge. It counts because a maintainer committed it: a submission that brings one of its own is to be refused.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from bench3d.errors import DataError
from bench3d.files import write_json
from bench3d.records import Record, sidecar_of

if TYPE_CHECKING:
    from bench3d.leaderboard.entries import Badge

VERIFICATION = "verification.json"
SCHEMA = "bench3d.verification/1"
_MOST_BYTES = 1 << 16
_MOST_SAMPLE_BYTES = 1 << 30
_SKEW = timedelta(minutes=10)

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", max_length=200)]


class Verification(BaseModel):
    """What was computed again, and how well it agreed. Only a confirmed record has one.

    Attributes:
        samples, of: samples that were computed again, of how many.
        agreeing: share in [0, 1] of the compared values that lie within the tolerance.
        largest_deviation: of all values, as a multiple of its tolerance; 1 is just within.
        level: "samples", or "score" where fits had to be made again and only the scores can agree.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    schema_: Literal["bench3d.verification/1"] = Field(default="bench3d.verification/1", alias="schema")
    identity: Digest
    samples_sha256: Digest
    kind: Literal["sample-verified", "re-run"]
    samples: int = Field(ge=1)
    of: int = Field(ge=1)
    agreeing: float = Field(ge=0, le=1)
    largest_deviation: float = Field(ge=0)
    level: Literal["samples", "score"] = "samples"
    seed: int = 0
    device: Line = ""
    bench3d: Line = ""
    versions: dict[Line, Line] = Field(default_factory=dict, max_length=50)
    commit: Line | None = None
    date: datetime

    @model_validator(mode="after")
    def _agrees(self) -> Verification:
        if self.samples > self.of:
            raise ValueError(f"{self.samples} samples of {self.of}")
        if self.kind == "re-run" and self.samples < self.of:
            raise ValueError(f"a re-run of {self.samples} samples of {self.of}")
        if self.date.tzinfo is None:
            raise ValueError("the date has no time zone")
        return self


def badge_of(folder: Path, record: Record) -> tuple[Badge, str]:
    """The badge of the record in `folder`, and the reason in a sentence ("" where nothing was ever verified).

    Never raises for what stands in the folder: a verification that is malformed, from the future, or of another
    identity or sidecar counts as none, and the reason says so.
    """
    path = folder / VERIFICATION
    if not path.is_file():
        return "self-reported", ""
    try:
        found = read_verification(path)
        reason = _mismatch(found, folder, record)
    except DataError as error:
        return "self-reported", error.message
    if reason:
        return "self-reported", reason
    again = "all" if found.samples == found.of else f"{found.samples} of"
    how = ", with fits made again: the scores agree" if found.level == "score" else ""
    return found.kind, f"{again} {found.of} samples computed again on {found.date.date().isoformat()}{how}"


def read_verification(path: Path) -> Verification:
    """A verification, validated.

    Raises:
        DataError: missing, too large or malformed; names file and field.
    """
    try:
        with open(path, "rb") as handle:
            content = handle.read(_MOST_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}.") from error
    if len(content) > _MOST_BYTES:
        raise DataError(f"{path.name} is larger than {_MOST_BYTES} bytes.")
    try:
        return Verification.model_validate(json.loads(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "its fields"
        raise DataError(f"{path.name}, field {where}: {first['msg']}.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name} is no JSON.") from error


def write_verification(folder: Path, verification: Verification) -> Path:
    """Leaves verification.json in `folder`; OutputError where that cannot be written."""
    path = folder / VERIFICATION
    write_json(path, verification.model_dump(mode="json", by_alias=True))
    return path


def samples_digest(folder: Path) -> str | None:
    """SHA-256 of the samples in `folder`, unpacked where they are packed; None where there are none or too many."""
    path = sidecar_of(folder)
    digest, count = hashlib.sha256(), 0
    if path is None:
        return None
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as handle:
            for block in iter(lambda: handle.read(1 << 20), b""):
                digest.update(block)
                count += len(block)
                if count > _MOST_SAMPLE_BYTES:
                    return None
    except (OSError, EOFError, zlib.error):
        return None
    return digest.hexdigest()


def _mismatch(found: Verification, folder: Path, record: Record) -> str:
    if found.identity != record.identity.hash:
        return "the verification is of another identity"
    if record.status != "finished":
        return "the run did not finish"
    if found.of != record.samples:
        return f"the verification is of {found.of} samples and the record has {record.samples}"
    if record.samples_sha256 is not None and found.samples_sha256 != record.samples_sha256:
        return "the record names other samples than the verification"
    digest = samples_digest(folder)
    if digest is None:
        return "the samples are missing or broken"
    if digest != found.samples_sha256:
        return "the samples are not those that were verified"
    if found.date > datetime.now(timezone.utc) + _SKEW:
        return "the verification is from the future"
    return ""
