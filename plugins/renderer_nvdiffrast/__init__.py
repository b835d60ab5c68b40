"""Registers the CUDA renderer over nvdiffrast."""

from __future__ import annotations

from bench3d.contracts.registration import RendererRegistration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[RendererRegistration]:
    """The renderer for CUDA, where nvdiffrast is installed."""
    return [
        RendererRegistration(
            name="nvdiffrast",
            summary="NVIDIA's CUDA rasteriser (licence: non-commercial research and evaluation)",
            factory="bench3d_plugins.renderer_nvdiffrast.renderer:create",
            devices=("cuda",),
            priority=10,
            licence="NVIDIA Source Code License (1-Way Commercial)",
            citation="Laine et al. 2020, Modular Primitives for High-Performance Differentiable Rendering",
            url="https://github.com/NVlabs/nvdiffrast",
            extras=("nvdiffrast",),
            install="pip install --no-build-isolation git+https://github.com/NVlabs/nvdiffrast@v0.4.0",
        )
    ]
