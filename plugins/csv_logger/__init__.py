"""Logger `csv`: a line per record and per report of a fit, in files that a spreadsheet opens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench3d.contracts import LoggerRegistration, Registration
from bench3d.plugins import hookimpl
from bench3d.plugins.logs import Logger

_logger = Logger("csv")


@hookimpl
def bench3d_register() -> list[Registration]:
    """The logger `csv`."""
    return [
        LoggerRegistration(
            name="csv",
            summary="CSV files: runs.csv with a line per record, fits/ with the training of each fit.",
            factory="bench3d_plugins.csv_logger.tables:create",
            target="DIR",
            default="bench3d-logs",
            folder=True,
            licence="Apache-2.0",
        )
    ]


@hookimpl
def bench3d_run_finished(record: Any) -> None:
    """A line of runs.csv."""
    _logger.tell("run_finished", record=record)


@hookimpl
def bench3d_fit_step(
    component: str, category: str | None, recipe: str, stage: str, step: int, values: Mapping[str, float]
) -> None:
    """Lines of the fit's own file, one for each value."""
    _logger.tell(
        "fit_step", component=component, category=category, recipe=recipe, stage=stage, step=step, values=values
    )
