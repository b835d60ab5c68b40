"""From pairwise tests to ranks: an interval of ranks for each, and letters that name what does not differ."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from bench3d.metrics.multiple import holm


def holm_pairs(p: np.ndarray) -> np.ndarray:
    """The symmetric p-values (M, M) of all pairs, adjusted together by Holm; the diagonal is NaN."""
    adjusted = np.full(p.shape, np.nan)
    upper = np.triu_indices(len(p), 1)
    adjusted[upper] = holm(np.asarray(p, dtype=np.float64)[upper])
    adjusted.T[upper] = adjusted[upper]
    return adjusted


def rank_intervals(
    difference: np.ndarray, adjusted_p: np.ndarray, higher_is_better: bool, alpha: float = 0.05
) -> np.ndarray:
    """First and last rank (M, 2) that the pairwise tests leave to each of M; 1 is best.

    From 1 + the number that are significantly better to M - the number that are significantly worse. With p-values
    that are adjusted over all pairs, all true ranks lie in their intervals at once with probability 1 - `alpha`
    (Mogstad, Romano, Shaikh, Wilhelm, Inference for Ranks, 2024, section 3). A pair without a p-value (NaN) is not
    significant. `difference` (M, M) is the score of the row minus that of the column.
    """
    significant = np.nan_to_num(adjusted_p, nan=1.0) < alpha
    ahead = significant & ((difference > 0) if higher_is_better else (difference < 0))
    first = 1 + ahead.sum(axis=0)
    last = len(difference) - ahead.sum(axis=1)
    return np.stack([first, last], axis=1)


def letter_groups(order: Sequence[int], significant: np.ndarray) -> list[str]:
    """Compact letter display: two of M share a letter if and only if they do not differ significantly.

    `significant` (M, M) is symmetric, `order` the indices 0..M-1 best first: the best has the letter a. Returns the
    letters of each index; with more than 26 they go on with aa, ab and stand apart by spaces.

    The letters are cliques of the graph of pairs that do not differ, which cover all its edges (Gramm, Guo, Hueffner,
    Niedermeier, Algorithms for Compact Letter Displays, 2007). Piepho's insert-and-absorb (2004) makes every maximal
    clique and then sweeps, and of those there can be exponentially many; here cliques grow from edges that are not
    covered yet, then the same sweep drops those that others make superfluous.
    """
    tied = [[not significant[i][j] for j in order] for i in order]
    cliques = _swept(_cover(tied))
    letters = ["" for _ in order]
    for at, members in enumerate(sorted(cliques)):
        for place in members:
            gap = " " if len(cliques) > 26 and letters[order[place]] else ""
            letters[order[place]] += gap + _letter(at)
    return letters


def _cover(tied: list[list[bool]]) -> list[tuple[int, ...]]:
    """Maximal cliques that hold every edge and every vertex; members ascending."""
    cliques: list[tuple[int, ...]] = []
    covered: set[tuple[int, int]] = set()
    count = len(tied)
    edges = [(i, j) for i in range(count) for j in range(i + 1, count) if tied[i][j]]
    for edge in edges:
        if edge in covered:
            continue
        clique = list(edge)
        for other in range(count):
            if other not in clique and all(tied[other][member] for member in clique):
                clique.append(other)
        clique.sort()
        covered.update(combinations(clique, 2))
        cliques.append(tuple(clique))
    joined = {member for clique in cliques for member in clique}
    return cliques + [(i,) for i in range(count) if i not in joined]


def _swept(cliques: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Without those whose edges are all held by others; the last made are tried first."""
    times: dict[tuple[int, int], int] = {}
    for clique in cliques:
        for edge in combinations(clique, 2):
            times[edge] = times.get(edge, 0) + 1
    kept = []
    for clique in reversed(cliques):
        edges = list(combinations(clique, 2))
        if edges and all(times[edge] > 1 for edge in edges):
            for edge in edges:
                times[edge] -= 1
        else:
            kept.append(clique)
    return kept


def _letter(at: int) -> str:
    """0 is a, 25 is z, 26 is aa, 27 is ab."""
    name = ""
    at += 1
    while at:
        at, digit = divmod(at - 1, 26)
        name = chr(ord("a") + digit) + name
    return name
