"""Executor `slurm`: job arrays through submitit."""

from __future__ import annotations

from bench3d.contracts.registration import ExecutorRegistration, Registration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[Registration]:
    """The executor `slurm`."""
    return [
        ExecutorRegistration(
            name="slurm",
            summary="Arrays of jobs on a SLURM cluster, through submitit.",
            factory="bench3d_plugins.slurm_executor.executor:create",
            settings="bench3d_plugins.slurm_executor.settings:SlurmSettings",
            extras=("submitit",),
            install="pip install 'bench3d[slurm]'",
            licence="Apache-2.0; submitit: MIT",
            url="https://github.com/facebookincubator/submitit",
        )
    ]
