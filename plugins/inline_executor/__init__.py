"""Executor `inline`: one job after another in this process."""

from __future__ import annotations

from bench3d.contracts.registration import ExecutorRegistration, Registration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[Registration]:
    """The executor `inline`."""
    return [
        ExecutorRegistration(
            name="inline",
            summary="One job after another in this process, for debugging.",
            factory="bench3d_plugins.inline_executor.executor:create",
            licence="Apache-2.0",
            settings="bench3d_plugins.inline_executor.settings:InlineSettings",
        )
    ]
