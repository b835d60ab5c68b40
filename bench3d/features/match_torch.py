"""Dense search in torch, on any device: similarity maps are upsampled to the lattice, chunk by chunk."""

from __future__ import annotations

import numpy as np
import torch

from bench3d.features.lattice import AxisCells, Lattice

CANCELLED = 1e-8
"""Of the corners' mean squared norm: an interpolated vector with a smaller squared norm is rounding noise."""

ROWS = 128
"""Lattice rows whose norms are computed at once."""


def gram_maps(values: torch.Tensor) -> torch.Tensor:
    """Inner products of neighbouring cells, float64: with itself, right, below, below right; right with below.

    Args:
        values: (C, h, w).

    Returns:
        (5, h, w); beyond the border the border cell counts as its own neighbour.
    """
    height, width = values.shape[1:]
    out = torch.zeros(5, height, width, dtype=torch.float64, device=values.device)
    for part in values.split(64):
        v = part.double()
        right = torch.cat([v[:, :, 1:], v[:, :, -1:]], dim=2)
        below = torch.cat([v[:, 1:], v[:, -1:]], dim=1)
        corner = torch.cat([below[:, :, 1:], below[:, :, -1:]], dim=2)
        pairs = ((v, v), (v, right), (v, below), (v, corner), (right, below))
        out += torch.stack([(p * q).sum(dim=0) for p, q in pairs])
    return out


def inverse_norms(gram: torch.Tensor, lattice: Lattice) -> torch.Tensor:
    """1 / norm of the interpolated vector at every lattice point, (H, W) float32, from `gram_maps`.

    The squared norm of sum_i w_i f_i over the corners i of a quad is sum_ij w_i w_j <f_i, f_j>. 0 where the vector is 0
    or its corners cancel (see CANCELLED).
    """
    columns, rows = lattice.on((gram.shape[2], gram.shape[1]))
    x0, x1, y0, y1 = (torch.from_numpy(i).to(gram.device) for i in (columns.low, columns.high, rows.low, rows.high))
    u, every_v = (torch.from_numpy(axis.weight).to(gram.device) for axis in (columns, rows))
    out = torch.empty(len(y0), len(x0), device=gram.device)
    for start in range(0, len(y0), ROWS):
        part = slice(start, start + ROWS)
        top, bottom, v = y0[part, None], y1[part, None], every_v[part, None]
        a, b, c, d = (1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v
        itself, right, below, falling, rising = gram
        faa, fbb, fcc, fdd = itself[top, x0], itself[top, x1], itself[bottom, x0], itself[bottom, x1]
        square = a * a * faa + b * b * fbb + c * c * fcc + d * d * fdd
        square = square + 2 * (a * b * right[top, x0] + c * d * right[bottom, x0])
        square = square + 2 * (a * c * below[top, x0] + b * d * below[top, x1])
        square = square + 2 * (a * d * falling[top, x0] + b * c * rising[top, x0])
        corners = a * faa + b * fbb + c * fcc + d * fdd
        out[part] = torch.where(square <= CANCELLED * corners, 0.0, square.rsqrt()).float()
    return out


class DenseSearch:
    """The argmax over a lattice of upsampled similarities.

    Args:
        lattice: where the map is read.
        grid_size: (w, h) of the map.
        inverse: (H, W) float32 factor of the score, None for 1.
        mask: (H, W) bool, None for all points.
        device: of the similarities.
    """

    def __init__(
        self,
        lattice: Lattice,
        grid_size: tuple[int, int],
        inverse: torch.Tensor | None,
        mask: np.ndarray | None,
        device: torch.device,
    ) -> None:
        columns, rows = lattice.on(grid_size)
        self.width = lattice.size[0]
        every = [np.arange(n) for n in lattice.size]
        # A bilinear function on a rectangle is largest at a corner: the outermost points of each quad are enough.
        self.used = [columns.ends, rows.ends] if inverse is None and mask is None else every
        self.columns, self.rows = self._axis(columns, 0, device), self._axis(rows, 1, device)
        self.inverse = inverse
        self.mask = None if mask is None else torch.from_numpy(np.ascontiguousarray(mask, dtype=bool)).to(device)
        self.index = [torch.from_numpy(u).to(device) for u in self.used]
        self.bytes_per_query = 4 * (3 * len(self.used[0]) * len(self.used[1]) + 3 * len(self.used[1]) * grid_size[0])

    def _axis(self, axis: AxisCells, i: int, device: torch.device) -> tuple[torch.Tensor, ...]:
        taken = self.used[i]
        arrays = (axis.low[taken], axis.high[taken], axis.weight[taken].astype(np.float32))
        return tuple(torch.from_numpy(a).to(device) for a in arrays)

    def __call__(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, h, w) similarities to index (N, 2) and score (N,), see `matching.Match`."""
        low, high, weight = self.rows
        scores = torch.lerp(scores[:, low], scores[:, high], weight[None, :, None])
        low, high, weight = self.columns
        scores = torch.lerp(scores[:, :, low], scores[:, :, high], weight)
        if self.inverse is not None:
            scores *= self.inverse
        index, score = masked_argmax(scores, self.mask)
        found = index[:, 0] >= 0
        mapped = torch.stack([self.index[k][index[:, k].clamp(min=0)] for k in (0, 1)], dim=1)
        return torch.where(found[:, None], mapped, -1), score


def masked_argmax(scores: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """First maximum in row-major order of (N, h, w), which is overwritten: column, row (N, 2) int64 and score (N,).

    Where nothing is left, -1 and NaN. NaN and what lies outside the mask (h, w) never wins.
    """
    scores.masked_fill_(torch.isnan(scores), -torch.inf)
    if mask is not None:
        scores.masked_fill_(~mask, -torch.inf)
    flat = scores.flatten(1)
    best = flat.argmax(dim=1)
    score = flat.gather(1, best[:, None])[:, 0]
    found = score > -torch.inf
    index = torch.stack([best % scores.shape[2], torch.div(best, scores.shape[2], rounding_mode="floor")], dim=1)
    return torch.where(found[:, None], index, -1), torch.where(found, score, torch.nan)
