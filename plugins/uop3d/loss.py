"""UOP3D's loss: which vertex an image feature is of, among all vertices of the category and the clutter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from bench3d.contracts.features import torch_grid

if TYPE_CHECKING:
    from bench3d.contracts import Renderer


def visible_vertices(
    renderer: Renderer, clip: torch.Tensor, faces: torch.Tensor, valid: torch.Tensor, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where the vertices of a mesh are seen, on a grid of `size` (h, w) cells.

    A vertex is seen where a face of it shows at some cell's centre, it projects into the grid, and the mesh covers most
    of the four cells around it that lie inside the original image (so that silhouettes drop out).

    Args:
        clip: (B, V, 4); faces: (F, 3) int32.
        valid: (B, R, R) share of each pixel inside the original image.

    Returns:
        cells (B, V, 2), continuous coordinates (centres at +0.5); seen (B, V) bool; object (B, h, w) in [0, 1], how far
        a cell is the object's inside the image.
    """
    height, width = size
    raster = renderer.rasterize(clip, faces, size)
    inside = F.interpolate(valid[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    covered = (raster[..., 3] > 0).to(clip.dtype) * inside
    shows = torch.zeros(clip.shape[:2], dtype=torch.bool, device=clip.device)
    for image, triangles in enumerate(raster[..., 3].long()):
        shows[image, faces[triangles[triangles > 0] - 1].long().flatten()] = True
    w = clip[..., 3:]
    cells = (clip[..., :2] / w.clamp_min(1e-6) + 1) / 2 * clip.new_tensor([width, height])
    within = ((cells >= 0) & (cells <= cells.new_tensor([width, height]))).all(dim=-1) & (w[..., 0] > 0)
    return cells, shows & within & (_between(covered[:, None], cells)[..., 0] > 0.5), covered


def clutter_cells(covered: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """`count` random cells of each image outside the object, with replacement; anywhere where there is none.

    (B, h, w) in [0, 1] -> (B, count), numbers of cells row by row. Cells outside the image count as background.
    """
    weight = (1 - covered).clamp(0, 1).flatten(1).double().cpu()
    weight[weight.sum(dim=1) <= 0] = 1
    return torch.multinomial(weight, count, replacement=True, generator=generator).to(covered.device)


def vertex_loss(
    features: torch.Tensor,
    cells: torch.Tensor,
    seen: torch.Tensor,
    clutter: torch.Tensor,
    bank: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """Mean cross-entropy of the image features at visible vertices and clutter cells against the whole bank.

    Args:
        features: (B, D, h, w) of length 1.
        cells: (B, V, 2) of the vertices; seen: (B, V) bool.
        clutter: (B, K) numbers of background cells, row by row.
        bank: (V + 1, D): features of the vertices, then the clutter's; hard labels.
        temperature: T; logits are <s, f> / T.
    """
    at_vertices = _between(features, cells)
    at_clutter = features.flatten(2).gather(2, clutter[:, None].expand(-1, features.shape[1], -1)).transpose(1, 2)
    image, vertex = seen.nonzero(as_tuple=True)
    found = torch.cat([at_vertices[image, vertex], at_clutter.flatten(0, 1)])
    labels = torch.cat([vertex, vertex.new_full((clutter.numel(),), len(bank) - 1)])
    return F.cross_entropy(found @ bank.T / temperature, labels)


def _between(maps: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Bilinear values (B, N, C) of maps (B, C, h, w) at continuous cells (B, N, 2); the border is extended."""
    grid = torch_grid(list(cells), maps)
    found = F.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return found[:, :, 0].transpose(1, 2)
