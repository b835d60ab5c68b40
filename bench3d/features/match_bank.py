"""Mutual nearest neighbours between a lattice on a feature map and a bank of descriptors.

As in `matching`, similarities are linear in the map: the bank is compared with the cells, and what a lattice point
would score is interpolated from that, so that a lattice of 128x128 points on 64x64 cells costs a quarter of its dot
products, and both directions come from one pass. Nothing of the size lattice x bank is held. The result is that of the
whole matrix in float32, up to rounding.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from numba import njit

from bench3d.features.backbone import full_precision
from bench3d.features.lattice import AxisCells, Lattice
from bench3d.features.match_target import Target

CHUNK_BYTES = 32 * 2**20
LANES = 64
"""Rows of the bank that the kernel takes at a time: their similarities to one row of cells fit the first cache."""
NOWHERE = -1e30
"""Similarity of lanes that no row of the bank fills; finite, because interpolating infinities gives NaN."""


def mutual_lattice(
    bank: torch.Tensor,
    target: Target,
    lattice: Lattice,
    mask: np.ndarray | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    engine: Literal["auto", "numba", "torch"] = "auto",
) -> torch.Tensor:
    """Lattice points and bank rows that are each other's nearest by cosine.

    Args:
        bank: (N, C) of unit length, on the device of `target`.
        target: a map (C, h, w).
        lattice: (W, H) points on it.
        mask: (H, W) bool of the points that take part, None for all.
        chunk_bytes: bound of what the similarities of a part of the bank take.
        engine: numba works on the CPU only; auto takes it there.

    Returns:
        (K, 2) int64: point (row * W + column) and row of the bank, sorted by the first. The first wins ties; a row
        with NaN, and a point whose feature is zero or NaN, has no partner.

    Raises:
        ValueError: shapes that do not fit.
    """
    width, height = lattice.size
    if bank.ndim != 2 or bank.shape[1] != target.values.shape[0]:
        raise ValueError(f"a bank {tuple(bank.shape)} does not fit a map {tuple(target.values.shape)}")
    if mask is not None and mask.shape != (height, width):
        raise ValueError(f"the mask is {mask.shape}, the lattice has {(height, width)} rows and columns")
    if not len(bank):
        return torch.empty(0, 2, dtype=torch.int64, device=bank.device)
    inverse = target.inverse_norm(lattice).clone()
    inverse[~torch.isfinite(inverse)] = 0.0
    if mask is not None:
        inverse[~torch.from_numpy(np.ascontiguousarray(mask)).to(inverse.device)] = 0.0
    cells = target.values.flatten(1).T.contiguous()
    on_cpu = target.on_cpu and engine != "torch"
    per_row = 4 * (len(cells) if on_cpu else 3 * width * height)
    step = max(LANES, chunk_bytes // per_row // LANES * LANES)
    search: _Numba | _Torch = (_Numba if on_cpu else _Torch)(lattice, target.grid_size, inverse)
    for start in range(0, len(bank), step):
        with full_precision():
            search.add(cells, bank[start : start + step].float(), start)
    nearest, back = search.nearest, torch.cat(search.back)
    points = torch.arange(len(nearest), device=nearest.device)
    known = nearest >= 0
    kept = known & (back[nearest.clamp(min=0)] == points)
    return torch.stack([points[kept], nearest[kept]], dim=1)


class _Numba:
    def __init__(self, lattice: Lattice, grid: tuple[int, int], inverse: torch.Tensor) -> None:
        self._axes = lattice.on(grid)
        self._grid = grid
        self._inverse = inverse.numpy()
        count = inverse.numel()
        self._value = np.full(count, -np.inf, dtype=np.float32)
        self._row = np.full(count, -1, dtype=np.int64)
        self._memory: dict[str, torch.Tensor] = {}
        self.back: list[torch.Tensor] = []

    def add(self, cells: torch.Tensor, rows: torch.Tensor, start: int) -> None:
        """Takes rows (B, C) of the bank from `start` on; cells (h * w, C)."""
        count = len(rows)
        blocks = -(-count // LANES)
        scores = self._room("scores", (len(cells), blocks * LANES))
        if count == scores.shape[1]:
            torch.mm(cells, rows.T, out=scores)
        else:
            scores[:, :count], scores[:, count:] = cells @ rows.T, NOWHERE
        blocked = self._room("blocked", (blocks, len(cells), LANES))
        blocked.copy_(scores.reshape(len(cells), blocks, LANES).transpose(0, 1))
        back = np.empty((blocks, LANES), dtype=np.int32)
        (x, y), columns = self._axes, self._grid[0]
        mutual_pass(
            blocked.numpy(), columns, *_parts(x), *_parts(y), self._inverse, start, self._value, self._row, back
        )
        self.back.append(torch.from_numpy(back.ravel()[:count]).long())

    def _room(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Memory that is used again: fresh pages for every part of the bank cost as much as the search itself."""
        size = math.prod(shape)
        if name not in self._memory or len(self._memory[name]) < size:
            self._memory[name] = torch.empty(size)
        return self._memory[name][:size].view(shape)

    @property
    def nearest(self) -> torch.Tensor:
        """(lattice points,) rows of the bank."""
        return torch.from_numpy(self._row)


def _parts(axis: AxisCells) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return axis.low, axis.high, axis.weight.astype(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def mutual_pass(
    scores: np.ndarray,
    columns: int,
    x_low: np.ndarray,
    x_high: np.ndarray,
    x_weight: np.ndarray,
    y_low: np.ndarray,
    y_high: np.ndarray,
    y_weight: np.ndarray,
    inverse: np.ndarray,
    start: int,
    value: np.ndarray,
    row: np.ndarray,
    back: np.ndarray,
) -> None:
    """One part of the bank, similarities `scores` (blocks, cells, LANES), against the lattice.

    Updates the best `value` and bank `row` of every lattice point (the dot product: a point's own length is the same
    for all rows), and fills `back` (blocks, LANES), the lattice point of the largest cosine. Points with `inverse` 0
    are left out.
    """
    width, height = len(x_low), len(y_low)
    line = np.empty((columns, LANES), dtype=np.float32)
    here, best = np.empty(LANES, dtype=np.float32), np.empty(LANES, dtype=np.float32)
    where = np.empty(LANES, dtype=np.int32)
    for block in range(len(scores)):
        part = scores[block]
        best[:] = -np.inf
        where[:] = -1
        for y in range(height):
            _between_rows(part, y_low[y] * columns, y_high[y] * columns, y_weight[y], line)
            for x in range(width):
                point, length = np.int32(y * width + x), inverse[y, x]
                if length == 0:
                    continue
                left, right, u = x_low[x], x_high[x], x_weight[x]
                for k in range(LANES):
                    dot = line[left, k] + u * (line[right, k] - line[left, k])
                    here[k] = dot
                    cosine = dot * length
                    larger = cosine > best[k]
                    best[k] = cosine if larger else best[k]
                    where[k] = point if larger else where[k]
                if _any_above(here, value[point]):
                    for k in range(LANES):
                        if here[k] > value[point]:
                            value[point], row[point] = here[k], start + block * LANES + k
        back[block] = where


@njit(nogil=True, error_model="numpy")
def _between_rows(cells: np.ndarray, above: int, below: int, weight: np.float32, line: np.ndarray) -> None:
    """Fills `line` (columns, LANES) with what lies between two rows of cells that begin at `above` and `below`."""
    for c in range(len(line)):
        for k in range(LANES):
            line[c, k] = cells[above + c, k] + weight * (cells[below + c, k] - cells[above + c, k])


@njit(nogil=True, error_model="numpy")
def _any_above(values: np.ndarray, limit: np.float32) -> bool:
    """Counted, because a search that ends early does not compile to vector instructions."""
    count = 0
    for k in range(LANES):
        count += values[k] > limit
    return count > 0


class _Torch:
    def __init__(self, lattice: Lattice, grid: tuple[int, int], inverse: torch.Tensor) -> None:
        device = inverse.device
        self._grid = grid
        self._inverse = inverse.flatten()[:, None]
        self._axes = [
            tuple(torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in _parts(axis))
            for axis in lattice.on(grid)
        ]
        self._value = torch.full((inverse.numel(),), -torch.inf, device=device)
        self.nearest = torch.full((inverse.numel(),), -1, dtype=torch.int64, device=device)
        self.back: list[torch.Tensor] = []

    def add(self, cells: torch.Tensor, rows: torch.Tensor, start: int) -> None:
        """Takes rows (B, C) of the bank from `start` on; cells (h * w, C)."""
        columns, height = self._grid
        (x_low, x_high, u), (y_low, y_high, w) = self._axes
        grid = (cells @ rows.T).reshape(height, columns, -1)
        lines = torch.lerp(grid[y_low], grid[y_high], w[:, None, None])
        dots = torch.lerp(lines[:, x_low], lines[:, x_high], u[:, None]).flatten(0, 1)
        dots = torch.where(torch.isnan(dots) | (self._inverse == 0), -torch.inf, dots)
        top, index = dots.max(dim=1)
        better = top > self._value
        self._value = torch.where(better, top, self._value)
        self.nearest = torch.where(better, index + start, self.nearest)
        best, point = (dots * torch.where(self._inverse == 0, 1.0, self._inverse)).max(dim=0)
        self.back.append(torch.where(best > -torch.inf, point, -1))
