"""Who is better than whom in a table: paired tests on shared samples, rank intervals, tie groups, best of a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench3d.contracts import MetricSpec
from bench3d.leaderboard.samples import MetricRows
from bench3d.metrics import Group, Pairwise, Statistic, holm_pairs, letter_groups, pairwise, rank_intervals

ALPHA = 0.05


@dataclass(frozen=True)
class Verdict:
    """Of M rows: their order (indices, best first), rank intervals (M, 2), letters, and who does not differ from whom.

    `same` (M, M) is True where a pair shares samples and does not differ significantly (after Holm), `shared` where a
    pair shares samples at all.
    """

    order: list[int]
    ranks: np.ndarray
    letters: list[str]
    same: np.ndarray
    shared: np.ndarray
    comparisons: int


def judged(
    metric: MetricSpec, rows: Sequence[MetricRows], category: str | None = None, letters: bool = True
) -> Verdict:
    """Compares runs on one metric, over all categories or in one. A run's rows may lack samples that others have.

    Without `letters` the tie groups stay empty: of many runs they take longest.
    """
    count = len(rows)
    groups = aligned(rows, category)
    statistic: Statistic = "median" if metric.reduce == "median" else "mean"
    sizes = {name: len(group.clusters) for name, group in groups.items()}
    if count < 2 or not groups:
        nothing = np.zeros((count, count), dtype=bool)
        return Verdict(list(range(count)), np.tile([1, count], (count, 1)), ["a"] * count, nothing, nothing, 0)
    found = pairwise(groups, statistic, metric.across, sizes, level=None)
    return _verdict(found, metric.higher_is_better, letters)


def _verdict(found: Pairwise, higher_is_better: bool, letters: bool) -> Verdict:
    adjusted = holm_pairs(found.p)
    difference = found.difference if higher_is_better else -found.difference
    ranks = rank_intervals(found.difference, adjusted, higher_is_better, ALPHA)
    shared = ~np.isnan(found.difference)
    np.fill_diagonal(shared, True)
    with np.errstate(invalid="ignore"):
        significant = adjusted < ALPHA
    standing = np.array([np.mean(line[ok]) if ok.any() else 0.0 for line, ok in zip(difference, shared, strict=True)])
    order = np.argsort(-standing, kind="stable").tolist()
    names = letter_groups(order, significant) if letters else [""] * len(order)
    return Verdict(order, ranks, names, shared & ~significant, shared, int(np.sum(~np.isnan(adjusted))) // 2)


def aligned(rows: Sequence[MetricRows], category: str | None = None) -> dict[str, Group]:
    """Rows of many runs side by side: category -> values (N, M), NaN where a run lacks a row that another one has."""
    first = rows[0] if rows else None
    if first is not None and all(r.keys == first.keys for r in rows[1:]):
        values = np.stack([r.values for r in rows], axis=1)
        weights = np.stack([r.weights for r in rows], axis=1)
        names, clusters = first.categories, first.clusters
    else:
        values, weights, names, clusters = _union(rows)
    found = {}
    for name in sorted(set(names.tolist())):
        if category is not None and name != category:
            continue
        mine = names == name
        mass = weights[mine]
        even = bool(np.all((mass == 1) | np.isnan(values[mine])))
        found[str(name)] = Group(values[mine], clusters[mine].tolist(), None if even else mass)
    return found


def _union(rows: Sequence[MetricRows]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    places: dict[str, int] = {}
    names: list[str] = []
    clusters: list[str] = []
    for run in rows:
        for key, category, cluster in zip(run.keys, run.categories, run.clusters, strict=True):
            if key not in places:
                places[key] = len(places)
                names.append(category)
                clusters.append(cluster)
    values = np.full((len(places), len(rows)), np.nan)
    weights = np.zeros((len(places), len(rows)))
    for column, run in enumerate(rows):
        at = [places[key] for key in run.keys]
        values[at, column] = run.values
        weights[at, column] = run.weights
    return values, weights, np.array(names, dtype=object), np.array(clusters, dtype=object)


def best_and_tied(values: Mapping[int, float], verdict: Verdict, higher_is_better: bool) -> tuple[set[int], set[int]]:
    """Of the rows (index -> value) the best ones, and those that do not differ significantly from one of them."""
    if not values:
        return set(), set()
    top = max(values.values()) if higher_is_better else min(values.values())
    best = {i for i, value in values.items() if value == top}
    return best, best | {i for i in values if any(verdict.same[i, b] for b in best)}
