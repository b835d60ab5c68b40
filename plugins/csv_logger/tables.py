"""What stands in the columns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench3d.records import Record, short
from bench3d_plugins.csv_logger.lines import Cell, append

RUNS = (
    "identity", "label", "status", "task", "protocol", "headline", "unit", "value", "low", "high", "n", "marks",
    "seconds", "fit_seconds", "memory_bytes", "time", "message",
)  # fmt: skip
"""Columns of runs.csv: `value` is the headline metric's over all categories, `low` and `high` its interval, `seconds`
of the evaluation, `fit_seconds` of all fits used, `time` when the run began (UTC)."""
FIT = ("stage", "step", "name", "value", "time")
"""Columns of a fit's file. A fit that went on may have a step twice: the later line counts."""


class Tables:
    """The files under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run_finished(self, record: Record) -> None:
        """A line of runs.csv, whatever the run's status.

        Raises:
            OutputError: it cannot be written.
        """
        append(self.folder / "runs.csv", RUNS, [run_row(record)])

    def fit_step(
        self, component: str, category: str | None, recipe: str, stage: str, step: int, values: Mapping[str, float]
    ) -> None:
        """Lines of fits/<component>-<category>-<recipe>.csv, one for each value.

        Raises:
            OutputError: it cannot be written.
        """
        name = "-".join((_file_name(component), _file_name(category or "all"), short(recipe)))
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        rows = [(stage, step, key, float(value), now) for key, value in values.items()]
        append(self.folder / "fits" / f"{name}.csv", FIT, rows)


def run_row(record: Record) -> list[Cell]:
    """The cells of a record, in the order of `RUNS`."""
    score, measurement = record.score(record.headline), record.identity.measurement
    low, high = (score.interval if score is not None else None) or (None, None)
    return [
        record.identity.hash,
        record.label,
        record.status,
        _name(measurement.get("task")),
        _name(measurement.get("protocol")),
        record.headline,
        score.unit if score is not None else None,
        score.value if score is not None else None,
        low,
        high,
        score.n if score is not None else None,
        " ".join(_marks(record)),
        record.cost.evaluate_seconds,
        record.cost.fit_seconds,
        record.cost.peak_memory_bytes,
        record.provenance.time,
        record.message,
    ]


def _marks(record: Record) -> list[str]:
    marks = record.marks
    found = ["synthetic-data"] if marks.synthetic_data else []
    found += ["random-weights"] if marks.random_weights else []
    return [*found, f"limit={marks.limited}"] if marks.limited is not None else found


def _name(part: Any) -> str | None:
    return str(part["name"]) if isinstance(part, Mapping) and "name" in part else None


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text)


def create(target: str) -> Tables:
    """The logger that writes into the folder `target`."""
    return Tables(Path(target))
