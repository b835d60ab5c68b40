"""The seven losses of Common3D as its code computes them (protocol page, section 4; where the paper differs, said)."""

from __future__ import annotations

import torch

from bench3d.render.operators import nearest_points
from bench3d_plugins.common3d.fields import SignedDistance


def chamfer(vertices: torch.Tensor, cloud: torch.Tensor) -> torch.Tensor:
    """Mean of two one-sided, non-squared chamfer terms in which no predicted vertex counts more than another.

    vertices (V, 3) predicted, cloud (N, 3) -> scalar. A pair (vertex, point) arises from every vertex's nearest point
    and from every point's nearest vertex; its weight is one over the number of pairs its vertex is in, so that each
    vertex has the same total weight. Each side is a weighted mean. (The paper's Eq. 4 is one joint plain mean.)
    """
    forward, _ = nearest_points(vertices, cloud)
    backward, nearest = nearest_points(cloud, vertices)
    pairs = 1 + torch.bincount(nearest, minlength=len(vertices))
    weight = 1 / pairs.to(vertices.dtype)
    back_weight = weight[nearest]
    return 0.5 * ((forward * weight).sum() / weight.sum() + (backward * back_weight).sum() / back_weight.sum())


def mask_error(predicted: torch.Tensor, mask: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of silhouettes inside the original image, over all pixels. (B, R, R) each -> scalar."""
    return ((predicted - mask) * valid).square().mean()


def mask_distance(predicted: torch.Tensor, distance: torch.Tensor) -> torch.Tensor:
    """-mean(distance transform of the mask * predicted silhouette): rewards covering the inside. (B, R, R) each."""
    return -(distance * predicted).mean()


def eikonal(field: SignedDistance, points: torch.Tensor) -> torch.Tensor:
    """Mean (|grad phi| - 1)^2 at points (N, 3)."""
    points = points.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(field(points).sum(), points, create_graph=True)
    return (_length(gradient) - 1).square().mean()


def eikonal_points(
    vertices: torch.Tensor, count: int, extent: float, noise: float, generator: torch.Generator
) -> torch.Tensor:
    """`count` uniform points in the cube and at most as many vertices moved by U(-noise, noise) per coordinate."""
    uniform = (2 * torch.rand(count, 3, generator=generator) - 1) * extent
    near = vertices.detach()[:count]
    moved = near + ((2 * torch.rand(len(near), 3, generator=generator) - 1) * noise).to(near)
    return torch.cat([uniform.to(near), moved])


def deformation_size(deformed: torch.Tensor, vertices: torch.Tensor) -> torch.Tensor:
    """Mean |v' - v|, not squared (the paper's Eq. 6 squares it). (B, V, 3), (V, 3) -> scalar."""
    return _length(deformed - vertices.detach()).mean()


def deformation_smoothness(deformed: torch.Tensor, vertices: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """Mean over edges (E, 2) of |d_i - d_j| / |v_i - v_j| with d = v' - v (Eq. 7). (B, V, 3), (V, 3) -> scalar."""
    vertices = vertices.detach()
    moved = deformed - vertices
    length = torch.linalg.vector_norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], dim=-1)
    # An embedding look-up: the gradient of plain indexing is summed in no fixed order on several threads.
    ends = torch.nn.functional.embedding(edges, moved.transpose(0, 1).flatten(1)).unflatten(2, (-1, 3))
    return (_length(ends[:, 0] - ends[:, 1]) / (length[:, None] + 1e-10)).mean()


def appearance(features: torch.Tensor, target: torch.Tensor, classes: torch.Tensor, temperature: float) -> torch.Tensor:
    """Cross-entropy between soft surface labels and image features, mean over all pixels (Eqs. 9 and 10).

    Args:
        features: (B, D, h, w) of length 1.
        target: (B, h, w, D): the classes' features weighted by each pixel's soft label (see labels.render_features).
        classes: (K + 1, D): features of the surface samples, then the background's.
        temperature: T; logits are <s, f_k> / T.

    Since labels sum to 1, -sum_k y_k log p_k = logsumexp_k <s, f_k>/T - <s, sum_k y_k f_k>/T, so that D instead of
    K + 1 channels have to be rendered.
    """
    pixels = features.permute(0, 2, 3, 1)
    logits = pixels @ (classes.T / temperature)
    return (logits.logsumexp(dim=-1) - (pixels * target).sum(dim=-1) / temperature).mean()


def _length(vectors: torch.Tensor) -> torch.Tensor:
    """Length along the last axis; its gradient at 0 is 0, not NaN."""
    squared = vectors.square().sum(dim=-1)
    zero = squared == 0
    return torch.where(zero, squared, torch.where(zero, 1.0, squared).sqrt())
