"""Runs on their way into a table: how their metrics come from the sidecar, and the rows that these give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench3d.contracts import MetricSpec, TaskRegistration
from bench3d.errors import Bench3DError, DataError
from bench3d.leaderboard.entries import Entry
from bench3d.leaderboard.samples import Columns, MetricRows, metric_rows
from bench3d.plugins import load_registry, load_settings
from bench3d.records import Record
from bench3d.records.sidecar import iter_samples


@dataclass
class Run:
    """A run on its way into a table: its entry, and the rows of its metrics where it takes part in ranks."""

    entry: Entry
    unranked: str = ""
    rows: dict[str, MetricRows] = field(default_factory=dict)


def specs_of(entries: Sequence[Entry]) -> dict[str, MetricSpec]:
    """How the metrics of a table come from sidecars, as the newest of its records says."""
    told = [e.record for e in entries if e.record.metrics]
    if told:
        newest = max(told, key=lambda r: r.provenance.time)
        return {m.name: MetricSpec(**m.model_dump()) for m in newest.metrics}
    return installed_metrics(entries[0].record)


def installed_metrics(record: Record) -> dict[str, MetricSpec]:
    """How the installed task computes its metrics with a record's settings; empty where that is not installed."""
    measured = record.identity.measurement
    task, wanted = measured.get("task") or {}, measured.get("protocol") or {}
    registry = load_registry()
    if task.get("name") not in registry.names("task"):
        return {}
    registration = registry.get("task", str(task["name"]))
    if not isinstance(registration, TaskRegistration) or registration.result_version != task.get("result_version"):
        return {}
    protocol = next((p for p in registration.protocols if p.name == wanted.get("name")), None)
    try:
        settings = load_settings(registration, overrides=task.get("settings") or {})
        made: Any = registry.create("task", registration.name, settings=settings, protocol=protocol)
    except Bench3DError:
        return {}
    return {spec.name: spec for spec in made.metrics}


def read_run(entry: Entry, specs: Mapping[str, MetricSpec], oracles: Sequence[str]) -> Run:
    """A run with the rows of its metrics; DataError where its sidecar is broken or another one's.

    `oracles` are what every run of the table was given: one that was given more takes no part in ranks.
    """
    record = entry.record
    if why := _unranked(entry, specs, oracles):
        return Run(entry, why)
    assert entry.sidecar is not None
    samples = iter_samples(entry.sidecar, max_bytes=None, keys_once=False)
    try:
        columns = Columns.of(samples)
    except KeyError as error:
        raise DataError(f"{entry.sidecar.name}: a line lacks {error}.") from error
    except (TypeError, AttributeError) as error:
        raise DataError(f"{entry.sidecar.name} is no sidecar: {error}.") from error
    if record.samples_sha256 is not None and samples.sha256 != record.samples_sha256:
        raise DataError(f"{entry.sidecar.name} is not the sidecar that this record was published with.")
    run = Run(entry)
    for name, spec in specs.items():
        if record.score(name) is None:
            continue
        try:
            run.rows[name] = metric_rows(spec, columns)
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(f"{entry.sidecar.name}, metric {name}: {error}.") from error
    if record.headline not in run.rows:
        run.unranked = "no values of single samples"
    return run


def _unranked(entry: Entry, specs: Mapping[str, MetricSpec], oracles: Sequence[str]) -> str:
    """Why a run takes no part in ranks, whatever its values; empty where it does."""
    if entry.record.marks.random_weights:
        return "random weights"
    if more := [name for name in entry.record.oracles if name not in oracles]:
        return f"also given {', '.join(more)}"
    return "" if entry.sidecar is not None and specs else "no values of single samples"
