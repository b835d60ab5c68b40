"""Many tests at once: p-values adjusted so that the chance of any false finding stays at the level of one test."""

from __future__ import annotations

import numpy as np


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p-values, same shape; NaN stays NaN and does not count as a test.

    The smallest of m is multiplied by m, the next by m - 1 and so on; none is smaller than one before it, none above 1.
    Valid under any dependence. Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.
    """
    p = np.asarray(p, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    there = np.flatnonzero(~np.isnan(p.ravel()))
    order = there[np.argsort(p.ravel()[there], kind="stable")]
    stepped = p.ravel()[order] * np.arange(len(order), 0, -1)
    adjusted.ravel()[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted
