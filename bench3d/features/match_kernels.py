"""Dense search on a CPU: numba kernels that look only where the maximum can be, in parallel over queries.

Between four neighbouring cells (a quad) the similarity is bilinear, so it is at most the largest of the four; divided
by the norm, at most that over the smallest norm of the quad's lattice points. A quad whose bound is below the best
score found so far cannot hold the maximum. The quad of the largest bound goes first. Scores are computed in float64
from float32 similarities, compared as float32, and equal ones by their place, so that neither the order of the search
nor the number of threads changes a result.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit, prange

from bench3d.features.lattice import AxisCells, Lattice
from bench3d.features.match_torch import CANCELLED

SLACK = 1e-6
"""Relative widening of a bound: more than float32 rounds."""


@njit(cache=True, parallel=True)
def gram_maps(values: np.ndarray) -> np.ndarray:
    """`match_torch.gram_maps` of (C, h, w) float32."""
    channels, height, width = values.shape
    out = np.zeros((5, height, width))
    for row in prange(height):
        under = min(row + 1, height - 1)
        for c in range(channels):
            for x in range(width):
                right = min(x + 1, width - 1)
                a, b = np.float64(values[c, row, x]), np.float64(values[c, row, right])
                p, q = np.float64(values[c, under, x]), np.float64(values[c, under, right])
                out[0, row, x] += a * a
                out[1, row, x] += a * b
                out[2, row, x] += a * p
                out[3, row, x] += a * q
                out[4, row, x] += b * p
    return out


@njit(cache=True, parallel=True)
def inverse_norms(
    gram: np.ndarray, x0: np.ndarray, x1: np.ndarray, u: np.ndarray, y0: np.ndarray, y1: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """`match_torch.inverse_norms`: (H, W) float32; the six axes are `AxisCells` low, high, weight."""
    out = np.empty((len(y0), len(x0)), dtype=np.float32)
    for j in prange(len(y0)):
        top, bottom = y0[j], y1[j]
        f, e = v[j], 1.0 - v[j]
        for i in range(len(x0)):
            left, right = x0[i], x1[i]
            t, s = u[i], 1.0 - u[i]
            faa, fbb = gram[0, top, left], gram[0, top, right]
            fcc, fdd = gram[0, bottom, left], gram[0, bottom, right]
            upper = s * s * faa + t * t * fbb + 2.0 * s * t * gram[1, top, left]
            lower = s * s * fcc + t * t * fdd + 2.0 * s * t * gram[1, bottom, left]
            across = s * s * gram[2, top, left] + t * t * gram[2, top, right]
            across += s * t * (gram[3, top, left] + gram[4, top, left])
            square = e * e * upper + f * f * lower + 2.0 * e * f * across
            corners = e * (s * faa + t * fbb) + f * (s * fcc + t * fdd)
            out[j, i] = 0.0 if square <= CANCELLED * corners else 1.0 / np.sqrt(square)
    return out


@njit(cache=True, parallel=True)
def _quad_facts(
    inverse: np.ndarray, mask: np.ndarray, columns: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Per quad the smallest and largest inverse norm (2, Qy, Qx) and the number of points to search (Qy, Qx).

    `inverse` and `mask` may be (0, 0): all ones.
    """
    high, wide = len(rows) - 1, len(columns) - 1
    extent = np.ones((2, high, wide), dtype=np.float32)
    count = np.empty((high, wide), dtype=np.int64)
    for q in prange(high):
        for p in range(wide):
            count[q, p] = (rows[q + 1] - rows[q]) * (columns[p + 1] - columns[p])
            if mask.size:
                count[q, p] = mask[rows[q] : rows[q + 1], columns[p] : columns[p + 1]].sum()
            if inverse.size and count[q, p]:
                low, top = np.float32(np.inf), np.float32(0.0)
                for j in range(rows[q], rows[q + 1]):
                    for i in range(columns[p], columns[p + 1]):
                        low, top = min(low, inverse[j, i]), max(top, inverse[j, i])
                extent[0, q, p], extent[1, q, p] = low, top
    return extent, count


@njit(cache=True)
def _bounds(score: np.ndarray, extent: np.ndarray, count: np.ndarray, out: np.ndarray) -> int:
    """Upper bound of every quad of one similarity map into `out`; -inf where nothing can win. Returns the largest."""
    high, wide = count.shape
    height, width = score.shape
    best, where = -np.inf, -1
    for q in range(high):
        under = min(q + 1, height - 1)
        for p in range(wide):
            right = min(p + 1, width - 1)
            a, b, c, d = score[q, p], score[q, right], score[under, p], score[under, right]
            top = max(a, b, c, d)
            bound = top * (extent[1, q, p] if top > 0.0 else extent[0, q, p])
            bound += np.float32(SLACK) * abs(bound)
            if count[q, p] == 0 or np.isnan(a + b + c + d):
                bound = -np.inf
            out[q, p] = bound
            if bound > best:
                best, where = bound, q * wide + p
    return where


@njit(cache=True)
def _search_quad(
    score: np.ndarray,
    q: int,
    p: int,
    axes: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    inverse: np.ndarray,
    mask: np.ndarray,
    extent: np.ndarray,
    whole: bool,
    best: float,
    place: int,
) -> tuple[float, int]:
    """The better of (best, place) and the best point of quad (q, p); place is row * W + column."""
    columns, rows, u, v, last_column, last_row = axes
    under, right = min(q + 1, score.shape[0] - 1), min(p + 1, score.shape[1] - 1)
    a, b = np.float64(score[q, p]), np.float64(score[q, right])
    c, d = np.float64(score[under, p]), np.float64(score[under, right])
    first, last, bottom = columns[p], columns[p + 1] - 1, rows[q + 1] - 1
    step, jump = 1, 1
    if whole and not inverse.size:
        # Without norms, the largest value of a bilinear function lies at an outermost point.
        last, bottom = last_column[p], last_row[q]
        step, jump = max(1, last - first), max(1, bottom - rows[q])
    for j in range(rows[q], bottom + 1, jump):
        start, stop = a + v[j] * (c - a), b + v[j] * (d - b)
        top = max(start, stop)
        top *= extent[1, q, p] if top > 0.0 else extent[0, q, p]
        if top + SLACK * abs(top) < best:
            continue
        for i in range(first, last + 1, step):
            if not whole and not mask[j, i]:
                continue
            value = start + u[i] * (stop - start)
            if inverse.size:
                value *= inverse[j, i]
            rounded = np.float32(value)
            if rounded > best or (rounded == best and 0 <= j * len(u) + i < place):
                best, place = rounded, j * len(u) + i
    return best, place


@njit(cache=True, parallel=True)
def _search(
    scores: np.ndarray,
    axes: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    inverse: np.ndarray,
    mask: np.ndarray,
    extent: np.ndarray,
    count: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Place (N,), -1 for none, and score (N,) of the best point for every similarity map of (N, h, w)."""
    columns, rows = axes[0], axes[1]
    high, wide = count.shape
    places = np.empty(len(scores), dtype=np.int64)
    values = np.empty(len(scores), dtype=np.float32)
    for n in prange(len(scores)):
        bound = np.empty((high, wide), dtype=np.float32)
        start = _bounds(scores[n], extent, count, bound)
        best, place = np.float32(-np.inf), np.int64(-1)
        for k in range(-1, high * wide):
            quad = start if k < 0 else k
            if quad < 0:
                break
            q, p = quad // wide, quad % wide
            if bound[q, p] == -np.inf or bound[q, p] < best or (k >= 0 and k == start):
                continue
            whole = count[q, p] == (rows[q + 1] - rows[q]) * (columns[p + 1] - columns[p])
            best, place = _search_quad(scores[n], q, p, axes, inverse, mask, extent, whole, best, place)
        places[n] = place
        values[n] = best if place >= 0 else np.nan
    return places, values


class PrunedSearch:
    """As `match_torch.DenseSearch`, for CPU tensors.

    Args:
        lattice: where the map is read.
        grid_size: (w, h) of the map.
        inverse: (H, W) float32 factor of the score, None for 1.
        mask: (H, W) bool, None for all points.
    """

    def __init__(
        self, lattice: Lattice, grid_size: tuple[int, int], inverse: torch.Tensor | None, mask: np.ndarray | None
    ) -> None:
        columns, rows = lattice.on(grid_size)
        self.width = lattice.size[0]
        self.axes = (columns.start, rows.start, columns.weight, rows.weight, columns.last, rows.last)
        self.inverse = np.empty((0, 0), dtype=np.float32) if inverse is None else inverse.numpy()
        self.mask = np.ascontiguousarray(np.empty((0, 0)) if mask is None else mask, dtype=np.bool_)
        self.extent, self.count = _quad_facts(self.inverse, self.mask, columns.start, rows.start)
        self.bytes_per_query = 4 * grid_size[0] * grid_size[1]

    def __call__(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, h, w) similarities to index (N, 2) and score (N,), see `matching.Match`."""
        place, score = _search(scores.contiguous().numpy(), self.axes, self.inverse, self.mask, self.extent, self.count)
        index = np.where(place[:, None] < 0, -1, np.stack([place % self.width, place // self.width], axis=1))
        return torch.from_numpy(index), torch.from_numpy(score)


def inverse_norms_on(gram: torch.Tensor, columns: AxisCells, rows: AxisCells) -> torch.Tensor:
    """`inverse_norms` from and to CPU tensors."""
    axes = (columns.low, columns.high, columns.weight, rows.low, rows.high, rows.weight)
    return torch.from_numpy(inverse_norms(gram.numpy(), *axes))
