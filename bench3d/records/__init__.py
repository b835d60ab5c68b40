"""What one run leaves: its identity, its record, the store they live in, and where the numbers came from. No torch."""

from bench3d.records.identity import canonical_json, file_digest, identity_hash, identity_settings, short
from bench3d.records.locks import FileLock
from bench3d.records.schema import (
    SCHEMA,
    BootstrapNote,
    ChanceLevel,
    Choice,
    Cost,
    Fit,
    GroupScore,
    Identity,
    Marks,
    Provenance,
    Record,
    Score,
    Status,
    read_record,
    record_schema,
)
from bench3d.records.store import Attempt, RunStore, read_samples

__all__ = [
    "SCHEMA",
    "Attempt",
    "BootstrapNote",
    "ChanceLevel",
    "Choice",
    "Cost",
    "FileLock",
    "Fit",
    "GroupScore",
    "Identity",
    "Marks",
    "Provenance",
    "Record",
    "RunStore",
    "Score",
    "Status",
    "canonical_json",
    "file_digest",
    "identity_hash",
    "identity_settings",
    "read_record",
    "read_samples",
    "record_schema",
    "short",
]
