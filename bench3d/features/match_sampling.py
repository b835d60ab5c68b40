"""Features at continuous cells, and several weighted maps as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from bench3d.contracts.features import FeatureMap, WeightedMap, torch_grid


def blend(maps: Sequence[WeightedMap]) -> FeatureMap:
    """One map whose dot products are a blended cosine: sum of weight * cosine of each map.

    One map is returned as it is. Several are resampled onto the finest grid (bilinear, through the original image),
    brought to unit length per cell, multiplied by the root of their weight and concatenated (Common3D sec. 4; SphMaps).

    Raises:
        ValueError: no maps, or a negative weight.
    """
    if not maps or any(m.weight < 0 for m in maps):
        raise ValueError("blend needs at least one map and weights that are not negative")
    if len(maps) == 1:
        return maps[0].map
    finest = max((m.map for m in maps), key=lambda m: m.values.shape[2] * m.values.shape[3])
    parts = [F.normalize(_onto(m.map, finest).float(), dim=1) * m.weight**0.5 for m in maps]
    return FeatureMap(torch.cat(parts, dim=1), finest.geometry)


def _onto(own: FeatureMap, finest: FeatureMap) -> torch.Tensor:
    """Values of a map at the cell centres of another map of the same images: (B, C, h, w)."""
    if own is finest or own.geometry == finest.geometry:
        return own.values
    height, width = finest.values.shape[2:]
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64), indexing="ij"
    )
    centres = torch.stack([columns, rows], dim=-1).reshape(-1, 2) + 0.5
    cells = [
        a.original_to_cell(b.cell_to_original(centres)) for a, b in zip(own.geometry, finest.geometry, strict=True)
    ]
    grid = torch_grid(cells, own.values).reshape(len(cells), height, width, 2)
    return F.grid_sample(own.values, grid, mode="bilinear", padding_mode="border", align_corners=False)


def sample_at(values: torch.Tensor, cells_xy: torch.Tensor | np.ndarray, normalise: bool = True) -> torch.Tensor:
    """Bilinear features at continuous cell coordinates; outside the outermost centres the border cell.

    Args:
        values: (C, h, w).
        cells_xy: (N, 2), cell centres at +0.5. A coordinate that is NaN gives NaN.
        normalise: to unit length, after the interpolation.

    Returns:
        (N, C) float32 on the device of `values`.
    """
    values = values.float()
    height, width = values.shape[1:]
    xy = torch.as_tensor(cells_xy, device=values.device).to(torch.float64).reshape(-1, 2)
    lost = ~torch.isfinite(xy).all(dim=1)
    limit = xy.new_tensor([width - 1, height - 1])
    position = torch.minimum((xy.nan_to_num() - 0.5).clamp(min=0.0), limit)
    low = position.floor().minimum((limit - 1).clamp(min=0.0))
    weight = (position - low).float()
    x0, y0 = low.long().unbind(dim=1)
    x1, y1 = (x0 + 1).clamp(max=width - 1), (y0 + 1).clamp(max=height - 1)
    u, v = weight[:, 0], weight[:, 1]
    top = torch.lerp(values[:, y0, x0], values[:, y0, x1], u)
    bottom = torch.lerp(values[:, y1, x0], values[:, y1, x1], u)
    out = torch.lerp(top, bottom, v).T.contiguous()
    out[lost] = torch.nan
    return F.normalize(out, dim=1) if normalise else out
