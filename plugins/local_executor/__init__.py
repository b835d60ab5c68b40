"""Executor `local`: slots on one machine."""

from __future__ import annotations

from bench3d.contracts.registration import ExecutorRegistration, Registration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[Registration]:
    """The executor `local`."""
    return [
        ExecutorRegistration(
            name="local",
            summary="Slots on this machine: one child process per GPU or group of cores.",
            factory="bench3d_plugins.local_executor.executor:create",
            licence="Apache-2.0",
            settings="bench3d_plugins.local_executor.settings:LocalSettings",
            default=True,
        )
    ]
