"""Soft surface labels and their renderings (paper Eqs. 9 and 14; protocol page, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from bench3d.render.operators import farthest_points

if TYPE_CHECKING:
    from bench3d.contracts import Renderer


def sample_surface(vertices: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """Indices of `count` farthest-point samples of the template (V, 3), from a random start; all where V < count."""
    return farthest_points(vertices, min(count, len(vertices)), generator=generator)


def surface_labels(vertices: torch.Tensor, samples: torch.Tensor, sigma: str | float) -> torch.Tensor:
    """softmax_k(-|v - v_k|^2 / sigma^2) of every vertex over the samples. (V, 3), (K, 3) -> (V, K), rows sum to 1.

    `sigma` "eq14": sigma^2 is the mean over vertices of the squared distance to the nearest sample (Eq. 14). There is
    no factor 2 in the exponent (Eq. 9 has one).
    """
    squared = (vertices[:, None] - samples[None]).square().sum(dim=-1)
    variance = squared.min(dim=1).values.mean() if isinstance(sigma, str) else squared.new_tensor(sigma**2)
    return (-squared / variance.clamp_min(1e-12)).softmax(dim=1)


def render_features(
    renderer: Renderer,
    raster: torch.Tensor,
    clip: torch.Tensor,
    faces: torch.Tensor,
    features: torch.Tensor,
    background: torch.Tensor,
    valid: torch.Tensor,
) -> torch.Tensor:
    """Each pixel's surface feature, the background's where there is none, (B, H, W, D).

    Features are interpolated over the mesh, the background's outside it, antialiased at silhouettes, and the
    background's again where the crop leaves the image. All of this is linear: with the class features weighted by each
    vertex's soft label it gives those weighted by each pixel's (K labels need not be rendered).

    Args:
        raster: (B, H, W, 4) of the instances' meshes; clip (B, V, 4) and faces (F, 3) what it was made from.
        features: (V, D) of the vertices; background: (D,).
        valid: (B, R, R) share of each pixel inside the original image.
    """
    # Relative to the background's feature, empty pixels are 0, which is what interpolation gives there.
    colour = renderer.interpolate((features - background)[None], raster, faces)
    colour = renderer.antialias(colour, raster, clip, faces)
    inside = F.interpolate(valid[:, None], size=raster.shape[1:3], mode="bilinear", align_corners=False)[:, 0] >= 0.5
    return torch.where(inside[..., None], colour, 0.0) + background
