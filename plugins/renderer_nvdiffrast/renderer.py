"""The renderer contract over nvdiffrast's CUDA rasteriser (Laine et al. 2020).

nvdiffrast's first row in memory is the one at y_ndc = -1, which is the contract's top row: no flip is needed. Its z/w,
u, v and triangle id + 1 are the contract's.
"""

from __future__ import annotations

from typing import Any

import torch

from bench3d.contracts.renderer import Renderer
from bench3d.errors import PluginError


class NvdiffrastRenderer(Renderer):
    """See `bench3d.contracts.renderer.Renderer`. All tensors live on one CUDA device."""

    name = "nvdiffrast"

    def __init__(self, device: str = "cuda") -> None:
        self._dr = _import()
        try:
            self._context = self._dr.RasterizeCudaContext(device=torch.device(device))
        except RuntimeError as error:
            raise PluginError(
                f"nvdiffrast cannot draw on {device}: {error}.", "Check the CUDA driver, or use the cpu renderer."
            ) from error

    def rasterize(self, clip: torch.Tensor, faces: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """The nearest triangle of every pixel; gradients of u, v to `clip`."""
        clip, faces = _floats(clip), _integers(faces)
        if clip.shape[0] == 0 or len(faces) == 0:
            return clip.new_zeros((clip.shape[0], *size, 4))
        behind = (clip.detach()[..., 3] <= 0)[:, faces.long()].any(dim=-1)
        if not bool(behind.any()):
            return self._draw(clip, faces, size)
        # nvdiffrast would clip these triangles, the contract drops them: draw image by image without them.
        images = [self._draw_some(clip[b : b + 1], faces, ~behind[b], size) for b in range(clip.shape[0])]
        return torch.cat(images)

    def interpolate(self, attributes: torch.Tensor, raster: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        """Attributes at every pixel; gradients to `attributes` and to u, v of `raster`."""
        if raster.shape[0] == 0 or len(faces) == 0:
            return raster.new_zeros((*raster.shape[:3], attributes.shape[2]))
        return self._dr.interpolate(_floats(attributes), raster.contiguous(), _integers(faces))[0]

    def antialias(
        self, colour: torch.Tensor, raster: torch.Tensor, clip: torch.Tensor, faces: torch.Tensor
    ) -> torch.Tensor:
        """Silhouettes blended; gradients to `colour` and `clip`."""
        if raster.shape[0] == 0 or len(faces) == 0:
            return colour
        return self._dr.antialias(_floats(colour), raster.contiguous(), _floats(clip), _integers(faces))

    def _draw(self, clip: torch.Tensor, faces: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        return self._dr.rasterize(self._context, clip, faces, resolution=list(size), grad_db=False)[0]

    def _draw_some(
        self, clip: torch.Tensor, faces: torch.Tensor, keep: torch.Tensor, size: tuple[int, int]
    ) -> torch.Tensor:
        """One image of the faces that `keep` (F,) selects, with the ids of all faces."""
        kept = torch.nonzero(keep)[:, 0]
        if len(kept) == 0:
            return clip.new_zeros((1, *size, 4))
        raster = self._draw(clip, faces[kept].contiguous(), size)
        ids = torch.cat([kept.new_zeros(1), kept + 1])[raster.detach()[..., 3].long()]
        return torch.cat([raster[..., :3], ids[..., None].to(raster)], dim=-1)


def create(device: str = "cuda") -> NvdiffrastRenderer:
    """The factory of the registration."""
    return NvdiffrastRenderer(device)


def _import() -> Any:
    """nvdiffrast.torch, imported only when a renderer is made."""
    try:
        import nvdiffrast.torch as dr
    except ImportError as error:
        raise PluginError(
            f"nvdiffrast cannot be imported: {error}.",
            "pip install --no-build-isolation git+https://github.com/NVlabs/nvdiffrast",
        ) from error
    return dr


def _floats(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float().contiguous()


def _integers(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.int32).contiguous()
