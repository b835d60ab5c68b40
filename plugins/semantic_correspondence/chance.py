"""Exact chance levels: what a uniformly random candidate scores. Candidates are columns x rows, evenly spaced."""

from __future__ import annotations

import numpy as np

SLACK = 1e-9


def share_within(truth: np.ndarray, radius: float, x: np.ndarray, y: np.ndarray, *, strict: bool) -> np.ndarray:
    """(K,) share of the candidates (x[i], y[j]) whose distance to truth (K, 2) is below (at most) `radius`."""
    dy = y[None, :] - truth[:, 1:2]
    if radius <= 0:
        return np.zeros(len(truth))
    inside = np.abs(dy) <= radius
    half = np.sqrt(np.where(inside, radius**2 - dy**2, 0.0))
    centre = truth[:, 0:1]
    counted = _between(x, centre - half, centre + half, strict=strict)
    return np.where(inside, counted, 0).sum(axis=1) / (len(x) * len(y))


def share_nearer(here: np.ndarray, there: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(K,) share of the candidates that lie nearer to `here` (K, 2) than to `there` (K, 2)."""
    # Nearer to here: candidate . (here - there) > (|here|^2 - |there|^2) / 2, one linear bound of x per row.
    normal = here - there
    level = (np.square(here).sum(axis=1) - np.square(there).sum(axis=1)) / 2
    rest = level[:, None] - y[None, :] * normal[:, 1:2]
    nx = np.broadcast_to(normal[:, 0:1], rest.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = rest / nx
    right = len(x) - _below(x, bound, strict=False)
    left = _below(x, bound, strict=True)
    counted = np.where(nx > 0, right, np.where(nx < 0, left, np.where(rest < 0, len(x), 0)))
    return counted.sum(axis=1) / (len(x) * len(y))


def _between(x: np.ndarray, low: np.ndarray, high: np.ndarray, *, strict: bool) -> np.ndarray:
    """How many of x lie between low and high."""
    return np.maximum(_below(x, high, strict=strict) - _below(x, low, strict=not strict), 0)


def _below(x: np.ndarray, bound: np.ndarray, *, strict: bool) -> np.ndarray:
    """How many of the evenly spaced, ascending x are below (at most) `bound`."""
    step = (x[-1] - x[0]) / (len(x) - 1) if len(x) > 1 else 1.0
    place = np.nan_to_num((bound - x[0]) / step, nan=0.0, posinf=len(x), neginf=-1.0)
    count = np.ceil(place - SLACK) if strict else np.floor(place + SLACK) + 1
    return np.clip(count, 0, len(x)).astype(np.int64)
