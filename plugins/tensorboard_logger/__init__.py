"""Logger `tensorboard`: scores, settings, training and pictures as TensorBoard shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench3d.contracts import LoggerRegistration, Registration
from bench3d.plugins import hookimpl
from bench3d.plugins.logs import Logger

_logger = Logger("tensorboard")


@hookimpl
def bench3d_register() -> list[Registration]:
    """The logger `tensorboard`."""
    return [
        LoggerRegistration(
            name="tensorboard",
            summary="TensorBoard: scores, settings, training losses and pictures, a folder per run and fit.",
            factory="bench3d_plugins.tensorboard_logger.board:create",
            target="DIR",
            default="bench3d-logs/tensorboard",
            folder=True,
            extras=("tensorboard",),
            install="pip install 'bench3d[tensorboard]'",
            licence="Apache-2.0; TensorBoard: Apache-2.0",
            url="https://www.tensorflow.org/tensorboard",
        )
    ]


@hookimpl
def bench3d_run_started(plan: Any) -> None:
    """Notes where the run's pictures will be."""
    _logger.tell("run_started", plan=plan)


@hookimpl
def bench3d_run_finished(record: Any) -> None:
    """Writes the run."""
    _logger.tell("run_finished", record=record)


@hookimpl
def bench3d_fit_step(
    component: str, category: str | None, recipe: str, stage: str, step: int, values: Mapping[str, float]
) -> None:
    """Writes a report of a fit."""
    _logger.tell(
        "fit_step", component=component, category=category, recipe=recipe, stage=stage, step=step, values=values
    )


@hookimpl
def bench3d_fit_finished() -> None:
    """Ends the fit's file."""
    _logger.tell("fit_finished")
