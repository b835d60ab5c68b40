"""What a random point of the search domain would score: the chance level of a correspondence.

For every truth point: the probability that a uniform draw from the domain is closer than a radius (exact), and the
expected distance (exact for small domains; for large ones a convolution of the domain with the distance, to 1e-3).
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from scipy.fft import irfft2, next_fast_len, rfft2

DIRECT_POINTS = 2048
"""Domains of at most so many points are summed point by point."""

SIDE = 512
"""Larger domains are gathered into blocks, so many per side at most, before the convolution."""


class PointChance:
    """A uniform draw from a domain of points.

    Args:
        domain: (H, W) bool, the points that a matcher searches.
        x: (W,) ascending positions of the columns in the unit of the metric; None is pixel centres (0.5, 1.5, ...).
        y: (H,) of the rows.

    Raises:
        ValueError: shapes that do not fit, an axis that descends or is not finite, a domain without points.
    """

    def __init__(self, domain: np.ndarray, x: np.ndarray | None = None, y: np.ndarray | None = None) -> None:
        domain = np.asarray(domain, dtype=bool)
        if domain.ndim != 2 or not domain.any():
            raise ValueError("a search domain must be (H, W) with at least one point")
        axes = [
            np.arange(n) + 0.5 if a is None else np.asarray(a, float) for n, a in zip(domain.shape, (y, x), strict=True)
        ]
        for axis, n in zip(axes, domain.shape, strict=True):
            if axis.shape != (n,) or not np.isfinite(axis).all() or (np.diff(axis) < 0).any():
                raise ValueError(f"positions must be finite and ascending, {n} of them, for a domain {domain.shape}")
        rows, columns = (np.flatnonzero(domain.any(axis=1 - k)) for k in (0, 1))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        self._domain = np.ascontiguousarray(domain[box])
        self._y, self._x = axes[0][box[0]], axes[1][box[1]]
        self.points = int(self._domain.sum())
        self._before = np.zeros((len(self._y), len(self._x) + 1), dtype=np.int64)
        np.cumsum(self._domain, axis=1, out=self._before[:, 1:])
        self._mean: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @staticmethod
    def rectangle(x: np.ndarray, y: np.ndarray) -> PointChance:
        """The full lattice of columns `x` (W,) and rows `y` (H,)."""
        return PointChance(np.ones((len(y), len(x)), dtype=bool), x, y)

    def within(self, truth: np.ndarray, radius: float | np.ndarray) -> np.ndarray:
        """Probability that a draw is closer than `radius` (strict) to each truth point. Exact.

        Args:
            truth: (N, 2) x, y; a point that is not finite gives NaN.
            radius: one for all, or (N,).

        Returns:
            (N,) float64.
        """
        truth = np.ascontiguousarray(truth, dtype=np.float64).reshape(-1, 2)
        radii = np.ascontiguousarray(np.broadcast_to(np.asarray(radius, dtype=np.float64), len(truth)))
        share = _count_within(truth, radii, self._x, self._y, self._before, _even_step(self._x)) / self.points
        return np.where(np.isfinite(truth).all(axis=1) & ~np.isnan(radii), share, np.nan)

    def distance(self, truth: np.ndarray) -> np.ndarray:
        """Expected distance of a draw to each truth point (N, 2) -> (N,) float64, in the unit of the axes."""
        truth = np.ascontiguousarray(truth, dtype=np.float64).reshape(-1, 2)
        known = np.isfinite(truth).all(axis=1)
        out = np.full(len(truth), np.nan)
        smooth = known & self._covered(truth)
        if smooth.any():
            if self._mean is None:
                self._mean = _mean_distance(self._domain, self._x, self._y)
            out[smooth] = _bilinear(truth[smooth], *self._mean)
        direct = known & ~smooth
        if direct.any():
            out[direct] = _sum_distance(truth[direct], self._x, self._y, self._domain) / self.points
        return out

    def _covered(self, truth: np.ndarray) -> np.ndarray:
        """(N,) bool: where the convolution holds: a large, evenly spaced domain, and inside its box."""
        if self.points <= DIRECT_POINTS or not (_even_step(self._x) and _even_step(self._y)):
            return np.zeros(len(truth), dtype=bool)
        low, high = np.array([self._x[0], self._y[0]]), np.array([self._x[-1], self._y[-1]])
        return np.asarray(((truth >= low) & (truth <= high)).all(axis=1))


def _even_step(axis: np.ndarray) -> float:
    """The spacing of evenly spaced positions, 0 for others."""
    steps = np.diff(axis)
    even = len(steps) and steps.min() > 0 and np.allclose(steps, steps[0], rtol=1e-6, atol=0)
    return float(axis[-1] - axis[0]) / len(steps) if even else 0.0


@njit(cache=True, parallel=True)
def _count_within(
    truth: np.ndarray, radii: np.ndarray, x: np.ndarray, y: np.ndarray, before: np.ndarray, step: float
) -> np.ndarray:
    """Points of the domain with (dx^2 + dy^2) < r^2 for each truth point: per row an interval of columns.

    On even columns (`step` > 0) the ends are guessed from the spacing and put right, else they are searched for.
    """
    out = np.zeros(len(truth), dtype=np.int64)
    for n in prange(len(truth)):
        cx, cy, square = truth[n, 0], truth[n, 1], radii[n] * radii[n]
        if not radii[n] > 0.0 or not np.isfinite(cx + cy):
            continue
        for j in range(len(y)):
            rest = square - (y[j] - cy) ** 2
            if not rest > 0.0:
                continue
            half = np.sqrt(rest)
            low, high = cx - half, cx + half
            if step > 0.0:
                first = int(min(max((low - x[0]) / step, 0.0), float(len(x))))
                last = int(min(max((high - x[0]) / step, 0.0), float(len(x))))
                while first > 0 and x[first - 1] > low:
                    first -= 1
                while first < len(x) and x[first] <= low:
                    first += 1
                while last > 0 and x[last - 1] >= high:
                    last -= 1
                while last < len(x) and x[last] < high:
                    last += 1
            else:
                first, last = np.searchsorted(x, low, side="right"), np.searchsorted(x, high)
            out[n] += before[j, max(last, first)] - before[j, first]
    return out


@njit(cache=True, parallel=True)
def _sum_distance(truth: np.ndarray, x: np.ndarray, y: np.ndarray, domain: np.ndarray) -> np.ndarray:
    """Sum of the distances of all points of the domain to each truth point."""
    out = np.zeros(len(truth))
    for n in prange(len(truth)):
        total = 0.0
        for j in range(len(y)):
            rise = (y[j] - truth[n, 1]) ** 2
            for i in range(len(x)):
                if domain[j, i]:
                    total += np.sqrt((x[i] - truth[n, 0]) ** 2 + rise)
        out[n] = total
    return out


def _mean_distance(domain: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean distance to the domain at block centres that cover its box: (H', W'), and the centres' x and y.

    The mean distance is smooth (its curvature is the mean of 1 / distance), so blocks and the bilinear reading between
    their centres cost less than 1e-3.
    """
    block = max(1, -(-max(domain.shape) // SIDE))
    high, wide = (-(-n // block) for n in domain.shape)
    filled = np.zeros((high * block, wide * block))
    filled[: domain.shape[0], : domain.shape[1]] = domain
    weight = filled.reshape(high, block, wide, block).sum(axis=(1, 3))
    # One block more on every side: the centres then cover the box.
    weight = np.pad(weight, 1)
    step_x, step_y = (float(a[-1] - a[0]) / (len(a) - 1) * block for a in (x, y))
    middle = (block - 1) / (2 * block)
    centres_x = x[0] + step_x * (np.arange(wide + 2) - 1 + middle)
    centres_y = y[0] + step_y * (np.arange(high + 2) - 1 + middle)
    shape = [next_fast_len(2 * n - 1, real=True) for n in weight.shape]
    offset_y, offset_x = (np.minimum(np.arange(n), n - np.arange(n)) for n in shape)
    # Points of a block are spread over it: so is the distance of a block to itself.
    kernel = np.hypot(offset_y[:, None] * step_y, offset_x[None] * step_x)
    if block > 1:
        kernel[0, 0] = _own_distance(block, step_x / block, step_y / block)
    total = irfft2(rfft2(weight, s=shape) * rfft2(kernel), s=shape)[: weight.shape[0], : weight.shape[1]]
    return np.asarray(total) / weight.sum(), centres_x, centres_y


def _own_distance(block: int, step_x: float, step_y: float) -> float:
    """Mean distance of the points of a block to its centre."""
    offset = np.arange(block) - (block - 1) / 2
    return float(np.hypot(offset[:, None] * step_y, offset[None] * step_x).mean())


def _bilinear(xy: np.ndarray, values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    column, row = (xy[:, 0] - x[0]) / (x[1] - x[0]), (xy[:, 1] - y[0]) / (y[1] - y[0])
    i = np.clip(column.astype(np.int64), 0, len(x) - 2)
    j = np.clip(row.astype(np.int64), 0, len(y) - 2)
    u, v = column - i, row - j
    top = values[j, i] * (1 - u) + values[j, i + 1] * u
    bottom = values[j + 1, i] * (1 - u) + values[j + 1, i + 1] * u
    return np.asarray(top * (1 - v) + bottom * v)
