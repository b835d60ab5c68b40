"""Registers the CPU renderer."""

from __future__ import annotations

from bench3d.contracts.registration import RendererRegistration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[RendererRegistration]:
    """The renderer that works everywhere."""
    return [
        RendererRegistration(
            name="cpu",
            summary="numba rasteriser with silhouette gradients; tensors on a GPU are copied to the CPU and back",
            factory="bench3d_plugins.renderer_cpu.renderer:create",
            licence="Apache-2.0",
            devices=("cpu", "cuda"),
        )
    ]
