"""Principal components of dense features, for pictures: one basis for many images, so that their colours agree.

Rows are cells (N, C). Everything is computed in float64 on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

CHUNK = 16384
"""Rows that are turned into float64 at a time."""

NEGLIGIBLE = 1e-10
"""A component with less than this share of the first one's variance is rounding, not a direction."""

ROUNDING = 1e-20
"""Likewise one with less than this share of the mean's square; float32 resolves 4e-15."""


@dataclass(frozen=True, eq=False)
class Basis:
    """Directions of the largest variance.

    Attributes:
        mean: (C,) of all rows.
        components: (K, C) orthonormal, the largest variance first; the loading of the largest magnitude is positive.
            Zeros for what the rows do not have: fewer channels or rows than K, or rows on a line or in a plane.
        variance: (K,) of the rows along each component, over N rows.
        total: the variance of all channels together.
    """

    mean: np.ndarray
    components: np.ndarray
    variance: np.ndarray
    total: float

    @property
    def explained(self) -> np.ndarray:
        """(K,) share of the total variance, 0 where there is none."""
        return self.variance / self.total if self.total > 0 else np.zeros_like(self.variance)

    def project(self, rows: np.ndarray) -> np.ndarray:
        """Coordinates (N, K) float64 of rows (N, C)."""
        return np.concatenate([part @ self.components.T for part in _centred([rows], self.mean)])


def principal_components(parts: Sequence[np.ndarray], count: int = 3) -> Basis:
    """The first `count` principal components of all rows of all parts together, each (N_i, C).

    Decomposes the covariance of the channels, or where there are fewer rows than channels the products of the rows.

    Raises:
        ValueError: no rows at all.
    """
    rows = sum(len(part) for part in parts)
    if rows == 0:
        raise ValueError("no rows")
    channels = parts[0].shape[1]
    mean = sum((part.sum(axis=0, dtype=np.float64) for part in parts), np.zeros(channels)) / rows
    stacked = None
    if channels <= rows:
        products = sum((x.T @ x for x in _centred(parts, mean)), np.zeros((channels, channels))) / rows
    else:
        stacked = np.concatenate(list(_centred(parts, mean)))
        products = stacked @ stacked.T / rows
    size = len(products)
    first = max(0, size - count)
    values, vectors = scipy.linalg.eigh(products, subset_by_index=[first, size - 1])
    components, variance = np.zeros((count, channels)), np.zeros(count)
    floor = max(NEGLIGIBLE * float(values[-1]), ROUNDING * float(mean @ mean))
    for k, (value, vector) in enumerate(zip(values[::-1], vectors.T[::-1], strict=True)):
        if value <= floor:
            break
        direction = vector if stacked is None else stacked.T @ vector / np.sqrt(value * rows)
        components[k] = direction * np.sign(direction[np.abs(direction).argmax()])
        variance[k] = value
    return Basis(mean, components, variance, float(np.trace(products)))


def colours(projected: Sequence[np.ndarray], percentile: float = 1.0) -> list[np.ndarray]:
    """Coordinates (N_i, K) as values in [0, 1] on a scale common to all parts.

    The scale of each component runs from the `percentile` to the 100 - `percentile` of all rows together, so that a few
    outlying cells do not take all the contrast. A component without any extent becomes 0.5.
    """
    low, high = np.percentile(np.concatenate(projected), [percentile, 100 - percentile], axis=0)
    extent = high - low
    flat = extent <= 0
    scaled = [((p - low) / np.where(flat, 1.0, extent)).clip(0.0, 1.0) for p in projected]
    return [np.where(flat, 0.5, s) for s in scaled]


def foreground(first: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Masks (h, w) bool from the first component's maps (h, w) of several images, as in the figure of DINOv2.

    One threshold for all images (Otsu's) parts the cells in two; the foreground is the part with fewer of its cells at
    the border of an image. Nothing is foreground where the component is constant.

    Source: Oquab et al., DINOv2 (2023), figure 1; Otsu, IEEE Trans. SMC 1979.
    """
    border = []
    for image in first:
        inside = np.zeros(image.shape, dtype=bool)
        inside[1:-1, 1:-1] = True
        border.append(~inside)
    threshold = otsu(np.concatenate([image.ravel() for image in first]))
    above = [image > threshold for image in first]
    cells, edge = np.concatenate([a.ravel() for a in above]), np.concatenate([b.ravel() for b in border])
    if not cells.any():
        return above
    share_above = (cells & edge).sum() / cells.sum()
    share_below = (~cells & edge).sum() / (~cells).sum()
    return above if share_above <= share_below else [~a for a in above]


def otsu(values: np.ndarray) -> float:
    """The threshold that parts values (N,) in two classes, `<=` and `>`, of the largest variance between them.

    Exact, no histogram. The largest value where all are equal, so that nothing lies above it.
    """
    ordered = np.sort(values.astype(np.float64))
    count = len(ordered)
    ends = np.flatnonzero(np.diff(ordered) > 0)
    if len(ends) == 0:
        return float(ordered[-1])
    sums = np.cumsum(ordered - ordered.mean())
    below = ends + 1.0
    between = sums[ends] ** 2 / (below * (count - below))
    return float(ordered[ends[between.argmax()]])


def _centred(parts: Sequence[np.ndarray], mean: np.ndarray) -> Iterator[np.ndarray]:
    """The rows minus the mean, float64, in chunks."""
    for part in parts:
        for start in range(0, len(part), CHUNK):
            yield part[start : start + CHUNK].astype(np.float64) - mean
