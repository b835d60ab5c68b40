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


def render_targets(
    renderer: Renderer,
    raster: torch.Tensor,
    clip: torch.Tensor,
    faces: torch.Tensor,
    labels: torch.Tensor,
    classes: torch.Tensor,
    valid: torch.Tensor,
) -> torch.Tensor:
    """Each pixel's class features weighted by its soft label, (B, H, W, D).

    Labels are interpolated over the mesh, one-hot background outside it, antialiased at silhouettes, and background
    again where the crop leaves the image. All of this is linear in the labels, so their product with the class
    features is rendered instead.

    Args:
        raster: (B, H, W, 4) of the instances' meshes; clip (B, V, 4) and faces (F, 3) what it was made from.
        labels: (V, K); classes: (K + 1, D), the background last.
        valid: (B, R, R) share of each pixel inside the original image.
    """
    background = classes[-1]
    expected = labels @ classes[:-1]
    # Relative to the background's feature, empty pixels are 0, which is what interpolation gives there.
    colour = renderer.interpolate((expected - background)[None], raster, faces)
    colour = renderer.antialias(colour, raster, clip, faces)
    inside = F.interpolate(valid[:, None], size=raster.shape[1:3], mode="bilinear", align_corners=False)[:, 0] >= 0.5
    return torch.where(inside[..., None], colour, 0.0) + background
