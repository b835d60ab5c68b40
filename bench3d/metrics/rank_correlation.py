"""Spearman's rank correlation of two scores over few models, with an interval and a p-value."""

from __future__ import annotations

from itertools import permutations
from math import factorial
from typing import NamedTuple

import numpy as np
from scipy import stats

EXACT = 8  # up to here all n! orders are looked at (40,320 for 8)


class RankCorrelation(NamedTuple):
    """`rho` is None where one side has no order; interval and `p` are None below four points as well."""

    rho: float | None
    interval: tuple[float, float] | None
    p: float | None
    n: int


def spearman(x: np.ndarray, y: np.ndarray, *, level: float = 0.95) -> RankCorrelation:
    """Rank correlation of (n,) and (n,), ties at their middle rank; points with a NaN are left out.

    The interval is Fisher's z with the variance (1 + rho^2 / 2) / (n - 3) (Bonett and Wright, Sample Size Requirements
    for Estimating Pearson, Kendall and Spearman Correlations, 2000). At |rho| = 1, where z has no end, the near end is
    that of a rho half a step nearer to zero. The p-value (two-sided, of no association) counts all orders up to n = 8
    and takes Student's t with n - 2 degrees of freedom above.

    Raises:
        ValueError: x and y have different lengths.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"{x.shape} and {y.shape} values cannot be correlated")
    there = ~(np.isnan(x) | np.isnan(y))
    x, y = x[there], y[there]
    n = len(x)
    if n < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return RankCorrelation(None, None, None, n)
    a, b = _centred_ranks(x), _centred_ranks(y)
    rho = float(np.clip(a @ b, -1.0, 1.0))
    if n < 4:
        return RankCorrelation(rho, None, None, n)
    return RankCorrelation(rho, _interval(rho, n, level), _exact_p(a, b) if n <= EXACT else _student_p(rho, n), n)


def _centred_ranks(x: np.ndarray) -> np.ndarray:
    ranks = stats.rankdata(x)
    ranks = ranks - ranks.mean()
    return ranks / np.sqrt(ranks @ ranks)


def _interval(rho: float, n: int, level: float) -> tuple[float, float]:
    step = 12.0 / (n**3 - n)
    shrunk = np.clip(rho, -1.0 + step / 2, 1.0 - step / 2)
    half = stats.norm.ppf(0.5 + level / 2) * np.sqrt((1 + shrunk**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(shrunk) - half), np.tanh(np.arctanh(shrunk) + half)
    return float(min(low, rho)), float(max(high, rho))


def _exact_p(a: np.ndarray, b: np.ndarray) -> float:
    orders = np.array(list(permutations(range(len(b)))))
    return float(np.mean(np.abs(b[orders] @ a) >= abs(a @ b) - 1e-9))


def _student_p(rho: float, n: int) -> float:
    least = 2 / factorial(n)  # one order of all, and its reverse
    if abs(rho) >= 1.0:
        return least
    return max(least, float(2 * stats.t.sf(abs(rho) * np.sqrt((n - 2) / (1 - rho**2)), n - 2)))
