"""Overlap of masks (Common3D's segmentation metric: protocol page, section 5); (..., h, w), soft in [0, 1]."""

from __future__ import annotations

import numpy as np

THRESHOLD = 0.5


def soft_iou(truth: np.ndarray, predicted: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Soft intersection over union, (..., h, w), (..., h, w) -> (...).

    sum(g p) / sum(g p + (1 - g) p + (1 - p) g), both masks times `valid` first; 0 where both are empty. Cells that are
    half covered count against a perfect prediction too: a soft mask has less than 1 with itself, the less the coarser
    the grid. Masks are compared on one grid only.
    """
    g, p = _valid(truth, valid), _valid(predicted, valid)
    both = (g * p).sum(axis=(-2, -1))
    union = (g + p - g * p).sum(axis=(-2, -1))
    return np.where(union > 0, both / np.where(union > 0, union, 1.0), 0.0)


def hard_iou(
    truth: np.ndarray, predicted: np.ndarray, valid: np.ndarray | None = None, threshold: float = THRESHOLD
) -> np.ndarray:
    """Intersection over union of the cells above `threshold` (strictly), (..., h, w), (..., h, w) -> (...).

    Free of the soft boundary: every mask that is not empty has 1 with itself. 0 where both are empty.
    """
    return soft_iou(_valid(truth, valid) > threshold, _valid(predicted, valid) > threshold)


def best_constant_mask(training: np.ndarray) -> tuple[np.ndarray, float]:
    """The one mask to answer always: the training masks' mean, cut at the level that suits them best.

    Args:
        training: (N, h, w), soft. Levels 0.05, 0.10, ..., 0.95 are tried; ties take the lowest.

    Returns:
        the mask (h, w) of 0 and 1, and its mean soft IoU with the training masks.

    Raises:
        ValueError: there are no masks.
    """
    if len(training) == 0:
        raise ValueError("best_constant_mask needs training masks")
    mean = training.mean(axis=0)
    candidates = [(mean > level).astype(np.float64) for level in np.arange(1, 20) / 20]
    scores = [float(soft_iou(training, candidate[None]).mean()) for candidate in candidates]
    best = int(np.argmax(scores))
    return candidates[best], scores[best]


def ellipse_mask(box: np.ndarray, grid: tuple[int, int], supersample: int = 8) -> np.ndarray:
    """Coverage (h, w) of the ellipse that touches the sides of a box (x0, y0, x1, y1), in cells of a `grid` (w, h).

    Averaged over `supersample` x `supersample` points a cell.
    """
    x0, y0, x1, y1 = (float(v) for v in box)
    w, h = grid
    xs = (np.arange(w * supersample) + 0.5) / supersample
    ys = (np.arange(h * supersample) + 0.5) / supersample
    across = ((xs - (x0 + x1) / 2) / max((x1 - x0) / 2, 1e-9)) ** 2
    down = ((ys - (y0 + y1) / 2) / max((y1 - y0) / 2, 1e-9)) ** 2
    inside = (down[:, None] + across[None]) <= 1.0
    coverage: np.ndarray = inside.reshape(h, supersample, w, supersample).mean(axis=(1, 3))
    return coverage


def _valid(mask: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    mask = np.asarray(mask, dtype=np.float64)
    return mask if valid is None else mask * np.asarray(valid, dtype=np.float64)
