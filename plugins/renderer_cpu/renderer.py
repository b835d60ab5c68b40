"""The CPU renderer: torch autograd around the numba kernels of `bench3d.render.raster` and of this plugin."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from bench3d.contracts.renderer import Renderer
from bench3d.render import raster as cpu_raster
from bench3d_plugins.renderer_cpu import barycentric, silhouettes
from bench3d_plugins.renderer_cpu.topology import TopologyCache

WALK = 16
"""Triangles that the antialiasing follows across the surface towards a silhouette; 0 is the paper's algorithm."""

_TOPOLOGIES = TopologyCache()


class CpuRenderer(Renderer):
    """See `bench3d.contracts.renderer.Renderer`. Tensors on another device are copied to the CPU and back."""

    name = "cpu"

    def __init__(self, walk: int = WALK) -> None:
        self.walk = walk

    def rasterize(self, clip: torch.Tensor, faces: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """The nearest triangle of every pixel; gradients of u, v to `clip`."""
        return _Rasterize.apply(clip, faces, size)

    def interpolate(self, attributes: torch.Tensor, raster: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        """Attributes at every pixel; gradients to `attributes` and to u, v of `raster`."""
        return _Interpolate.apply(attributes, raster, faces)

    def antialias(
        self, colour: torch.Tensor, raster: torch.Tensor, clip: torch.Tensor, faces: torch.Tensor
    ) -> torch.Tensor:
        """Silhouettes blended; gradients to `colour` and `clip`."""
        return _Antialias.apply(colour, raster, clip, faces, self.walk)


def create(device: str = "cpu") -> CpuRenderer:
    """The factory of the registration; `device` is where the caller's tensors live."""
    del device
    return CpuRenderer()


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, clip: torch.Tensor, faces: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        raster = torch.from_numpy(cpu_raster.rasterize(_floats(clip), _integers(faces), size)).to(clip.device)
        ctx.save_for_backward(clip, faces, raster)
        return raster

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        clip, faces, raster = ctx.saved_tensors
        out = barycentric.rasterize_gradient(_floats(clip), _integers(faces), _floats(raster), _floats(grad))
        return torch.from_numpy(out).to(clip), None, None


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, attributes: torch.Tensor, raster: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        values, image, triangles = _floats(attributes), _floats(raster), _integers(faces)
        if values.ndim != 3 or values.shape[0] not in (1, image.shape[0]):
            raise ValueError(f"attributes must be ({image.shape[0]} or 1, V, C), not {values.shape}")
        _check_raster(image, triangles, values.shape[1])
        ctx.save_for_backward(attributes, raster, faces)
        return torch.from_numpy(barycentric.interpolate(values, image, triangles)).to(attributes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        attributes, raster, faces = ctx.saved_tensors
        image, triangles, slope = _floats(raster), _integers(faces), _floats(grad)
        to_attributes = to_raster = None
        if ctx.needs_input_grad[0]:
            out = barycentric.interpolate_attribute_gradient(tuple(attributes.shape), image, triangles, slope)
            to_attributes = torch.from_numpy(out).to(attributes)
        if ctx.needs_input_grad[1]:
            out = barycentric.interpolate_weight_gradient(_floats(attributes), image, triangles, slope)
            to_raster = torch.from_numpy(out).to(raster)
        return to_attributes, to_raster, None


class _Antialias(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, colour: torch.Tensor, raster: torch.Tensor, clip: torch.Tensor, faces: torch.Tensor, walk: int
    ) -> torch.Tensor:
        pixels, image, points, triangles = _floats(colour), _floats(raster), _floats(clip), _integers(faces)
        if pixels.ndim != 4 or pixels.shape[:3] != image.shape[:3] or points.shape[0] != image.shape[0]:
            raise ValueError(f"colour {pixels.shape}, raster {image.shape} and clip {points.shape} do not fit")
        cpu_raster.check_mesh(points, triangles)
        _check_raster(image, triangles, points.shape[1])
        ctx.topology = _TOPOLOGIES.get(triangles)
        ctx.offsets, ctx.edges = silhouettes.find_crossings(image, points, ctx.topology, walk)
        ctx.save_for_backward(colour, clip)
        return torch.from_numpy(silhouettes.blend(pixels, ctx.offsets, False)).to(colour)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, None, torch.Tensor | None, None, None]:
        colour, clip = ctx.saved_tensors
        slope = _floats(grad)
        to_colour = to_clip = None
        if ctx.needs_input_grad[0]:
            to_colour = torch.from_numpy(silhouettes.blend(slope, ctx.offsets, True)).to(colour)
        if ctx.needs_input_grad[2]:
            out = silhouettes.position_gradient(
                _floats(colour), slope, _floats(clip), ctx.topology, ctx.offsets, ctx.edges
            )
            to_clip = torch.from_numpy(out).to(clip)
        return to_colour, None, to_clip, None, None


def _floats(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()


def _integers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.int32).contiguous().numpy()


def _check_raster(raster: np.ndarray, faces: np.ndarray, vertices: int) -> None:
    """The kernels index without checking: a raster of other faces must not reach them."""
    if raster.ndim != 4 or raster.shape[3] != 4:
        raise ValueError(f"raster must be (B, H, W, 4), not {raster.shape}")
    if raster.size and raster[..., 3].max() > len(faces):
        raise ValueError(f"the raster names triangle {int(raster[..., 3].max())} of {len(faces)}: it is of other faces")
    if len(faces) and (faces.min() < 0 or faces.max() >= vertices):
        raise ValueError(f"face indices must lie in [0, {vertices}), found {faces.min()} to {faces.max()}")
