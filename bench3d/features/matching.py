"""Dense matching: where in a target map does the feature of a source point have its best match?

Dot products are linear in the map: a query's similarity to the bilinearly interpolated map is the bilinear interpolation
of its similarities to the cells. So the similarities (N, h, w) are computed once and no feature is upsampled. The cosine
needs the norm of the *interpolated* vector, a quadratic form of the inner products of neighbouring cells, computed
once per target map. On a CPU numba kernels look only where the maximum can be (`match_kernels`), elsewhere torch
evaluates the lattice in chunks (`match_torch`). Both give the maximum over the whole lattice, no approximation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from bench3d.contracts.features import FeatureMap, WeightedMap, torch_grid
from bench3d.features import match_torch
from bench3d.features.backbone import full_precision
from bench3d.features.lattice import Lattice

MEMORY_BYTES = 256 * 2**20
"""What one chunk of similarities may take."""


@dataclass(frozen=True)
class Match:
    """The best match of N queries.

    Attributes:
        index: (N, 2) int64 column, row of the lattice (or cell); -1, -1 where no point could be compared (empty mask,
            NaN features).
        score: (N,) float32, NaN there.
    """

    index: torch.Tensor
    score: torch.Tensor


class Target:
    """A map that many query sets are matched against; norms are computed once, on first use.

    Args:
        values: (C, h, w); it must not change afterwards.
    """

    def __init__(self, values: torch.Tensor) -> None:
        if values.ndim != 3 or 0 in values.shape[1:]:
            raise ValueError(f"a target map must be (C, h, w), not {tuple(values.shape)}")
        self.values = values.detach().float()
        self.grid_size = (values.shape[2], values.shape[1])
        self._inverse: dict[bytes, torch.Tensor] = {}
        self._gram: torch.Tensor | None = None

    def gram(self) -> torch.Tensor:
        """(5, h, w) float64 inner products, see `match_torch.gram_maps`."""
        if self._gram is None:
            self._gram = match_torch.gram_maps(self.values)
        return self._gram

    def inverse_cell_norm(self) -> torch.Tensor:
        """(h, w) float32, 0 where the vector is 0."""
        norm = self.gram()[0].sqrt()
        return torch.where(norm == 0, 0.0, 1.0 / norm).float()

    def inverse_norm(self, lattice: Lattice) -> torch.Tensor:
        """(H, W) float32: 1 / norm of the interpolated vector; the last lattice is kept."""
        if lattice.key not in self._inverse:
            self._inverse = {lattice.key: match_torch.inverse_norms(self.gram(), lattice)}
        return self._inverse[lattice.key]


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
    cells = [a.original_to_cell(b.cell_to_original(centres)) for a, b in zip(own.geometry, finest.geometry, strict=True)]
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


def similarity(queries: torch.Tensor, values: torch.Tensor | Target, cosine: bool) -> torch.Tensor:
    """(N, C) queries against the cells of (C, h, w): (N, h, w) float32 dot products.

    With `cosine` divided by the norm of the cell (queries are taken as they are: unit length makes it the cosine).
    """
    target = values if isinstance(values, Target) else Target(values)
    with full_precision():
        out = (queries.float() @ target.values.flatten(1)).reshape(len(queries), *target.values.shape[1:])
    return out.mul_(target.inverse_cell_norm()) if cosine else out


def dense_argmax(
    queries: torch.Tensor,
    values: torch.Tensor | Target,
    lattice: Lattice,
    *,
    cosine: bool,
    mask: np.ndarray | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> Match:
    """The lattice point whose bilinearly interpolated feature is most similar to each query.

    The same point as upsampling the features to the lattice and taking the argmax in float32. The first in row-major
    order wins ties; points that are NaN never win.

    Args:
        queries: (N, C), usually of unit length (`sample_at`).
        values: (C, h, w), or a `Target` where several query sets meet the same map.
        lattice: where the map is read.
        cosine: the score is divided by the norm of the interpolated vector; where the corners cancel to less than 1e-4
            of their length the score is 0. Otherwise it is the dot product with the map as it is, so that long
            vectors win (3DCorrEnhance's transfer).
        mask: (H, W) bool search domain on the lattice, None for all of it.
        memory_bytes: bound of what a chunk of queries takes.

    Raises:
        ValueError: shapes that do not fit.
    """
    target = values if isinstance(values, Target) else Target(values)
    check_queries(queries, target)
    if mask is not None and mask.shape != lattice.size[::-1]:
        raise ValueError(f"the mask is {mask.shape}, the lattice has {lattice.size[::-1]} rows and columns")
    inverse = target.inverse_norm(lattice) if cosine else None
    search = match_torch.DenseSearch(lattice, target.grid_size, inverse, mask, target.values.device)
    step = max(1, int(memory_bytes // search.bytes_per_query))
    parts = [search(similarity(part, target, False)) for part in queries.split(step)] if len(queries) else []
    return _join(parts, queries)


def cell_argmax(
    queries: torch.Tensor,
    values: torch.Tensor | Target,
    *,
    cosine: bool,
    valid: torch.Tensor | np.ndarray | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> Match:
    """The cell most similar to each query: as `dense_argmax`, over cells only.

    Args:
        queries: (N, C).
        values: (C, h, w) or a `Target`.
        cosine: divided by the norm of the cell.
        valid: (h, w) bool cells to search, None for all.
        memory_bytes: bound of what a chunk of queries takes.
    """
    target = values if isinstance(values, Target) else Target(values)
    check_queries(queries, target)
    height, width = target.values.shape[1:]
    step = max(1, memory_bytes // (8 * height * width))
    allowed = None
    if valid is not None:
        allowed = torch.as_tensor(valid, dtype=torch.bool, device=target.values.device)
        if allowed.shape != (height, width):
            raise ValueError(f"valid is {tuple(allowed.shape)}, the map has {height} x {width} cells")
    parts = [
        match_torch.masked_argmax(similarity(part, target, cosine), allowed)
        for part in (queries.split(step) if len(queries) else ())
    ]
    return _join(parts, queries)


def check_queries(queries: torch.Tensor, target: Target) -> None:
    """Raises ValueError unless queries are (N, C) with the target's C."""
    if queries.ndim != 2 or queries.shape[1] != len(target.values):
        raise ValueError(f"queries are {tuple(queries.shape)}, the map has {len(target.values)} channels")


def _join(parts: Sequence[tuple[torch.Tensor, torch.Tensor]], queries: torch.Tensor) -> Match:
    if not parts:
        return Match(torch.empty(0, 2, dtype=torch.int64, device=queries.device), queries.new_empty(0).float())
    return Match(torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts]))


def soft_argmax(
    similarity: torch.Tensor, window: int, temperature: float, outside: float | None = None
) -> torch.Tensor:
    """Mean cell of a softmax in a square window around the maximum, as GeoAware-SC locates matches below a cell.

    Args:
        similarity: (N, h, w).
        window: half width: (2 * window + 1)^2 cells around the maximum, cut at the border; 0 takes the whole map.
        temperature: similarities are divided by it before the softmax (GeoAware-SC: 0.02).
        outside: the similarity that cells outside the window keep. None leaves them out; GeoAware-SC multiplies by the
            window, so that they take part with 0.0.

    Returns:
        (N, 2) continuous cell coordinates, float32 (cell centres at +0.5); NaN where a query has no finite similarity.

    Raises:
        ValueError: a negative window or a temperature that is not positive.
    """
    if window < 0 or not temperature > 0:
        raise ValueError(f"window must be >= 0 and temperature > 0, not {window} and {temperature}")
    count, height, width = similarity.shape
    device = similarity.device
    scores = similarity.double()
    scores = torch.where(torch.isfinite(scores), scores, -torch.inf)
    if not count:
        return torch.empty(0, 2, device=device)
    best = scores.flatten(1).argmax(dim=1)
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    if window:
        row, column = torch.div(best, width, rounding_mode="floor"), best % width
        near_rows = (rows[None] - row[:, None]).abs() <= window
        near_columns = (columns[None] - column[:, None]).abs() <= window
        near = near_rows[:, :, None] & near_columns[:, None, :]
        scores = torch.where(near, scores, -torch.inf if outside is None else float(outside))
    weight = torch.softmax(scores.flatten(1) / temperature, dim=1).reshape(count, height, width)
    x = (weight.sum(dim=1) * (columns + 0.5)).sum(dim=1)
    y = (weight.sum(dim=2) * (rows + 0.5)).sum(dim=1)
    return torch.stack([x, y], dim=1).float()


def mutual_nearest(a: torch.Tensor, b: torch.Tensor, memory_bytes: int = MEMORY_BYTES) -> torch.Tensor:
    """Pairs that are each other's nearest by dot product (cosine for unit vectors).

    Args:
        a: (N, C).
        b: (M, C).
        memory_bytes: bound of what a chunk of rows takes.

    Returns:
        (K, 2) int64 rows of a and b, sorted by the first. The first wins ties; a row with NaN has no partner.
    """
    if not len(a) or not len(b):
        return torch.empty(0, 2, dtype=torch.int64, device=a.device)
    step = max(1, memory_bytes // (8 * len(b)))
    forward = []
    best = torch.full((len(b),), -torch.inf, device=a.device)
    back = torch.full((len(b),), -1, dtype=torch.int64, device=a.device)
    targets = b.float().T
    for start in range(0, len(a), step):
        with full_precision():
            scores = a[start : start + step].float() @ targets
        scores = torch.where(torch.isnan(scores), -torch.inf, scores)
        forward.append(scores.argmax(dim=1))
        value, index = scores.max(dim=0)
        better = value > best
        best, back = torch.where(better, value, best), torch.where(better, index + start, back)
    nearest = torch.cat(forward)
    own = torch.arange(len(a), device=a.device)
    kept = back[nearest] == own
    return torch.stack([own[kept], nearest[kept]], dim=1)
