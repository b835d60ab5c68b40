"""Logger `wandb`: Weights & Biases, online or (WANDB_MODE=offline) into a folder to be synchronised later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench3d.contracts import LoggerRegistration, Registration
from bench3d.plugins import hookimpl
from bench3d.plugins.logs import Logger

_logger = Logger("wandb")


@hookimpl
def bench3d_register() -> list[Registration]:
    """The logger `wandb`."""
    return [
        LoggerRegistration(
            name="wandb",
            summary="Weights & Biases: a run per record, a run per fit; WANDB_MODE=offline needs no network.",
            factory="bench3d_plugins.wandb_logger.runs:create",
            target="[ENTITY/]PROJECT",
            default="bench3d",
            extras=("wandb",),
            install="pip install 'bench3d[wandb]'",
            licence="Apache-2.0; wandb: MIT",
            url="https://docs.wandb.ai",
        )
    ]


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
def bench3d_fit_finished(recipe: str, facts: Mapping[str, Any]) -> None:
    """Ends the fit's run."""
    _logger.tell("fit_finished", recipe=recipe, facts=facts)
