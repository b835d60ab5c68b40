"""Executor `ray`: tasks of a Ray cluster."""

from __future__ import annotations

from bench3d.contracts.registration import ExecutorRegistration, Registration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[Registration]:
    """The executor `ray`."""
    return [
        ExecutorRegistration(
            name="ray",
            summary="Tasks on a Ray cluster, or on Ray started on this machine.",
            factory="bench3d_plugins.ray_executor.executor:create",
            settings="bench3d_plugins.ray_executor.settings:RaySettings",
            extras=("ray",),
            install="pip install 'bench3d[ray]'",
            licence="Apache-2.0; Ray: Apache-2.0",
            url="https://docs.ray.io",
        )
    ]
