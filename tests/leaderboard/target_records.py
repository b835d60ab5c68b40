"""Records of the runs that a target wants, with scores that were made up: what `reproduce` has to say is known then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench3d.files import write_json
from bench3d.grid.expand import expand
from bench3d.grid.files import read_grid
from bench3d.records import Fit, Identity, Marks, Provenance, Record, Score, identity_hash, identity_settings
from bench3d.runner import RunPlan, plan_run
from bench3d.runner.sources import DataSource
from bench3d.runner.spec import RunSpec

SHA = "0123456789abcdef" * 4


def specs(grid: str, **conditions: Any) -> list[RunSpec]:
    """The runs of a shipped grid whose fields are as given; `settings={"data.reference": "r0"}` too."""
    settings = conditions.pop("settings", {})

    def has(spec: RunSpec, path: str) -> Any:
        scope, _, key = path.partition(".")
        return spec.settings.get(scope, {}).get(key)

    return [
        cell.spec
        for cell in expand(read_grid(grid))
        if all(getattr(cell.spec, k) == v for k, v in conditions.items())
        and all(has(cell.spec, k) == v for k, v in settings.items())
    ]


def planned(spec: RunSpec, monkeypatch: pytest.MonkeyPatch, fingerprint: str = SHA) -> RunPlan:
    """The runner's own plan of a run, as if its data were there."""
    monkeypatch.setattr(DataSource, "fingerprint", lambda self, category: fingerprint)
    plan = plan_run(spec)
    assert plan.identity is not None
    return plan


def write(
    results: Path,
    plan: RunPlan,
    values: Mapping[str, Mapping[str, float]],
    *,
    marks: Marks | None = None,
    data_settings: bool = True,
    status: str = "finished",
    measurement: Mapping[str, Any] | None = None,
    interval: tuple[float, float] = (3.0, 3.0),
    unit: str = "%",
) -> Path:
    """A record of a plan: metric -> category -> value, with the interval value - low to value + high."""
    measured = dict(measurement or plan.measurement)
    digest = identity_hash(measured)
    scores = [
        Score(
            metric=metric, category=category, value=value, unit=unit, n=100,
            interval=(value - interval[0], value + interval[1]), clusters=50, interval_method="bootstrap",
            higher_is_better=True, version=1, order="image > category > mean",
        )
        for metric, row in values.items()
        for category, value in row.items()
    ]  # fmt: skip
    sources = [s for s in (plan.resolved.test, *plan.resolved.train.values()) if s is not None and data_settings]
    record = Record(
        label=plan.label,
        identity=Identity(measurement=measured, hash=digest),
        status=status,  # type: ignore[arg-type]
        headline=next(iter(values)),
        scores=scores,
        marks=marks or Marks(),
        fits=[
            Fit(component=j.component, category=j.category, recipe=str(j.recipe), digest=SHA, seconds=1.0)
            for j in plan.jobs
        ],
        provenance=Provenance(
            bench3d="0", python="3", seed=plan.spec.seed, time="2026-01-01T00:00:00Z", command="bench3d run",
            data_settings={s.component.name: identity_settings(s.component.settings) for s in sources},
        ),
        samples=100,
    )  # fmt: skip
    path = results / "runs" / str(plan.spec.task) / f"{plan.label}-{digest[:12]}" / "record.json"
    write_json(path, record.as_json())
    return path


def with_data(spec: RunSpec, **settings: Any) -> RunSpec:
    """The same run with other settings of its data."""
    data = {**spec.settings.get("data", {}), **settings}
    return replace(spec, settings={**spec.settings, "data": data})
