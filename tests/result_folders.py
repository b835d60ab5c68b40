"""Results folders with really made records of a made-up task: scores from their samples, sidecar, digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench3d.contracts import MetricSpec
from bench3d.records import Cost, Identity, Marks, Measure, Provenance, Record, RunStore, identity_hash
from bench3d.runner.aggregate import bootstrap_note, chance_levels, groups, scores

ACCURACY = MetricSpec(
    name="accuracy@30deg", value="error_deg", reduce="fraction_below", threshold=30.0, unit="%", higher_is_better=True,
    tolerance=0.5,
)  # fmt: skip
MEDIAN = MetricSpec(name="median error", value="error_deg", reduce="median", unit="deg", higher_is_better=False)
METRICS = (ACCURACY, MEDIAN)
FINGERPRINTS = {name: identity_hash({"data of": name}) for name in ("bus", "car", "chair")}
Errors = Mapping[str, Sequence[float]]


def samples_of(errors: Errors) -> list[dict[str, Any]]:
    """A sample per error, each of an object of its own."""
    return [
        {
            "id": f"{category}-{i:03d}",
            "category": category,
            "cluster": f"{category}-object-{i}",
            "error_deg": float(error),
            "groups": {"azimuth": "000-090" if i % 2 else "090-180"},
            "pose_ms": 12.0,
        }
        for category, found in errors.items()
        for i, error in enumerate(found)
    ]


def measurement_of(categories: Sequence[str], backbone: str = "hog", **parts: Any) -> dict[str, Any]:
    """What was measured; `parts` replace its own."""
    return {
        "schema": "bench3d.measurement/1",
        "backbone": {"name": backbone, "result_version": 1, "settings": {"grid": 32}, "weights": None},
        "adapter": None,
        "shape_model": None,
        "task": {"name": "toy-pose", "result_version": 1, "settings": {"split": "plain"}},
        "protocol": {"name": "paper", "version": 1},
        "dataset": {
            "name": "toys", "result_version": 1, "settings": {}, "synthetic": False,
            "fingerprints": {c: FINGERPRINTS[c] for c in categories},
        },
        "fits": {},
        "categories": list(categories),
        "limit": None,
        "seed": 0,
    } | parts  # fmt: skip


def make_run(
    results: Path,
    errors: Errors,
    *,
    backbone: str = "hog",
    metrics: Sequence[MetricSpec] = METRICS,
    samples: Sequence[Mapping[str, Any]] | None = None,
    measured: Mapping[str, Any] | None = None,
    time: str = "2026-01-01T00:00:00Z",
    **changes: Any,
) -> Path:
    """Publishes a finished run (`changes` are fields of its record) and gives its record.json."""
    values = list(samples) if samples is not None else samples_of(errors)
    measurement = measurement_of(sorted({str(v["category"]) for v in values}), backbone, **(measured or {}))
    fields: dict[str, Any] = {
        "label": f"{backbone}-paper",
        "identity": Identity(measurement=measurement, hash=identity_hash(measurement)),
        "status": "finished",
        "headline": metrics[0].name,
        "metrics": [Measure(**asdict(m)) for m in metrics],
        "scores": scores(metrics, values, 0),
        "groups": groups(metrics, values, 0),
        "chance": chance_levels(metrics, values, 0),
        "bootstrap": bootstrap_note(0),
        "oracles": ["intrinsics"],
        "marks": Marks(synthetic_data=bool(measurement["dataset"]["synthetic"])),
        "cost": Cost(parameters=1000, seconds_per_image={"pose": 0.012}),
        "provenance": Provenance(
            bench3d="0.1.0", python="3.11", commit="c0ffee", device="cpu", seed=0, time=time, command="bench3d run"
        ),
        "samples": len(values),
    }
    record = Record(**(fields | changes))
    name = measurement["task"]["name"]
    attempt = RunStore(results).begin(name, record.label, record.identity.hash, "s")
    attempt.add_samples(values)
    attempt.publish(record)
    return attempt.final / "record.json"
