"""Reductions of per-sample values to one score."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def fraction_below_strict(values: np.ndarray, threshold: float) -> float:
    """Fraction of values with `value < threshold`; NaN counts as not below. (N,) -> [0, 1].

    Raises:
        ValueError: for no values.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0:
        raise ValueError("fraction_below_strict needs at least one value")
    return float((values < threshold).mean())


def macro_average(scores: Mapping[str, float]) -> float:
    """Unweighted mean over categories, whatever their number of samples.

    Raises:
        ValueError: for no categories.
    """
    if not scores:
        raise ValueError("macro_average needs at least one category")
    return float(np.mean([scores[name] for name in sorted(scores)]))
