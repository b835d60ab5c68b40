"""ZSP's correspondences between two sets of cells: cyclical distance, then k-means so that they are spread.

Source: Goodwin et al., Zero-Shot Category-Level Object Pose Estimation, ECCV 2022, section 4.2, and their code. Where a
cluster's most salient cell is taken there (saliency from a transformer's attention), here it is the one whose cycle
closes best; what is foreground is known from masks and depth instead of that saliency.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

ROUNDS = 20
"""Of Lloyd's algorithm, at most."""


@dataclass(frozen=True)
class Matches:
    """K pairs: rows of the view's cells, rows of the query's, their similarities (K,)."""

    view: torch.Tensor
    query: torch.Tensor
    similarity: torch.Tensor


def cycles(view: torch.Tensor, query: torch.Tensor, places: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Where each cell of a view lands that goes to its nearest cell of the query and back.

    Args:
        view: (N, C) features of length 1; places: (N, 2) of its cells.
        query: (M, C).

    Returns:
        partner (N,), the query's nearest cell; similarity (N,) with it; distance (N,) between a cell and where it
        lands, in the unit of `places`: the cyclical distance.
    """
    scores = view @ query.T
    similarity, partner = scores.max(dim=1)
    back = scores.argmax(dim=0)
    landed = places[back[partner]]
    return partner, similarity, torch.linalg.vector_norm(places - landed, dim=1)


def correspond(view: torch.Tensor, query: torch.Tensor, places: torch.Tensor, pairs: int) -> Matches:
    """At most `pairs` correspondences: of twice as many with the smallest cyclical distance one for each cluster.

    Equal distances are ordered by similarity. The clusters are those of the view's features.
    """
    partner, similarity, distance = cycles(view, query, places)
    order = sorted(range(len(view)), key=list(zip(distance.tolist(), (-similarity).tolist(), strict=True)).__getitem__)
    candidates = torch.tensor(order[: 2 * pairs], dtype=torch.long, device=view.device)
    labels = clusters(view[candidates], pairs)
    first: dict[int, int] = {}
    for row, label in enumerate(labels.tolist()):
        first.setdefault(label, row)  # candidates are ordered: the first of a cluster is its best
    chosen = candidates[torch.tensor(sorted(first.values()), dtype=torch.long, device=view.device)]
    return Matches(chosen, partner[chosen], similarity[chosen])


def clusters(features: torch.Tensor, count: int) -> torch.Tensor:
    """K-means labels (N,) of features (N, C), with at most `count` clusters; deterministic.

    It starts from the first feature and those farthest from all before. With no more features than clusters each is
    its own.
    """
    if len(features) <= count:
        return torch.arange(len(features), device=features.device)
    chosen = [0]
    nearest = (features - features[0]).square().sum(dim=1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (features - features[chosen[-1]]).square().sum(dim=1))
    centres = features[chosen]
    labels = torch.full((len(features),), -1, device=features.device)
    for _ in range(ROUNDS):
        # |x - c|^2 without |x|^2, which moves no minimum.
        found = (centres.square().sum(dim=1) - 2 * features @ centres.T).argmin(dim=1)
        if torch.equal(found, labels):
            break
        labels = found
        sums = torch.zeros_like(centres).index_add_(0, labels, features)
        sizes = torch.bincount(labels, minlength=count)[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
    return labels
