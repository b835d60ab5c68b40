"""Records with sidecars, written as a run writes them, of samples whose values are chosen by the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench3d.contracts import MetricSpec
from bench3d.records import Identity, Marks, Measure, Provenance, Record, RunStore, identity_hash
from bench3d.runner import aggregate

ACCURACY = MetricSpec(
    name="accuracy@30deg", value="error", reduce="fraction_below", unit="%", higher_is_better=True, threshold=30.0,
    chance={"random": "chance"},
)  # fmt: skip
MEDIAN = MetricSpec(name="median error", value="error", reduce="median", unit="deg", higher_is_better=False)


def measurement(backbone_name: str, /, **changes: Any) -> dict[str, Any]:
    """Of a made-up task on categories bus and car; a change of None stays."""
    return {
        "schema": "bench3d.measurement/1",
        "backbone": {"name": backbone_name, "result_version": 1, "settings": {"grid": 32}, "weights": None},
        "adapter": None,
        "shape_model": None,
        "task": {"name": "made-up", "result_version": 1, "settings": {"split": "plain"}},
        "protocol": {"name": "paper", "version": 1},
        "dataset": {
            "name": "made", "result_version": 1, "settings": {}, "synthetic": False,
            "fingerprints": {"bus": "b" * 64, "car": "c" * 64},
        },
        "fits": {}, "categories": ["bus", "car"], "limit": None, "seed": 0,
    } | changes  # fmt: skip


def samples(errors: dict[str, list[float]], groups: bool = True) -> list[dict[str, Any]]:
    """One sample per error, every one a cluster of its own."""
    return [
        {
            "id": f"{category}{i:04d}", "category": category, "cluster": f"{category}{i:04d}", "error": float(e),
            "chance": 0.1, "pose_ms": 5.0, **({"groups": {"angle": ("000-030", "030-060")[i % 2]}} if groups else {}),
        }
        for category, mine in errors.items()
        for i, e in enumerate(mine)
    ]  # fmt: skip


def write(results: Path, measured: dict[str, Any], values: list[dict[str, Any]], **changes: Any) -> Path:
    """Publishes a finished record of these samples; the path of record.json."""
    metrics = changes.pop("specs", (ACCURACY, MEDIAN))
    label = changes.pop("label", measured["backbone"]["name"])
    synthetic = bool(measured["dataset"]["synthetic"])
    record = Record(
        label=label,
        identity=Identity(measurement=measured, hash=identity_hash(measured)),
        headline=metrics[0].name,
        metrics=[Measure(**vars(m)) for m in metrics],
        scores=aggregate.scores(metrics, values, 0),
        groups=aggregate.groups(metrics, values, 0),
        chance=aggregate.chance_levels(metrics, values, 0),
        bootstrap=aggregate.bootstrap_note(0),
        samples=len(values),
        **{
            "status": "finished",
            "marks": Marks(synthetic_data=synthetic, random_weights=measured["backbone"]["weights"] == "random"),
            "provenance": Provenance(
                bench3d="0.1",
                commit="a" * 40,
                python="3",
                seed=0,
                time="2026-01-01T00:00:00+00:00",
                command="bench3d run",
            ),
            **changes,
        },
    )
    store = RunStore(results)
    attempt = store.begin(measured["task"]["name"], label, record.identity.hash, "made")
    attempt.add_samples(values)
    attempt.publish(record)
    return store.folder(measured["task"]["name"], label, record.identity.hash) / "record.json"
