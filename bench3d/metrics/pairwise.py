"""Which of many models differ: every pair compared on the samples that both have, with Student's t over clusters.

The covariance of the scores is the cluster-robust one of their influence values (for means and ratios the linearised
statistic, for medians Bahadur's representation with Woodruff's scale): what the bootstrap over clusters tends to with
infinitely many draws, with the jackknife's correction for few and unequal clusters. It resolves p-values far below one
over a number of draws, which Holm over hundreds of pairs needs, and it costs one product of matrices. Cameron and
Miller, A Practitioner's Guide to Cluster-Robust Inference, 2015, section II; Woodruff, Confidence Intervals for
Medians, 1952.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy import special, stats

from bench3d.metrics.bootstrap import Statistic


@dataclass(frozen=True)
class Group:
    """The rows of one category.

    Attributes:
        values: (N, M) of M models, NaN where a model lacks the row.
        clusters: N names.
        weights: (N,), (N, M) or None.
    """

    values: np.ndarray
    clusters: Sequence[str]
    weights: np.ndarray | None = None


@dataclass(frozen=True)
class Pairwise:
    """Every pair of M models; NaN where a pair shares nothing, or (but for `difference`) has a single cluster.

    Attributes:
        difference: (M, M) score of the row minus that of the column, on what both have.
        low, high: (M, M) its interval.
        p: (M, M) two-sided p-value of no difference, not adjusted; NaN on the diagonal.
        clusters: (M, M) int, clusters that both have.
    """

    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    clusters: np.ndarray


class _Compared(NamedTuple):
    difference: np.ndarray  # (M, M)
    variances: list[np.ndarray]  # (M, M) of each stratum
    freedoms: list[np.ndarray]  # (M, M) of each stratum
    clusters: list[np.ndarray]  # (M, M) int of each stratum


class _Stack(NamedTuple):
    """All rows of all strata, ordered by cluster."""

    values: np.ndarray  # (N, M)
    weights: np.ndarray  # (N, M)
    there: np.ndarray  # (N, M)
    cluster: np.ndarray  # (N,) number of the cluster
    stratum: np.ndarray  # (N,)
    strata: int


def pairwise(
    groups: Mapping[str, Group],
    statistic: Statistic,
    across: Literal["macro", "samples", "pooled"] = "macro",
    samples: Mapping[str, int] | None = None,
    *,
    level: float | None = 0.95,
) -> Pairwise:
    """Compares M models, category by category on shared rows, over the categories that both of a pair have.

    `across` as in `intervals.interval_across`; `samples` gives the fixed numbers for "samples". Degrees of freedom
    are those of Satterthwaite over categories, each with one less than its effective clusters (see `intervals`).
    Models that agree in every row have p = 1. Where the difference is the same in every cluster, and for medians,
    whose standard error is rough with few clusters, no p-value is below 2^(1 - C): that is what flipping the signs
    of C clusters can resolve. `level` is that of the intervals, None for none (they are NaN then).

    Raises:
        ValueError: no groups, shapes that disagree, a weighted or pooled median.
    """
    _check(groups, statistic, across)
    names = sorted(groups)
    if across == "pooled":
        return _tested(_compare([groups[n] for n in names], "mean"), "mean", level)
    parts = [_compare([groups[n]], statistic) for n in names]
    fixed = [1.0 if across == "macro" or samples is None else float(samples[n]) for n in names]
    share = np.array([s * (part.clusters[0] > 0) for s, part in zip(fixed, parts, strict=True)])
    with np.errstate(invalid="ignore"):
        share = share / share.sum(axis=0)
    difference = sum(s * np.nan_to_num(p.difference) for s, p in zip(share, parts, strict=True))
    variances = [np.where(s > 0, s**2 * p.variances[0], 0.0 * s) for s, p in zip(share, parts, strict=True)]
    compared = _Compared(
        np.asarray(difference), variances, [p.freedoms[0] for p in parts], [p.clusters[0] for p in parts]
    )
    return _tested(compared, statistic, level)


def _check(groups: Mapping[str, Group], statistic: str, across: str) -> None:
    if len({np.shape(g.values)[1] for g in groups.values()}) != 1:
        raise ValueError("pairwise comparisons need groups of one number of models")
    if statistic == "median" and (across == "pooled" or any(g.weights is not None for g in groups.values())):
        raise ValueError("a weighted or pooled median is not defined here")
    for name, group in groups.items():
        if len(group.values) != len(group.clusters):
            raise ValueError(f"{name}: {len(group.values)} rows and {len(group.clusters)} clusters")


def _compare(strata: Sequence[Group], statistic: Statistic) -> _Compared:
    """All pairs on all strata together, in blocks of models that lack the same rows."""
    stack = _stacked(strata)
    models = stack.values.shape[1]
    difference = np.full((models, models), np.nan)
    variances = np.full((stack.strata, models, models), np.nan)
    freedoms = np.zeros((stack.strata, models, models))
    clusters = np.zeros((stack.strata, models, models), dtype=np.int64)
    patterns: dict[bytes, list[int]] = {}
    for model in range(models):
        patterns.setdefault(np.packbits(stack.there[:, model]).tobytes(), []).append(model)
    blocks = list(patterns.values())
    for at, ours in enumerate(blocks):
        for theirs in blocks[at:]:
            rows = np.flatnonzero(stack.there[:, ours[0]] & stack.there[:, theirs[0]])
            if len(rows) == 0:
                continue
            pair, back = (np.ix_(np.array(a), np.array(b)) for a, b in ((ours, theirs), (theirs, ours)))
            own = ours if theirs is ours else ours + theirs
            score, influence, sizes, of_cluster = _influence(stack, rows, own, statistic)
            mine, other = slice(0, len(ours)), slice(len(own) - len(theirs), len(own))
            difference[pair] = score[mine, None] - score[None, other]
            difference[back] = -difference[pair].T
            for stratum in range(stack.strata):
                chosen = of_cluster == stratum
                part, freedom = influence[chosen], _freedoms(sizes[chosen])
                found = (
                    (clusters, np.full((len(ours), len(theirs)), len(part))),
                    (variances, _variances(part[:, mine], part[:, other])),
                    (freedoms, np.minimum(freedom[mine, None], freedom[None, other])),
                )
                for matrix, block in found:
                    matrix[stratum][pair] = block
                    matrix[stratum][back] = block.T
    return _Compared(difference, list(variances), list(freedoms), list(clusters))


def _freedoms(sizes: np.ndarray) -> np.ndarray:
    """Degrees of freedom (m,) of clusters of sizes (C, m): Kish's effective number of them, less one."""
    if len(sizes) == 0:
        return np.zeros(sizes.shape[1])
    return np.maximum(sizes.sum(axis=0) ** 2 / (sizes**2).sum(axis=0) - 1, 0.05)


def _stacked(strata: Sequence[Group]) -> _Stack:
    values = np.concatenate([np.asarray(g.values, dtype=np.float64) for g in strata])
    parts = []
    for group in strata:
        weight = np.ones(1) if group.weights is None else np.asarray(group.weights, dtype=np.float64)
        weight = weight[:, None] if group.weights is not None and weight.ndim == 1 else weight
        parts.append(np.broadcast_to(weight, np.shape(group.values)))
    weights = np.nan_to_num(np.concatenate(parts))
    cluster, stratum, start = [], [], 0
    for number, group in enumerate(strata):
        names, member = np.unique(np.asarray(group.clusters, dtype=str), return_inverse=True)
        cluster.append(member + start)
        stratum.append(np.full(len(member), number))
        start += len(names)
    code = np.concatenate(cluster)
    order = np.argsort(code, kind="stable")
    there = ~np.isnan(values) & (weights > 0)
    return _Stack(
        np.where(there, values, 0.0)[order], weights[order], there[order], code[order],
        np.concatenate(stratum)[order], len(strata),
    )  # fmt: skip


def _influence(
    stack: _Stack, rows: np.ndarray, models: list[int], statistic: Statistic
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """On the rows: scores (m,), by how much each cluster moves them and its size (C, m), its stratum (C,)."""
    code = stack.cluster[rows]
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
    of_cluster = stack.stratum[rows][starts]
    values = stack.values[np.ix_(rows, np.array(models))]
    weights = np.ones(values.shape) if statistic == "median" else stack.weights[np.ix_(rows, np.array(models))]
    sizes = np.add.reduceat(weights, starts, axis=0)
    mass = sizes.sum(axis=0)
    whole = np.zeros((stack.strata, len(models)))
    np.add.at(whole, of_cluster, sizes)
    own = whole[of_cluster]
    # The mass without a cluster, its stratum weighed up to its size; a single cluster has no variance anyway.
    left = mass * np.where(sizes < own, own - sizes, own) / own
    if statistic == "median":
        score = np.median(values, axis=0)
        signs = np.add.reduceat(np.sign(values - score) / 2, starts, axis=0) / left
        return score, signs * _woodruff_scale(values, signs), sizes, of_cluster
    sums = np.add.reduceat(values * weights, starts, axis=0)
    score = sums.sum(axis=0) / mass
    return score, (sums - score * sizes) / left, sizes, of_cluster


def _woodruff_scale(values: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """One over the density at the medians (m,): from the values between two quantiles."""
    count = len(signs)
    if count < 2:
        return np.zeros(values.shape[1])
    error = np.sqrt((count - 1) / count * (signs**2).sum(axis=0))
    half = np.clip(stats.t.ppf(0.975, count - 1) * error, 0.5 / len(values), 0.5)
    ordered = np.sort(values, axis=0)
    grid = np.arange(len(values)) / max(len(values) - 1, 1)
    spread = [np.diff(np.interp([0.5 - h, 0.5 + h], grid, column)) for h, column in zip(half, ordered.T, strict=True)]
    return np.concatenate(spread) / (2 * half)


def _variances(mine: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Jackknife variances (a, b) of the differences, of how C clusters move them: (C, a) and (C, b)."""
    count = len(mine)
    if count < 2:  # none: the pair does not share the stratum
        return np.full((mine.shape[1], other.shape[1]), 0.0 if count == 0 else np.nan)
    mine, other = mine - mine.mean(axis=0), other - other.mean(axis=0)
    own = (mine**2).sum(axis=0)[:, None] + (other**2).sum(axis=0)[None]
    found = own - 2 * mine.T @ other
    for i, j in zip(*np.nonzero(found < 1e-6 * own), strict=True):  # what cancels is summed as it stands
        found[i, j] = ((mine[:, i] - other[:, j]) ** 2).sum()
    return np.maximum(found, 0.0) * (count - 1) / count


def _tested(compared: _Compared, statistic: Statistic, level: float | None) -> Pairwise:
    """Student's t of the differences."""
    difference = compared.difference
    counts = np.sum(compared.clusters, axis=0)
    variance = np.sum(compared.variances, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = zip(compared.variances, compared.freedoms, strict=True)
        spread = sum(v**2 / np.where(f > 0, f, 1.0) for v, f in parts)
        freedom = np.where(variance > 0, variance**2 / spread, np.maximum(counts - 1, 1))
        error = np.sqrt(variance)
        p = 2 * special.stdtr(freedom, -np.abs(difference) / error)
        p = np.where((variance == 0) & (difference == 0), 1.0, p)
        alike = (variance <= 1e-20 * difference**2) | (statistic == "median")
        p = np.where(np.isnan(variance), np.nan, np.maximum(p, np.where(alike, 2.0 ** (1.0 - counts), 0.0)))
        # Without intervals: of hundreds of models these quantiles take as long as all the rest.
        half = error * np.nan if level is None else special.stdtrit(freedom, 0.5 + level / 2) * error
    shared = counts > 0
    np.fill_diagonal(p, np.nan)
    return Pairwise(
        difference=np.where(shared, difference, np.nan),
        low=np.where(shared, difference - half, np.nan),
        high=np.where(shared, difference + half, np.nan),
        p=np.where(shared, p, np.nan),
        clusters=counts,
    )
