"""The records that a leaderboard is made of: found in results folders and among the committed ones, read safely."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench3d.records import Record

Badge = Literal["self-reported", "sample-verified", "re-run"]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A record that is not on the board, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Entry:
    """A record, where it came from, and what a maintainer has checked of it.

    Attributes:
        record: validated, its texts free of control characters.
        path: record.json.
        sidecar: samples.jsonl or samples.jsonl.gz, None where it is missing.
        badge: "self-reported" without a verification file of a maintainer beside it.
    """

    record: Record
    path: Path
    sidecar: Path | None
    badge: Badge = "self-reported"
