"""Dense matching: where in a target map does the feature of a source point have its best match?

Dot products are linear in the map: a query's similarity to the bilinearly interpolated map is the bilinear
interpolation of its similarities to the cells. So the similarities (N, h, w) are computed once and no feature is
upsampled. The cosine needs the norm of the *interpolated* vector, a quadratic form of the inner products of
neighbouring cells, computed once per target map. On a CPU numba kernels look only where the maximum can be
(`match_kernels`), elsewhere torch evaluates the lattice in chunks (`match_torch`). Both give the maximum over the whole
lattice, no approximation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from bench3d.features.backbone import full_precision
from bench3d.features.lattice import Lattice
from bench3d.features.match_kernels import PrunedSearch
from bench3d.features.match_sampling import blend, sample_at
from bench3d.features.match_target import Target
from bench3d.features.match_torch import DenseSearch, masked_argmax

__all__ = [
    "Match",
    "Target",
    "blend",
    "cell_argmax",
    "dense_argmax",
    "mutual_nearest",
    "sample_at",
    "similarity",
    "soft_argmax",
]

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
    engine: Literal["auto", "numba", "torch"] = "auto",
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
        engine: numba works on CPU tensors only; auto takes it there.

    Raises:
        ValueError: shapes that do not fit, or numba for another device.
    """
    target = values if isinstance(values, Target) else Target(values)
    _check_queries(queries, target)
    if mask is not None and mask.shape != lattice.size[::-1]:
        raise ValueError(f"the mask is {mask.shape}, the lattice has {lattice.size[::-1]} rows and columns")
    inverse = target.inverse_norm(lattice) if cosine else None
    search: PrunedSearch | DenseSearch
    if engine == "torch" or (engine == "auto" and not target.on_cpu):
        search = DenseSearch(lattice, target.grid_size, inverse, mask, target.values.device)
    elif target.on_cpu:
        search = PrunedSearch(lattice, target.grid_size, inverse, mask)
    else:
        raise ValueError(f"the numba engine cannot read a map on {target.values.device}")
    step = max(1, memory_bytes // search.bytes_per_query)
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
    _check_queries(queries, target)
    height, width = target.values.shape[1:]
    step = max(1, memory_bytes // (8 * height * width))
    allowed = None
    if valid is not None:
        allowed = torch.as_tensor(valid, dtype=torch.bool, device=target.values.device)
        if allowed.shape != (height, width):
            raise ValueError(f"valid is {tuple(allowed.shape)}, the map has {height} x {width} cells")
    parts = [
        masked_argmax(similarity(part, target, cosine), allowed)
        for part in (queries.split(step) if len(queries) else ())
    ]
    return _join(parts, queries)


def _check_queries(queries: torch.Tensor, target: Target) -> None:
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
