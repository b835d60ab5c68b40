"""What one run leaves: its identity, its record, the store they live in, and where the numbers came from. No torch."""

from bench3d.records.attempts import newest, publish_folder
from bench3d.records.claims import Busy, Claim, Holder, Watch, holder
from bench3d.records.identity import canonical_json, file_digest, identity_hash, identity_settings, short
from bench3d.records.index import RunFacts, RunIndex
from bench3d.records.schema import (
    SCHEMA,
    BootstrapNote,
    ChanceLevel,
    Choice,
    Cost,
    Fit,
    GroupScore,
    Identity,
    IntervalMethod,
    Marks,
    Measure,
    Provenance,
    Record,
    Score,
    Status,
    read_record,
    record_schema,
)
from bench3d.records.sidecar import SampleStream, iter_samples, read_samples, sidecar_of
from bench3d.records.store import Attempt, RunStore

__all__ = [
    "SCHEMA",
    "Attempt",
    "BootstrapNote",
    "Busy",
    "ChanceLevel",
    "Choice",
    "Claim",
    "Cost",
    "Fit",
    "GroupScore",
    "Holder",
    "Identity",
    "IntervalMethod",
    "Marks",
    "Measure",
    "Provenance",
    "Record",
    "RunFacts",
    "RunIndex",
    "RunStore",
    "SampleStream",
    "Score",
    "Status",
    "Watch",
    "canonical_json",
    "file_digest",
    "holder",
    "identity_hash",
    "identity_settings",
    "iter_samples",
    "newest",
    "publish_folder",
    "read_record",
    "read_samples",
    "record_schema",
    "short",
    "sidecar_of",
]
