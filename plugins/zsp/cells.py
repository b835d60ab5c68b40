"""Foreground cells of a feature map with their 3D points, from depth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from bench3d.contracts import FeatureMap


@dataclass(frozen=True)
class Cells:
    """M cells of an image that the object covers.

    Attributes:
        features: (M, C) of length 1.
        places: (M, 2) column and row.
        points: (M, 3) float64 in the camera's frame.
    """

    features: torch.Tensor
    places: torch.Tensor
    points: torch.Tensor


def foreground(maps: FeatureMap, image: int, depth: torch.Tensor, intrinsics: torch.Tensor) -> Cells:
    """The cells of image number `image` at whose centre the depth is known.

    Args:
        depth: (H, W) z along the optical axis at the pixel centres of the model's input, 0 or not finite outside.
        intrinsics: (3, 3) of these pixels.
    """
    values, geometry = maps.values[image].cpu(), maps.geometry[image]
    height, width = values.shape[1:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([columns, rows], dim=-1).reshape(-1, 2)
    at = geometry.cell_to_input(places.double() + 0.5)
    pixels = at.floor().long()
    size = torch.tensor([depth.shape[1], depth.shape[0]])
    within = ((pixels >= 0) & (pixels < size)).all(dim=1)
    pixels = pixels.minimum(size - 1).clamp_min(0)
    z = depth.detach().cpu().double()[pixels[:, 1], pixels[:, 0]]
    known = within & torch.isfinite(z) & (z > 0)
    places, z, pixels = places[known], z[known], pixels[known]
    rays = torch.cat([pixels.double() + 0.5, torch.ones(len(pixels), 1, dtype=torch.float64)], dim=1)
    directions = rays @ torch.linalg.inv(intrinsics.detach().cpu().double()).T
    features = values.flatten(1).T.reshape(-1, values.shape[0])[known]
    return Cells(F.normalize(features.float(), dim=1), places, directions * z[:, None])
