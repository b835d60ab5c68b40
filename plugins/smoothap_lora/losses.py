"""Losses over point correspondences of two views: the authors' two-term loss and SmoothAP (tasks.md i).

A query is a point of the first view, a target one of the second. Targets nearer than `positive` in 3D are the query's
positives, those farther than `negative` its negatives, the rest is ignored. s is a sigmoid over a temperature.

* `published`, for each positive pair with cosine p, n over the query's negatives:
  1 - ((1 + s(p-1)) / (1 + s(p-1) + sum s(n-1)) + (1 + s(1-p)) / (1 + s(1-p) + sum s(n-p))) / 2, mean over all pairs.
  It is SmoothAP with two positives, p and a virtual perfect match, whatever the number of the query's positives.
* `smoothap`: 1 - (1 + sum s(p'-p)) / (1 + sum s(p'-p) + sum s(n-p)), p' over the query's other positives; mean over
  the query's positives, then over the queries (Brown et al., ECCV 2020: the 1 is the rank of the positive itself).

3,000 x 3,000 points would keep many copies of a pairs x targets table alive for the backward pass. Here the gradient is
made together with the value, some pairs at a time, so that one such piece is alive at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from bench3d_plugins.smoothap_lora.settings import LossName

CELLS = 2**21
"""Entries of the pairs x targets table that are worked on at once (8 MiB each in float32, about ten alive)."""

LIMIT = 50.0
"""The sigmoid's exponent is clamped here, as the published code does; beyond it there is no gradient."""

PairLoss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, float], torch.Tensor]


@dataclass(frozen=True)
class CorrespondenceLoss:
    """A loss and what it was taken over.

    Attributes:
        value: scalar with a graph to the features; exactly 0 without one where there is no positive pair.
        pairs: positive pairs; 0 says that these views teach nothing and are to be skipped.
        queries: points of the first view that have a positive.
    """

    value: torch.Tensor
    pairs: int
    queries: int


def correspondence_loss(
    queries: torch.Tensor,
    targets: torch.Tensor,
    query_points: torch.Tensor,
    target_points: torch.Tensor,
    *,
    loss: LossName = "published",
    positive: float = 5e-3,
    negative: float = 0.1,
    temperature: float = 0.01,
    cells: int = CELLS,
) -> CorrespondenceLoss:
    """The loss of one pair of views.

    Args:
        queries: (N, C) features of unit length; normalise before, so that their gradient is the cosine's.
        targets: (M, C) likewise.
        query_points: (N, 3) in one frame and unit with `target_points` (M, 3) and both radii.
        loss: `published` or `smoothap`.
        positive: radius within which a target is the same point.
        negative: radius beyond which it is another.
        temperature: of the sigmoid.
        cells: bound of the working memory, in entries of the pairs x targets table.
    """
    queries, targets = queries.float(), targets.float()
    rows, columns = positive_pairs(query_points, target_points, positive, cells)
    pairs = len(rows)
    if pairs == 0:
        return CorrespondenceLoss(queries.new_zeros(()), 0, 0)
    _, inverse, counts = rows.unique_consecutive(return_inverse=True, return_counts=True)
    weights = torch.full((pairs,), 1 / pairs, device=queries.device)
    if loss == "smoothap":
        weights = 1 / (len(counts) * counts[inverse].float())
    options = _Options(_LOSSES[loss], positive, negative, temperature, cells)
    with torch.autocast(queries.device.type, enabled=False):
        value = _Chunked.apply(queries, targets, query_points, target_points, rows, columns, weights, options)
    return CorrespondenceLoss(value, pairs, len(counts))


@torch.no_grad()
def positive_pairs(
    query_points: torch.Tensor, target_points: torch.Tensor, positive: float, cells: int = CELLS
) -> tuple[torch.Tensor, torch.Tensor]:
    """Query and target indices (K,) of all pairs strictly nearer than `positive`, by query, then by target."""
    step = max(1, cells // max(1, len(target_points)))
    found = [
        (distances(query_points[i : i + step], target_points) < positive).nonzero() + _row(i, query_points)
        for i in range(0, len(query_points), step)
    ]
    pairs = torch.cat(found) if found else torch.zeros((0, 2), dtype=torch.long, device=query_points.device)
    return pairs[:, 0], pairs[:, 1]


def distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Euclidean (N, M). Not through a matrix product, which loses the digits that a radius of 5e-3 needs."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _row(index: int, like: torch.Tensor) -> torch.Tensor:
    return torch.tensor([index, 0], device=like.device)


def step_sigmoid(x: torch.Tensor, temperature: float) -> torch.Tensor:
    """The soft step: sigmoid of x / temperature."""
    return torch.sigmoid((x / temperature).clamp(-LIMIT, LIMIT))


def published_pairs(
    p: torch.Tensor, row: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Two-term loss of each positive pair: p (K,), its query's cosines `row` (K, M), masks (K, M) -> (K,)."""
    first = 1 + step_sigmoid(p - 1, temperature)
    first = first / (first + (step_sigmoid(row - 1, temperature) * negatives).sum(-1))
    second = 1 + step_sigmoid(1 - p, temperature)
    second = second / (second + (step_sigmoid(row - p[:, None], temperature) * negatives).sum(-1))
    return 1 - (first + second) / 2


def smoothap_pairs(
    p: torch.Tensor, row: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor, temperature: float
) -> torch.Tensor:
    """1 - soft precision at each positive pair; arguments as above."""
    above = step_sigmoid(row - p[:, None], temperature)
    # `positives` holds the pair itself, for which the step is one half.
    rank = 1 + (above * positives).sum(-1) - 0.5
    return 1 - rank / (rank + (above * negatives).sum(-1))


_LOSSES: dict[str, PairLoss] = {"published": published_pairs, "smoothap": smoothap_pairs}


@dataclass(frozen=True)
class _Options:
    pair_loss: PairLoss
    positive: float
    negative: float
    temperature: float
    cells: int


class _Chunked(torch.autograd.Function):
    """The weighted sum over pairs; its gradient is made in the forward pass, one chunk of pairs after another."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        queries: torch.Tensor,
        targets: torch.Tensor,
        query_points: torch.Tensor,
        target_points: torch.Tensor,
        rows: torch.Tensor,
        columns: torch.Tensor,
        weights: torch.Tensor,
        options: _Options,
    ) -> torch.Tensor:
        wanted = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        gradients = [torch.zeros_like(queries), torch.zeros_like(targets)] if wanted else []
        total = queries.new_zeros(())
        step = max(1, options.cells // len(targets))
        for i in range(0, len(rows), step):
            some = slice(i, i + step)
            unique, inverse = rows[some].unique_consecutive(return_inverse=True)
            metric = distances(query_points[unique], target_points)
            masks = ((metric < options.positive).float(), (metric > options.negative).float())
            with torch.set_grad_enabled(wanted):
                a, b = queries[unique].detach().requires_grad_(wanted), targets.detach().requires_grad_(wanted)
                row = (a @ b.T)[inverse]
                p = row.gather(1, columns[some, None])[:, 0]
                losses = options.pair_loss(p, row, masks[0][inverse], masks[1][inverse], options.temperature)
                part = (losses * weights[some]).sum()
            if wanted:
                grad_a, grad_b = torch.autograd.grad(part, (a, b))
                gradients[0].index_add_(0, unique, grad_a)
                gradients[1] += grad_b
            total += part.detach()
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        grad_queries, grad_targets = ctx.saved_tensors
        return grad_queries * gradient, grad_targets * gradient, *(None,) * 6
